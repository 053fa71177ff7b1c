//! What a kubelet says of the pods on its node: that they run, or how they fail as they were told to.
//!
//! The whole status follows from the pod, its fate and what was said before, so that a fate that changes changes it.

mod held;

use std::time::Duration;

use trueup_object::{Map, Timestamp, Value};

use super::events::Event;
use super::lack::Lack;
use super::objects::{Condition, PODS, Step, condition, int, is_deleting, text};
use crate::clock::wire_time;
use crate::controllers::objects::KUBELET;
use crate::fates::Fate;

/// How long a container that crashes waits before it is started again: this, then twice as long each time.
const BACKOFF_SECONDS: u64 = 10;
const BACKOFF_SECONDS_MAX: u64 = 300;

/// What the containers of a pod do.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Containers {
    Run { ready: bool },
    Ended { exit_code: i64 },
    NotPulled,
    Crashed { restarts: i64, since: Timestamp },
}

/// Says what has become of a pod. One that is to be deleted has ended by then.
pub fn reconcile(pod: &Value, fate: Option<Fate>, lack: &Lack, now: Timestamp) -> Vec<Step> {
    if pod.str_at(&["spec", "nodeName"]).is_none_or(str::is_empty) {
        return Vec::new();
    }
    if is_deleting(pod) {
        return vec![Step::end(pod)];
    }
    let phase = pod.str_at(&["status", "phase"]);
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return Vec::new();
    }
    if deadline(pod).is_some_and(|end| end <= now) {
        return out_of_time(pod, now);
    }
    // What somebody else wrote of a pod that runs and that nobody told anything stays.
    if phase == Some("Running") && fate.is_none() && !was_told(pod) {
        return Vec::new();
    }
    let mut status = status(pod, containers(pod, fate, now), now);
    // An image is pulled once the volumes are there, and before anybody looks at the environment.
    let is_held = !lack.is_none() && (fate != Some(Fate::ImagePull) || !lack.volumes.is_empty());
    let told = if is_held { lack.told(pod) } else { Vec::new() };
    if is_held {
        held::hold(pod, lack, &mut status, now);
    }
    let mut changed = pod.clone();
    changed.set_at(&["status"], status);
    let written =
        Step::Update { resource: PODS, object: changed, manager: KUBELET, subresource: Some("status") };
    let is_news = matches!(&written, Step::Update { object, .. } if object != pod);
    is_news.then_some(written).into_iter().chain(told).collect()
}

/// When a pod has been on its node for as long as it may.
fn deadline(pod: &Value) -> Option<Timestamp> {
    let seconds = u64::try_from(pod.int_at(&["spec", "activeDeadlineSeconds"])?).ok()?;
    let since: Timestamp = pod.str_at(&["status", "startTime"])?.parse().ok()?;
    since.checked_add(Duration::from_secs(seconds)).ok()
}

/// What runs is ended, as by a signal.
fn out_of_time(pod: &Value, now: Timestamp) -> Vec<Step> {
    let (reason, message) =
        ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline");
    let mut status = status(pod, Containers::Ended { exit_code: 137 }, now);
    status.set_at(&["reason"], reason.into());
    status.set_at(&["message"], message.into());
    let mut changed = pod.clone();
    changed.set_at(&["status"], status);
    let event = Event::told(pod, PODS, KUBELET, reason, message.to_owned(), false);
    let told =
        Step::Update { resource: PODS, object: changed, manager: KUBELET, subresource: Some("status") };
    vec![Step::Tell(event), told]
}

/// When something is to be said that no change brings about: a container that crashed is started again, a pod is out of time.
pub fn due(pod: &Value, fate: Option<Fate>) -> Option<Timestamp> {
    let over = matches!(pod.str_at(&["status", "phase"]), Some("Succeeded" | "Failed"));
    if is_deleting(pod) || over {
        return None;
    }
    deadline(pod).into_iter().chain(change(pod, fate)).min()
}

/// When the fate of a pod changes what is said of it.
fn change(pod: &Value, fate: Option<Fate>) -> Option<Timestamp> {
    if let Some(Fate::SlowReady { seconds }) = fate {
        return ready_time(pod, seconds);
    }
    // One that fails again and again is as one that crashes.
    let again = match fate {
        Some(Fate::CrashLoop) => true,
        Some(Fate::Fail { .. }) => pod.str_at(&["spec", "restartPolicy"]) != Some("Never"),
        Some(Fate::ImagePull | Fate::NotReady | Fate::SlowReady { .. } | Fate::Unschedulable | Fate::Run)
        | None => false,
    };
    if !again {
        return None;
    }
    let (restarts, since) = crashes(pod)?;
    since.checked_add(backoff(restarts)).ok()
}

/// When a slow pod says that it is ready; none before it runs.
fn ready_time(pod: &Value, seconds: u32) -> Option<Timestamp> {
    let first = pod.list_at(&["status", "containerStatuses"]).first()?;
    let since: Timestamp = first.str_at(&["state", "running", "startedAt"])?.parse().ok()?;
    since.checked_add(Duration::from_secs(u64::from(seconds))).ok()
}

fn backoff(restarts: i64) -> Duration {
    let doublings = u32::try_from(restarts - 1).unwrap_or_default().min(16);
    Duration::from_secs((BACKOFF_SECONDS << doublings).min(BACKOFF_SECONDS_MAX))
}

/// How often the first container has crashed, and when last.
fn crashes(pod: &Value) -> Option<(i64, Timestamp)> {
    let first = pod.list_at(&["status", "containerStatuses"]).first()?;
    let ended = first.str_at(&["lastState", "terminated", "finishedAt"])?;
    Some((int(first, &["restartCount"]), ended.parse().ok()?))
}

/// Whether what is said of a pod comes of a fate that it had.
fn was_told(pod: &Value) -> bool {
    let waits = |status: &Value| {
        let reason = status.str_at(&["state", "waiting", "reason"]);
        matches!(reason, Some("CrashLoopBackOff" | "ImagePullBackOff"))
    };
    let statuses = pod.list_at(&["status", "containerStatuses"]);
    let not_ready = condition(pod.list_at(&["status", "conditions"]), "ContainersReady")
        .is_some_and(|ready| ready.str_at(&["reason"]) == Some("ContainersNotReady"));
    not_ready || statuses.iter().any(waits)
}

fn containers(pod: &Value, fate: Option<Fate>, now: Timestamp) -> Containers {
    let ends = pod.str_at(&["spec", "restartPolicy"]).is_some_and(|policy| policy != "Always");
    match fate {
        None | Some(Fate::Unschedulable) if ends => Containers::Ended { exit_code: 0 },
        None | Some(Fate::Unschedulable | Fate::Run) => Containers::Run { ready: true },
        Some(Fate::NotReady) => Containers::Run { ready: false },
        Some(Fate::SlowReady { seconds }) => {
            Containers::Run { ready: ready_time(pod, seconds).is_some_and(|time| time <= now) }
        }
        Some(Fate::ImagePull) => Containers::NotPulled,
        Some(Fate::Fail { exit_code }) if pod.str_at(&["spec", "restartPolicy"]) == Some("Never") => {
            Containers::Ended { exit_code }
        }
        Some(Fate::Fail { .. } | Fate::CrashLoop) => match crashes(pod) {
            Some((restarts, since)) if change(pod, Some(Fate::CrashLoop)).is_some_and(|due| now < due) => {
                Containers::Crashed { restarts, since }
            }
            Some((restarts, _)) => Containers::Crashed { restarts: restarts + 1, since: now },
            None => Containers::Crashed { restarts: 1, since: now },
        },
    }
}

fn status(pod: &Value, containers: Containers, now: Timestamp) -> Value {
    let mut status = pod.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    let ended = matches!(containers, Containers::Ended { .. });
    let phase = match containers {
        Containers::Ended { exit_code: 0 } => "Succeeded",
        Containers::Ended { .. } => "Failed",
        Containers::NotPulled => "Pending",
        Containers::Run { .. } | Containers::Crashed { .. } => "Running",
    };
    status.set_at(&["phase"], phase.into());
    if status.get("startTime").is_none() {
        status.set_at(&["startTime"], wire_time(now).into());
    }
    if containers != Containers::NotPulled {
        let address = address(text(pod, "uid"));
        status.set_at(&["podIP"], address.clone().into());
        let mut listed = Value::Map(Map::new());
        listed.set_at(&["ip"], address.into());
        status.set_at(&["podIPs"], Value::List(vec![listed]));
    }
    status.set_at(&["conditions"], conditions(pod, containers, now));
    status.set_at(&["containerStatuses"], container_statuses(pod, "containers", containers, now));
    if !pod.list_at(&["spec", "initContainers"]).is_empty() {
        status.set_at(&["initContainerStatuses"], container_statuses(pod, "initContainers", containers, now));
    }
    if ended && phase == "Failed" {
        status.remove_at(&["reason"]);
    }
    status
}

fn address(uid: &str) -> String {
    let hash = uid.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("10.244.{}.{}", (hash >> 8) & 255, hash & 255)
}

fn conditions(pod: &Value, containers: Containers, now: Timestamp) -> Value {
    let names: Vec<&str> =
        pod.list_at(&["spec", "containers"]).iter().filter_map(|it| it.str_at(&["name"])).collect();
    let unready = format!("containers with unready status: [{}]", names.join(" "));
    let (ready, reason, message) = match containers {
        Containers::Run { ready: true } => ("True", "", ""),
        Containers::Ended { exit_code: 0 } => ("False", "PodCompleted", ""),
        Containers::Ended { .. } => ("False", "PodFailed", ""),
        Containers::Run { ready: false } | Containers::NotPulled | Containers::Crashed { .. } => {
            ("False", "ContainersNotReady", unready.as_str())
        }
    };
    told_conditions(pod, ("True", "", ""), (ready, reason, message), now)
}

/// What is said of a pod's beginning and of its readiness: status, reason and message.
fn told_conditions(
    pod: &Value,
    begun: (&str, &str, &str),
    ready: (&str, &str, &str),
    now: Timestamp,
) -> Value {
    let generation = pod.at(&["metadata", "generation"]).cloned();
    let listed = [
        ("Initialized", begun.0, begun.1, begun.2),
        ("Ready", ready.0, ready.1, ready.2),
        ("ContainersReady", ready.0, ready.1, ready.2),
        ("PodScheduled", "True", "", ""),
    ];
    let existing = pod.list_at(&["status", "conditions"]);
    let of = |(kind, status, reason, message): (&str, &str, &str, &str)| {
        let same = condition(existing, kind).filter(|found| {
            found.str_at(&["status"]) == Some(status)
                && found.str_at(&["reason"]).unwrap_or_default() == reason
                && found.str_at(&["message"]).unwrap_or_default() == message
        });
        if let Some(same) = same {
            return same.clone();
        }
        let mut condition = Condition { kind, status, reason, message }.to_value(now);
        condition.set_at(&["lastProbeTime"], Value::Null);
        if let Some(generation) = &generation {
            condition.set_at(&["observedGeneration"], generation.clone());
        }
        condition
    };
    Value::List(listed.into_iter().map(of).collect())
}

fn container_statuses(pod: &Value, list: &str, containers: Containers, now: Timestamp) -> Value {
    let before = if list == "containers" { "containerStatuses" } else { "initContainerStatuses" };
    let statuses = pod.list_at(&["spec", list]).iter().map(|container| {
        let name = container.get("name").cloned().unwrap_or_else(|| "".into());
        let old = pod.list_at(&["status", before]).iter().find(|status| status.get("name") == Some(&name));
        let containers = if list == "containers" { containers } else { beginning(container, containers) };
        container_status(pod, container, list, containers, old, now)
    });
    Value::List(statuses.collect())
}

/// Whether a container of the beginning stays beside the others (a sidecar).
fn stays(container: &Value) -> bool {
    container.str_at(&["restartPolicy"]) == Some("Always")
}

/// What the containers do that come before the others: they have ended well, and those that stay run for as long as the others.
fn beginning(container: &Value, others: Containers) -> Containers {
    match others {
        Containers::NotPulled => others,
        Containers::Run { .. } | Containers::Crashed { .. } if stays(container) => {
            Containers::Run { ready: true }
        }
        Containers::Run { .. } | Containers::Crashed { .. } | Containers::Ended { .. } => {
            Containers::Ended { exit_code: 0 }
        }
    }
}

fn container_status(
    pod: &Value,
    container: &Value,
    list: &str,
    containers: Containers,
    old: Option<&Value>,
    now: Timestamp,
) -> Value {
    let mut status = Value::Map(Map::new());
    let field = |key: &str| container.get(key).cloned().unwrap_or_else(|| "".into());
    status.set_at(&["name"], field("name"));
    status.set_at(&["image"], field("image"));
    status.set_at(&["imageID"], "".into());
    let ready = containers == Containers::Run { ready: true };
    let has_begun = list == "initContainers" && !stays(container) && !is_waiting(containers);
    status.set_at(&["ready"], (ready || has_begun).into());
    let restarts = old.map_or(0, |old| int(old, &["restartCount"]));
    status.set_at(&["restartCount"], restarts.into());
    let name = container.str_at(&["name"]).unwrap_or_default();
    let whole = format!("{}_{}({})", text(pod, "name"), text(pod, "namespace"), text(pod, "uid"));
    match containers {
        Containers::Ended { exit_code } => {
            status.set_at(&["state"], terminated(exit_code, now, old));
            status.set_at(&["started"], false.into());
        }
        Containers::Run { .. } => {
            let since = old.and_then(|old| old.at(&["state", "running", "startedAt"])).cloned();
            let since = since.unwrap_or_else(|| wire_time(now).into());
            status.set_at(&["state", "running", "startedAt"], since);
            if let Some(last) = old.and_then(|old| old.get("lastState")) {
                status.set_at(&["lastState"], last.clone());
            }
            status.set_at(&["started"], true.into());
        }
        Containers::NotPulled => {
            let image = container.str_at(&["image"]).unwrap_or_default();
            let message = format!("Back-off pulling image {image:?}: ErrImagePull: not found");
            status.set_at(&["state", "waiting", "reason"], "ImagePullBackOff".into());
            status.set_at(&["state", "waiting", "message"], message.into());
            status.set_at(&["started"], false.into());
        }
        Containers::Crashed { restarts, since } => {
            let (minutes, seconds) = (backoff(restarts).as_secs() / 60, backoff(restarts).as_secs() % 60);
            let wait = if minutes > 0 { format!("{minutes}m{seconds}s") } else { format!("{seconds}s") };
            let message = format!("back-off {wait} restarting failed container={name} pod={whole}");
            status.set_at(&["restartCount"], restarts.into());
            status.set_at(&["state", "waiting", "reason"], "CrashLoopBackOff".into());
            status.set_at(&["state", "waiting", "message"], message.into());
            status.set_at(&["lastState"], terminated(1, since, None));
            status.set_at(&["started"], false.into());
        }
    }
    status
}

fn is_waiting(containers: Containers) -> bool {
    matches!(containers, Containers::NotPulled | Containers::Crashed { .. })
}

fn terminated(exit_code: i64, now: Timestamp, old: Option<&Value>) -> Value {
    if let Some(before) =
        old.and_then(|old| old.get("state")).filter(|state| state.get("terminated").is_some())
    {
        return before.clone();
    }
    let mut state = Value::Map(Map::new());
    state.set_at(&["terminated", "exitCode"], exit_code.into());
    state.set_at(&["terminated", "reason"], if exit_code == 0 { "Completed" } else { "Error" }.into());
    state.set_at(&["terminated", "startedAt"], wire_time(now).into());
    state.set_at(&["terminated", "finishedAt"], wire_time(now).into());
    state
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const POD: &str = r#"{"metadata":{"name":"p","namespace":"n","uid":"u"},"status":{"phase":"Pending"},
        "spec":{"nodeName":"a","restartPolicy":"Always","containers":[{"name":"c","image":"i"}]}}"#;

    fn pod() -> Value {
        Value::from_json(POD.as_bytes()).unwrap()
    }

    fn said(pod: &Value, fate: Option<Fate>, seconds: i64) -> Option<Value> {
        let steps = reconcile(pod, fate, &Lack::default(), Timestamp::from_second(seconds).unwrap());
        steps.into_iter().next().map(|step| match step {
            Step::Update { object, .. } => object,
            other => panic!("{other:?}"),
        })
    }

    fn ready(pod: &Value) -> bool {
        super::super::objects::is_ready(pod)
    }

    #[test]
    fn a_crash_loop_counts_its_restarts_by_the_clock_and_ends_when_it_is_told_to() {
        let first = said(&pod(), Some(Fate::CrashLoop), 0).unwrap();
        let restarts =
            |pod: &Value| int(&pod.list_at(&["status", "containerStatuses"])[0], &["restartCount"]);
        assert_eq!((restarts(&first), ready(&first)), (1, false));
        assert_eq!(due(&first, Some(Fate::CrashLoop)), Some(Timestamp::from_second(10).unwrap()));
        assert_eq!(said(&first, Some(Fate::CrashLoop), 9), None);
        let second = said(&first, Some(Fate::CrashLoop), 10).unwrap();
        assert_eq!(restarts(&second), 2);
        assert_eq!(due(&second, Some(Fate::CrashLoop)), Some(Timestamp::from_second(30).unwrap()));
        let well = said(&second, None, 11).unwrap();
        assert_eq!((restarts(&well), ready(&well)), (2, true));
        assert_eq!(said(&well, None, 12), None);
    }

    #[test]
    fn each_fate_has_its_own_status() {
        for (fate, phase, words) in [
            (Fate::ImagePull, "Pending", "ImagePullBackOff"),
            (Fate::NotReady, "Running", "ContainersNotReady"),
            (Fate::Run, "Running", "startedAt"),
        ] {
            let pod = said(&pod(), Some(fate), 0).unwrap();
            assert_eq!(pod.str_at(&["status", "phase"]), Some(phase));
            assert!(pod.to_json().contains(words), "{}", pod.to_json());
        }
        let mut once = pod();
        once.set_at(&["spec", "restartPolicy"], "Never".into());
        let failed = said(&once, Some(Fate::Fail { exit_code: 3 }), 0).unwrap();
        assert_eq!(failed.str_at(&["status", "phase"]), Some("Failed"));
        assert!(failed.to_json().contains(r#""exitCode":3"#));
        assert_eq!(said(&once, None, 0).unwrap().str_at(&["status", "phase"]), Some("Succeeded"));
    }

    #[test]
    fn a_pod_is_ended_at_its_deadline() {
        let mut pod = said(&pod(), None, 0).unwrap();
        pod.set_at(&["spec", "activeDeadlineSeconds"], 5.into());
        assert_eq!(due(&pod, None), Some(Timestamp::from_second(5).unwrap()));
        assert_eq!(said(&pod, None, 4), None);
        let steps = reconcile(&pod, None, &Lack::default(), Timestamp::from_second(5).unwrap());
        let [Step::Tell(_), Step::Update { object, .. }] = steps.as_slice() else { panic!("{steps:?}") };
        let part = |key: &str| object.str_at(&["status", key]).unwrap();
        assert_eq!((part("phase"), part("reason")), ("Failed", "DeadlineExceeded"));
        assert_eq!(due(object, None), None);
    }

    #[test]
    fn sidecars_run_as_long_as_the_others() {
        let mut pod = pod();
        let init = r#"[{"name":"first","image":"i"},{"name":"beside","image":"i","restartPolicy":"Always"}]"#;
        pod.set_at(&["spec", "initContainers"], Value::from_json(init.as_bytes()).unwrap());
        let states = |pod: &Value| -> Vec<(bool, bool)> {
            let statuses = pod.list_at(&["status", "initContainerStatuses"]).iter();
            let ready = |status: &Value| status.get("ready").and_then(Value::as_bool).unwrap();
            statuses.map(|it| (it.at(&["state", "running"]).is_some(), ready(it))).collect()
        };
        let runs = said(&pod, None, 0).unwrap();
        assert_eq!(states(&runs), [(false, true), (true, true)]);
        pod.set_at(&["spec", "restartPolicy"], "Never".into());
        let ended = said(&pod, None, 0).unwrap();
        assert_eq!(states(&ended), [(false, true), (false, false)]);
        assert_eq!(ended.str_at(&["status", "phase"]), Some("Succeeded"));
    }

    #[test]
    fn a_pod_that_is_to_go_ends_at_once() {
        let mut going = pod();
        going.set_at(&["metadata", "deletionTimestamp"], "2026-01-01T00:00:00Z".into());
        assert!(matches!(
            reconcile(&going, None, &Lack::default(), Timestamp::UNIX_EPOCH).as_slice(),
            [Step::End { .. }]
        ));
    }
}
