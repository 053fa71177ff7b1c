//! Which workloads an autoscaler really targets, and which of their fields are then the autoscaler's.
//!
//! Replicas are decided by what targets the workload, never by who wrote them: neither `kubectl scale` nor the autoscaler
//! leaves a trace where nobody owned `replicas` (detection.md 6, fact 1). The value decides with it: what holds a workload
//! at one replica or more never acts on zero, so zero is somebody else's. Resources are decided by the writer, too: a
//! VerticalPodAutoscaler changes Pods, so what another manager writes into a template is that manager's.

use std::collections::BTreeMap;

use trueup_diff::Owner;
use trueup_object::{FieldPath, GroupKind, PathElement, ResourceKey, Text, Value};

use crate::class::class_of;
use crate::difference::Class;

/// Which of a workload's fields an autoscaler sets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scales {
    Replicas,
    Resources,
}

/// What an autoscaler sets of the workload that it targets.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Reach {
    Replicas {
        /// It scales to zero, or takes a workload up from there.
        zero: bool,
    },
    Resources(Vec<ContainerPolicy>),
}

/// What a VerticalPodAutoscaler may set of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ContainerPolicy {
    /// `*`: every container that no other policy names.
    container: Text,
    off: bool,
    /// `None`: all of them.
    resources: Option<Vec<Text>>,
    limits: bool,
}

/// The autoscalers of a cluster, by the workload that they target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Autoscalers {
    by_workload: BTreeMap<ResourceKey, Vec<(Reach, ResourceKey)>>,
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
        let mut by_workload: BTreeMap<ResourceKey, Vec<(Reach, ResourceKey)>> = BTreeMap::new();
        for object in objects {
            if let Some((reach, workload, scaler)) = target_of(object) {
                by_workload.entry(workload).or_default().push((reach, scaler));
            }
        }
        Self { by_workload, uncertain }
    }

    /// The autoscaler that a field of a workload belongs to, with this live value and these writers beside us. `ours`:
    /// whether we wrote it. What a VerticalPodAutoscaler sets has another writer than us alone.
    pub fn owner(
        &self,
        workload: &ResourceKey,
        path: &FieldPath,
        live: Option<&Value>,
        (writers, ours): (&[Owner], bool),
    ) -> Option<&ResourceKey> {
        let scales = scaled_field(path)?;
        if scales == Scales::Resources && ours && writers.is_empty() {
            return None;
        }
        let sets = |reach: &Reach| match (scales, reach) {
            (Scales::Replicas, Reach::Replicas { zero }) => *zero || live.and_then(Value::as_int) != Some(0),
            (Scales::Resources, Reach::Resources(policies)) => {
                writers.iter().all(is_vertical) && may_set(policies, path)
            }
            (Scales::Replicas, Reach::Resources(_)) | (Scales::Resources, Reach::Replicas { .. }) => false,
        };
        self.by_workload.get(workload)?.iter().find(|(reach, _)| sets(reach)).map(|(_, scaler)| scaler)
    }

    /// The autoscalers of a workload with so many replicas, each with what it sets, in words.
    pub fn of(
        &self,
        workload: &ResourceKey,
        replicas: Option<i64>,
    ) -> impl Iterator<Item = (&'static str, &ResourceKey)> {
        self.by_workload.get(workload).into_iter().flatten().filter_map(move |(reach, scaler)| match reach {
            Reach::Replicas { zero: false } if replicas == Some(0) => None,
            Reach::Replicas { .. } => Some((".spec.replicas", scaler)),
            Reach::Resources(_) => Some(("the resources of its containers that nobody else wrote", scaler)),
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
    let resources = path.elements().iter().any(|element| is_field(element, "resources"));
    (in_container && resources).then_some(Scales::Resources)
}

/// The names under which the parts of a VerticalPodAutoscaler write: those of its programs, with and without its prefix.
fn is_vertical(writer: &Owner) -> bool {
    let name = writer.manager.as_str();
    matches!(name, "recommender" | "updater" | "admission-controller")
        || class_of(name, writer.operation, &writer.subresource) == Class::Autoscaler
}

/// Whether the policies leave a field of a container's resources to the autoscaler.
fn may_set(policies: &[ContainerPolicy], path: &FieldPath) -> bool {
    let container = path.elements().iter().find_map(|element| match element {
        PathElement::Key(key) => key.get("name").and_then(Value::as_str),
        PathElement::Field(_) | PathElement::Value(_) | PathElement::Index(_) => None,
    });
    let of = |name: &str| policies.iter().find(|policy| policy.container == name);
    let Some(policy) = container.and_then(of).or_else(|| of("*")) else {
        return true;
    };
    let below = path.elements().iter().skip_while(|element| !is_field(element, "resources")).skip(1);
    let mut below = below.filter_map(|element| match element {
        PathElement::Field(name) => Some(name),
        PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => None,
    });
    // A whole map that was added or taken away may hold what the autoscaler sets.
    let side = below.next().is_none_or(|side| policy.limits || *side != "limits");
    let resource = match (below.next(), &policy.resources) {
        (Some(name), Some(controlled)) => controlled.contains(name),
        (None, _) | (_, None) => true,
    };
    !policy.off && side && resource
}

fn is_field(element: &PathElement, wanted: &str) -> bool {
    matches!(element, PathElement::Field(name) if *name == wanted)
}

fn policies_of(scaler: &Value) -> Vec<ContainerPolicy> {
    let listed = scaler.at(&["spec", "resourcePolicy", "containerPolicies"]).and_then(Value::as_list);
    let read = |policy: &Value| ContainerPolicy {
        container: Text::from(policy.str_at(&["containerName"]).unwrap_or("*")),
        off: policy.str_at(&["mode"]) == Some("Off"),
        resources: policy
            .at(&["controlledResources"])
            .and_then(Value::as_list)
            .map(|names| names.iter().filter_map(Value::as_str).map(Text::from).collect()),
        limits: policy.str_at(&["controlledValues"]) != Some("RequestsOnly"),
    };
    listed.unwrap_or_default().iter().map(read).collect()
}

/// Whether KEDA itself brings a workload to zero: when idle, or paused there.
fn keda_scales_to_zero(scaler: &Value) -> bool {
    scaler.int_at(&["spec", "minReplicaCount"]).unwrap_or(0) <= 0
        || scaler.at(&["spec", "idleReplicaCount"]).is_some_and(|idle| *idle != Value::Null)
        || scaler.str_at(&["metadata", "annotations", "autoscaling.keda.sh/paused-replicas"]).is_some()
}

/// What autoscalers of a kind set.
fn scaled_by(kind: &GroupKind) -> Scales {
    if kind.group == "autoscaling.k8s.io" { Scales::Resources } else { Scales::Replicas }
}

fn target_of(object: &Value) -> Option<(Reach, ResourceKey, ResourceKey)> {
    let scaler = ResourceKey::of(object)?;
    let (reach, reference, default_kind) = match (scaler.group.as_str(), scaler.kind.as_str()) {
        ("autoscaling", "HorizontalPodAutoscaler") => {
            // At zero replicas it says ScalingDisabled and does nothing, unless zero is within its bounds.
            let zero = object.int_at(&["spec", "minReplicas"]) == Some(0);
            (Reach::Replicas { zero }, "scaleTargetRef", None)
        }
        ("keda.sh", "ScaledObject") => {
            let zero = keda_scales_to_zero(object);
            (Reach::Replicas { zero }, "scaleTargetRef", Some(("apps/v1", "Deployment")))
        }
        ("autoscaling.k8s.io", "VerticalPodAutoscaler") => {
            // Mode "Off" only recommends.
            if object.str_at(&["spec", "updatePolicy", "updateMode"]) == Some("Off") {
                return None;
            }
            (Reach::Resources(policies_of(object)), "targetRef", None)
        }
        ("argoproj.io", "Rollout") => {
            // Argo Rollouts runs the Pods itself and scales the workload whose template it uses down; by default it does not.
            let scales_down = object.str_at(&["spec", "workloadRef", "scaleDown"]);
            if matches!(scales_down, None | Some("" | "never")) {
                return None;
            }
            (Reach::Replicas { zero: true }, "workloadRef", None)
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
    Some((reach, workload, scaler))
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
        let owner = scalers.owner(
            &ResourceKey::new("apps", "Deployment", "shop", "web"),
            &replicas,
            None,
            (&[], false),
        );
        assert_eq!(owner.map(short), Some(Text::from("HorizontalPodAutoscaler/web")));
        let workload = ResourceKey::new("apps", "Deployment", "shop", "web");
        let all: Vec<_> =
            scalers.of(&workload, Some(3)).map(|(what, scaler)| (what, short(scaler))).collect();
        assert_eq!(all, [(".spec.replicas", Text::from("HorizontalPodAutoscaler/web"))]);
        assert_eq!(scalers.of(&workload, Some(0)).count(), 0);
        assert_eq!(
            scalers.owner(
                &ResourceKey::new("apps", "Deployment", "shop", "other"),
                &replicas,
                None,
                (&[], false)
            ),
            None
        );
        assert_eq!(
            scalers.owner(
                &ResourceKey::new("apps", "Deployment", "else", "web"),
                &replicas,
                None,
                (&[], false)
            ),
            None
        );
    }

    #[test]
    fn nothing_but_the_scaled_field_belongs_to_it() {
        let workload = ResourceKey::new("apps", "Deployment", "shop", "web");
        assert_eq!(
            scalers(HPA).owner(&workload, &FieldPath::fields(&["spec", "paused"]), None, (&[], false)),
            None
        );
        assert_eq!(
            scalers(HPA).owner(
                &workload,
                &FieldPath::fields(&["spec", "template", "spec", "containers"]),
                None,
                (&[], false)
            ),
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
        assert!(
            keda.owner(&workload, &FieldPath::fields(&["spec", "replicas"]), None, (&[], false)).is_some()
        );
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
        assert!(
            rollout(r#","scaleDown":"onsuccess""#).owner(&workload, &replicas, None, (&[], false)).is_some()
        );
        assert!(rollout(r#","scaleDown":"never""#).owner(&workload, &replicas, None, (&[], false)).is_none());
        assert!(rollout("").owner(&workload, &replicas, None, (&[], false)).is_none());
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
