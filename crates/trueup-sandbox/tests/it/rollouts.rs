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
