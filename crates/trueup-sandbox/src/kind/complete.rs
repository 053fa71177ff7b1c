//! The built-in kinds that the sandbox knows whole: what the API server fills in, keeps from being changed and refuses. What
//! is not here is stored as its schema lets it be, and whoever writes it is told so.
//!
//! The README names the same kinds; a test holds the two together.

use trueup_object::GroupKind;

/// By group (the core group is empty) and kind, both sorted.
pub const COMPLETE_KINDS: [(&str, &[&str]); 16] = [
    (
        "",
        &[
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "Namespace",
            "Node",
            "PersistentVolume",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
        ],
    ),
    (
        "admissionregistration.k8s.io",
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &["APIService"]),
    ("apps", &["ControllerRevision", "DaemonSet", "Deployment", "ReplicaSet", "StatefulSet"]),
    ("autoscaling", &["HorizontalPodAutoscaler"]),
    ("batch", &["CronJob", "Job"]),
    ("certificates.k8s.io", &["CertificateSigningRequest"]),
    ("coordination.k8s.io", &["Lease"]),
    ("discovery.k8s.io", &["EndpointSlice"]),
    ("networking.k8s.io", &["Ingress", "IngressClass", "NetworkPolicy"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("policy", &["PodDisruptionBudget"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("storage.k8s.io", &["CSIDriver", "StorageClass"]),
];

/// Questions to the server: they are answered and never stored.
const NOT_STORED: [&str; 2] = ["authentication.k8s.io", "authorization.k8s.io"];

/// Whether a built-in kind is known whole. Events have a second group for the same objects.
pub fn is_complete(kind: &GroupKind) -> bool {
    let known = |group: &str| {
        COMPLETE_KINDS.iter().any(|(name, kinds)| *name == group && kinds.contains(&kind.kind.as_str()))
    };
    known(&kind.group) || kind.is("events.k8s.io", "Event")
}

/// What whoever writes an object of a built-in kind is warned of; none for kinds that are known whole.
pub fn incomplete_warning(kind: &GroupKind) -> Option<String> {
    if is_complete(kind) || NOT_STORED.contains(&kind.group.as_str()) || kind.is("", "Binding") {
        return None;
    }
    let name =
        if kind.group.is_empty() { kind.kind.to_string() } else { format!("{}.{}", kind.kind, kind.group) };
    Some(format!(
        "the sandbox stores {name} as it is: beyond its schema nothing is checked or filled in, and no controller acts on it"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds in the README's table: a row for each group, `core` for the one without a name.
    fn in_readme() -> Vec<(String, Vec<String>)> {
        let readme = include_str!("../../README.md");
        let section =
            readme.split("\n## ").find(|section| section.starts_with("Kinds\n")).unwrap_or_default();
        let rows = section.lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| {
            let mut cells = row.trim_matches('|').split('|').map(str::trim);
            let group = cells.next().unwrap_or_default().trim_matches('`');
            let kinds = cells.next().unwrap_or_default().split(", ").map(str::to_owned);
            (if group == "core" { String::new() } else { group.to_owned() }, kinds.collect())
        })
        .collect()
    }

    #[test]
    fn the_readme_names_the_same_kinds() {
        let here: Vec<(String, Vec<String>)> = COMPLETE_KINDS
            .iter()
            .map(|(group, kinds)| {
                ((*group).to_owned(), kinds.iter().map(|kind| (*kind).to_owned()).collect())
            })
            .collect();
        assert_eq!(in_readme(), here);
        assert!(here.iter().map(|(_, kinds)| kinds.len()).sum::<usize>() >= 40);
    }

    #[test]
    fn only_kinds_that_are_not_known_whole_come_with_a_warning() {
        let warning = incomplete_warning(&GroupKind::new("flowcontrol.apiserver.k8s.io", "FlowSchema"));
        assert!(warning.is_some_and(|text| text.contains("FlowSchema.flowcontrol.apiserver.k8s.io")));
        for (group, kind) in
            [("", "Pod"), ("events.k8s.io", "Event"), ("authorization.k8s.io", "SubjectAccessReview")]
        {
            assert_eq!(incomplete_warning(&GroupKind::new(group, kind)), None, "{kind}");
        }
    }
}
