//! Custom kinds: served as soon as they are defined, by their schema, and gone with their definition.

use futures::StreamExt as _;
use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams, WatchParams};
use serde_json::json;

use crate::world::{World, object, refusal, soon, until};

fn definition() -> DynamicObject {
    object(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "tickets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"kind": "Ticket", "plural": "tickets", "shortNames": ["tk"]},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {"type": "object", "required": ["title"], "properties": {
                        "title": {"type": "string"},
                        "size": {"type": "integer", "default": 3, "minimum": 1}}},
                    "status": {"type": "object", "properties": {"phase": {"type": "string"}}}}}},
            }],
        },
    }))
}

async fn with_definition() -> World {
    let world = World::start().await;
    let definitions = world.dynamic(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        None,
    );
    definitions.create(&PostParams::default(), &definition()).await.unwrap();
    world
}

fn ticket(spec: serde_json::Value) -> DynamicObject {
    object(json!({"apiVersion": "example.com/v1", "kind": "Ticket", "metadata": {"name": "t"}, "spec": spec}))
}

#[tokio::test]
async fn a_definition_is_served_at_once() {
    let world = with_definition().await;
    let definitions = world.dynamic(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        None,
    );
    let definition = definitions.get("tickets.example.com").await.unwrap();
    let conditions: Vec<(String, String)> = definition.data["status"]["conditions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|condition| {
            let text = |key: &str| condition[key].as_str().unwrap().to_owned();
            (text("type"), text("status"))
        })
        .collect();
    assert_eq!(
        conditions,
        [("NamesAccepted".to_owned(), "True".to_owned()), ("Established".to_owned(), "True".to_owned())]
    );
    assert_eq!(definition.data["status"]["acceptedNames"]["plural"], "tickets");
    let discovered = kube::discovery::group(&world.client, "example.com").await.unwrap();
    assert!(discovered.recommended_kind("Ticket").is_some());
    let tickets = world.dynamic("example.com/v1", "Ticket", "tickets", Some("default"));
    assert!(tickets.list(&ListParams::default()).await.unwrap().items.is_empty());
}

#[tokio::test]
async fn objects_are_pruned_defaulted_and_validated() {
    let world = with_definition().await;
    let tickets = world.dynamic("example.com/v1", "Ticket", "tickets", Some("default"));
    let created = tickets
        .create(&PostParams::default(), &ticket(json!({"title": "a", "colour": "red"})))
        .await
        .unwrap();
    assert_eq!(created.data["spec"], json!({"size": 3, "title": "a"}));
    let refused = refusal(tickets.create(&PostParams::default(), &ticket(json!({"size": 0}))).await);
    assert_eq!((refused.code, refused.reason.as_str()), (422, "Invalid"));
    assert!(refused.message.contains("spec.title: Required value"), "{}", refused.message);
    assert!(
        refused.message.contains("spec.size in body should be greater than or equal to 1"),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn status_is_written_through_its_own_path() {
    let world = with_definition().await;
    let tickets = world.dynamic("example.com/v1", "Ticket", "tickets", Some("default"));
    tickets.create(&PostParams::default(), &ticket(json!({"title": "a"}))).await.unwrap();
    let both = Patch::Merge(json!({"spec": {"title": "b"}, "status": {"phase": "Open"}}));
    let patched = tickets.patch("t", &PatchParams::default(), &both).await.unwrap();
    assert_eq!((&patched.data["spec"]["title"], patched.data.get("status")), (&json!("b"), None));
    let patched = tickets.patch_status("t", &PatchParams::default(), &both).await.unwrap();
    assert_eq!(patched.data["status"]["phase"], "Open");
}

#[tokio::test]
async fn a_definition_takes_its_objects_along() {
    let world = with_definition().await;
    let tickets = world.dynamic("example.com/v1", "Ticket", "tickets", Some("default"));
    tickets.create(&PostParams::default(), &ticket(json!({"title": "a"}))).await.unwrap();
    let watch = tickets.watch(&WatchParams::default(), "0").await.unwrap();
    let definitions = world.dynamic(
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        None,
    );
    definitions.delete("tickets.example.com", &DeleteParams::default()).await.unwrap();
    let gone = || async { definitions.get_opt("tickets.example.com").await.unwrap().is_none() };
    until("the definition is gone", gone).await;
    soon("the end of the watch", watch.for_each(|_| async {})).await;
    let missing = refusal(tickets.list(&ListParams::default()).await);
    assert_eq!(missing.code, 404);
}
