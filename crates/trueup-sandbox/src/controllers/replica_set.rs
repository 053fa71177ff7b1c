//! Replica sets: as many pods as asked for.

use std::sync::Arc;

use trueup_object::{Map, Timestamp, Value};

use super::objects::{
    self, REPLICA_SETS, Step, count, int, is_available, is_deleting, is_ready, set_count, text,
};

/// How many pods one replica set really gets. A sandbox that is asked for more stays progressing instead of running out
/// of memory.
pub const N_PODS_MAX: i64 = 500;

pub fn reconcile(set: &Value, pods: &[Arc<Value>], now: Timestamp) -> Vec<Step> {
    let active: Vec<&Value> = pods.iter().map(Arc::as_ref).filter(|pod| is_active(pod)).collect();
    let wanted = int(set, &["spec", "replicas"]).min(N_PODS_MAX);
    let have = i64::try_from(active.len()).unwrap_or(i64::MAX);
    let mut steps = Vec::new();
    for _ in have..wanted {
        let mut pod = objects::pod(REPLICA_SETS, set, None);
        pod.set_at(&["metadata", "generateName"], format!("{}-", text(set, "name")).into());
        steps.push(Step::create(objects::PODS, pod));
    }
    // Pods that are not ready go first, then the youngest by name.
    let mut surplus = active.clone();
    surplus.sort_by_key(|pod| (is_ready(pod), std::cmp::Reverse(text(pod, "name").to_owned())));
    let excess = usize::try_from(have - wanted).unwrap_or_default();
    steps.extend(surplus.into_iter().take(excess).map(|pod| Step::delete(objects::PODS, pod)));
    if steps.is_empty() {
        steps.extend(Step::status(REPLICA_SETS, set, status(set, &active, now)));
    }
    steps
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
