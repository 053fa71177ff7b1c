//! What the server writes into a new pod.

use std::collections::BTreeMap;

use trueup_object::{Map, Quantity, Timestamp, Value};

use crate::clock::wire_time;

/// A new pod is pending, with its class of service.
pub fn prepare_create(object: &mut Value, now: Timestamp) {
    let class = quality_of_service(object);
    object.set_at(&["status"], Value::Map(Map::new()));
    object.set_at(&["status", "phase"], "Pending".into());
    object.set_at(&["status", "qosClass"], class.into());
    if !object.list_at(&["spec", "schedulingGates"]).is_empty() {
        let condition = Map::from_iter([
            ("type", Value::from("PodScheduled")),
            ("status", "False".into()),
            ("reason", "SchedulingGated".into()),
            ("message", "Scheduling is blocked due to non-empty scheduling gates".into()),
            ("lastProbeTime", Value::Null),
            ("lastTransitionTime", wire_time(now).into()),
        ]);
        object.set_at(&["status", "conditions"], Value::List(vec![Value::Map(condition)]));
    }
}

/// `Guaranteed` where every container limits CPU and memory to what it requests, `BestEffort` where none says anything.
pub fn quality_of_service(pod: &Value) -> &'static str {
    let containers =
        || ["initContainers", "containers"].into_iter().flat_map(|list| pod.list_at(&["spec", list]).iter());
    let amounts = |container: &Value, list: &str| -> BTreeMap<String, Quantity> {
        let resources = container.at(&["resources", list]).and_then(Value::as_map);
        resources
            .into_iter()
            .flat_map(|map| map.iter())
            .filter(|(name, _)| matches!(*name, "cpu" | "memory"))
            .filter_map(|(name, value)| Some((name.to_owned(), Quantity::of(value).ok()?)))
            .filter(|(_, quantity)| !quantity.is_zero())
            .collect()
    };
    let says_nothing = |container: &Value| {
        amounts(container, "requests").is_empty() && amounts(container, "limits").is_empty()
    };
    // What a pod says for itself counts in place of its containers.
    let whole = pod.get("spec").filter(|spec| !says_nothing(spec));
    if let Some(spec) = whole {
        let (limits, requests) = (amounts(spec, "limits"), amounts(spec, "requests"));
        let guaranteed = limits.len() == 2 && (requests.is_empty() || requests == limits);
        return if guaranteed { "Guaranteed" } else { "Burstable" };
    }
    if containers().all(says_nothing) {
        return "BestEffort";
    }
    let is_guaranteed = |container: &Value| {
        let limits = amounts(container, "limits");
        let requests = amounts(container, "requests");
        limits.len() == 2 && (requests.is_empty() || requests == limits)
    };
    if containers().all(is_guaranteed) { "Guaranteed" } else { "Burstable" }
}
