//! A proxy before a real API server that makes the faults which the sandbox makes by itself.
//!
//! It speaks plain HTTP on the loopback interface to one client, the controller under test, and adds the administrator's
//! credentials on the way. The stored state is never touched: what it breaks is only what that client sees.

mod rules;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::{
    Request, Response, StatusCode,
    body::{Frame, Incoming},
    header,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{mpsc, watch},
    task::JoinSet,
};
use trueup_object::Value;

use self::rules::{Asked, Interference, Rules};
use crate::http::Client;

/// Frames on their way to a slow reader; the server is read no faster than that.
const N_FRAMES_MAX: usize = 16;

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
    rules: Mutex<Rules>,
    /// Counts changes of the rules, for watches that a new rule ends.
    generation: watch::Sender<u64>,
}

/// Frames from the task that copies a watch.
struct Frames(mpsc::Receiver<Result<Frame<Bytes>, std::io::Error>>);

impl Proxy {
    /// Starts to pass requests on to the client's server, with the client's rights.
    pub async fn start(upstream: Client) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { upstream, rules: Mutex::default(), generation: watch::Sender::new(0) });
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
        let rules = Rules::parse(rules)?;
        *self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner) = rules;
        self.shared.generation.send_modify(|generation| *generation += 1);
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
    let asked = Asked::of(request.method(), request.uri());
    let interference = shared.rules.lock().unwrap_or_else(PoisonError::into_inner).before(&asked);
    let mut cut = false;
    let mut target = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
    match interference {
        Interference::None => {}
        Interference::Refuse { code, reason, message, retry_after } => {
            return Ok(refusal(code, reason, &message, retry_after));
        }
        Interference::Limit(keep) => target = rules::with_limit(&target, keep),
        Interference::Cut => cut = true,
    }
    let (parts, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    let mut passed = Request::builder().method(parts.method).uri(target);
    for (name, value) in &parts.headers {
        if ![header::HOST, header::AUTHORIZATION, header::CONTENT_LENGTH, header::CONNECTION].contains(name) {
            passed = passed.header(name, value);
        }
    }
    let (response, sender) = shared.upstream.pass(passed.body(Full::new(body))?).await?;
    if cut {
        let _lost = response.into_body().collect().await;
        anyhow::bail!("cut");
    }
    let (mut parts, body) = response.into_parts();
    parts.headers.remove(header::TRANSFER_ENCODING);
    if !asked.is_watch() {
        let bytes = body.collect().await?.to_bytes();
        shared.upstream.keep(sender);
        return Ok(Response::from_parts(parts, Either::Left(Full::new(bytes))));
    }
    let (frames, receiver) = mpsc::channel(N_FRAMES_MAX);
    tokio::spawn(async move {
        copy(&shared, &asked, body, frames).await;
        drop(sender);
    });
    Ok(Response::from_parts(parts, Either::Right(StreamBody::new(Frames(receiver)))))
}

/// Copies a watch until it ends, its reader goes away, or a rule ends it.
async fn copy(
    shared: &Shared,
    asked: &Asked,
    mut body: Incoming,
    frames: mpsc::Sender<Result<Frame<Bytes>, std::io::Error>>,
) {
    let began = tokio::time::Instant::now();
    let mut changes = shared.generation.subscribe();
    let mut n_events = 0;
    loop {
        let end = shared.rules.lock().unwrap_or_else(PoisonError::into_inner).watch_end(asked, began);
        if end.events.is_some_and(|most| n_events >= most) {
            return;
        }
        let frame = tokio::select! {
            frame = body.frame() => frame,
            changed = changes.changed() => match changed { Ok(()) => continue, Err(_) => return },
            () = tokio::time::sleep(end.after.unwrap_or(std::time::Duration::MAX / 4)) => return,
            () = frames.closed() => return,
        };
        let Some(Ok(frame)) = frame else { return };
        let Ok(data) = frame.into_data() else { continue };
        let left = end.events.map(|most| most - n_events);
        let (kept, n_lines) = rules::first_lines(&data, left);
        n_events += n_lines;
        if frames.send(Ok(Frame::data(kept))).await.is_err() {
            return;
        }
    }
}

fn refusal(code: u16, reason: &str, message: &str, retry_after: Option<i64>) -> Response<Body> {
    let mut status = Value::default();
    status.set_at(&["kind"], "Status".into());
    status.set_at(&["apiVersion"], "v1".into());
    status.set_at(&["status"], "Failure".into());
    status.set_at(&["reason"], reason.into());
    status.set_at(&["message"], message.into());
    status.set_at(&["code"], i64::from(code).into());
    let mut response = Response::new(Either::Left(Full::new(Bytes::from(status.to_json()))));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if let Some(seconds) = retry_after {
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
