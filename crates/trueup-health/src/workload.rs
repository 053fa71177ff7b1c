//! Deployments, StatefulSets, DaemonSets and ReplicaSets: has the rollout of the newest spec come to its end?

use trueup_object::Value;

use crate::conditions::find;
use crate::shape::{Field, Want};
use crate::{Health, HealthStatus};

pub(crate) const DEPLOYMENT: &[Field] = &[
    (&["spec", "paused"], Want::Flag),
    (&["spec", "replicas"], Want::Int),
    (&["status", "replicas"], Want::Int),
    (&["status", "updatedReplicas"], Want::Int),
    (&["status", "availableReplicas"], Want::Int),
];

pub(crate) const STATEFUL_SET: &[Field] = &[
    (&["spec", "replicas"], Want::Int),
    (&["spec", "updateStrategy"], Want::Map),
    (&["spec", "updateStrategy", "type"], Want::Text),
    (&["spec", "updateStrategy", "rollingUpdate"], Want::Map),
    (&["spec", "updateStrategy", "rollingUpdate", "partition"], Want::Int),
    (&["status", "readyReplicas"], Want::Int),
    (&["status", "updatedReplicas"], Want::Int),
    (&["status", "currentReplicas"], Want::Int),
    (&["status", "currentRevision"], Want::Text),
    (&["status", "updateRevision"], Want::Text),
];

pub(crate) const DAEMON_SET: &[Field] = &[
    (&["spec", "updateStrategy"], Want::Map),
    (&["spec", "updateStrategy", "type"], Want::Text),
    (&["status", "desiredNumberScheduled"], Want::Int),
    (&["status", "updatedNumberScheduled"], Want::Int),
    (&["status", "numberAvailable"], Want::Int),
];

pub(crate) const REPLICA_SET: &[Field] =
    &[(&["spec", "replicas"], Want::Int), (&["status", "availableReplicas"], Want::Int)];

/// A count of the status; absent is zero.
fn count(live: &Value, name: &str) -> i64 {
    live.int_at(&["status", name]).unwrap_or_default()
}

/// Whether the controller has not yet seen the newest spec.
fn is_unobserved(live: &Value) -> bool {
    live.int_at(&["metadata", "generation"]).unwrap_or_default() > count(live, "observedGeneration")
}

fn name(live: &Value) -> &str {
    live.str_at(&["metadata", "name"]).unwrap_or_default()
}

pub(crate) fn deployment(live: &Value) -> Health {
    if live.at(&["spec", "paused"]).and_then(Value::as_bool) == Some(true) {
        return Health::new(HealthStatus::Suspended, "Deployment is paused");
    }
    if is_unobserved(live) {
        return Health::progressing(
            "Waiting for rollout to finish: observed deployment generation less than desired generation",
        );
    }
    let reason = find(live, "Progressing").and_then(|condition| condition.str_at(&["reason"]));
    if reason == Some("ProgressDeadlineExceeded") {
        return Health::degraded(format!("Deployment \"{}\" exceeded its progress deadline", name(live)));
    }
    let (replicas, updated, available) =
        (count(live, "replicas"), count(live, "updatedReplicas"), count(live, "availableReplicas"));
    if let Some(wanted) = live.int_at(&["spec", "replicas"])
        && updated < wanted
    {
        return Health::progressing(format!(
            "Waiting for rollout to finish: {updated} out of {wanted} new replicas have been updated..."
        ));
    }
    if replicas > updated {
        let old = replicas - updated;
        return Health::progressing(format!(
            "Waiting for rollout to finish: {old} old replicas are pending termination..."
        ));
    }
    if available < updated {
        return Health::progressing(format!(
            "Waiting for rollout to finish: {available} of {updated} updated replicas are available..."
        ));
    }
    Health::healthy()
}

pub(crate) fn stateful_set(live: &Value) -> Health {
    if count(live, "observedGeneration") == 0 || is_unobserved(live) {
        return Health::progressing("Waiting for statefulset spec update to be observed...");
    }
    let wanted = live.int_at(&["spec", "replicas"]);
    let (ready, updated) = (count(live, "readyReplicas"), count(live, "updatedReplicas"));
    if let Some(wanted) = wanted
        && ready < wanted
    {
        return Health::progressing(format!("Waiting for {} pods to be ready...", wanted - ready));
    }
    let strategy = live.str_at(&["spec", "updateStrategy", "type"]);
    let rolling = live.at(&["spec", "updateStrategy", "rollingUpdate"]).filter(|block| !block.is_null());
    if let (Some("RollingUpdate"), Some(rolling)) = (strategy, rolling) {
        if let (Some(wanted), Some(partition)) = (wanted, rolling.int_at(&["partition"]))
            && updated < wanted - partition
        {
            return Health::progressing(format!(
                "Waiting for partitioned roll out to finish: {updated} out of {} new pods have been updated...",
                wanted - partition
            ));
        }
        return Health::new(
            HealthStatus::Healthy,
            format!("partitioned roll out complete: {updated} new pods have been updated..."),
        );
    }
    if strategy == Some("OnDelete") {
        return Health::new(HealthStatus::Healthy, format!("statefulset has {ready} ready pods"));
    }
    let revision = |name: &str| live.str_at(&["status", name]).unwrap_or_default();
    let (current, update) = (revision("currentRevision"), revision("updateRevision"));
    if update != current {
        return Health::progressing(format!(
            "waiting for statefulset rolling update to complete {updated} pods at revision {update}..."
        ));
    }
    let pods = count(live, "currentReplicas");
    Health::new(
        HealthStatus::Healthy,
        format!("statefulset rolling update complete {pods} pods at revision {current}..."),
    )
}

pub(crate) fn daemon_set(live: &Value) -> Health {
    if is_unobserved(live) {
        return Health::progressing(
            "Waiting for rollout to finish: observed daemon set generation less than desired generation",
        );
    }
    let (desired, updated, available) = (
        count(live, "desiredNumberScheduled"),
        count(live, "updatedNumberScheduled"),
        count(live, "numberAvailable"),
    );
    if live.str_at(&["spec", "updateStrategy", "type"]) == Some("OnDelete") {
        let message = format!("daemon set {updated} out of {desired} new pods have been updated");
        return Health::new(HealthStatus::Healthy, message);
    }
    if updated < desired {
        return Health::progressing(format!(
            "Waiting for daemon set \"{}\" rollout to finish: {updated} out of {desired} new pods have been updated...",
            name(live)
        ));
    }
    if available < desired {
        return Health::progressing(format!(
            "Waiting for daemon set \"{}\" rollout to finish: {available} of {desired} updated pods are available...",
            name(live)
        ));
    }
    Health::healthy()
}

pub(crate) fn replica_set(live: &Value) -> Health {
    if is_unobserved(live) {
        return Health::progressing(
            "Waiting for rollout to finish: observed replica set generation less than desired generation",
        );
    }
    if let Some(failure) = find(live, "ReplicaFailure")
        && failure.str_at(&["status"]) == Some("True")
    {
        return Health::degraded(failure.str_at(&["message"]).unwrap_or_default());
    }
    let available = count(live, "availableReplicas");
    match live.int_at(&["spec", "replicas"]) {
        Some(wanted) if available < wanted => Health::progressing(format!(
            "Waiting for rollout to finish: {available} out of {wanted} new replicas are available..."
        )),
        Some(_) | None => Health::healthy(),
    }
}
