//! The control plane itself, as far as everything else in the cluster tier relies on it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::Path,
    process::Command,
    sync::mpsc,
    thread,
    time::Duration,
};

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

#[test]
fn what_was_stopped_comes_back_under_the_same_address() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options { dir: Some(dir.path().to_path_buf()), ..Options::default() };
    let first = start(&options);
    output(first.kubectl().args(["create", "configmap", "stays", "--from-literal=a=b"]));
    let server = first.ready().server.clone();
    drop(first);
    assert!(!dir.path().join("ready.json").exists());
    let second = start(&options);
    assert_eq!(second.ready().server, server);
    assert_eq!(json(second.kubectl().args(["get", "configmap", "stays", "-o", "json"]))["data"]["a"], "b");
}

#[test]
fn audit_events_are_posted_to_a_webhook() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/audit", listener.local_addr().unwrap());
    let plane = start(&Options { audit_webhook: Some(url), ..Options::default() });
    output(plane.kubectl().args([
        "--context",
        "bob@example.com",
        "create",
        "configmap",
        "told",
        "--from-literal=a=b",
    ]));
    let (sender, lists) = mpsc::channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            // The receiver goes away once it has seen what it waited for.
            if sender.send(next_list(&mut connection.unwrap())).is_err() {
                return;
            }
        }
    });
    let is_it = |event: &Value| {
        event["user"]["username"] == "bob@example.com" && event["objectRef"]["name"] == "told"
    };
    loop {
        let list = lists.recv_timeout(Duration::from_secs(30)).unwrap();
        if list["items"].as_array().unwrap().iter().any(is_it) {
            return;
        }
    }
}

/// Reads one posted list of events and answers it, closing the connection so that the next list comes on a new one.
fn next_list(connection: &mut TcpStream) -> Value {
    let mut reader = BufReader::new(connection.try_clone().unwrap());
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    connection.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
    serde_json::from_slice(&body).unwrap()
}
