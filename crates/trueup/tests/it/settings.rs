//! What the settings in `argocd-cm` change for the command line, and what it tells of ignore rules.

use trueup_object::Value;

use crate::world::{CONFIG_PATH, World};

const REPORT: &str = "/apis/trueup.dev/v1alpha1/namespaces/argocd/driftreports/web";

async fn settings(world: &World, data: &str) {
    let body = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"argocd-cm","namespace":"argocd"}},"data":{{{data}}}}}"#
    );
    world.post("/api/v1/namespaces/argocd/configmaps", &body).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn app_get_tells_what_each_rule_hides() {
    let world = World::new().await;
    let (_controller, _) = world.controller().await;
    world.create().await;
    let rules = r#"{"spec":{"ignoreDifferences":[{"kind":"ConfigMap","jsonPointers":["/data/colour","/data/none"]}]}}"#;
    world.patch("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web", rules).await;
    world.ok(&["app", "sync", "web"]).await;
    world
        .until("the report counts the rules", async || {
            let report = world.live(REPORT).await;
            report.is_some_and(|it| it.int_at(&["status", "counts", "idleRules"]) == Some(1))
        })
        .await;
    let shown = world.ok(&["app", "get", "web"]).await.out;
    let rows: Vec<&str> = shown.lines().filter(|line| line.starts_with("ignoreDifferences[0]")).collect();
    let [works, idle] = rows.as_slice() else { panic!("{shown}") };
    let cells: Vec<&str> = works.split_whitespace().collect();
    assert_eq!(cells, ["ignoreDifferences[0]", "ConfigMap", "/data/colour", "Application", "1", "1"]);
    assert!(idle.contains("`/data/none` matches no field in 1 of ConfigMap"), "{idle}");

    let json = world.ok(&["app", "get", "web", "-o", "json"]).await.out;
    let document = Value::from_json(json.as_bytes()).unwrap();
    assert_eq!(document.str_at(&["kind"]), Some("Application"));
    let rules = document.list_at(&["driftReport", "rules"]);
    let matches: Vec<Option<i64>> = rules.iter().map(|rule| rule.int_at(&["matches"])).collect();
    assert_eq!(matches, [Some(1), Some(0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn annotations_that_are_called_sensitive_are_masked_in_all_that_is_printed() {
    let world = World::new().await;
    settings(&world, r#""resource.sensitive.mask.annotations":"example.com/pin""#).await;
    let pinned = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, annotations: {example.com/pin: quagga-1}}\ndata: {colour: blue}\n";
    world.commit("apps/web/config.yaml", pinned).await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.patch(CONFIG_PATH, r#"{"metadata":{"annotations":{"example.com/pin":"quagga-2"}}}"#).await;
    let text = world.trueup(&["app", "diff", "web"]).await;
    assert_eq!(text.code, 1, "{text:?}");
    assert!(text.out.contains("example.com/pin: ++++++++"), "{}", text.out);
    let all = [
        text,
        world.trueup(&["app", "diff", "web", "-o", "json"]).await,
        world.trueup(&["app", "explain", "web"]).await,
        world.trueup(&["app", "manifests", "web"]).await,
        world.trueup(&["app", "manifests", "web", "--source=live"]).await,
    ];
    for run in all {
        assert!(!run.out.contains("quagga") && !run.err.contains("quagga"), "{run:?}");
    }
}

/// Tracked by label, a command finds what a controller would: also what Git has no more.
#[tokio::test(flavor = "multi_thread")]
async fn objects_are_tracked_as_the_installation_says() {
    let world = World::new().await;
    settings(&world, r#""application.resourceTrackingMethod":"label""#).await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let live = world.live(CONFIG_PATH).await.unwrap();
    assert_eq!(live.str_at(&["metadata", "labels", "app.kubernetes.io/instance"]), Some("web"));
    let old = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"old","namespace":"web","labels":{"app.kubernetes.io/instance":"web"}}}"#;
    world.post("/api/v1/namespaces/web/configmaps", old).await;
    let run = world.trueup(&["app", "diff", "web", "-o", "json"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let document = Value::from_json(run.out.as_bytes()).unwrap();
    let extraneous = document.list_at(&["objects"]).iter().find(|it| it.str_at(&["name"]) == Some("old"));
    let difference = extraneous.and_then(|it| it.list_at(&["differences"]).first());
    assert_eq!(difference.and_then(|it| it.str_at(&["change"])), Some("extraneous"));
}
