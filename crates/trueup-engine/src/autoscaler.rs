//! Which workloads an autoscaler really targets, and which of their fields are then the autoscaler's.
//!
//! Decided by what targets the workload, never by who wrote the field: neither `kubectl scale` nor the autoscaler leaves
//! a trace where nobody owned `replicas` (detection.md 6, fact 1).

use std::collections::BTreeMap;

use trueup_object::{FieldPath, GroupKind, PathElement, ResourceKey, Text, Value};

/// Which of a workload's fields an autoscaler sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scales {
    Replicas,
    Resources,
}

/// The autoscalers of a cluster, by the workload that they target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Autoscalers {
    by_workload: BTreeMap<ResourceKey, Vec<(Scales, ResourceKey)>>,
    /// Kinds of autoscaler that are served and not known to the end.
    uncertain: Vec<GroupKind>,
}

/// The kinds that scale workloads, in the order in which they are looked for.
pub fn kinds() -> [GroupKind; 4] {
    [
        GroupKind::new("autoscaling", "HorizontalPodAutoscaler"),
        GroupKind::new("keda.sh", "ScaledObject"),
        GroupKind::new("autoscaling.k8s.io", "VerticalPodAutoscaler"),
        GroupKind::new("argoproj.io", "Rollout"),
    ]
}

impl Autoscalers {
    /// Reads what the autoscaler objects of a cluster target. `uncertain`: kinds whose listing is not complete.
    pub fn new<'a>(objects: impl IntoIterator<Item = &'a Value>, uncertain: Vec<GroupKind>) -> Self {
        let mut by_workload: BTreeMap<ResourceKey, Vec<(Scales, ResourceKey)>> = BTreeMap::new();
        for object in objects {
            if let Some((scales, workload, scaler)) = target_of(object) {
                by_workload.entry(workload).or_default().push((scales, scaler));
            }
        }
        Self { by_workload, uncertain }
    }

    /// The autoscaler that a field of a workload belongs to.
    pub fn owner(&self, workload: &ResourceKey, path: &FieldPath) -> Option<&ResourceKey> {
        let scales = scaled_field(path)?;
        self.by_workload.get(workload)?.iter().find(|(what, _)| *what == scales).map(|(_, scaler)| scaler)
    }

    /// The autoscalers of a workload, each with what it sets, in words.
    pub fn of(&self, workload: &ResourceKey) -> impl Iterator<Item = (&'static str, &ResourceKey)> {
        self.by_workload.get(workload).into_iter().flatten().map(|(what, scaler)| {
            let words = match what {
                Scales::Replicas => ".spec.replicas",
                Scales::Resources => "the resources of its containers",
            };
            (words, scaler)
        })
    }

    /// Why it cannot be said whether a field belongs to an autoscaler.
    pub fn uncertainty(&self, path: &FieldPath) -> Option<String> {
        let scales = scaled_field(path)?;
        let kind = self.uncertain.iter().find(|kind| scaled_by(kind) == scales)?;
        Some(format!("{path} may belong to an autoscaler, and the {kind} objects could not be listed"))
    }
}

fn scaled_field(path: &FieldPath) -> Option<Scales> {
    if path.starts_with_fields(&["spec", "replicas"]) {
        return Some(Scales::Replicas);
    }
    let in_container = path.starts_with_fields(&["spec", "template", "spec", "containers"]);
    let resources = path
        .elements()
        .iter()
        .any(|element| matches!(element, PathElement::Field(name) if name == "resources"));
    (in_container && resources).then_some(Scales::Resources)
}

/// What autoscalers of a kind set.
fn scaled_by(kind: &GroupKind) -> Scales {
    if kind.group == "autoscaling.k8s.io" { Scales::Resources } else { Scales::Replicas }
}

fn target_of(object: &Value) -> Option<(Scales, ResourceKey, ResourceKey)> {
    let scaler = ResourceKey::of(object)?;
    let (scales, reference, default_kind) = match (scaler.group.as_str(), scaler.kind.as_str()) {
        ("autoscaling", "HorizontalPodAutoscaler") => (Scales::Replicas, "scaleTargetRef", None),
        ("keda.sh", "ScaledObject") => (Scales::Replicas, "scaleTargetRef", Some(("apps/v1", "Deployment"))),
        ("autoscaling.k8s.io", "VerticalPodAutoscaler") => {
            // Mode "Off" only recommends.
            if object.str_at(&["spec", "updatePolicy", "updateMode"]) == Some("Off") {
                return None;
            }
            (Scales::Resources, "targetRef", None)
        }
        ("argoproj.io", "Rollout") => {
            // Argo Rollouts runs the Pods itself and scales the workload whose template it uses down; by default it does not.
            let scales_down = object.str_at(&["spec", "workloadRef", "scaleDown"]);
            if matches!(scales_down, None | Some("" | "never")) {
                return None;
            }
            (Scales::Replicas, "workloadRef", None)
        }
        _ => return None,
    };
    let reference = object.at(&["spec", reference])?;
    let api_version =
        reference.str_at(&["apiVersion"]).or(default_kind.map(|kind| kind.0)).unwrap_or_default();
    let kind = reference.str_at(&["kind"]).or(default_kind.map(|kind| kind.1))?;
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    let workload = ResourceKey {
        namespace: scaler.namespace.clone(),
        ..ResourceKey::new(group, kind, "", reference.str_at(&["name"])?)
    };
    Some((scales, workload, scaler))
}

/// A short form for messages: `HorizontalPodAutoscaler/web`.
pub fn short(scaler: &ResourceKey) -> Text {
    Text::from(format!("{}/{}", scaler.kind, scaler.name))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn scalers(json: &str) -> Autoscalers {
        Autoscalers::new([&Value::from_json(json.as_bytes()).unwrap()], Vec::new())
    }

    const HPA: &str = r#"{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler",
        "metadata":{"name":"web","namespace":"shop"},
        "spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"}}}"#;

    #[test]
    fn replicas_of_the_targeted_workload_belong_to_the_autoscaler() {
        let scalers = scalers(HPA);
        let replicas = FieldPath::fields(&["spec", "replicas"]);
        let owner = scalers.owner(&ResourceKey::new("apps", "Deployment", "shop", "web"), &replicas);
        assert_eq!(owner.map(short), Some(Text::from("HorizontalPodAutoscaler/web")));
        let workload = ResourceKey::new("apps", "Deployment", "shop", "web");
        let all: Vec<_> = scalers.of(&workload).map(|(what, scaler)| (what, short(scaler))).collect();
        assert_eq!(all, [(".spec.replicas", Text::from("HorizontalPodAutoscaler/web"))]);
        assert_eq!(scalers.owner(&ResourceKey::new("apps", "Deployment", "shop", "other"), &replicas), None);
        assert_eq!(scalers.owner(&ResourceKey::new("apps", "Deployment", "else", "web"), &replicas), None);
    }

    #[test]
    fn nothing_but_the_scaled_field_belongs_to_it() {
        let workload = ResourceKey::new("apps", "Deployment", "shop", "web");
        assert_eq!(scalers(HPA).owner(&workload, &FieldPath::fields(&["spec", "paused"])), None);
        assert_eq!(
            scalers(HPA).owner(&workload, &FieldPath::fields(&["spec", "template", "spec", "containers"])),
            None
        );
    }

    #[test]
    fn a_scaled_object_without_a_kind_targets_a_deployment() {
        let keda = scalers(
            r#"{"apiVersion":"keda.sh/v1alpha1","kind":"ScaledObject","metadata":{"name":"q","namespace":"shop"},
                "spec":{"scaleTargetRef":{"name":"web"}}}"#,
        );
        let workload = ResourceKey::new("apps", "Deployment", "shop", "web");
        assert!(keda.owner(&workload, &FieldPath::fields(&["spec", "replicas"])).is_some());
    }

    #[test]
    fn a_rollout_that_scales_a_workload_down_owns_its_replicas() {
        let rollout = |how: &str| {
            scalers(&format!(
                r#"{{"apiVersion":"argoproj.io/v1alpha1","kind":"Rollout","metadata":{{"name":"r","namespace":"shop"}},
                "spec":{{"workloadRef":{{"apiVersion":"apps/v1","kind":"Deployment","name":"web"{how}}}}}}}"#
            ))
        };
        let workload = ResourceKey::new("apps", "Deployment", "shop", "web");
        let replicas = FieldPath::fields(&["spec", "replicas"]);
        assert!(rollout(r#","scaleDown":"onsuccess""#).owner(&workload, &replicas).is_some());
        assert!(rollout(r#","scaleDown":"never""#).owner(&workload, &replicas).is_none());
        assert!(rollout("").owner(&workload, &replicas).is_none());
    }

    #[test]
    fn an_unlisted_kind_of_autoscaler_leaves_replicas_uncertain() {
        let scalers = Autoscalers::new([], vec![GroupKind::new("autoscaling", "HorizontalPodAutoscaler")]);
        assert!(scalers.uncertainty(&FieldPath::fields(&["spec", "replicas"])).is_some());
        assert!(scalers.uncertainty(&FieldPath::fields(&["spec", "paused"])).is_none());
        let vertical = GroupKind::new("autoscaling.k8s.io", "VerticalPodAutoscaler");
        let scalers = Autoscalers::new([], vec![vertical]);
        assert!(scalers.uncertainty(&FieldPath::fields(&["spec", "replicas"])).is_none());
    }
}
