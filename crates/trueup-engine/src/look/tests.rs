//! What a look finds, object by object.
#![expect(clippy::unwrap_used, reason = "tests")]

mod options;
mod secrecy;

use super::*;
use crate::app::Weight;
use crate::difference::{Change, Class, Confidence};
use crate::fixture::{DEPLOYMENT, World, now, partial, targets};
use crate::live::KindCoverage;
use trueup_merge::SchemaSet;
use trueup_object::Value;

/// managedFields with one foreign Update entry.
fn owned(object: &mut Value, manager: &str, subresource: &str, fields: &str) {
    let subresource =
        if subresource.is_empty() { String::new() } else { format!("\"subresource\":\"{subresource}\",") };
    let json = format!(
        "[{{\"manager\":\"{manager}\",{subresource}\"operation\":\"Update\",\"apiVersion\":\"apps/v1\",\
          \"time\":\"2026-11-21T11:00:00Z\",\"fieldsType\":\"FieldsV1\",\"fieldsV1\":{fields}}}]"
    );
    object.set_at(&["metadata", "managedFields"], Value::from_json(json.as_bytes()).unwrap());
}

fn scaled(object: &mut Value) {
    object.set_at(&["spec", "replicas"], Value::Int(5));
    owned(object, "kubectl-edit", "", r#"{"f:spec":{"f:replicas":{}}}"#);
}

#[test]
fn agreement_is_synced_without_an_origin() {
    let comparison = World::in_sync(DEPLOYMENT).look();
    assert_eq!((comparison.status, comparison.origin), (SyncStatus::Synced, AppOrigin::None));
    assert_eq!(comparison.differences().count(), 0);
}

#[test]
fn what_the_cluster_moved_is_drift_with_its_tool() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(scaled);
    let comparison = world.look();
    assert_eq!((comparison.status, comparison.origin), (SyncStatus::OutOfSync, AppOrigin::Cluster));
    let difference = comparison.differences().next().unwrap();
    assert_eq!(difference.place(), "Deployment/web .spec.replicas");
    assert_eq!((difference.change, difference.origin), (Change::Changed, Origin::Cluster));
    assert_eq!(difference.attribution.class, Class::Manual);
    assert_eq!(difference.attribution.manager.as_deref(), Some("kubectl-edit"));
    assert_eq!(difference.attribution.confidence, Confidence::Strong);
    assert_eq!(difference.first_seen, Some(now()));
}

#[test]
fn what_git_moved_is_pending_and_nobodys_fault() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.targets = targets(&world.app, &DEPLOYMENT.replace("replicas: 3", "replicas: 4"));
    let comparison = world.look();
    assert_eq!(comparison.origin, AppOrigin::Git);
    let difference = comparison.differences().next().unwrap();
    assert!(difference.is_pending());
    assert_eq!((difference.attribution.class, &difference.attribution.manager), (Class::Git, &None));
}

#[test]
fn both_moved_is_told() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.targets = targets(&world.app, &DEPLOYMENT.replace("replicas: 3", "replicas: 4"));
    world.change_live(scaled);
    assert_eq!(world.look().origin, AppOrigin::Both);
}

#[test]
fn converged_by_hand_is_in_sync() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.targets = targets(&world.app, &DEPLOYMENT.replace("replicas: 3", "replicas: 5"));
    world.change_live(scaled);
    assert_eq!(world.look().status, SyncStatus::Synced);
}

#[test]
fn without_a_base_the_origin_is_unknown() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.memory.clear();
    world.change_live(scaled);
    let comparison = world.look();
    assert_eq!((comparison.status, comparison.origin), (SyncStatus::OutOfSync, AppOrigin::Unknown));
}

#[test]
fn a_missing_object_was_deleted_or_is_new() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.live.objects.clear();
    let deleted = world.look();
    assert_eq!(deleted.origin, AppOrigin::Cluster);
    assert_eq!(deleted.differences().next().unwrap().change, Change::Missing);
    let committed = DEPLOYMENT.replace("replicas: 3", "replicas: 5");
    world.targets = targets(&world.app, &committed);
    assert_eq!(world.look().origin, AppOrigin::Both, "Git changed what somebody deleted");
    world.memory.clear();
    assert_eq!(world.look().origin, AppOrigin::Git);
}

#[test]
fn an_incomplete_listing_makes_unknown_never_missing() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.live.objects.clear();
    let cause = KindCoverage::Incomplete { cause: "page 2 failed".to_owned(), since: None };
    for coverage in world.live.coverage.kinds.values_mut() {
        *coverage = cause.clone();
    }
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::Unknown);
    assert_eq!(comparison.objects[0].presence, Presence::Unobserved);
    assert!(comparison.conditions[0].message.contains("page 2 failed"));
}

#[test]
fn incomplete_targets_are_unknown_and_make_nothing_extraneous() {
    let mut world = World::in_sync(&format!(
        "{DEPLOYMENT}---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}}}\n"
    ));
    world.targets = partial(targets(&world.app, DEPLOYMENT));
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::Unknown);
    assert!(comparison.objects.iter().all(|object| object.presence != Presence::Extraneous));
}

#[test]
fn what_git_dropped_is_extraneous() {
    let mut world = World::in_sync(&format!(
        "{DEPLOYMENT}---\n{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a}}}}\n"
    ));
    world.targets = targets(&world.app, DEPLOYMENT);
    let comparison = world.look();
    let difference = comparison.differences().next().unwrap();
    assert_eq!((difference.change, difference.origin), (Change::Extraneous, Origin::Git));
}

#[test]
fn replicas_of_a_targeted_workload_are_nothing() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(scaled);
    let hpa = crate::fixture::value(
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: web},
          spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}",
    );
    world.autoscalers = Autoscalers::new([&hpa], Vec::new());
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::Synced);
    assert!(matches!(comparison.objects[0].judgements[0].excuse, Some(Excuse::Autoscaler(_))));
}

#[test]
fn a_person_who_scales_what_an_autoscaler_scales_is_named() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(|object| {
        object.set_at(&["spec", "replicas"], Value::Int(9));
        owned(object, "kubectl", "scale", r#"{"f:spec":{"f:replicas":{}}}"#);
    });
    let hpa = crate::fixture::value(
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: web},
          spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}",
    );
    world.autoscalers = Autoscalers::new([&hpa], Vec::new());
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::Synced);
    let note = &comparison.objects[0].notes[0];
    assert_eq!(
        note.message.as_deref(),
        Some("changed by hand; HorizontalPodAutoscaler/h scales this field and may overrule it")
    );
    assert_eq!(note.attribution.class, Class::Manual);
}

/// Somebody scales a targeted Deployment to nothing.
fn scaled_to_nothing(scaler: &str) -> SyncStatus {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(|object| {
        object.set_at(&["spec", "replicas"], Value::Int(0));
        owned(object, "kubectl", "scale", r#"{"f:spec":{"f:replicas":{}}}"#);
    });
    world.autoscalers = Autoscalers::new([&crate::fixture::value(scaler)], Vec::new());
    let comparison = world.look();
    if let Some(difference) = comparison.differences().next() {
        assert_eq!((difference.attribution.class, difference.message.as_deref()), (Class::Manual, None));
    }
    comparison.status
}

#[test]
fn an_autoscaler_that_never_acts_on_zero_does_not_excuse_zero() {
    let hpa = |min: &str| {
        format!(
            "{{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {{name: h, namespace: web}},
              spec: {{{min}maxReplicas: 6, scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}}}}}"
        )
    };
    assert_eq!(scaled_to_nothing(&hpa("")), SyncStatus::OutOfSync);
    assert_eq!(scaled_to_nothing(&hpa("minReplicas: 2, ")), SyncStatus::OutOfSync);
    assert_eq!(scaled_to_nothing(&hpa("minReplicas: 0, ")), SyncStatus::Synced);
    let keda = |more: &str| {
        format!(
            "{{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {{name: k, namespace: web}},
              spec: {{{more}scaleTargetRef: {{name: web}}}}}}"
        )
    };
    assert_eq!(scaled_to_nothing(&keda("")), SyncStatus::Synced);
    assert_eq!(scaled_to_nothing(&keda("minReplicaCount: 1, ")), SyncStatus::OutOfSync);
    assert_eq!(scaled_to_nothing(&keda("minReplicaCount: 1, idleReplicaCount: 0, ")), SyncStatus::Synced);
}

/// A manager writes the processor request of a Deployment that a VerticalPodAutoscaler targets.
fn requested(manager: &str, spec: &str) -> SyncStatus {
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: web}, spec: {
        selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {
        containers: [{name: app, image: web, resources: {requests: {cpu: 100m}}}]}}}}";
    let mut world = World::in_sync(deployment);
    world.change_live(|object| {
        let containers = object.get_mut("spec").and_then(|spec| spec.get_mut("template"));
        let containers = containers.and_then(|template| template.get_mut("spec")?.get_mut("containers"));
        containers.unwrap().as_list_mut().unwrap()[0]
            .set_at(&["resources", "requests", "cpu"], "900m".into());
        let fields = r#"{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":
            {"f:resources":{"f:requests":{"f:cpu":{}}}}}}}}}"#;
        owned(object, manager, "", fields);
    });
    let vpa = format!(
        "{{apiVersion: autoscaling.k8s.io/v1, kind: VerticalPodAutoscaler, metadata: {{name: v, namespace: web}},
          spec: {{{spec}targetRef: {{apiVersion: apps/v1, kind: Deployment, name: web}}}}}}"
    );
    world.autoscalers = Autoscalers::new([&crate::fixture::value(&vpa)], Vec::new());
    world.look().status
}

#[test]
fn resources_in_a_template_are_the_vertical_autoscalers_only_where_it_wrote_them() {
    for manager in ["vpa-updater", "recommender", "updater", "admission-controller"] {
        assert_eq!(requested(manager, ""), SyncStatus::Synced, "{manager}");
    }
    for manager in ["kubectl-edit", "kubectl-set", "helm", "some-operator"] {
        assert_eq!(requested(manager, ""), SyncStatus::OutOfSync, "{manager}");
    }
}

#[test]
fn what_a_vertical_autoscaler_leaves_alone_is_not_its_own() {
    let policy = |policy: &str| {
        requested("vpa-updater", &format!("resourcePolicy: {{containerPolicies: [{policy}]}}, "))
    };
    assert_eq!(policy("{containerName: app, mode: \"Off\"}"), SyncStatus::OutOfSync);
    assert_eq!(policy("{containerName: '*', mode: \"Off\"}"), SyncStatus::OutOfSync);
    assert_eq!(policy("{containerName: '*', mode: \"Off\"}, {containerName: app}"), SyncStatus::Synced);
    assert_eq!(policy("{containerName: other, mode: \"Off\"}"), SyncStatus::Synced);
    assert_eq!(policy("{containerName: app, controlledResources: [memory]}"), SyncStatus::OutOfSync);
    assert_eq!(policy("{containerName: app, controlledResources: [cpu]}"), SyncStatus::Synced);
}

#[test]
fn replicas_are_unknown_while_autoscalers_are() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(scaled);
    world.autoscalers = Autoscalers::new([], vec![crate::autoscaler::kinds()[0].clone()]);
    assert_eq!(world.look().status, SyncStatus::Unknown);
}

fn labelled(object: &mut Value) {
    object.set_at(&["metadata", "labels", "team"], "pay".into());
    owned(object, "kubectl-label", "", r#"{"f:metadata":{"f:labels":{".":{},"f:team":{}}}}"#);
}

#[test]
fn an_addition_is_drift_or_a_note_as_the_application_says() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(labelled);
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::OutOfSync);
    assert_eq!(comparison.differences().next().unwrap().channel, Channel::Undeclared);
    world.app.undeclared = Some(Weight::Note);
    let comparison = world.look();
    assert_eq!((comparison.status, comparison.notes().count()), (SyncStatus::Synced, 1));
}

#[test]
fn what_was_there_at_the_first_sync_is_inherited() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.memory.clear();
    world.change_live(labelled);
    let found = world.look();
    let (key, target) = world.targets.targets.first_key_value().unwrap();
    let context = crate::memory::MemoryContext {
        schemas: SchemaSet::builtin().over(SchemaSet::builtin()),
        secrecy: (&[7; 32]).into(),
        now: now(),
    };
    let memory =
        crate::memory::remember(&context, target, &world.live.objects[key], found.object(key).unwrap(), None);
    world.memory.insert(key.clone(), memory);
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::Synced);
    assert!(comparison.notes().next().unwrap().inherited);
    world.app.inherited = Some(Weight::Drift);
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::OutOfSync, "somebody decided that it is drift");
    assert!(comparison.differences().next().unwrap().inherited);
    world.app.inherited = None;
    world.change_live(|object| {
        labelled(object);
        object.set_at(&["metadata", "labels", "team"], "other".into());
    });
    assert_eq!(world.look().status, SyncStatus::OutOfSync, "a changed addition is not the inherited one");
}

#[test]
fn a_restart_is_noted_and_does_not_count() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(|object| {
        let annotation = crate::weight::RESTARTED_AT;
        object.set_at(&["spec", "template", "metadata", "annotations", annotation], "2026-11-21T11:00:00Z".into());
        let fields = format!(r#"{{"f:spec":{{"f:template":{{"f:metadata":{{"f:annotations":{{".":{{}},"f:{annotation}":{{}}}}}}}}}}}}"#);
        owned(object, "kubectl-rollout", "", &fields);
    });
    let comparison = world.look();
    assert_eq!(comparison.status, SyncStatus::Synced);
    let note = comparison.notes().next().unwrap();
    assert_eq!(note.message.as_deref(), Some("restarted"));
}

#[test]
fn the_revision_annotation_is_the_controllers() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(|object| {
        object.set_at(&["metadata", "annotations", "deployment.kubernetes.io/revision"], "2".into());
        owned(
            object,
            "kube-controller-manager",
            "status",
            r#"{"f:metadata":{"f:annotations":{"f:deployment.kubernetes.io/revision":{}}}}"#,
        );
    });
    let comparison = world.look();
    assert_eq!((comparison.status, comparison.notes().count()), (SyncStatus::Synced, 0));
}

#[test]
fn an_object_of_another_application_is_warned_about() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(|object| {
        let mark = "other:apps/Deployment:web/web";
        object.set_at(&["metadata", "annotations", crate::tracking::TRACKING_ANNOTATION], mark.into());
    });
    let comparison = world.look();
    assert!(comparison.conditions.iter().any(|it| it.message.contains("also tracked by application other")));
}

#[test]
fn a_look_is_the_same_twice() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(scaled);
    assert_eq!(world.look(), world.look());
}

/// Another controller, or an earlier life of this one, has applied a commit that nobody remembers here.
#[test]
fn what_we_alone_wrote_since_is_of_a_commit() {
    let mut world = World::in_sync(DEPLOYMENT);
    let live = |world: &mut World, others: &str| {
        world.change_live(|object| {
            object.set_at(&["spec", "replicas"], Value::Int(5));
            let json = format!(
                r#"[{{"manager":"trueup","operation":"Apply","apiVersion":"apps/v1","time":"2026-11-21T11:00:00Z",
                "fieldsType":"FieldsV1","fieldsV1":{{"f:spec":{{"f:replicas":{{}}}}}}}}{others}]"#
            );
            object.set_at(&["metadata", "managedFields"], Value::from_json(json.as_bytes()).unwrap());
        });
    };
    let origin = |world: &World| world.look().differences().next().unwrap().origin;
    live(&mut world, "");
    assert_eq!(origin(&world), Origin::Git);
    let other = r#",{"manager":"kubectl-edit","operation":"Update","apiVersion":"apps/v1","time":"2026-11-21T11:00:00Z",
        "fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{}}}}"#;
    live(&mut world, other);
    assert_eq!(origin(&world), Origin::Cluster, "somebody else wrote it too");
    live(&mut world, "");
    for memory in world.memory.values_mut() {
        memory.synced_at = Some(now());
    }
    assert_eq!(origin(&world), Origin::Cluster, "that apply is remembered");
}

fn confidence_of(world: &World) -> Confidence {
    world.look().differences().next().unwrap().attribution.confidence
}

#[test]
fn confidence_follows_what_is_known_of_the_writer() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(scaled);
    assert_eq!(confidence_of(&world), Confidence::Strong);
    for memory in world.memory.values_mut() {
        memory.synced_at = Some(now());
    }
    assert_eq!(confidence_of(&world), Confidence::Weak, "the entry is older than our last sync");
    for memory in world.memory.values_mut() {
        memory.synced_at = None;
    }
    assert_eq!(confidence_of(&world), Confidence::Weak, "we never synced");
    for manager in ["Mozilla", "node-fetch", "gitops-controller"] {
        let mut world = World::in_sync(DEPLOYMENT);
        world.change_live(|object| {
            object.set_at(&["spec", "replicas"], Value::Int(5));
            owned(object, manager, "", r#"{"f:spec":{"f:replicas":{}}}"#);
        });
        assert_eq!(confidence_of(&world), Confidence::Weak, "{manager}");
    }
}

#[test]
fn a_controller_outside_of_its_role_is_a_finding_that_says_so() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.change_live(|object| {
        object.set_at(&["spec", "replicas"], Value::Int(5));
        owned(object, "kube-controller-manager", "scale", r#"{"f:spec":{"f:replicas":{}}}"#);
    });
    let comparison = world.look();
    let difference = comparison.differences().next().unwrap();
    assert_eq!(difference.attribution.class, Class::Autoscaler);
    let message = difference.message.as_deref().unwrap();
    assert_eq!(message, "outside of what kube-controller-manager, of class autoscaler, is there for");
}

const AGGREGATED: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: a}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}
";

/// Live without managedFields, and with this in it.
fn unnamed(manifest: &str, live: &str) -> Comparison {
    let mut world = World::in_sync(manifest);
    world.change_live(|object| {
        object.set_at(&["metadata", "managedFields"], Value::List(Vec::new()));
        let Value::Map(more) = Value::from_yaml(live.as_bytes()).unwrap() else { panic!("{live}") };
        for (name, value) in more.iter() {
            object.set_at(&[name], value.clone());
        }
    });
    world.look()
}

#[test]
fn what_has_one_writer_is_that_ones_in_an_object_that_names_none() {
    let rules = "rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]";
    assert_eq!(unnamed(AGGREGATED, rules).status, SyncStatus::Synced);
    assert_eq!(
        unnamed(
            &format!("{AGGREGATED}rules: [{{apiGroups: [''], resources: [nodes], verbs: [get]}}]"),
            rules
        )
        .status,
        SyncStatus::Synced
    );
    let plain =
        AGGREGATED.replace("aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}", "rules: []");
    assert_eq!(unnamed(&plain, rules).status, SyncStatus::OutOfSync);

    let webhook = |bundle: &str| {
        format!(
            "webhooks: [{{name: a.example.com, admissionReviewVersions: [v1], sideEffects: None, clientConfig: {{url: 'https://a/'{bundle}}}}}]"
        )
    };
    let config = "apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: a}
";
    for (declared, status) in [
        ("", SyncStatus::Synced),
        (", caBundle: Cg==", SyncStatus::Synced),
        (", caBundle: bW9yZQ==", SyncStatus::OutOfSync),
    ] {
        let manifest = format!("{config}{}", webhook(declared));
        let live = webhook(", caBundle: YWJj");
        assert_eq!(unnamed(&manifest, &live).status, status, "{declared}");
    }
}

#[test]
fn what_we_alone_wrote_is_not_the_vertical_autoscalers() {
    let manifest = DEPLOYMENT.replace("image: 'web:1'", "image: 'web:1', resources: {requests: {cpu: 100m}}");
    assert_ne!(manifest, DEPLOYMENT);
    let mut world = World::in_sync(&manifest);
    let scaler = Value::from_yaml(
        b"{apiVersion: autoscaling.k8s.io/v1, kind: VerticalPodAutoscaler, metadata: {name: v, namespace: web}, spec: {targetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}",
    )
    .unwrap();
    world.autoscalers = crate::autoscaler::Autoscalers::new([&scaler], Vec::new());
    world.change_live(|object| {
        let entry = r#"[{"manager":"trueup","operation":"Apply","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"web\"}":{"f:resources":{"f:requests":{"f:cpu":{}}}}}}}}}}]"#;
        object.set_at(&["metadata", "managedFields"], Value::from_json(entry.as_bytes()).unwrap());
    });
    world.targets = targets(&world.app, &manifest.replace("100m", "200m"));
    let comparison = world.look();
    assert_eq!(comparison.origin, AppOrigin::Git);
    assert!(comparison.differences().next().unwrap().is_pending());
}
