//! Metadata, the same for all kinds.

use trueup_object::{Map, Value};

use super::names::{dns_label, dns_subdomain, label_value, path_segment, qualified_name};
use super::{Report, join};
use crate::kind::KindInfo;

/// All annotations of an object together.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

pub fn metadata(report: &mut Report, kind: &KindInfo, object: &Value, live: Option<&Value>) {
    let empty = Value::Map(Map::new());
    let metadata = object.get("metadata").unwrap_or(&empty);
    if live.is_none() {
        name(report, kind, metadata);
        if kind.is_namespaced() {
            if metadata.str_at(&["namespace"]).is_none_or(str::is_empty) {
                report.required("metadata.namespace", "");
            }
        } else if metadata.str_at(&["namespace"]).is_some_and(|namespace| !namespace.is_empty()) {
            report.forbidden("metadata.namespace", "not allowed on this type");
        }
    }
    labels(report, metadata, "metadata.labels", "labels");
    annotations(report, metadata, "metadata.annotations");
    owners(report, metadata);
    finalizers(report, metadata, live);
    if let Some(live) = live {
        immutable(report, metadata, live.get("metadata").unwrap_or(&empty));
    }
}

fn name(report: &mut Report, kind: &KindInfo, metadata: &Value) {
    let Some(name) = metadata.str_at(&["name"]).filter(|name| !name.is_empty()) else {
        report.required("metadata.name", "name or generateName is required");
        return;
    };
    let wrong = match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => path_segment(name),
        ("", "Namespace" | "Service") => dns_label(name),
        _ => dns_subdomain(name),
    };
    for message in wrong {
        report.invalid("metadata.name", name, &message);
    }
}

/// Labels under a key of an object (`labels`, `matchLabels`).
pub fn labels(report: &mut Report, object: &Value, path: &str, key: &str) {
    for (name, value) in object.get(key).and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        for message in qualified_name(name) {
            report.invalid(path, name, &message);
        }
        let text = value.as_str().unwrap_or_default();
        for message in label_value(text) {
            report.invalid(path, text, &message);
        }
    }
}

fn annotations(report: &mut Report, metadata: &Value, path: &str) {
    let mut bytes = 0;
    for (name, value) in metadata.get("annotations").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        // The rule is that of names in lower case.
        for message in qualified_name(&name.to_lowercase()) {
            report.invalid(path, name, &message);
        }
        bytes += name.len() + value.as_str().map_or(0, str::len);
    }
    if bytes > ANNOTATIONS_BYTES_MAX {
        report.causes.push(crate::status::StatusCause::new(
            "FieldValueTooLong",
            path,
            format!("Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes"),
        ));
    }
}

fn owners(report: &mut Report, metadata: &Value) {
    let mut controllers = 0;
    for (index, owner) in metadata.list_at(&["ownerReferences"]).iter().enumerate() {
        let path = format!("metadata.ownerReferences[{index}]");
        for (key, detail) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            if owner.str_at(&[key]).is_none_or(str::is_empty) {
                report.invalid(&join(&path, key), "", detail);
            }
        }
        if owner.get("controller").and_then(Value::as_bool) == Some(true) {
            controllers += 1;
        }
    }
    if controllers > 1 {
        let owners = Value::List(metadata.list_at(&["ownerReferences"]).to_vec());
        report.invalid(
            "metadata.ownerReferences",
            owners,
            "Only one reference can have Controller set to true. Found \"true\" in references",
        );
    }
}

fn finalizers(report: &mut Report, metadata: &Value, live: Option<&Value>) {
    for finalizer in metadata.list_at(&["finalizers"]) {
        let text = finalizer.as_str().unwrap_or_default();
        for message in qualified_name(text) {
            report.invalid("metadata.finalizers", text, &message);
        }
    }
    let Some(live) = live.filter(|live| live.at(&["metadata", "deletionTimestamp"]).is_some()) else {
        return;
    };
    let known = live.list_at(&["metadata", "finalizers"]);
    let added: Vec<Value> =
        metadata.list_at(&["finalizers"]).iter().filter(|item| !known.contains(item)).cloned().collect();
    if !added.is_empty() {
        let listed: Vec<String> = added.iter().map(Value::to_json).collect();
        report.forbidden(
            "metadata.finalizers",
            &format!(
                "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
                listed.join(", ")
            ),
        );
    }
}

fn immutable(report: &mut Report, metadata: &Value, live: &Value) {
    let keys =
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"];
    // The server checks this once for every kind and once more for its own, and lists both.
    for key in keys.iter().chain(&keys) {
        if metadata.get(key) != live.get(key) {
            let value = metadata.get(key).cloned().unwrap_or_default();
            report.invalid(&join("metadata", key), value, "field is immutable");
        }
    }
}
