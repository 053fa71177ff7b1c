//! The control plane itself, as far as everything else in the cluster tier relies on it.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::{
    io::Write,
    path::Path,
    process::{Command, Stdio},
    sync::OnceLock,
};

use trueup_testkit::controlplane::{ControlPlane, Options};

/// One control plane for all tests of this file; each test uses names of its own. It ends with this process.
fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| start(&Options { kwok: true, audit: true, ..Options::default() }))
}

fn start(options: &Options) -> ControlPlane {
    ControlPlane::start(options, &mut |line| println!("{line}")).unwrap()
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn json(command: &mut Command) -> serde_json::Value {
    serde_json::from_str(&output(command)).unwrap()
}

fn with_stdin(command: &mut Command, text: &str) -> String {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap()
}

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
    let events: Vec<serde_json::Value> =
        log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
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
    let mut lines = answer.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
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
