//! The order of steps: prunes first, in reverse, then creations and changes with namespaces and definitions before what
//! needs them (compat 3.4).

use trueup_object::ResourceKey;

use super::{Action, Step};

/// Argo CD's order of kinds. What is not named comes last, custom resources among it.
const KINDS: [&str; 34] = [
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
];

/// Where a kind stands in the order; a kind that is not named stands after all that are.
pub fn kind_rank(key: &ResourceKey) -> usize {
    KINDS
        .iter()
        .position(|kind| key.kind == *kind)
        .unwrap_or(KINDS.len() + usize::from(key.kind != "APIService"))
}

pub fn sort(steps: &mut [Step]) {
    steps.sort_by(|left, right| {
        let prune = |step: &Step| matches!(step.action, Action::Delete { .. });
        match (prune(left), prune(right)) {
            (true, false) => std::cmp::Ordering::Less,
            (false, true) => std::cmp::Ordering::Greater,
            (true, true) => (kind_rank(&right.key), &right.key).cmp(&(kind_rank(&left.key), &left.key)),
            (false, false) => (kind_rank(&left.key), &left.key).cmp(&(kind_rank(&right.key), &right.key)),
        }
    });
}
