//! The control plane itself, as far as everything else in the cluster tier relies on it.

use std::{path::Path, process::Command};

use serde_json::Value;
use trueup_testkit::controlplane::Options;

use crate::world::{json, output, plane, start, with_stdin};

#[test]
fn the_named_users_are_cluster_administrators() {
    for user in ["admin", "alice@example.com", "bob@example.com"] {
        let mut whoami = plane().kubectl();
        let review = json(whoami.args(["--context", user, "auth", "whoami", "-o", "json"]));
        assert_eq!(review["status"]["userInfo"]["username"], user);
        let mut can = plane().kubectl();
        assert_eq!(output(can.args(["--context", user, "auth", "can-i", "*", "*"])).trim(), "yes");
    }
}

#[test]
fn a_deployment_rolls_out_and_the_controllers_write_under_their_own_names() {
    output(plane().kubectl().args([
        "create",
        "deployment",
        "rolls-out",
        "--image=nginx:1.27",
        "--replicas=2",
    ]));
    output(plane().kubectl().args(["rollout", "status", "deployment/rolls-out", "--timeout=60s"]));
    let live = json(plane().kubectl().args([
        "get",
        "deployment",
        "rolls-out",
        "-o",
        "json",
        "--show-managed-fields",
    ]));
    assert_eq!(live["status"]["readyReplicas"], 2);
    let entries = live["metadata"]["managedFields"].as_array().unwrap();
    let mut managers: Vec<&str> = entries.iter().map(|entry| entry["manager"].as_str().unwrap()).collect();
    managers.sort_unstable();
    assert_eq!(managers, ["kube-controller-manager", "kubectl-create"]);
}

#[test]
fn the_audit_log_names_the_user_and_holds_no_secret() {
    let secret = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"audited"},"stringData":{"password":"hunter2hunter2"}}"#;
    with_stdin(plane().kubectl().args(["--context", "alice@example.com", "apply", "-f", "-"]), secret);
    output(plane().kubectl().args([
        "--context",
        "bob@example.com",
        "create",
        "configmap",
        "audited",
        "--from-literal=a=b",
    ]));
    // The log is written before the answer is sent, so there is nothing to wait for.
    let log = std::fs::read_to_string(plane().ready().audit_log.as_ref().unwrap()).unwrap();
    let events: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let by = |user: &str, resource: &str| {
        events
            .iter()
            .find(|event| event["user"]["username"] == user && event["objectRef"]["resource"] == resource)
    };
    assert!(by("alice@example.com", "secrets").is_some());
    assert!(by("bob@example.com", "configmaps").unwrap()["responseObject"]["metadata"]["uid"].is_string());
    assert!(!log.contains("hunter2hunter2") && !log.contains("aHVudGVyMmh1bnRlcjI"));
}

#[test]
fn a_round_trip_tells_defaults_and_dropped_zero_values() {
    let pod = r#"{"apiVersion":"v1","kind":"Pod","spec":{"hostNetwork":false,"automountServiceAccountToken":false,"containers":[{"name":"a"}]}}"#;
    let mut command = Command::new(&plane().programs().controlplane);
    let answer = with_stdin(
        command.arg("roundtrip"),
        &format!("{pod}\n{{\"apiVersion\":\"v1\",\"kind\":\"Nonsense\"}}\n"),
    );
    let mut lines = answer.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let spec = lines.next().unwrap()["spec"].take();
    assert_eq!(spec["dnsPolicy"], "ClusterFirst");
    assert_eq!(spec["automountServiceAccountToken"], false);
    assert_eq!(spec.get("hostNetwork"), None);
    assert!(lines.next().unwrap()["error"].is_string());
}

#[test]
fn nothing_is_left_when_it_is_dropped() {
    let plane = start(&Options::default());
    let ready = plane.ready().clone();
    assert!(ready.dir.exists());
    assert_eq!(ready.components.len(), 4);
    drop(plane);
    assert!(!ready.dir.exists());
    for (name, pid) in ready.components {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{name} still runs");
    }
}
