//! Claims and volumes: binding, provisioning, waiting for pods, protection and what is left in the end.

use kube::api::{Api, DeleteParams, DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};
use trueup_sandbox::SandboxOptions;

use crate::world::{World, object, until};

async fn world(class: Option<&str>) -> World {
    let storage_class = class.map(str::to_owned);
    World::with(SandboxOptions { storage_class, ..SandboxOptions::default() }).await
}

fn claims(world: &World) -> Api<DynamicObject> {
    world.dynamic("v1", "PersistentVolumeClaim", "persistentvolumeclaims", Some("default"))
}

fn volumes(world: &World) -> Api<DynamicObject> {
    world.dynamic("v1", "PersistentVolume", "persistentvolumes", None)
}

fn claim(name: &str, class: Option<&str>) -> DynamicObject {
    let mut claim = json!({"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "500Mi"}}}});
    if let Some(class) = class {
        claim["spec"]["storageClassName"] = json!(class);
    }
    object(claim)
}

fn volume(name: &str, policy: &str) -> DynamicObject {
    object(json!({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name},
        "spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "storageClassName": "",
            "persistentVolumeReclaimPolicy": policy, "hostPath": {"path": "/tmp/a"}}}))
}

fn user(name: &str, claim: &str) -> DynamicObject {
    object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "a", "image": "i"}],
            "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": claim}}]}}))
}

async fn phase(api: &Api<DynamicObject>, name: &str) -> String {
    let live = api.get_opt(name).await.unwrap();
    live.map_or_else(|| "gone".to_owned(), |live| live.data["status"]["phase"].as_str().unwrap().to_owned())
}

async fn reaches(api: &Api<DynamicObject>, name: &str, wanted: &str) {
    until(&format!("{name} is {wanted}"), || async { phase(api, name).await == wanted }).await;
}

fn managers(object: &DynamicObject) -> Vec<String> {
    let of = |entry: &Value| {
        let part = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        format!("{}/{}", part("manager"), part("subresource"))
    };
    let entries = serde_json::to_value(object.metadata.managed_fields.clone()).unwrap();
    entries.as_array().unwrap().iter().map(of).collect()
}

#[tokio::test]
async fn a_claim_gets_a_volume_and_both_are_kept_while_they_are_used() {
    let world = world(None).await;
    let (claims, volumes) = (claims(&world), volumes(&world));
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    let post = PostParams::default();
    claims.create(&post, &claim("data", Some(""))).await.unwrap();
    pods.create(&post, &user("user", "data")).await.unwrap();
    until("the pod says what it waits for", || async {
        let live = pods.get("user").await.unwrap();
        live.data["status"]["conditions"][0]["message"]
            == "0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"
    })
    .await;
    volumes.create(&post, &volume("disk", "Retain")).await.unwrap();
    reaches(&claims, "data", "Bound").await;
    reaches(&pods, "user", "Running").await;
    let (bound, disk) = (claims.get("data").await.unwrap(), volumes.get("disk").await.unwrap());
    assert_eq!(bound.data["spec"]["volumeName"], "disk");
    assert_eq!(bound.data["status"]["capacity"]["storage"], "1Gi");
    for key in ["pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller"] {
        assert_eq!(bound.metadata.annotations.as_ref().unwrap()[key], "yes");
    }
    assert_eq!(disk.data["spec"]["claimRef"]["uid"], json!(bound.metadata.uid));
    for object in [&bound, &disk] {
        let managers = managers(object);
        for manager in ["kube-controller-manager/", "kube-controller-manager/status"] {
            assert!(managers.iter().any(|it| it == manager), "{managers:?}");
        }
    }
    claims.delete("data", &DeleteParams::default()).await.unwrap();
    volumes.delete("disk", &DeleteParams::default()).await.unwrap();
    assert_eq!(phase(&volumes, "disk").await, "Bound");
    pods.delete("user", &DeleteParams::default()).await.unwrap();
    reaches(&claims, "data", "gone").await;
    reaches(&volumes, "disk", "gone").await;
}

#[tokio::test]
async fn claims_of_the_default_class_get_volumes_for_their_pods() {
    let world = world(Some("standard")).await;
    let (claims, volumes) = (claims(&world), volumes(&world));
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    let post = PostParams::default();
    let made = claims.create(&post, &claim("data", None)).await.unwrap();
    assert_eq!(made.data["spec"]["storageClassName"], "standard");
    let events = world.dynamic("v1", "Event", "events", Some("default"));
    until("it is told what the claim waits for", || async {
        let all = events.list(&ListParams::default()).await.unwrap().items;
        all.iter().any(|event| event.data["reason"] == "WaitForFirstConsumer")
    })
    .await;
    assert_eq!(phase(&claims, "data").await, "Pending");
    pods.create(&post, &user("user", "data")).await.unwrap();
    reaches(&claims, "data", "Bound").await;
    reaches(&pods, "user", "Running").await;
    let bound = claims.get("data").await.unwrap();
    let node = &bound.metadata.annotations.as_ref().unwrap()["volume.kubernetes.io/selected-node"];
    assert_eq!(node, "sandbox-0");
    let name = format!("pvc-{}", bound.metadata.uid.clone().unwrap());
    let disk = volumes.get(&name).await.unwrap();
    assert_eq!(disk.data["spec"]["capacity"]["storage"], "500Mi");
    assert_eq!(disk.data["spec"]["persistentVolumeReclaimPolicy"], "Delete");
    pods.delete("user", &DeleteParams::default()).await.unwrap();
    claims.delete("data", &DeleteParams::default()).await.unwrap();
    reaches(&claims, "data", "gone").await;
    reaches(&volumes, &name, "gone").await;
}

#[tokio::test]
async fn a_pod_waits_for_a_volume_that_its_claim_waits_for_it_to_choose() {
    let world = world(None).await;
    let classes = world.dynamic("storage.k8s.io/v1", "StorageClass", "storageclasses", None);
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    let post = PostParams::default();
    let local = object(
        json!({"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "local"},
        "provisioner": "kubernetes.io/no-provisioner", "volumeBindingMode": "WaitForFirstConsumer"}),
    );
    classes.create(&post, &local).await.unwrap();
    claims(&world).create(&post, &claim("data", Some("local"))).await.unwrap();
    pods.create(&post, &user("user", "data")).await.unwrap();
    until("the pod says what it waits for", || async {
        let live = pods.get("user").await.unwrap();
        let message = live.data["status"]["conditions"][0]["message"].as_str().unwrap_or_default().to_owned();
        message.contains("1 node(s) didn't find available persistent volumes to bind")
    })
    .await;
    let mut disk = volume("disk", "Retain");
    disk.data["spec"]["storageClassName"] = json!("local");
    volumes(&world).create(&post, &disk).await.unwrap();
    reaches(&pods, "user", "Running").await;
}

#[tokio::test]
async fn a_volume_is_released_reclaimed_or_lost() {
    let world = world(None).await;
    let (claims, volumes) = (claims(&world), volumes(&world));
    let post = PostParams::default();
    for (policy, left) in [("Retain", "Released"), ("Delete", "gone"), ("Recycle", "Available")] {
        volumes.create(&post, &volume("disk", policy)).await.unwrap();
        reaches(&volumes, "disk", "Available").await;
        claims.create(&post, &claim("data", Some(""))).await.unwrap();
        reaches(&claims, "data", "Bound").await;
        claims.delete("data", &DeleteParams::default()).await.unwrap();
        reaches(&volumes, "disk", left).await;
        if left != "gone" {
            volumes.delete("disk", &DeleteParams::default()).await.unwrap();
            reaches(&volumes, "disk", "gone").await;
        }
    }
    volumes.create(&post, &volume("disk", "Retain")).await.unwrap();
    claims.create(&post, &claim("data", Some(""))).await.unwrap();
    reaches(&claims, "data", "Bound").await;
    volumes.delete("disk", &DeleteParams::default()).await.unwrap();
    let finalizers = serde_json::json!({"metadata": {"finalizers": null}});
    let merge = kube::api::Patch::Merge(finalizers);
    volumes.patch("disk", &kube::api::PatchParams::default(), &merge).await.unwrap();
    reaches(&claims, "data", "Lost").await;
}
