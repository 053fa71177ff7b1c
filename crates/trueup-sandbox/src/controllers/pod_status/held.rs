//! What is said of a pod that lacks something before it can run.

use trueup_object::{Timestamp, Value};

use super::told_conditions;
use crate::controllers::lack::Lack;

/// Makes the status of a pod that runs that of one which waits for what it lacks.
pub fn hold(pod: &Value, lack: &Lack, status: &mut Value, now: Timestamp) {
    status.set_at(&["phase"], "Pending".into());
    let by_volume = !lack.volumes.is_empty();
    if by_volume {
        // Its address comes with its sandbox, which comes after the volumes.
        for key in ["podIP", "podIPs"] {
            status.remove_at(&[key]);
        }
    }
    let first = pod.list_at(&["spec", "initContainers"]);
    let why = |container: &Value| lack.of(container).filter(|_| !by_volume);
    // The container of the beginning that the others wait for.
    let stands_at = first.iter().position(|container| by_volume || why(container).is_some());
    let next = if first.is_empty() { "ContainerCreating" } else { "PodInitializing" };
    let all_behind = by_volume || stands_at.is_some();
    let lists = [("initContainers", "initContainerStatuses"), ("containers", "containerStatuses")];
    for (list, key) in lists {
        let mut statuses = status.list_at(&[key]).to_vec();
        for (index, (container, told)) in pod.list_at(&["spec", list]).iter().zip(&mut statuses).enumerate() {
            let is_behind = match (list, stands_at) {
                ("initContainers", Some(at)) => by_volume || index > at,
                ("initContainers", None) => false,
                _ => all_behind,
            };
            if is_behind {
                wait(told, next, None);
            } else if let Some(why) = why(container) {
                wait(told, "CreateContainerConfigError", Some(why));
            }
        }
        if !statuses.is_empty() {
            status.set_at(&[key], Value::List(statuses));
        }
    }
    let ready = |told: &&Value| told.get("ready").and_then(Value::as_bool) == Some(true);
    let unready = names(status.list_at(&["containerStatuses"]).iter().filter(|told| !ready(told)));
    let unready = format!("containers with unready status: [{unready}]");
    let behind = stands_at.map(|at| names(first.iter().skip(at)));
    let behind = behind.map(|names| format!("containers with incomplete status: [{names}]"));
    let begun = match &behind {
        Some(message) => ("False", "ContainersNotInitialized", message.as_str()),
        None => ("True", "", ""),
    };
    let conditions = told_conditions(pod, begun, ("False", "ContainersNotReady", &unready), now);
    status.set_at(&["conditions"], conditions);
}

fn names<'v>(named: impl Iterator<Item = &'v Value>) -> String {
    named.filter_map(|it| it.str_at(&["name"])).collect::<Vec<&str>>().join(" ")
}

/// Says that a container waits.
fn wait(told: &mut Value, reason: &str, message: Option<&str>) {
    told.remove_at(&["state"]);
    told.set_at(&["state", "waiting", "reason"], reason.into());
    if let Some(message) = message {
        told.set_at(&["state", "waiting", "message"], message.into());
    }
    for key in ["ready", "started"] {
        told.set_at(&[key], false.into());
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::controllers::objects::Step;

    /// Which containers wait for what, and the conditions with their status.
    fn said(lack: &Lack, first: &str) -> (Vec<String>, Vec<String>) {
        let pod = format!(
            r#"{{"metadata":{{"name":"p","namespace":"n","uid":"u"}},"status":{{"phase":"Pending"}},"spec":{{"nodeName":"a",
            "restartPolicy":"Always","initContainers":{first},"containers":[{{"name":"c","image":"i"}},{{"name":"d","image":"i"}}]}}}}"#
        );
        let pod = Value::from_json(pod.as_bytes()).unwrap();
        let steps = super::super::reconcile(&pod, None, lack, Timestamp::UNIX_EPOCH);
        let Some(Step::Update { object, .. }) = steps.first() else { panic!("{steps:?}") };
        assert_eq!(object.str_at(&["status", "phase"]), Some("Pending"));
        let statuses = ["initContainerStatuses", "containerStatuses"];
        let statuses = statuses.into_iter().flat_map(|key| object.list_at(&["status", key]));
        let state = |told: &Value| match told.str_at(&["state", "waiting", "reason"]) {
            Some(reason) => {
                format!("{reason} {}", told.str_at(&["state", "waiting", "message"]).unwrap_or_default())
            }
            None => told.get("state").unwrap().as_map().unwrap().iter().next().unwrap().0.to_owned(),
        };
        let conditions = object.list_at(&["status", "conditions"]).iter();
        let condition =
            |it: &Value| format!("{} {}", it.str_at(&["type"]).unwrap(), it.str_at(&["status"]).unwrap());
        (statuses.map(state).collect(), conditions.map(condition).take(2).collect())
    }

    fn of(name: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), "why".to_owned())])
    }

    #[test]
    fn what_waits_depends_on_what_is_missing() {
        let volume = Lack { volumes: of("v"), ..Lack::default() };
        let creating = "ContainerCreating ".to_owned();
        assert_eq!(said(&volume, "[]").0, [creating.clone(), creating]);
        let container = Lack { containers: of("c"), ..Lack::default() };
        let (states, conditions) = said(&container, "[]");
        assert_eq!(states, ["CreateContainerConfigError why", "running"]);
        assert_eq!(conditions, ["Initialized True", "Ready False"]);
        let first = r#"[{"name":"a","image":"i"},{"name":"b","image":"i"}]"#;
        assert_eq!(
            said(&container, first).0,
            ["terminated", "terminated", "CreateContainerConfigError why", "running"]
        );
        let (states, conditions) = said(&Lack { containers: of("b"), ..Lack::default() }, first);
        assert_eq!(
            states,
            ["terminated", "CreateContainerConfigError why", "PodInitializing ", "PodInitializing "]
        );
        assert_eq!(conditions, ["Initialized False", "Ready False"]);
        assert!(said(&volume, first).0.iter().all(|state| state == "PodInitializing "));
    }
}
