//! Requests that are wrong in every way, and what the real API server answers to each: code, reason, message.
//!
//! `testdata/requests.jsonl` has them in order, with the real server's answers; the cluster tier asks the real one again.
//! `<<N*TEXT>>` in a body stands for N times the text. `message` is left out where it shows ids or times; where the words of a
//! parser differ, `words` has the sandbox's own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;
use trueup_object::Value;
use trueup_sandbox::{Clock, Door, Sandbox, SandboxOptions, Workloads};

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    code: i64,
    reason: String,
    message: String,
}

fn cases() -> Vec<Value> {
    let text = include_str!("../../testdata/requests.jsonl");
    text.lines().map(|line| Value::from_json(line.as_bytes()).unwrap()).collect()
}

/// The exceptions of this proof, by the names of their cases.
fn exceptions() -> Vec<String> {
    let lines = include_str!("../../exceptions.txt").lines();
    lines
        .filter_map(|line| line.strip_prefix("requests | "))
        .map(|rest| rest.split(" | ").next().unwrap().to_owned())
        .collect()
}

fn expanded(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<<") {
        let (times, after) = after.split_once('*').unwrap();
        let (what, after) = after.split_once(">>").unwrap();
        out.push_str(before);
        out.push_str(&what.repeat(times.parse().unwrap()));
        rest = after;
    }
    out + rest
}

fn body(case: &Value) -> Vec<u8> {
    match (case.str_at(&["body"]), case.str_at(&["bodyBase64"])) {
        (Some(text), _) => expanded(text).into_bytes(),
        (None, Some(encoded)) => STANDARD.decode(encoded).unwrap(),
        (None, None) => Vec::new(),
    }
}

async fn ask(door: &Door, case: &Value) -> Answer {
    let path = case.str_at(&["path"]).unwrap();
    let method = Method::from_bytes(case.str_at(&["method"]).unwrap().as_bytes()).unwrap();
    let uri = Uri::builder().path_and_query(path).build().unwrap();
    let accept = case.str_at(&["accept"]).unwrap_or("application/json");
    let mut request = Request::builder().method(method).uri(uri).header("accept", accept);
    request = request.header("user-agent", "hostile");
    if let Some(kind) = case.str_at(&["contentType"]).filter(|kind| !kind.is_empty()) {
        request = request.header("content-type", kind);
    }
    let request = request.body(Full::new(Bytes::from(body(case)))).unwrap();
    let answer = door.clone().oneshot(request).await.unwrap();
    let code = i64::from(answer.status().as_u16());
    if code == 200 || case.str_at(&["method"]) == Some("HEAD") {
        // Perhaps a watch, which does not end by itself; and after HEAD no body goes over the wire.
        return Answer { code, reason: String::new(), message: String::new() };
    }
    let bytes = answer.into_body().collect().await.unwrap().to_bytes();
    let status = Value::from_json(&bytes).unwrap_or_default();
    let is_status = status.str_at(&["kind"]) == Some("Status");
    let text = |key: &str| {
        if is_status { status.str_at(&[key]).unwrap_or_default().to_owned() } else { String::new() }
    };
    Answer { code, reason: text("reason"), message: text("message") }
}

#[tokio::test]
async fn wrong_requests_are_answered_as_the_real_server_answers_them() {
    let clock = Clock::starting_at("2026-03-01T10:00:00Z".parse().unwrap());
    let options = SandboxOptions { clock, workloads: Workloads::Untouched, ..SandboxOptions::default() };
    let sandbox = Sandbox::in_process(options).unwrap();
    let door = sandbox.door("admin");
    let known = exceptions();
    let (mut differ, mut mended) = (Vec::new(), Vec::new());
    for case in cases() {
        let name = case.str_at(&["name"]).unwrap();
        let found = ask(&door, &case).await;
        let words = case.str_at(&["words"]).or(case.str_at(&["message"]));
        let want = Answer {
            code: case.int_at(&["code"]).unwrap(),
            reason: case.str_at(&["reason"]).unwrap_or_default().to_owned(),
            message: words.map_or_else(|| found.message.clone(), str::to_owned),
        };
        let is_known = known.iter().any(|known| known == name);
        if found != want && !is_known {
            differ.push(format!("{name}\n  wanted {want:?}\n   found {found:?}"));
        }
        if found == want && is_known {
            mended.push(name.to_owned());
        }
    }
    assert!(differ.is_empty(), "{} answers differ:\n{}", differ.len(), differ.join("\n"));
    assert!(mended.is_empty(), "no exceptions any more: {mended:?}");
}
