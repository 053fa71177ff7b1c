//! Daemon sets: a pod on every node.

use std::sync::Arc;

use trueup_object::{Map, Value};

use super::objects::{
    self, DAEMON_SETS, Step, annotation, content_hash, count, int, is_ready, set_count, text,
};
use super::replica_set::is_active;
use super::revision::{self, Style};

const HASH: &str = "controller-revision-hash";
const STYLE: Style = Style { resource: DAEMON_SETS, hash_label: HASH };
const GENERATION: &str = "pod-template-generation";

pub fn reconcile(
    set: &Value,
    pods: &[Arc<Value>],
    nodes: &[Arc<Value>],
    revisions: &[Arc<Value>],
) -> Vec<Step> {
    let hash = content_hash(&set.at(&["spec", "template"]).cloned().unwrap_or_default());
    let active: Vec<&Value> = pods.iter().map(Arc::as_ref).filter(|pod| is_active(pod)).collect();
    let rolls = set.str_at(&["spec", "updateStrategy", "type"]) != Some("OnDelete");
    let mut steps = revision::reconcile(set, revisions, &hash, &STYLE);
    for pod in &active {
        let misplaced =
            !nodes.iter().any(|node| Some(text(node, "name")) == pod.str_at(&["spec", "nodeName"]));
        if misplaced || (rolls && !is_updated(pod, &hash)) {
            steps.push(Step::delete(objects::PODS, pod));
        }
    }
    for node in nodes {
        let node = text(node, "name");
        if active.iter().any(|pod| pod.str_at(&["spec", "nodeName"]) == Some(node)) {
            continue;
        }
        let mut pod = objects::pod(DAEMON_SETS, set, Some(node));
        pod.set_at(&["metadata", "generateName"], format!("{}-", text(set, "name")).into());
        pod.set_at(&["metadata", "labels", HASH], hash.clone().into());
        let generation = annotation(set, "deprecated.daemonset.template.generation");
        if !generation.is_empty() {
            pod.set_at(&["metadata", "labels", GENERATION], generation.into());
        }
        steps.push(Step::create(objects::PODS, pod));
    }
    if steps.is_empty() {
        steps.extend(Step::status(DAEMON_SETS, set, status(set, &active, nodes, &hash)));
    }
    steps
}

fn is_updated(pod: &Value, hash: &str) -> bool {
    pod.str_at(&["metadata", "labels", HASH]) == Some(hash)
}

fn status(set: &Value, pods: &[&Value], nodes: &[Arc<Value>], hash: &str) -> Value {
    let mut status = set.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    let desired = i64::try_from(nodes.len()).unwrap_or(i64::MAX);
    let scheduled = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let ready = count(pods.iter().copied(), is_ready);
    status.set_at(&["currentNumberScheduled"], scheduled.into());
    status.set_at(&["desiredNumberScheduled"], desired.into());
    status.set_at(&["numberMisscheduled"], 0.into());
    status.set_at(&["numberReady"], ready.into());
    set_count(&mut status, "numberAvailable", ready);
    set_count(&mut status, "numberUnavailable", (desired - ready).max(0));
    set_count(
        &mut status,
        "updatedNumberScheduled",
        count(pods.iter().copied(), |pod| is_updated(pod, hash)),
    );
    status.set_at(&["observedGeneration"], int(set, &["metadata", "generation"]).into());
    status
}
