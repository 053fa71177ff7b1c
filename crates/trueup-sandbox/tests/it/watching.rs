//! Watches: what they begin with, what they show, how they end.

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, DeleteParams, Patch, PatchParams, WatchEvent, WatchParams};
use kube::runtime::watcher;
use serde_json::json;

use crate::world::{World, soon};

/// An event in short: what happened to which object.
fn short(event: &WatchEvent<ConfigMap>) -> String {
    let name = |object: &ConfigMap| object.metadata.name.clone().unwrap_or_default();
    match event {
        WatchEvent::Added(object) => format!("+{}", name(object)),
        WatchEvent::Modified(object) => format!("~{}", name(object)),
        WatchEvent::Deleted(object) => format!("-{}", name(object)),
        WatchEvent::Bookmark(bookmark) => {
            let ends = bookmark.metadata.annotations.contains_key("k8s.io/initial-events-end");
            if ends { "end of what is".to_owned() } else { "bookmark".to_owned() }
        }
        WatchEvent::Error(status) => format!("error {} {}", status.code, status.reason),
    }
}

async fn events(world: &World, parameters: &WatchParams, version: &str, count: usize) -> Vec<String> {
    let stream = world.config_maps().watch(parameters, version).await.unwrap();
    let events = soon("events", stream.take(count).try_collect::<Vec<_>>()).await.unwrap();
    events.iter().map(short).collect()
}

#[tokio::test]
async fn a_watch_begins_with_what_is_there_or_after_a_version() {
    let world = World::start().await;
    let a = world.create_config_map("a", &json!({})).await;
    world.create_config_map("b", &json!({})).await;
    world.config_maps().delete("a", &DeleteParams::default()).await.unwrap();
    let parameters = WatchParams::default();
    assert_eq!(events(&world, &parameters, "0", 1).await, ["+b"]);
    let version = a.metadata.resource_version.unwrap();
    assert_eq!(events(&world, &parameters, &version, 2).await, ["+b", "-a"]);
}

#[tokio::test]
async fn a_selector_decides_what_appears_and_disappears() {
    let world = World::start().await;
    let maps = world.config_maps();
    let object =
        serde_json::from_value(json!({"metadata": {"name": "a", "labels": {"app": "web"}}})).unwrap();
    let created = maps.create(&Default::default(), &object).await.unwrap();
    for labels in [json!({"app": "db"}), json!({"app": "web"})] {
        let patch = Patch::Merge(json!({"metadata": {"labels": labels}}));
        maps.patch("a", &PatchParams::default(), &patch).await.unwrap();
    }
    let parameters = WatchParams::default().labels("app=web");
    let version = created.metadata.resource_version.unwrap();
    assert_eq!(events(&world, &parameters, &version, 2).await, ["-a", "+a"]);
}

#[tokio::test]
async fn a_watch_list_marks_where_what_was_there_ends() {
    let world = World::start().await;
    world.create_config_map("a", &json!({})).await;
    let parameters = WatchParams::default().initial_events();
    let seen = events(&world, &parameters, "", 2).await;
    assert_eq!(seen, ["+a", "end of what is"]);
}

#[tokio::test]
async fn a_watch_from_a_forgotten_version_is_told_so() {
    let world = World::start().await;
    let a = world.create_config_map("a", &json!({})).await;
    world.create_config_map("b", &json!({})).await;
    world.sandbox.api().store().compact();
    let version = a.metadata.resource_version.unwrap();
    assert_eq!(events(&world, &WatchParams::default(), &version, 1).await, ["error 410 Expired"]);
}

#[tokio::test]
async fn a_watch_ends_when_the_client_said() {
    let world = World::start().await;
    let parameters = WatchParams::default().timeout(1);
    let stream = world.config_maps().watch(&parameters, "0").await.unwrap();
    let events = soon("the end", stream.try_collect::<Vec<_>>()).await.unwrap();
    assert!(events.is_empty(), "{}", events.len());
}

#[tokio::test]
async fn watches_end_with_the_sandbox() {
    let World { sandbox, client } = World::start().await;
    let maps: Api<ConfigMap> = Api::namespaced(client, "default");
    let stream = maps.watch(&WatchParams::default(), "0").await.unwrap();
    soon("the end of the sandbox", sandbox.shutdown()).await;
    soon("the end of the watch", stream.for_each(|_| async {})).await;
    assert!(maps.get("a").await.is_err());
}

#[tokio::test]
async fn a_client_that_keeps_watching_misses_nothing() {
    let world = World::start().await;
    let mut stream = watcher(world.config_maps(), watcher::Config::default()).boxed();
    let mut seen = Vec::new();
    let mut next_named = async |wanted: &str, seen: &mut Vec<String>| {
        while !seen.iter().any(|name| name == wanted) {
            let event = soon("an event", stream.next()).await.unwrap();
            if let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event {
                seen.push(object.metadata.name.unwrap());
            }
        }
    };
    world.create_config_map("first", &json!({})).await;
    next_named("first", &mut seen).await;
    // The watch is dropped, and what it would continue from is forgotten meanwhile.
    world.set_faults(&json!({"drop-watch": {"after": 0}}));
    for name in ["second", "third"] {
        world.create_config_map(name, &json!({})).await;
    }
    world.sandbox.api().store().compact();
    world.sandbox.faults().clear();
    next_named("third", &mut seen).await;
    assert!(seen.iter().any(|name| name == "second"), "{seen:?}");
}
