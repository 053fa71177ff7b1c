//! The kinds that the sandbox knows whole, against a real API server: what both fill in, refuse and keep from being changed,
//! case by case, with the same codes, reasons, messages and causes.
//!
//! The cases stand in `kinds/cases.yaml`. Every one is a dry run; only the objects that updates are about are stored. No
//! controller runs meanwhile in either world.

use std::process::Command;
use std::time::Duration;

use trueup_object::Value;
use trueup_sandbox::{Sandbox, SandboxOptions, Workloads};
use trueup_testkit::controlplane::Options;
use trueup_testkit::http::{BodyKind, Client, Method, Reply};

use crate::both::differences;
use crate::world::start;

const CASES: &str = include_str!("kinds/cases.yaml");
const NAMESPACE: &str = "kinds";

/// A new namespace has its account within moments.
const ACCOUNT_TIMEOUT: Duration = Duration::from_secs(60);

/// The two worlds: the control plane first.
type Worlds = [Client; 2];

/// A JSON merge patch.
fn merged(target: &Value, patch: &Value) -> Value {
    let Value::Map(patch) = patch else { return patch.clone() };
    let mut result = target.as_map().cloned().unwrap_or_default();
    for (key, value) in patch.iter() {
        if value.is_null() {
            result.remove(key);
        } else {
            let before = result.get(key).cloned().unwrap_or_default();
            result.insert(key, merged(&before, value));
        }
    }
    Value::Map(result)
}

/// What two clusters cannot agree on, and what the server shows in the form of its internal Go types, is put out of sight.
fn comparable(reply: &Reply) -> Value {
    let text = String::from_utf8_lossy(&reply.body).into_owned();
    let mut value = Value::from_json(text.as_bytes()).unwrap_or_default();
    for key in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
        value.remove_at(&["metadata", key]);
    }
    if value.str_at(&["metadata", "generateName"]).is_some() {
        value.remove_at(&["metadata", "name"]);
    }
    value.remove_at(&["status"]);
    let plain = masked(&value);
    Value::from_json(plain.as_bytes()).unwrap_or(value)
}

/// Ids, generated letters, times, allocated addresses and ports, and JSON inside of messages, as dots.
fn masked(value: &Value) -> String {
    let mut text = value.to_json();
    for (pattern, with) in [
        ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"kube-api-access-[a-z0-9]{5}", "kube-api-access-X"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"\b10\.0\.\d+\.\d+\b", "ADDRESS"),
        (r#""(nodePort|healthCheckNodePort)":\d+"#, r#""$1":0"#),
        (r"UP-[a-z0-9]{5}", "UP-X"),
        // A comparison of internal types ends before whatever begins a line otherwise than one.
        (r#"\\n@@.*?\\n([",\]])"#, "$1"),
        // Patched objects stand in messages in the order of Go's types.
        (r#"value: \\"\{.*?\}\\": "#, "value: OBJECT: "),
        (r#""kubernetes\.io/metadata\.name":"a-[a-z0-9]{5}""#, "\"kubernetes.io/metadata.name\":\"a-X\""),
        (r#"value: \[?\{.*?\}\]?(: |, [a-z]+[.\[]|\]?")"#, "value: OBJECT$1"),
    ] {
        let pattern = regex::Regex::new(pattern).unwrap();
        text = pattern.replace_all(&text, with).into_owned();
    }
    text
}

/// Sends the same to both worlds; what differs in their answers.
async fn judge(worlds: &Worlds, method: Method, path: &str, kind: BodyKind, body: &Value) -> Vec<String> {
    let send = |world: &Client| {
        let (world, method, path) = (world.clone(), method.clone(), path.to_owned());
        let bytes = body.to_json();
        async move { world.send(method, &path, Some((kind, bytes.into()))).await.unwrap() }
    };
    let [real, ours] = [send(&worlds[0]).await, send(&worlds[1]).await];
    let mut found = Vec::new();
    let code = |reply: &Reply| Value::from(i64::from(reply.code));
    differences("code", &code(&real), &code(&ours), &mut found);
    differences("", &comparable(&real), &comparable(&ours), &mut found);
    found
}

/// All cases of one kind.
async fn play(worlds: &Worlds, entry: &Value) -> Vec<String> {
    let collection = entry.str_at(&["path"]).unwrap();
    let mut object = entry.get("object").unwrap().clone();
    if object.str_at(&["metadata", "name"]).is_none() {
        object.set_at(&["metadata", "name"], "case".into());
    }
    let mut failures = Vec::new();
    let mut tell = |what: &str, case: &Value, found: Vec<String>| {
        if !found.is_empty() {
            failures.push(format!("{collection}: {what} {}\n{}", case.to_json(), found.join("\n")));
        }
    };
    let dry = format!("{collection}?dryRun=All");
    for case in entry.list_at(&["create"]) {
        let body = merged(&object, case);
        tell("create", case, judge(worlds, Method::POST, &dry, BodyKind::Json, &body).await);
    }
    for world in worlds {
        world.write(Method::POST, collection, BodyKind::Json, &object).await.unwrap();
    }
    let path = format!("{collection}/{}", object.str_at(&["metadata", "name"]).unwrap());
    let dry = format!("{path}?dryRun=All");
    for case in entry.list_at(&["update"]) {
        tell("update", case, judge(worlds, Method::PATCH, &dry, BodyKind::MergePatch, case).await);
    }
    for world in worlds {
        world.delete(&path).await.unwrap();
    }
    failures
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_filled_in_refused_and_kept_is_the_same() {
    let plane = tokio::task::spawn_blocking(|| start(&Options::default())).await.unwrap();
    let options = SandboxOptions { workloads: Workloads::Untouched, ..SandboxOptions::default() };
    let sandbox = Sandbox::start(options).await.unwrap();
    let worlds = [
        Client::open(plane.kubeconfig(), "admin", "kinds").unwrap(),
        Client::from_kubeconfig(sandbox.kubeconfig("admin").as_bytes(), "admin", "kinds").unwrap(),
    ];
    let named = |kind: &str, name: &str| {
        Value::from_json(
            format!(r#"{{"apiVersion":"v1","kind":"{kind}","metadata":{{"name":"{name}"}}}}"#).as_bytes(),
        )
        .unwrap()
    };
    let accounts = format!("/api/v1/namespaces/{NAMESPACE}/serviceaccounts");
    for world in &worlds {
        let namespace = named("Namespace", NAMESPACE);
        world.write(Method::POST, "/api/v1/namespaces", BodyKind::Json, &namespace).await.unwrap();
    }
    // Pods need the account, which a controller makes in one world and nobody in the other.
    let account = named("ServiceAccount", "default");
    worlds[1].write(Method::POST, &accounts, BodyKind::Json, &account).await.unwrap();
    let made = async {
        while worlds[0].find(&format!("{accounts}/default")).await.unwrap().is_none() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(ACCOUNT_TIMEOUT, made).await.unwrap();
    let controllers: Vec<String> = ["kube-controller-manager", "kube-scheduler"]
        .iter()
        .map(|name| plane.ready().components[*name].to_string())
        .collect();
    let signal = |signal: &str| {
        assert!(Command::new("kill").arg(signal).args(&controllers).status().unwrap().success());
    };
    signal("-STOP");
    let cases = Value::from_yaml(
        CASES
            .replace("/NS/", &format!("/{NAMESPACE}/"))
            .replace("namespace: NS", &format!("namespace: {NAMESPACE}"))
            .as_bytes(),
    )
    .unwrap();
    let mut failures = Vec::new();
    for entry in cases.as_list().unwrap() {
        failures.extend(play(&worlds, entry).await);
    }
    signal("-CONT");
    sandbox.shutdown().await;
    tokio::task::spawn_blocking(move || drop(plane)).await.unwrap();
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
