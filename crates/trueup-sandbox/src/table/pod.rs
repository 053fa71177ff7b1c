//! A pod's row: the state of its containers in few words.

use trueup_object::{Timestamp, Value};

use super::age;
use super::cell::{int, or_none, text};

pub(super) fn cells(pod: &Value, now: Timestamp) -> Vec<Value> {
    let containers = pod.list_at(&["spec", "containers"]);
    let init_containers = pod.list_at(&["spec", "initContainers"]);
    let restartable = |name: &str| {
        init_containers.iter().any(|container| {
            text(container, &["name"]) == name && text(container, &["restartPolicy"]) == "Always"
        })
    };
    let n_sidecars =
        init_containers.iter().filter(|container| text(container, &["restartPolicy"]) == "Always").count();
    let mut seen = Seen { reason: first_reason(pod), n_ready: 0, n_restarts: 0 };
    let initializing = seen.init_containers(pod, init_containers.len(), restartable);
    if !initializing || condition_is_true(pod, "Initialized") {
        seen.containers(pod);
    }
    if pod.at(&["metadata", "deletionTimestamp"]).is_some()
        && !matches!(text(pod, &["status", "phase"]), "Succeeded" | "Failed")
    {
        seen.reason = "Terminating".to_owned();
    }
    let addresses = pod.list_at(&["status", "podIPs"]);
    let address = addresses.first().map(|address| text(address, &["ip"])).unwrap_or_default();
    vec![
        text(pod, &["metadata", "name"]).into(),
        format!("{}/{}", seen.n_ready, containers.len() + n_sidecars).into(),
        seen.reason.into(),
        seen.n_restarts.to_string().into(),
        age::since(pod.str_at(&["metadata", "creationTimestamp"]), now).into(),
        or_none(address).into(),
        or_none(text(pod, &["spec", "nodeName"])).into(),
        or_none(text(pod, &["status", "nominatedNodeName"])).into(),
        readiness_gates(pod).into(),
    ]
}

struct Seen {
    reason: String,
    n_ready: usize,
    n_restarts: i64,
}

impl Seen {
    /// True while the pod still initializes.
    fn init_containers(&mut self, pod: &Value, n_all: usize, restartable: impl Fn(&str) -> bool) -> bool {
        let statuses = pod.list_at(&["status", "initContainerStatuses"]);
        let mut sidecar_restarts = 0;
        for (index, status) in statuses.iter().enumerate() {
            let is_sidecar = restartable(text(status, &["name"]));
            self.n_restarts += int(status, &["restartCount"]);
            sidecar_restarts += if is_sidecar { int(status, &["restartCount"]) } else { 0 };
            let terminated = status.at(&["state", "terminated"]);
            if terminated.is_some_and(|state| int(state, &["exitCode"]) == 0) {
                continue;
            }
            if is_sidecar && is_true(status, "started") {
                self.n_ready += usize::from(is_true(status, "ready"));
                continue;
            }
            let waiting = text(status, &["state", "waiting", "reason"]);
            self.reason = match terminated {
                Some(state) => format!("Init:{}", exit_reason(state)),
                None if !waiting.is_empty() && waiting != "PodInitializing" => format!("Init:{waiting}"),
                None => format!("Init:{index}/{n_all}"),
            };
            return true;
        }
        self.n_restarts = sidecar_restarts;
        false
    }

    fn containers(&mut self, pod: &Value) {
        let (mut has_running, mut error) = (false, String::new());
        for status in pod.list_at(&["status", "containerStatuses"]).iter().rev() {
            self.n_restarts += int(status, &["restartCount"]);
            let waiting = text(status, &["state", "waiting", "reason"]);
            if !waiting.is_empty() {
                waiting.clone_into(&mut self.reason);
            } else if let Some(state) = status.at(&["state", "terminated"]) {
                self.reason = exit_reason(state);
                if int(state, &["exitCode"]) != 0 {
                    error.clone_from(&self.reason);
                }
            } else if is_true(status, "ready") && status.at(&["state", "running"]).is_some() {
                has_running = true;
                self.n_ready += 1;
            }
        }
        if self.reason == "Completed" {
            if has_running && condition_is_true(pod, "Ready") {
                self.reason = "Running".to_owned();
            } else if !error.is_empty() {
                self.reason = error;
            } else if has_running {
                self.reason = "NotReady".to_owned();
            }
        }
    }
}

fn first_reason(pod: &Value) -> String {
    let gated = pod.list_at(&["status", "conditions"]).iter().any(|condition| {
        text(condition, &["type"]) == "PodScheduled" && text(condition, &["reason"]) == "SchedulingGated"
    });
    match (gated, text(pod, &["status", "reason"])) {
        (true, _) => "SchedulingGated",
        (false, "") => text(pod, &["status", "phase"]),
        (false, reason) => reason,
    }
    .to_owned()
}

fn exit_reason(terminated: &Value) -> String {
    match (text(terminated, &["reason"]), int(terminated, &["signal"])) {
        ("", 0) => format!("ExitCode:{}", int(terminated, &["exitCode"])),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn readiness_gates(pod: &Value) -> String {
    let gates = pod.list_at(&["spec", "readinessGates"]);
    if gates.is_empty() {
        return "<none>".to_owned();
    }
    let n_true = gates.iter().filter(|gate| condition_is_true(pod, text(gate, &["conditionType"]))).count();
    format!("{n_true}/{}", gates.len())
}

fn condition_is_true(pod: &Value, name: &str) -> bool {
    pod.list_at(&["status", "conditions"])
        .iter()
        .any(|condition| text(condition, &["type"]) == name && text(condition, &["status"]) == "True")
}

fn is_true(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool) == Some(true)
}
