//! Which volume fits a claim (`k8s.io/kubernetes/pkg/volume/util`, `FindMatchingVolume`).

use std::sync::Arc;

use trueup_object::{Quantity, Value};

use crate::controllers::objects::{is_deleting, text};
use crate::storage_class::class_named;
use crate::write::selector_matches;

/// Whether a volume is one claim's: it names it, and where it names a uid, that one.
pub fn is_bound_to(volume: &Value, claim: &Value) -> bool {
    let Some(reference) = volume.at(&["spec", "claimRef"]) else { return false };
    let uid = reference.str_at(&["uid"]).unwrap_or_default();
    ["name", "namespace"].iter().all(|key| reference.str_at(&[key]).unwrap_or_default() == text(claim, key))
        && (uid.is_empty() || uid == text(claim, "uid"))
}

/// The volume for a claim: the one that is kept for it, else the smallest that is large enough, and of those with the fewest
/// access modes. A claim that waits for a pod only gets one that is kept for it.
pub fn best<'v>(claim: &Value, volumes: &'v [Arc<Value>], delayed: bool) -> Option<&'v Value> {
    let fitting = |volume: &&Value| {
        let taken = volume.at(&["spec", "claimRef"]).is_some() && !is_bound_to(volume, claim);
        !taken
            && !is_deleting(volume)
            && is_large_enough(volume, claim)
            && mode(volume) == mode(claim)
            && has_access(volume, claim)
    };
    let fitting: Vec<&'v Value> = volumes.iter().map(Arc::as_ref).filter(fitting).collect();
    if let Some(kept) = fitting.iter().find(|volume| is_bound_to(volume, claim)) {
        return Some(*kept);
    }
    let free = |volume: &&Value| {
        let selector = claim.at(&["spec", "selector"]);
        volume.str_at(&["status", "phase"]) == Some("Available")
            && selector.is_none_or(|it| selector_matches(it, volume.at(&["metadata", "labels"])))
            && class_of(volume) == class_of(claim)
    };
    let mut free: Vec<&'v Value> = fitting.into_iter().filter(free).collect();
    free.sort_by_key(|volume| {
        (volume.list_at(&["spec", "accessModes"]).len(), size(volume), text(volume, "name").to_owned())
    });
    free.first().copied().filter(|_| !delayed)
}

/// Why a volume that a claim asks for by name will not do.
pub fn why_not(claim: &Value, volume: &Value) -> Option<&'static str> {
    if !is_large_enough(volume, claim) {
        Some("requested PV is too small")
    } else if class_of(volume) != class_of(claim) {
        Some("storageClassName does not match")
    } else if mode(volume) != mode(claim) {
        Some("incompatible volumeMode")
    } else if !has_access(volume, claim) {
        Some("incompatible accessMode")
    } else {
        None
    }
}

fn size(volume: &Value) -> Option<Quantity> {
    volume.at(&["spec", "capacity", "storage"]).and_then(|size| Quantity::of(size).ok())
}

fn is_large_enough(volume: &Value, claim: &Value) -> bool {
    let wanted = claim.at(&["spec", "resources", "requests", "storage"]);
    match wanted.and_then(|wanted| Quantity::of(wanted).ok()) {
        Some(wanted) => size(volume).is_some_and(|size| size >= wanted),
        None => true,
    }
}

fn mode(object: &Value) -> &str {
    object.str_at(&["spec", "volumeMode"]).unwrap_or("Filesystem")
}

fn class_of(object: &Value) -> &str {
    class_named(object).unwrap_or_default()
}

fn has_access(volume: &Value, claim: &Value) -> bool {
    let offered = volume.list_at(&["spec", "accessModes"]);
    claim.list_at(&["spec", "accessModes"]).iter().all(|mode| offered.contains(mode))
}
