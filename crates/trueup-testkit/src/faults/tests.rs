//! Every fault through the proxy, before a sandbox that has none.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use trueup_sandbox::{Sandbox, SandboxOptions, Workloads};

use super::*;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

/// Long enough for a loaded machine; nothing waits this long when all is well.
const DEADLINE: Duration = Duration::from_secs(20);

struct World {
    sandbox: Sandbox,
    proxy: Proxy,
}

impl World {
    async fn start() -> Self {
        let options = SandboxOptions { workloads: Workloads::Untouched, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).await.unwrap();
        let kubeconfig = sandbox.kubeconfig("admin");
        let client = Client::from_kubeconfig(kubeconfig.as_bytes(), "admin", "proxy").unwrap();
        let proxy = Proxy::start(client).await.unwrap();
        Self { sandbox, proxy }
    }

    fn set(&self, rules: &str) {
        let rules = Value::from_json(rules.as_bytes()).unwrap();
        let one = std::slice::from_ref(&rules);
        self.proxy.set_faults(rules.as_list().unwrap_or(one)).unwrap();
    }

    /// Sends a request through the proxy: None where the connection ends without an answer.
    async fn send(&self, method: &str, path: &str, body: &str) -> Option<Response<Incoming>> {
        let stream = TcpStream::connect(self.proxy.address).await.unwrap();
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let content = if method == "PATCH" { "application/merge-patch+json" } else { "application/json" };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "proxy")
            .header(header::USER_AGENT, "trueup/test")
            .header(header::CONTENT_TYPE, content)
            .body(Full::new(Bytes::from(body.to_owned())))
            .unwrap();
        let response = tokio::time::timeout(DEADLINE, sender.send_request(request)).await.unwrap();
        // The watch goes on for as long as somebody may send.
        std::mem::forget(sender);
        response.ok()
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Option<(u16, Value)> {
        let response = self.send(method, path, body).await?;
        let code = response.status().as_u16();
        let bytes = response.into_body().collect().await.ok()?.to_bytes();
        Some((code, Value::from_json(&bytes).unwrap()))
    }

    async fn code(&self, method: &str, path: &str, body: &str) -> u16 {
        self.ask(method, path, body).await.unwrap().0
    }

    async fn create(&self, name: &str) -> Value {
        let object = format!("{{\"metadata\":{{\"name\":\"{name}\"}},\"data\":{{\"v\":\"1\"}}}}");
        self.ask("POST", MAPS, &object).await.unwrap().1
    }

    async fn data(&self, name: &str) -> String {
        let (_, object) = self.ask("GET", &format!("{MAPS}/{name}"), "").await.unwrap();
        object.str_at(&["data", "v"]).unwrap_or_default().to_owned()
    }

    async fn watch(&self, revision: &str) -> Lines {
        let path = format!("{MAPS}?watch=true&resourceVersion={revision}");
        Lines { body: self.send("GET", &path, "").await.unwrap().into_body(), rest: String::new() }
    }
}

struct Lines {
    body: Incoming,
    rest: String,
}

impl Lines {
    /// The type of the next event, and the code of an error; `end` at the end.
    async fn next(&mut self) -> String {
        loop {
            if let Some((line, rest)) = self.rest.split_once('\n') {
                let event = Value::from_json(line.as_bytes()).unwrap();
                let code = event.int_at(&["object", "code"]).map_or(String::new(), |code| format!(" {code}"));
                let found = format!("{}{code}", event.str_at(&["type"]).unwrap());
                self.rest = rest.to_owned();
                return found;
            }
            let frame = tokio::time::timeout(DEADLINE, self.body.frame()).await.unwrap();
            let Some(Ok(frame)) = frame else { return "end".to_owned() };
            if let Ok(data) = frame.into_data() {
                self.rest.push_str(std::str::from_utf8(&data).unwrap());
            }
        }
    }
}

const PATCH: &str = r#"{"data":{"v":"2"}}"#;

#[tokio::test]
async fn requests_are_slowed_refused_and_cut() {
    let world = World::start().await;
    world.create("a").await;
    let path = format!("{MAPS}/a");
    world.set(r#"{"kind":"latency","ms":30,"match":{"verb":"get","userAgent":"trueup/"}}"#);
    let began = tokio::time::Instant::now();
    assert_eq!(world.code("GET", &path, "").await, 200);
    assert!(began.elapsed() >= Duration::from_millis(30));

    world.set(r#"{"kind":"status","code":429,"retryAfter":2,"match":{"kind":"ConfigMap"}}"#);
    let refused = world.send("GET", &path, "").await.unwrap();
    assert_eq!(refused.headers()[header::RETRY_AFTER], "2");
    assert_eq!(refused.status(), 429);
    assert_eq!(world.code("GET", "/api/v1/namespaces/default", "").await, 200);

    world.set(r#"{"kind":"status","code":503,"share":0.5}"#);
    let mut n_refused = 0;
    for _ in 0..40 {
        n_refused += i32::from(world.code("GET", &path, "").await == 503);
    }
    assert!((5..35).contains(&n_refused), "{n_refused} of 40");

    world.set(r#"{"conflict":{"times":1,"match":{"name":"a"}}}"#);
    let (code, conflict) = world.ask("PATCH", &path, PATCH).await.unwrap();
    assert_eq!((code, conflict.str_at(&["reason"])), (409, Some("Conflict")));
    assert_eq!(world.code("PATCH", &path, r#"{"data":{"v":"3"}}"#).await, 200);

    world.set(r#"{"cut":{"match":{"verb":"patch"}}}"#);
    assert!(world.ask("PATCH", &path, PATCH).await.is_none());
    assert_eq!(world.data("a").await, "2");
}

#[tokio::test]
async fn lists_break_off_and_reads_look_back() {
    let world = World::start().await;
    for name in ["a", "b", "c"] {
        world.create(name).await;
    }
    world.set(r#"{"partial-list":{"kind":"ConfigMap","keep":2}}"#);
    let (_, page) = world.ask("GET", &format!("{MAPS}?limit=100"), "").await.unwrap();
    assert_eq!(page.list_at(&["items"]).len(), 2);
    let token = page.str_at(&["metadata", "continue"]).unwrap();
    assert_eq!(world.code("GET", &format!("{MAPS}?limit=100&continue={token}"), "").await, 500);
    assert_eq!(world.code("GET", MAPS, "").await, 500);

    world.set(r#"{"kind":"gone"}"#);
    assert_eq!(world.code("GET", &format!("{MAPS}?limit=100&continue={token}"), "").await, 410);

    world.set("[]");
    assert_eq!(world.code("PATCH", &format!("{MAPS}/a"), PATCH).await, 200);
    world.set(r#"{"kind":"stale-read","versions":1}"#);
    assert_eq!(world.data("a").await, "1");
    let (_, list) = world.ask("GET", MAPS, "").await.unwrap();
    assert_eq!(list.list_at(&["items"])[0].str_at(&["data", "v"]), Some("1"));
    world.set(r#"{"kind":"stale-read","versions":2}"#);
    let (code, missing) = world.ask("GET", &format!("{MAPS}/c"), "").await.unwrap();
    assert_eq!((code, missing.str_at(&["message"])), (404, Some("configmaps \"c\" not found")));
    world.set("[]");
    assert_eq!(world.data("a").await, "2");
}

#[tokio::test]
async fn watches_end_and_bring_too_much_too_late() {
    let world = World::start().await;
    let first = world.create("a").await;
    let revision = first.str_at(&["metadata", "resourceVersion"]).unwrap().to_owned();
    world.set(r#"[{"kind":"late-watch","ms":30},{"kind":"duplicate-events"}]"#);
    let mut watch = world.watch(&revision).await;
    let began = tokio::time::Instant::now();
    world.create("b").await;
    assert_eq!([watch.next().await, watch.next().await], ["ADDED", "ADDED"]);
    assert!(began.elapsed() >= Duration::from_millis(30));

    world.set(r#"{"kind":"drop-watch","after":1}"#);
    assert_eq!(watch.next().await, "end");
    let mut watch = world.watch("0").await;
    assert_eq!([watch.next().await, watch.next().await], ["ADDED", "end"]);

    world.set("[]");
    let mut watch = world.watch("0").await;
    assert_eq!([watch.next().await, watch.next().await], ["ADDED", "ADDED"]);
    world.set(r#"{"gone":{"match":{"kind":"ConfigMap"}}}"#);
    assert_eq!([watch.next().await, watch.next().await], ["ERROR 410", "end"]);
    let mut watch = world.watch(&revision).await;
    assert_eq!([watch.next().await, watch.next().await], ["ERROR 410", "end"]);
}

#[tokio::test]
async fn a_restart_ends_watches_and_makes_versions_old() {
    let world = World::start().await;
    let first = world.create("a").await;
    let revision = first.str_at(&["metadata", "resourceVersion"]).unwrap().to_owned();
    world.create("b").await;
    let mut watch = world.watch(&revision).await;
    assert_eq!(watch.next().await, "ADDED");
    world.proxy.restart().await.unwrap();
    assert_eq!(watch.next().await, "end");
    let mut watch = world.watch(&revision).await;
    assert_eq!([watch.next().await, watch.next().await], ["ERROR 410", "end"]);
    let exact = format!("{MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact");
    assert_eq!(world.code("GET", &exact, "").await, 410);
    let mut watch = world.watch("0").await;
    assert_eq!(watch.next().await, "ADDED");
}

#[tokio::test]
async fn a_controller_that_is_killed_hears_nothing() {
    let world = World::start().await;
    world.create("a").await;
    for (step, left) in [("intent", "1"), ("applied", "2")] {
        world.set(&format!(r#"{{"kind":"kill-controller-at","step":"{step}"}}"#));
        let mut kills = world.proxy.faults().kills();
        let path = format!("{MAPS}/a");
        let request = world.ask("PATCH", &path, PATCH);
        let killed = async {
            tokio::time::timeout(DEADLINE, kills.changed()).await.unwrap().unwrap();
            if step == "applied" {
                // The effect is there before anybody may look.
                let until = async {
                    loop {
                        let maps = trueup_sandbox::internals::ResourceId::new("", "configmaps");
                        let name = trueup_sandbox::internals::Name::new("default", "a");
                        let object = world.sandbox.api().store().get(&maps, &name).unwrap();
                        if object.str_at(&["data", "v"]) == Some("2") {
                            return;
                        }
                        tokio::task::yield_now().await;
                    }
                };
                tokio::time::timeout(DEADLINE, until).await.unwrap();
            }
            world.set("[]");
        };
        let (answer, ()) = tokio::join!(request, killed);
        assert!(answer.is_none(), "{step}: {answer:?}");
        assert_eq!(world.data("a").await, left);
    }
}

#[test]
fn a_limit_goes_into_the_path_of_a_list() {
    assert_eq!(with_limit("/api/v1/configmaps?limit=500&x=y", 2), "/api/v1/configmaps?limit=2&x=y");
}
