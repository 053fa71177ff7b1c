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
        generated(report, kind, metadata);
        name(report, kind, metadata);
        if kind.is_namespaced() {
            if metadata.str_at(&["namespace"]).is_none_or(str::is_empty) {
                report.required("metadata.namespace", "");
            }
        } else if metadata.str_at(&["namespace"]).is_some_and(|namespace| !namespace.is_empty()) {
            report.forbidden("metadata.namespace", "not allowed on this type");
        }
    }
    let rounds = Rounds::of(kind);
    let n_rounds = if live.is_some() { rounds.n_of_update } else { 1 };
    for round in 0..n_rounds {
        labels(report, metadata, "metadata.labels", "labels");
        annotations(report, metadata, "metadata.annotations");
        owners(report, metadata);
        if round == 0 {
            finalizers(
                report,
                metadata,
                if live.is_some() { rounds.finalizers } else { rounds.new_finalizers },
            );
            if let Some(live) = live {
                no_new_finalizers(report, metadata, live);
            }
        }
    }
    if let Some(live) = live {
        immutable(report, object, live);
        // The server checks this once for every kind and once more for its own, and lists both; of jobs the second time comes
        // after their own rules, and of budgets there is none.
        let again =
            !kind.group_kind().is("batch", "Job") && !kind.group_kind().is("policy", "PodDisruptionBudget");
        if again {
            immutable(report, object, live);
        }
    }
}

/// The beginning of a name that the server completes: it may end with a hyphen.
fn generated(report: &mut Report, kind: &KindInfo, metadata: &Value) {
    let Some(prefix) = metadata.str_at(&["generateName"]).filter(|prefix| !prefix.is_empty()) else { return };
    let whole = match prefix.strip_suffix('-') {
        Some(rest) => format!("{rest}a"),
        None => prefix.to_owned(),
    };
    for message in checked_name(kind, &whole) {
        report.invalid("metadata.generateName", prefix, &message);
    }
}

/// What is wrong with a name of a kind.
fn checked_name(kind: &KindInfo, name: &str) -> Vec<String> {
    match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("rbac.authorization.k8s.io", _) => path_segment(name),
        ("", "Namespace" | "Service") => dns_label(name),
        // Its length has a rule of its own.
        ("apps", "StatefulSet") => {
            dns_label(name).into_iter().filter(|message| !message.ends_with("bytes")).collect()
        }
        ("storage.k8s.io", "CSIDriver") => dns_subdomain(&name.to_lowercase()),
        // The kind's own check says it all.
        ("apiregistration.k8s.io", _) if kind.is_builtin() => path_segment(name),
        _ => dns_subdomain(name),
    }
}

/// How often the server looks at the same metadata, and lists what is wrong with it: once for every kind, and as often again as
/// the kind's own validation calls the one of another.
struct Rounds {
    n_of_update: usize,
    /// Of an update: `q` for a qualified name, `s` for a standard or fully qualified one.
    finalizers: &'static str,
    new_finalizers: &'static str,
}

impl Rounds {
    fn of(kind: &KindInfo) -> Self {
        let rounds = |n_of_update, finalizers: &'static str| {
            let new_finalizers = if finalizers.contains('s') { "qs" } else { "q" };
            Self { n_of_update, finalizers, new_finalizers }
        };
        if kind.custom().is_some() {
            return rounds(3, "q");
        }
        match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
            (
                "",
                "ConfigMap" | "Secret" | "ServiceAccount" | "Pod" | "Endpoints" | "PersistentVolumeClaim",
            )
            | ("networking.k8s.io", "Ingress" | "IngressClass") => rounds(4, "qsqs"),
            ("", "PersistentVolume") => rounds(4, "qqsqs"),
            ("", "LimitRange") | ("discovery.k8s.io", "EndpointSlice") => rounds(3, "qqs"),
            ("", "Namespace")
            | ("batch", "Job")
            | ("rbac.authorization.k8s.io", _)
            | ("storage.k8s.io", "StorageClass") => rounds(4, "qqss"),
            ("policy", "PodDisruptionBudget") => rounds(2, "q"),
            ("node.k8s.io", "RuntimeClass") | ("apiregistration.k8s.io", "APIService") => rounds(4, "qq"),
            ("coordination.k8s.io", "Lease") | ("apiextensions.k8s.io", "CustomResourceDefinition") => {
                rounds(3, "q")
            }
            ("admissionregistration.k8s.io", _) => rounds(3, "qq"),
            _ => rounds(3, "qs"),
        }
    }
}

fn name(report: &mut Report, kind: &KindInfo, metadata: &Value) {
    let Some(name) = metadata.str_at(&["name"]).filter(|name| !name.is_empty()) else {
        report.required("metadata.name", "name or generateName is required");
        return;
    };
    let wrong = checked_name(kind, name);
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

pub fn annotations(report: &mut Report, metadata: &Value, path: &str) {
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
    let owners = metadata.list_at(&["ownerReferences"]);
    let path = "metadata.ownerReferences";
    let mut controller: Option<&Value> = None;
    for owner in owners {
        let text = |key: &str| owner.str_at(&[key]).unwrap_or_default();
        for (key, detail) in [
            ("apiVersion", "version must not be empty"),
            ("kind", "must not be empty"),
            ("name", "must not be empty"),
            ("uid", "must not be empty"),
        ] {
            // What cannot be split has no version.
            let is_version = key == "apiVersion" && text(key).matches('/').count() > 1;
            if text(key).is_empty() || is_version {
                report.invalid(&join(path, key), text(key), detail);
            }
        }
        if text("kind") == "Event" && matches!(text("apiVersion"), "v1" | "events.k8s.io/v1") {
            let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
            let detail = format!("{group}/{version}, Kind=Event is disallowed from being an owner");
            report.invalid(path, owner.clone(), &detail);
        }
        if owner.get("controller").and_then(Value::as_bool) == Some(true) {
            if let Some(first) = controller {
                let named = |owner: &Value| {
                    let text = |key: &str| owner.str_at(&[key]).unwrap_or_default().to_owned();
                    format!("{}/{}", text("kind"), text("name"))
                };
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                    named(first),
                    named(owner)
                );
                report.invalid(path, Value::List(owners.to_vec()), &detail);
            } else {
                controller = Some(owner);
            }
        }
    }
}

/// Finalizers without a group that the server knows.
const STANDARD_FINALIZERS: [&str; 3] = ["kubernetes", "orphan", "foregroundDeletion"];

fn finalizers(report: &mut Report, metadata: &Value, rounds: &str) {
    for round in rounds.chars() {
        for (index, finalizer) in metadata.list_at(&["finalizers"]).iter().enumerate() {
            let text = finalizer.as_str().unwrap_or_default();
            if round == 'q' {
                for message in qualified_name(text) {
                    report.invalid("metadata.finalizers", text, &message);
                }
            } else if !text.contains('/') && !STANDARD_FINALIZERS.contains(&text) {
                let detail = "name is neither a standard finalizer name nor is it fully qualified";
                report.invalid(&format!("metadata.finalizers[{index}]"), text, detail);
            }
        }
    }
}

fn no_new_finalizers(report: &mut Report, metadata: &Value, live: &Value) {
    if live.at(&["metadata", "deletionTimestamp"]).is_none() {
        return;
    }
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

/// What of an object's identity may not change.
pub fn immutable(report: &mut Report, object: &Value, live: &Value) {
    let empty = Value::Map(Map::new());
    let of = |object: &'_ Value| object.get("metadata").unwrap_or(&empty).clone();
    let (metadata, live) = (of(object), of(live));
    for key in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        if metadata.get(key) != live.get(key) {
            let value = metadata.get(key).cloned().unwrap_or_default();
            report.invalid(&join("metadata", key), value, "field is immutable");
        }
    }
}
