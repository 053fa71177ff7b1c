//! What a deployment says of its rollout: whether enough is available, whether it goes on, and when it is out of time.

use std::time::Duration;

use trueup_object::{Timestamp, Value};

use super::super::objects::{Condition, condition, int, put_condition, text};
use super::Rollout;
use crate::clock::wire_time;

const PROGRESSING: &str = "Progressing";
const COMPLETE: &str = "NewReplicaSetAvailable";
const TIMED_OUT: &str = "ProgressDeadlineExceeded";
const FAILURE: &str = "ReplicaFailure";
const PAUSED: &str = "DeploymentPaused";

/// This many seconds mean that there is no deadline.
const NO_DEADLINE: i64 = i32::MAX as i64;

/// The pods of a deployment, counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub all: i64,
    pub updated: i64,
    pub ready: i64,
    pub available: i64,
}

impl Counts {
    fn told(status: &Value) -> Self {
        Self {
            all: int(status, &["replicas"]),
            updated: int(status, &["updatedReplicas"]),
            ready: int(status, &["readyReplicas"]),
            available: int(status, &["availableReplicas"]),
        }
    }

    /// Whether there is more of the new or less of the old than there was.
    fn is_progress_since(self, before: Self) -> bool {
        self.updated > before.updated
            || self.all - self.updated < before.all - before.updated
            || self.ready > before.ready
            || self.available > before.available
    }
}

fn deadline(deployment: &Value) -> Option<i64> {
    deployment.int_at(&["spec", "progressDeadlineSeconds"]).filter(|seconds| *seconds != NO_DEADLINE)
}

fn reason(conditions: &[Value]) -> &str {
    condition(conditions, PROGRESSING).and_then(|it| it.str_at(&["reason"])).unwrap_or_default()
}

/// When a rollout that does not get on is out of time.
pub fn due(deployment: &Value) -> Option<Timestamp> {
    let conditions = deployment.list_at(&["status", "conditions"]);
    if matches!(reason(conditions), "" | COMPLETE | TIMED_OUT | PAUSED) {
        return None;
    }
    out_of_time(deployment, condition(conditions, PROGRESSING)?)
}

/// The second after the deadline, as the real controller looks again.
fn out_of_time(deployment: &Value, current: &Value) -> Option<Timestamp> {
    let since: Timestamp = current.str_at(&["lastUpdateTime"])?.parse().ok()?;
    let seconds = u64::try_from(deadline(deployment)?).unwrap_or_default();
    since.checked_add(Duration::from_secs(seconds.saturating_add(1))).ok()
}

/// The conditions of a deployment whose new replica set was refused; nothing where it says nothing of its progress.
pub fn hindered(deployment: &Value, message: &str, now: Timestamp) -> Option<Vec<Value>> {
    deadline(deployment)?;
    let mut conditions = deployment.list_at(&["status", "conditions"]).to_vec();
    set(&mut conditions, &progressing("False", "ReplicaSetCreateError", message), now);
    Some(conditions)
}

/// The conditions that follow from the counts and from what was said before (`syncRolloutStatus`).
pub fn conditions(rollout: &Rollout<'_>, counts: Counts, now: Timestamp) -> Vec<Value> {
    let mut conditions = progressed(rollout, counts, now);
    if !rollout.paused {
        failure(&mut conditions, rollout, now);
    }
    conditions
}

/// What a replica set says of refused pods is said of its deployment: of the new one, or else of an old one.
fn failure(conditions: &mut Vec<Value>, rollout: &Rollout<'_>, now: Timestamp) {
    let said = rollout.all().find_map(|set| condition(set.list_at(&["status", "conditions"]), FAILURE));
    let Some(said) = said else {
        conditions.retain(|condition| condition.str_at(&["type"]) != Some(FAILURE));
        return;
    };
    let part = |key: &str| said.str_at(&[key]).unwrap_or_default();
    let (status, reason, message) = (part("status"), part("reason"), part("message"));
    let known = condition(conditions, FAILURE);
    if known
        .is_some_and(|it| it.str_at(&["status"]) == Some(status) && it.str_at(&["reason"]) == Some(reason))
    {
        return;
    }
    let mut value = stated(&Condition { kind: FAILURE, status, reason, message }, now);
    if let Some(since) = said.get("lastTransitionTime") {
        value.set_at(&["lastTransitionTime"], since.clone());
        value.set_at(&["lastUpdateTime"], since.clone());
    }
    keep_transition(&mut value, known.cloned().as_ref());
    put_condition(conditions, value);
}

fn progressed(rollout: &Rollout<'_>, counts: Counts, now: Timestamp) -> Vec<Value> {
    let deployment = rollout.deployment;
    let mut conditions = deployment.list_at(&["status", "conditions"]).to_vec();
    let has_deadline = deadline(deployment).is_some();
    if has_deadline {
        stopped_or_resumed(&mut conditions, rollout.paused, now);
    }
    set(&mut conditions, &availability(rollout, counts.available), now);
    if rollout.paused {
        return conditions;
    }
    if !has_deadline {
        conditions.retain(|condition| condition.str_at(&["type"]) != Some(PROGRESSING));
        return conditions;
    }
    if let Some(name) = rollout.name_to_come() {
        let message = format!("Created new replica set {name:?}");
        set(&mut conditions, &progressing("True", "NewReplicaSetCreated", &message), now);
    } else if counts.all != counts.updated || reason(&conditions) != COMPLETE {
        progress(&mut conditions, rollout, counts, now);
    }
    conditions
}

fn progressing<'m>(status: &'m str, reason: &'m str, message: &'m str) -> Condition<'m> {
    Condition { kind: PROGRESSING, status, reason, message }
}

/// A pause is said, and its end; that the time was over stays said.
fn stopped_or_resumed(conditions: &mut Vec<Value>, paused: bool, now: Timestamp) {
    match (reason(conditions), paused) {
        (TIMED_OUT | PAUSED, true) | (TIMED_OUT, false) => {}
        (_, true) => set(conditions, &progressing("Unknown", PAUSED, "Deployment is paused"), now),
        (PAUSED, false) => {
            set(conditions, &progressing("Unknown", "DeploymentResumed", "Deployment is resumed"), now);
        }
        (_, false) => {}
    }
}

fn progress(conditions: &mut Vec<Value>, rollout: &Rollout<'_>, counts: Counts, now: Timestamp) {
    let deployment = rollout.deployment;
    let subject = match rollout.new {
        Some(set) => format!("ReplicaSet {:?}", text(set, "name")),
        None => format!("Deployment {:?}", text(deployment, "name")),
    };
    let wanted = rollout.replicas;
    let is_complete = counts.updated == wanted && counts.all == wanted && counts.available == wanted;
    let before = Counts::told(deployment.get("status").unwrap_or(&Value::Null));
    let current = condition(conditions, PROGRESSING).cloned();
    if is_complete {
        set(
            conditions,
            &progressing("True", COMPLETE, &format!("{subject} has successfully progressed.")),
            now,
        );
    } else if counts.is_progress_since(before) {
        let message = format!("{subject} is progressing.");
        let mut value = stated(&progressing("True", "ReplicaSetUpdated", &message), now);
        keep_transition(&mut value, current.as_ref());
        put_condition(conditions, value);
    } else if let Some(current) = current {
        let expects = !matches!(reason(conditions), COMPLETE | TIMED_OUT);
        if expects && out_of_time(deployment, &current).is_some_and(|time| time <= now) {
            let message = format!("{subject} has timed out progressing.");
            set(conditions, &progressing("False", TIMED_OUT, &message), now);
        }
    } else if let Some(found) = rollout.new {
        let message = format!("Found new replica set {:?}", text(found, "name"));
        set(conditions, &progressing("True", "FoundNewReplicaSet", &message), now);
    }
}

fn availability(rollout: &Rollout<'_>, available: i64) -> Condition<'static> {
    if available >= rollout.replicas - rollout.max_unavailable {
        Condition {
            kind: "Available",
            status: "True",
            reason: "MinimumReplicasAvailable",
            message: "Deployment has minimum availability.",
        }
    } else {
        Condition {
            kind: "Available",
            status: "False",
            reason: "MinimumReplicasUnavailable",
            message: "Deployment does not have minimum availability.",
        }
    }
}

fn stated(condition: &Condition<'_>, now: Timestamp) -> Value {
    let mut value = condition.to_value(now);
    value.set_at(&["lastUpdateTime"], wire_time(now).into());
    value
}

/// The time of the last change of the status stays where the status does.
fn keep_transition(value: &mut Value, current: Option<&Value>) {
    let same = current.filter(|current| current.get("status") == value.get("status"));
    if let Some(time) = same.and_then(|current| current.get("lastTransitionTime")) {
        value.set_at(&["lastTransitionTime"], time.clone());
    }
}

/// Puts a condition into its place. One of the same status and reason stays as it is.
fn set(conditions: &mut Vec<Value>, new: &Condition<'_>, now: Timestamp) {
    let current = condition(conditions, new.kind).cloned();
    let same = |key: &str, text: &str| {
        current.as_ref().and_then(|current| current.str_at(&[key])).unwrap_or_default() == text
    };
    if same("status", new.status) && same("reason", new.reason) {
        return;
    }
    let mut value = stated(new, now);
    keep_transition(&mut value, current.as_ref());
    put_condition(conditions, value);
}
