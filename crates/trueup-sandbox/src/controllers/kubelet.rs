//! What a node and its kubelet write: the node itself, and pods that run as soon as they are there.

use trueup_object::{Map, Timestamp, Value};

use super::objects::{self, Condition, KUBELET, Step, condition, text};
use crate::clock::wire_time;

/// The one node.
pub const NODE: &str = "sandbox-0";

/// The node, ready: first itself, then what its kubelet says of it.
pub fn node(now: Timestamp, kubernetes: &str) -> Vec<Step> {
    let mut node = objects::NODES.object("");
    node.set_at(&["metadata", "name"], NODE.into());
    node.set_at(&["metadata", "labels", "kubernetes.io/hostname"], NODE.into());
    for key in ["kubernetes.io/os", "beta.kubernetes.io/os"] {
        node.set_at(&["metadata", "labels", key], "linux".into());
    }
    let created = Step::Create { resource: objects::NODES, object: node.clone(), manager: KUBELET };
    for key in ["capacity", "allocatable"] {
        for (resource, amount) in [("cpu", "1k"), ("memory", "1Ti"), ("pods", "1M")] {
            node.set_at(&["status", key, resource], amount.into());
        }
    }
    let fine = |kind, status, reason, message| Condition { kind, status, reason, message }.to_value(now);
    let conditions = [
        fine("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
        fine(
            "MemoryPressure",
            "False",
            "KubeletHasSufficientMemory",
            "kubelet has sufficient memory available",
        ),
        fine("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        fine("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        fine("NetworkUnavailable", "False", "RouteCreated", "RouteController created a route"),
    ];
    let conditions = conditions.into_iter().map(|mut condition| {
        condition.set_at(&["lastHeartbeatTime"], wire_time(now).into());
        condition
    });
    node.set_at(&["status", "conditions"], Value::List(conditions.collect()));
    node.set_at(&["status", "nodeInfo", "architecture"], "amd64".into());
    node.set_at(&["status", "nodeInfo", "operatingSystem"], "linux".into());
    for key in ["bootID", "machineID", "osImage", "systemUUID"] {
        node.set_at(&["status", "nodeInfo", key], "".into());
    }
    // Nothing runs here, and the versions say so.
    let version = format!("sandbox-{kubernetes}");
    for key in ["containerRuntimeVersion", "kernelVersion", "kubeProxyVersion", "kubeletVersion"] {
        node.set_at(&["status", "nodeInfo", key], version.clone().into());
    }
    node.set_at(&["status", "phase"], "Running".into());
    let told = Step::Update {
        resource: objects::NODES,
        object: node,
        manager: KUBELET,
        subresource: Some("status"),
    };
    vec![created, told]
}

/// Lets a pending pod run on its node; one that is to end has ended well by then.
pub fn run(pod: &Value, now: Timestamp) -> Vec<Step> {
    let placed = pod.str_at(&["spec", "nodeName"]).is_some_and(|node| !node.is_empty());
    if !placed || pod.str_at(&["status", "phase"]) != Some("Pending") {
        return Vec::new();
    }
    let ends = pod.str_at(&["spec", "restartPolicy"]).is_some_and(|policy| policy != "Always");
    let mut changed = pod.clone();
    let status = |key: &str| ["status", key].map(str::to_owned);
    let mut set = |key: &str, value: Value| {
        let path = status(key);
        changed.set_at(&[&path[0], &path[1]], value);
    };
    set("phase", if ends { "Succeeded" } else { "Running" }.into());
    set("startTime", wire_time(now).into());
    let address = address(text(pod, "uid"));
    set("podIP", address.clone().into());
    let mut listed = Value::Map(Map::new());
    listed.set_at(&["ip"], address.into());
    set("podIPs", Value::List(vec![listed]));
    set("conditions", conditions(pod, ends, now));
    set("containerStatuses", containers(pod, "containers", ends, now));
    if !pod.list_at(&["spec", "initContainers"]).is_empty() {
        set("initContainerStatuses", containers(pod, "initContainers", true, now));
    }
    vec![Step::Update {
        resource: objects::PODS,
        object: changed,
        manager: KUBELET,
        subresource: Some("status"),
    }]
}

fn address(uid: &str) -> String {
    let hash = uid.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(u32::from(byte)));
    format!("10.244.{}.{}", (hash >> 8) & 255, hash & 255)
}

fn conditions(pod: &Value, ends: bool, now: Timestamp) -> Value {
    let ready = if ends { "False" } else { "True" };
    let reason = if ends { "PodCompleted" } else { "" };
    let generation = pod.at(&["metadata", "generation"]).cloned();
    let listed = [
        ("Initialized", "True", ""),
        ("Ready", ready, reason),
        ("ContainersReady", ready, reason),
        ("PodScheduled", "True", ""),
    ];
    let existing = pod.list_at(&["status", "conditions"]);
    let of = |(kind, status, reason): (&str, &str, &str)| {
        if let Some(same) =
            condition(existing, kind).filter(|found| found.str_at(&["status"]) == Some(status))
        {
            return same.clone();
        }
        let mut condition = Condition { kind, status, reason, message: "" }.to_value(now);
        condition.set_at(&["lastProbeTime"], Value::Null);
        if let Some(generation) = &generation {
            condition.set_at(&["observedGeneration"], generation.clone());
        }
        condition
    };
    Value::List(listed.into_iter().map(of).collect())
}

fn containers(pod: &Value, list: &str, ended: bool, now: Timestamp) -> Value {
    let statuses = pod.list_at(&["spec", list]).iter().map(|container| {
        let mut status = Value::Map(Map::new());
        let field = |key: &str| container.get(key).cloned().unwrap_or_else(|| "".into());
        status.set_at(&["name"], field("name"));
        status.set_at(&["image"], field("image"));
        status.set_at(&["imageID"], "".into());
        status.set_at(&["ready"], (!ended || list == "initContainers").into());
        status.set_at(&["restartCount"], 0.into());
        if ended {
            status.set_at(&["state", "terminated", "exitCode"], 0.into());
            status.set_at(&["state", "terminated", "reason"], "Completed".into());
            status.set_at(&["state", "terminated", "startedAt"], wire_time(now).into());
            status.set_at(&["state", "terminated", "finishedAt"], wire_time(now).into());
            status.set_at(&["started"], false.into());
        } else {
            status.set_at(&["state", "running", "startedAt"], wire_time(now).into());
            status.set_at(&["started"], true.into());
        }
        status
    });
    Value::List(statuses.collect())
}
