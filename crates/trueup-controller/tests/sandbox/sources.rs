//! Sources that cannot be read, or not whole: each is a condition with its remedy, nothing is pruned, and all recover by
//! themselves.

use crate::world::{CONFIG_MAPS, World, config_map, deployment};

const AUTOMATED: &str = r#"{"syncPolicy":{"automated":{"prune":true,"selfHeal":true,"allowEmpty":true}}}"#;

fn config(name: &str) -> String {
    format!("{CONFIG_MAPS}/{name}")
}

/// The last verdict stands for 180 s and is then Unknown; nobody asks for the recovery.
#[tokio::test(flavor = "multi_thread")]
async fn an_unreachable_repository_leaves_the_last_verdict_for_a_while() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.hide_repository(true);
    world.refresh("web").await;
    let status = world.until_condition("web", "StaleWarning", "stands until").await;
    assert_eq!(status.str_at(&["sync", "status"]), Some("Synced"));
    world.until_condition("web", "ComparisonError", "check spec.source.repoURL").await;
    // Nothing is healed on what may be old.
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until_is("web", "OutOfSync").await;
    // And nothing becomes Synced by it.
    world.edit(r#"{"spec":{"replicas":2}}"#, "kubectl-edit").await;
    world.forward(100);
    world.until_is("web", "OutOfSync").await;
    world.forward(100);
    world.until_is("web", "Unknown").await;
    world.until_condition("web", "ComparisonError", "check spec.source.repoURL").await;
    world.hide_repository(false);
    world.forward(60);
    world.until_well("web", "Synced").await;
    assert_eq!(world.deployment().await.int_at(&["spec", "replicas"]), Some(2));
    world.end().await;
}

/// Failures are tried again long before the next poll.
#[tokio::test(flavor = "multi_thread")]
async fn a_missing_revision_is_found_soon_after_it_appears() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    let source = |world: &World, revision: &str| {
        format!(
            r#"{{"source":{{"repoURL":"{}","path":"apps/web","targetRevision":"{revision}"}},"syncPolicy":{{"automated":{{}}}}}}"#,
            world.repository()
        )
    };
    world.application("web", &source(&world, "release")).await;
    world.until_condition("web", "ComparisonError", "check spec.source.targetRevision").await;
    world.until_is("web", "Unknown").await;
    world.branch("release");
    world.until_well("web", "Synced").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_path_is_found_soon_after_it_appears() {
    let world = World::start(&[("apps/other/deployment.yaml", &deployment(2))]).await;
    world.application("web", AUTOMATED).await;
    world.until_condition("web", "ComparisonError", "check spec.source.path").await;
    // A request that cannot be carried out ends.
    world.operation("web", r#"{"sync":{}}"#).await;
    world.until_ended("web", "Error").await;
    world.commit(&[("apps/web/deployment.yaml", Some(&deployment(2)))]);
    world.until_well("web", "Synced").await;
    world.end().await;
}

/// A path that goes away is no order to prune.
#[tokio::test(flavor = "multi_thread")]
async fn a_path_that_goes_away_prunes_nothing() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2)), ("readme", "x")]).await;
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.commit(&[("apps/web/deployment.yaml", None)]);
    world.refresh("web").await;
    world.until_condition("web", "StaleWarning", "stands until").await;
    world.operation("web", r#"{"sync":{"prune":true}}"#).await;
    let status = world.until_ended("web", "Error").await;
    assert!(
        status.str_at(&["operationState", "message"]).unwrap().contains("spec.source.path"),
        "{status:?}"
    );
    assert!(world.find_deployment().await.is_some());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_document_spoils_itself_alone() {
    let valid = config_map("valid", "1");
    let world =
        World::start(&[("apps/web/valid.yaml", &valid), ("apps/web/other.yaml", &config_map("other", "1"))])
            .await;
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.commit(&[
        ("apps/web/valid.yaml", Some(&config_map("valid", "2"))),
        ("apps/web/other.yaml", Some("apiVersion: v1\nkind: ConfigMap\n\tmetadata: {name: other}\n")),
    ]);
    world.refresh("web").await;
    world.until_condition("web", "ComparisonError", "apps/web/other.yaml").await;
    // The rest is still synced; what may stand in the broken document is left alone.
    world.wait(&config("valid"), |found| found.unwrap().str_at(&["data", "text"]) == Some("2")).await;
    let status = world.until_is("web", "Unknown").await;
    assert!(world.find(&config("other")).await.is_some(), "{status:?}");
    world.commit(&[("apps/web/other.yaml", Some(&config_map("other", "3")))]);
    world.refresh("web").await;
    world.until_well("web", "Synced").await;
    world.wait(&config("other"), |found| found.unwrap().str_at(&["data", "text"]) == Some("3")).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsupported_source_is_named_and_left_alone() {
    let world = World::start(&[
        ("apps/web/Chart.yaml", "apiVersion: v2\nname: web\nversion: 1.0.0\n"),
        ("apps/web/templates/deployment.yaml", &deployment(2)),
    ])
    .await;
    world.application("web", AUTOMATED).await;
    world.until_condition("web", "UnsupportedError", "Helm").await;
    world.operation("web", r#"{"sync":{}}"#).await;
    world.until_ended("web", "Error").await;
    assert!(world.find_deployment().await.is_none());
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unsupported_mark_makes_the_application_read_only() {
    let hook = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: hook, annotations: {argocd.argoproj.io/hook: PreSync}}\n";
    let world =
        World::start(&[("apps/web/hook.yaml", hook), ("apps/web/plain.yaml", &config_map("plain", "1"))])
            .await;
    world.application("web", AUTOMATED).await;
    world.until_condition("web", "UnsupportedError", "hook PreSync").await;
    world.operation("web", r#"{"sync":{}}"#).await;
    world.until_ended("web", "Error").await;
    assert!(world.find(&config("plain")).await.is_none());
    world.commit(&[("apps/web/hook.yaml", Some(&config_map("hook", "1")))]);
    world.refresh("web").await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_in_an_application_is_told_and_mended() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world
        .patch("web", r#"{"spec":{"destination":{"server":"https://nowhere.example.com"}}}"#, "kubectl")
        .await;
    world.until_condition("web", "InvalidSpecError", "nowhere.example.com").await;
    let mended = r#"{"spec":{"destination":{"server":"https://kubernetes.default.svc"}}}"#;
    world.patch("web", mended, "kubectl").await;
    world.until_well("web", "Synced").await;
    world.patch("web", r#"{"spec":{"source":{"repoURL":""}}}"#, "kubectl").await;
    let status = world.until("web", |status| !status.list_at(&["conditions"]).is_empty());
    let status = status.await;
    assert_eq!(status.str_at(&["sync", "status"]), Some("Unknown"), "{status:?}");
    let mended = format!(r#"{{"spec":{{"source":{{"repoURL":"{}"}}}}}}"#, world.repository());
    world.patch("web", &mended, "kubectl").await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

const PRUNING: &str = r#"{"syncPolicy":{"automated":{"prune":true,"selfHeal":true}}}"#;

/// The old one is the first to read the commit, and the new one may not act by itself: what it declares stays until it is
/// synced, or no longer declares it.
#[tokio::test(flavor = "multi_thread")]
async fn what_another_application_declares_is_not_pruned() {
    let world = World::start(&[
        ("apps/old/stays.yaml", &config_map("stays", "1")),
        ("apps/old/moves.yaml", &config_map("moves", "1")),
        ("apps/new/other.yaml", &config_map("other", "1")),
    ])
    .await;
    world.application("old", PRUNING).await;
    world.until_well("old", "Synced").await;
    world.application("new", "{}").await;
    world.until_is("new", "OutOfSync").await;
    let uid = |object: &trueup_object::Value| object.str_at(&["metadata", "uid"]).map(str::to_owned);
    let before = world.find(&config("moves")).await.and_then(|object| uid(&object));
    world.commit(&[("apps/old/moves.yaml", None), ("apps/new/moves.yaml", Some(&config_map("moves", "1")))]);
    world.refresh("old").await;
    world.until_condition("old", "SharedResourceWarning", "application new declares it").await;
    world.operation("new", r#"{"sync":{}}"#).await;
    world.until_ended("new", "Succeeded").await;
    world.until_well("old", "Synced").await;
    let after = world.find(&config("moves")).await.and_then(|object| uid(&object));
    assert!(before.is_some() && before == after, "{before:?} {after:?}");
    // And back, but nobody declares it in the end.
    world.commit(&[("apps/new/moves.yaml", None), ("apps/old/moves.yaml", Some(&config_map("moves", "1")))]);
    world.refresh("old").await;
    world
        .wait(&config("moves"), |object| {
            let mark = object.and_then(|object| {
                object
                    .str_at(&["metadata", "annotations", "argocd.argoproj.io/tracking-id"])
                    .map(str::to_owned)
            });
            mark.is_some_and(|mark| mark.starts_with("old:"))
        })
        .await;
    world.commit(&[("apps/old/moves.yaml", None)]);
    world.refresh("old").await;
    world.wait(&config("moves"), |object| object.is_none()).await;
    world.end().await;
}
