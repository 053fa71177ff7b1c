//! Audit events: their stages, what a policy makes of them, and where they go.

use std::io::{BufRead as _, BufReader, Read as _, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use kube::api::{DeleteParams, PostParams, WatchParams};
use serde_json::{Value, json};
use trueup_sandbox::{AuditLog, AuditOptions, AuditPolicy, AuditWebhook, SandboxOptions, Workloads};

use crate::world::{World, object, soon};

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

impl Memory {
    fn events(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Level, verb and stage of the events about a resource.
    fn told(&self, resource: &str) -> Vec<String> {
        let events = self.events();
        let about = events.iter().filter(|event| event["objectRef"]["resource"] == resource);
        about
            .map(|event| ["level", "verb", "stage"].map(|key| event[key].as_str().unwrap()).join(" "))
            .collect()
    }
}

async fn audited(policy: &str) -> (World, Memory) {
    let memory = Memory::default();
    let policy = format!("apiVersion: audit.k8s.io/v1\nkind: Policy\nrules:\n{policy}");
    let audit = AuditOptions {
        policy: AuditPolicy::parse(&policy).unwrap(),
        log: Some(AuditLog::new(memory.clone())),
        webhook: None,
    };
    let workloads = Workloads::Untouched;
    let options = SandboxOptions { workloads, audit: Some(audit), ..SandboxOptions::default() };
    (World::with(options).await, memory)
}

#[tokio::test]
async fn a_policy_says_how_much_is_told() {
    let policy = "
- {level: None, verbs: [get]}
- {level: Metadata, resources: [{group: '', resources: [secrets]}], omitStages: [RequestReceived]}
- {level: RequestResponse, omitManagedFields: true}
";
    let (world, memory) = audited(policy).await;
    let secrets = world.dynamic("v1", "Secret", "secrets", Some("default"));
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"a": "swordfish"}});
    secrets.create(&PostParams::default(), &object(secret)).await.unwrap();
    secrets.get("s").await.unwrap();
    world.create_config_map("a", &json!({"x": "one"})).await;
    world.config_maps().delete("a", &DeleteParams::default()).await.unwrap();

    assert_eq!(memory.told("secrets"), ["Metadata create ResponseComplete"]);
    assert_eq!(
        memory.told("configmaps"),
        [
            "RequestResponse create RequestReceived",
            "RequestResponse create ResponseComplete",
            "RequestResponse delete RequestReceived",
            "RequestResponse delete ResponseComplete"
        ]
    );
    let events = memory.events();
    assert!(!events.iter().any(|event| event.to_string().contains("swordfish")));
    let created = &events[2];
    assert_eq!(created["responseObject"]["data"]["x"], "one");
    assert_eq!(created["responseObject"]["metadata"].get("managedFields"), None);
    assert_eq!(created["annotations"]["authorization.k8s.io/decision"], "allow");
    assert_eq!(events[1]["auditID"], created["auditID"]);
    assert_eq!(events[4]["responseStatus"]["details"]["name"], "a");
}

#[tokio::test]
async fn a_watch_is_told_at_its_beginning_and_its_end() {
    let (world, memory) = audited("- {level: Request, verbs: [watch]}").await;
    let maps = world.config_maps();
    let mut watch = maps.watch(&WatchParams::default(), "0").await.unwrap().boxed();
    world.create_config_map("a", &json!({})).await;
    soon("an event", watch.try_next()).await.unwrap();
    let begun = ["Request watch RequestReceived", "Request watch ResponseStarted"];
    assert_eq!(memory.told("configmaps"), begun);
    drop(watch);
    world.sandbox.shutdown().await;
    assert_eq!(memory.told("configmaps")[2..], ["Request watch ResponseComplete"]);
}

#[tokio::test]
async fn who_is_refused_is_told_as_well() {
    let (world, memory) =
        audited("- {level: Metadata, resources: [{group: '', resources: [secrets]}]}").await;
    let list = || http::Request::get("/api/v1/secrets");
    let request = list().header("impersonate-user", "jane").body(Vec::new()).unwrap();
    world.client.request::<Value>(request).await.unwrap_err();
    let kubeconfig = world.sandbox.kubeconfig("admin").replace("token: ", "token: not-");
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    let stranger = kube::Client::try_from(config).unwrap();
    stranger.request::<Value>(list().body(Vec::new()).unwrap()).await.unwrap_err();
    let events = memory.events();
    assert_eq!(events[1]["impersonatedUser"]["username"], "jane");
    assert_eq!(events[1]["responseStatus"]["reason"], "Forbidden");
    assert_eq!(events[1]["annotations"]["authorization.k8s.io/decision"], "forbid");
    let unknown = &events[2];
    assert_eq!(unknown["user"], json!({}));
    assert_eq!(unknown["responseStatus"]["code"], 401);
    assert_eq!(unknown["stage"], "ResponseStarted");
    assert_eq!(events.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_lists_of_events_and_the_last_ones_at_the_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, lists) = mpsc::channel();
    std::thread::spawn(move || {
        let mut refused = false;
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let list = body(&connection);
            // The first attempt fails: what it brought must come again.
            let answer = if refused { "200 OK" } else { "503 Service Unavailable" };
            write!(connection, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
            if refused && sender.send(list).is_err() {
                return;
            }
            refused = true;
        }
    });
    let config = format!(
        "{{current-context: a, contexts: [{{name: a, context: {{cluster: r}}}}], \
         clusters: [{{name: r, cluster: {{server: 'http://{address}/events'}}}}]}}"
    );
    let mut webhook = AuditWebhook::from_kubeconfig(&config).unwrap();
    webhook.batch_wait_max = Duration::from_millis(10);
    webhook.backoff = Duration::from_millis(10);
    let policy = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Metadata, verbs: [create]}]}";
    let policy = AuditPolicy::parse(policy).unwrap();
    let audit = AuditOptions { policy, log: None, webhook: Some(webhook) };
    let workloads = Workloads::Untouched;
    let options = SandboxOptions { workloads, audit: Some(audit), ..SandboxOptions::default() };
    let world = World::with(options).await;
    for name in ["a", "b", "c"] {
        world.create_config_map(name, &json!({})).await;
    }
    world.sandbox.shutdown().await;
    let mut names = Vec::new();
    while names.len() < 3 {
        let list = lists.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(list["kind"], "EventList");
        let items = list["items"].as_array().unwrap();
        let ends = items.iter().filter(|event| event["stage"] == "ResponseComplete");
        names.extend(ends.map(|event| event["objectRef"]["name"].as_str().unwrap().to_owned()));
    }
    assert_eq!(names, ["a", "b", "c"]);
}

/// The posted list.
fn body(connection: &std::net::TcpStream) -> Value {
    let mut reader = BufReader::new(connection);
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
    serde_json::from_slice(&body).unwrap()
}

#[tokio::test]
async fn what_policies_note_is_told() {
    let (world, memory) =
        audited("- {level: Metadata, resources: [{group: \"\", resources: [configmaps]}]}").await;
    let group = "admissionregistration.k8s.io/v1";
    let make = async |kind: &str, plural: &str, name: &str, spec: Value| {
        let made = json!({"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec});
        world.dynamic(group, kind, plural, None).create(&PostParams::default(), &object(made)).await.unwrap();
    };
    let spec = json!({
        "matchConstraints": {"resourceRules": [{
            "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"],
        }]},
        "validations": [{"expression": "true"}, {"expression": "size(object.data) < 1", "message": "1 < 2"}],
        "auditAnnotations": [
            {"key": "who", "valueExpression": "' ' + object.metadata.name + ' '"},
            {"key": "nothing", "valueExpression": "null"},
        ],
    });
    make("ValidatingAdmissionPolicy", "validatingadmissionpolicies", "p", spec).await;
    let plural = "validatingadmissionpolicybindings";
    for (name, actions) in [("a", json!(["Audit"])), ("b", json!(["Warn", "Audit"]))] {
        let spec = json!({"policyName": "p", "validationActions": actions});
        make("ValidatingAdmissionPolicyBinding", plural, name, spec).await;
    }
    let map = serde_json::from_value(json!({"metadata": {"name": "c"}, "data": {"a": "b"}})).unwrap();
    world.config_maps().create(&PostParams::default(), &map).await.unwrap();
    let events = memory.events();
    let done = events.iter().find(|event| event["stage"] == "ResponseComplete").unwrap();
    assert_eq!(done["annotations"]["p/who"], "c");
    assert_eq!(done["annotations"]["p/nothing"], Value::Null);
    assert_eq!(
        done["annotations"]["validation.policy.admission.k8s.io/validation_failure"],
        r#"[{"message":"1 \u003c 2","policy":"p","binding":"a","expressionIndex":1,"validationActions":["Audit"]}]"#
    );
}
