//! The node that there is from the start, and what a kubelet says of its node.

use trueup_object::{Timestamp, Value};

use super::objects::{self, Condition, KUBELET, Step};
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
    vec![created, told(&node, now, kubernetes)]
}

/// What its kubelet says of a node: what it has, and that it is ready.
pub fn told(node: &Value, now: Timestamp, kubernetes: &str) -> Step {
    let mut node = node.clone();
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
    Step::Update { resource: objects::NODES, object: node, manager: KUBELET, subresource: Some("status") }
}
