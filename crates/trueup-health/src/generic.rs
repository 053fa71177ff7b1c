//! What can be told about an object of a kind that nobody described: by its generation and its conditions, whose
//! conventions most controllers follow, else by a word of its status.

use trueup_object::Value;

use crate::conditions::find;
use crate::{Health, HealthStatus, known};

/// Conditions that are True while something is wrong. So are those whose name begins with Failed or ends with Failed,
/// Failure or Error.
const FAILURES: [&str; 6] = ["Stalled", "Degraded", "Errored", "ErrorOccurred", "InvalidSpec", "NotReady"];

/// Conditions that are True once the object does what it is for. The first that an object has decides.
const READY: [&str; 11] = [
    "Ready",
    "Available",
    "Healthy",
    "Succeeded",
    "Complete",
    "Completed",
    "Programmed",
    "Established",
    "Accepted",
    "Valid",
    "Initialized",
];

/// Conditions that say whether what was asked for is well formed and could be handed on; where they are False they speak
/// also beside one of readiness. So do those whose name ends with Healthy.
const HANDED_ON: [&str; 8] =
    ["Synced", "Reconciled", "ResolvedRefs", "Accepted", "Programmed", "Established", "Valid", "Installed"];

/// Conditions that are True while the controller works on it.
const WORKING: [&str; 4] = ["Reconciling", "Progressing", "Updating", "Upgrading"];

/// Parts of a reason that say that waiting alone will not help.
const FAILING: [&str; 16] = [
    "fail",
    "error",
    "invalid",
    "denied",
    "forbidden",
    "unauthorized",
    "notfound",
    "missing",
    "rejected",
    "conflict",
    "timeout",
    "timedout",
    "unable",
    "cannot",
    "misconfigured",
    "exceeded",
];

/// Words of a phase or state.
const WORDS: [(HealthStatus, &[&str]); 4] = [
    (
        HealthStatus::Healthy,
        &[
            "ready",
            "running",
            "active",
            "available",
            "healthy",
            "bound",
            "succeeded",
            "complete",
            "completed",
            "established",
            "deployed",
            "online",
            "connected",
            "ok",
            "success",
            "enabled",
            "valid",
            "synced",
            "green",
            "provisioned",
        ],
    ),
    (
        HealthStatus::Progressing,
        &[
            "pending",
            "creating",
            "provisioning",
            "deploying",
            "updating",
            "upgrading",
            "deleting",
            "terminating",
            "initializing",
            "inprogress",
            "progressing",
            "processing",
            "reconciling",
            "waiting",
            "starting",
            "scaling",
            "scalingup",
            "scalingdown",
            "stopping",
            "yellow",
            "installing",
            "queued",
        ],
    ),
    (
        HealthStatus::Degraded,
        &[
            "failed",
            "failing",
            "failure",
            "error",
            "errored",
            "degraded",
            "lost",
            "invalid",
            "unhealthy",
            "broken",
            "red",
        ],
    ),
    (HealthStatus::Suspended, &["suspended", "paused", "hibernated", "stopped"]),
];

/// Judges an object by the conventions. `None` where it follows none of them.
pub(crate) fn judge(live: &Value) -> Option<Health> {
    if let Some(health) = known::judge(live) {
        return Some(health);
    }
    let status = live.at(&["status"])?.as_map().filter(|status| !status.is_empty())?;
    if is_suspended(live) {
        return Some(Health::new(HealthStatus::Suspended, ""));
    }
    let generation = live.int_at(&["metadata", "generation"]);
    let observed = status.get("observedGeneration").and_then(Value::as_int);
    if let (Some(generation), Some(observed)) = (generation, observed)
        && observed < generation
    {
        return Some(Health::progressing(format!(
            "Waiting for generation {generation} to be observed: generation {observed} is the last that was"
        )));
    }
    let conditions = by_conditions(live, generation.unwrap_or_default());
    match (conditions, by_word(live)) {
        // Being ready in general does not outweigh a word that says otherwise.
        (Some(conditions), Some(word))
            if conditions.status == HealthStatus::Healthy && word.status > HealthStatus::Healthy =>
        {
            Some(word)
        }
        (Some(conditions), _) => Some(conditions),
        (None, Some(word)) => Some(word),
        (None, None) => by_replicas(live)
            // Its controller has seen the newest generation and has nothing to object to.
            .or_else(|| observed.map(|_| Health::healthy())),
    }
}

/// A kind that scales and says no more than how many of its replicas are ready.
fn by_replicas(live: &Value) -> Option<Health> {
    let wanted = live.int_at(&["spec", "replicas"])?;
    let ready =
        ["readyReplicas", "availableReplicas"].iter().find_map(|name| live.int_at(&["status", name]))?;
    (ready < wanted).then(|| Health::progressing(format!("{ready} of {wanted} replicas are ready")))
}

fn is_suspended(live: &Value) -> bool {
    ["suspend", "suspended", "paused"]
        .iter()
        .any(|name| live.at(&["spec", name]).and_then(Value::as_bool) == Some(true))
        || ["Suspended", "Paused"].iter().any(|name| find(live, name).is_some_and(|it| says(it, "True")))
}

fn says(condition: &Value, word: &str) -> bool {
    condition.str_at(&["status"]) == Some(word)
}

/// What a condition tells a person.
fn words(condition: &Value) -> String {
    let text = |name: &str| condition.str_at(&[name]).unwrap_or_default();
    match (text("reason"), text("message")) {
        ("", message) => message.to_owned(),
        (reason, "") => format!("{}: {reason}", text("type")),
        (reason, message) => format!("{reason}: {message}"),
    }
}

fn by_conditions(live: &Value, generation: i64) -> Option<Health> {
    // Gateway API and others say in each condition which generation it is about.
    let is_stale = |condition: &Value| {
        condition.int_at(&["observedGeneration"]).is_some_and(|observed| observed < generation)
    };
    if let Some(failed) = live.list_at(&["status", "conditions"]).iter().find(|it| is_failure(it)) {
        return Some(Health::degraded(words(failed)));
    }
    let refused = live.list_at(&["status", "conditions"]).iter().find(|it| is_refusal(it));
    if let Some(refused) = refused {
        return Some(unready(refused));
    }
    let ready = READY.iter().find_map(|name| find(live, name));
    let working = first(live, &WORKING, "True");
    match (ready, working) {
        (Some(ready), _) if is_stale(ready) => {
            Some(Health::progressing(format!("Waiting for generation {generation} to be observed")))
        }
        (Some(ready), _) if says(ready, "False") => Some(unready(ready)),
        (Some(ready), _) if !says(ready, "True") => Some(Health::progressing(words(ready))),
        (_, Some(working)) if working.str_at(&["type"]) == Some("Reconciling") || ready.is_none() => {
            Some(Health::progressing(words(working)))
        }
        (Some(ready), _) => Some(Health::new(HealthStatus::Healthy, words(ready))),
        (None, _) => None,
    }
}

fn is_refusal(condition: &Value) -> bool {
    let name = condition.str_at(&["type"]).unwrap_or_default();
    (HANDED_ON.contains(&name) || name.ends_with("Healthy")) && says(condition, "False")
}

fn is_failure(condition: &Value) -> bool {
    let name = condition.str_at(&["type"]).unwrap_or_default();
    let is_named = FAILURES.contains(&name)
        || name.starts_with("Failed")
        || ["Failed", "Failure", "Error"].iter().any(|end| name.ends_with(end));
    let is_overdue =
        name == "Progressing" && condition.str_at(&["reason"]) == Some("ProgressDeadlineExceeded");
    (is_named && says(condition, "True")) || is_overdue
}

/// The first of these conditions that has this status.
fn first<'a>(live: &'a Value, names: &[&str], status: &str) -> Option<&'a Value> {
    names.iter().filter_map(|name| find(live, name)).find(|condition| says(condition, status))
}

/// Not ready: on the way to it, unless the reason says that it failed.
fn unready(condition: &Value) -> Health {
    let reason = condition.str_at(&["reason"]).unwrap_or_default().to_ascii_lowercase();
    if FAILING.iter().any(|part| reason.contains(part)) {
        Health::degraded(words(condition))
    } else {
        Health::progressing(words(condition))
    }
}

/// Older kinds say a word, or several: then the worst counts.
fn by_word(live: &Value) -> Option<Health> {
    let said = |name: &&str| {
        let word = live.str_at(&["status", name]).filter(|word| !word.is_empty())?;
        let plain: String =
            word.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_lowercase()).collect();
        let (status, _) = WORDS.iter().find(|(_, words)| words.contains(&plain.as_str()))?;
        Some((*status, word))
    };
    let (status, word) = ["phase", "state", "health", "status", "updateStatus"]
        .iter()
        .filter_map(said)
        .max_by_key(|(status, _)| *status)?;
    let message = ["message", "reason"]
        .iter()
        .find_map(|name| live.str_at(&["status", name]).filter(|text| !text.is_empty()));
    Some(Health::new(status, message.map_or_else(|| word.to_owned(), str::to_owned)))
}
