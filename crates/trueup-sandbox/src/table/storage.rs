//! Rows of volumes, claims, storage classes and their drivers.

use trueup_object::{Timestamp, Value};

use super::cell::{age_of, flag, int, is_marked_default, name, or_none, phase, scalar_or, text};

/// `RWO,ROX`: how access modes are abbreviated.
fn access_modes(modes: &[Value]) -> String {
    let short = |mode: &Value| match mode.as_str() {
        Some("ReadWriteOnce") => Some("RWO"),
        Some("ReadOnlyMany") => Some("ROX"),
        Some("ReadWriteMany") => Some("RWX"),
        Some("ReadWriteOncePod") => Some("RWOP"),
        Some(_) | None => None,
    };
    // Their order is the server's, whatever the object's.
    let mut found: Vec<&str> = Vec::new();
    for known in ["RWO", "ROX", "RWX", "RWOP"] {
        if modes.iter().any(|mode| short(mode) == Some(known)) {
            found.push(known);
        }
    }
    found.join(",")
}

/// The class: an old annotation goes before the field.
fn class(object: &Value) -> String {
    let annotated = text(object, &["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"]);
    if annotated.is_empty() { text(object, &["spec", "storageClassName"]) } else { annotated }.to_owned()
}

pub(super) fn volume(object: &Value, now: Timestamp) -> Vec<Value> {
    let claim = object.at(&["spec", "claimRef"]).filter(|claim| !claim.is_null());
    let claim = claim.map_or_else(String::new, |claim| {
        format!("{}/{}", text(claim, &["namespace"]), text(claim, &["name"]))
    });
    vec![
        name(object),
        scalar_or(object, &["spec", "capacity", "storage"], "0").into(),
        access_modes(object.list_at(&["spec", "accessModes"])).into(),
        text(object, &["spec", "persistentVolumeReclaimPolicy"]).into(),
        phase(object).into(),
        claim.into(),
        class(object).into(),
        scalar_or(object, &["spec", "volumeAttributesClassName"], "<unset>").into(),
        text(object, &["status", "reason"]).into(),
        age_of(object, now),
        scalar_or(object, &["spec", "volumeMode"], "<unset>").into(),
    ]
}

pub(super) fn claim(object: &Value, now: Timestamp) -> Vec<Value> {
    let bound = !text(object, &["spec", "volumeName"]).is_empty();
    let (capacity, modes) = if bound {
        let capacity = scalar_or(object, &["status", "capacity", "storage"], "0");
        (capacity, access_modes(object.list_at(&["status", "accessModes"])))
    } else {
        (String::new(), String::new())
    };
    vec![
        name(object),
        phase(object).into(),
        text(object, &["spec", "volumeName"]).into(),
        capacity.into(),
        modes.into(),
        class(object).into(),
        scalar_or(object, &["spec", "volumeAttributesClassName"], "<unset>").into(),
        age_of(object, now),
        scalar_or(object, &["spec", "volumeMode"], "<unset>").into(),
    ]
}

pub(super) fn storage_class(object: &Value, now: Timestamp) -> Vec<Value> {
    let annotations =
        ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];
    vec![
        is_marked_default(object, &annotations),
        text(object, &["provisioner"]).into(),
        scalar_or(object, &["reclaimPolicy"], "Delete").into(),
        scalar_or(object, &["volumeBindingMode"], "Immediate").into(),
        flag(object, &["allowVolumeExpansion"], false),
        age_of(object, now),
    ]
}

pub(super) fn driver(object: &Value, now: Timestamp) -> Vec<Value> {
    let modes: Vec<&str> =
        object.list_at(&["spec", "volumeLifecycleModes"]).iter().filter_map(Value::as_str).collect();
    let tokens = object.at(&["spec", "tokenRequests"]).and_then(Value::as_list);
    let tokens = tokens.map_or_else(
        || "<unset>".to_owned(),
        |requests| requests.iter().map(|request| text(request, &["audience"])).collect::<Vec<_>>().join(","),
    );
    vec![
        name(object),
        flag(object, &["spec", "attachRequired"], true),
        flag(object, &["spec", "podInfoOnMount"], false),
        flag(object, &["spec", "storageCapacity"], false),
        tokens.into(),
        flag(object, &["spec", "requiresRepublish"], false),
        or_none(&modes.join(",")).into(),
        age_of(object, now),
    ]
}

pub(super) fn node_drivers(object: &Value, now: Timestamp) -> Vec<Value> {
    let n_drivers = i64::try_from(object.list_at(&["spec", "drivers"]).len()).unwrap_or(i64::MAX);
    vec![name(object), n_drivers.into(), age_of(object, now)]
}

pub(super) fn attachment(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        text(object, &["spec", "attacher"]).into(),
        text(object, &["spec", "source", "persistentVolumeName"]).into(),
        text(object, &["spec", "nodeName"]).into(),
        flag(object, &["status", "attached"], false),
        age_of(object, now),
    ]
}

pub(super) fn attributes_class(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(object, &["driverName"]).into(), age_of(object, now)]
}

pub(super) fn quota(object: &Value, now: Timestamp) -> Vec<Value> {
    let hard = object.at(&["status", "hard"]).and_then(Value::as_map);
    let (mut requests, mut limits) = (Vec::new(), Vec::new());
    for (resource, _) in hard.into_iter().flat_map(|hard| hard.iter()) {
        let amount = |key: &str| scalar_or(object, &["status", key, resource], "0");
        let cell = format!("{resource}: {}/{}", amount("used"), amount("hard"));
        if resource.starts_with("limits.") { limits.push(cell) } else { requests.push(cell) }
    }
    requests.sort();
    limits.sort();
    vec![name(object), requests.join(", ").into(), limits.join(", ").into(), age_of(object, now)]
}

pub(super) fn priority_class(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        int(object, &["value"]).into(),
        flag(object, &["globalDefault"], false),
        age_of(object, now),
        text(object, &["preemptionPolicy"]).into(),
    ]
}
