//! The status that an object of a kind has before anybody writes one: fields that Go writes even when they are zero.

use trueup_object::{GroupKind, Map, Value};

/// The empty status of a kind; `None` where the type's own zero value says it all.
fn zero_text(kind: &GroupKind, version: &str) -> Option<&'static str> {
    Some(match (kind.group.as_str(), kind.kind.as_str()) {
        ("apps", "DaemonSet") => {
            r#"{"currentNumberScheduled":0,"numberMisscheduled":0,"desiredNumberScheduled":0,"numberReady":0}"#
        }
        ("apps", "ReplicaSet") | ("", "ReplicationController") => r#"{"replicas":0}"#,
        ("apps", "StatefulSet") => r#"{"replicas":0,"availableReplicas":0}"#,
        ("autoscaling", "HorizontalPodAutoscaler") if version == "v1" => {
            r#"{"currentReplicas":0,"desiredReplicas":0}"#
        }
        ("autoscaling", "HorizontalPodAutoscaler") => r#"{"desiredReplicas":0,"currentMetrics":null}"#,
        ("policy", "PodDisruptionBudget") => {
            r#"{"disruptionsAllowed":0,"currentHealthy":0,"desiredHealthy":0,"expectedPods":0}"#
        }
        ("", "Service") | ("networking.k8s.io", "Ingress") => r#"{"loadBalancer":{}}"#,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            r#"{"conditions":null,"acceptedNames":{"plural":"","kind":""},"storedVersions":null}"#
        }
        (
            "authorization.k8s.io",
            "SelfSubjectAccessReview" | "SubjectAccessReview" | "LocalSubjectAccessReview",
        ) => r#"{"allowed":false}"#,
        ("storage.k8s.io", "VolumeAttachment") => r#"{"attached":false}"#,
        _ => return None,
    })
}

/// The status of a new object of a kind that has one.
pub fn zero_status(kind: &GroupKind, version: &str) -> Value {
    zero_text(kind, version)
        .and_then(|text| Value::from_json(text.as_bytes()).ok())
        .unwrap_or_else(|| Value::Map(Map::new()))
}

/// Completes a status with the fields that are there even when nobody set them.
pub fn complete_status(kind: &GroupKind, version: &str, status: &mut Value) {
    let Value::Map(zero) = zero_status(kind, version) else { return };
    for (name, value) in zero {
        super::fields::fill(status, &name, value);
    }
}

/// Numbers that Go's types point to, and write as zero where somebody says zero.
const POINTERS: [&str; 5] =
    ["terminatingReplicas", "terminating", "ready", "collisionCount", "currentCPUUtilizationPercentage"];

/// Takes away what a client gave as zero in a status and the server does not write then.
pub fn drop_zero_status(kind: &GroupKind, version: &str, object: &mut Value) {
    let kept = zero_status(kind, version);
    let Some(status) = object.get_mut("status").and_then(Value::as_map_mut) else { return };
    let is_zero = |value: &Value| match value {
        Value::Null | Value::Bool(false) | Value::Int(0) => true,
        Value::Str(text) => text.is_empty(),
        Value::Bool(true) | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => false,
    };
    let zeros = status
        .iter()
        .filter(|(key, value)| is_zero(value) && kept.get(key).is_none() && !POINTERS.contains(key));
    let zeros: Vec<String> = zeros.map(|(key, _)| key.to_owned()).collect();
    for key in zeros {
        status.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_a_status() {
        for (group, kind) in [
            ("apps", "DaemonSet"),
            ("apps", "ReplicaSet"),
            ("apps", "StatefulSet"),
            ("autoscaling", "HorizontalPodAutoscaler"),
            ("policy", "PodDisruptionBudget"),
            ("", "Service"),
            ("apiextensions.k8s.io", "CustomResourceDefinition"),
            ("storage.k8s.io", "VolumeAttachment"),
        ] {
            let status = zero_status(&GroupKind::new(group, kind), "v1");
            assert!(status.as_map().is_some_and(|map| !map.is_empty()), "{kind}");
        }
    }
}
