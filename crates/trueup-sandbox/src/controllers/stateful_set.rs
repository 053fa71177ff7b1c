//! Stateful sets: numbered pods, one after the other.

use std::sync::Arc;

use trueup_object::{Map, Value};

use super::objects::{self, STATEFUL_SETS, Step, content_hash, count, int, is_ready, set_count, text};
use super::replica_set::{N_PODS_MAX, is_active};
use super::revision::{self, Style};

const HASH: &str = "controller-revision-hash";
const STYLE: Style = Style { resource: STATEFUL_SETS, hash_label: "controller.kubernetes.io/hash" };

pub fn reconcile(set: &Value, pods: &[Arc<Value>], revisions: &[Arc<Value>]) -> Vec<Step> {
    let hash = content_hash(&set.at(&["spec", "template"]).cloned().unwrap_or_default());
    let revision = format!("{}-{hash}", text(set, "name"));
    let active: Vec<&Value> = pods.iter().map(Arc::as_ref).filter(|pod| is_active(pod)).collect();
    let mut steps = revision::reconcile(set, revisions, &hash, &STYLE);
    steps.extend(next_steps(set, &active, &revision));
    if let Some(step) = Step::status(STATEFUL_SETS, set, status(set, &active, &revision)) {
        steps.push(step);
    }
    steps
}

fn next_steps(set: &Value, pods: &[&Value], revision: &str) -> Vec<Step> {
    let start = int(set, &["spec", "ordinals", "start"]);
    let wanted = int(set, &["spec", "replicas"]).min(N_PODS_MAX);
    let parallel = set.str_at(&["spec", "podManagementPolicy"]) == Some("Parallel");
    let name = |ordinal: i64| format!("{}-{ordinal}", text(set, "name"));
    let mut steps = Vec::new();
    for ordinal in start..start.saturating_add(wanted) {
        let Some(pod) = pods.iter().find(|pod| text(pod, "name") == name(ordinal)) else {
            steps.extend(create(set, &name(ordinal), ordinal, revision));
            if parallel {
                continue;
            }
            return steps;
        };
        if !parallel && !is_ready(pod) {
            return steps;
        }
    }
    if !steps.is_empty() {
        return steps;
    }
    let range = start..start.saturating_add(wanted);
    let surplus: Vec<&&Value> = pods.iter().filter(|pod| !range.contains(&ordinal_of(pod))).collect();
    if !surplus.is_empty() {
        return surplus.into_iter().map(|pod| Step::delete(objects::PODS, pod)).collect();
    }
    outdated(set, pods, revision).into_iter().map(|pod| Step::delete(objects::PODS, pod)).collect()
}

/// The next pod to be replaced by one of the present template: the one with the highest number.
fn outdated<'v>(set: &Value, pods: &[&'v Value], revision: &str) -> Option<&'v Value> {
    if set.str_at(&["spec", "updateStrategy", "type"]) == Some("OnDelete") {
        return None;
    }
    let partition = int(set, &["spec", "updateStrategy", "rollingUpdate", "partition"]);
    pods.iter()
        .filter(|pod| ordinal_of(pod) >= partition && !is_updated(pod, revision))
        .max_by_key(|pod| ordinal_of(pod))
        .copied()
}

fn ordinal_of(pod: &Value) -> i64 {
    text(pod, "name").rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(-1)
}

fn is_updated(pod: &Value, revision: &str) -> bool {
    pod.str_at(&["metadata", "labels", HASH]) == Some(revision)
}

/// The pod and the claims that it mounts. A claim that is there already is kept: its create is refused.
fn create(set: &Value, name: &str, ordinal: i64, revision: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut pod = objects::pod(STATEFUL_SETS, set, None);
    pod.set_at(&["metadata", "name"], name.into());
    pod.set_at(&["metadata", "labels", HASH], revision.into());
    pod.set_at(&["metadata", "labels", "statefulset.kubernetes.io/pod-name"], name.into());
    pod.set_at(&["metadata", "labels", "apps.kubernetes.io/pod-index"], ordinal.to_string().into());
    pod.set_at(&["spec", "hostname"], name.into());
    if let Some(service) = set.str_at(&["spec", "serviceName"]).filter(|service| !service.is_empty()) {
        pod.set_at(&["spec", "subdomain"], service.into());
    }
    let mut volumes = pod.list_at(&["spec", "volumes"]).to_vec();
    for template in set.list_at(&["spec", "volumeClaimTemplates"]) {
        let volume_name = text(template, "name");
        let claim_name = format!("{volume_name}-{name}");
        let mut claim = template.clone();
        claim.remove_at(&["status"]);
        claim.set_at(&["metadata", "name"], claim_name.clone().into());
        claim.set_at(&["metadata", "namespace"], text(set, "namespace").into());
        if let Some(labels) = set.at(&["spec", "selector", "matchLabels"]) {
            claim.set_at(&["metadata", "labels"], labels.clone());
        }
        steps.push(Step::create(objects::CLAIMS, claim));
        let mut volume = Value::Map(Map::new());
        volume.set_at(&["name"], volume_name.into());
        volume.set_at(&["persistentVolumeClaim", "claimName"], claim_name.into());
        volumes.retain(|other| other.str_at(&["name"]) != Some(volume_name));
        volumes.push(volume);
    }
    if !volumes.is_empty() {
        pod.set_at(&["spec", "volumes"], Value::List(volumes));
    }
    steps.push(Step::create(objects::PODS, pod));
    steps
}

fn status(set: &Value, pods: &[&Value], revision: &str) -> Value {
    let mut status = set.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    let all = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let ready = count(pods.iter().copied(), is_ready);
    let updated = count(pods.iter().copied(), |pod| is_updated(pod, revision));
    let before = status.str_at(&["currentRevision"]).map(str::to_owned);
    // The update becomes the current revision once every pod has it.
    let current = match before {
        Some(before) if updated < all => before,
        Some(_) | None => revision.to_owned(),
    };
    let on_current = count(pods.iter().copied(), |pod| is_updated(pod, &current));
    status.set_at(&["replicas"], all.into());
    set_count(&mut status, "readyReplicas", ready);
    status.set_at(&["availableReplicas"], ready.into());
    set_count(&mut status, "currentReplicas", on_current);
    set_count(&mut status, "updatedReplicas", updated);
    status.set_at(&["currentRevision"], current.into());
    status.set_at(&["updateRevision"], revision.into());
    status.set_at(&["collisionCount"], 0.into());
    status.set_at(&["observedGeneration"], int(set, &["metadata", "generation"]).into());
    status
}
