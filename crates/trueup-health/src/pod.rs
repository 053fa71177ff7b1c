//! Pods: a pod that is to run forever is judged by its readiness and its containers' errors, one that is to end by how
//! it ended.

use trueup_object::Value;

use crate::conditions::find;
use crate::shape::{Field, Want};
use crate::{Health, HealthStatus};

pub(crate) const FIELDS: &[Field] = &[
    (&["spec", "restartPolicy"], Want::Text),
    (&["status", "phase"], Want::Text),
    (&["status", "message"], Want::Text),
    (&["status", "containerStatuses"], Want::Items),
    (&["status", "initContainerStatuses"], Want::Items),
];

pub(crate) fn pod(live: &Value) -> Health {
    let forever = runs_forever(live);
    if forever {
        let errors: Vec<&str> =
            live.list_at(&["status", "containerStatuses"]).iter().filter_map(waiting_error).collect();
        if !errors.is_empty() {
            return Health::degraded(errors.join(", "));
        }
    }
    let message = live.str_at(&["status", "message"]).unwrap_or_default();
    let status = match live.str_at(&["status", "phase"]) {
        Some("Pending") => HealthStatus::Progressing,
        Some("Succeeded") => HealthStatus::Healthy,
        Some("Failed") if message.is_empty() => return Health::degraded(first_failure(live)),
        Some("Failed") => HealthStatus::Degraded,
        Some("Running") if forever => running(live),
        // It is expected to end: until then it is on its way.
        Some("Running") if ends(live) => HealthStatus::Progressing,
        Some(_) | None => HealthStatus::Unknown,
    };
    Health::new(status, message)
}

fn restart_policy(live: &Value) -> &str {
    live.str_at(&["spec", "restartPolicy"]).unwrap_or_default()
}

fn ends(live: &Value) -> bool {
    matches!(restart_policy(live), "OnFailure" | "Never")
}

/// The annotation makes a pod count as one that restarts, except where it is a hook: a hook is done when it ends.
fn runs_forever(live: &Value) -> bool {
    let annotation = |name: &str| live.str_at(&["metadata", "annotations", name]);
    let is_hook = annotation("argocd.argoproj.io/hook").is_some() || annotation("helm.sh/hook").is_some();
    restart_policy(live) == "Always"
        || (annotation("argocd.argoproj.io/ignore-restart-policy") == Some("true") && !is_hook)
}

/// The message of a container that waits because of an error.
fn waiting_error(container: &Value) -> Option<&str> {
    let waiting = container.at(&["state", "waiting"])?;
    let reason = waiting.str_at(&["reason"])?;
    let is_error = reason.starts_with("Err") || reason.ends_with("Error") || reason.ends_with("BackOff");
    is_error.then(|| waiting.str_at(&["message"]).unwrap_or_default())
}

fn running(live: &Value) -> HealthStatus {
    let is_ready = find(live, "Ready").is_some_and(|ready| ready.str_at(&["status"]) == Some("True"));
    let was_terminated =
        |container: &Value| container.at(&["lastState", "terminated"]).is_some_and(|state| !state.is_null());
    if is_ready {
        HealthStatus::Healthy
    } else if live.list_at(&["status", "containerStatuses"]).iter().any(was_terminated) {
        HealthStatus::Degraded
    } else {
        HealthStatus::Progressing
    }
}

/// What the first container that failed says, init containers first.
fn first_failure(live: &Value) -> String {
    let init = live.list_at(&["status", "initContainerStatuses"]);
    let main = live.list_at(&["status", "containerStatuses"]);
    init.iter().chain(main).find_map(failure).unwrap_or_default()
}

fn failure(container: &Value) -> Option<String> {
    let terminated = container.at(&["state", "terminated"])?;
    let message = terminated.str_at(&["message"]).unwrap_or_default();
    if !message.is_empty() {
        return Some(message.to_owned());
    }
    if terminated.str_at(&["reason"]) == Some("OOMKilled") {
        return Some("OOMKilled".to_owned());
    }
    let code = terminated.int_at(&["exitCode"]).filter(|code| *code != 0)?;
    let name = container.str_at(&["name"]).unwrap_or_default();
    Some(format!("container \"{name}\" failed with exit code {code}"))
}
