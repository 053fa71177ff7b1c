//! Whole requests to the API server in memory: any method, path, query, headers and body, several after each other.
//!
//! An input is read as text: a line with method and path, lines of headers, an empty line, and the body; a line of four dashes
//! begins the next request. Each input meets a server of its own, so that a run says the same everywhere.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt as _, Full};
use tower::ServiceExt as _;
use trueup_object::Value;
use trueup_sandbox::{Clock, Door, Sandbox, SandboxOptions, Workloads};

/// More requests find nothing that fewer do not.
const REQUESTS_MAX: usize = 6;

/// The server answers every request with a code that there is, tells a refusal in the form that clients read, and still serves
/// after it.
pub fn requests(input: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime of one thread starts");
    runtime.block_on(async {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().expect("it is a time"));
        let options = SandboxOptions { clock, workloads: Workloads::Untouched, ..SandboxOptions::default() };
        let sandbox = Sandbox::in_process(options).expect("it starts");
        let door = sandbox.door("admin");
        for text in split(input).into_iter().take(REQUESTS_MAX) {
            if let Some(request) = parse(text) {
                judge(&door, request).await;
            }
        }
        sandbox.faults().clear();
        let request = Request::get("/version").body(Full::default()).expect("it is a request");
        let answer = door.oneshot(request).await.expect("it still answers");
        assert_eq!(answer.status(), 200);
    });
}

fn split(input: &[u8]) -> Vec<&[u8]> {
    let mut parts = Vec::new();
    let mut rest = input;
    while let Some(at) = rest.windows(6).position(|window| window == b"\n----\n") {
        parts.push(&rest[..at]);
        rest = &rest[at + 6..];
    }
    parts.push(rest);
    parts
}

/// `None` where no client could send it.
fn parse(text: &[u8]) -> Option<Request<Full<Bytes>>> {
    let end = text.windows(2).position(|window| window == b"\n\n").unwrap_or(text.len());
    let (head, body) = (&text[..end], text.get(end + 2..).unwrap_or_default());
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next()?;
    let space = first.iter().position(|byte| *byte == b' ')?;
    let method = Method::from_bytes(&first[..space]).ok()?;
    let uri = Uri::builder().path_and_query(&first[space + 1..]).build().ok()?;
    let mut request = Request::builder().method(method).uri(uri);
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        request = request.header(name, HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?);
    }
    request.body(Full::new(Bytes::copy_from_slice(body))).ok()
}

async fn judge(door: &Door, request: Request<Full<Bytes>>) {
    // A fault that the input itself has set may cut the answer off.
    let Ok(answer) = door.clone().oneshot(request).await else { return };
    let code = answer.status().as_u16();
    assert!((200..600).contains(&code), "answered {code}");
    if code < 400 {
        // Perhaps a watch, which does not end by itself.
        return;
    }
    let is_json = answer
        .headers()
        .get("content-type")
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let Ok(body) = answer.into_body().collect().await else { return };
    if is_json {
        let status = Value::from_json(&body.to_bytes()).expect("a refusal is JSON");
        assert_eq!(status.str_at(&["kind"]), Some("Status"));
        assert_eq!(status.int_at(&["code"]), Some(i64::from(code)));
    }
}
