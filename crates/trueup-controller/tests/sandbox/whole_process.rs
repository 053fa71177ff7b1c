//! What a whole process says and keeps: a test of its own process for each, so that its log is its own.

use std::path::Path;
use std::process::Command;

use crate::world::{DEFINITIONS, World, config_map, deployment, value};

const CHILD: &str = "TRUEUP_TEST_CHILD";

/// Runs the test that calls this again in a process of its own, and returns what that wrote; in that process, nothing.
fn output_of(test: &str, filter: &str) -> Option<String> {
    if std::env::var_os(CHILD).is_some() {
        return None;
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .env("RUST_LOG", filter)
        .env("NO_COLOR", "1")
        .output()
        .unwrap();
    let text =
        format!("{}{}", String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    let tail: Vec<&str> = text.lines().rev().take(40).collect();
    assert!(child.status.success(), "{}", tail.into_iter().rev().collect::<Vec<_>>().join("\n"));
    Some(text)
}

/// Every value that must stay where it belongs begins so, plain or encoded.
const TRACES: [&str; 2] = ["hunter2", "aHVudGVyM"];

fn leaks(text: &str) -> Vec<String> {
    let leaking = text.lines().filter(|line| TRACES.iter().any(|trace| line.contains(trace)));
    leaking.map(|line| line.chars().take(600).collect()).take(10).collect()
}

const SECRETS: &str = "apiVersion: v1
kind: Secret
metadata: {name: plain}
data: {password: aHVudGVyMi1kYXRh}
---
apiVersion: v1
kind: Secret
metadata: {name: strings}
stringData: {token: hunter2-string}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {db_password: hunter2-map, colour: red}
";

fn with_token(replicas: u32) -> String {
    deployment(replicas)
        .replace("image: 'web:1'", "image: 'web:1', env: [{name: API_TOKEN, value: hunter2-env}]")
}

/// Objects that a server refuses, each with a value in what it refuses.
const REFUSED: [(&str, &str); 3] = [
    (
        "apps/refused/secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: refused}\ndata: {password: 'hunter2 is not base64'}\n",
    ),
    (
        "apps/refused/vault.yaml",
        "apiVersion: example.com/v1\nkind: Vault\nmetadata: {name: refused}\nspec: {password: hunter2-vault}\n",
    ),
    (
        "apps/refused/map.yaml",
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: refused}\ndata: {db_password: [hunter2-list]}\n",
    ),
];

/// Documents that nobody can read, each with a value where reading ends.
const BROKEN: [(&str, &str); 4] = [
    (
        "apps/broken/alias.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData:\n  password: *hunter2-alias\n",
    ),
    (
        "apps/broken/colon.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: b}\nstringData:\n  password: hunter2: colon\n",
    ),
    (
        "apps/broken/tag.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: c}\nstringData:\n  password: !hunter2-tag x\n",
    ),
    ("apps/broken/list.yaml", "apiVersion: v1\nkind: List\nitems: [hunter2-item]\n"),
];

const VAULTS: &str = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"vaults.example.com"},
    "spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"vaults","singular":"vault","kind":"Vault","listKind":"VaultList"},
    "versions":[{"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object",
    "properties":{"spec":{"type":"object","properties":{"password":{"type":"string","pattern":"^x$"}}}}}}}]}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn values_of_secrets_stay_where_they_belong() {
    // The sandbox shares the process and is not what is tested.
    if let Some(log) =
        output_of("whole_process::values_of_secrets_stay_where_they_belong", "trace,trueup_sandbox=off")
    {
        assert!(log.contains("TRACE"), "the log is there");
        assert_eq!(leaks(&log), Vec::<String>::new());
        return;
    }
    let mut world = World::without_controller(&[("readme", "x")]).await;
    world.create(DEFINITIONS, &value(VAULTS)).await;
    let mut files = vec![("apps/web/secrets.yaml", Some(SECRETS))];
    let token = with_token(2);
    files.push(("apps/web/deployment.yaml", Some(token.as_str())));
    files.extend(REFUSED.iter().chain(&BROKEN).map(|(path, content)| (*path, Some(*content))));
    world.commit(&files);
    world.control("first").await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.application("refused", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.application("broken", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until_well("web", "Synced").await;
    let secrets = "/api/v1/namespaces/web/secrets";
    let plain = r#"{"data":{"password":"aHVudGVyMi1saXZl","more":"aHVudGVyMi1tb3Jl"}}"#;
    world.merge(&format!("{secrets}/plain"), plain, "kubectl-edit").await;
    world
        .merge(&format!("{secrets}/strings"), r#"{"stringData":{"token":"hunter2-live"}}"#, "kubectl-edit")
        .await;
    let settings = r#"{"data":{"db_password":"hunter2-changed","api_key":"hunter2-added"}}"#;
    world.merge("/api/v1/namespaces/web/configmaps/settings", settings, "kubectl-edit").await;
    let patch = r#"{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"web:1","env":[{"name":"API_TOKEN","value":"hunter2-edited"},{"name":"DB_PASSWORD","value":"hunter2-env-added"}]}]}}}}"#;
    world.edit(patch, "kubectl-edit").await;
    let n_drifted = |status: &trueup_object::Value| {
        let resources = status.list_at(&["resources"]).iter();
        resources.filter(|it| it.str_at(&["status"]) == Some("OutOfSync")).count()
    };
    world.until("web", |status| n_drifted(status) == 4).await;
    nothing_leaks(&world).await;
    world.patch("web", r#"{"spec":{"syncPolicy":{"automated":{"selfHeal":true}}}}"#, "kubectl").await;
    world.until("web", |status| n_drifted(status) <= 4 && status.str_at(&["operationState"]).is_none()).await;
    world.operation("web", r#"{"sync":{"syncOptions":[]}}"#).await;
    world.until_ended("web", "Succeeded").await;
    world.until_condition("broken", "ComparisonError", "apps/broken").await;
    world.operation("refused", r#"{"sync":{}}"#).await;
    world.until_ended("refused", "Failed").await;
    nothing_leaks(&world).await;
    world.kill().await;
    no_file_leaks(&world.state_dir("first"));
    world.end().await;
}

async fn nothing_leaks(world: &World) {
    for path in [
        "/apis/argoproj.io/v1alpha1/applications",
        "/apis/trueup.dev/v1alpha1/driftreports",
        "/api/v1/events",
    ] {
        let text = world.find(path).await.unwrap().to_json().replace("},", "},\n");
        assert_eq!(leaks(&text), Vec::<String>::new(), "{path}");
    }
    no_file_leaks(&world.state_dir("first"));
}

/// Mirrors hold what Git holds.
fn no_file_leaks(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("mirrors") {
                no_file_leaks(&path);
            }
            continue;
        }
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            // The database's own side files come and go; what is gone keeps nothing.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => panic!("{}: {error}", path.display()),
        };
        for trace in TRACES {
            let found = bytes.windows(trace.len()).any(|window| window == trace.as_bytes());
            assert!(!found, "{} contains {trace}", path.display());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_applications_of_one_repository_start_without_an_error() {
    let test = "whole_process::two_hundred_applications_of_one_repository_start_without_an_error";
    if let Some(log) = output_of(test, "warn") {
        // On a machine that has much else to do the Lease may be late, which is no fault of the start.
        let is_late = |line: &&str| line.contains("trueup_cluster::lease") && line.contains("in time");
        let told = log.lines().filter(|line| line.contains("ERROR") || line.contains("WARN"));
        let errors: Vec<&str> = told.filter(|line| !is_late(line)).take(10).collect();
        assert_eq!(errors, Vec::<&str>::new());
        return;
    }
    let names: Vec<String> = (0..200).map(|number| format!("fleet-{number}")).collect();
    let files: Vec<(String, String)> =
        names.iter().map(|name| (format!("apps/{name}/map.yaml"), config_map(name, "1"))).collect();
    let files: Vec<(&str, &str)> =
        files.iter().map(|(path, content)| (path.as_str(), content.as_str())).collect();
    let mut world = World::without_controller(&files).await;
    for name in &names {
        world.application(name, r#"{"syncPolicy":{"automated":{"selfHeal":true}}}"#).await;
    }
    world.control("first").await;
    for name in &names {
        world.until_well(name, "Synced").await;
    }
    world.end().await;
}
