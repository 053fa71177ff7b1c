//! An API server that is down, fails, or answers in part: nothing is concluded from not knowing.

use std::time::Duration;

use crate::world::{CONFIG_MAPS, DEFINITIONS, DEPLOYMENT, World, config_map, deployment, value};

const AUTOMATED: &str = r#"{"syncPolicy":{"automated":{"prune":true,"selfHeal":true,"allowEmpty":true}}}"#;

const WIDGETS: &str = "/apis/example.com/v1/namespaces/web/widgets/one";

const WIDGET: &str = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: one}\nspec: {colour: red}\n";

fn definition() -> String {
    r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.com"},
        "spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},
        "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object",
        "properties":{"spec":{"type":"object","properties":{"colour":{"type":"string"}}}}}}}]}}"#
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_down_at_the_start_is_waited_for() {
    let mut world = World::without_controller(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", AUTOMATED).await;
    world.gate.shut().await;
    world.control("first").await;
    let board = world.board();
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(!board.shown().ready);
    world.gate.open().await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_goes_down_later_is_taken_up_where_it_is() {
    let mut world = World::start(&[
        ("apps/web/deployment.yaml", &deployment(2)),
        ("apps/web/settings.yaml", &config_map("settings", "1")),
    ])
    .await;
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.gate.shut().await;
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.commit(&[("apps/web/settings.yaml", None)]);
    world.gate.open().await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.refresh("web").await;
    world.wait(&format!("{CONFIG_MAPS}/settings"), |found| found.is_none()).await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

/// Every request fails for a while, and a change is made behind our back.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_is_tried_again() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.fault(r#"{"kind":"status","code":503}"#, r#"{"verb":["create","patch","update","delete"]}"#);
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    let before = world.n_writes("deployments");
    world.until_true("a heal was tried", || world.n_writes("deployments") > before).await;
    world.mend();
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

/// A server that refuses to answer for long is no refusal of the commit.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_is_not_answered_is_not_hammered_and_goes_through_at_last() {
    let world = World::start(&[("apps/web/settings.yaml", &config_map("settings", "1"))]).await;
    world.fault(r#"{"kind":"status","code":503}"#, r#"{"verb":["create","patch"],"kind":"ConfigMap"}"#);
    world.application("web", AUTOMATED).await;
    world.until_true("it was tried", || world.n_writes("configmaps") > 2).await;
    for _ in 0..6 {
        world.forward(200);
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    let n_tries = world.n_writes("configmaps");
    assert!(n_tries < 100, "{n_tries} requests in a few seconds");
    world.mend();
    world.forward(200);
    world.until_well("web", "Synced").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_watches_lose_no_drift() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.fault(r#"{"kind":"drop-watch","after":"0s"}"#, "{}");
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.mend();
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

/// What a listing did not come to is not absent: nothing is created over it, nothing pruned, and nothing is Synced.
#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_breaks_off_is_no_knowledge() {
    let files = [("apps/web/a.yaml", config_map("a", "1")), ("apps/web/b.yaml", config_map("b", "1"))];
    let mut world = World::start(&files.each_ref().map(|(path, content)| (*path, content.as_str()))).await;
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.stop().await;
    world.commit(&[("apps/web/b.yaml", None)]);
    world.fault(r#"{"kind":"partial-list","keep":0}"#, r#"{"kind":"ConfigMap"}"#);
    world.fault(r#"{"kind":"status","code":400}"#, r#"{"kind":"ConfigMap","verb":"watch"}"#);
    world.control("first").await;
    let status = world.until_is("web", "Unknown").await;
    assert!(!status.list_at(&["conditions"]).is_empty(), "{status:?}");
    assert!(world.find(&format!("{CONFIG_MAPS}/b")).await.is_some());
    world.mend();
    world.wait(&format!("{CONFIG_MAPS}/b"), |found| found.is_none()).await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forbidden_kind_is_named_and_recovers() {
    let world = World::start(&[
        ("apps/web/deployment.yaml", &deployment(2)),
        ("apps/web/settings.yaml", &config_map("settings", "1")),
    ])
    .await;
    world.fault(r#"{"kind":"status","code":403}"#, r#"{"kind":"Deployment"}"#);
    world.application("web", AUTOMATED).await;
    world.until_condition("web", "ComparisonError", "grant list and watch").await;
    world.until_is("web", "Unknown").await;
    // A request for what cannot be seen ends, and does not claim success.
    world.operation("web", r#"{"sync":{}}"#).await;
    let status = world.until_ended("web", "Failed").await;
    assert!(status.str_at(&["operationState", "message"]).unwrap().contains("Deployment/web"), "{status:?}");
    assert!(world.find_deployment().await.is_none());
    world.mend();
    world.until_well("web", "Synced").await;
    world.end().await;
}

/// The rights are taken away later: the verdict stands for a while, is then Unknown, and comes back.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_becomes_invisible_leaves_the_last_verdict_for_a_while() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.fault(r#"{"kind":"status","code":403}"#, r#"{"kind":"Deployment"}"#);
    world.fault(r#"{"kind":"drop-watch","after":"0s"}"#, r#"{"kind":"Deployment"}"#);
    world.until_condition("web", "StaleWarning", "stands until").await;
    let status = world.until_condition("web", "ComparisonError", "grant list and watch").await;
    assert_eq!(status.str_at(&["sync", "status"]), Some("Synced"));
    world.forward(181);
    world.until_is("web", "Unknown").await;
    assert!(world.find_deployment().await.is_some());
    world.mend();
    world.until_well("web", "Synced").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_nobody_serves_is_missing_until_its_definition_comes() {
    let world = World::start(&[("apps/web/widget.yaml", WIDGET)]).await;
    world.application("web", AUTOMATED).await;
    world.until("web", |status| status.str_at(&["health", "status"]) == Some("Missing")).await;
    world.until_condition("web", "SyncError", "install its definition").await;
    world.create(DEFINITIONS, &value(&definition())).await;
    world.until_well("web", "Synced").await;
    assert!(world.find(WIDGETS).await.is_some());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_definition_and_its_objects_are_synced_together() {
    let world =
        World::start(&[("apps/web/a-widget.yaml", WIDGET), ("apps/web/definition.json", &definition())])
            .await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until_well("web", "Synced").await;
    assert!(world.find(WIDGETS).await.is_some());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conflict_is_looked_at_again_and_healed() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.fault(r#"{"kind":"conflict","times":2}"#, r#"{"kind":"Deployment"}"#);
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.until_well("web", "Synced").await;
    world.commit(&[("apps/web/deployment.yaml", Some(&deployment(3)))]);
    world.mend();
    world.fault(r#"{"kind":"conflict","times":3}"#, r#"{"kind":"Deployment"}"#);
    world.operation("web", r#"{"sync":{}}"#).await;
    world.until_ended("web", "Succeeded").await;
    assert_eq!(world.deployment().await.int_at(&["spec", "replicas"]), Some(3));
    world.end().await;
}

/// The effect happens, the answer is lost: what is observed counts.
#[tokio::test(flavor = "multi_thread")]
async fn lost_answers_are_made_up_for_by_looking() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.fault(r#"{"kind":"cut"}"#, r#"{"kind":"Deployment"}"#);
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.until_ended("web", "Succeeded").await;
    world.until_well("web", "Synced").await;
    world.mend();
    // What was brought there is the base: a change of it is the cluster's.
    world.merge(DEPLOYMENT, r#"{"spec":{"replicas":7}}"#, "kubectl-edit").await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.end().await;
}
