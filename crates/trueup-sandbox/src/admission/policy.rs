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

use trueup_object::Value;

use crate::api::{Api, Change};
use crate::cel::policy::Policy;
use crate::http::credentials::User;
use crate::state::ResourceId;

pub use cache::Cache;
pub(super) use mutate::Mutators;
pub(super) use scene::condition_problem;
pub(super) use validate::validate;

/// A write that policies are asked about.
#[derive(Clone, Copy)]
pub(super) struct Write<'a> {
    pub(super) api: &'a Api,
    pub(super) change: &'a Change<'a>,
    pub(super) user: &'a User,
    /// Nothing where the write creates.
    pub(super) old: Option<&'a Value>,
    /// Nothing where the write deletes.
    pub(super) object: Option<&'a Value>,
}

impl Write<'_> {
    pub(super) fn operation(&self) -> &'static str {
        match (self.old, self.object) {
            (None, _) => "CREATE",
            (Some(_), Some(_)) => "UPDATE",
            (Some(_), None) => "DELETE",
        }
    }

    /// The object's name, which a create may leave to its body or to the server.
    fn name(&self) -> &str {
        let given = |field: &str| {
            self.object
                .or(self.old)
                .and_then(|object| object.str_at(&["metadata", field]))
                .unwrap_or_default()
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
