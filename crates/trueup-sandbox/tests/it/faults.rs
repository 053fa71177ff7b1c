//! Faults on demand, as clients meet them.

use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, WatchEvent, WatchParams};
use serde_json::{Value, json};

use crate::world::{World, client, refusal, soon, until};

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

#[tokio::test]
async fn a_slow_request_is_served_in_the_end() {
    let world = World::start().await;
    world.create_config_map("a", &json!({})).await;
    world.set_faults(&json!({"kind": "latency", "ms": 30, "match": {"verb": "get"}}));
    let began = tokio::time::Instant::now();
    world.config_maps().get("a").await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(30));
}

#[tokio::test]
async fn a_stale_read_shows_the_past() {
    let world = World::start().await;
    world.create_config_map("a", &json!({"v": "1"})).await;
    let patch = Patch::Merge(json!({"data": {"v": "2"}}));
    let maps = world.config_maps();
    maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    world.set_faults(&json!({"kind": "stale-read", "versions": 1}));
    assert_eq!(maps.get("a").await.unwrap().data.unwrap()["v"], "1");
    let listed = maps.list(&ListParams::default()).await.unwrap();
    assert_eq!(listed.items[0].data.as_ref().unwrap()["v"], "1");
    world.set_faults(&json!({"kind": "stale-read", "versions": 1}));
    world.sandbox.faults().clear();
    assert_eq!(maps.get("a").await.unwrap().data.unwrap()["v"], "2");
}

/// The types of the next events of a watch.
async fn types(
    watch: &mut (impl futures::TryStream<Ok = WatchEvent<ConfigMap>, Error = kube::Error> + Unpin),
    n_events: usize,
) -> Vec<&'static str> {
    let mut types = Vec::new();
    for _ in 0..n_events {
        types.push(match soon("an event", watch.try_next()).await.unwrap() {
            Some(WatchEvent::Added(_)) => "added",
            Some(WatchEvent::Modified(_)) => "modified",
            Some(WatchEvent::Deleted(_)) => "deleted",
            Some(WatchEvent::Bookmark(_)) => "bookmark",
            Some(WatchEvent::Error(status)) => {
                assert_eq!((status.code, status.reason.as_str()), (410, "Expired"));
                "gone"
            }
            None => "end",
        });
    }
    types
}

#[tokio::test]
async fn events_come_late_and_twice() {
    let world = World::start().await;
    world.set_faults(&json!([{"kind": "late-watch", "ms": 30}, {"kind": "duplicate-events"}]));
    let mut watch = world.config_maps().watch(&WatchParams::default(), "0").await.unwrap().boxed();
    let began = tokio::time::Instant::now();
    world.create_config_map("a", &json!({})).await;
    assert_eq!(types(&mut watch, 2).await, ["added", "added"]);
    assert!(began.elapsed() >= Duration::from_millis(30));
    world.sandbox.faults().clear();
    world.create_config_map("b", &json!({})).await;
    world.config_maps().delete("b", &DeleteParams::default()).await.unwrap();
    assert_eq!(types(&mut watch, 2).await, ["added", "deleted"]);
}

#[tokio::test]
async fn a_history_that_is_gone_is_told() {
    let world = World::start().await;
    let created = world.create_config_map("a", &json!({})).await;
    let maps = world.config_maps();
    let revision = created.metadata.resource_version.unwrap();
    let mut running = maps.watch(&WatchParams::default(), &revision).await.unwrap().boxed();
    world.set_faults(&json!({"gone": {"kind": "ConfigMap"}}));
    assert_eq!(types(&mut running, 2).await, ["gone", "end"]);
    let mut next = maps.watch(&WatchParams::default(), &revision).await.unwrap().boxed();
    assert_eq!(types(&mut next, 2).await, ["gone", "end"]);
    // Who begins anew is served.
    let mut anew = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    assert_eq!(types(&mut anew, 1).await, ["added"]);
}

#[tokio::test]
async fn a_restart_ends_watches_and_forgets_the_past() {
    let world = World::start().await;
    let created = world.create_config_map("a", &json!({})).await;
    world.create_config_map("b", &json!({})).await;
    let maps = world.config_maps();
    let revision = created.metadata.resource_version.unwrap();
    let mut watch = maps.watch(&WatchParams::default(), &revision).await.unwrap().boxed();
    assert_eq!(types(&mut watch, 1).await, ["added"]);
    let request = http::Request::post("/sandbox/restart").body(Vec::new()).unwrap();
    world.client.request::<Value>(request).await.unwrap();
    assert_eq!(types(&mut watch, 1).await, ["end"]);
    let mut again = maps.watch(&WatchParams::default(), &revision).await.unwrap().boxed();
    assert_eq!(types(&mut again, 2).await, ["gone", "end"]);
}

#[tokio::test]
async fn a_controller_that_is_killed_hears_nothing() {
    let world = World::start().await;
    world.create_config_map("a", &json!({"v": "1"})).await;
    for (step, left) in [("intent", "1"), ("applied", "2")] {
        world.set_faults(&json!({"kind": "kill-controller-at", "step": step, "match": {"verb": "patch"}}));
        let mut kills = world.sandbox.faults().kills();
        let maps = world.config_maps();
        let patch = Patch::Merge(json!({"data": {"v": "2"}}));
        let params = PatchParams::default();
        let request = maps.patch("a", &params, &patch);
        tokio::select! {
            answered = request => panic!("{step}: answered {answered:?}"),
            killed = soon("a kill", kills.changed()) => killed.unwrap(),
        }
        world.sandbox.faults().clear();
        until("the effect", || async { maps.get("a").await.unwrap().data.unwrap()["v"] == left }).await;
    }
}
