//! Nodes: every one has a kubelet here. What the node controllers do of it: a node that is ready loses the taint that it began with,
//! pods leave a node that bears them no longer, and those of a node that is gone go after it.

use std::sync::Arc;
use std::time::Duration;

use trueup_object::{Timestamp, Value};

use super::events::Event;
use super::kubelet;
use super::objects::{
    CONTROLLER_MANAGER, Condition, NODES, PODS, Step, condition, is_deleting, put_condition, text,
};
use super::scheduler;

/// The taint that every node begins with.
const NOT_READY: &str = "node.kubernetes.io/not-ready";

/// How long a node has to be gone before its pods go.
const QUARANTINE: Duration = Duration::from_secs(40);

/// What is done about a node: its kubelet says that it is ready, and it is open then.
pub fn reconcile(node: &Value, now: Timestamp, kubernetes: &str) -> Vec<Step> {
    let ready = condition(node.list_at(&["status", "conditions"]), "Ready");
    let Some(ready) = ready else { return vec![kubelet::told(node, now, kubernetes)] };
    let taints = node.list_at(&["spec", "taints"]);
    let is_first = |taint: &&Value| taint.str_at(&["key"]) == Some(NOT_READY);
    if ready.str_at(&["status"]) != Some("True") || !taints.iter().any(|taint| is_first(&taint)) {
        return Vec::new();
    }
    let rest: Vec<Value> = taints.iter().filter(|taint| !is_first(taint)).cloned().collect();
    let mut open = node.clone();
    if rest.is_empty() {
        open.remove_at(&["spec", "taints"]);
    } else {
        open.set_at(&["spec", "taints"], Value::List(rest));
    }
    vec![Step::update(NODES, open)]
}

/// When a pod has to leave its node, if ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// It may stay.
    Never,
    /// So long after its reason to leave came up.
    After(Duration, Why),
}

/// Why a pod has to leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Its node does not bear it (`NoExecute`).
    Taint,
    /// Its node is gone.
    NoNode,
}

/// Whether a pod has to leave the node that it is on, which may be gone.
pub fn leave(pod: &Value, nodes: &[Arc<Value>]) -> Leave {
    let bound = pod.str_at(&["spec", "nodeName"]).filter(|name| !name.is_empty());
    let Some(name) = bound.filter(|_| !is_deleting(pod)) else { return Leave::Never };
    let Some(node) = nodes.iter().find(|node| text(node, "name") == name) else {
        return Leave::After(QUARANTINE, Why::NoNode);
    };
    let taints = node.list_at(&["spec", "taints"]).iter();
    let mut least: Option<i64> = None;
    for taint in taints.filter(|taint| taint.str_at(&["effect"]) == Some("NoExecute")) {
        let tolerations = pod.list_at(&["spec", "tolerations"]).iter();
        let mut meant = tolerations.filter(|toleration| scheduler::is_for(toleration, taint));
        let Some(toleration) = meant.next() else { return Leave::After(Duration::ZERO, Why::Taint) };
        if let Some(seconds) = toleration.int_at(&["tolerationSeconds"]) {
            least = Some(least.map_or(seconds, |least| least.min(seconds)));
        }
    }
    least.map_or(Leave::Never, |seconds| {
        Leave::After(Duration::from_secs(u64::try_from(seconds).unwrap_or_default()), Why::Taint)
    })
}

/// A pod leaves: it says why, and goes.
pub fn removed(pod: &Value, why: Why, now: Timestamp) -> Vec<Step> {
    let (reason, message) = match why {
        Why::Taint => ("DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint"),
        Why::NoNode => ("DeletionByPodGC", "PodGC: node no longer exists"),
    };
    let target = Condition { kind: "DisruptionTarget", status: "True", reason, message };
    let mut said = pod.clone();
    let mut conditions = pod.list_at(&["status", "conditions"]).to_vec();
    let mut value = target.to_value(now);
    value.set_at(&["lastProbeTime"], Value::Null);
    if let Some(generation) = pod.at(&["metadata", "generation"]) {
        value.set_at(&["observedGeneration"], generation.clone());
    }
    put_condition(&mut conditions, value);
    said.set_at(&["status", "conditions"], Value::List(conditions));
    let ended = matches!(pod.str_at(&["status", "phase"]), Some("Succeeded" | "Failed"));
    if why == Why::NoNode && !ended {
        said.set_at(&["status", "phase"], "Failed".into());
    }
    let manager = CONTROLLER_MANAGER;
    let said = Step::Update { resource: PODS, object: said, manager, subresource: Some("status") };
    match why {
        Why::NoNode => vec![said, Step::end(pod)],
        Why::Taint => {
            let message =
                format!("Marking for deletion Pod {}/{}", text(pod, "namespace"), text(pod, "name"));
            let component = "taint-eviction-controller";
            let event = Event::told(pod, PODS, component, "TaintManagerEviction", message, false);
            vec![Step::Tell(event), said, Step::delete(PODS, pod)]
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn pods_leave_what_they_do_not_bear_and_what_is_gone() {
        let node = |taints: &str| {
            [Arc::new(value(&format!(r#"{{"metadata":{{"name":"a"}},"spec":{{"taints":[{taints}]}}}}"#)))]
        };
        let pod = |tolerations: &str| {
            value(&format!(
                r#"{{"metadata":{{"name":"p"}},"spec":{{"nodeName":"a","tolerations":[{tolerations}]}}}}"#
            ))
        };
        let taint = r#"{"key":"x","effect":"NoExecute"}"#;
        let after = |seconds, why| Leave::After(Duration::from_secs(seconds), why);
        assert_eq!(leave(&pod(""), &node("")), Leave::Never);
        assert_eq!(leave(&pod(""), &[]), after(40, Why::NoNode));
        assert_eq!(leave(&pod(""), &node(taint)), after(0, Why::Taint));
        assert_eq!(leave(&pod(""), &node(r#"{"key":"x","effect":"NoSchedule"}"#)), Leave::Never);
        assert_eq!(leave(&pod(r#"{"key":"x","operator":"Exists"}"#), &node(taint)), Leave::Never);
        let patient = r#"{"key":"x","operator":"Exists","effect":"NoExecute","tolerationSeconds":5}"#;
        assert_eq!(leave(&pod(patient), &node(taint)), after(5, Why::Taint));
    }

    #[test]
    fn a_node_is_open_once_its_kubelet_says_that_it_is_ready() {
        let mut node = value(
            r#"{"metadata":{"name":"a"},"spec":{"taints":[{"key":"node.kubernetes.io/not-ready","effect":"NoSchedule"}]}}"#,
        );
        for _ in 0..2 {
            let steps = reconcile(&node, Timestamp::UNIX_EPOCH, "1");
            let [Step::Update { object, .. }] = steps.as_slice() else { panic!("{steps:?}") };
            node = object.clone();
        }
        assert!(node.list_at(&["spec", "taints"]).is_empty());
        assert_eq!(reconcile(&node, Timestamp::UNIX_EPOCH, "1"), []);
    }
}
