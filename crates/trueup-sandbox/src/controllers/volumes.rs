//! Volumes and claims: which volume a claim gets, what becomes of it afterwards, and the provisioner that makes volumes for
//! claims of a class.
//!
//! One step at a time, in the order of the real controller: first the volume is bound to the claim, then the claim to the
//! volume, and each says so in its status. What was begun is gone on with from what is there.

mod matching;
mod scheduling;

use std::sync::Arc;

use trueup_object::{Map, Timestamp, Value};

use super::events::Event;
use super::objects::{CLAIMS, CONTROLLER_MANAGER, Resource, Step, VOLUMES, annotation, is_deleting, text};
use crate::storage_class::{class_named, default_class};

pub use matching::{best, is_bound_to};
pub use scheduling::{Wait, before_binding};

/// The claim has its volume, for good.
const COMPLETED: &str = "pv.kubernetes.io/bind-completed";
/// It was the controller that chose, and not who wrote the object.
const BY_CONTROLLER: &str = "pv.kubernetes.io/bound-by-controller";
const PROVISIONED_BY: &str = "pv.kubernetes.io/provisioned-by";
const PROVISIONER: [&str; 2] =
    ["volume.beta.kubernetes.io/storage-provisioner", "volume.kubernetes.io/storage-provisioner"];
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
/// What keeps a volume until the provisioner has taken its content away.
const PROVISIONER_FINALIZER: &str = "external-provisioner.volume.kubernetes.io/finalizer";

/// The name under which a provisioner writes.
const PROVISIONER_NAME: &str = "csi-provisioner";
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";
const COMPONENT: &str = "persistentvolume-controller";

/// What there is beside a claim or volume.
pub struct Found<'a> {
    pub volumes: &'a [Arc<Value>],
    pub claims: &'a [Arc<Value>],
    pub classes: &'a [Arc<Value>],
    pub pods: &'a [Arc<Value>],
    /// Whether there are provisioners at work.
    pub provisions: bool,
}

impl Found<'_> {
    fn class(&self, claim: &Value) -> Option<&Value> {
        let name = class_named(claim)?;
        self.classes.iter().map(Arc::as_ref).find(|class| text(class, "name") == name)
    }

    /// Whether a claim waits for a pod that uses it.
    fn is_delayed(&self, claim: &Value) -> bool {
        let waits = |class: &Value| class.str_at(&["volumeBindingMode"]) == Some("WaitForFirstConsumer");
        annotation(claim, SELECTED_NODE).is_empty() && self.class(claim).is_some_and(waits)
    }

    fn volume(&self, name: &str) -> Option<&Value> {
        self.volumes.iter().map(Arc::as_ref).find(|volume| text(volume, "name") == name)
    }
}

/// What is done about a claim that is not to be deleted.
pub fn claim(claim: &Value, found: &Found<'_>, now: Timestamp) -> Vec<Step> {
    let name = claim.str_at(&["spec", "volumeName"]).unwrap_or_default();
    if !annotation(claim, COMPLETED).is_empty() {
        return kept(claim, name, found, now);
    }
    if let Some(step) = with_default_class(claim, found) {
        return vec![step];
    }
    if name.is_empty() {
        return match best(claim, found.volumes, found.is_delayed(claim)) {
            Some(volume) => bind(claim, volume, now).into_iter().collect(),
            None => unmatched(claim, found),
        };
    }
    // Somebody chose the volume. It may come later.
    let Some(volume) = found.volume(name) else { return Vec::new() };
    if volume.at(&["spec", "claimRef"]).is_none() {
        return match matching::why_not(claim, volume) {
            None => bind(claim, volume, now).into_iter().collect(),
            Some(why) => {
                let message = format!("Cannot bind to requested volume {name:?}: {why}");
                vec![warned(claim, "VolumeMismatch", message)]
            }
        };
    }
    if is_bound_to(volume, claim) {
        return bind(claim, volume, now).into_iter().collect();
    }
    let message = format!("volume {name:?} already bound to a different claim.");
    vec![warned(claim, "FailedBinding", message)]
}

/// A claim that was made before there was a default class gets it when there is one.
fn with_default_class(claim: &Value, found: &Found<'_>) -> Option<Step> {
    let class = default_class(found.classes)?;
    if class_named(claim).is_some() {
        return None;
    }
    let mut changed = claim.clone();
    changed.set_at(&["spec", "storageClassName"], class.into());
    Some(Step::update(CLAIMS, changed))
}

/// A claim that was bound keeps its volume, or has lost it.
fn kept(claim: &Value, name: &str, found: &Found<'_>, now: Timestamp) -> Vec<Step> {
    let lost = |reason, message: &str| {
        let mut status = claim.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
        if status.str_at(&["phase"]) == Some("Lost") {
            return Vec::new();
        }
        status.set_at(&["phase"], "Lost".into());
        status.remove_at(&["accessModes"]);
        status.remove_at(&["capacity"]);
        let told = warned(claim, reason, message.to_owned());
        Step::status(CLAIMS, claim, status).into_iter().chain([told]).collect()
    };
    if name.is_empty() {
        return lost(
            "ClaimLost",
            "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!",
        );
    }
    let Some(volume) = found.volume(name) else {
        return lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
    };
    if volume.at(&["spec", "claimRef"]).is_some() && !is_bound_to(volume, claim) {
        return lost(
            "ClaimMisbound",
            "Two claims are bound to the same volume, this one is bound incorrectly",
        );
    }
    bind(claim, volume, now).into_iter().collect()
}

/// The next step of binding a claim and a volume to each other.
fn bind(claim: &Value, volume: &Value, now: Timestamp) -> Option<Step> {
    to_claim(volume, claim, CONTROLLER_MANAGER)
        .or_else(|| phase(volume, "Bound", None, now))
        .or_else(|| to_volume(claim, volume))
        .or_else(|| {
            let mut status = claim.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
            status.set_at(&["phase"], "Bound".into());
            for key in ["accessModes", "capacity"] {
                status.set_at(&[key], volume.at(&["spec", key]).cloned().unwrap_or_default());
            }
            Step::status(CLAIMS, claim, status)
        })
}

/// The volume with the claim that it is for; none where it names it already.
fn to_claim(volume: &Value, claim: &Value, manager: &'static str) -> Option<Step> {
    let reference = volume.at(&["spec", "claimRef"]);
    if reference.and_then(|it| it.str_at(&["uid"])) == Some(text(claim, "uid")) {
        return None;
    }
    let mut changed = volume.clone();
    if reference.is_none() {
        changed.set_at(&["metadata", "annotations", BY_CONTROLLER], "yes".into());
    }
    let mut names = vec![("kind", CLAIMS.kind), ("apiVersion", CLAIMS.version)];
    names.extend(["namespace", "name", "uid", "resourceVersion"].map(|key| (key, text(claim, key))));
    for (key, value) in names {
        changed.set_at(&["spec", "claimRef", key], value.into());
    }
    Some(Step::Update { resource: VOLUMES, object: changed, manager, subresource: None })
}

fn to_volume(claim: &Value, volume: &Value) -> Option<Step> {
    let mut changed = claim.clone();
    if claim.str_at(&["spec", "volumeName"]).is_none_or(str::is_empty) {
        changed.set_at(&["spec", "volumeName"], text(volume, "name").into());
        changed.set_at(&["metadata", "annotations", BY_CONTROLLER], "yes".into());
    }
    changed.set_at(&["metadata", "annotations", COMPLETED], "yes".into());
    (changed != *claim).then(|| Step::update(CLAIMS, changed))
}

/// What becomes of a claim that no volume is there for.
fn unmatched(claim: &Value, found: &Found<'_>) -> Vec<Step> {
    if found.is_delayed(claim) {
        let user = found.pods.iter().find(|pod| uses(pod, text(claim, "name")) && !is_deleting(pod));
        return vec![match user {
            Some(pod) => {
                let message = format!("waiting for pod {} to be scheduled", text(pod, "name"));
                told(claim, "WaitForPodScheduled", message)
            }
            None => {
                let message = "waiting for first consumer to be created before binding".to_owned();
                told(claim, "WaitForFirstConsumer", message)
            }
        }];
    }
    let Some(name) = class_named(claim).filter(|name| !name.is_empty()) else {
        let message = "no persistent volumes available for this claim and no storage class is set";
        return vec![told(claim, "FailedBinding", message.to_owned())];
    };
    let Some(class) = found.class(claim) else {
        let message = format!("storageclass.storage.k8s.io {name:?} not found");
        return vec![warned(claim, "ProvisioningFailed", message)];
    };
    let provisioner = class.str_at(&["provisioner"]).unwrap_or_default();
    if provisioner == NO_PROVISIONER {
        let message = format!("no volume plugin matched name: {provisioner}");
        return vec![warned(claim, "ProvisioningFailed", message)];
    }
    if PROVISIONER.iter().any(|key| annotation(claim, key) != provisioner) {
        let mut changed = claim.clone();
        for key in PROVISIONER {
            changed.set_at(&["metadata", "annotations", key], provisioner.into());
        }
        let message = format!(
            "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the \
             system administrator. If volume creation is delayed, please verify that the provisioner is running and \
             correctly registered."
        );
        return vec![Step::update(CLAIMS, changed), told(claim, "ExternalProvisioning", message)];
    }
    if found.provisions { provisioned(claim, class, provisioner) } else { Vec::new() }
}

/// A volume as the provisioner of a class makes it.
fn provisioned(claim: &Value, class: &Value, provisioner: &str) -> Vec<Step> {
    let name = format!("pvc-{}", text(claim, "uid"));
    let mut volume = VOLUMES.object("");
    let mut set = |path: &[&str], value: Value| {
        volume.set_at(path, value);
    };
    set(&["metadata", "name"], name.clone().into());
    set(&["metadata", "annotations", PROVISIONED_BY], provisioner.into());
    set(&["metadata", "finalizers"], Value::List(vec![PROVISIONER_FINALIZER.into()]));
    let copied = |path: &[&str]| claim.at(path).cloned();
    for key in ["accessModes", "volumeMode"] {
        if let Some(value) = copied(&["spec", key]) {
            set(&["spec", key], value);
        }
    }
    if let Some(size) = copied(&["spec", "resources", "requests", "storage"]) {
        set(&["spec", "capacity", "storage"], size);
    }
    let class_name = class_named(claim).unwrap_or_default();
    set(&["spec", "storageClassName"], class_name.into());
    let policy = class.str_at(&["reclaimPolicy"]).unwrap_or("Delete");
    set(&["spec", "persistentVolumeReclaimPolicy"], policy.into());
    if let Some(options) = class.get("mountOptions") {
        set(&["spec", "mountOptions"], options.clone());
    }
    set(&["spec", "claimRef", "kind"], CLAIMS.kind.into());
    set(&["spec", "claimRef", "apiVersion"], CLAIMS.version.into());
    for key in ["namespace", "name", "uid", "resourceVersion"] {
        set(&["spec", "claimRef", key], text(claim, key).into());
    }
    // Names of provisioners may have a slash, those of drivers not.
    set(&["spec", "csi", "driver"], provisioner.replace('/', ".").into());
    set(&["spec", "csi", "volumeHandle"], name.clone().into());
    let message = format!("Successfully provisioned volume {name}");
    let event = Event::told(claim, CLAIMS, PROVISIONER_NAME, "ProvisioningSucceeded", message, false);
    let created = Step::Create { resource: VOLUMES, object: volume, manager: PROVISIONER_NAME };
    vec![created, Step::Tell(event)]
}

/// What is done about a volume.
pub fn volume(volume: &Value, found: &Found<'_>, now: Timestamp) -> Vec<Step> {
    // A volume is not taken away from a claim that has it.
    if is_deleting(volume) && volume.str_at(&["status", "phase"]) != Some("Bound") {
        return ended(volume, found).into_iter().collect();
    }
    let Some(reference) = volume.at(&["spec", "claimRef"]) else {
        return phase(volume, "Available", None, now).into_iter().collect();
    };
    let Some(uid) = reference.str_at(&["uid"]).filter(|uid| !uid.is_empty()) else {
        // It is kept for a claim that may come.
        return phase(volume, "Available", None, now).into_iter().collect();
    };
    let claim = found.claims.iter().map(Arc::as_ref).find(|claim| text(claim, "uid") == uid);
    let Some(claim) = claim else {
        let over = matches!(volume.str_at(&["status", "phase"]), Some("Released" | "Failed"));
        if over {
            return reclaimed(volume, found, now);
        }
        return phase(volume, "Released", None, now).into_iter().collect();
    };
    match claim.str_at(&["spec", "volumeName"]).unwrap_or_default() {
        // The claim's own turn binds it.
        "" => Vec::new(),
        name if name == text(volume, "name") => phase(volume, "Bound", None, now).into_iter().collect(),
        _ if annotation(volume, PROVISIONED_BY).is_empty() => vec![unbound(volume)],
        _ => phase(volume, "Released", None, now).into_iter().collect(),
    }
}

/// A volume that is to be deleted goes once the provisioner that made it has taken its content away.
fn ended(volume: &Value, found: &Found<'_>) -> Option<Step> {
    let kept = |item: &str| match item {
        "kubernetes.io/pv-protection" => false,
        PROVISIONER_FINALIZER => annotation(volume, PROVISIONED_BY).is_empty() || !found.provisions,
        _ => true,
    };
    without_finalizers(VOLUMES, volume, kept)
}

fn without_finalizers(resource: Resource, object: &Value, kept: impl Fn(&str) -> bool) -> Option<Step> {
    let finalizers = object.list_at(&["metadata", "finalizers"]);
    let rest: Vec<Value> =
        finalizers.iter().filter(|item| item.as_str().is_none_or(&kept)).cloned().collect();
    if rest.len() == finalizers.len() {
        return None;
    }
    let mut changed = object.clone();
    changed.set_at(&["metadata", "finalizers"], Value::List(rest));
    Some(Step::update(resource, changed))
}

/// What the policy says of a volume whose claim is gone.
fn reclaimed(volume: &Value, found: &Found<'_>, now: Timestamp) -> Vec<Step> {
    let failed = |reason, message: String| {
        let told = Event::told(volume, VOLUMES, COMPONENT, reason, message.clone(), true);
        phase(volume, "Failed", Some(&message), now).into_iter().chain([Step::Tell(told)]).collect()
    };
    let path = volume.str_at(&["spec", "hostPath", "path"]);
    match volume.str_at(&["spec", "persistentVolumeReclaimPolicy"]) {
        Some("Recycle") if path.is_some() || volume.at(&["spec", "nfs"]).is_some() => {
            let message = "Volume recycled".to_owned();
            let told = Event::told(volume, VOLUMES, COMPONENT, "VolumeRecycled", message, false);
            vec![unbound(volume), Step::Tell(told)]
        }
        Some("Recycle") => {
            failed("VolumeFailedRecycle", "No recycler plugin found for the volume!".to_owned())
        }
        Some("Delete") if !annotation(volume, PROVISIONED_BY).is_empty() => {
            if found.provisions {
                vec![Step::delete(VOLUMES, volume)]
            } else {
                Vec::new()
            }
        }
        // Who drives it may take it away, and nobody else.
        Some("Delete") if volume.at(&["spec", "csi"]).is_some() => Vec::new(),
        Some("Delete") => match path {
            Some(path) if path.starts_with("/tmp/") => vec![Step::delete(VOLUMES, volume)],
            Some(path) => {
                let message = format!("host_path deleter only supports /tmp/.+ but received provided {path}");
                failed("VolumeFailedDelete", message)
            }
            None => {
                let name = text(volume, "name");
                let message = format!(
                    "error getting deleter volume plugin for volume {name:?}: no deletable volume plugin matched"
                );
                failed("VolumeFailedDelete", message)
            }
        },
        Some(_) | None => Vec::new(),
    }
}

/// A volume that may be claimed anew: by anybody, or by the one that it was kept for.
fn unbound(volume: &Value) -> Step {
    let mut changed = volume.clone();
    if annotation(volume, BY_CONTROLLER).is_empty() {
        changed.remove_at(&["spec", "claimRef", "uid"]);
        changed.remove_at(&["spec", "claimRef", "resourceVersion"]);
    } else {
        changed.remove_at(&["spec", "claimRef"]);
        changed.remove_at(&["metadata", "annotations", BY_CONTROLLER]);
    }
    Step::update(VOLUMES, changed)
}

/// The volume in a phase, with what there is to say of it; none where it is there.
fn phase(volume: &Value, phase: &str, message: Option<&str>, now: Timestamp) -> Option<Step> {
    if volume.str_at(&["status", "phase"]) == Some(phase) {
        return None;
    }
    let mut status = volume.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    status.set_at(&["phase"], phase.into());
    status.set_at(&["lastPhaseTransitionTime"], crate::clock::wire_time(now).into());
    match message {
        Some(message) => {
            status.set_at(&["message"], message.into());
        }
        None => {
            status.remove_at(&["message"]);
        }
    }
    Step::status(VOLUMES, volume, status)
}

/// A claim that is to be deleted stays as long as a pod on a node uses it.
pub fn end_of_claim(claim: &Value, pods: &[Arc<Value>]) -> Option<Step> {
    let name = text(claim, "name");
    let in_use = pods
        .iter()
        .any(|pod| pod.str_at(&["spec", "nodeName"]).is_some_and(|node| !node.is_empty()) && uses(pod, name));
    if in_use {
        return None;
    }
    without_finalizers(CLAIMS, claim, |item| item != "kubernetes.io/pvc-protection")
}

/// The claims that a pod names.
pub fn claims_of(pod: &Value) -> impl Iterator<Item = &str> {
    let volumes = pod.list_at(&["spec", "volumes"]).iter();
    volumes.filter_map(|volume| volume.str_at(&["persistentVolumeClaim", "claimName"]))
}

fn uses(pod: &Value, claim: &str) -> bool {
    claims_of(pod).any(|name| name == claim)
}

fn told(claim: &Value, reason: &'static str, message: String) -> Step {
    Step::Tell(Event::told(claim, CLAIMS, COMPONENT, reason, message, false))
}

fn warned(claim: &Value, reason: &'static str, message: String) -> Step {
    Step::Tell(Event::told(claim, CLAIMS, COMPONENT, reason, message, true))
}

#[cfg(test)]
mod tests;
