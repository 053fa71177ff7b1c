//! What an update may not change.

use trueup_object::{Quantity, Value};

use super::super::strategy::{is_headless, same_meaning};
use super::Report;
use crate::kind::KindInfo;

static NOTHING: Value = Value::Null;

pub fn immutable(report: &mut Report, kind: &KindInfo, object: &Value, live: &Value) {
    match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("apps", "Deployment" | "DaemonSet" | "ReplicaSet") => {
            fixed(report, object, live, &["spec", "selector"])
        }
        ("apps", "StatefulSet") => stateful_set(report, object, live),
        ("batch", "Job") => {
            super::metadata::of_change(report, object, live);
            job(report, object, live);
        }
        ("", "Service") => service(report, object, live),
        ("", "ConfigMap") => frozen(report, object, live, &["data", "binaryData"]),
        ("", "Secret") => {
            fixed(report, object, live, &["type"]);
            frozen(report, object, live, &["data"]);
        }
        ("", "PersistentVolumeClaim") => claim(report, object, live),
        ("", "Pod") => pod(report, object, live),
        ("", "PersistentVolume") => volume(report, object, live),
        ("storage.k8s.io", "StorageClass") => {
            for field in ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"] {
                report.unchanged(object, live, &[field]);
            }
        }
        ("storage.k8s.io", "CSIDriver") => {
            let attach = |driver: &Value| driver.at(&["spec", "attachRequired"]).cloned().unwrap_or_default();
            if attach(object) != attach(live) {
                // The server names this field as its own types once had it.
                report.invalid("spec.attachedRequired", attach(object), super::parts::IMMUTABLE);
            }
            report.unchanged(object, live, &["spec", "volumeLifecycleModes"]);
        }
        ("discovery.k8s.io", "EndpointSlice") => report.unchanged(object, live, &["addressType"]),
        _ => {}
    }
}

fn fixed(report: &mut Report, object: &Value, live: &Value, path: &[&str]) {
    let new = object.at(path).unwrap_or(&NOTHING);
    let old = live.at(path).unwrap_or(&NOTHING);
    if !same_meaning(new, old) {
        report.invalid(&path.join("."), new.clone(), "field is immutable");
    }
}

/// ConfigMaps and Secrets that say `immutable`.
fn frozen(report: &mut Report, object: &Value, live: &Value, fields: &[&str]) {
    let is_set = |value: &Value| value.get("immutable").and_then(Value::as_bool) == Some(true);
    if !is_set(live) {
        return;
    }
    let detail = "field is immutable when `immutable` is set";
    if !is_set(object) {
        report.forbidden("immutable", detail);
    }
    for field in fields {
        if object.get(field) != live.get(field) {
            report.forbidden(field, detail);
        }
    }
}

fn stateful_set(report: &mut Report, object: &Value, live: &Value) {
    let rest = |value: &Value| {
        let mut spec = value.get("spec").cloned().unwrap_or_default();
        for field in [
            "replicas",
            "ordinals",
            "template",
            "updateStrategy",
            "revisionHistoryLimit",
            "persistentVolumeClaimRetentionPolicy",
            "minReadySeconds",
        ] {
            spec.remove_at(&[field]);
        }
        spec
    };
    if !same_meaning(&rest(object), &rest(live)) {
        report.forbidden(
            "spec",
            "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', \
             'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden",
        );
    }
}

fn service(report: &mut Report, object: &Value, live: &Value) {
    let external = |value: &Value| value.str_at(&["spec", "type"]) == Some("ExternalName");
    if external(object) || external(live) || (is_headless(object) && is_headless(live)) {
        return;
    }
    let new = object.list_at(&["spec", "clusterIPs"]);
    let old = live.list_at(&["spec", "clusterIPs"]);
    if let Some(first) = old.first() {
        let value = Value::List(new.to_vec());
        match new.first() {
            None => report.invalid("spec.clusterIPs[0]", value, "primary clusterIP can not be unset"),
            Some(changed) if changed != first => {
                report.invalid("spec.clusterIPs[0]", value, "may not change once set");
            }
            Some(_) => {}
        }
    }
}

fn job(report: &mut Report, object: &Value, live: &Value) {
    // Completions of an indexed job may follow its parallelism.
    let elastic = object.str_at(&["spec", "completionMode"]) == Some("Indexed")
        && object.at(&["spec", "completions"]) == object.at(&["spec", "parallelism"]);
    if !elastic {
        fixed(report, object, live, &["spec", "completions"]);
    }
    fixed(report, object, live, &["spec", "selector"]);
    let waits = |job: &Value| {
        job.at(&["spec", "suspend"]).and_then(Value::as_bool) == Some(true)
            && job.at(&["status", "startTime"]).is_none()
    };
    // Where a job's pods go may be settled until it starts.
    let template = |job: &Value| {
        let mut template = job.at(&["spec", "template"]).cloned().unwrap_or_default();
        if waits(live) {
            for path in [
                ["metadata", "labels"],
                ["metadata", "annotations"],
                ["spec", "nodeSelector"],
                ["spec", "tolerations"],
                ["spec", "schedulingGates"],
                ["spec", "affinity"],
            ] {
                template.remove_at(&path);
            }
            for list in ["containers", "initContainers"] {
                if let Some(spec) = template.get_mut("spec") {
                    super::super::fields::each(spec, list, |container| {
                        container.remove_at(&["resources"]);
                    });
                }
            }
        }
        template
    };
    let (new, old) = (template(object), template(live));
    if waits(live) {
        let spec = |template: &Value| template.get("spec").cloned().unwrap_or_default();
        if !same_meaning(&spec(&new), &spec(&old)) {
            let value = object.at(&["spec", "template", "spec"]).cloned().unwrap_or_default();
            report.invalid("spec.template.spec", value, super::parts::IMMUTABLE);
        }
    } else if !same_meaning(&new, &old) {
        let value = object.at(&["spec", "template"]).cloned().unwrap_or_default();
        report.invalid("spec.template", value, super::parts::IMMUTABLE);
    }
    for field in ["completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"]
    {
        fixed(report, object, live, &["spec", field]);
    }
}

fn volume(report: &mut Report, object: &Value, live: &Value) {
    let source = |volume: &Value| {
        let spec = volume.get("spec").cloned().unwrap_or_default();
        let names = super::storage::volume_sources(&spec).into_iter();
        names.map(|name| (name.to_owned(), spec.get(name).cloned())).collect::<Vec<_>>()
    };
    if source(object) != source(live) {
        report.forbidden(
            "spec.persistentvolumesource",
            "spec.persistentvolumesource is immutable after creation",
        );
    }
    let mode = |volume: &Value| volume.at(&["spec", "volumeMode"]).cloned().unwrap_or_default();
    if mode(object) != mode(live) {
        report.invalid("volumeMode", mode(object), super::parts::IMMUTABLE);
    }
    let affinity = |volume: &Value| volume.at(&["spec", "nodeAffinity"]).cloned();
    if affinity(live).is_some() && affinity(object) != affinity(live) {
        report.invalid("nodeAffinity", affinity(object).unwrap_or_default(), super::parts::IMMUTABLE);
    }
}

fn claim(report: &mut Report, object: &Value, live: &Value) {
    // A claim that names no class, in neither way, may be given one.
    let annotation = ["metadata", "annotations", "volume.beta.kubernetes.io/storage-class"];
    let gets_class = live.at(&["spec", "storageClassName"]).is_none()
        && live.at(&annotation).is_none()
        && object.at(&["spec", "storageClassName"]).is_some();
    let rest = |value: &Value| {
        let mut spec = value.get("spec").cloned().unwrap_or_default();
        // What a bound claim asks for may grow, and the volume is set once.
        if live.str_at(&["status", "phase"]) == Some("Bound") {
            spec.remove_at(&["resources", "requests"]);
            spec.remove_at(&["volumeAttributesClassName"]);
        }
        if live.str_at(&["spec", "volumeName"]).is_none_or(str::is_empty) {
            spec.remove_at(&["volumeName"]);
        }
        if gets_class {
            spec.remove_at(&["storageClassName"]);
        }
        spec
    };
    if !same_meaning(&rest(object), &rest(live)) {
        report.forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        );
    }
    // What is asked for may become less again, down to what there is.
    let amount = |claim: &Value, path: &[&str]| {
        let given = claim.at(path).filter(|amount| !amount.is_null()).cloned();
        Quantity::of(&given.unwrap_or_else(|| 0.into())).ok()
    };
    let asked = amount(object, &["spec", "resources", "requests", "storage"]);
    if asked.is_some()
        && asked < amount(live, &["spec", "resources", "requests", "storage"])
        && asked <= amount(live, &["status", "capacity", "storage"])
    {
        report.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity");
    }
    let mode = |claim: &Value| claim.at(&["spec", "volumeMode"]).cloned().unwrap_or_default();
    if mode(object) != mode(live) {
        report.invalid("volumeMode", mode(object), super::parts::IMMUTABLE);
    }
}

/// A grace period that nobody could wait for may become one second.
fn grace_became_one(object: &Value, live: &Value) -> bool {
    let grace = |pod: &Value| pod.int_at(&["spec", "terminationGracePeriodSeconds"]);
    grace(live).is_some_and(|seconds| seconds < 0) && grace(object) == Some(1)
}

/// Tolerations may be added, and their seconds changed; then they are judged once more.
fn tolerations(report: &mut Report, object: &Value, live: &Value) {
    let bare = |toleration: &Value| {
        let mut bare = toleration.clone();
        bare.remove_at(&["tolerationSeconds"]);
        bare
    };
    let given: Vec<Value> = object.list_at(&["spec", "tolerations"]).iter().map(bare).collect();
    if live.list_at(&["spec", "tolerations"]).iter().all(|toleration| given.contains(&bare(toleration))) {
        return super::placement::tolerations(report, object.get("spec").unwrap_or(&NOTHING), "spec");
    }
    report.forbidden(
        "spec.tolerations",
        "existing toleration can not be modified except its tolerationSeconds",
    );
}

fn pod(report: &mut Report, object: &Value, live: &Value) {
    for list in ["containers", "initContainers"] {
        let names = |pod: &Value| pod.list_at(&["spec", list]).len();
        if names(object) != names(live) {
            let field = format!("spec.{list}");
            return report.forbidden(&field, "pod updates may not add or remove containers");
        }
        for (index, container) in object.list_at(&["spec", list]).iter().enumerate() {
            if container.str_at(&["image"]).is_none_or(str::is_empty) {
                report.required(&format!("spec.{list}[{index}].image"), "");
            }
        }
    }
    let deadline = |pod: &Value| pod.int_at(&["spec", "activeDeadlineSeconds"]);
    match (deadline(object), deadline(live)) {
        (Some(new), _) if new < 0 => {
            let detail = "must be between 0 and 2147483647, inclusive";
            return report.invalid("spec.activeDeadlineSeconds", new, detail);
        }
        (Some(new), Some(old)) if old < new => {
            let detail = "must be less than or equal to previous value";
            return report.invalid("spec.activeDeadlineSeconds", new, detail);
        }
        (None, Some(_)) => {
            let detail = "must not update from a positive integer to nil value";
            report.invalid("spec.activeDeadlineSeconds", Value::Null, detail);
        }
        _ => {}
    }
    tolerations(report, object, live);
    let gates = |pod: &Value| pod.list_at(&["spec", "schedulingGates"]).to_vec();
    let before = gates(live);
    for (index, gate) in gates(object).iter().enumerate().filter(|(_, gate)| !before.contains(gate)) {
        let name = gate.str_at(&["name"]).unwrap_or_default();
        let detail = format!("only deletion is allowed, but found new scheduling gate '{name}'");
        report.forbidden(&format!("spec.schedulingGates[{index}].name"), &detail);
    }
    let relaxed = grace_became_one(object, live);
    let rest = |value: &Value| {
        let mut spec = value.get("spec").cloned().unwrap_or_default();
        for list in ["containers", "initContainers"] {
            super::super::fields::each(&mut spec, list, |container| {
                container.remove_at(&["image"]);
            });
        }
        for field in ["activeDeadlineSeconds", "tolerations", "schedulingGates"] {
            spec.remove_at(&[field]);
        }
        if relaxed {
            spec.remove_at(&["terminationGracePeriodSeconds"]);
        }
        // A pod that still waits may be kept to fewer nodes.
        if !before.is_empty() {
            spec.remove_at(&["nodeSelector"]);
            spec.remove_at(&["affinity", "nodeAffinity"]);
        }
        spec
    };
    if !same_meaning(&rest(object), &rest(live)) {
        report.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,\
             `spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to \
             existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously \
             negative)",
        );
    }
}
