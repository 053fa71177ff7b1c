//! What controllers tell about their steps: Events, as `kubectl describe` shows them.

use trueup_object::{Timestamp, Value};

use super::objects::{
    DEPLOYMENTS, EVENTS, JOBS, PODS, REPLICA_SETS, Resource, STATEFUL_SETS, Step, condition, int, text,
};
use crate::clock::wire_time;

/// An event about an object.
pub struct Event {
    about: Value,
    component: &'static str,
    reason: &'static str,
    message: String,
}

/// What is told once a step is done: `before` is the object that was there, `after` what the step left.
pub fn of(step: &Step, before: Option<&Value>, after: &Value) -> Option<Event> {
    match step {
        Step::Bind { pod, node } => {
            let message =
                format!("Successfully assigned {}/{} to {node}", text(pod, "namespace"), text(pod, "name"));
            Some(Event { about: pod.clone(), component: "default-scheduler", reason: "Scheduled", message })
        }
        Step::Create { resource, .. } | Step::Update { resource, .. } if *resource == REPLICA_SETS => {
            scaled(before, after)
        }
        Step::Create { resource, .. } if *resource == PODS => pod(after, true),
        Step::Delete { resource, .. } if *resource == PODS => pod(after, false),
        Step::Update { resource, .. } if *resource == JOBS => completed(before, after),
        Step::Create { .. } | Step::Update { .. } | Step::Apply { .. } | Step::Delete { .. } => None,
    }
}

/// The owner that controls an object, as far as an event names it.
fn controller(object: &Value) -> Option<Value> {
    let owners = object.list_at(&["metadata", "ownerReferences"]).iter();
    let mut owners = owners.filter(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true));
    let owner = owners.next()?;
    let mut about = Value::default();
    for key in ["apiVersion", "kind"] {
        about.set_at(&[key], owner.get(key)?.clone());
    }
    for key in ["name", "uid"] {
        about.set_at(&["metadata", key], owner.get(key)?.clone());
    }
    about.set_at(&["metadata", "namespace"], text(object, "namespace").into());
    Some(about)
}

fn pod(pod: &Value, created: bool) -> Option<Event> {
    let about = controller(pod)?;
    let kind = about.str_at(&["kind"]).unwrap_or_default().to_owned();
    let name = text(pod, "name");
    let component = match kind.as_str() {
        "ReplicaSet" => "replicaset-controller",
        "StatefulSet" => "statefulset-controller",
        "DaemonSet" => "daemonset-controller",
        "Job" => "job-controller",
        _ => return None,
    };
    let message = match (kind == STATEFUL_SETS.kind, created) {
        (true, created) => {
            let verb = if created { "Create" } else { "Delete" };
            format!("{verb} Pod {name} in StatefulSet {} successful", text(&about, "name"))
        }
        (false, true) => format!("Created pod: {name}"),
        (false, false) => format!("Deleted pod: {name}"),
    };
    let reason = if created { "SuccessfulCreate" } else { "SuccessfulDelete" };
    Some(Event { about, component, reason, message })
}

fn scaled(before: Option<&Value>, after: &Value) -> Option<Event> {
    let replicas = |set: &Value| int(set, &["spec", "replicas"]);
    let (old, new) = (before.map_or(0, replicas), replicas(after));
    let about = controller(after).filter(|about| about.str_at(&["kind"]) == Some(DEPLOYMENTS.kind))?;
    let direction = match new.cmp(&old) {
        std::cmp::Ordering::Less => "down",
        std::cmp::Ordering::Equal => return None,
        std::cmp::Ordering::Greater => "up",
    };
    let message = format!("Scaled {direction} replica set {} from {old} to {new}", text(after, "name"));
    Some(Event { about, component: "deployment-controller", reason: "ScalingReplicaSet", message })
}

fn completed(before: Option<&Value>, after: &Value) -> Option<Event> {
    let is_complete = |job: &Value| condition(job.list_at(&["status", "conditions"]), "Complete").is_some();
    let news = is_complete(after) && !before.is_some_and(is_complete);
    news.then(|| Event {
        about: after.clone(),
        component: "job-controller",
        reason: "Completed",
        message: "Job completed".to_owned(),
    })
}

impl Event {
    pub const RESOURCE: Resource = EVENTS;

    /// The object to be created; `number` makes its name.
    pub fn object(&self, number: u64, now: Timestamp) -> Value {
        let Self { about, component, reason, message } = self;
        let namespace = text(about, "namespace");
        let mut event = EVENTS.object(if namespace.is_empty() { "default" } else { namespace });
        let mut set = |path: &[&str], value: Value| {
            event.set_at(path, value);
        };
        set(&["metadata", "name"], format!("{}.{number:016x}", text(about, "name")).into());
        for key in ["apiVersion", "kind"] {
            set(&["involvedObject", key], about.get(key).cloned().unwrap_or_default());
        }
        for key in ["name", "namespace", "uid", "resourceVersion"] {
            if !text(about, key).is_empty() {
                set(&["involvedObject", key], text(about, key).into());
            }
        }
        set(&["type"], "Normal".into());
        set(&["reason"], (*reason).into());
        set(&["message"], message.clone().into());
        set(&["source", "component"], (*component).into());
        set(&["reportingComponent"], (*component).into());
        set(&["reportingInstance"], "".into());
        set(&["firstTimestamp"], wire_time(now).into());
        set(&["lastTimestamp"], wire_time(now).into());
        set(&["count"], 1.into());
        event
    }
}
