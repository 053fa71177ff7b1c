//! The loop against a scripted server: what goes wrong on the way must never look complete.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::VecDeque;
use std::convert::Infallible;

use http::{Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use kube::client::Body;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tower::service_fn;

use super::backoff::{BACKOFF_MAX, RETRY_AFTER_MAX};
use super::*;
use crate::observed::Interest;

type BoxedBody = UnsyncBoxBody<Bytes, Infallible>;

/// What the server does with the next request.
enum Reply {
    Answer(u16, String),
    /// Lines as the test sends them, until it drops the sender.
    Stream(mpsc::UnboundedReceiver<String>),
    Refuse,
}

/// A server that plays its replies in order, one for each request, and notes what was asked.
#[derive(Clone, Default)]
struct Script {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    asked: Arc<Mutex<Vec<String>>>,
    added: Arc<Notify>,
}

impl Script {
    fn then(&self, reply: Reply) -> &Self {
        self.replies.lock().unwrap().push_back(reply);
        self.added.notify_one();
        self
    }

    fn then_json(&self, code: u16, body: impl Into<String>) -> &Self {
        self.then(Reply::Answer(code, body.into()))
    }

    /// A stream and the sender of its lines.
    fn then_stream(&self) -> mpsc::UnboundedSender<String> {
        let (sender, receiver) = mpsc::unbounded_channel();
        self.then(Reply::Stream(receiver));
        sender
    }

    async fn next(&self) -> Reply {
        loop {
            let reply = self.replies.lock().unwrap().pop_front();
            match reply {
                Some(reply) => return reply,
                None => self.added.notified().await,
            }
        }
    }

    async fn respond(self, request: Request<Body>) -> Result<Response<BoxedBody>, std::io::Error> {
        let path = request.uri().path_and_query().unwrap().to_string();
        self.asked.lock().unwrap().push(path);
        let lines = match self.next().await {
            Reply::Refuse => return Err(std::io::ErrorKind::ConnectionRefused.into()),
            Reply::Answer(code, body) => {
                let body = BodyExt::boxed_unsync(http_body_util::Full::new(Bytes::from(body)));
                return Ok(Response::builder().status(code).body(body).unwrap());
            }
            Reply::Stream(lines) => lines,
        };
        let frames = futures::stream::unfold(lines, |mut lines| async {
            let line = lines.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(Bytes::from(line))), lines))
        });
        Ok(Response::new(BodyExt::boxed_unsync(StreamBody::new(frames))))
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

struct World {
    script: Script,
    context: Arc<WatchContext>,
    store: SharedStore,
    task: JoinHandle<()>,
    _discovery: latest::Sender<Option<Arc<Discovery>>>,
}

impl Drop for World {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl World {
    /// A loop over ConfigMaps; `streaming` as it would be found out with an older server.
    fn start(streaming: bool) -> Self {
        let script = Script::default();
        let served = script.clone();
        let service = service_fn(move |request| served.clone().respond(request));
        let wire = Wire::new(kube::Client::new(service, "default"));
        let gvk = Gvk::new("", "v1", "ConfigMap");
        let mut found = Discovery::default();
        found.insert(ServedKind {
            gvk: gvk.clone(),
            plural: "configmaps".into(),
            scope: crate::discover::KindScope::Namespaced,
            verbs: vec!["list".into(), "watch".into()],
        });
        let (discovery_sender, discovery) = latest::channel(Some(Arc::new(found)));
        let interests: Interests = Arc::new(|_| Interest::Tracked("shop".into()));
        let clock: Clock = Arc::new(|| Timestamp::UNIX_EPOCH);
        let changes = Arc::new(Changes::default());
        let context =
            Arc::new(WatchContext::new(wire, interests, clock, changes, discovery, Arc::new(Notify::new())));
        context.streaming.store(streaming, Ordering::Relaxed);
        let store = Arc::new(Mutex::new(KindStore::new(gvk)));
        let task = tokio::spawn(watch_kind(context.clone(), store.clone(), Text::default()));
        Self { script, context, store, task, _discovery: discovery_sender }
    }

    fn state(&self) -> KindState {
        self.store.lock().unwrap().state().clone()
    }

    fn names(&self) -> Vec<String> {
        self.store.lock().unwrap().whole().map(|(name, _)| name.name.to_string()).collect()
    }

    /// Reads changes until the condition holds.
    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                self.context.changes.next().await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(600), wait).await;
        assert!(reached.is_ok(), "{what}: {:?}, asked {:?}", self.state(), self.script.asked());
    }

    async fn until_complete(&self) {
        self.until("complete", |world| matches!(world.state(), KindState::Complete { .. })).await;
    }

    async fn until_incomplete(&self) -> Cause {
        self.until("incomplete", |world| matches!(world.state(), KindState::Incomplete { .. })).await;
        match self.state() {
            KindState::Incomplete { cause, .. } => cause,
            other => panic!("{other:?}"),
        }
    }
}

fn object(name: &str, version: u64) -> String {
    format!(
        r#"{{"metadata":{{"name":"{name}","namespace":"web","uid":"{name}","resourceVersion":"{version}"}},"data":{{}}}}"#
    )
}

fn page(objects: &[String], version: u64, token: &str) -> String {
    format!(
        r#"{{"kind":"ConfigMapList","metadata":{{"resourceVersion":"{version}","continue":"{token}"}},"items":[{}]}}"#,
        objects.join(",")
    )
}

fn event(kind: &str, object: &str) -> String {
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

const SERVER_ERROR: &str =
    r#"{"kind":"Status","status":"Failure","message":"etcd is slow","reason":"InternalError","code":500}"#;
const GONE: &str = r#"{"kind":"Status","status":"Failure","message":"too old resource version","reason":"Expired","code":410}"#;
const LIST_END: &str =
    r#"{"metadata":{"resourceVersion":"20","annotations":{"k8s.io/initial-events-end":"true"}}}"#;

#[tokio::test(start_paused = true)]
async fn a_page_that_fails_leaves_the_kind_incomplete() {
    let world = World::start(false);
    world.script.then_json(200, page(&[object("a", 1)], 10, "next")).then_json(500, SERVER_ERROR);
    let cause = world.until_incomplete().await;
    assert!(matches!(cause, Cause::Server(message) if message.contains("etcd is slow")));
    assert_eq!(world.names(), ["a"]);
    world
        .script
        .then_json(200, page(&[object("a", 1)], 11, "next"))
        .then_json(200, page(&[object("b", 2)], 11, ""));
    let _watch = world.script.then_stream();
    world.until_complete().await;
    assert_eq!(world.names(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_streamed_list_is_complete_at_its_mark_only() {
    let world = World::start(true);
    let lines = world.script.then_stream();
    lines.send(event("ADDED", &object("a", 1))).unwrap();
    drop(lines);
    assert!(matches!(world.until_incomplete().await, Cause::Unreachable(_)));

    let lines = world.script.then_stream();
    lines.send(event("ADDED", &object("a", 1))).unwrap();
    lines.send(event("ADDED", &object("b", 2))).unwrap();
    lines.send(event("BOOKMARK", LIST_END)).unwrap();
    world.until_complete().await;
    assert_eq!(world.names(), ["a", "b"]);
    // The same stream goes on as the watch.
    lines.send(event("DELETED", &object("b", 21))).unwrap();
    world.until("deleted", |world| world.names() == ["a"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_without_streamed_lists_is_asked_in_pages() {
    let world = World::start(true);
    world.script.then_json(422, r#"{"kind":"Status","message":"sendInitialEvents is forbidden","code":422}"#);
    world.script.then_json(200, page(&[object("a", 1)], 10, ""));
    let _watch = world.script.then_stream();
    world.until_complete().await;
    assert!(!world.context.streaming.load(Ordering::Relaxed));
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_is_resumed_without_a_word() {
    let world = World::start(false);
    world.script.then_json(200, page(&[object("a", 1)], 10, ""));
    let first = world.script.then_stream();
    world.until_complete().await;
    first.send(event("MODIFIED", &object("a", 12))).unwrap();
    first.send(event("BOOKMARK", r#"{"metadata":{"resourceVersion":"30"}}"#)).unwrap();
    drop(first);
    let second = world.script.then_stream();
    second.send(event("ADDED", &object("b", 31))).unwrap();
    world.until("resumed", |world| world.names() == ["a", "b"]).await;
    assert!(matches!(world.state(), KindState::Complete { .. }));
    let asked = world.script.asked();
    assert!(asked.last().unwrap().contains("resourceVersion=30"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_version_is_listed_anew() {
    let world = World::start(false);
    world.script.then_json(200, page(&[object("a", 1), object("b", 2)], 10, ""));
    let first = world.script.then_stream();
    world.until_complete().await;
    world.script.then_json(200, page(&[object("a", 1)], 40, ""));
    let _second = world.script.then_stream();
    first.send(event("ERROR", GONE)).unwrap();
    world.until("listed anew", |world| world.names() == ["a"]).await;
    world.until_complete().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_away_is_a_state_and_passes() {
    let world = World::start(false);
    world.script.then_json(200, page(&[object("a", 1)], 10, ""));
    let watch = world.script.then_stream();
    world.until_complete().await;
    world.script.then(Reply::Refuse);
    drop(watch);
    assert!(matches!(world.until_incomplete().await, Cause::Unreachable(_)));
    assert_eq!(world.names(), ["a"], "what was known stands");
    world.script.then(Reply::Refuse).then(Reply::Refuse);
    world.script.then_json(200, page(&[object("a", 1)], 50, ""));
    let _watch = world.script.then_stream();
    world.until_complete().await;
}

#[tokio::test(start_paused = true)]
async fn a_forbidden_kind_says_so_and_waits_as_asked() {
    let world = World::start(false);
    world.script.then_json(
        403,
        r#"{"kind":"Status","message":"configmaps is forbidden","reason":"Forbidden","code":403}"#,
    );
    assert_eq!(world.until_incomplete().await, Cause::Forbidden("configmaps is forbidden".into()));
    let busy =
        r#"{"kind":"Status","message":"too many requests","code":429,"details":{"retryAfterSeconds":7}}"#;
    let began = Instant::now();
    // One object is asked for first, to see whether anything has changed.
    let empty = || page(&[], 10, "");
    world.script.then_json(429, busy).then_json(200, empty()).then_json(200, empty());
    let _watch = world.script.then_stream();
    world.until_complete().await;
    assert!(began.elapsed() >= Duration::from_secs(7));
}

#[tokio::test(start_paused = true)]
async fn an_answer_cut_short_is_not_a_list() {
    let world = World::start(false);
    let whole = page(&[object("a", 1)], 10, "");
    world.script.then_json(200, whole.get(..whole.len() - 5).unwrap());
    assert!(matches!(world.until_incomplete().await, Cause::Unreadable(_)));
}

#[test]
fn waits_grow_to_a_limit_and_respect_the_server() {
    let gvk = Gvk::new("", "v1", "ConfigMap");
    let mut backoff = Backoff::new(&gvk);
    let first = backoff.next(None);
    for _ in 0..20 {
        backoff.next(None);
    }
    let last = backoff.next(None);
    assert!(first < Duration::from_secs(1));
    assert!(last >= BACKOFF_MAX * 3 / 4 && last <= BACKOFF_MAX * 5 / 4);
    assert_eq!(backoff.next(Some(Duration::from_secs(3600))), RETRY_AFTER_MAX);
    backoff.reset();
    assert!(backoff.next(None) < Duration::from_secs(1));
}
