//! Deletion: finalizers, owners, namespaces.

use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams, Preconditions};
use serde_json::{Value, json};

use crate::world::{World, refusal, until};

async fn create(world: &World, value: Value) -> ConfigMap {
    let object = serde_json::from_value(value).unwrap();
    world.config_maps().create(&PostParams::default(), &object).await.unwrap()
}

async fn is_gone(world: &World, name: &str) -> bool {
    world.config_maps().get_opt(name).await.unwrap().is_none()
}

#[tokio::test]
async fn a_finalizer_keeps_the_object_until_it_is_removed() {
    let world = World::start().await;
    create(&world, json!({"metadata": {"name": "a", "finalizers": ["example.com/wait"]}})).await;
    let maps = world.config_maps();
    let left = maps.delete("a", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert!(left.metadata.deletion_timestamp.is_some());
    assert!(maps.get_opt("a").await.unwrap().is_some());
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert!(is_gone(&world, "a").await);
}

#[tokio::test]
async fn preconditions_are_kept() {
    let world = World::start().await;
    let created = create(&world, json!({"metadata": {"name": "a"}})).await;
    let with = |preconditions| DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    let other = Preconditions { uid: Some("other".to_owned()), resource_version: None };
    let status = refusal(world.config_maps().delete("a", &with(other)).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let same =
        Preconditions { uid: created.metadata.uid, resource_version: created.metadata.resource_version };
    let deleted = world.config_maps().delete("a", &with(same)).await.unwrap().right().unwrap();
    assert_eq!(deleted.details.unwrap().name, "a");
}

fn owned(name: &str, owner: &ConfigMap, blocks: bool) -> Value {
    json!({"metadata": {"name": name, "ownerReferences": [{
        "apiVersion": "v1", "kind": "ConfigMap", "name": owner.metadata.name, "uid": owner.metadata.uid,
        "blockOwnerDeletion": blocks,
    }]}})
}

#[tokio::test]
async fn dependents_follow_their_owner() {
    let world = World::start().await;
    let owner = create(&world, json!({"metadata": {"name": "owner"}})).await;
    let child = create(&world, owned("child", &owner, false)).await;
    create(&world, owned("grandchild", &child, false)).await;
    world.config_maps().delete("owner", &DeleteParams::background()).await.unwrap();
    until("the grandchild is gone", || is_gone(&world, "grandchild")).await;
    assert!(is_gone(&world, "child").await);
}

#[tokio::test]
async fn in_the_foreground_the_owner_goes_last() {
    let world = World::start().await;
    let owner = create(&world, json!({"metadata": {"name": "owner"}})).await;
    let mut child = owned("child", &owner, true);
    child["metadata"]["finalizers"] = json!(["example.com/wait"]);
    create(&world, child).await;
    let maps = world.config_maps();
    maps.delete("owner", &DeleteParams::foreground()).await.unwrap();
    let is_going = || async { maps.get("child").await.unwrap().metadata.deletion_timestamp.is_some() };
    until("the child is being deleted", is_going).await;
    assert!(!is_gone(&world, "owner").await);
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("child", &PatchParams::default(), &patch).await.unwrap();
    until("the owner is gone", || is_gone(&world, "owner")).await;
}

#[tokio::test]
async fn orphans_stay_without_an_owner() {
    let world = World::start().await;
    let owner = create(&world, json!({"metadata": {"name": "owner"}})).await;
    create(&world, owned("child", &owner, true)).await;
    world.config_maps().delete("owner", &DeleteParams::orphan()).await.unwrap();
    until("the owner is gone", || is_gone(&world, "owner")).await;
    let child = world.config_maps().get("child").await.unwrap();
    assert!(child.metadata.owner_references.unwrap_or_default().is_empty());
}

#[tokio::test]
async fn a_namespace_takes_its_content_along() {
    let world = World::start().await;
    let namespace = serde_json::from_value(json!({"metadata": {"name": "web"}})).unwrap();
    world.namespaces().create(&PostParams::default(), &namespace).await.unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(world.client.clone(), "web");
    let object: ConfigMap =
        serde_json::from_value(json!({"metadata": {"name": "a", "finalizers": ["example.com/wait"]}}))
            .unwrap();
    maps.create(&PostParams::default(), &object).await.unwrap();
    world.namespaces().delete("web", &DeleteParams::default()).await.unwrap();
    let terminating = world.namespaces().get("web").await.unwrap();
    assert_eq!(terminating.status.unwrap().phase.as_deref(), Some("Terminating"));
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "b"}})).unwrap();
    let refused = refusal(maps.create(&PostParams::default(), &object).await);
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    let is_going = || async { maps.get("a").await.unwrap().metadata.deletion_timestamp.is_some() };
    until("the content is being deleted", is_going).await;
    let patch = Patch::Merge(json!({"metadata": {"finalizers": null}}));
    maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    until("the namespace is gone", || async { world.namespaces().get_opt("web").await.unwrap().is_none() })
        .await;
}

#[tokio::test]
async fn some_namespaces_stay() {
    let world = World::start().await;
    let refused = refusal(world.namespaces().delete("kube-system", &DeleteParams::default()).await);
    assert_eq!(refused.message, "namespaces \"kube-system\" is forbidden: this namespace may not be deleted");
}
