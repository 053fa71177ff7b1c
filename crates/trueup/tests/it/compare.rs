//! The documents of comparisons: their shape, and that no value of a Secret is in them.

use std::path::Path;

use trueup_object::Value;

use crate::offline::published_faults;
use crate::world::{World, call_with, program as program_path};

const SECRET: &str = "apiVersion: v1
kind: Secret
metadata: {name: login}
stringData: {password: from-git-c0ffee}
";

#[tokio::test(flavor = "multi_thread")]
async fn the_document_has_every_key() {
    let world = World::new().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.patch(crate::world::CONFIG_PATH, r#"{"data":{"colour":"red"}}"#).await;
    let run = world.trueup(&["app", "diff", "web", "-o", "json"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let document = Value::from_json(run.out.as_bytes()).unwrap();
    assert_eq!(published_faults(&document), Vec::<String>::new(), "{}", run.out);
    assert_eq!(document.str_at(&["status"]), Some("OutOfSync"));
    let [object] = document.list_at(&["objects"]) else { panic!("{}", run.out) };
    let keys: Vec<_> = object.as_map().unwrap().keys().collect();
    assert_eq!(
        keys,
        ["differences", "group", "kind", "name", "namespace", "notes", "problem", "status", "version"]
    );
    let [difference] = object.list_at(&["differences"]) else { panic!("{}", run.out) };
    let mut expected = trueup_api::difference::KEYS.to_vec();
    expected.sort_unstable();
    assert_eq!(difference.as_map().unwrap().keys().collect::<Vec<_>>(), expected);
    assert_eq!(difference.str_at(&["path"]), Some(".data.colour"));
    assert_eq!(difference.str_at(&["target"]), Some("blue"));
    assert_eq!(difference.str_at(&["live"]), Some("red"));
    assert_eq!(difference.str_at(&["manager"]), Some("kubectl-patch"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_program_can_show_the_sides() {
    let world = World::new().await;
    world.create().await;
    let kubeconfig = world.folder.path().join("kubeconfig");
    let line = ["app", "diff", "web", "--kubeconfig", kubeconfig.to_str().unwrap()];
    let run = async |program: &str| {
        let variables = [("KUBECTL_EXTERNAL_DIFF", program)];
        call_with(Path::new(program_path()), &line, world.folder.path(), &variables).await
    };
    let shown = run("head -n 2 -v").await;
    assert_eq!(shown.code, 1, "{shown:?}");
    assert!(
        shown.out.contains("settings-live.yaml <==") && shown.out.contains("/settings <=="),
        "{}",
        shown.out
    );
    assert!(shown.out.contains("apiVersion: v1") && !shown.out.contains("+++ Git"), "{}", shown.out);
    let failed = run("no-such-program").await;
    assert!(failed.code == 2 && failed.err.contains("KUBECTL_EXTERNAL_DIFF"), "{failed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_value_of_a_secret_is_shown() {
    let world = World::new().await;
    world.commit("apps/web/secret.yaml", SECRET).await;
    world.create().await;
    let missing = world.trueup(&["app", "diff", "web"]).await;
    world.ok(&["app", "sync", "web"]).await;
    // bGl2ZS1zM2NyZXQ= is live-s3cret.
    world.patch("/api/v1/namespaces/web/secrets/login", r#"{"data":{"password":"bGl2ZS1zM2NyZXQ="}}"#).await;
    let text = world.trueup(&["app", "diff", "web"]).await;
    assert_eq!(text.code, 1, "{text:?}");
    assert!(text.out.contains("-  password: ++++") && text.out.contains("+  password: +++"), "{}", text.out);
    for line in [
        &["app", "diff", "web", "-o", "json"][..],
        &["app", "explain", "web"],
        &["app", "manifests", "web"],
        &["app", "manifests", "web", "--source=live"],
    ] {
        let run = world.trueup(line).await;
        let all = format!("{}{}{}{}", run.out, run.err, text.out, missing.out);
        // Neither value, neither as it is nor in base64.
        for value in ["from-git-c0ffee", "ZnJvbS1naXQtYzBmZmVl", "live-s3cret", "bGl2ZS1zM2NyZXQ="] {
            assert!(!all.contains(value), "{line:?} shows {value}");
        }
    }
}

/// A fleet that agrees asks for nothing, unless somebody wants to know all the same.
#[tokio::test(flavor = "multi_thread")]
async fn every_object_is_asked_about_where_that_is_wanted() {
    let world = World::new().await;
    world.commit("apps/web/more.yaml", &crate::world::CONFIG.replace("settings", "more")).await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let asked = async |more: &[&str]| {
        let before = world.sandbox.requests().iter().filter(|it| it.dry_run).count();
        let run = world.trueup(&[&["app", "diff", "web"], more].concat()).await;
        assert!(!run.err.contains("without effect"), "{run:?}");
        (run.code, world.sandbox.requests().iter().filter(|it| it.dry_run).count() - before)
    };
    assert_eq!(asked(&[]).await, (0, 0));
    assert_eq!(asked(&["--server-side-diff=false"]).await, (0, 0));
    assert_eq!(asked(&["--server-side-diff"]).await, (0, 2));
    assert_eq!(asked(&["--server-side-diff=true"]).await, (0, 2));
    // What the Application says is overruled, both ways.
    world.ok(&["app", "set", "web", "--server-side-diff=true"]).await;
    assert_eq!(asked(&[]).await, (0, 2));
    assert_eq!(asked(&["--server-side-diff=false"]).await, (0, 0));
    world.patch(crate::world::CONFIG_PATH, r#"{"data":{"colour":"red"}}"#).await;
    assert_eq!(asked(&["--server-side-diff=false"]).await, (1, 1));
    assert_eq!(asked(&["--server-side-diff"]).await, (1, 2));
}

/// What a controller reports, logs and records of credentials outside of Secrets.
#[tokio::test(flavor = "multi_thread")]
async fn no_credential_in_an_argument_or_a_file_leaves_the_controller() {
    const OBJECTS: [(&str, &str); 2] = [
        ("/api/v1/namespaces/web/configmaps/app", "ConfigMap"),
        ("/apis/apps/v1/namespaces/web/deployments/web", "Deployment"),
    ];
    let target = crate::offline::LEAKY.replace("namespace: shop", "namespace: web");
    let world = World::new().await;
    world.commit("apps/web/leaky.yaml", &target).await;
    let (_controller, _) = world.controller().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let by_hand = target.replace("c0ffee", "f00d").replace("YzBmZmVlOnNldmVu", "ZjAwZDpzZXZlbg==");
    for ((path, kind), document) in OBJECTS.iter().zip(by_hand.split("---\n")) {
        let object = Value::from_yaml(document.as_bytes()).unwrap();
        assert_eq!(object.str_at(&["kind"]), Some(*kind));
        world.patch(path, &object.to_json()).await;
    }
    let report = "/apis/trueup.dev/v1alpha1/namespaces/argocd/driftreports/web";
    let told = async || world.live(report).await.map(|report| report.to_json()).unwrap_or_default();
    world
        .until("the report has both objects", async || {
            let report = told().await;
            report.contains(".args") && report.contains("app.properties") && report.contains("httpHeaders")
        })
        .await;
    let log = std::fs::read_to_string(world.folder.path().join("controller.log")).unwrap();
    let events = world.live("/api/v1/namespaces/argocd/events").await.unwrap().to_json();
    let mut all = vec![told().await, world.application().await.to_json(), log, events];
    for line in [
        &["app", "diff", "web"][..],
        &["app", "diff", "web", "-o=json", "--full"],
        &["app", "explain", "web"],
    ] {
        let run = world.trueup(line).await;
        all.push(format!("{}{}", run.out, run.err));
    }
    for text in all {
        for value in ["c0ffee", "f00d", "YzBmZmVl", "ZjAwZD"] {
            assert!(!text.contains(value), "{value}: {text}");
        }
    }
}
