//! What a namespace limits: by limit ranges, quotas and Pod Security, for people and for the sandbox's own controllers.

use kube::api::{DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};
use trueup_sandbox::{SandboxOptions, Workloads};

use crate::world::{World, object, refusal, until};

async fn world() -> World {
    World::with(SandboxOptions { workloads: Workloads::Ready, ..SandboxOptions::default() }).await
}

fn pod(name: &str, cpu: &str) -> DynamicObject {
    object(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "app", "image": "shop/web:1", "resources": {"requests": {"cpu": cpu}}}]},
    }))
}

async fn create(world: &World, kind: &str, plural: &str, spec: Value) {
    let given =
        object(json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": "limits"}, "spec": spec}));
    let objects = world.dynamic("v1", kind, plural, Some("default"));
    objects.create(&PostParams::default(), &given).await.unwrap();
}

#[tokio::test]
async fn a_quota_has_room_for_so_much() {
    let world = world().await;
    create(&world, "ResourceQuota", "resourcequotas", json!({"hard": {"requests.cpu": "1", "pods": "5"}}))
        .await;
    let quotas = world.dynamic("v1", "ResourceQuota", "resourcequotas", Some("default"));
    let used = || {
        let quotas = quotas.clone();
        async move { quotas.get("limits").await.unwrap().data["status"]["used"].clone() }
    };
    until("the quota is counted", || async { used().await["pods"] == "0" }).await;
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    pods.create(&PostParams::default(), &pod("one", "600m")).await.unwrap();
    assert_eq!(used().await, json!({"pods": "1", "requests.cpu": "600m"}));
    let refused = refusal(pods.create(&PostParams::default(), &pod("two", "500m")).await);
    assert_eq!(
        refused.message,
        "pods \"two\" is forbidden: exceeded quota: limits, requested: requests.cpu=500m, used: requests.cpu=600m, \
         limited: requests.cpu=1"
    );
    pods.delete("one", &kube::api::DeleteParams::default().grace_period(0)).await.unwrap();
    until("there is room again", || async { used().await["requests.cpu"] == "0" }).await;
    pods.create(&PostParams::default(), &pod("two", "500m")).await.unwrap();
}

#[tokio::test]
async fn the_pods_of_a_deployment_are_filled_in() {
    let world = world().await;
    let limits = json!([{"type": "Container", "default": {"memory": "64Mi"}}]);
    create(&world, "LimitRange", "limitranges", json!({"limits": limits})).await;
    let deployment = object(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "shop/web:1"}]},
            },
        },
    }));
    let deployments = world.dynamic("apps/v1", "Deployment", "deployments", Some("default"));
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    until("its pod has limits", || {
        let pods = pods.clone();
        async move {
            let listed = pods.list(&ListParams::default()).await.unwrap();
            listed.items.first().is_some_and(|pod| {
                let of_app = &pod.data["spec"]["containers"][0]["resources"];
                of_app["limits"]["memory"] == "64Mi" && of_app["requests"]["memory"] == "64Mi"
            })
        }
    })
    .await;
}

#[tokio::test]
async fn a_namespace_says_how_careful_its_pods_must_be() {
    let world = World::start().await;
    let labels = json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": "baseline"}}});
    let patch = kube::api::Patch::Merge(labels);
    world.namespaces().patch("default", &kube::api::PatchParams::default(), &patch).await.unwrap();
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    pods.create(&PostParams::default(), &pod("fine", "1")).await.unwrap();
    let mut careless = pod("careless", "1");
    careless.data["spec"]["hostPID"] = true.into();
    careless.data["spec"]["containers"][0]["securityContext"] = json!({"privileged": true});
    let refused = refusal(pods.create(&PostParams::default(), &careless).await);
    assert_eq!(
        refused.message,
        "pods \"careless\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostPID=true), \
         privileged (container \"app\" must not set securityContext.privileged=true)"
    );
}
