//! Owners whose pods are refused: it is told, and tried again.

use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};
use trueup_sandbox::SandboxOptions;

use crate::world::{World, object, until};

async fn create(world: &World, plural: &str, value: Value) {
    let (version, kind) = (value["apiVersion"].clone(), value["kind"].clone());
    let api = world.dynamic(version.as_str().unwrap(), kind.as_str().unwrap(), plural, Some("default"));
    api.create(&PostParams::default(), &object(value)).await.unwrap();
}

fn failure(live: &DynamicObject) -> Option<Value> {
    let conditions = live.data["status"]["conditions"].as_array()?;
    conditions.iter().find(|condition| condition["type"] == "ReplicaFailure").cloned()
}

#[tokio::test]
async fn refused_pods_are_told_of_and_come_when_there_is_room() {
    let world = World::with(SandboxOptions::default()).await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "few"}, "spec": {"hard": {"pods": "1"}}});
    create(&world, "resourcequotas", quota).await;
    let template = json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "a", "image": "i"}]}});
    let deployment = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 3, "selector": {"matchLabels": {"app": "web"}}, "template": template}});
    create(&world, "deployments", deployment).await;
    let deployments = world.dynamic("apps/v1", "Deployment", "deployments", Some("default"));
    let events = world.dynamic("v1", "Event", "events", Some("default"));
    until("the deployment says so", || async {
        let live = deployments.get("web").await.unwrap();
        live.data["status"]["readyReplicas"] == 1 && failure(&live).is_some()
    })
    .await;
    let failure_of = failure(&deployments.get("web").await.unwrap()).unwrap();
    let message = failure_of["message"].as_str().unwrap();
    assert_eq!(failure_of["reason"], "FailedCreate");
    assert!(
        message.ends_with("exceeded quota: few, requested: pods=1, used: pods=1, limited: pods=1"),
        "{message}"
    );
    let told = events.list(&ListParams::default().fields("reason=FailedCreate")).await.unwrap();
    let told = &told.items[0].data;
    assert_eq!((&told["type"], &told["involvedObject"]["kind"]), (&json!("Warning"), &json!("ReplicaSet")));

    let quotas = world.dynamic("v1", "ResourceQuota", "resourcequotas", Some("default"));
    quotas.delete("few", &DeleteParams::default()).await.unwrap();
    // Longer than anybody waits before he tries again.
    world.sandbox.clock().advance(Duration::from_secs(1001));
    until("all are there", || async {
        let live = deployments.get("web").await.unwrap();
        live.data["status"]["readyReplicas"] == 3 && failure(&live).is_none()
    })
    .await;
}
