//! A proxy before a real API server that makes the faults which the sandbox makes by itself.
//!
//! It speaks plain HTTP on the loopback interface to one client, the controller under test, and adds the administrator's
//! credentials on the way. The stored state is never touched: what it breaks is only what that client sees.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming},
    client::conn::http1::SendRequest,
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
    task::JoinSet,
};
use trueup_object::Value;

use trueup_sandbox::faults::{
    Attributes, Faults, Interference, Reading, Rule, WatchFate, broken_off, gone_event,
};
use trueup_sandbox::internals::ApiStatus;

use crate::http::Client;

mod past;

/// Frames on their way to a slow reader; the server is read no faster than that.
const N_FRAMES_MAX: usize = 16;

/// Which requests a rule with a share meets follows from it, as in the sandbox.
const SEED: u64 = 1;

/// Longer than any watch.
const NEVER: std::time::Duration = std::time::Duration::from_secs(365 * 24 * 3600);

type Streamed = StreamBody<Frames>;
type Body = Either<Full<Bytes>, Streamed>;

/// A running proxy.
pub struct Proxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    tasks: JoinSet<()>,
}

struct Shared {
    upstream: Client,
    faults: Faults,
    /// Versions before this one are too old since a restart.
    oldest: AtomicU64,
}

/// Frames from the task that copies a watch.
struct Frames(mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>);

impl Proxy {
    /// Starts to pass requests on to the client's server, with the client's rights.
    pub async fn start(upstream: Client) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { upstream, faults: Faults::new(SEED), oldest: AtomicU64::new(0) });
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, shared.clone()));
        Ok(Self { shared, address, tasks })
    }

    /// A kubeconfig that leads here.
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: admin\n\
             clusters:\n- name: proxy\n  cluster: {{server: 'http://{}'}}\n\
             contexts:\n- name: admin\n  context: {{cluster: proxy, namespace: default, user: admin}}\n\
             users:\n- name: admin\n  user: {{}}\n",
            self.address
        )
    }

    /// Puts these rules in the place of those before.
    pub fn set_faults(&self, rules: &[Value]) -> Result<()> {
        let read =
            |rule: &Value| Rule::parse(rule).with_context(|| format!("read the fault {}", rule.to_json()));
        let rules = rules.iter().map(read).collect::<Result<Vec<_>>>()?;
        self.shared.faults.clear();
        rules.into_iter().for_each(|rule| self.shared.faults.add(rule));
        Ok(())
    }

    /// The rules in force.
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// What a restart of the API server with compaction does: watches end, and the versions before are too old.
    pub async fn restart(&self) -> Result<()> {
        let now = past::present(&self.shared.upstream).await?;
        self.shared.oldest.store(now, Ordering::SeqCst);
        self.shared.faults.restart();
        Ok(())
    }

    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = shared.clone();
        connections.spawn(serve(stream, shared));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let service = service_fn(move |request| answer(shared.clone(), request));
    // A connection that breaks is the client's affair; one that a fault cuts is meant to.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An error cuts the connection without an answer.
async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Body>> {
    let uri = request.uri().clone();
    let user_agent = request.headers().get(header::USER_AGENT).and_then(|it| it.to_str().ok());
    let user_agent = user_agent.unwrap_or_default().to_owned();
    let asked = Attributes::of_path(request.method(), &uri, &user_agent);
    let mut target = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let mut then = Interference::None;
    // From before the rules are asked: what hangs must not miss that they change while it is served.
    let mut changes = shared.faults.changes();
    if let Some(asked) = &asked {
        let plan = shared.faults.before(asked);
        tokio::time::sleep(plan.delay).await;
        then = plan.then;
        if shared.is_too_old(asked.read) {
            return Ok(too_old(asked));
        }
        match &then {
            Interference::Refuse(status) => return Ok(refusal(status)),
            Interference::Hang { serve: false } => {
                let _ended = changes.changed().await;
                anyhow::bail!("killed");
            }
            Interference::Limit(keep) if asked.read.is_paged => target = with_limit(&target, *keep),
            Interference::Limit(_) => return Ok(refusal(&broken_off())),
            Interference::Stale(versions) => {
                target = past::target(&shared.upstream, asked, &target, *versions).await?;
            }
            Interference::None | Interference::Cut | Interference::Hang { serve: true } => {}
        }
        if asked.verb == "watch" && shared.faults.watch_begins(asked) {
            return Ok(streamed_end());
        }
    }
    let (response, sender) = pass(&shared, request, target).await?;
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::TRANSFER_ENCODING);
    let is_watch = asked.is_some_and(|asked| asked.verb == "watch") && parts.status.is_success();
    if !is_watch {
        let mut bytes = body.collect().await?.to_bytes();
        shared.upstream.keep(sender);
        match then {
            Interference::Cut => anyhow::bail!("cut"),
            Interference::Hang { .. } => {
                let _ended = changes.changed().await;
                anyhow::bail!("killed");
            }
            Interference::Stale(_) if asked.is_some_and(|asked| asked.verb == "get") => {
                let Some(object) = past::the_one(&bytes) else {
                    return Ok(refusal(&past::not_found(asked.as_ref())));
                };
                bytes = Bytes::from(object.to_json());
                parts.headers.remove(header::CONTENT_LENGTH);
            }
            Interference::None
            | Interference::Refuse(_)
            | Interference::Limit(_)
            | Interference::Stale(_) => {}
        }
        return Ok(Response::from_parts(parts, Either::Left(Full::new(bytes))));
    }
    let (frames, receiver) = mpsc::channel(N_FRAMES_MAX);
    let began = tokio::time::Instant::now();
    tokio::spawn(async move {
        let asked = Attributes::of_path(&hyper::Method::GET, &uri, &user_agent).unwrap_or_default();
        Copying { shared: &shared, asked, began, n_events: 0, rest: Vec::new() }.copy(body, frames).await;
        drop(sender);
    });
    Ok(Response::from_parts(parts, Either::Right(StreamBody::new(Frames(receiver)))))
}

/// Sends a request on to the real server, without what is the client's own.
async fn pass(
    shared: &Shared,
    request: Request<Incoming>,
    target: String,
) -> Result<(Response<Incoming>, SendRequest<Full<Bytes>>)> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut passed = Request::builder().method(parts.method).uri(target);
    for (name, value) in &parts.headers {
        if ![header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH, header::CONNECTION].contains(name) {
            passed = passed.header(name, value);
        }
    }
    shared.upstream.pass(passed.body(Full::new(body))?).await
}

impl Shared {
    /// Whether a read goes on from before a restart.
    fn is_too_old(&self, read: Reading) -> bool {
        read.revision > 0 && read.revision < self.oldest.load(Ordering::SeqCst)
    }
}

/// The answer to who goes on from before a restart.
fn too_old(asked: &Attributes<'_>) -> Response<Body> {
    if asked.verb == "watch" {
        return streamed_end();
    }
    refusal(&ApiStatus::expired(format!("too old resource version: {}", asked.read.revision)))
}

/// A watch that only says that its history is gone.
fn streamed_end() -> Response<Body> {
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(gone_event()))));
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

/// A watch on its way through.
struct Copying<'a> {
    shared: &'a Shared,
    asked: Attributes<'a>,
    began: tokio::time::Instant,
    n_events: u64,
    /// The beginning of a line whose end has not come yet.
    rest: Vec<u8>,
}

type Sender = mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>;

impl Copying<'_> {
    /// Copies a watch until it ends, its reader goes away, or a rule ends it.
    async fn copy(mut self, mut body: Incoming, frames: Sender) {
        let mut changes = self.shared.faults.changes();
        let mut restarts = self.shared.faults.restarts();
        loop {
            let fate = self.shared.faults.watch_fate(&self.asked, self.began);
            if fate.gone {
                let _gone = frames.send(Ok(Frame::data(Bytes::from(gone_event())))).await;
                return;
            }
            if fate.events_max.is_some_and(|most| self.n_events >= most) {
                return;
            }
            let frame = tokio::select! {
                frame = body.frame() => frame,
                changed = changes.changed() => match changed { Ok(()) => continue, Err(_) => return },
                _ = restarts.changed() => return,
                () = tokio::time::sleep(fate.ends_in.unwrap_or(NEVER)) => return,
                () = frames.closed() => return,
            };
            let Some(Ok(frame)) = frame else { return };
            let Ok(data) = frame.into_data() else { continue };
            if !fate.late.is_zero() {
                tokio::time::sleep(fate.late).await;
            }
            let lines = self.lines(&data, &fate);
            if !lines.is_empty() && frames.send(Ok(Frame::data(lines.into()))).await.is_err() {
                return;
            }
        }
    }

    /// The whole lines that are there with a piece of the stream, as a rule leaves them.
    fn lines(&mut self, data: &[u8], fate: &WatchFate) -> String {
        self.rest.extend_from_slice(data);
        let mut out = String::new();
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            if fate.events_max.is_some_and(|most| self.n_events >= most) {
                break;
            }
            let line = String::from_utf8_lossy(&line);
            out.push_str(&fate.repeated(&line));
            self.n_events += u64::from(!line.starts_with("{\"type\":\"BOOKMARK\""));
        }
        out
    }
}

/// A list's path with a limit on its page.
fn with_limit(target: &str, keep: usize) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let kept =
        query.split('&').filter(|pair| !pair.is_empty()).map(|pair| match pair.strip_prefix("limit=") {
            Some(limit) => format!("limit={}", limit.parse().unwrap_or(keep).min(keep)),
            None => pair.to_owned(),
        });
    format!("{path}?{}", kept.collect::<Vec<_>>().join("&"))
}

fn refusal(status: &ApiStatus) -> Response<Body> {
    let body = Bytes::from(status.to_value().to_json());
    let mut response = Response::new(Either::Left(Full::new(body)));
    *response.status_mut() = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    let seconds = status.details.retry_after_seconds;
    if seconds > 0 {
        response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from(seconds));
    }
    response
}

impl futures::Stream for Frames {
    type Item = Result<Frame<Bytes>, std::io::Error>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}

#[cfg(test)]
mod tests;
