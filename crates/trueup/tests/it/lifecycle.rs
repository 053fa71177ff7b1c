//! Making, changing and showing Applications.

use trueup_object::Value;

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn lists_have_argo_cds_columns_and_shapes() {
    let world = World::new().await;
    world.create().await;
    let wide = world.ok(&["app", "list"]).await.out;
    let heading = wide.lines().next().unwrap();
    assert_eq!(
        heading.split_whitespace().collect::<Vec<_>>(),
        [
            "NAME",
            "CLUSTER",
            "NAMESPACE",
            "PROJECT",
            "STATUS",
            "HEALTH",
            "SYNCPOLICY",
            "CONDITIONS",
            "REPO",
            "PATH",
            "TARGET"
        ]
    );
    assert_eq!(world.ok(&["app", "list", "-o", "name"]).await.out, "argocd/web\n");
    let json = world.ok(&["app", "list", "-o", "json"]).await.out;
    let list = Value::from_json(json.as_bytes()).unwrap();
    let [item] = list.as_list().unwrap() else { panic!("{json}") };
    assert_eq!(item.str_at(&["kind"]), Some("Application"));
    assert!(item.at(&["metadata", "managedFields"]).is_none());
    let yaml = world.ok(&["app", "list", "-o", "yaml"]).await.out;
    assert_eq!(Value::from_yaml(yaml.as_bytes()).unwrap(), list);
    for (filter, is_listed) in [
        (&["-p", "default"][..], true),
        (&["-p", "other"], false),
        (&["-P", "apps/web"], true),
        (&["-c", "in-cluster"], true),
        (&["-c", "elsewhere"], false),
        (&["-r", "https://example.com/other"], false),
        (&["-l", "team=a"], false),
        (&["-N", "web"], false),
    ] {
        let line: Vec<&str> = ["app", "list", "-o", "name"].iter().chain(filter).copied().collect();
        assert_eq!(!world.ok(&line).await.out.is_empty(), is_listed, "{filter:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_application_is_shown_in_every_form() {
    let world = World::new().await;
    world.create().await;
    let wide = world.ok(&["app", "get", "argocd/web"]).await.out;
    assert!(wide.starts_with("Name:               argocd/web\nProject:            default\n"), "{wide}");
    assert!(wide.contains("Source:\n- Repo:             file://"), "{wide}");
    let json = world.ok(&["app", "get", "web", "-o", "json"]).await.out;
    assert_eq!(
        Value::from_json(json.as_bytes()).unwrap().str_at(&["spec", "source", "path"]),
        Some("apps/web")
    );
    assert!(world.ok(&["app", "get", "web", "-o", "tree"]).await.out.contains("KIND/NAME"));
    let run = world.trueup(&["app", "get", "none"]).await;
    assert!(run.code == 2 && run.err.contains("there is no Application argocd/none"), "{run:?}");
    let run = world.trueup(&["app", "get", "web", "--refresh"]).await;
    assert!(run.code == 1 && run.err.contains("no controller"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_again_changes_only_when_asked() {
    let world = World::new().await;
    world.create().await;
    let repository = format!("file://{}", world.repository().display());
    let line = ["app", "create", "web", "--repo", &repository, "--dest-namespace=web", "--revision=main"];
    let with = |more: &[&'static str]| -> Vec<String> {
        line.iter().map(ToString::to_string).chain(more.iter().map(ToString::to_string)).collect()
    };
    let call = async |line: Vec<String>| {
        let line: Vec<&str> = line.iter().map(String::as_str).collect();
        world.trueup(&line).await
    };
    assert_eq!(call(with(&["--path=apps/web"])).await.out, "application 'web' unchanged\n");
    let run = call(with(&["--path=apps/other"])).await;
    assert!(run.code == 2 && run.err.contains("--upsert"), "{run:?}");
    let run = call(with(&["--path=apps/other", "--upsert"])).await;
    assert_eq!(run.out, "application 'web' updated\n", "{run:?}");
    assert_eq!(world.application().await.str_at(&["spec", "source", "path"]), Some("apps/other"));
    let run = world.trueup(&["app", "create", "odd", "--path=x"]).await;
    assert!(run.code == 2 && run.err.contains("hint: "), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_makes_an_application() {
    let world = World::new().await;
    let file = world.folder.path().join("app.yaml");
    let text = format!(
        "apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: other, namespace: argocd, labels: {{team: a}}}}
spec:
  project: default
  source: {{repoURL: 'file://{}', path: apps/web}}
  destination: {{server: 'https://kubernetes.default.svc', namespace: web}}
",
        world.repository().display()
    );
    std::fs::write(&file, text).unwrap();
    world.ok(&["app", "create", "-f", file.to_str().unwrap()]).await;
    assert_eq!(world.ok(&["app", "list", "-l", "team=a", "-o", "name"]).await.out, "argocd/other\n");
    std::fs::write(&file, "kind: ConfigMap").unwrap();
    let run = world.trueup(&["app", "create", "-f", file.to_str().unwrap()]).await;
    assert!(run.code == 2 && run.err.contains("holds no Application"), "{run:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_changed_unless_git_has_them() {
    let world = World::new().await;
    world.create().await;
    world.ok(&["app", "set", "web", "--sync-policy=automated", "--self-heal", "--auto-prune"]).await;
    let automated = world.application().await.at(&["spec", "syncPolicy", "automated"]).cloned().unwrap();
    assert_eq!(automated, Value::from_json(br#"{"prune":true,"selfHeal":true}"#).unwrap());
    world.ok(&["app", "set", "web", "--sync-policy=none"]).await;
    assert!(world.application().await.at(&["spec", "syncPolicy", "automated"]).is_none());
    assert_eq!(world.trueup(&["app", "set", "web"]).await.code, 2);

    let path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web";
    let mark = r#"{"metadata":{"annotations":{"argocd.argoproj.io/tracking-id":"root:argoproj.io/Application:argocd/web"}}}"#;
    world.patch(path, mark).await;
    let run = world.trueup(&["app", "set", "web", "--path=apps/other"]).await;
    assert!(run.code == 2 && run.err.contains("root"), "{run:?}");
    assert_eq!(run.out, "spec:\n  source:\n    path: apps/other\n");
    assert_eq!(world.application().await.str_at(&["spec", "source", "path"]), Some("apps/web"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_controller_only_the_application_alone_can_be_deleted() {
    let world = World::new().await;
    world.create().await;
    let run = world.trueup(&["app", "delete", "web", "-y"]).await;
    assert!(run.code == 1 && run.err.contains("--cascade=false"), "{run:?}");
    world.ok(&["app", "delete", "web", "-y", "--cascade=false", "--wait"]).await;
    assert_eq!(world.ok(&["app", "list", "-o", "name"]).await.out, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_to_do() {
    let world = World::new().await;
    world.create().await;
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken.yaml");
    std::fs::write(&broken, "metadata: [").unwrap();
    let broken = format!("--file={}", broken.display());
    for line in [
        &["app", "create", "--file=/nowhere/app.yaml"][..],
        &["app", "create", &broken],
        &["app", "list", "-l", "a in (b"],
    ] {
        let run = world.trueup(line).await;
        assert!(run.code == 2 && run.err.contains("\nhint: "), "{line:?}: {run:?}");
    }
    let run = world.trueup(&["app", "set", "web", "--dest-name=in-cluster", "--dest-server=https://x"]).await;
    assert!(run.code == 2 && run.err.contains("cannot be used with"), "one destination: {run:?}");
    let run = world.trueup(&["controller", "--state-dir=/nowhere", "--poll=0"]).await;
    assert!(run.code == 2 && run.err.contains("--poll"), "{run:?}");
}
