//! A controller that ends in the middle of its work: the next one goes on with what is on disk and in the cluster.

use crate::world::{CONFIG_MAPS, World, config_map, deployment};

const HEALING: &str = r#"{"syncPolicy":{"automated":{"prune":true,"selfHeal":true}}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_was_cut_off_is_finished() {
    let names: Vec<String> = (0..40).map(|number| format!("part-{number}")).collect();
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("apps/web/{name}.yaml"), config_map(name, "1"))).collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    let mut world = World::start(&files).await;
    world.application("web", HEALING).await;
    for n_written in [3, 12, 25] {
        world.until_true("it has begun", || world.n_writes("configmaps") >= n_written).await;
        world.kill().await;
        world.control("first").await;
    }
    world.until_well("web", "Synced").await;
    for name in names {
        assert!(world.find(&format!("{CONFIG_MAPS}/{name}")).await.is_some(), "{name}");
    }
    world.end().await;
}

/// What Git said before is known after a restart: the cluster moved, not Git; and since when is known too.
#[tokio::test(flavor = "multi_thread")]
async fn bases_and_first_sightings_survive() {
    let mut world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until_well("web", "Synced").await;
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until_is("web", "OutOfSync").await;
    let before = world.report("web").await;
    world.kill().await;
    world.edit(r#"{"spec":{"minReadySeconds":7,"paused":true}}"#, "kubectl-edit").await;
    world.commit(&[("apps/web/deployment.yaml", Some(&deployment(2).replace("web:1", "web:2")))]);
    world.control("first").await;
    // The commit that came meanwhile is synced, and the drift, known from before, is left alone.
    world
        .until_live(|live| {
            let containers = live.list_at(&["spec", "template", "spec", "containers"]);
            containers[0].str_at(&["image"]) == Some("web:2")
        })
        .await;
    assert_eq!(world.deployment().await.int_at(&["spec", "replicas"]), Some(5));
    let after = world.report("web").await;
    let seen = |report: &trueup_object::Value| {
        let differences = report.list_at(&["status", "differences"]).to_vec();
        let found =
            differences.into_iter().find(|it| it.str_at(&["path"]) == Some(".spec.replicas")).unwrap();
        (found.str_at(&["firstSeen"]).unwrap().to_owned(), found.str_at(&["origin"]).unwrap().to_owned())
    };
    assert_eq!(seen(&after), seen(&before));
    assert_eq!(seen(&after).1, "cluster");
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_made_and_objects_dropped_while_down_are_found() {
    let mut world = World::start(&[
        ("apps/web/deployment.yaml", &deployment(2)),
        ("apps/web/old.yaml", &config_map("old", "1")),
        ("apps/web/gone.yaml", &config_map("gone", "1")),
    ])
    .await;
    world.application("web", HEALING).await;
    world.until_well("web", "Synced").await;
    world.kill().await;
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.delete(&format!("{CONFIG_MAPS}/gone")).await;
    world.commit(&[("apps/web/old.yaml", None)]);
    world.control("first").await;
    world.wait(&format!("{CONFIG_MAPS}/old"), |found| found.is_none()).await;
    world.wait(&format!("{CONFIG_MAPS}/gone"), |found| found.is_some()).await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

/// A request that a person made is carried out by the next controller.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_survives_its_controller() {
    let mut world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", "{}").await;
    world.until_is("web", "OutOfSync").await;
    world.kill().await;
    world.operation("web", r#"{"sync":{}}"#).await;
    world.control("first").await;
    world.until_ended("web", "Succeeded").await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

/// A controller whose state folder is empty knows from the Application what was synced last: what somebody changed by hand
/// meanwhile is drift, and no first sync.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_state_folder_does_not_make_drift_a_first_sync() {
    let mut world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until("web", |status| !status.list_at(&["history"]).is_empty()).await;
    world.stop().await;
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.control("second").await;
    world.until_is("web", "OutOfSync").await;
    assert_eq!(world.report("web").await.str_at(&["status", "origin"]), Some("cluster"));
    assert_eq!(world.deployment().await.int_at(&["spec", "replicas"]), Some(5));
    world.end().await;
}
