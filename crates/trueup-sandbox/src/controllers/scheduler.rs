//! The scheduler: pods that wait for a node get the one that there is, unless it takes none.

use std::sync::Arc;

use trueup_object::Value;

use super::objects::{self, Step, text};

/// Binds a pod that waits to a node that takes it.
pub fn reconcile(pod: &Value, nodes: &[Arc<Value>]) -> Vec<Step> {
    let waits = pod.str_at(&["spec", "nodeName"]).is_none_or(str::is_empty)
        && pod.str_at(&["status", "phase"]) == Some("Pending")
        && pod.list_at(&["spec", "schedulingGates"]).is_empty();
    if !waits {
        return Vec::new();
    }
    let node = nodes.iter().find(|node| takes(node, pod));
    node.map(|node| Step::Bind { pod: pod.clone(), node: text(node, "name").to_owned() })
        .into_iter()
        .collect()
}

fn takes(node: &Value, pod: &Value) -> bool {
    let closed = node.at(&["spec", "unschedulable"]).and_then(Value::as_bool) == Some(true);
    let selected = pod.at(&["spec", "nodeSelector"]).and_then(Value::as_map).is_none_or(|wanted| {
        wanted.iter().all(|(key, value)| node.at(&["metadata", "labels", key]) == Some(value))
    });
    let taints = node.list_at(&["spec", "taints"]).iter();
    let mut repels = taints.filter(|taint| taint.str_at(&["effect"]) != Some("PreferNoSchedule"));
    !closed && selected && repels.all(|taint| is_tolerated(pod, taint)) && !objects::is_deleting(node)
}

/// Whether one of a pod's tolerations is for a taint.
fn is_tolerated(pod: &Value, taint: &Value) -> bool {
    pod.list_at(&["spec", "tolerations"]).iter().any(|toleration| {
        let part = |key: &str| toleration.str_at(&[key]).unwrap_or_default();
        let of = |key: &str| taint.str_at(&[key]).unwrap_or_default();
        let exists = part("operator") == "Exists";
        (part("effect").is_empty() || part("effect") == of("effect"))
            && (part("key") == of("key") || (exists && part("key").is_empty()))
            && (exists || part("value") == of("value"))
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    fn bound(node: &str, pod: &str) -> bool {
        !reconcile(&value(pod), &[Arc::new(value(node))]).is_empty()
    }

    #[test]
    fn a_waiting_pod_gets_a_node_that_takes_it() {
        let pod = r#"{"metadata":{"name":"p"},"spec":{},"status":{"phase":"Pending"}}"#;
        assert!(bound(r#"{"metadata":{"name":"n"}}"#, pod));
        assert!(!bound(r#"{"metadata":{"name":"n"},"spec":{"unschedulable":true}}"#, pod));
        let tainted =
            r#"{"metadata":{"name":"n"},"spec":{"taints":[{"key":"a","value":"b","effect":"NoSchedule"}]}}"#;
        assert!(!bound(tainted, pod));
        let tolerant = r#"{"metadata":{"name":"p"},"status":{"phase":"Pending"},
            "spec":{"tolerations":[{"key":"a","operator":"Equal","value":"b"}]}}"#;
        assert!(bound(tainted, tolerant));
        let picky = r#"{"metadata":{"name":"p"},"spec":{"nodeSelector":{"disk":"ssd"}},"status":{"phase":"Pending"}}"#;
        assert!(!bound(r#"{"metadata":{"name":"n"}}"#, picky));
        assert!(bound(r#"{"metadata":{"name":"n","labels":{"disk":"ssd"}}}"#, picky));
    }

    #[test]
    fn a_bound_or_gated_pod_is_left_alone() {
        let node = r#"{"metadata":{"name":"n"}}"#;
        for spec in [r#"{"nodeName":"m"}"#, r#"{"schedulingGates":[{"name":"g"}]}"#] {
            assert!(!bound(node, &format!(r#"{{"spec":{spec},"status":{{"phase":"Pending"}}}}"#)));
        }
    }
}
