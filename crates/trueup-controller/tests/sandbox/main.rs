//! The whole controller against the sandbox: Git, compare, report, sync, heal.
#![expect(clippy::unwrap_used, reason = "tests")]

mod api_server;
mod confirm;
mod gate;
mod one_thread;
mod restarts;
mod rivals;
mod settings;
mod sources;
mod unknown;
mod webhook;
mod whole_process;
mod world;

use trueup_object::Value;
use world::{World, config_map, deployment};

/// Everything that Git declares comes into being by itself, and the application says so.
#[tokio::test(flavor = "multi_thread")]
async fn an_automated_application_is_brought_into_being() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    let status = world.until("web", |status| status.str_at(&["sync", "status"]) == Some("Synced")).await;
    assert_eq!(status.str_at(&["operationState", "phase"]), Some("Succeeded"));
    assert_eq!(status.list_at(&["history"]).len(), 1);
    let live = world.deployment().await;
    assert_eq!(live.int_at(&["spec", "replicas"]), Some(2));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_reported_with_its_tool_and_stays_without_self_heal() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until("web", |status| status.str_at(&["sync", "status"]) == Some("Synced")).await;
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until("web", |status| status.str_at(&["sync", "status"]) == Some("OutOfSync")).await;
    let report = world.report("web").await;
    let difference = &report.list_at(&["status", "differences"])[0];
    assert_eq!(difference.str_at(&["path"]), Some(".spec.replicas"));
    assert_eq!(difference.str_at(&["manager"]), Some("kubectl-edit"));
    assert_eq!(difference.str_at(&["origin"]), Some("cluster"));
    assert_eq!(world.deployment().await.int_at(&["spec", "replicas"]), Some(5));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_healed_where_policy_says_so() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{"selfHeal":true}}}"#).await;
    world.until("web", |status| status.str_at(&["sync", "status"]) == Some("Synced")).await;
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.until("web", |status| status.str_at(&["sync", "status"]) == Some("Synced")).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_is_carried_out_on_request_and_its_request_cleared() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", "{}").await;
    world.until("web", |status| status.str_at(&["sync", "status"]) == Some("OutOfSync")).await;
    world.operation("web", r#"{"sync":{}}"#).await;
    let status =
        world.until("web", |status| status.str_at(&["operationState", "phase"]) == Some("Succeeded")).await;
    assert_eq!(status.str_at(&["sync", "status"]), Some("Synced"));
    world
        .until_application("web", |application| application.get("operation").is_none_or(Value::is_null))
        .await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_path_is_a_condition_with_its_remedy() {
    let world = World::start(&[("apps/other/deployment.yaml", &deployment(2))]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{"prune":true}}}"#).await;
    let status = world.until("web", |status| !status.list_at(&["conditions"]).is_empty()).await;
    assert_eq!(status.str_at(&["sync", "status"]), Some("Unknown"));
    let condition = &status.list_at(&["conditions"])[0];
    assert_eq!(condition.str_at(&["type"]), Some("ComparisonError"));
    assert!(condition.str_at(&["message"]).unwrap().contains("apps/web"), "{condition:?}");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_goes_with_its_objects_where_it_asks_for_it() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until("web", |status| status.str_at(&["sync", "status"]) == Some("Synced")).await;
    world.finalizer("web").await;
    world.delete_application("web").await;
    world.until_gone("web").await;
    assert!(world.find_deployment().await.is_none());
    world.end().await;
}

/// Autoscalers are kept for what they explain; one that is an application's own is its object all the same.
#[tokio::test(flavor = "multi_thread")]
async fn an_autoscaler_that_git_drops_is_pruned() {
    let (workload, map) = (deployment(2), config_map("settings", "1"));
    let files =
        [("apps/web/web.yaml", &*workload), ("apps/web/map.yaml", &*map), ("apps/web/hpa.yaml", AUTOSCALER)];
    let world = World::start(&files).await;
    world.application("web", r#"{"syncPolicy":{"automated":{"prune":true}}}"#).await;
    world.until_well("web", "Synced").await;
    assert!(world.wait(AUTOSCALERS, |found| found.is_some()).await.is_some());
    world.commit(&[("apps/web/hpa.yaml", None)]);
    world.refresh("web").await;
    world.wait(AUTOSCALERS, |found| found.is_none()).await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

const AUTOSCALERS: &str = "/apis/autoscaling/v2/namespaces/web/horizontalpodautoscalers/web";
const AUTOSCALER: &str = "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec:\n  \
     scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}\n  maxReplicas: 4\n";
