//! Commands where a controller acts: they ask it, and wait.

use crate::world::{CONFIG_PATH, World};

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_is_asked_for_and_waited_for() {
    let world = World::new().await;
    let (_controller, address) = world.controller().await;
    world.create().await;
    let run = world.ok(&["app", "sync", "web"]).await;
    assert!(run.out.contains("Phase:              Succeeded"), "{}", run.out);
    assert!(run.out.contains("GROUP  KIND"), "{}", run.out);
    let run = world.ok(&["app", "wait", "web", "--timeout=30"]).await;
    assert!(run.out.contains("Sync Status:        Synced to main ("), "{}", run.out);

    let history = world.ok(&["app", "history", "web"]).await.out;
    let rows: Vec<Vec<&str>> = history.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        (rows[0][0], rows[1].as_slice(), rows[2][0]),
        ("SOURCE", &["ID", "DATE", "REVISION"][..], "0")
    );
    let resources = world.ok(&["app", "resources", "web"]).await.out;
    assert!(resources.lines().nth(1).is_some_and(|row| row.contains("ConfigMap") && row.ends_with("No")));
    metrics_tell(&world, &address).await;
}

async fn metrics_tell(world: &World, address: &str) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let ask = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    };
    assert!(ask("/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(ask("/readyz").await.starts_with("HTTP/1.1 200"));
    let told = "sync_status=\"Synced\"";
    world.until("the metrics tell the status", async || ask("/metrics").await.contains(told)).await;
    let metrics = ask("/metrics").await;
    assert!(
        metrics.contains("argocd_app_info{namespace=\"argocd\",name=\"web\",project=\"default\""),
        "{metrics}"
    );
    assert!(metrics.contains("phase=\"Succeeded\",dry_run=\"false\"} 1"), "{metrics}");
    let app = r#"namespace="argocd",name="web",project="default""#;
    let server = "https://kubernetes.default.svc";
    for begin in [
        format!(
            r#"argocd_app_k8s_request_total{{{app},server="{server}",response_code="201",verb="Patch",resource_kind="configmaps",resource_namespace="web",dry_run="false"}} 1"#
        ),
        format!(r#"argocd_app_labels{{{app},label_team=""}} 1"#),
        format!(r#"argocd_app_reconcile_bucket{{namespace="argocd",dest_server="{server}",le="0.25"}} "#),
        format!(r#"argocd_app_reconcile_sum{{namespace="argocd",dest_server="{server}"}} "#),
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(&begin)), "{begin}\n{metrics}");
    }
    let of = |name: &str| {
        let line =
            metrics.lines().find(|line| line.starts_with("argocd_app_reconcile") && line.contains(name));
        line.and_then(|line| line.rsplit(' ').next()).unwrap().parse::<u64>().unwrap()
    };
    assert!(of("_count{") > 0 && of("_count{") == of("le=\"+Inf\""), "{metrics}");
    assert!(!metrics.contains("argocd_app_condition{"), "{metrics}");

    let path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web";
    world.patch(path, r#"{"spec":{"source":{"path":"apps/nowhere"}}}"#).await;
    let told = format!(r#"argocd_app_condition{{{app},condition="ComparisonError"}} 1"#);
    world.until("the metrics tell the condition", async || ask("/metrics").await.contains(&told)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_names_what_others_have_added() {
    let world = World::new().await;
    let (_controller, _) = world.controller().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.patch(CONFIG_PATH, r#"{"data":{"extra":"1"}}"#).await;
    world
        .until("it is OutOfSync", async || {
            world.application().await.str_at(&["status", "sync", "status"]) == Some("OutOfSync")
        })
        .await;
    let run = world.trueup(&["app", "wait", "web", "--sync", "--timeout=20"]).await;
    assert_eq!(run.code, 6, "{run:?}");
    assert!(run.err.contains(".data.extra"), "{}", run.err);

    world.patch(CONFIG_PATH, r#"{"data":{"colour":"red"}}"#).await;
    world
        .until("the report names it", async || {
            let path = "/apis/trueup.dev/v1alpha1/namespaces/argocd/driftreports/web";
            world.live(path).await.is_some_and(|report| report.to_json().contains(".data.colour"))
        })
        .await;
    let run = world.trueup(&["app", "wait", "web", "--sync", "--timeout=1"]).await;
    assert!(run.code == 1 && run.err.contains("sync is OutOfSync"), "{run:?}");
    let explained = world.ok(&["app", "explain", "web"]).await.out;
    for words in ["who moved: cluster", "by kubectl-patch", "seen since: ", "at the last sync: \"blue\""] {
        assert!(explained.contains(words), "{words}: {explained}");
    }
    let json = world.trueup(&["app", "diff", "web", "-o", "json"]).await.out;
    assert!(json.contains("\"origin\": \"cluster\""), "{json}");
}

/// The outcome of an earlier sync is no answer to a later one.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_sync_waits_for_its_own_end() {
    let world = World::new().await;
    let (_controller, _) = world.controller().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.patch(CONFIG_PATH, r#"{"data":{"colour":"red"}}"#).await;
    world
        .until("it is OutOfSync", async || {
            world.application().await.str_at(&["status", "sync", "status"]) == Some("OutOfSync")
        })
        .await;
    let run = world.ok(&["app", "sync", "web"]).await;
    assert!(run.out.contains("Sync Status:        Synced to main ("), "{}", run.out);
    let live = world.live(CONFIG_PATH).await.unwrap();
    assert_eq!(live.str_at(&["data", "colour"]), Some("blue"));
}

/// What was read before is no answer to a sync of something that cannot be read.
#[tokio::test(flavor = "multi_thread")]
async fn a_sync_of_a_revision_that_is_not_there_fails() {
    let world = World::new().await;
    let (_controller, _) = world.controller().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let run = world.trueup(&["app", "sync", "web", "--revision=nowhere"]).await;
    assert!(run.code == 1 && run.err.contains("nowhere") && run.err.contains("hint: "), "{run:?}");
    let run = world.ok(&["app", "sync", "web"]).await;
    assert!(run.out.contains("Sync Status:        Synced to main ("), "{}", run.out);
    assert!(!run.out.contains("nowhere"), "the revision was that one sync's alone: {}", run.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_of_an_object_that_is_not_there_is_a_mistake() {
    let world = World::new().await;
    let (_controller, _) = world.controller().await;
    world.create().await;
    let run = world.trueup(&["app", "sync", "web", "--resource=apps:Deployment:nope"]).await;
    assert_eq!(run.code, 2, "{run:?}");
    assert!(run.err.contains("apps:Deployment:nope; there are: :ConfigMap:web/settings"), "{run:?}");
    assert!(world.live(CONFIG_PATH).await.is_none());
    world.ok(&["app", "sync", "web", "--resource=:ConfigMap:web/settings"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_sees_a_commit() {
    let world = World::new().await;
    let (_controller, _) = world.controller().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.commit("apps/web/config.yaml", &crate::world::CONFIG.replace("blue", "green")).await;
    let run = world.ok(&["app", "get", "web", "--refresh"]).await;
    assert!(run.out.contains("OutOfSync from main"), "{}", run.out);
    assert!(run.out.contains("1 pending change; origin git"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_takes_the_objects_along() {
    let world = World::new().await;
    let (_controller, _) = world.controller().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let run = world.trueup(&["app", "delete", "web"]).await;
    assert!(run.code == 1 && run.err.contains("-y"), "nobody can be asked: {run:?}");
    world.ok(&["app", "delete", "web", "-y", "--wait"]).await;
    assert!(world.live(CONFIG_PATH).await.is_none());
    assert_eq!(world.trueup(&["app", "get", "web"]).await.code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_controller_stops_when_it_is_told_to() {
    let world = World::new().await;
    let (mut controller, _) = world.controller().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let id = controller.id().unwrap().to_string();
    let told = tokio::process::Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
    assert!(told.success());
    let ended = tokio::time::timeout(crate::world::DEADLINE, controller.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
    let log = std::fs::read_to_string(world.folder.path().join("controller.log")).unwrap();
    assert_eq!(log.matches("holds the Lease").count(), 1, "{log}");
    let run = world.ok(&["app", "sync", "web"]).await;
    assert!(run.err.contains("no controller acts"), "the Lease was given up: {run:?}");
}
