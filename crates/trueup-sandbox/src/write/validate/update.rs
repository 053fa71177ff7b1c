//! What an update may not change.

use trueup_object::Value;

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
            for field in ["completions", "selector", "template", "completionMode", "podFailurePolicy"] {
                // Completions of an indexed job may follow its parallelism.
                let elastic = field == "completions"
                    && object.str_at(&["spec", "completionMode"]) == Some("Indexed")
                    && object.at(&["spec", "completions"]) == object.at(&["spec", "parallelism"]);
                if !elastic {
                    fixed(report, object, live, &["spec", field]);
                }
            }
        }
        ("", "Service") => service(report, object, live),
        ("", "ConfigMap") => frozen(report, object, live, &["data", "binaryData"]),
        ("", "Secret") => {
            fixed(report, object, live, &["type"]);
            frozen(report, object, live, &["data"]);
        }
        ("", "PersistentVolumeClaim") => claim(report, object, live),
        ("", "Pod") => pod(report, object, live),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding")
            if object.get("roleRef") != live.get("roleRef") =>
        {
            let value = object.get("roleRef").cloned().unwrap_or_default();
            report.invalid("roleRef", value, "cannot change roleRef");
        }
        ("storage.k8s.io", "StorageClass") => {
            for field in ["provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"] {
                if object.get(field) != live.get(field) {
                    report.forbidden(field, &format!("updates to {field} are forbidden."));
                }
            }
        }
        ("scheduling.k8s.io", "PriorityClass") if object.get("value") != live.get("value") => {
            report.forbidden("value", "may not be changed in an update.");
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            for path in [["spec", "group"], ["spec", "scope"]] {
                fixed(report, object, live, &path);
            }
        }
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

fn claim(report: &mut Report, object: &Value, live: &Value) {
    let rest = |value: &Value| {
        let mut spec = value.get("spec").cloned().unwrap_or_default();
        spec.remove_at(&["resources", "requests"]);
        spec.remove_at(&["volumeAttributesClassName"]);
        spec.remove_at(&["volumeName"]);
        spec
    };
    if !same_meaning(&rest(object), &rest(live)) {
        report.forbidden(
            "spec",
            "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims",
        );
    }
}

fn pod(report: &mut Report, object: &Value, live: &Value) {
    let rest = |value: &Value| {
        let mut spec = value.get("spec").cloned().unwrap_or_default();
        for list in ["containers", "initContainers"] {
            super::super::fields::each(&mut spec, list, |container| {
                container.remove_at(&["image"]);
            });
        }
        for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds"] {
            spec.remove_at(&[field]);
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
