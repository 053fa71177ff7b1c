//! `trueup diff PATH --against CONTEXT`: what a pull request would change.

use trueup_object::Value;

use crate::offline::published_faults;
use crate::world::{CONFIG_PATH, Run, World};

/// The folder of the pull request, beside the repository.
fn propose(world: &World, files: &[(&str, &str)]) -> String {
    let folder = world.folder.path().join("proposed");
    for (path, text) in files {
        let file = folder.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    folder.display().to_string()
}

fn objects(run: &Run) -> Vec<(String, String)> {
    let document = Value::from_json(run.out.as_bytes()).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    assert_eq!(published_faults(&document), Vec::<String>::new(), "{}", run.out);
    let word = |object: &Value, key: &str| object.str_at(&[key]).unwrap().to_owned();
    document
        .list_at(&["objects"])
        .iter()
        .map(|object| (word(object, "name"), word(object, "status")))
        .collect()
}

const BLUE: &str =
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {colour: blue, size: large}}";
const MORE: &str = "{apiVersion: v1, kind: ConfigMap, metadata: {name: more}, data: {a: '1'}}";

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_compared_as_the_source_of_its_application() {
    let world = World::new().await;
    world.commit("apps/web/old.yaml", &MORE.replace("more", "old")).await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let folder = propose(
        &world,
        &[("a.yaml", &BLUE.replace("blue", "green")), ("b.yaml", MORE), ("below/c.yaml", MORE)],
    );
    let line = ["diff", &folder, "--against=admin", "--app=web", "-o"];
    let with = |form: &'static str| [&line[..], &[form]].concat();

    let run = world.trueup(&with("json")).await;
    assert_eq!(run.code, 1, "{run:?}");
    let found = objects(&run);
    let found: Vec<(&str, &str)> =
        found.iter().map(|(name, status)| (name.as_str(), status.as_str())).collect();
    assert_eq!(found, [("more", "OutOfSync"), ("old", "OutOfSync"), ("settings", "OutOfSync")]);

    let comment = world.trueup(&with("markdown")).await;
    assert!(comment.out.starts_with("### 3 of 3 objects differ\n"), "{}", comment.out);
    assert!(comment.out.contains("-  colour: blue\n+  colour: green\n"), "{}", comment.out);
    assert!(!comment.out.contains("are not looked for"), "{}", comment.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_an_application_only_what_the_folder_names_is_looked_at() {
    let world = World::new().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let folder = propose(&world, &[("a.yaml", BLUE)]);
    let line = ["diff", &folder, "--against=admin", "--namespace=web", "-o", "json"];
    let run = world.trueup(&line).await;
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(objects(&run), [("settings".to_owned(), "Synced".to_owned())]);
    assert!(run.err.contains("--app") && !run.err.contains("SharedResourceWarning"), "{}", run.err);
    world.patch(CONFIG_PATH, r#"{"data":{"colour":"red"}}"#).await;
    let run = world.trueup(&line).await;
    assert_eq!(run.code, 1, "{run:?}");

    for (line, code) in [
        (&["diff", "/no/such/folder", "--against=admin"][..], 2),
        (&["diff", &folder, "--against=nowhere"], 2),
        (&["diff", &folder], 2),
        (&["diff", &folder, "--against=admin", "--target=x", "--live=y"], 2),
        (&["diff", &folder, "--against=admin", "--app=none"], 2),
    ] {
        let run = world.trueup(line).await;
        assert_eq!(run.code, code, "{line:?}: {run:?}");
    }
}

const SCALED: &str = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: sc}, spec: {selector: {matchLabels: {a: b}}, template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}}}";
const SCALED_PATH: &str = "/apis/apps/v1/namespaces/web/deployments/sc";

/// Whatever it is compared with, the scale of replicas that nobody owns is found, and gone once the folder declares them.
async fn scaled_is_found(world: &World) {
    let same = propose(world, &[("sc.yaml", SCALED), ("a.yaml", crate::world::CONFIG)]);
    for line in [
        &["app", "diff", "web"][..],
        &["app", "diff", "web", "--revision=main"],
        &["app", "diff", "web", "--local", &same],
        &["diff", &same, "--against=admin", "--app=web"],
    ] {
        let run = world.trueup(line).await;
        assert_eq!(run.code, 1, "{line:?}: {run:?}");
        assert_eq!(run.out.matches("# .spec.replicas: ").count(), 1, "{line:?}: {}", run.out);
        assert_eq!(run.out.matches("\n# ").count(), 1, "{line:?}: {}", run.out);
    }
    let declared = SCALED.replace("spec: {selector", "spec: {replicas: 4, selector");
    let folder = propose(world, &[("sc.yaml", &declared)]);
    let run = world.trueup(&["app", "diff", "web", "--local", &folder]).await;
    assert!(!run.out.contains("# .spec.replicas: the cluster has 4"), "{}", run.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scale_without_a_trace_is_found_whatever_it_is_compared_with() {
    let world = World::new().await;
    world.commit("apps/web/sc.yaml", SCALED).await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let same = propose(&world, &[("sc.yaml", SCALED), ("a.yaml", crate::world::CONFIG)]);
    assert_eq!(world.trueup(&["diff", &same, "--against=admin", "--app=web"]).await.code, 0);
    world.patch(&format!("{SCALED_PATH}/scale"), r#"{"spec":{"replicas":4}}"#).await;
    scaled_is_found(&world).await;
    // So it is where nothing is remembered of the sync.
    std::fs::remove_dir_all(world.folder.path().join(".local")).unwrap();
    scaled_is_found(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scale_that_the_controller_reports_is_found_whatever_it_is_compared_with() {
    let world = World::new().await;
    let (_controller, _) = world.controller().await;
    world.commit("apps/web/sc.yaml", SCALED).await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.patch(&format!("{SCALED_PATH}/scale"), r#"{"spec":{"replicas":4}}"#).await;
    let report = "/apis/trueup.dev/v1alpha1/namespaces/argocd/driftreports/web";
    let has_it = |report: Value| report.to_json().contains(".spec.replicas");
    world.until("the report has it", async || world.live(report).await.is_some_and(has_it)).await;
    scaled_is_found(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn app_diff_takes_a_folder_and_says_which_of_argo_cds_flags_it_cannot_honour() {
    let world = World::new().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let folder = propose(&world, &[("a.yaml", &BLUE.replace("blue", "green"))]);
    let local = world.trueup(&["app", "diff", "web", "--local", &folder, "--local-repo-root=/"]).await;
    assert_eq!(local.code, 1, "{local:?}");
    assert!(local.out.starts_with("\n===== /ConfigMap web/settings ======\n"), "{}", local.out);
    assert!(local.out.contains("\n-  colour: blue\n+  colour: green\n"), "{}", local.out);
    assert!(local.err.contains("--local-repo-root without effect"), "{}", local.err);
    let refused = world.trueup(&["app", "diff", "web", "--source-names=a"]).await;
    assert!(refused.code == 2 && refused.err.contains("--source-names"), "{refused:?}");
    assert_eq!(world.trueup(&["app", "diff", "web", "--local", &folder, "--exit-code=false"]).await.code, 0);
    assert_eq!(world.trueup(&["app", "diff", "web", "--local", &folder, "--diff-exit-code=7"]).await.code, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_the_cluster_does_not_serve_is_named() {
    let world = World::new().await;
    let widget = "{apiVersion: example.com/v1, kind: Widget, metadata: {name: a}}";
    let rule = "[{kind: ConfigMap, jsonPointers: [/data/none]}]";
    let folder = propose(&world, &[("a.yaml", BLUE), ("b.yaml", widget)]);
    let rules = world.folder.path().join("rules.yaml");
    std::fs::write(&rules, rule).unwrap();
    let ignore = format!("--ignore={}", rules.display());
    let run = world.trueup(&["diff", &folder, "--against=admin", "--namespace=web", &ignore]).await;
    assert_eq!(run.code, 1, "{run:?}");
    assert!(run.err.contains("note: the cluster does not serve example.com/v1"), "{run:?}");
    assert!(run.err.contains("note: --ignore, ") && run.err.contains("`/data/none`"), "{run:?}");
}
