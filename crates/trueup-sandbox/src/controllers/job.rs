//! Jobs: pods until enough of them have succeeded.

use std::sync::Arc;

use trueup_object::{Map, Timestamp, Value};

use super::objects::{self, Condition, JOBS, Step, condition, count, set_count, text};
use super::replica_set::{N_PODS_MAX, is_active};
use crate::clock::wire_time;

pub fn reconcile(job: &Value, pods: &[Arc<Value>], now: Timestamp) -> Vec<Step> {
    if condition(job.list_at(&["status", "conditions"]), "Complete").is_some() {
        return Vec::new();
    }
    let pods: Vec<&Value> = pods.iter().map(Arc::as_ref).filter(|pod| !objects::is_deleting(pod)).collect();
    let succeeded = count(pods.iter().copied(), |pod| pod.str_at(&["status", "phase"]) == Some("Succeeded"));
    let active: Vec<&Value> = pods.iter().copied().filter(|pod| is_active(pod)).collect();
    let suspended = job.at(&["spec", "suspend"]).and_then(Value::as_bool) == Some(true);
    let completions = job.int_at(&["spec", "completions"]).unwrap_or(1);
    let parallelism = job.int_at(&["spec", "parallelism"]).unwrap_or(1);
    let wanted = if suspended { 0 } else { parallelism.min(completions - succeeded).clamp(0, N_PODS_MAX) };
    let have = i64::try_from(active.len()).unwrap_or(i64::MAX);
    let mut steps: Vec<Step> = Vec::new();
    for _ in have..wanted {
        let mut pod = objects::pod(JOBS, job, None);
        pod.set_at(&["metadata", "generateName"], format!("{}-", text(job, "name")).into());
        steps.push(Step::create(objects::PODS, pod));
    }
    let excess = usize::try_from(have - wanted).unwrap_or_default();
    steps.extend(active.iter().take(excess).map(|pod| Step::delete(objects::PODS, pod)));
    if steps.is_empty() {
        let done = !suspended && succeeded >= completions;
        steps.extend(Step::status(JOBS, job, status(job, have, succeeded, Phase { done, suspended }, now)));
    }
    steps
}

/// How far a job is.
#[derive(Clone, Copy)]
struct Phase {
    done: bool,
    suspended: bool,
}

fn status(job: &Value, active: i64, succeeded: i64, phase: Phase, now: Timestamp) -> Value {
    let mut status = job.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    set_count(&mut status, "active", active);
    set_count(&mut status, "succeeded", succeeded);
    status.set_at(&["ready"], 0.into());
    status.set_at(&["terminating"], 0.into());
    status.set_at(&["uncountedTerminatedPods"], Value::Map(Map::new()));
    let mut conditions = status.list_at(&["conditions"]).to_vec();
    let mut add = |kind: &str, state: &str, reason: &str, message: &str| {
        let current = condition(&conditions, kind).and_then(|current| current.str_at(&["status"]));
        if current != Some(state) {
            let mut value = Condition { kind, status: state, reason, message }.to_value(now);
            value.set_at(&["lastProbeTime"], wire_time(now).into());
            conditions.retain(|condition| condition.str_at(&["type"]) != Some(kind));
            conditions.push(value);
        }
    };
    if phase.suspended {
        add("Suspended", "True", "JobSuspended", "Job suspended");
    } else if condition(job.list_at(&["status", "conditions"]), "Suspended").is_some() {
        add("Suspended", "False", "JobResumed", "Job resumed");
    }
    if phase.done {
        let message = "Reached expected number of succeeded pods";
        add("SuccessCriteriaMet", "True", "CompletionsReached", message);
        add("Complete", "True", "CompletionsReached", message);
    }
    if !conditions.is_empty() {
        status.set_at(&["conditions"], Value::List(conditions));
    }
    if phase.suspended {
        status.remove_at(&["startTime"]);
    } else if status.get("startTime").is_none() {
        status.set_at(&["startTime"], wire_time(now).into());
    }
    if phase.done {
        status.set_at(&["completionTime"], wire_time(now).into());
    }
    status
}
