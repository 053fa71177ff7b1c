//! What is done to a pod by a subresource of its own: binding it to a node, and evicting it.

use std::sync::Arc;

use trueup_object::Value;
use trueup_object::value::Map;

use super::{Api, DeleteOptions, Target};
use crate::clock::wire_time;
use crate::state::{Commit, revision_of};
use crate::status::{ApiStatus, StatusCause, StatusReason};
use crate::write::selector_matches;

/// What the server says of a request that worked and leaves no object.
pub(crate) fn success() -> Value {
    Value::Map(Map::from_iter([
        ("apiVersion", Value::from("v1")),
        ("code", Value::Int(201)),
        ("kind", Value::from("Status")),
        ("metadata", Value::Map(Map::new())),
        ("status", Value::from("Success")),
    ]))
}

impl Api {
    /// Binds a pod to a node, as the scheduler does. Who owns which field does not change by it.
    pub fn bind_pod(&self, target: Target<'_>, binding: &Value) -> Result<Value, ApiStatus> {
        let node = binding.str_at(&["target", "name"]).unwrap_or_default();
        let kind = &target.served.kind;
        let name = target.name.unwrap_or_default();
        let live = self.get(Target { subresource: None, ..target })?;
        if node.is_empty() {
            let causes = vec![StatusCause::required("target.name", "")];
            return Err(ApiStatus::invalid(kind, name, causes));
        }
        let conflict = |detail: String| Err(ApiStatus::conflict(kind, name, &detail));
        if live.str_at(&["metadata", "deletionTimestamp"]).is_some() {
            return conflict(format!("pod {name} is being deleted, cannot be assigned to a host"));
        }
        match live.str_at(&["spec", "nodeName"]).filter(|bound| !bound.is_empty()) {
            Some(bound) => return conflict(format!("pod {name} is already assigned to node {bound:?}")),
            None if !live.list_at(&["spec", "schedulingGates"]).is_empty() => {
                return conflict(format!("pod {name} has non-empty .spec.schedulingGates"));
            }
            None => {}
        }
        let mut bound = Value::clone(&live);
        bound.set_at(&["spec", "nodeName"], node.into());
        let mut conditions = bound.list_at(&["status", "conditions"]).to_vec();
        conditions.retain(|condition| condition.str_at(&["type"]) != Some("PodScheduled"));
        conditions.push(Value::Map(Map::from_iter([
            ("lastProbeTime", Value::Null),
            ("lastTransitionTime", wire_time(self.clock().now()).into()),
            ("status", "True".into()),
            ("type", "PodScheduled".into()),
        ])));
        bound.set_at(&["status", "conditions"], Value::List(conditions));
        let commit = Commit::Replace { revision: revision_of(&live), object: bound };
        self.store()
            .commit(&target.served.storage(), &target.key(), commit)
            .map_err(|_| ApiStatus::modified(kind, name))?;
        Ok(success())
    }

    /// Deletes a pod, unless a disruption budget forbids it.
    pub fn evict_pod(&self, target: Target<'_>, eviction: &Value) -> Result<Value, ApiStatus> {
        let pod = Target { subresource: None, ..target };
        let live = self.get(pod)?;
        self.spend_budget(&live, target.namespace)?;
        let options = eviction.get("deleteOptions").cloned().unwrap_or_default();
        let mut options = DeleteOptions::parse(&options)?;
        options.uid = options.uid.or_else(|| live.str_at(&["metadata", "uid"]).map(Into::into));
        self.to_delete(pod, &options)?;
        if !options.dry_run {
            self.note_eviction(pod, &live);
        }
        self.delete(pod, &options)?;
        Ok(success())
    }

    /// A pod says why it goes, unless it has become another meanwhile: then it goes all the same.
    fn note_eviction(&self, target: Target<'_>, live: &Arc<Value>) {
        let mut conditions = live.list_at(&["status", "conditions"]).to_vec();
        let is_told = |condition: &Value| {
            condition.str_at(&["type"]) == Some("DisruptionTarget")
                && condition.str_at(&["status"]) == Some("True")
                && condition.str_at(&["reason"]) == Some("EvictionByEvictionAPI")
        };
        if conditions.iter().any(is_told) {
            return;
        }
        conditions.retain(|condition| condition.str_at(&["type"]) != Some("DisruptionTarget"));
        conditions.push(Value::Map(Map::from_iter([
            ("lastProbeTime", Value::Null),
            ("lastTransitionTime", wire_time(self.clock().now()).into()),
            ("message", "Eviction API: evicting".into()),
            ("reason", "EvictionByEvictionAPI".into()),
            ("status", "True".into()),
            ("type", "DisruptionTarget".into()),
        ])));
        let mut noted = Value::clone(live);
        noted.set_at(&["status", "conditions"], Value::List(conditions));
        let commit = Commit::Replace { revision: revision_of(live), object: noted };
        let _ = self.store().commit(&target.served.storage(), &target.key(), commit);
    }

    /// Takes one disruption from the budget that covers a pod. Pods that do not run are covered by none.
    fn spend_budget(&self, pod: &Value, namespace: &str) -> Result<(), ApiStatus> {
        if matches!(pod.str_at(&["status", "phase"]), Some("Succeeded" | "Failed" | "Pending")) {
            return Ok(());
        }
        let kinds = self.registry().kinds();
        let Some(served) = kinds.resource("policy", "v1", "poddisruptionbudgets") else { return Ok(()) };
        let (budgets, _) = self.store().list(&served.storage(), namespace);
        let labels = pod.at(&["metadata", "labels"]).cloned().unwrap_or_default();
        let covering: Vec<&Arc<Value>> = budgets
            .iter()
            .filter(|budget| {
                budget
                    .at(&["spec", "selector"])
                    .is_some_and(|selector| selector_matches(selector, Some(&labels)))
            })
            .collect();
        match covering.as_slice() {
            [] => Ok(()),
            [budget] if budget.int_at(&["status", "disruptionsAllowed"]).unwrap_or_default() > 0 => Ok(()),
            [budget] => {
                let name = budget.str_at(&["metadata", "name"]).unwrap_or_default();
                let message = "Cannot evict pod as it would violate the pod's disruption budget.";
                let healthy = budget.int_at(&["status", "currentHealthy"]).unwrap_or_default();
                let wanted = budget.int_at(&["status", "desiredHealthy"]).unwrap_or_default();
                let cause = format!(
                    "The disruption budget {name} needs {wanted} healthy pods and has {healthy} currently"
                );
                let cause = StatusCause::new("DisruptionBudget", "", cause);
                Err(ApiStatus::new(429, StatusReason::TooManyRequests, message).with_causes(vec![cause]))
            }
            _ => Err(ApiStatus::internal(
                "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.",
            )),
        }
    }
}
