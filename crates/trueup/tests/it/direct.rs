//! Commands without a controller: they do the work themselves.

use crate::world::{CONFIG, CONFIG_PATH, World};

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_made_compared_and_synced() {
    let world = World::new().await;
    world.create().await;

    let run = world.trueup(&["app", "diff", "web"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.out.contains("\n===== /ConfigMap web/settings ======\n"), "{}", run.out);
    assert!(run.out.contains("--- the cluster (live)\n+++ Git ("), "{}", run.out);
    assert!(run.out.contains("+  colour: blue"), "{}", run.out);

    let dry = world.ok(&["app", "sync", "web", "--dry-run"]).await;
    assert!(dry.out.contains("dry run: 1 objects would be written"), "{}", dry.out);
    assert!(world.live(CONFIG_PATH).await.is_none());

    let run = world.ok(&["app", "sync", "web"]).await;
    assert!(run.err.contains("with your rights"), "{}", run.err);
    assert!(run.out.contains("created") && run.out.contains("Succeeded"), "{}", run.out);
    assert_eq!(world.trueup(&["app", "diff", "web"]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_kept_or_overwritten_as_the_flags_say() {
    let world = World::new().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.patch(CONFIG_PATH, r#"{"data":{"colour":"red","extra":"1"}}"#).await;

    let run = world.trueup(&["app", "diff", "web"]).await;
    assert_eq!(run.code, 1);
    assert!(run.out.contains("-  colour: red\n") && run.out.contains("+  colour: blue\n"), "{}", run.out);
    assert!(run.out.contains("by kubectl-patch (manual)"), "{}", run.out);
    let document = world.trueup(&["app", "diff", "web", "-o", "json"]).await.out;
    assert!(document.ends_with("\"origin\": \"cluster\",\n  \"status\": \"OutOfSync\"\n}\n"), "{document}");
    assert!(document.contains("\"base\": \"blue\""), "the last sync is remembered: {document}");
    assert_eq!(world.trueup(&["app", "diff", "web", "--exit-code=false"]).await.code, 0);
    assert_eq!(world.trueup(&["app", "diff", "web", "--diff-exit-code=9"]).await.code, 9);

    let data = async || {
        let live = world.live(CONFIG_PATH).await.unwrap();
        let text = |name: &str| live.str_at(&["data", name]).map(str::to_owned);
        (text("colour").unwrap(), text("extra"))
    };
    let dry = world.ok(&["app", "sync", "web", "--dry-run"]).await.out;
    assert!(dry.contains("configured") && !dry.contains("unchanged"), "{dry}");
    world.ok(&["app", "sync", "web", "--keep-drift"]).await;
    assert_eq!(data().await.0, "red");
    world.ok(&["app", "sync", "web"]).await;
    assert_eq!(data().await, ("blue".to_owned(), Some("1".to_owned())), "additions stay");
    world.ok(&["app", "sync", "web", "--remove-additions"]).await;
    assert_eq!(data().await, ("blue".to_owned(), None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_told_from_drift() {
    let world = World::new().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.commit("apps/web/config.yaml", &CONFIG.replace("blue", "green")).await;
    let explained = world.ok(&["app", "explain", "web"]).await.out;
    assert!(explained.contains("who moved: git") && explained.contains("a sync applies it"), "{explained}");
    world.patch(CONFIG_PATH, r#"{"data":{"colour":"red"}}"#).await;
    let explained = world.ok(&["app", "explain", "web"]).await.out;
    assert!(explained.contains("who moved: both"), "{explained}");
    world.ok(&["app", "sync", "web", "--keep-drift"]).await;
    let live = world.live(CONFIG_PATH).await.unwrap();
    assert_eq!(live.str_at(&["data", "colour"]), Some("red"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_git_dropped_is_pruned_only_when_asked() {
    let world = World::new().await;
    world.commit("apps/web/second.yaml", &CONFIG.replace("settings", "second")).await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.commit("apps/web/second.yaml", "# nothing\n").await;
    let second = "/api/v1/namespaces/web/configmaps/second";

    let run = world.trueup(&["app", "diff", "web"]).await;
    assert!(run.out.contains("the cluster has the object, Git has it no more"), "{}", run.out);
    world.ok(&["app", "sync", "web"]).await;
    assert!(world.live(second).await.is_some());
    world.ok(&["app", "sync", "web", "--prune"]).await;
    assert!(world.live(second).await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_cannot_be_read_say_whose_fault_it_is() {
    let world = World::new().await;
    world.create().await;
    let run = world.trueup(&["app", "diff", "web", "--revision=no-such-branch"]).await;
    assert!(run.code == 2 && run.err.contains("no-such-branch") && run.err.contains("hint: "), "{run:?}");
    world.ok(&["app", "set", "web", "--path=apps/nowhere"]).await;
    let run = world.trueup(&["app", "diff", "web"]).await;
    assert!(run.code == 2 && run.err.contains("apps/nowhere"), "{run:?}");
    world.ok(&["app", "set", "web", "--path=apps/web", "--repo=file:///no/such/repository"]).await;
    let run = world.trueup(&["app", "diff", "web"]).await;
    assert!(matches!(run.code, 2 | 4) && run.err.contains("/no/such/repository"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_this_build_cannot_honour_is_refused_by_name() {
    let world = World::new().await;
    world.create().await;
    world
        .patch(
            "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web",
            r#"{"spec":{"source":{"helm":{"releaseName":"x"}}}}"#,
        )
        .await;
    let run = world.trueup(&["app", "diff", "web"]).await;
    assert!(run.code == 3 && run.err.contains("UnsupportedError"), "{run:?}");
    let run = world.trueup(&["app", "sync", "web"]).await;
    assert!(run.code == 2 && run.err.contains("helm"), "{run:?}");
    let run = world.trueup(&["app", "sync", "web", "--force"]).await;
    assert!(run.code == 2 && run.err.contains("--force"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_of_an_object_that_is_not_there_is_a_mistake() {
    let world = World::new().await;
    world.create().await;
    let run = world.trueup(&["app", "sync", "web", "--resource=apps:Deployment:nope"]).await;
    assert_eq!(run.code, 2, "{run:?}");
    let named = "apps:Deployment:nope; there are: :ConfigMap:web/settings";
    assert!(run.err.contains(named) && run.err.contains("hint: "), "{run:?}");
    assert!(world.live(CONFIG_PATH).await.is_none());
    world.ok(&["app", "sync", "web", "--resource=:ConfigMap:settings"]).await;
    assert!(world.live(CONFIG_PATH).await.is_some());
}

/// Who has rights in one namespace only is told of everything there, and of what is not seen.
#[tokio::test(flavor = "multi_thread")]
async fn rights_in_one_namespace_are_enough() {
    let world = World::new().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.patch(CONFIG_PATH, r#"{"data":{"colour":"red"}}"#).await;
    let fault = |rule: &str| {
        let rule = trueup_object::Value::from_json(rule.as_bytes()).unwrap();
        world.sandbox.faults().add_json(&rule).unwrap();
    };
    fault(r#"{"kind":"status","code":403,"match":{"verb":["list","watch"],"namespace":""}}"#);
    let run = world.trueup(&["app", "diff", "web"]).await;
    assert!(run.code == 1 && run.out.contains("-  colour: red\n"), "{run:?}");
    assert!(run.err.contains("note: you may not list ") && run.err.contains("outside of web"), "{run:?}");
    let run = world.ok(&["app", "explain", "web"]).await;
    assert!(run.out.contains("by kubectl-patch"), "{run:?}");
    world.ok(&["app", "sync", "web"]).await;
    let live = world.live(CONFIG_PATH).await.unwrap();
    assert_eq!(live.str_at(&["data", "colour"]), Some("blue"));
    assert_eq!(world.trueup(&["app", "diff", "web"]).await.code, 0);

    fault(r#"{"kind":"status","code":403,"match":{"verb":["list","watch"],"kind":"ConfigMap"}}"#);
    let run = world.trueup(&["app", "diff", "web"]).await;
    assert_eq!(run.code, 3, "nothing is known there either: {run:?}");
}
