//! Faults on demand, as clients meet them.

use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::world::{World, client, refusal};

#[tokio::test]
async fn only_the_administrator_sets_faults() {
    let world = World::start().await;
    let rules = json!([{"kind": "status", "code": 500, "retryAfter": 2, "match": {"kind": "ConfigMap"}}]);
    let post = || http::Request::post("/sandbox/faults").body(rules.to_string().into_bytes()).unwrap();
    let alice = client(&world.sandbox, "alice@example.com").await;
    assert_eq!(refusal(alice.request::<Value>(post()).await).code, 403);

    let set: Value = world.client.request(post()).await.unwrap();
    assert_eq!(set[0]["code"], 500);
    let refused = refusal(
        alice
            .request::<Value>(
                http::Request::get("/api/v1/namespaces/default/configmaps/a").body(Vec::new()).unwrap(),
            )
            .await,
    );
    assert_eq!((refused.code, refused.reason.as_str()), (500, "InternalError"));
    assert_eq!(refused.details.unwrap().retry_after_seconds, 2);

    let delete = http::Request::delete("/sandbox/faults").body(Vec::new()).unwrap();
    world.client.request::<Value>(delete).await.unwrap();
    assert_eq!(refusal(world.config_maps().get("a").await).code, 404);
}

#[tokio::test]
async fn a_bad_rule_is_explained() {
    let world = World::start().await;
    let request = http::Request::post("/sandbox/faults").body(br#"{"kind":"flood"}"#.to_vec()).unwrap();
    let refused = refusal(world.client.request::<Value>(request).await);
    assert_eq!(refused.code, 400);
    assert!(refused.message.contains("unknown fault"), "{}", refused.message);
}

#[tokio::test]
async fn a_cut_request_has_its_effect_and_no_answer() {
    let world = World::start().await;
    world.create_config_map("a", &json!({"v": "1"})).await;
    world.set_faults(&json!({"cut": {"match": {"verb": "patch"}}}));
    let patch = Patch::Merge(json!({"data": {"v": "2"}}));
    let lost = world.config_maps().patch("a", &PatchParams::default(), &patch).await.unwrap_err();
    assert!(!matches!(lost, kube::Error::Api(_)), "{lost}");
    world.sandbox.faults().clear();
    assert_eq!(world.config_maps().get("a").await.unwrap().data.unwrap()["v"], "2");
}

#[tokio::test]
async fn a_list_breaks_off_after_some_objects() {
    let world = World::start().await;
    for name in ["a", "b", "c"] {
        world.create_config_map(name, &json!({})).await;
    }
    world.set_faults(&json!({"partial-list": {"kind": "ConfigMap", "keep": 2}}));
    let page = world.config_maps().list(&ListParams::default().limit(100)).await.unwrap();
    assert_eq!(page.items.len(), 2);
    let next = ListParams::default().limit(100).continue_token(&page.metadata.continue_.unwrap());
    assert_eq!(refusal(world.config_maps().list(&next).await).code, 500);
    // Whoever asks for all at once gets nothing, not a part that looks whole.
    assert_eq!(refusal(world.config_maps().list(&ListParams::default()).await).code, 500);
}

#[tokio::test]
async fn conflicts_come_as_often_as_asked() {
    let world = World::start().await;
    world.create_config_map("a", &json!({})).await;
    world.set_faults(&json!({"conflict": {"times": 1, "match": {"name": "a"}}}));
    let patch = Patch::Merge(json!({"data": {"v": "2"}}));
    let maps = world.config_maps();
    let refused = refusal(maps.patch("a", &PatchParams::default(), &patch).await);
    assert_eq!((refused.code, refused.reason.as_str()), (409, "Conflict"));
    maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
}
