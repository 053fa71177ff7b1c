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
    let Some(live) = live else {
        annotated(report, metadata);
        qualified_finalizers(report, metadata);
        if looks(kind).contains(&Look::Standard) {
            standard_finalizers(report, metadata);
        }
        return;
    };
    let of_all = [Look::Annotated, Look::Qualified, Look::NoneNew, Look::Immutable, Look::Annotated];
    for look in of_all.iter().chain(looks(kind)) {
        look_at(report, *look, object, live);
    }
}

/// What the server looks at in the metadata of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// Labels, annotations and owners.
    Annotated,
    /// Finalizers are qualified names.
    Qualified,
    /// Finalizers are standard or have a domain.
    Standard,
    /// An object that is being deleted gets no new finalizers.
    NoneNew,
    /// What of an object's identity may not change.
    Immutable,
}

fn look_at(report: &mut Report, look: Look, object: &Value, live: &Value) {
    let empty = Value::Map(Map::new());
    let metadata = object.get("metadata").unwrap_or(&empty);
    match look {
        Look::Annotated => annotated(report, metadata),
        Look::Qualified => qualified_finalizers(report, metadata),
        Look::Standard => standard_finalizers(report, metadata),
        Look::NoneNew => no_new_finalizers(report, metadata, live),
        Look::Immutable => immutable(report, object, live),
    }
}

/// What a kind's own validation looks at once more, after what the server looks at for every kind; it lists both.
fn looks(kind: &KindInfo) -> &'static [Look] {
    use Look::{Annotated, Immutable, NoneNew, Qualified, Standard};
    const WHOLE: [Look; 3] = [Annotated, Qualified, Standard];
    const CHANGE: [Look; 4] = [NoneNew, Immutable, Annotated, Standard];
    if kind.custom().is_some() {
        return &[NoneNew, Immutable, Annotated];
    }
    match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("", "ConfigMap" | "Secret" | "ServiceAccount" | "Pod" | "Endpoints" | "PersistentVolumeClaim")
        | ("networking.k8s.io", "Ingress" | "IngressClass") => {
            &[NoneNew, Immutable, Annotated, Standard, Annotated, Qualified, Standard]
        }
        ("", "PersistentVolume") => &[Annotated, Qualified, Standard, Annotated, Qualified, Standard],
        // Of jobs the rest comes after their own rules.
        ("", "LimitRange") | ("discovery.k8s.io", "EndpointSlice") | ("batch", "Job") => &WHOLE,
        ("", "Namespace") | ("rbac.authorization.k8s.io", _) | ("storage.k8s.io", "StorageClass") => {
            &[Annotated, Qualified, Standard, NoneNew, Immutable, Annotated, Standard]
        }
        ("policy", "PodDisruptionBudget") => &[],
        ("node.k8s.io", "RuntimeClass") | ("apiregistration.k8s.io", "APIService") => {
            &[NoneNew, Immutable, Annotated, Annotated, Qualified]
        }
        ("coordination.k8s.io", "Lease") | ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            &[NoneNew, Immutable, Annotated]
        }
        ("admissionregistration.k8s.io", _) => &[Annotated, Qualified],
        _ => &CHANGE,
    }
}

/// What a kind whose own rules come first looks at after them.
pub fn of_change(report: &mut Report, object: &Value, live: &Value) {
    for look in [Look::NoneNew, Look::Immutable, Look::Annotated, Look::Standard] {
        look_at(report, look, object, live);
    }
}

fn annotated(report: &mut Report, metadata: &Value) {
    labels(report, metadata, "metadata.labels", "labels");
    annotations(report, metadata, "metadata.annotations");
    owners(report, metadata);
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

fn qualified_finalizers(report: &mut Report, metadata: &Value) {
    for text in
        metadata.list_at(&["finalizers"]).iter().map(|finalizer| finalizer.as_str().unwrap_or_default())
    {
        for message in qualified_name(text) {
            report.invalid("metadata.finalizers", text, &message);
        }
    }
}

fn standard_finalizers(report: &mut Report, metadata: &Value) {
    for (index, finalizer) in metadata.list_at(&["finalizers"]).iter().enumerate() {
        let text = finalizer.as_str().unwrap_or_default();
        if !text.contains('/') && !STANDARD_FINALIZERS.contains(&text) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            report.invalid(&format!("metadata.finalizers[{index}]"), text, detail);
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
fn immutable(report: &mut Report, object: &Value, live: &Value) {
    for key in
        ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds"]
    {
        let given = object.at(&["metadata", key]);
        if given != live.at(&["metadata", key]) {
            let value = given.cloned().unwrap_or_default();
            report.invalid(&join("metadata", key), value, "field is immutable");
        }
    }
}
