//! `trueup blame`: who owns the fields of an object, in the cluster and in files.

use std::process::Stdio;

use trueup_object::Value;

use crate::offline::Folder;
use crate::world::{Run, World};

const LIVE: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  managedFields:
  - {manager: trueup, operation: Apply, apiVersion: apps/v1, time: "2026-11-21T10:00:00Z", fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:replicas": {}}}}
  - {manager: kubectl, operation: Update, subresource: scale, apiVersion: apps/v1, fieldsType: FieldsV1, fieldsV1: {"f:spec": {"f:replicas": {}}}}
spec: {replicas: 5, minReadySeconds: 3}
---
apiVersion: v1
kind: Secret
metadata: {name: db, namespace: shop}
data: {password: TEVBSw==}
"#;

fn blame(folder: &Folder, arguments: &[&str]) -> Run {
    folder.call(&[&["blame"], arguments].concat(), Stdio::null(), &[])
}

#[test]
fn the_fields_of_files_have_their_owners() {
    let folder = Folder::new(&[("live.yaml", LIVE)]);
    let run = blame(&folder, &["-f", "live.yaml", "-o", "json"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(!run.out.contains("TEVBSw") && run.out.contains("++++++++"), "{run:?}");
    assert!(run.err.contains("note: Secret/db has no managedFields"), "{run:?}");
    let document = Value::from_json(run.out.as_bytes()).unwrap();
    let [web, _] = document.as_list().unwrap() else { panic!("{run:?}") };
    let [unowned, replicas] = web.list_at(&["fields"]) else { panic!("{run:?}") };
    assert_eq!(
        (unowned.str_at(&["path"]), unowned.list_at(&["owners"]).len()),
        (Some(".spec.minReadySeconds"), 0)
    );
    assert_eq!(replicas.str_at(&["pointer"]), Some("/spec/replicas"));
    let owners: Vec<String> = replicas.list_at(&["owners"]).iter().map(Value::to_json).collect();
    assert_eq!(
        owners,
        [
            r#"{"class":"manual","manager":"kubectl","operation":"Update","subresource":"scale","time":null}"#,
            r#"{"class":"gitops","manager":"trueup","operation":"Apply","subresource":null,"time":"2026-11-21T10:00:00Z"}"#,
        ]
    );
}

#[test]
fn one_object_and_one_path_are_told_apart() {
    let folder = Folder::new(&[("live.yaml", LIVE)]);
    let run = blame(&folder, &["deploy/web", ".spec.replicas", "-f", "live.yaml"]);
    assert_eq!(run.code, 0, "{run:?}");
    let words: Vec<Vec<&str>> = run.out.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        words,
        [
            &["PATH", "VALUE", "TOOL", "HOW", "BY", "THEN", "CLASS"][..],
            &[".spec.replicas", "5", "kubectl", "Update", "of", "scale", "-", "manual"],
            &["trueup", "Apply", "2026-11-21T10:00:00Z", "gitops"],
        ]
    );
}

#[test]
fn mistakes_are_the_users() {
    let folder = Folder::new(&[("live.yaml", LIVE)]);
    for (line, said) in [
        (&["-f", "live.yaml", "deploy/api"][..], "there is no deploy/api in what -f names"),
        (&["-f", "live.yaml", ".spec.nothing"], "there is nothing at the paths"),
        (&["-f", "live.yaml", ".spec["], "failed to read the path .spec["),
        (&["-f", "live.yaml", "deployment"], "deployment is neither an object nor a path"),
        (&["-f", "live.yaml", "a/b", "c/d"], "c/d is neither an object nor a path"),
        (&["-f", "none.yaml"], "failed to read"),
        (&[], "KIND/NAME|PATH"),
    ] {
        let run = blame(&folder, line);
        assert_eq!(run.code, 2, "{run:?}");
        assert!(run.err.contains(said), "{run:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_fields_of_an_object_of_the_cluster_have_their_owners() {
    let world = World::new().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    world.patch("/api/v1/namespaces/web/configmaps/settings", r#"{"data":{"colour":"red"}}"#).await;
    for kind in ["configmap", "configmaps", "cm", "ConfigMap"] {
        let run = world.ok(&["blame", &format!("{kind}/settings"), "-n", "web", ".data.colour"]).await;
        let line: Vec<&str> = run.out.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(line[..4], [".data.colour", "\"red\"", "kubectl-patch", "Update"], "{run:?}");
        assert_eq!(line.last(), Some(&"manual"), "{run:?}");
    }
    let run = world.ok(&["blame", "applications.argoproj.io/web", "-n", "argocd", "-o", "yaml"]).await;
    assert!(run.out.contains("kind: Application") && run.out.contains("path: .spec.project"), "{run:?}");
    for (line, code, said) in [
        (&["blame", "configmap/none", "-n", "web"][..], 2, "there is no ConfigMap/none in the namespace web"),
        (&["blame", "widget/a"], 2, "the cluster serves no kind widget"),
        (&["blame", ".spec"], 2, "no object is named"),
    ] {
        let run = world.trueup(line).await;
        assert_eq!((run.code, run.err.contains(said)), (code, true), "{run:?}");
    }
}
