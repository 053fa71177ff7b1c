//! Rollouts that do not get on, owners that take and let go, and namespaces that are held.

use std::time::Duration;

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use trueup_sandbox::SandboxOptions;

use crate::world::{World, object, until};

async fn world() -> World {
    World::with(SandboxOptions::default()).await
}

fn api(world: &World, kind: &str, plural: &str) -> Api<DynamicObject> {
    let version = if kind == "Pod" { "v1" } else { "apps/v1" };
    world.dynamic(version, kind, plural, Some("default"))
}

fn workload(kind: &str, spec: &Value) -> DynamicObject {
    let mut all = json!({"selector": {"matchLabels": {"app": "a"}}, "template": {
        "metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "app", "image": "shop/a:1"}]}}});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object(
        json!({"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": "web", "labels": {"app": "a"}}, "spec": all}),
    )
}

async fn told(api: &Api<DynamicObject>, name: &str, kind: &str) -> Value {
    let live = api.get(name).await.unwrap();
    let conditions = live.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    conditions.into_iter().find(|it| it["type"] == kind).unwrap_or_default()
}

async fn merge(api: &Api<DynamicObject>, name: &str, patch: Value) {
    api.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await.unwrap();
}

#[tokio::test]
async fn a_rollout_is_out_of_time_when_its_deadline_is_over() {
    let world = world().await;
    let deployments = api(&world, "Deployment", "deployments");
    let mut stuck = workload("Deployment", &json!({"replicas": 2, "progressDeadlineSeconds": 30}));
    stuck.data["spec"]["template"]["spec"]["nodeSelector"] = json!({"no": "where"});
    deployments.create(&PostParams::default(), &stuck).await.unwrap();
    let reason = |wanted: &'static str| {
        let deployments = deployments.clone();
        async move { told(&deployments, "web", "Progressing").await["reason"] == wanted }
    };
    until("the pods are there", || reason("ReplicaSetUpdated")).await;
    world.sandbox.clock().advance(Duration::from_secs(32));
    until("the time is over", || reason("ProgressDeadlineExceeded")).await;
    let said = told(&deployments, "web", "Progressing").await;
    assert_eq!(said["status"], "False");
    assert!(said["message"].as_str().unwrap().ends_with("has timed out progressing."), "{said}");
    merge(&deployments, "web", json!({"spec": {"template": {"spec": {"nodeSelector": null}}}})).await;
    until("it gets on", || reason("NewReplicaSetAvailable")).await;
}

#[tokio::test]
async fn pods_count_as_available_once_they_have_been_ready_for_long_enough() {
    let world = world().await;
    let deployments = api(&world, "Deployment", "deployments");
    let patient = workload("Deployment", &json!({"replicas": 2, "minReadySeconds": 60}));
    deployments.create(&PostParams::default(), &patient).await.unwrap();
    let counts = |ready: i64, available: Option<i64>| {
        let deployments = deployments.clone();
        async move {
            let status = deployments.get("web").await.unwrap().data["status"].clone();
            status["readyReplicas"] == ready && status["availableReplicas"].as_i64() == available
        }
    };
    until("they are ready", || counts(2, None)).await;
    world.sandbox.clock().advance(Duration::from_secs(61));
    until("they are available", || counts(2, Some(2))).await;
}

fn controller(object: &DynamicObject) -> Option<String> {
    let owners = object.metadata.owner_references.clone().unwrap_or_default();
    owners.into_iter().find(|owner| owner.controller == Some(true)).map(|owner| owner.name)
}

#[tokio::test]
async fn owners_take_what_their_selector_fits_and_let_go_of_what_it_does_not() {
    let world = world().await;
    let (sets, pods) = (api(&world, "ReplicaSet", "replicasets"), api(&world, "Pod", "pods"));
    let post = PostParams::default();
    let lone = object(
        json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lone", "labels": {"app": "a"}},
        "spec": {"containers": [{"name": "app", "image": "shop/a:1"}]}}),
    );
    pods.create(&post, &lone).await.unwrap();
    sets.create(&post, &workload("ReplicaSet", &json!({"replicas": 2}))).await.unwrap();
    let fitting = |wanted: usize| {
        let pods = pods.clone();
        async move {
            let labelled = ListParams::default().labels("app=a");
            let all = pods.list(&labelled).await.unwrap().items;
            all.len() == wanted && all.iter().all(|pod| controller(pod).as_deref() == Some("web"))
        }
    };
    until("the pod is one of the two", || fitting(2)).await;
    let taken = pods.get("lone").await.unwrap();
    let writers = taken.metadata.managed_fields.clone().unwrap();
    assert!(
        writers
            .iter()
            .any(|it| it.manager.as_deref() == Some("kube-controller-manager") && it.subresource.is_none())
    );
    merge(&pods, "lone", json!({"metadata": {"labels": {"app": "b"}}})).await;
    until("it is let go", || async { controller(&pods.get("lone").await.unwrap()).is_none() }).await;
    until("there is another one", || fitting(2)).await;
    // A deployment takes a replica set that was left behind.
    sets.delete("web", &DeleteParams::orphan()).await.unwrap();
    let left = object(
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "old", "labels": {"app": "a"}},
        "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "a", "old": "yes"}},
            "template": {"metadata": {"labels": {"app": "a", "old": "yes"}}, "spec": {"containers": [{"name": "app", "image": "shop/a:0"}]}}}}),
    );
    sets.create(&post, &left).await.unwrap();
    let deployments = api(&world, "Deployment", "deployments");
    deployments.create(&post, &workload("Deployment", &json!({"replicas": 1}))).await.unwrap();
    until("the old set has an owner", || async {
        controller(&sets.get("old").await.unwrap()).as_deref() == Some("web")
    })
    .await;
}

#[tokio::test]
async fn a_namespace_says_what_holds_it() {
    let world = world().await;
    let namespaces = world.dynamic("v1", "Namespace", "namespaces", None);
    let post = PostParams::default();
    let team = object(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}}));
    namespaces.create(&post, &team).await.unwrap();
    let maps = world.dynamic("v1", "ConfigMap", "configmaps", Some("team"));
    for name in ["a", "b"] {
        let held = object(json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "finalizers": ["example.com/x"]}}));
        maps.create(&post, &held).await.unwrap();
    }
    namespaces.delete("team", &DeleteParams::default()).await.unwrap();
    let says = |kind: &'static str, message: &'static str| {
        let namespaces = namespaces.clone();
        async move { told(&namespaces, "team", kind).await["message"] == message }
    };
    until("it says what is left", || {
        says(
            "NamespaceContentRemaining",
            "Some resources are remaining: configmaps. has 2 resource instances",
        )
    })
    .await;
    let finalizers =
        "Some content in the namespace has finalizers remaining: example.com/x in 2 resource instances";
    assert!(says("NamespaceFinalizersRemaining", finalizers).await);
    assert_eq!(told(&namespaces, "team", "NamespaceDeletionContentFailure").await["status"], "False");
    merge(&maps, "a", json!({"metadata": {"finalizers": null}})).await;
    until("one is gone", || {
        says(
            "NamespaceContentRemaining",
            "Some resources are remaining: configmaps. has 1 resource instances",
        )
    })
    .await;
    merge(&maps, "b", json!({"metadata": {"finalizers": null}})).await;
    until("the namespace is gone", || async { namespaces.get_opt("team").await.unwrap().is_none() }).await;
}

#[tokio::test]
async fn an_autoscaler_tells_how_it_scaled_and_which_metrics_it_cannot_have() {
    let world = world().await;
    let deployments = api(&world, "Deployment", "deployments");
    deployments
        .create(&PostParams::default(), &workload("Deployment", &json!({"replicas": 8})))
        .await
        .unwrap();
    let scalers = world.dynamic(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        Some("default"),
    );
    let scaler = object(json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"}, "spec": {"maxReplicas": 5,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [{"type": "External", "external": {"metric": {"name": "queue"},
                "target": {"type": "AverageValue", "averageValue": "10"}}}]}}));
    scalers.create(&PostParams::default(), &scaler).await.unwrap();
    until("it says what it cannot have", || async {
        told(&scalers, "web", "ScalingActive").await["reason"] == "FailedGetExternalMetric"
    })
    .await;
    let live = scalers.get("web").await.unwrap();
    assert_eq!(
        (&live.data["status"]["currentReplicas"], &live.data["status"]["desiredReplicas"]),
        (&json!(5), &json!(5))
    );
    let events = world.dynamic("events.k8s.io/v1", "Event", "events", Some("default"));
    until("it is told", || async {
        let all = events.list(&ListParams::default()).await.unwrap().items;
        let notes: Vec<&str> = all.iter().filter_map(|event| event.data["note"].as_str()).collect();
        notes.contains(&"New size: 5; reason: Current number of replicas above Spec.MaxReplicas")
            && notes
                .iter()
                .any(|note| note.starts_with("invalid metrics (1 invalid out of 1), first error is: "))
    })
    .await;
}

#[tokio::test]
async fn events_of_both_groups_are_the_same_objects() {
    let world = world().await;
    let pods = api(&world, "Pod", "pods");
    let pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "lone"},
        "spec": {"containers": [{"name": "app", "image": "shop/a:1"}]}}));
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let core = world.dynamic("v1", "Event", "events", Some("default"));
    let newer = world.dynamic("events.k8s.io/v1", "Event", "events", Some("default"));
    let scheduled = |api: Api<DynamicObject>| async move {
        let all = api.list(&ListParams::default()).await.unwrap().items;
        all.into_iter().find(|event| event.data["reason"] == "Scheduled")
    };
    until("it is told", || async { scheduled(core.clone()).await.is_some() }).await;
    let (old, new) = (scheduled(core.clone()).await.unwrap(), scheduled(newer.clone()).await.unwrap());
    assert_eq!(old.metadata.uid, new.metadata.uid);
    assert_eq!(
        (&old.data["action"], &old.data["reportingComponent"]),
        (&json!("Binding"), &json!("default-scheduler"))
    );
    assert_eq!(
        (&old.data["source"], &old.data["count"], &old.data["firstTimestamp"]),
        (&json!({}), &Value::Null, &Value::Null)
    );
    assert_eq!(new.data["note"], "Successfully assigned default/lone to sandbox-0");
    assert_eq!(new.data["regarding"]["name"], "lone");
    let name = old.metadata.name.clone().unwrap();
    // A series that one group counts is seen in the other.
    let series = json!({"series": {"count": 2, "lastObservedTime": "2026-03-01T10:00:00.000000Z"}});
    merge(&newer, &name, series.clone()).await;
    assert_eq!(core.get(&name).await.unwrap().data["series"], series["series"]);
}
