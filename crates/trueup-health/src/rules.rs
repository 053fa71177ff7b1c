//! The kinds with a rule built in, and the rules of a few lines.

use trueup_object::{Gvk, Value};

use crate::shape::{Field, Want, misfit};
use crate::{Health, HealthStatus, conditions, pod, workload};

/// Judges an object by the rule that its kind has built in. `None` where it has none.
pub(crate) fn builtin(live: &Value) -> Option<(Gvk, Health)> {
    let gvk = Gvk::of(live)?;
    let rule = rule(&gvk)?;
    let health = if !rule.versions.is_empty() && !rule.versions.contains(&gvk.version.as_str()) {
        Health::unknown(format!("unsupported {} version: {}", gvk.kind, gvk.api_version()))
    } else if let Some(misfit) = misfit(live, rule.fields) {
        Health::unknown(format!("failed to read it as {} {}: {misfit}", gvk.api_version(), gvk.kind))
    } else {
        (rule.judge)(live)
    };
    Some((gvk, health))
}

/// A rule of a kind.
struct Builtin {
    /// The versions that it knows; empty: all.
    versions: &'static [&'static str],
    /// What it reads, beyond what every rule reads.
    fields: &'static [Field],
    judge: fn(&Value) -> Health,
}

fn rule(gvk: &Gvk) -> Option<Builtin> {
    let rule = |versions, fields, judge| Some(Builtin { versions, fields, judge });
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apps", "Deployment") => rule(&["v1"], workload::DEPLOYMENT, workload::deployment),
        ("apps", "StatefulSet") => rule(&["v1"], workload::STATEFUL_SET, workload::stateful_set),
        ("apps", "DaemonSet") => rule(&["v1"], workload::DAEMON_SET, workload::daemon_set),
        ("apps", "ReplicaSet") => rule(&["v1"], workload::REPLICA_SET, workload::replica_set),
        ("", "Pod") => rule(&["v1"], pod::FIELDS, pod::pod),
        ("", "Service") => rule(&["v1"], SERVICE, service),
        ("", "PersistentVolumeClaim") => rule(&["v1"], PHASE, volume_claim),
        ("networking.k8s.io" | "extensions", "Ingress") => rule(&[], &[], load_balanced),
        ("batch", "Job") => rule(&["v1"], &[], conditions::job),
        ("autoscaling", "HorizontalPodAutoscaler") => rule(&["v1", "v2"], &[], conditions::autoscaler),
        ("apiregistration.k8s.io", "APIService") => rule(&["v1", "v1beta1"], &[], conditions::api_service),
        ("argoproj.io", "Workflow") => rule(&[], PHASE, workflow),
        _ => None,
    }
}

const SERVICE: &[Field] = &[
    (&["spec", "type"], Want::Text),
    (&["status", "loadBalancer"], Want::Map),
    (&["status", "loadBalancer", "ingress"], Want::Items),
];

const PHASE: &[Field] = &[(&["status", "phase"], Want::Text), (&["status", "message"], Want::Text)];

/// Deletion has been asked for; an object that only waits for Argo CD's hook finalizer is judged by its own rule.
pub(crate) fn is_pending_deletion(live: &Value) -> bool {
    let awaits_hook = || {
        live.list_at(&["metadata", "finalizers"])
            .iter()
            .any(|finalizer| finalizer.as_str() == Some("argocd.argoproj.io/hook-finalizer"))
    };
    live.at(&["metadata", "deletionTimestamp"]).is_some_and(|time| !time.is_null()) && !awaits_hook()
}

fn service(live: &Value) -> Health {
    if live.str_at(&["spec", "type"]) == Some("LoadBalancer") {
        load_balanced(live)
    } else {
        Health::healthy()
    }
}

fn load_balanced(live: &Value) -> Health {
    if live.list_at(&["status", "loadBalancer", "ingress"]).is_empty() {
        Health::progressing("")
    } else {
        Health::healthy()
    }
}

fn volume_claim(live: &Value) -> Health {
    match live.str_at(&["status", "phase"]) {
        Some("Lost") => Health::degraded(""),
        Some("Pending") => Health::progressing(""),
        Some("Bound") => Health::healthy(),
        Some(_) | None => Health::unknown(""),
    }
}

fn workflow(live: &Value) -> Health {
    let status = match live.str_at(&["status", "phase"]).unwrap_or_default() {
        "" | "Pending" | "Running" => HealthStatus::Progressing,
        "Succeeded" => HealthStatus::Healthy,
        "Failed" | "Error" => HealthStatus::Degraded,
        _ => HealthStatus::Unknown,
    };
    Health::new(status, live.str_at(&["status", "message"]).unwrap_or_default())
}
