//! Objects without what is never compared, in the form in which they are compared.

use std::borrow::Cow;

use trueup_object::{Gvk, Map, Value};

use crate::scalar::{encode_base64, text};

/// Fields of `metadata` that the server or a clean-up writes.
const BOOKKEEPING: [&str; 8] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "managedFields",
    "selfLink",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
];

/// Labels and annotations that say whose an object is, not what it is, and those that the server sets whatever anybody
/// declares.
const MARKS: [&str; 5] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "argocd.argoproj.io/tracking-id",
    "argocd.argoproj.io/installation-id",
    "kubernetes.io/metadata.name",
    "deprecated.daemonset.template.generation",
];

/// The target as it is shown: without bookkeeping, status and marks. Secrets still have their values.
pub fn normalise_target(target: &Value) -> Value {
    normalise(target, false)
}

/// The target as it is kept as base: with the `status` that it may declare, which settings can have compared.
pub fn declared_form(target: &Value) -> Value {
    normalise(target, true)
}

/// An object without bookkeeping and marks, and without `status` unless that is compared.
pub(crate) fn normalise(object: &Value, status: bool) -> Value {
    strip(in_form(object).into_owned(), status)
}

/// The target as it is sent to the server.
///
/// A Secret's `stringData` goes as `data`: applied as it stands, the server would note nobody as the owner of the keys in
/// `data`, and a key that Git drops later would stay. Empty `rules` of an aggregated role are left out: sent, they would
/// take away what the aggregation controller has put there.
pub fn sent_form(target: &Value) -> Value {
    match Gvk::of(target) {
        Some(gvk) if gvk.group.is_empty() && gvk.kind == "Secret" => {
            let plain = target.get("stringData").and_then(Value::as_map);
            // A value that is no text is for the server to refuse.
            let is_text = plain.is_some_and(|plain| plain.iter().all(|(_, value)| text(value).is_some()));
            if is_text { in_form(target).into_owned() } else { target.clone() }
        }
        Some(gvk) if gvk.group == "rbac.authorization.k8s.io" && gvk.kind == "ClusterRole" => {
            let mut role = in_form(target).into_owned();
            if role.get("rules").is_some_and(Value::is_null) {
                role.remove_at(&["rules"]);
            }
            role
        }
        Some(_) | None => target.clone(),
    }
}

/// The live object in the same form.
pub fn normalise_live(live: &Value) -> Value {
    normalise(live, false)
}

/// Whether a label or annotation of an object is never compared.
pub(crate) fn is_mark(name: &str) -> bool {
    MARKS.contains(&name)
}

/// Whether a field of `metadata` is written by the server or a clean-up.
pub(crate) fn is_bookkeeping(name: &str) -> bool {
    BOOKKEEPING.contains(&name)
}

fn strip(mut object: Value, status: bool) -> Value {
    let Some(map) = object.as_map_mut() else { return object };
    if !status {
        map.remove("status");
    }
    let Some(metadata) = map.get_mut("metadata").and_then(Value::as_map_mut) else { return object };
    metadata.retain(|name, _| !is_bookkeeping(name));
    for field in ["labels", "annotations"] {
        let Some(names) = metadata.get_mut(field).and_then(Value::as_map_mut) else { continue };
        names.retain(|name, _| !is_mark(name));
        if names.is_empty() {
            metadata.remove(field);
        }
    }
    object
}

/// The object with what its kind can say in two ways said in one.
pub(crate) fn in_form(object: &Value) -> Cow<'_, Value> {
    let Some(gvk) = Gvk::of(object) else { return Cow::Borrowed(object) };
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("", "Secret") if object.get("stringData").is_some() => Cow::Owned(secret(object.clone())),
        ("apiextensions.k8s.io", "CustomResourceDefinition") if crd_has_defaults(object) => {
            Cow::Owned(crd(object.clone()))
        }
        ("", "Pod") if object.list_at(&["spec", "tolerations"]).iter().any(is_given_toleration) => {
            let mut pod = object.clone();
            let tolerations = pod.get_mut("spec").and_then(|spec| spec.get_mut("tolerations"));
            if let Some(tolerations) = tolerations.and_then(Value::as_list_mut) {
                tolerations.retain(|toleration| !is_given_toleration(toleration));
            }
            Cow::Owned(pod)
        }
        // The aggregation controller fills `rules`; an empty list in Git leaves them to it, and is declared as nothing.
        ("rbac.authorization.k8s.io", "ClusterRole")
            if object.get("aggregationRule").is_some_and(|rule| !rule.is_null())
                && object
                    .get("rules")
                    .is_some_and(|rules| rules.as_list().is_none_or(<[Value]>::is_empty)) =>
        {
            let mut role = object.clone();
            role.set_at(&["rules"], Value::Null);
            Cow::Owned(role)
        }
        _ => Cow::Borrowed(object),
    }
}

/// Whether admission (`DefaultTolerationSeconds`) gives this toleration to every Pod that has none of its key.
fn is_given_toleration(toleration: &Value) -> bool {
    const KEYS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];
    toleration.str_at(&["key"]).is_some_and(|key| KEYS.contains(&key))
        && toleration.str_at(&["effect"]) == Some("NoExecute")
        && toleration.int_at(&["tolerationSeconds"]) == Some(300)
}

/// `stringData` goes over `data`, as the server does it on every write.
fn secret(mut object: Value) -> Value {
    let plain = object.remove_at(&["stringData"]).unwrap_or_default();
    let Value::Map(plain) = plain else { return object };
    for (name, value) in plain {
        if let Some(value) = text(&value) {
            object.set_at(&["data", &name], encode_base64(value.as_bytes()).into());
        }
    }
    object
}

fn crd_has_defaults(object: &Value) -> bool {
    object.at(&["spec", "preserveUnknownFields"]) == Some(&Value::Bool(false))
        || object.at(&["spec", "conversion"]).is_some_and(is_no_conversion)
        || object.list_at(&["spec", "versions"]).iter().any(|version| {
            version
                .list_at(&["additionalPrinterColumns"])
                .iter()
                .any(|column| column.int_at(&["priority"]) == Some(0))
        })
}

/// Drops what the server drops or fills in: `preserveUnknownFields: false`, a column's `priority: 0`, no conversion.
fn crd(mut object: Value) -> Value {
    let Some(spec) = object.get_mut("spec").and_then(Value::as_map_mut) else { return object };
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(false)) {
        spec.remove("preserveUnknownFields");
    }
    if spec.get("conversion").is_some_and(is_no_conversion) {
        spec.remove("conversion");
    }
    let versions = spec.get_mut("versions").and_then(Value::as_list_mut);
    for version in versions.into_iter().flatten() {
        let columns = version.get_mut("additionalPrinterColumns").and_then(Value::as_list_mut);
        for column in columns.into_iter().flatten().filter_map(Value::as_map_mut) {
            drop_zero_priority(column);
        }
    }
    object
}

fn drop_zero_priority(column: &mut Map) {
    if column.get("priority").and_then(Value::as_int) == Some(0) {
        column.remove("priority");
    }
}

fn is_no_conversion(conversion: &Value) -> bool {
    conversion.as_map().is_some_and(|map| {
        map.iter()
            .all(|(name, value)| value.is_null() || (name == "strategy" && value.as_str() == Some("None")))
    })
}
