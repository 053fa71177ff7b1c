//! Requests played to a real control plane and to the sandbox: every answer must be the same, once what no two clusters agree on is
//! put out of sight.

use std::time::Duration;

use regex::Regex;
use trueup_object::{Map, Value};
use trueup_sandbox::{Sandbox, SandboxOptions, Workloads};
use trueup_testkit::http::{BodyKind, Client, Method, Reply};

use crate::world::plane;

/// Long enough for a loaded machine; nothing waits this long when all is well.
const DEADLINE: Duration = Duration::from_secs(60);

/// The control plane first.
pub struct Worlds {
    pub clients: [Client; 2],
    sandbox: Sandbox,
}

/// What a world answers to a step, and what was seen of it elsewhere.
type Answered = Value;

impl Worlds {
    /// Workloads become Ready in both.
    pub async fn open() -> Self {
        Self::with(Workloads::Ready).await
    }

    pub async fn with(workloads: Workloads) -> Self {
        let plane = tokio::task::spawn_blocking(plane).await.unwrap();
        let options = SandboxOptions { workloads, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        let clients = [
            Client::open(plane.kubeconfig(), "admin", "both").unwrap(),
            Client::from_kubeconfig(sandbox.kubeconfig("admin").as_bytes(), "admin", "both").unwrap(),
        ];
        Self { clients, sandbox }
    }

    pub async fn close(self) {
        self.sandbox.shutdown().await;
    }

    /// Plays a step in both worlds and tells what differs. `fill` puts in what is another value in each world; `seen` says what
    /// else happened there meanwhile.
    pub async fn play(
        &self,
        step: &Value,
        fill: &(dyn Fn(usize, &str) -> String + Sync),
        seen: &(dyn Fn(usize) -> Value + Sync),
    ) -> Vec<String> {
        let mut answers: Vec<Answered> = Vec::new();
        for (index, client) in self.clients.iter().enumerate() {
            let filled = Value::from_json(fill(index, &step.to_json()).as_bytes()).unwrap();
            let mut answer = answer(client, &filled).await;
            answer.set_at(&["seen"], seen(index));
            answers.push(masked(&answer));
        }
        let mut found = Vec::new();
        differences("", &answers[0], &answers[1], &mut found);
        if let Some(never) = answers[0].get("never came, but") {
            found
                .push(format!("    what is waited for never came to the control plane: {}", never.to_json()));
        }
        found
    }

    /// Plays all steps of all cases of a table; panics with all that differs.
    pub async fn play_all(&self, table: &str) {
        let cases = Value::from_yaml(table.as_bytes()).unwrap();
        let mut failures = Vec::new();
        for case in cases.as_list().unwrap() {
            let name = case.str_at(&["name"]).unwrap();
            for step in case.list_at(&["steps"]) {
                let found = self.play(step, &|_, text| text.to_owned(), &|_| Value::Null).await;
                if !found.is_empty() {
                    failures.push(format!("{name}: {}\n{}", step.to_json(), found.join("\n")));
                }
            }
        }
        assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
    }
}

fn client_of(client: &Client, step: &Value) -> Client {
    let mut client = client.clone();
    if let Some(user) = step.str_at(&["as"]) {
        client = client.with_header("Impersonate-User", user);
    }
    for group in step.list_at(&["groups"]) {
        client = client.with_header("Impersonate-Group", group.as_str().unwrap());
    }
    for (name, value) in step.get("headers").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        client = client.with_header(name, value.as_str().unwrap());
    }
    client
}

async fn send(client: &Client, step: &Value) -> Reply {
    let (method, path) = step.str_at(&["do"]).unwrap().split_once(' ').unwrap();
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let kind = match step.str_at(&["type"]) {
        None => BodyKind::Json,
        Some("merge") => BodyKind::MergePatch,
        Some("strategic") => BodyKind::StrategicPatch,
        Some("json") => BodyKind::JsonPatch,
        Some("apply") => BodyKind::Apply,
        Some(other) => panic!("no type {other}"),
    };
    let body = step.get("body").map(|body| (kind, body.to_json().into()));
    client.send(method, path, body).await.unwrap()
}

/// Sends a step's request, again and again where it says what to wait for.
async fn answer(client: &Client, step: &Value) -> Answered {
    let client = client_of(client, step);
    let begun = tokio::time::Instant::now();
    loop {
        let reply = send(&client, step).await;
        let body = Value::from_json(&reply.body).unwrap_or_else(|_| {
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            text.into()
        });
        let is_there = step.get("until").is_none_or(|wanted| contains(&body, wanted));
        if !is_there && begun.elapsed() < DEADLINE {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        }
        let mut answer = Value::default();
        if !is_there {
            answer.set_at(&["never came, but"], body.clone());
        }
        answer.set_at(&["code"], i64::from(reply.code).into());
        if step.get("only").is_some() {
            return answer;
        }
        let shown = match step.list_at(&["show"]) {
            [] => body,
            paths => shown(&body, paths),
        };
        answer.set_at(&["body"], shown);
        let warnings = reply.warnings.into_iter().map(Value::from).collect();
        answer.set_at(&["warnings"], Value::List(warnings));
        return answer;
    }
}

/// Only some fields of an answer, named by their keys with dots between them.
fn shown(body: &Value, paths: &[Value]) -> Value {
    let mut shown = Value::default();
    for path in paths {
        let keys: Vec<&str> = path.as_str().unwrap().split('.').collect();
        shown.set_at(&[&keys.join(".")], body.at(&keys).cloned().unwrap_or_default());
    }
    shown
}

/// Whether a value has everything that another one has.
fn contains(value: &Value, wanted: &Value) -> bool {
    match (value, wanted) {
        (Value::Map(map), Value::Map(wanted)) => {
            wanted.iter().all(|(key, wanted)| map.get(key).is_some_and(|it| contains(it, wanted)))
        }
        (Value::List(list), Value::List(wanted)) => {
            wanted.iter().all(|wanted| list.iter().any(|it| contains(it, wanted)))
        }
        (value, wanted) => value == wanted,
    }
}

/// Ids, versions, times, addresses and generated letters, put out of sight.
fn masked(value: &Value) -> Value {
    let mut value = value.clone();
    mask(&mut value);
    let mut text = value.to_json();
    for (pattern, with) in [
        ("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
        (r"kube-api-access-[a-z0-9]{5}", "kube-api-access-X"),
        (r"generated-[a-z0-9]{5}", "generated-X"),
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "TIME"),
        (r"127\.0\.0\.1:\d+", "ADDRESS"),
        (r"localhost:\d+", "ADDRESS"),
        (r"\[::1\]:\d+", "ADDRESS"),
        (r"\.svc:\d+", ".svc:PORT"),
        (r"\b10\.0\.\d+\.\d+\b", "ADDRESS"),
        (r"X509SHA256=[0-9a-f]+", "CREDENTIAL"),
    ] {
        text = Regex::new(pattern).unwrap().replace_all(&text, with).into_owned();
    }
    Value::from_json(text.as_bytes()).unwrap()
}

fn mask(value: &mut Value) {
    match value {
        Value::Map(map) => {
            for key in ["resourceVersion", "generation", "managedFields", "extra", "caBundle"] {
                map.remove(key);
            }
            // Users of a static file have another id than the sandbox's.
            if let Some(Value::Map(user)) = map.get_mut("userInfo") {
                user.remove("uid");
            }
            let keys: Vec<String> = map.keys().map(str::to_owned).collect();
            for key in keys {
                mask(map.entry_or_null(&key));
            }
        }
        Value::List(list) => list.iter_mut().for_each(mask),
        _ => {}
    }
}

/// What two objects differ in, field by field.
pub fn differences(path: &str, real: &Value, ours: &Value, found: &mut Vec<String>) {
    match (real, ours) {
        (Value::Map(left), Value::Map(right)) => {
            let keys = left.keys().chain(right.keys().filter(|key| left.get(key).is_none()));
            for key in keys {
                let of = |map: &Map| map.get(key).cloned().unwrap_or_default();
                differences(&format!("{path}.{key}"), &of(left), &of(right), found);
            }
        }
        (Value::List(left), Value::List(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                differences(&format!("{path}[{index}]"), left, right, found);
            }
        }
        _ if real != ours => {
            let (real, ours) = (real.to_json(), ours.to_json());
            found.push(format!("    {path}\n      control plane {real}\n      sandbox       {ours}"));
        }
        _ => {}
    }
}
