//! Nodes that come, are tainted and go, and the pods on them.

use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use trueup_sandbox::SandboxOptions;

use crate::world::{World, object, until};

fn pod(name: &str, spec: &Value) -> DynamicObject {
    let mut all = json!({"containers": [{"name": "a", "image": "i"}]});
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": all}))
}

#[tokio::test]
async fn a_new_node_takes_pods_and_they_leave_it_when_it_bears_them_no_longer_or_is_gone() {
    let world = World::with(SandboxOptions::default()).await;
    let nodes = world.dynamic("v1", "Node", "nodes", None);
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    let create = PostParams::default();
    let labels = json!({"disk": "ssd"});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "second", "labels": labels}});
    nodes.create(&create, &object(node)).await.unwrap();
    let bears = json!([{"key": "x", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 60}]);
    for (name, tolerations) in [("first", json!([])), ("patient", bears)] {
        let spec = json!({"nodeSelector": {"disk": "ssd"}, "tolerations": tolerations});
        pods.create(&create, &pod(name, &spec)).await.unwrap();
    }
    let runs = async |name: &str| {
        let live = pods.get(name).await.unwrap();
        live.data["spec"]["nodeName"] == "second" && live.data["status"]["phase"] == "Running"
    };
    until("both run there", async || runs("first").await && runs("patient").await).await;

    let taint = json!({"spec": {"taints": [{"key": "x", "value": "y", "effect": "NoExecute"}]}});
    nodes.patch("second", &PatchParams::default(), &Patch::Merge(&taint)).await.unwrap();
    until("one has left", async || pods.get_opt("first").await.unwrap().is_none()).await;
    let events = world.dynamic("v1", "Event", "events", Some("default"));
    let told = events.list(&ListParams::default().fields("reason=TaintManagerEviction")).await.unwrap();
    assert_eq!(told.items[0].data["message"], "Marking for deletion Pod default/first");
    assert!(runs("patient").await);

    nodes.delete("second", &DeleteParams::default()).await.unwrap();
    // The pod stays for as long as the node may come back.
    assert!(runs("patient").await);
    // The look that sees that the node is gone may come after this, so the clock goes on until it was seen.
    until("the other has gone after its node", async || {
        world.sandbox.clock().advance(Duration::from_secs(41));
        pods.get_opt("patient").await.unwrap().is_none()
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_taken_away_stays_away() {
    let world = World::with(SandboxOptions::default()).await;
    let nodes = world.dynamic("v1", "Node", "nodes", None);
    until("the node is there", async || nodes.get_opt("sandbox-0").await.unwrap().is_some()).await;
    nodes.delete("sandbox-0", &DeleteParams::default()).await.unwrap();
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    pods.create(&PostParams::default(), &pod("waits", &json!({}))).await.unwrap();
    let nowhere = pod("nowhere", &json!({"nodeName": "nowhere"}));
    pods.create(&PostParams::default(), &nowhere).await.unwrap();
    until("it has no node", async || {
        let live = pods.get("waits").await.unwrap();
        live.data["status"]["conditions"][0]["message"] == "no nodes available to schedule pods"
    })
    .await;
    assert_eq!(pods.get("nowhere").await.unwrap().data["status"]["phase"], "Pending");
    let again = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "sandbox-0"}});
    nodes.create(&PostParams::default(), &object(again)).await.unwrap();
    until("it runs", async || pods.get("waits").await.unwrap().data["status"]["phase"] == "Running").await;
}
