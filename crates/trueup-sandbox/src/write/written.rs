//! What Go's types write even where it was not said, as `null`: times that they hold by value, and lists that are not left out
//! when they are empty.

use trueup_object::{Map, Value};

/// The structs of Go's types that have such fields, and these; of lists only those that are not required, which the table
/// knows. Of objects themselves [`super::defaults::fill_nulls`] knows.
const WRITTEN: [(&str, &[&str]); 26] = [
    ("APIServiceCondition", &["lastTransitionTime"]),
    ("CertificateSigningRequestCondition", &["lastUpdateTime", "lastTransitionTime"]),
    ("Condition", &["lastTransitionTime"]),
    ("ContainerImage", &["names"]),
    ("ContainerStateRunning", &["startedAt"]),
    ("ContainerStateTerminated", &["startedAt", "finishedAt"]),
    ("CustomResourceDefinitionCondition", &["lastTransitionTime"]),
    ("DaemonSetCondition", &["lastTransitionTime"]),
    ("DeploymentCondition", &["lastUpdateTime", "lastTransitionTime"]),
    ("EventSeries", &["lastObservedTime"]),
    ("FlowSchemaCondition", &["lastTransitionTime"]),
    ("HorizontalPodAutoscalerCondition", &["lastTransitionTime"]),
    ("JobCondition", &["lastProbeTime", "lastTransitionTime"]),
    ("NamespaceCondition", &["lastTransitionTime"]),
    ("NodeCondition", &["lastHeartbeatTime", "lastTransitionTime"]),
    ("PersistentVolumeClaimCondition", &["lastProbeTime", "lastTransitionTime"]),
    ("PodCondition", &["lastProbeTime", "lastTransitionTime"]),
    ("PreferAvoidPodsEntry", &["evictionTime"]),
    ("PriorityLevelConfigurationCondition", &["lastTransitionTime"]),
    ("ProjectedVolumeSource", &["sources"]),
    ("ReplicaSetCondition", &["lastTransitionTime"]),
    ("ReplicationControllerCondition", &["lastTransitionTime"]),
    ("ResourcePolicyRule", &["namespaces"]),
    ("StatefulSetCondition", &["lastTransitionTime"]),
    ("TokenRequestStatus", &["expirationTimestamp"]),
    ("VolumeError", &["time"]),
];

/// Fills in the fields of a struct that were not said. They belong to whoever writes the struct.
pub fn fill_written(shaped: &mut Map, struct_name: &str) {
    let Ok(at) = WRITTEN.binary_search_by_key(&struct_name, |(name, _)| name) else { return };
    for field in WRITTEN[at].1 {
        if !shaped.contains(field) {
            shaped.insert(*field, Value::Null);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_said_is_null() {
        let mut shaped = Map::new();
        fill_written(&mut shaped, "ContainerStateTerminated");
        assert_eq!(shaped.get("startedAt"), Some(&Value::Null));
        assert_eq!(shaped.get("finishedAt"), Some(&Value::Null));
        fill_written(&mut shaped, "Deployment");
        assert_eq!(shaped.len(), 2);
    }
}
