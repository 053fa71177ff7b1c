//! What controllers tell about their steps: Events, as `kubectl describe` shows them.

use trueup_object::{Timestamp, Value};

use super::objects::{
    CRON_JOBS, DEPLOYMENTS, EVENTS, JOBS, KUBELET, PODS, REPLICA_SETS, Resource, STATEFUL_SETS, Step,
    condition, int, text,
};
use crate::clock::wire_time;

/// The name under which the scheduler writes.
pub const SCHEDULER: &str = "kube-scheduler";

/// An event about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    about: Value,
    component: &'static str,
    reason: &'static str,
    message: String,
    is_warning: bool,
}

/// What is told once a step is done: `before` is the object that was there, `after` what the step left.
pub fn of(step: &Step, before: Option<&Value>, after: &Value) -> Option<Event> {
    match step {
        Step::Bind { pod, node } => {
            let message =
                format!("Successfully assigned {}/{} to {node}", text(pod, "namespace"), text(pod, "name"));
            let (about, component) = (pod.clone(), "default-scheduler");
            Some(Event { about, component, reason: "Scheduled", message, is_warning: false })
        }
        Step::Create { resource, .. } | Step::Update { resource, .. } if *resource == REPLICA_SETS => {
            scaled(before, after)
        }
        Step::Create { resource, .. } if *resource == PODS => pod(after, true),
        Step::Delete { resource, .. } if *resource == PODS => pod(after, false),
        Step::Create { resource, .. } if *resource == JOBS => {
            let about = controller(after).filter(|about| about.str_at(&["kind"]) == Some(CRON_JOBS.kind))?;
            let message = format!("Created job {}", text(after, "name"));
            let (component, reason) = ("cronjob-controller", "SuccessfulCreate");
            Some(Event { about, component, reason, message, is_warning: false })
        }
        Step::Update { resource, .. } if *resource == JOBS => completed(before, after),
        Step::Update { resource, manager, .. } if *resource == PODS && *manager == KUBELET => {
            failing(before, after)
        }
        Step::Update { resource, manager, .. } if *resource == PODS && *manager == SCHEDULER => {
            unscheduled(after)
        }
        Step::Create { .. }
        | Step::Update { .. }
        | Step::Apply { .. }
        | Step::Delete { .. }
        | Step::Tell(_)
        | Step::End { .. } => None,
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
    Some(Event { about, component, reason, message, is_warning: false })
}

/// What a kubelet tells of a container that does not run.
fn failing(before: Option<&Value>, pod: &Value) -> Option<Event> {
    let statuses = |pod: &'_ Value| pod.list_at(&["status", "containerStatuses"]).to_vec();
    let old = before.map(statuses).unwrap_or_default();
    let status = statuses(pod).into_iter().find(|status| {
        let same = old.iter().find(|old| old.get("name") == status.get("name"));
        status.at(&["state", "waiting"]).is_some() && same != Some(status)
    })?;
    let name = status.str_at(&["name"]).unwrap_or_default();
    let (reason, message) = match status.str_at(&["state", "waiting", "reason"]) {
        Some("CrashLoopBackOff") => {
            let whole = format!("{}_{}({})", text(pod, "name"), text(pod, "namespace"), text(pod, "uid"));
            ("BackOff", format!("Back-off restarting failed container {name} in pod {whole}"))
        }
        Some("ImagePullBackOff") => {
            let image = status.str_at(&["image"]).unwrap_or_default();
            ("Failed", format!("Failed to pull image {image:?}: not found"))
        }
        Some(_) | None => return None,
    };
    Some(Event { about: pod.clone(), component: KUBELET, reason, message, is_warning: true })
}

/// What the scheduler tells of a pod that it has no node for.
fn unscheduled(pod: &Value) -> Option<Event> {
    let scheduled = condition(pod.list_at(&["status", "conditions"]), "PodScheduled")?;
    let message = scheduled.str_at(&["message"]).filter(|message| !message.is_empty())?.to_owned();
    let unable = scheduled.str_at(&["reason"]) == Some("Unschedulable");
    let (component, reason) = ("default-scheduler", "FailedScheduling");
    unable.then(|| Event { about: pod.clone(), component, reason, message, is_warning: true })
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
    let (component, reason) = ("deployment-controller", "ScalingReplicaSet");
    Some(Event { about, component, reason, message, is_warning: false })
}

fn completed(before: Option<&Value>, after: &Value) -> Option<Event> {
    let ending = |job: &Value, kind: &str| condition(job.list_at(&["status", "conditions"]), kind).cloned();
    let news = |kind: &str| {
        ending(after, kind).filter(|_| before.is_none_or(|before| ending(before, kind).is_none()))
    };
    let (about, component) = (after.clone(), "job-controller");
    if news("Complete").is_some() {
        let message = "Job completed".to_owned();
        return Some(Event { about, component, reason: "Completed", message, is_warning: false });
    }
    let failed = news("Failed")?;
    let message = failed.str_at(&["message"]).unwrap_or_default().to_owned();
    let reason = match failed.str_at(&["reason"]) {
        Some("BackoffLimitExceeded") => "BackoffLimitExceeded",
        Some("DeadlineExceeded") => "DeadlineExceeded",
        Some(_) | None => "PodFailurePolicy",
    };
    Some(Event { about, component, reason, message, is_warning: true })
}

/// Whether two events tell the same, and so are one that is counted.
pub fn is_same(known: &Value, new: &Value) -> bool {
    let same = |path: &[&str]| known.at(path) == new.at(path);
    same(&["involvedObject", "uid"])
        && same(&["involvedObject", "name"])
        && same(&["involvedObject", "kind"])
        && same(&["reason"])
        && same(&["message"])
        && same(&["type"])
        && same(&["source", "component"])
}

/// An event that is told once more.
pub fn again(known: &Value, now: Timestamp) -> Value {
    let mut again = known.clone();
    again.set_at(&["count"], (int(known, &["count"]) + 1).into());
    again.set_at(&["lastTimestamp"], wire_time(now).into());
    again
}

impl Event {
    pub const RESOURCE: Resource = EVENTS;

    /// Something that no step says.
    pub fn told(
        object: &Value,
        resource: Resource,
        component: &'static str,
        reason: &'static str,
        message: String,
        is_warning: bool,
    ) -> Self {
        let mut about = Value::default();
        about.set_at(&["apiVersion"], resource.api_version().into());
        about.set_at(&["kind"], resource.kind.into());
        for key in ["namespace", "name", "uid", "resourceVersion"] {
            about.set_at(&["metadata", key], text(object, key).into());
        }
        Self { about, component, reason, message, is_warning }
    }

    /// The object to be created; `number` makes its name.
    pub fn object(&self, number: u64, now: Timestamp) -> Value {
        let Self { about, component, reason, message, is_warning } = self;
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
        set(&["type"], if *is_warning { "Warning" } else { "Normal" }.into());
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
