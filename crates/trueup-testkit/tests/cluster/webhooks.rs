//! Admission webhooks in both worlds: which of them are asked, what they are told, what their answers lead to.
//!
//! `webhooks.yaml` has the cases. Each has a namespace of its own, and webhooks that are about it alone; their answers stand beside
//! them. What a webhook was asked is compared as well as what the client is told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use trueup_object::{Map, Value};
use trueup_sandbox::Workloads;
use trueup_testkit::{
    http::{BodyKind, Method},
    webhook::{Answer, Receiver},
};

use crate::both::Worlds;

const CASES: &str = include_str!("webhooks.yaml");
const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

/// What webhooks were asked, with their paths.
type Asked = Arc<Mutex<Vec<(String, Value)>>>;

/// Answers by path, from the table.
fn respond(answers: &BTreeMap<String, Value>, asked: &Asked, path: &str, body: &[u8]) -> Answer {
    let review = Value::from_json(body).unwrap();
    let request = review.get("request").cloned().unwrap_or_default();
    let uid = request.get("uid").cloned().unwrap_or_default();
    let place = path.split('?').next().unwrap_or_default();
    asked.lock().unwrap().push((path.to_owned(), review));
    let wanted = answers.get(place).cloned().unwrap_or_default();
    if let Some(text) = wanted.str_at(&["text"]) {
        let code = wanted.int_at(&["code"]).unwrap_or(200);
        return Answer { code: u16::try_from(code).unwrap(), body: text.to_owned() };
    }
    let mut response = wanted.get("response").cloned().unwrap_or_default();
    if response.get("uid").is_none() {
        response.set_at(&["uid"], uid);
    }
    if response.get("allowed").is_none() {
        response.set_at(&["allowed"], true.into());
    }
    let patch = wanted.get("patch").cloned().or_else(|| {
        // Only where a field is missing, as injectors do.
        let missing = wanted.list_at(&["patchUnless"]).iter().all(|key| {
            request.at(&["object", "data"]).and_then(|data| data.get(key.as_str().unwrap())).is_none()
        });
        missing.then(|| wanted.get("patchMissing").cloned()).flatten()
    });
    if let Some(patch) = patch {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(patch.to_json());
        response.set_at(&["patch"], encoded.into());
        response.set_at(&["patchType"], "JSONPatch".into());
    }
    let version = wanted.str_at(&["version"]).unwrap_or("admission.k8s.io/v1");
    let mut reply = Value::default();
    reply.set_at(&["apiVersion"], version.into());
    reply.set_at(&["kind"], "AdmissionReview".into());
    reply.set_at(&["response"], response);
    Answer { code: 200, body: reply.to_json() }
}

struct Stage {
    receivers: Vec<Receiver>,
    asked: Vec<Asked>,
}

impl Stage {
    async fn open(cases: &[Value]) -> Self {
        let mut answers = BTreeMap::new();
        for case in cases {
            let name = case.str_at(&["name"]).unwrap();
            for (hook, entry) in case.get("hooks").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
                let answer = entry.get("answer").cloned().unwrap_or_default();
                answers.insert(format!("/{name}/{hook}"), answer);
            }
        }
        let answers = Arc::new(answers);
        let (mut receivers, mut asked) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let seen = Asked::default();
            let (answers, seen_too) = (answers.clone(), seen.clone());
            let respond = move |path: &str, body: &[u8]| respond(&answers, &seen_too, path, body);
            let names: Vec<String> =
                cases.iter().map(|it| format!("hook.{}.svc", it.str_at(&["name"]).unwrap())).collect();
            receivers.push(Receiver::start(&names, Arc::new(respond)).await.unwrap());
            asked.push(seen);
        }
        Self { receivers, asked }
    }

    fn fill(&self, world: usize, text: &str) -> String {
        let address = self.receivers[world].address();
        text.replace("${url}", &format!("https://{address}"))
            .replace("${bundle}", self.receivers[world].bundle())
            .replace("\"${port}\"", &address.port().to_string())
    }

    /// What was asked since this was called last; validating webhooks are asked all at once.
    fn taken(&self, world: usize) -> Value {
        let mut asked = std::mem::take(&mut *self.asked[world].lock().unwrap());
        // What the control plane does by itself, and what is told by the way, nobody asked for here.
        asked.retain(|(path, review)| {
            let user = review.str_at(&["request", "userInfo", "username"]);
            !path.starts_with("/marker") && user == Some("admin")
        });
        let validating = |path: &str| path.contains("/v-");
        let from = asked.iter().position(|(path, _)| validating(path)).unwrap_or(asked.len());
        asked[from..].sort_by(|left, right| left.0.cmp(&right.0));
        let entry = |(path, review): (String, Value)| {
            Value::Map(Map::from_iter([("path", Value::from(path)), ("review", review)]))
        };
        Value::List(asked.into_iter().map(entry).collect())
    }
}

/// The configuration of one webhook of a case.
fn configuration(case: &str, name: &str, entry: &Value) -> (String, Value) {
    let sort = if name.starts_with("v-") { "Validating" } else { "Mutating" };
    let mut webhook = Value::from_yaml(
        format!(
            "{{name: {name}.example.com, sideEffects: None, admissionReviewVersions: [v1], \
             clientConfig: {{url: '${{url}}/{case}/{name}', caBundle: '${{bundle}}'}}, \
             namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {case}}}}}}}"
        )
        .as_bytes(),
    )
    .unwrap();
    for (key, value) in entry.get("webhook").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        webhook.set_at(&[key], value.clone());
    }
    let mut object = Value::default();
    object.set_at(&["apiVersion"], "admissionregistration.k8s.io/v1".into());
    object.set_at(&["kind"], format!("{sort}WebhookConfiguration").into());
    object.set_at(&["metadata", "name"], format!("{case}-{name}").into());
    object.set_at(&["webhooks"], Value::List(vec![webhook]));
    (format!("{GROUP}/{}webhookconfigurations", sort.to_lowercase()), object)
}

fn yaml(text: &str) -> Value {
    Value::from_yaml(text.as_bytes()).unwrap()
}

/// Until webhooks that were configured last are asked, and with them all others.
async fn until_asked(worlds: &Worlds) {
    let path = "/api/v1/namespaces/marker/configmaps?dryRun=All";
    let object = yaml("{apiVersion: v1, kind: ConfigMap, metadata: {name: marker}}");
    for client in &worlds.clients {
        let begun = tokio::time::Instant::now();
        loop {
            let body = Some((BodyKind::Json, object.to_json().into()));
            let reply = client.send(Method::POST, path, body).await.unwrap();
            let text = String::from_utf8_lossy(&reply.body).into_owned();
            if reply.code == 400
                && text.contains("v-marker")
                && reply.warnings.iter().any(|it| it.contains("m-marker"))
            {
                break;
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "the webhooks are not asked: {text}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

const MARKER: &str = r#"
name: marker
hooks:
  m-marker: {webhook: {rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]},
    answer: {response: {warnings: [m-marker]}}}
  v-marker: {webhook: {rules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [configmaps]}]},
    answer: {response: {allowed: false}}}
"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_are_asked_and_heard_the_same() {
    let worlds = Worlds::with(Workloads::Untouched).await;
    let mut cases = yaml(CASES).as_list().unwrap().to_vec();
    cases.push(yaml(MARKER));
    let stage = Stage::open(&cases).await;
    for case in &cases {
        let name = case.str_at(&["name"]).unwrap();
        let mut namespace = yaml(&format!("{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}"));
        if let Some(labels) = case.get("labels") {
            namespace.set_at(&["metadata", "labels"], labels.clone());
        }
        for (index, client) in worlds.clients.iter().enumerate() {
            client.write(Method::POST, "/api/v1/namespaces", BodyKind::Json, &namespace).await.unwrap();
            for (hook, entry) in case.get("hooks").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
                let (path, object) = configuration(name, hook, entry);
                let object = yaml(&stage.fill(index, &object.to_json()));
                client.write(Method::POST, &path, BodyKind::Json, &object).await.unwrap();
            }
        }
    }
    until_asked(&worlds).await;
    let mut failures = Vec::new();
    for case in &cases {
        let name = case.str_at(&["name"]).unwrap();
        for step in case.list_at(&["steps"]) {
            let quiet = step.get("quiet").is_some();
            let seen = |world: usize| {
                let taken = stage.taken(world);
                if quiet { Value::Null } else { taken }
            };
            let found = worlds.play(step, &|world, text| stage.fill(world, text), &seen).await;
            if !found.is_empty() {
                failures.push(format!("{name}: {}\n{}", step.to_json(), found.join("\n")));
            }
        }
    }
    // What fails closed must not meet the tests beside this one.
    for (case, client) in cases.iter().flat_map(|case| worlds.clients.iter().map(move |it| (case, it))) {
        let name = case.str_at(&["name"]).unwrap();
        for (hook, entry) in case.get("hooks").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
            let (path, object) = configuration(name, hook, entry);
            let path = format!("{path}/{}", object.str_at(&["metadata", "name"]).unwrap());
            client.delete(&path).await.unwrap();
        }
    }
    worlds.close().await;
    assert!(failures.is_empty(), "{} differ:\n{}", failures.len(), failures.join("\n"));
}
