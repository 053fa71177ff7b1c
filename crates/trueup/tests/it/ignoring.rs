//! `trueup app ignore` and `trueup app lint` with a cluster: which rule is written, where, and what is refused.

use std::path::Path;
use std::process::Stdio;

use trueup_object::Value;

use crate::world::{CONFIG_PATH, Run, World, program};

const APPLICATION: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web";
const REPORT: &str = "/apis/trueup.dev/v1alpha1/namespaces/argocd/driftreports/web";

/// The rules that the Application has, as JSON.
async fn rules(world: &World) -> String {
    world.application().await.at(&["spec", "ignoreDifferences"]).map(Value::to_json).unwrap_or_default()
}

/// A world with the Application synced and one value changed by hand.
async fn drifted() -> World {
    let world = World::new().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.patch(CONFIG_PATH, r#"{"data":{"colour":"red"}}"#).await;
    assert_eq!(world.trueup(&["app", "diff", "web"]).await.code, 1);
    world
}

/// Calls the program in a folder.
async fn call_in(world: &World, folder: &Path, line: &[&str]) -> Run {
    let output = tokio::process::Command::new(program())
        .args(["--kubeconfig".as_ref(), world.folder.path().join("kubeconfig").as_os_str()])
        .args(line)
        .current_dir(folder)
        .env("HOME", world.folder.path())
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output =
        tokio::time::timeout(crate::world::DEADLINE, output).await.expect("the program ends").unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rule_by_path_is_written_to_the_application_and_hides() {
    let world = drifted().await;
    let line = ["app", "ignore", "web", "--kind=ConfigMap", "--path=.data.colour"];
    let more =
        ["--name=settings", "--reason=painted by hand", "--owner=team-a", "--until=2099-01-31T00:00:00Z"];
    let run = world.ok(&[&line[..], &more].concat()).await;
    assert_eq!(run.out, "- jsonPointers:\n  - /data/colour\n  kind: ConfigMap\n  name: settings\n");
    let rule = r#"[{"jsonPointers":["/data/colour"],"kind":"ConfigMap","name":"settings"}]"#;
    assert_eq!(rules(&world).await, rule);
    let application = world.application().await;
    let details = application.str_at(&["metadata", "annotations", "trueup.dev/ignore-reasons"]).unwrap();
    for word in ["painted by hand", "team-a", "2099-01-31T00:00:00Z"] {
        assert!(details.contains(word), "{details}");
    }
    assert_eq!(world.trueup(&["app", "diff", "web"]).await.code, 0);
    let again = world.ok(&[&line[..], &more].concat()).await;
    assert!(again.out.is_empty() && again.err.contains("ignores that already"), "{again:?}");
    assert_eq!(rules(&world).await, rule);
    // A rule that has ended hides nothing.
    let ended = Value::from(details.replace("2099", "2020").as_str()).to_json();
    let patch = format!(r#"{{"metadata":{{"annotations":{{"trueup.dev/ignore-reasons":{ended}}}}}}}"#);
    world.patch(APPLICATION, &patch).await;
    assert_eq!(world.trueup(&["app", "diff", "web"]).await.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_hide_nothing_or_names_nothing_is_refused() {
    let world = drifted().await;
    for (line, said) in [
        (&["--path=.data.colour"][..], "--kind"),
        (&["--kind=ConfigMap", "--path=.data[", "--name=settings"], "is no path"),
        (&["--kind=Deployment", "--path=.spec.replicas"], "--group 'apps'"),
        (&["--kind=Deployment", "--group=apps/v1", "--path=.spec.replicas"], "--group 'apps'"),
        (&["--from-drift=0123"], "DriftReport"),
        (&["--kind=ConfigMap", "--path=.data.colour", "--until=2020-01-31T00:00:00Z"], "is over"),
        (&[], "--path"),
    ] {
        let run = world.trueup(&[&["app", "ignore", "web"], line].concat()).await;
        assert_eq!(run.code, 2, "{line:?}: {run:?}");
        assert!(run.err.contains(said), "{line:?}: {}", run.err);
    }
    let nobody = world.trueup(&["app", "ignore", "nobody", "--kind=ConfigMap", "--path=.data.a"]).await;
    assert_eq!(nobody.code, 2, "{nobody:?}");
    assert_eq!(rules(&world).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drift_is_ignored_by_its_id_and_nothing_else_is() {
    let world = World::new().await;
    let (_controller, _) = world.controller().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.patch(CONFIG_PATH, r#"{"data":{"colour":"red"}}"#).await;
    let reported =
        async || world.live(REPORT).await.filter(|report| report.to_json().contains(".data.colour"));
    world.until("the report has it", async || reported().await.is_some()).await;
    let run = world.trueup(&["app", "diff", "web", "-o", "json"]).await;
    let document = Value::from_json(run.out.as_bytes()).unwrap();
    let id =
        document.list_at(&["objects"])[0].list_at(&["differences"])[0].str_at(&["id"]).unwrap().to_owned();
    let unknown = world.trueup(&["app", "ignore", "web", "--from-drift=no-such-id"]).await;
    assert!(unknown.code == 2 && unknown.err.contains("hint: "), "{unknown:?}");
    world.ok(&["app", "ignore", "web", &format!("--from-drift={}", &id[..8.min(id.len())])]).await;
    assert_eq!(
        rules(&world).await,
        r#"[{"jsonPointers":["/data/colour"],"kind":"ConfigMap","name":"settings","namespace":"web"}]"#
    );
    world
        .until("it is Synced", async || {
            world.application().await.str_at(&["status", "sync", "status"]) == Some("Synced")
        })
        .await;
    world.patch(CONFIG_PATH, r#"{"data":{"size":"small"}}"#).await;
    let run = world.trueup(&["app", "diff", "web"]).await;
    assert!(
        run.code == 1 && run.out.contains(".data.size") && !run.out.contains("# .data.colour"),
        "{run:?}"
    );
}

const IN_GIT: &str = "# The shop's applications.
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata:
  name: web
  namespace: argocd
spec:
  project: default
";

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_is_itself_in_git_is_changed_there() {
    let world = drifted().await;
    world.patch(
        APPLICATION,
        r#"{"metadata":{"annotations":{"argocd.argoproj.io/tracking-id":"root:argoproj.io/Application:argocd/web"}}}"#,
    )
    .await;
    world.commit("root/web.yaml", IN_GIT).await;
    let checkout = world.repository();
    let line = ["app", "ignore", "web", "--kind=ConfigMap", "--path=.data.colour", "--name=settings"];

    let refused = call_in(&world, &checkout.join("apps"), &line).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    assert!(
        refused.err.contains("the application root brings it") && refused.err.contains("--write"),
        "{refused:?}"
    );
    let head = "--- a/root/web.yaml\n+++ b/root/web.yaml\n";
    assert!(
        refused.out.starts_with(head) && refused.out.contains("\n+  ignoreDifferences:\n"),
        "{}",
        refused.out
    );
    // Outside of the checkout the rule alone is told.
    let elsewhere = tempfile::tempdir().unwrap();
    let refused = call_in(&world, elsewhere.path(), &line).await;
    assert!(refused.code == 2 && refused.err.contains("--write=DIR"), "{refused:?}");
    assert_eq!(refused.out, "- jsonPointers:\n  - /data/colour\n  kind: ConfigMap\n  name: settings\n");
    let told = ["--owner=team-a", "--reason=painted by hand"];
    let refused = call_in(&world, elsewhere.path(), &[&line[..], &told].concat()).await;
    let addition = Value::from_yaml(refused.out.as_bytes()).unwrap();
    let reasons = addition.str_at(&["metadata", "annotations", "trueup.dev/ignore-reasons"]).unwrap();
    assert!(reasons.contains("team-a") && reasons.contains("painted by hand"), "{refused:?}");
    assert_eq!(addition.list_at(&["spec", "ignoreDifferences"]).len(), 1, "{refused:?}");
    assert_eq!(rules(&world).await, "", "nothing was written to the cluster");
    assert_eq!(std::fs::read_to_string(checkout.join("root/web.yaml")).unwrap(), IN_GIT);

    // The patch is what --write makes.
    std::fs::write(elsewhere.path().join("patch"), &call_in(&world, &checkout, &line).await.out).unwrap();
    let patch = elsewhere.path().join("patch");
    let git = async |more: &str| {
        let mut command = tokio::process::Command::new("git");
        command.args(["apply", more]).arg(&patch).current_dir(&checkout).status().await.unwrap().success()
    };
    assert!(git("--index").await);
    let patched = std::fs::read_to_string(checkout.join("root/web.yaml")).unwrap();
    std::fs::write(checkout.join("root/web.yaml"), IN_GIT).unwrap();

    let write = format!("--write={}", checkout.display());
    let written = world.ok(&[&line[..], &[write.as_str()]].concat()).await;
    assert!(written.out.contains("root/web.yaml: changed; commit it"), "{written:?}");
    let text = std::fs::read_to_string(checkout.join("root/web.yaml")).unwrap();
    assert!(text.starts_with(IN_GIT) && text == patched, "what was there stays as it is: {text}");
    let rule =
        Value::from_yaml(text.as_bytes()).unwrap().at(&["spec", "ignoreDifferences"]).unwrap().to_json();
    assert_eq!(rule, r#"[{"jsonPointers":["/data/colour"],"kind":"ConfigMap","name":"settings"}]"#);
    assert_eq!(rules(&world).await, "");
    let nowhere = format!("--write={}", elsewhere.path().display());
    let run = world.trueup(&[&line[..], &[nowhere.as_str()]].concat()).await;
    assert!(run.code == 2 && run.err.contains("no Git checkout"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn lint_names_rules_that_hide_nothing_and_corrects_those_that_cannot() {
    let world = drifted().await;
    let well = world.ok(&["app", "lint", "web"]).await;
    assert_eq!(well.out, "web: every ignore rule is well\n");
    let rules = r#"{"spec":{"ignoreDifferences":[
        {"group":"","kind":"ConfigMap","jsonPointers":["/data/colour"]},
        {"group":"","kind":"ConfigMap","jsonPointers":["/data/nothing"]},
        {"group":"apps/v1","kind":"Deployment","jsonPointers":["/spec/replicas"]},
        {"group":"","kind":"ConfigMap","jqPathExpressions":[".data | error"]}]}}"#;
    world.patch(APPLICATION, rules).await;
    let run = world.trueup(&["app", "lint", "web", "-o", "json"]).await;
    assert_eq!(run.code, 1, "{run:?}");
    let found = Value::from_json(run.out.as_bytes()).unwrap();
    let found: Vec<(String, bool)> = found
        .as_list()
        .unwrap()
        .iter()
        .map(|it| {
            assert_eq!(it.str_at(&["application"]), Some("web"));
            (it.str_at(&["rule"]).unwrap().to_owned(), it.get("corrected").is_some_and(|it| !it.is_null()))
        })
        .collect();
    let place = |index: usize| format!("ignoreDifferences[{index}]");
    let is_found = |index: usize| found.iter().find(|(rule, _)| rule.starts_with(&place(index)));
    assert!(is_found(0).is_none() && is_found(1).is_some() && is_found(3).is_some(), "{found:?}");
    assert!(is_found(2).is_some_and(|(_, corrected)| *corrected), "{found:?}");
    let text = world.trueup(&["app", "lint", "web"]).await;
    assert!(text.out.contains("write instead:\n  - group: apps\n"), "{}", text.out);
    assert_eq!(world.trueup(&["app", "lint", "nobody"]).await.code, 2);
}
