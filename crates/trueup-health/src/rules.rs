//! Which rule judges an object, and the rules of a few lines.

use trueup_object::{Gvk, Value};

use crate::{Health, HealthStatus, conditions, pod, workload};

/// Judges a live object. `None` where its kind has no rule.
pub fn judge(live: &Value) -> Option<Health> {
    if is_pending_deletion(live) {
        return Some(Health::progressing("Pending deletion"));
    }
    let gvk = Gvk::of(live)?;
    let rule = rule(&gvk)?;
    Some(match rule {
        Rule::Versioned(versions, _) if !versions.contains(&gvk.version.as_str()) => {
            Health::unknown(format!("unsupported {} version: {}", gvk.kind, gvk.api_version()))
        }
        Rule::Versioned(_, rule) | Rule::Any(rule) => rule(live),
    })
}

/// A rule for some versions of a kind, or for all of them.
enum Rule {
    Versioned(&'static [&'static str], fn(&Value) -> Health),
    Any(fn(&Value) -> Health),
}

fn rule(gvk: &Gvk) -> Option<Rule> {
    Some(match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("apps", "Deployment") => Rule::Versioned(&["v1"], workload::deployment),
        ("apps", "StatefulSet") => Rule::Versioned(&["v1"], workload::stateful_set),
        ("apps", "DaemonSet") => Rule::Versioned(&["v1"], workload::daemon_set),
        ("apps", "ReplicaSet") => Rule::Versioned(&["v1"], workload::replica_set),
        ("", "Pod") => Rule::Versioned(&["v1"], pod::pod),
        ("", "Service") => Rule::Versioned(&["v1"], service),
        ("", "PersistentVolumeClaim") => Rule::Versioned(&["v1"], volume_claim),
        ("networking.k8s.io" | "extensions", "Ingress") => Rule::Any(load_balanced),
        ("batch", "Job") => Rule::Versioned(&["v1"], conditions::job),
        ("autoscaling", "HorizontalPodAutoscaler") => Rule::Versioned(&["v1", "v2"], conditions::autoscaler),
        ("apiregistration.k8s.io", "APIService") => {
            Rule::Versioned(&["v1", "v1beta1"], conditions::api_service)
        }
        ("argoproj.io", "Workflow") => Rule::Any(workflow),
        _ => return None,
    })
}

/// Deletion has been asked for; an object that only waits for Argo CD's hook finalizer is judged by its own rule.
fn is_pending_deletion(live: &Value) -> bool {
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
