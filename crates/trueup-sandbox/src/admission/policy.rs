//! Admission policies: expressions in the cluster that refuse writes, warn of them or change them.
//!
//! As `k8s.io/apiserver/pkg/admission/plugin/policy` does it: a policy is asked where it and one of its bindings match, once for
//! each object of parameters; mutating ones before the webhooks, validating ones about the object as it would be stored.

mod cache;
mod matching;
mod mutate;
mod params;
mod scene;
mod validate;

use std::sync::Arc;

use trueup_object::{Gvk, Value};

use crate::api::{Api, Change, DeleteOptions, shown_as};
use crate::audit::Trail;
use crate::cel::policy::Policy;
use crate::http::credentials::User;
use crate::kind::KindInfo;
use crate::state::ResourceId;

pub use cache::Cache;
pub(super) use matching::matched;
pub(super) use mutate::Mutators;
pub(super) use scene::{condition_problem, request};
pub(super) use validate::validate;

/// A write that policies are asked about.
#[derive(Clone, Copy)]
pub(super) struct Write<'a> {
    pub(super) api: &'a Api,
    pub(super) change: &'a Change<'a>,
    pub(super) user: &'a User,
    pub(super) trail: &'a Trail,
    /// What is written, where that is not an object of the resource's own kind: a Scale, an Eviction.
    pub(super) spoken: Option<&'a Gvk>,
    pub(super) deletes: Option<&'a DeleteOptions>,
    /// Nothing where the write creates.
    pub(super) old: Option<&'a Value>,
    /// Nothing where the write deletes.
    pub(super) object: Option<&'a Value>,
}

impl Write<'_> {
    /// An object of the write in the kind in which a policy matched it.
    pub(super) fn shown(&self, object: &Value, kind: &KindInfo) -> Value {
        if self.spoken.is_some() { object.clone() } else { shown_as(object, kind) }
    }

    /// The kind of the write's objects.
    fn gvk<'b>(&'b self, kind: &'b KindInfo) -> &'b Gvk {
        self.spoken.unwrap_or(&kind.gvk)
    }

    pub(super) fn operation(&self) -> &'static str {
        match (self.old, self.object) {
            (None, _) => "CREATE",
            (Some(_), Some(_)) => "UPDATE",
            (Some(_), None) => "DELETE",
        }
    }

    /// The object's name as refusals say it.
    fn shown_name(&self) -> &str {
        if self.name().is_empty() { "Unknown" } else { self.name() }
    }

    /// The object's name, which a create may leave to its body or to the server.
    fn name(&self) -> &str {
        let given = |field: &str| {
            self.object.and_then(|object| object.str_at(&["metadata", field])).unwrap_or_default()
        };
        match self.change.target.name {
            Some(name) => name,
            None if given("name").is_empty() => given("generateName"),
            None => given("name"),
        }
    }
}

/// A policy with its bindings.
pub(super) struct Bound {
    policy: Arc<Policy>,
    bindings: Vec<Arc<Value>>,
}

/// The policies of one sort (`validating`, `mutating`) that are bound, by name.
pub(super) fn bound(api: &Api, sort: &str) -> Vec<Bound> {
    let list = |what: &str| {
        let plural = format!("{sort}admission{what}");
        api.store().list(&ResourceId::new(super::GROUP, &plural), "").0
    };
    let policies = list("policies");
    if policies.is_empty() {
        return Vec::new();
    }
    let bindings = list("policybindings");
    let with_bindings = policies.iter().filter_map(|stored| {
        let name = stored.str_at(&["metadata", "name"]);
        let own = bindings.iter().filter(|binding| binding.str_at(&["spec", "policyName"]) == name);
        let bindings: Vec<Arc<Value>> = own.cloned().collect();
        (!bindings.is_empty()).then(|| Bound { policy: api.policies().compiled(stored), bindings })
    });
    with_bindings.collect()
}
