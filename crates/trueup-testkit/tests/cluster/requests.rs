//! The wrong requests that the sandbox's tests know the answers to, put to the real API server again: what those tests want is
//! what it says.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Method, Request};
use serde_json::Value;
use trueup_testkit::http::Client;

use crate::world::plane;

const CASES: &str = include_str!("../../../trueup-sandbox/testdata/requests.jsonl");

/// `<<N*TEXT>>` stands for N times the text.
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

fn request(case: &Value) -> Request<Full<Bytes>> {
    let text = |key: &str| case[key].as_str();
    let method = Method::from_bytes(text("method").unwrap().as_bytes()).unwrap();
    let accept = text("accept").unwrap_or("application/json");
    let mut request = Request::builder().method(method).uri(text("path").unwrap());
    request = request.header("accept", accept).header("user-agent", "hostile");
    if let Some(kind) = text("contentType").filter(|kind| !kind.is_empty()) {
        request = request.header("content-type", kind);
    }
    let body = match (text("body"), text("bodyBase64")) {
        (Some(text), _) => expanded(text).into_bytes(),
        (None, Some(encoded)) => STANDARD.decode(encoded).unwrap(),
        (None, None) => Vec::new(),
    };
    request.body(Full::new(Bytes::from(body))).unwrap()
}

#[test]
fn wrong_requests_are_answered_as_the_sandbox_says() {
    let client = Client::open(&plane().ready().kubeconfig, "admin", "hostile").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut differ = Vec::new();
    for line in CASES.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let name = &case["name"];
        let reply = runtime
            .block_on(client.refusal(request(&case)))
            .unwrap_or_else(|error| panic!("{name}: {error:#}"));
        let status: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
        let is_status = status["kind"] == "Status";
        let said = |key: &str| if is_status { status[key].as_str().unwrap_or_default() } else { "" };
        let wants = |key: &str| case[key].as_str().unwrap_or_default();
        let same = u64::from(reply.code) == case["code"].as_u64().unwrap()
            && said("reason") == wants("reason")
            && (case["message"].is_null() || said("message") == wants("message"));
        if !same {
            differ.push(format!("{name}: {} {} {}", reply.code, said("reason"), said("message")));
        }
    }
    assert!(differ.is_empty(), "{} answers differ:\n{}", differ.len(), differ.join("\n"));
}
