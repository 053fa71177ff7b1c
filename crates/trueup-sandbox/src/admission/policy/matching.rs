//! Whether a policy or a binding is about a write.

use std::sync::Arc;

use trueup_object::Value;

use super::Write;
use crate::kind::KindInfo;
use crate::state::{Name, ResourceId};
use crate::write::selector_matches;

/// The kind in which a write matches constraints: the one that was asked for, or with the policy `Equivalent` another version of
/// the same resource. Nothing where it does not match.
pub(in crate::admission) fn matched(write: &Write<'_>, constraints: Option<&Value>) -> Option<Arc<KindInfo>> {
    let own = || write.change.target.served.kind.clone();
    let Some(constraints) = constraints.filter(|constraints| !constraints.is_null()) else {
        return Some(own());
    };
    if !selects_namespace(write, constraints) || !selects_object(write, constraints) {
        return None;
    }
    let excluded = constraints.list_at(&["excludeResourceRules"]);
    if kinds(write, constraints).iter().any(|kind| excluded.iter().any(|rule| covers(rule, write, kind))) {
        return None;
    }
    let rules = constraints.list_at(&["resourceRules"]);
    if rules.is_empty() {
        return Some(own());
    }
    kinds(write, constraints).into_iter().find(|kind| rules.iter().any(|rule| covers(rule, write, kind)))
}

/// The kind of the write first, then its equivalents.
fn kinds(write: &Write<'_>, constraints: &Value) -> Vec<Arc<KindInfo>> {
    let own = &write.change.target.served.kind;
    let mut kinds = vec![own.clone()];
    if constraints.str_at(&["matchPolicy"]) == Some("Exact") {
        return kinds;
    }
    let served = write.api.registry().kinds();
    let group = served.groups().iter().find(|group| group.name == own.gvk.group);
    for version in group.into_iter().flat_map(|group| &group.versions) {
        let other = served.resource(&own.gvk.group, version, &own.plural);
        kinds.extend(other.filter(|_| *version != own.gvk.version).map(|other| other.kind.clone()));
    }
    // Events are served by two groups, from one storage.
    let other = match (own.gvk.group.as_str(), own.plural.as_str()) {
        ("", "events") => served.resource("events.k8s.io", "v1", "events"),
        ("events.k8s.io", "events") => served.resource("", "v1", "events"),
        _ => None,
    };
    kinds.extend(other.map(|other| other.kind.clone()));
    kinds
}

fn selects_namespace(write: &Write<'_>, constraints: &Value) -> bool {
    let Some(selector) = constraints.get("namespaceSelector") else { return true };
    let target = &write.change.target;
    let is_namespace = target.served.kind.group_kind().is("", "Namespace");
    if target.namespace.is_empty() && !is_namespace {
        return true;
    }
    let labels = |object: &Value| object.at(&["metadata", "labels"]).cloned();
    let labels = if is_namespace {
        write.object.or(write.old).and_then(labels)
    } else {
        let name = Name::new("", target.namespace);
        let namespace = write.api.store().get(&ResourceId::new("", "namespaces"), &name);
        namespace.as_deref().and_then(labels)
    };
    selector_matches(selector, labels.as_ref())
}

/// An object is selected by its labels before or after the write.
fn selects_object(write: &Write<'_>, constraints: &Value) -> bool {
    let Some(selector) = constraints.get("objectSelector") else { return true };
    let objects = [write.object, write.old];
    objects.into_iter().flatten().any(|it| selector_matches(selector, it.at(&["metadata", "labels"])))
}

fn covers(rule: &Value, write: &Write<'_>, kind: &KindInfo) -> bool {
    let target = &write.change.target;
    let names = |field: &str, wanted: &str| {
        rule.list_at(&[field]).iter().filter_map(Value::as_str).any(|it| it == "*" || it == wanted)
    };
    let is_namespaced = kind.is_namespaced();
    let scope = match rule.str_at(&["scope"]) {
        Some("Cluster") => !is_namespaced,
        Some("Namespaced") => is_namespaced,
        Some(_) | None => true,
    };
    let resource = |pattern: &str| {
        let (resource, sub) = pattern.split_once('/').unwrap_or((pattern, ""));
        let is_resource = resource == "*" || resource == kind.plural;
        let found = target.subresource.unwrap_or_default();
        is_resource && (sub == found || (sub == "*" && pattern.contains('/')))
    };
    let named = rule.list_at(&["resourceNames"]);
    scope
        && (named.is_empty() || named.iter().any(|name| name.as_str() == Some(write.name())))
        && names("operations", write.operation())
        && names("apiGroups", &kind.gvk.group)
        && names("apiVersions", &kind.gvk.version)
        && rule.list_at(&["resources"]).iter().filter_map(Value::as_str).any(resource)
}
