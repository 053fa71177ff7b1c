//! Requests to one API server and their answers, as bytes.
//!
//! kube's client supplies configuration, credentials and TLS; requests are sent below its typed layer, for three
//! reasons: that layer logs the whole body of an answer it cannot parse (a truncated Secret would reach the log),
//! answers are parsed here from borrowed bytes without a tree, and every await has a timeout of its own.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Method, Request, header};
use http_body_util::{BodyExt, Limited};
use kube::client::Body;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::status::ApiStatus;

/// A request without an answer after this long is given up; the API server itself gives up after 60 s.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// A page of a list may take the server long to read and us long to receive.
pub const PAGE_TIMEOUT: Duration = Duration::from_secs(90);
/// Requests in flight at once, watches aside: enough to hide latency, few enough to leave a shared server to others.
const REQUESTS_MAX: usize = 32;
/// No answer that we ask for is larger: a page of 500 objects at etcd's limit of 1.5 MiB does not occur in practice.
const ANSWER_BYTES_MAX: usize = 512 << 20;
/// etcd keeps objects below 1.5 MiB; JSON of one can be a few times that.
const LINE_BYTES_MAX: usize = 32 << 20;

/// Why a request brought no usable answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The request did not reach a server: it had no effect.
    #[error("reach the API server: {message}")]
    Unreachable { message: String },
    /// TLS was refused by either side: the request had no effect.
    #[error("agree on TLS with the API server: {message}")]
    Tls { message: String },
    /// The credentials could not be had (a token file, an exec plugin): the request was not sent.
    #[error("get credentials: {message}")]
    Credentials { message: String },
    /// The request was sent, and no answer came: whether it had an effect is unknown.
    #[error("get an answer from the API server: {message}")]
    NoAnswer { message: String },
    /// An answer came that could not be read. For a change this is as good as none.
    #[error("read the API server's answer: {message}")]
    Unreadable { message: String },
    /// The server refused.
    #[error("{0}")]
    Refused(Box<ApiStatus>),
}

impl WireError {
    /// The server's refusal, where it is one.
    pub fn status(&self) -> Option<&ApiStatus> {
        if let Self::Refused(status) = self { Some(status) } else { None }
    }

    /// How long the server asks us to wait, where it does.
    pub fn retry_after(&self) -> Option<Duration> {
        self.status().and_then(|status| status.retry_after)
    }

    pub fn is_not_found(&self) -> bool {
        self.status().is_some_and(|status| status.code == 404)
    }

    pub fn is_gone(&self) -> bool {
        self.status().is_some_and(ApiStatus::is_gone)
    }
}

/// An answer with a code below 400.
#[derive(Debug, Clone)]
pub struct Answer {
    pub code: u16,
    pub body: Bytes,
}

/// What a request body is, as its content type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    Json,
    MergePatch,
    /// Kubernetes' own merge patch, which knows list-maps.
    StrategicMergePatch,
    JsonPatch,
    Apply,
}

impl BodyKind {
    fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MergePatch => "application/merge-patch+json",
            Self::StrategicMergePatch => "application/strategic-merge-patch+json",
            Self::JsonPatch => "application/json-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }
}

/// A way to one API server.
#[derive(Clone)]
pub struct Wire {
    client: kube::Client,
    permits: Arc<Semaphore>,
}

impl Wire {
    pub fn new(client: kube::Client) -> Self {
        Self { client, permits: Arc::new(Semaphore::new(REQUESTS_MAX)) }
    }

    /// Reads a path.
    pub async fn get(&self, path: &str) -> Result<Answer, WireError> {
        self.read(path, "application/json", ANSWER_TIMEOUT).await
    }

    /// Reads a path with a media type and time limit of its own.
    pub async fn read(&self, path: &str, accept: &str, limit: Duration) -> Result<Answer, WireError> {
        let request = Request::builder().method(Method::GET).uri(path).header(header::ACCEPT, accept);
        self.send(request.body(Body::empty()), limit).await
    }

    /// Sends a body.
    pub async fn write(
        &self,
        method: Method,
        path: &str,
        kind: BodyKind,
        body: Vec<u8>,
    ) -> Result<Answer, WireError> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, kind.content_type());
        self.send(request.body(Body::from(body)), ANSWER_TIMEOUT).await
    }

    async fn send(&self, request: http::Result<Request<Body>>, limit: Duration) -> Result<Answer, WireError> {
        let request = request.map_err(|error| WireError::Unreachable { message: error.to_string() })?;
        let exchange = async {
            let _permit = self.permits.acquire().await;
            self.exchange(request).await
        };
        timeout(limit, exchange).await.unwrap_or_else(|_| Err(no_answer_within(limit)))
    }

    async fn exchange(&self, request: Request<Body>) -> Result<Answer, WireError> {
        let response = self.client.send(request).await.map_err(|error| of_client(&error))?;
        let code = response.status().as_u16();
        let retry_after = retry_after(response.headers());
        let body = Limited::new(response.into_body(), ANSWER_BYTES_MAX)
            .collect()
            .await
            .map_err(|error| WireError::NoAnswer {
                message: format!("the answer broke off: {}", deepest(&*error)),
            })?
            .to_bytes();
        if code < 400 {
            return Ok(Answer { code, body });
        }
        let mut status = ApiStatus::read(code, &body);
        status.retry_after = status.retry_after.or(retry_after);
        Err(WireError::Refused(Box::new(status)))
    }

    /// Opens a watch; its lines are read one by one.
    pub async fn watch(&self, path: &str) -> Result<Lines, WireError> {
        let request = Request::builder()
            .method(Method::GET)
            .uri(path)
            .header(header::ACCEPT, "application/json")
            // Each event is compressed on its own by newer servers, which the decoder in use cannot follow.
            .header(header::ACCEPT_ENCODING, "identity")
            .body(Body::empty())
            .map_err(|error| WireError::Unreachable { message: error.to_string() })?;
        let response = timeout(ANSWER_TIMEOUT, self.client.send(request))
            .await
            .map_err(|_| no_answer_within(ANSWER_TIMEOUT))?
            .map_err(|error| of_client(&error))?;
        let code = response.status().as_u16();
        if code < 400 {
            return Ok(Lines { body: response.into_body(), buffer: BytesMut::new(), searched: 0 });
        }
        let retry_after = retry_after(response.headers());
        let body = timeout(ANSWER_TIMEOUT, Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect())
            .await
            .ok()
            .and_then(Result::ok)
            .map(|collected| collected.to_bytes())
            .unwrap_or_default();
        let mut status = ApiStatus::read(code, &body);
        status.retry_after = status.retry_after.or(retry_after);
        Err(WireError::Refused(Box::new(status)))
    }
}

/// The lines of a watch.
pub struct Lines {
    body: Body,
    buffer: BytesMut,
    /// How much of the buffer is known to hold no line end.
    searched: usize,
}

impl Lines {
    /// The next line without its end; nothing when the server ended the stream. An unfinished last line is dropped:
    /// the event it began will come again.
    pub async fn next(&mut self, idle: Duration) -> Result<Option<Bytes>, WireError> {
        loop {
            if let Some(line) = self.take_line() {
                if !line.is_empty() {
                    return Ok(Some(line));
                }
                continue;
            }
            if self.buffer.len() > LINE_BYTES_MAX {
                return Err(WireError::Unreadable { message: format!("a line over {LINE_BYTES_MAX} bytes") });
            }
            match timeout(idle, self.body.frame()).await {
                Err(_) => return Err(no_answer_within(idle)),
                Ok(None) => return Ok(None),
                Ok(Some(Err(error))) => return Err(WireError::NoAnswer { message: deepest(&error) }),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }

    fn take_line(&mut self) -> Option<Bytes> {
        let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
        // Looks at many bytes at once, unlike a search byte by byte.
        let skipped = std::io::BufRead::skip_until(&mut &*unsearched, b'\n').unwrap_or_default();
        match skipped.checked_sub(1).filter(|last| unsearched.get(*last) == Some(&b'\n')) {
            Some(offset) => {
                let mut line = self.buffer.split_to(self.searched + offset + 1);
                line.truncate(line.len() - 1);
                self.searched = 0;
                Some(line.freeze())
            }
            None => {
                self.searched = self.buffer.len();
                None
            }
        }
    }
}

fn no_answer_within(limit: Duration) -> WireError {
    WireError::NoAnswer { message: format!("nothing came within {} s", limit.as_secs()) }
}

fn retry_after(headers: &header::HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds > 0).then(|| Duration::from_secs(seconds))
}

/// Sorts kube's error by what it means for the request. Messages of credential plugins are not passed on: they can
/// quote the plugin's output.
fn of_client(error: &kube::Error) -> WireError {
    match error {
        kube::Error::Auth(auth) => {
            WireError::Credentials { message: crate::connect::credential_message(auth) }
        }
        kube::Error::RustlsTls(_) | kube::Error::TlsRequired => WireError::Tls { message: deepest(error) },
        kube::Error::Api(status) => WireError::Refused(Box::new(ApiStatus {
            code: status.code,
            reason: status.reason.clone(),
            message: status.message.clone(),
            causes: Vec::new(),
            retry_after: None,
        })),
        other => of_chain(other),
    }
}

fn of_chain(error: &(dyn StdError + 'static)) -> WireError {
    let message = deepest(error);
    let mut connecting = false;
    for link in chain(error) {
        if link.downcast_ref::<rustls::Error>().is_some() {
            return WireError::Tls { message };
        }
        if let Some(auth) = link.downcast_ref::<kube::client::AuthError>() {
            return WireError::Credentials { message: crate::connect::credential_message(auth) };
        }
        if let Some(client) = link.downcast_ref::<hyper_util::client::legacy::Error>() {
            connecting |= client.is_connect();
        }
        // Only who connects is refused; so says it a server of this process that is down.
        if let Some(io) = link.downcast_ref::<std::io::Error>() {
            connecting |= io.kind() == std::io::ErrorKind::ConnectionRefused;
        }
    }
    if connecting { WireError::Unreachable { message } } else { WireError::NoAnswer { message } }
}

/// Errors cycle only by mistake; sixteen links are more than HTTP and TLS stacks nest.
const CHAIN_LINKS_MAX: usize = 16;

fn chain<'a>(error: &'a (dyn StdError + 'static)) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    std::iter::successors(Some(error), |link| cause(*link)).take(CHAIN_LINKS_MAX)
}

/// The next link. An `io::Error` that wraps another error names that error's cause as its own, and would hide it.
fn cause<'a>(link: &'a (dyn StdError + 'static)) -> Option<&'a (dyn StdError + 'static)> {
    match link.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => link.source(),
    }
}

/// The innermost message, which names the real cause.
fn deepest(error: &(dyn StdError + 'static)) -> String {
    chain(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn lines_of(text: &'static [u8]) -> Lines {
        Lines { body: Body::from(text.to_vec()), buffer: BytesMut::new(), searched: 0 }
    }

    #[tokio::test]
    async fn lines_are_split_and_an_unfinished_one_is_dropped() {
        let mut lines = lines_of(b"one\n\ntwo\nthr");
        let idle = Duration::from_secs(5);
        assert_eq!(lines.next(idle).await.unwrap().unwrap(), "one");
        assert_eq!(lines.next(idle).await.unwrap().unwrap(), "two");
        assert_eq!(lines.next(idle).await.unwrap(), None);
    }
}
