//! What a pod's claims mean for where it runs: the scheduler waits for them, and chooses for those that wait for it.

use std::sync::Arc;

use trueup_object::Value;

use super::{COMPLETED, Found, NO_PROVISIONER, SELECTED_NODE, best, claims_of, is_bound_to, to_claim};
use crate::controllers::events::SCHEDULER;
use crate::controllers::objects::{CLAIMS, Step, annotation, is_deleting, text};

/// Why a pod is not put on a node yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wait {
    /// For as long as this is so, in the scheduler's words.
    For(String),
    /// No node has a volume for it.
    NoVolume,
    /// Until what was begun for it is done.
    Steps(Vec<Step>),
}

/// What has to be done about a pod's claims before it is put on a node; none where it may be.
pub fn before_binding(pod: &Value, node: Option<&str>, found: &Found<'_>) -> Option<Wait> {
    let mut open = Vec::new();
    for name in claims_of(pod) {
        let Some(claim) = found.claims.iter().map(Arc::as_ref).find(|claim| text(claim, "name") == name)
        else {
            return Some(Wait::For(format!("persistentvolumeclaim {name:?} not found")));
        };
        if is_deleting(claim) {
            return Some(Wait::For(format!("persistentvolumeclaim {name:?} is being deleted")));
        }
        if claim.str_at(&["status", "phase"]) == Some("Lost") {
            let volume = claim.str_at(&["spec", "volumeName"]).unwrap_or_default();
            let message =
                format!("persistentvolumeclaim {name:?} bound to non-existent persistentvolume {volume:?}");
            return Some(Wait::For(message));
        }
        if !annotation(claim, COMPLETED).is_empty() {
            continue;
        }
        let chosen = !annotation(claim, SELECTED_NODE).is_empty();
        if !chosen && !found.is_delayed(claim) {
            return Some(Wait::For("pod has unbound immediate PersistentVolumeClaims".to_owned()));
        }
        open.push((claim, chosen));
    }
    if open.is_empty() {
        return None;
    }
    let mut steps = Vec::new();
    for (claim, chosen) in open {
        if chosen || found.volumes.iter().any(|volume| is_bound_to(volume, claim)) {
            continue;
        }
        if let Some(volume) = best(claim, found.volumes, false) {
            steps.extend(to_claim(volume, claim, SCHEDULER));
            continue;
        }
        let provisioner = found.class(claim).and_then(|class| class.str_at(&["provisioner"]));
        if provisioner.is_none_or(|provisioner| provisioner == NO_PROVISIONER) {
            return Some(Wait::NoVolume);
        }
        // Without a node that takes the pod there is none to make a volume for.
        let Some(node) = node else { continue };
        let mut changed = claim.clone();
        changed.set_at(&["metadata", "annotations", SELECTED_NODE], node.into());
        steps.push(Step::Update { resource: CLAIMS, object: changed, manager: SCHEDULER, subresource: None });
    }
    Some(Wait::Steps(steps))
}
