//! The sandbox's audit events beside those of the control plane, for the same commands under the same policy.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
};

use serde_json::Value;
use trueup_sandbox::{AuditLog, AuditOptions, AuditPolicy, Sandbox, SandboxOptions, Workloads};
use trueup_testkit::controlplane::Options;

use crate::world::start;

const POLICY: &str = include_str!("audit-policy.yaml");

/// What is done in both worlds, and whether it must succeed there.
const COMMANDS: [&str; 34] = [
    "create namespace audited",
    "-n audited create configmap a --from-literal=x=y",
    "-n audited create configmap a --from-literal=x=y",
    "-n audited create secret generic s --from-literal=x=hunter2",
    "-n audited label configmap a q=1",
    "-n audited get configmap a -o yaml",
    "-n audited get configmap a",
    "-n audited get configmap nothing",
    "-n audited --as jane --as-group devs get configmap a",
    "-n audited --as system:serviceaccount:audited:default get secrets",
    "-n audited create deployment web --image=registry.example/web:1",
    "-n audited scale deployment web --replicas=3",
    "-n audited get deployment/web --subresource=scale -o name",
    "-n audited patch deployment web --type=json -p [{\"op\":\"replace\",\"path\":\"/spec/replicas\",\"value\":1}]",
    "-n audited patch deployment web --subresource=status --type=merge -p {\"status\":{\"observedGeneration\":1}}",
    "-n audited patch deployment web -p {\"spec\":{\"replicas\":\"many\"}}",
    "-n audited --context alice@example.com annotate deployment web note=mine",
    "-n audited --context bob@example.com apply --server-side -f object.yaml",
    "-n audited apply -f object.yaml --server-side --dry-run=server",
    "-n audited apply -f client.yaml",
    "-n audited replace -f client.yaml",
    "-n audited create token default",
    "-n audited create role r --verb=get --resource=pods",
    "-n audited create rolebinding r --role=r --user=jane",
    "-n audited --as jane get pods nothing",
    "-n audited --as jane auth can-i get pods",
    "auth whoami",
    "-n audited delete configmap a --wait=false",
    "-n audited delete configmap nothing",
    "-n audited delete role r --wait=false",
    "-n audited delete rolebindings --all --wait=false",
    "get --raw /no/such/path",
    "get --raw /healthz",
    "-n audited get configmaps --field-selector metadata.name=b -o name",
];

/// Memory that a log can be written to.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn both_worlds_tell_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, POLICY).unwrap();
    let object = "{apiVersion: v1, kind: ConfigMap, metadata: {name: b}, data: {x: one}}";
    std::fs::write(folder.path().join("object.yaml"), object).unwrap();
    std::fs::write(folder.path().join("client.yaml"), object.replace("name: b", "name: c")).unwrap();

    let plane = start(&Options { audit: true, audit_policy: Some(policy), ..Options::default() });
    run_all(&plane.programs().kubectl, plane.kubeconfig(), folder.path());
    let real = std::fs::read_to_string(plane.ready().audit_log.as_ref().unwrap()).unwrap();

    let log = Memory::default();
    let policy = AuditPolicy::parse(POLICY).unwrap();
    let audit = AuditOptions { policy, log: Some(AuditLog::new(log.clone())), webhook: None };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let options =
        SandboxOptions { audit: Some(audit), workloads: Workloads::Pending, ..SandboxOptions::default() };
    let sandbox = runtime.block_on(Sandbox::start(options)).unwrap();
    let kubeconfig = folder.path().join("sandbox.yaml");
    std::fs::write(&kubeconfig, sandbox.kubeconfig("admin")).unwrap();
    run_all(&plane.programs().kubectl, &kubeconfig, folder.path());
    runtime.block_on(sandbox.shutdown());
    let ours = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();

    let (real, ours) = (comparable(&real), comparable(&ours));
    let mut differing = Vec::new();
    for (left, right) in real.iter().zip(&ours) {
        let mut apart = Vec::new();
        tell_apart(left, right, String::new(), &mut apart);
        if !apart.is_empty() {
            let what = format!("{} {} {}", left["verb"], left["requestURI"], left["stage"]);
            differing.push(format!("{what}\n{}", apart.join("\n")));
        }
    }
    assert!(
        differing.is_empty(),
        "{} of {} events differ:\n{}",
        differing.len(),
        real.len(),
        differing.join("\n\n")
    );
    assert_eq!(real.len(), ours.len());
    assert!(real.len() > COMMANDS.len());
    assert!(!real.iter().chain(&ours).any(|event| event.to_string().contains("hunter2")));
}

/// Where two values differ.
fn tell_apart(real: &Value, ours: &Value, path: String, found: &mut Vec<String>) {
    match (real, ours) {
        (Value::Object(left), Value::Object(right)) => {
            let keys: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            let absent = Value::String("(absent)".to_owned());
            for key in keys {
                let (left, right) = (left.get(key), right.get(key));
                tell_apart(left.unwrap_or(&absent), right.unwrap_or(&absent), format!("{path}.{key}"), found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                tell_apart(left, right, format!("{path}[{index}]"), found);
            }
        }
        (left, right) if left == right => {}
        (left, right) => found.push(format!("  {path}: control plane {left}, sandbox {right}")),
    }
}

fn run_all(kubectl: &Path, kubeconfig: &Path, folder: &Path) {
    // The account comes a moment after the namespace: what is said about it must not depend on that.
    for command in COMMANDS {
        let run = || {
            let mut run = Command::new(kubectl);
            run.arg("--kubeconfig").arg(kubeconfig).args(command.split(' ')).current_dir(folder);
            run.env("KUBECACHEDIR", kubeconfig.with_extension("cache"));
            run.output().unwrap()
        };
        run();
        if command.starts_with("create namespace") {
            let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
            let account =
                "-n audited --as system:waiting --as-group system:masters get serviceaccount default";
            loop {
                let mut wait = Command::new(kubectl);
                wait.arg("--kubeconfig").arg(kubeconfig).args(account.split(' '));
                wait.env("KUBECACHEDIR", kubeconfig.with_extension("cache"));
                if wait.output().unwrap().status.success() {
                    break;
                }
                assert!(std::time::Instant::now() < deadline, "no account");
            }
        }
    }
}

/// The events of the commands in the order of their requests, without what no two clusters agree on.
fn comparable(log: &str) -> Vec<Value> {
    let mut ids: BTreeMap<String, usize> = BTreeMap::new();
    let mut events: Vec<(usize, Value)> = Vec::new();
    for line in log.lines() {
        let mut event: Value = serde_json::from_str(line).unwrap();
        let is_kubectl = event["userAgent"].as_str().is_some_and(|agent| agent.starts_with("kubectl/"));
        if !is_kubectl || event["impersonatedUser"]["username"] == "system:waiting" {
            continue;
        }
        if event["requestURI"].as_str().is_some_and(|uri| uri.ends_with("/serviceaccounts/default")) {
            continue;
        }
        let next = ids.len();
        let id = *ids.entry(event["auditID"].as_str().unwrap().to_owned()).or_insert(next);
        event["auditID"] = id.into();
        // The server remembers which of two ways somebody was last let in by, and says so or not.
        event.as_object_mut().unwrap().remove("authenticationMetadata");
        normalise(&mut event);
        events.push((id, event));
    }
    events.sort_by_key(|(id, _)| *id);
    events.into_iter().map(|(_, event)| event).collect()
}

fn normalise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // How far controllers are is a matter of time.
            if fields.get("kind").is_some_and(|kind| kind == "Deployment" || kind == "Scale") {
                fields.remove("status");
            }
            fields.remove("deployment.kubernetes.io/revision");
            if fields
                .get("annotations")
                .and_then(Value::as_object)
                .is_some_and(|it| it.keys().all(|key| key == "deployment.kubernetes.io/revision"))
            {
                fields.remove("annotations");
            }
            for (key, value) in fields.iter_mut() {
                let own = matches!(
                    key.as_str(),
                    "uid"
                        | "resourceVersion"
                        | "creationTimestamp"
                        | "time"
                        | "requestReceivedTimestamp"
                        | "stageTimestamp"
                        | "expirationTimestamp"
                        | "token"
                        | "authentication.kubernetes.io/issued-credential-id"
                        | "authentication.kubernetes.io/credential-id"
                        | "lastUpdateTime"
                        | "lastTransitionTime"
                        | "age"
                );
                if own && value.is_string() {
                    *value = "<own>".into();
                } else if key == "managedFields" {
                    normalise(value);
                    let entries = value.as_array_mut().unwrap();
                    // What controllers wrote by then is a matter of time.
                    entries.retain(|entry| entry["manager"] != "kube-controller-manager");
                } else if key == "columnDefinitions" {
                    // The project has no texts of Kubernetes.
                    for column in value.as_array_mut().unwrap() {
                        column["description"] = "".into();
                    }
                } else if key == "cells" {
                    // The last one is the age.
                    *value.as_array_mut().unwrap().last_mut().unwrap() = "<own>".into();
                } else {
                    normalise(value);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(normalise),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
