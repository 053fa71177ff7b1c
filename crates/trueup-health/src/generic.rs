//! What can be told about an object of a kind that nobody described: by its generation and its conditions, whose
//! conventions most controllers follow, else by a word of its status.

use trueup_object::Value;

use crate::conditions::find;
use crate::{Health, HealthStatus};

/// Conditions that are True while something is wrong.
const FAILURES: [&str; 9] = [
    "Failed",
    "Stalled",
    "Degraded",
    "Failure",
    "Error",
    "Errored",
    "ErrorOccurred",
    "ReconcileError",
    "ReplicaFailure",
];

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

/// Conditions that are True while the controller works on it.
const WORKING: [&str; 4] = ["Reconciling", "Progressing", "Updating", "Upgrading"];

/// Conditions that say whether what was asked for could be handed on; they speak only where they are False.
const HANDED_ON: [&str; 3] = ["Synced", "Reconciled", "ResolvedRefs"];

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
        ],
    ),
    (
        HealthStatus::Progressing,
        &[
            "pending",
            "creating",
            "created",
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
            "installing",
            "queued",
            "new",
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
        ],
    ),
    (HealthStatus::Suspended, &["suspended", "paused", "hibernated", "stopped"]),
];

/// Judges an object by the conventions. `None` where it follows none of them.
pub(crate) fn judge(live: &Value) -> Option<Health> {
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
    by_conditions(live, generation.unwrap_or_default())
        .or_else(|| by_word(live))
        // Its controller has seen the newest generation and has nothing to object to.
        .or_else(|| observed.map(|_| Health::healthy()))
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
    if let Some(failed) = first(live, &FAILURES, "True") {
        return Some(Health::degraded(words(failed)));
    }
    if let Some(refused) = first(live, &HANDED_ON, "False") {
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

/// Older kinds say one word.
fn by_word(live: &Value) -> Option<Health> {
    let word = ["phase", "state", "health", "status"]
        .iter()
        .find_map(|name| live.str_at(&["status", name]).filter(|word| !word.is_empty()))?;
    let plain: String =
        word.chars().filter(char::is_ascii_alphanumeric).map(|char| char.to_ascii_lowercase()).collect();
    let (status, _) = WORDS.iter().find(|(_, words)| words.contains(&plain.as_str()))?;
    let message = ["message", "reason"]
        .iter()
        .find_map(|name| live.str_at(&["status", name]).filter(|text| !text.is_empty()));
    Some(Health::new(*status, message.map_or_else(|| word.to_owned(), str::to_owned)))
}
