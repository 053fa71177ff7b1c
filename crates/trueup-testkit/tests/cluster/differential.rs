//! The sandbox against a real API server: the same random writes by several managers through the same kubectl must be
//! accepted or refused alike and leave the same objects with the same managed fields.
//!
//! Nobody looks after workloads in either world: the real controller manager is stopped, the sandbox has none.

mod generate;
mod scripted;

use std::process::{Command, Output, Stdio};
use std::{fs, io::Write, path::PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;
use trueup_sandbox::{Sandbox, SandboxOptions, Workloads};
use trueup_testkit::controlplane::Options;

use crate::world::start;
use generate::{Generator, Operation, definition};

const NAMESPACE: &str = "differential";

/// Enough to meet every kind of write on every kind of object, and done in about a minute.
const N_OPERATIONS: usize = 100;

/// A cluster, as kubectl sees it.
struct World {
    name: &'static str,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl World {
    fn run(&self, arguments: &[String], input: Option<&str>) -> Output {
        let mut child = Command::new(&self.kubectl)
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .arg("--cache-dir")
            .arg(&self.cache)
            .args(["--namespace", NAMESPACE])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.unwrap_or_default().as_bytes()).unwrap();
        drop(stdin);
        child.wait_with_output().unwrap()
    }

    fn must(&self, arguments: &[&str], input: Option<&str>) {
        let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
        let output = self.run(&arguments, input);
        assert!(output.status.success(), "{}: {arguments:?}: {}", self.name, text(&output.stderr));
    }

    fn object(&self, target: &str) -> Value {
        let arguments = ["get", target, "-o", "json", "--show-managed-fields"].map(str::to_owned);
        let output = self.run(&arguments, None);
        if output.status.success() {
            comparable(serde_json::from_slice(&output.stdout).unwrap())
        } else {
            Value::Null
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// An object without what two clusters cannot agree on: ids, versions, times, allocated addresses and ports.
fn comparable(mut object: Value) -> Value {
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        object["metadata"][field] = json!("...");
    }
    if let Some(entries) = object["metadata"]["managedFields"].as_array_mut() {
        for entry in entries.iter_mut() {
            if entry.get("time").is_some() {
                entry["time"] = json!("...");
            }
        }
        // Entries of one second are sorted by name, and the worlds' seconds differ.
        entries.sort_by_key(|entry| {
            ["operation", "manager", "apiVersion", "subresource"].map(|key| entry[key].to_string())
        });
    }
    if object["kind"] == "Service" {
        let spec = &mut object["spec"];
        if spec["clusterIP"].as_str().is_some_and(|address| address != "None") {
            spec["clusterIP"] = json!("...");
            spec["clusterIPs"] = json!("...");
        }
        if spec.get("healthCheckNodePort").is_some() {
            spec["healthCheckNodePort"] = json!("...");
        }
        for port in spec["ports"].as_array_mut().into_iter().flatten() {
            if port.get("nodePort").is_some() {
                port["nodePort"] = json!("...");
            }
        }
    }
    object
}

/// Where two values differ, as lines.
fn differences(path: &str, real: &Value, ours: &Value, found: &mut Vec<String>) {
    match (real, ours) {
        (Value::Object(left), Value::Object(right)) => {
            for key in left.keys().chain(right.keys().filter(|key| !left.contains_key(*key))) {
                differences(&format!("{path}.{key}"), &real[key], &ours[key], found);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differences(&format!("{path}[{index}]"), left, right, found);
            }
        }
        _ if real != ours => found.push(format!("{path}: control plane {real}, sandbox {ours}")),
        _ => {}
    }
}

/// The words of a refusal, for comparing: names of resources and order of conflicts apart.
fn refusal(output: &Output) -> Option<String> {
    if output.status.success() {
        return None;
    }
    let words = text(&output.stderr);
    let conflict = words.contains("conflict with") || words.contains("conflicts with");
    Some(if conflict { "conflict".to_owned() } else { words })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_writes_leave_the_same_objects() {
    let plane = tokio::task::spawn_blocking(|| start(&Options::default())).await.unwrap();
    let controllers = plane.ready().components["kube-controller-manager"].to_string();
    let sandbox =
        Sandbox::start(SandboxOptions { workloads: Workloads::Untouched, ..SandboxOptions::default() });
    let sandbox = sandbox.await.unwrap();
    let folder = TempDir::new().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    fs::write(&kubeconfig, sandbox.kubeconfig("admin")).unwrap();
    let world = |name, kubeconfig| World {
        name,
        kubectl: plane.programs().kubectl.clone(),
        kubeconfig,
        cache: folder.path().join(name),
    };
    let worlds = [world("control plane", plane.kubeconfig().to_path_buf()), world("sandbox", kubeconfig)];
    let played = tokio::task::spawn_blocking(move || {
        prepare(&worlds);
        // The process is a child of ours; it goes with the control plane whether it stands still or not.
        assert!(Command::new("kill").args(["-STOP", &controllers]).status().unwrap().success());
        let mut mismatches = Vec::new();
        for (number, operation) in scripted::operations().into_iter().enumerate() {
            mismatches.extend(play_one(&worlds, number, operation).err());
        }
        mismatches.extend(play(&worlds));
        assert!(Command::new("kill").args(["-CONT", &controllers]).status().unwrap().success());
        mismatches
    });
    let mismatches = played.await.unwrap();
    sandbox.shutdown().await;
    drop(folder);
    tokio::task::spawn_blocking(move || drop(plane)).await.unwrap();
    assert!(mismatches.is_empty(), "{}", mismatches.join("\n"));
}

fn prepare(worlds: &[World; 2]) {
    for world in worlds {
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
        world.must(&["apply", "-f", "-"], Some(&namespace.to_string()));
        world.must(&["apply", "-f", "-"], Some(&definition().to_string()));
        world.must(&["apply", "-f", "-"], Some(&scripted::definition().to_string()));
        let both = ["crd/widgets.differential.example.com", "crd/things.versions.example.com"];
        world.must(&["wait", "--for=condition=Established", both[0], both[1]], None);
    }
}

/// Plays the operations in both worlds. An object that differs is reported once and then left alone.
fn play(worlds: &[World; 2]) -> Vec<String> {
    let mut generator = Generator::new(20_260_101);
    let mut mismatches = Vec::new();
    for number in 0..N_OPERATIONS {
        let operation = generator.next();
        let target = operation.target.clone();
        match play_one(worlds, number, operation) {
            Ok(exists) => generator.learn(&target, exists),
            Err(mismatch) => {
                mismatches.push(mismatch);
                generator.retire(&target);
            }
        }
    }
    mismatches
}

/// Plays one operation in both worlds: whether the object then exists, or how they differ.
fn play_one(worlds: &[World; 2], number: usize, operation: Operation) -> Result<bool, String> {
    let Operation { target, arguments, input } = operation;
    let [real, ours] = [&worlds[0], &worlds[1]].map(|world| world.run(&arguments, input.as_deref()));
    let mut found = Vec::new();
    if refusal(&real) != refusal(&ours) {
        found.push(format!("control plane: {:?}\nsandbox: {:?}", refusal(&real), refusal(&ours)));
    }
    let [before, after] = [&worlds[0], &worlds[1]].map(|world| world.object(&target));
    differences("", &before, &after, &mut found);
    if found.is_empty() {
        return Ok(!before.is_null());
    }
    Err(format!("{number}: {arguments:?} {}\n{}", input.unwrap_or_default(), found.join("\n")))
}
