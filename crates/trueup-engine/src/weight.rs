//! What counts: whether an undeclared addition is drift, a note or nothing (detection.md 2, the table).

use trueup_object::{FieldPath, PathElement};

use crate::app::Weight;
use crate::class;
use crate::difference::Class;

/// Annotations that change what a cluster does: who adds one by whatever means changes behaviour.
const BEHAVIOUR_ANNOTATIONS: [&str; 16] = [
    "eks.amazonaws.com/",
    "iam.amazonaws.com/",
    "iam.gke.io/",
    "azure.workload.identity/",
    "nginx.ingress.kubernetes.io/",
    "alb.ingress.kubernetes.io/",
    "traefik.ingress.kubernetes.io/",
    "haproxy.org/",
    "service.beta.kubernetes.io/",
    "external-dns.alpha.kubernetes.io/",
    "cert-manager.io/",
    "argocd.argoproj.io/",
    "helm.sh/resource-policy",
    "sidecar.istio.io/",
    "linkerd.io/inject",
    "vault.hashicorp.com/",
];

/// Every restart by kubectl, k9s, Lens or a dashboard writes this on the pod template: an action, not a setting.
pub const RESTARTED_AT: &str = "kubectl.kubernetes.io/restartedAt";

/// What an undeclared addition at a path is worth by itself, before an application's own setting.
pub fn default_weight(path: &FieldPath, class: Class) -> Weight {
    if is_restart(path) {
        return Weight::Note;
    }
    if let Some(name) = class::annotation(path) {
        let behaves = BEHAVIOUR_ANNOTATIONS.iter().any(|prefix| name.starts_with(prefix));
        return if behaves || class == Class::Manual { Weight::Drift } else { Weight::Note };
    }
    match metadata_field(path) {
        Some("labels") => Weight::Drift,
        Some("annotations") => {
            if class == Class::Manual {
                Weight::Drift
            } else {
                Weight::Note
            }
        }
        Some("finalizers" | "ownerReferences") => Weight::Note,
        Some(_) => Weight::Nothing,
        None => Weight::Drift,
    }
}

/// The weight with the application's setting: it can turn drift into notes or nothing, never nothing into drift.
pub fn weight(path: &FieldPath, class: Class, setting: Option<Weight>) -> Weight {
    let default = default_weight(path, class);
    setting.map_or(default, |setting| default.min(setting))
}

/// Whether a path is the mark of a restart.
pub fn is_restart(path: &FieldPath) -> bool {
    matches!(path.elements().last(), Some(PathElement::Field(name)) if name == RESTARTED_AT)
        && path.starts_with_fields(&["spec"])
}

fn metadata_field(path: &FieldPath) -> Option<&str> {
    match path.elements() {
        [PathElement::Field(metadata), PathElement::Field(name), ..] if metadata == "metadata" => {
            Some(name.as_str())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[&str], class: Class) -> Weight {
        default_weight(&FieldPath::fields(fields), class)
    }

    #[test]
    fn bodies_and_labels_are_drift() {
        assert_eq!(of(&["spec", "template", "spec", "hostNetwork"], Class::Unattributed), Weight::Drift);
        assert_eq!(of(&["data", "KEY"], Class::Manual), Weight::Drift);
        assert_eq!(of(&["metadata", "labels", "team"], Class::Automation), Weight::Drift);
        assert_eq!(
            of(&["spec", "template", "metadata", "annotations", "a"], Class::Automation),
            Weight::Drift
        );
    }

    #[test]
    fn an_annotation_is_drift_by_hand_or_by_effect() {
        assert_eq!(of(&["metadata", "annotations", "example.com/note"], Class::Automation), Weight::Note);
        assert_eq!(of(&["metadata", "annotations", "example.com/note"], Class::Manual), Weight::Drift);
        assert_eq!(
            of(&["metadata", "annotations", "eks.amazonaws.com/role-arn"], Class::Automation),
            Weight::Drift
        );
    }

    #[test]
    fn a_restart_is_a_note() {
        assert_eq!(
            of(&["spec", "template", "metadata", "annotations", RESTARTED_AT], Class::Manual),
            Weight::Note
        );
    }

    #[test]
    fn finalizers_and_owners_are_notes() {
        assert_eq!(of(&["metadata", "finalizers"], Class::Manual), Weight::Note);
        assert_eq!(of(&["metadata", "ownerReferences"], Class::Controller), Weight::Note);
    }

    #[test]
    fn an_application_can_only_lower_the_weight() {
        let path = FieldPath::fields(&["data", "KEY"]);
        assert_eq!(weight(&path, Class::Manual, Some(Weight::Note)), Weight::Note);
        assert_eq!(weight(&path, Class::Manual, Some(Weight::Nothing)), Weight::Nothing);
        let restart = FieldPath::fields(&["spec", "template", "metadata", "annotations", RESTARTED_AT]);
        assert_eq!(weight(&restart, Class::Manual, Some(Weight::Drift)), Weight::Note);
    }
}
