//! What controllers tell about their steps: Events, as `kubectl describe` shows them.

mod recorder;

use trueup_object::{Timestamp, Value};

pub use recorder::Recorder;

use super::objects::{
    CONTROLLER_MANAGER, CRON_JOBS, DEPLOYMENTS, EVENTS, JOBS, KUBELET, PODS, REPLICA_SETS, Resource,
    STATEFUL_SETS, Step, condition, int, text,
};
use crate::clock::wire_time;
use crate::state::Name;

/// The name under which the scheduler writes.
pub const SCHEDULER: &str = "kube-scheduler";

/// The name under which it tells of what it does.
const SCHEDULER_COMPONENT: &str = "default-scheduler";

/// Events in the newer of their two groups, in which they are the same objects with other names for their fields.
const NEWER_EVENTS: Resource = Resource { group: "events.k8s.io", ..EVENTS };

/// An event about an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    about: Value,
    component: &'static str,
    reason: &'static str,
    message: String,
    is_warning: bool,
    /// It only says how things stand, however often that is looked at, and is told once.
    once: bool,
}

/// What is told once a step is done: `before` is the object that was there, `after` what the step left.
pub fn of(step: &Step, before: Option<&Value>, after: &Value) -> Option<Event> {
    match step {
        Step::Bind { pod, node } => {
            let message =
                format!("Successfully assigned {}/{} to {node}", text(pod, "namespace"), text(pod, "name"));
            let (about, component) = (pod.clone(), SCHEDULER_COMPONENT);
            Some(Event { about, component, reason: "Scheduled", message, is_warning: false, once: false })
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
            Some(Event { about, component, reason, message, is_warning: false, once: false })
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
    Some(Event { about, component, reason, message, is_warning: false, once: false })
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
    Some(Event { about: pod.clone(), component: KUBELET, reason, message, is_warning: true, once: false })
}

/// What the scheduler tells of a pod that it has no node for.
fn unscheduled(pod: &Value) -> Option<Event> {
    let scheduled = condition(pod.list_at(&["status", "conditions"]), "PodScheduled")?;
    let message = scheduled.str_at(&["message"]).filter(|message| !message.is_empty())?.to_owned();
    let unable = scheduled.str_at(&["reason"]) == Some("Unschedulable");
    let (component, reason) = (SCHEDULER_COMPONENT, "FailedScheduling");
    unable.then(|| Event { about: pod.clone(), component, reason, message, is_warning: true, once: false })
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
    Some(Event { about, component, reason, message, is_warning: false, once: false })
}

fn completed(before: Option<&Value>, after: &Value) -> Option<Event> {
    let ending = |job: &Value, kind: &str| condition(job.list_at(&["status", "conditions"]), kind).cloned();
    let news = |kind: &str| {
        ending(after, kind).filter(|_| before.is_none_or(|before| ending(before, kind).is_none()))
    };
    let (about, component) = (after.clone(), "job-controller");
    if news("Complete").is_some() {
        let message = "Job completed".to_owned();
        return Some(Event {
            about,
            component,
            reason: "Completed",
            message,
            is_warning: false,
            once: false,
        });
    }
    if let Some(failed) = news("Failed") {
        let message = failed.str_at(&["message"]).unwrap_or_default().to_owned();
        let reasons = [
            "BackoffLimitExceeded",
            "DeadlineExceeded",
            "MaxFailedIndexesExceeded",
            "FailedIndexes",
            "PodFailurePolicy",
        ];
        let told = failed.str_at(&["reason"]).unwrap_or_default();
        let reason = reasons.into_iter().find(|reason| *reason == told)?;
        return Some(Event { about, component, reason, message, is_warning: true, once: false });
    }
    let suspended = |job: &Value| ending(job, "Suspended")?.str_at(&["status"]).map(|it| it == "True");
    let (was, is) = (before.and_then(suspended), suspended(after));
    let reason = match (was, is) {
        (None | Some(false), Some(true)) => "Suspended",
        (Some(true), Some(false)) => "Resumed",
        (None | Some(_), None | Some(_)) => return None,
    };
    let message = if reason == "Suspended" { "Job suspended" } else { "Job resumed" }.to_owned();
    Some(Event { about, component, reason, message, is_warning: false, once: false })
}

/// An event that is told once more.
pub fn again(known: &Value, message: &str, now: Timestamp) -> Value {
    let mut again = known.clone();
    again.set_at(&["message"], message.into());
    again.set_at(&["count"], (int(known, &["count"]) + 1).into());
    again.set_at(&["lastTimestamp"], wire_time(now).into());
    again
}

impl Event {
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
        Self { about, component, reason, message, is_warning, once: true }
    }

    /// It is told at each occasion, and counted.
    pub fn each_time(self) -> Self {
        Self { once: false, ..self }
    }

    pub fn is_told_once(&self) -> bool {
        self.once
    }

    /// What its object is called, with the number that makes the name its own.
    pub fn name(&self, number: u64) -> Name {
        Name::new(&self.namespace(), &format!("{}.{number:016x}", text(&self.about, "name")))
    }

    pub fn with_message(self, message: String) -> Self {
        Self { message, ..self }
    }

    /// The scheduler uses the newer group.
    pub fn resource(&self) -> Resource {
        if self.is_newer() { NEWER_EVENTS } else { EVENTS }
    }

    pub fn is_newer(&self) -> bool {
        self.component == SCHEDULER_COMPONENT
    }

    /// The name under which it is written.
    pub fn manager(&self) -> &'static str {
        match self.component {
            SCHEDULER_COMPONENT => SCHEDULER,
            KUBELET => KUBELET,
            _ => CONTROLLER_MANAGER,
        }
    }

    /// An event as the newer group has it.
    fn newer(&self, number: u64, now: Timestamp) -> Value {
        let about = &self.about;
        let mut event = NEWER_EVENTS.object(&self.namespace());
        let mut set = |path: &[&str], value: Value| {
            event.set_at(path, value);
        };
        set(&["metadata", "name"], format!("{}.{number:016x}", text(about, "name")).into());
        for key in ["apiVersion", "kind"] {
            set(&["regarding", key], about.get(key).cloned().unwrap_or_default());
        }
        for key in ["name", "namespace", "uid", "resourceVersion"] {
            if !text(about, key).is_empty() {
                set(&["regarding", key], text(about, key).into());
            }
        }
        set(&["type"], if self.is_warning { "Warning" } else { "Normal" }.into());
        set(&["reason"], self.reason.into());
        set(&["note"], self.message.clone().into());
        set(&["action"], if self.is_warning { "Scheduling" } else { "Binding" }.into());
        set(&["reportingController"], self.component.into());
        set(&["reportingInstance"], format!("{}-sandbox", self.component).into());
        set(&["eventTime"], trueup_object::time::to_micros(now).into());
        event
    }

    fn namespace(&self) -> String {
        let namespace = text(&self.about, "namespace");
        if namespace.is_empty() { "default" } else { namespace }.to_owned()
    }

    /// The object to be created; `number` makes its name.
    pub fn object(&self, number: u64, now: Timestamp) -> Value {
        if self.is_newer() {
            return self.newer(number, now);
        }
        let Self { about, component, reason, message, is_warning, once: _ } = self;
        let mut event = EVENTS.object(&self.namespace());
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
