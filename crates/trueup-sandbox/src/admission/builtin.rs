//! What the server itself asks of every write, whoever makes it: limit ranges, Pod Security, quotas, and what is had only once.

mod allocation;
mod limit_range;
mod pod_security;
pub(crate) mod quota;

use std::sync::Arc;

use trueup_object::Value;

use crate::api::{Api, Change};
use crate::kind::KindInfo;
use crate::state::ResourceId;
use crate::status::ApiStatus;

/// A write as it would be stored.
struct Written<'a> {
    api: &'a Api,
    kind: &'a KindInfo,
    namespace: &'a str,
    name: &'a str,
    old: Option<&'a Value>,
    object: &'a Value,
}

/// What is told beside a write: warnings, and notes for the audit log.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) warnings: Vec<String>,
    pub(crate) notes: Vec<(String, String)>,
}

impl<'a> Written<'a> {
    /// Nothing where the write is about a subresource: none of those is asked about.
    fn of(api: &'a Api, change: &'a Change<'a>, old: Option<&'a Value>, object: &'a Value) -> Option<Self> {
        let target = &change.target;
        if target.subresource.is_some() || !target.served.kind.is_builtin() && target.namespace.is_empty() {
            return None;
        }
        let name = object.str_at(&["metadata", "name"]).or(target.name).unwrap_or_default();
        Some(Self { api, kind: &target.served.kind, namespace: target.namespace, name, old, object })
    }

    fn listed(&self, plural: &str) -> Vec<Arc<Value>> {
        if self.namespace.is_empty() {
            return Vec::new();
        }
        self.api.store().list(&ResourceId::new("", plural), self.namespace).0
    }
}

/// Gives a new pod's containers what the namespace's limit ranges say.
pub(crate) fn fill_in(api: &Api, change: &Change<'_>, object: &mut Value) {
    let target = &change.target;
    let is_pod = target.served.kind.group_kind().is("", "Pod") && target.served.kind.is_builtin();
    if is_pod && target.subresource.is_none() {
        let (ranges, _) = api.store().list(&ResourceId::new("", "limitranges"), target.namespace);
        limit_range::fill_in(&ranges, object);
    }
}

/// Whether limit ranges have something to say about a change.
pub(crate) fn fills_in(api: &Api, change: &Change<'_>, exists: bool) -> bool {
    let target = &change.target;
    let is_new_pod = !exists && target.subresource.is_none() && target.served.kind.group_kind().is("", "Pod");
    is_new_pod && !api.store().list(&ResourceId::new("", "limitranges"), target.namespace).0.is_empty()
}

/// Refuses what limit ranges and Pod Security do not allow.
pub(crate) fn check(
    api: &Api,
    change: &Change<'_>,
    old: Option<&Value>,
    object: &Value,
) -> Result<Told, ApiStatus> {
    let Some(written) = Written::of(api, change, old, object) else { return Ok(Told::default()) };
    if written.kind.is_builtin() {
        allocation::check(api, change, old, object)?;
    }
    let (group, plural) = (written.kind.gvk.group.as_str(), written.kind.plural.as_str());
    let is_ending = old.is_some_and(|old| old.at(&["metadata", "deletionTimestamp"]).is_some());
    let is_bounded = match (group, plural) {
        ("", "pods") => old.is_none(),
        ("", "persistentvolumeclaims") => !is_ending,
        _ => false,
    };
    if is_bounded {
        let ranges = written.listed("limitranges");
        limit_range::check(&ranges, plural, object)
            .map_err(|words| ApiStatus::forbidden(written.kind, written.name, &words))?;
    }
    let mut outcome = pod_security::Outcome::default();
    let judged = pod_security::check(&written, &mut outcome);
    let notes = outcome.notes.into_iter();
    let notes = notes.map(|(key, note)| (format!("pod-security.kubernetes.io/{key}"), note)).collect();
    match judged {
        Ok(()) => Ok(Told { warnings: outcome.warnings, notes }),
        Err(mut refusal) => {
            refusal.details.notes = notes;
            Err(refusal)
        }
    }
}

/// Refuses what the quotas of the namespace have no room for; returns those that the write changes, as they are after it.
pub(crate) fn charge(
    api: &Api,
    change: &Change<'_>,
    old: Option<&Value>,
    object: &Value,
) -> Result<Vec<Value>, ApiStatus> {
    let Some(written) = Written::of(api, change, old, object) else { return Ok(Vec::new()) };
    let quotas = written.listed("resourcequotas");
    if quotas.is_empty() { Ok(Vec::new()) } else { quota::check(&written, &quotas) }
}
