//! Replica sets: as many pods as asked for.

use std::sync::Arc;

use trueup_object::{Map, Timestamp, Value};

use super::objects::{
    self, Condition, REPLICA_SETS, Step, condition, count, int, is_available, is_deleting, is_ready,
    set_count, text,
};

/// How many pods are made or taken away at once, as the real controllers do; the next ones follow.
pub const N_AT_ONCE: usize = 500;

const FAILURE: &str = "ReplicaFailure";

pub fn reconcile(set: &Value, pods: &[Arc<Value>], now: Timestamp) -> Vec<Step> {
    let active: Vec<&Value> = pods.iter().map(Arc::as_ref).filter(|pod| is_active(pod)).collect();
    let wanted = int(set, &["spec", "replicas"]);
    let have = i64::try_from(active.len()).unwrap_or(i64::MAX);
    let mut steps = Vec::new();
    for _ in (have..wanted).take(N_AT_ONCE) {
        let mut pod = objects::pod(REPLICA_SETS, set, None);
        pod.set_at(&["metadata", "generateName"], format!("{}-", text(set, "name")).into());
        steps.push(Step::create(objects::PODS, pod));
    }
    // Pods that are not ready go first, then the youngest by name.
    let mut surplus = active.clone();
    surplus.sort_by_key(|pod| (is_ready(pod), std::cmp::Reverse(text(pod, "name").to_owned())));
    let excess = usize::try_from(have - wanted).unwrap_or_default().min(N_AT_ONCE);
    steps.extend(surplus.into_iter().take(excess).map(|pod| Step::delete(objects::PODS, pod)));
    if steps.is_empty() {
        let mut status = status(set, &active, now);
        let mut conditions = status.list_at(&["conditions"]).to_vec();
        if condition(&conditions, FAILURE).is_some() {
            conditions.retain(|condition| condition.str_at(&["type"]) != Some(FAILURE));
            status.set_at(&["conditions"], Value::List(conditions));
        }
        if status.list_at(&["conditions"]).is_empty() {
            status.remove_at(&["conditions"]);
        }
        steps.extend(Step::status(REPLICA_SETS, set, status));
    }
    steps
}

/// The status of a set whose pods are refused. What was said first stays said.
pub fn hindered(set: &Value, pods: &[Arc<Value>], why: &str, now: Timestamp) -> Option<Step> {
    let active: Vec<&Value> = pods.iter().map(Arc::as_ref).filter(|pod| is_active(pod)).collect();
    let mut status = status(set, &active, now);
    let mut conditions = status.list_at(&["conditions"]).to_vec();
    if condition(&conditions, FAILURE).is_none() {
        let failed = Condition { kind: FAILURE, status: "True", reason: "FailedCreate", message: why };
        conditions.push(failed.to_value(now));
        status.set_at(&["conditions"], Value::List(conditions));
    }
    Step::status(REPLICA_SETS, set, status)
}

/// A pod that counts: neither ended nor about to.
pub fn is_active(pod: &Value) -> bool {
    !is_deleting(pod) && !matches!(pod.str_at(&["status", "phase"]), Some("Succeeded" | "Failed"))
}

fn status(set: &Value, pods: &[&Value], now: Timestamp) -> Value {
    let mut status = set.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    let all = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let ready = count(pods.iter().copied(), is_ready);
    status.set_at(&["replicas"], all.into());
    set_count(&mut status, "fullyLabeledReplicas", all);
    set_count(&mut status, "readyReplicas", ready);
    let seconds = int(set, &["spec", "minReadySeconds"]);
    let available = count(pods.iter().copied(), |pod| is_available(pod, seconds, now));
    set_count(&mut status, "availableReplicas", available);
    status.set_at(&["terminatingReplicas"], 0.into());
    status.set_at(&["observedGeneration"], int(set, &["metadata", "generation"]).into());
    status
}
