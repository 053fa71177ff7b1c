//! An API server that runs in this process and is asked without a socket.
//!
//! For programs that simulate: whatever serves requests (a sandbox, or something that stands before one and breaks what it
//! pleases) takes the place of the network, so that nothing but the caller's runtime decides what happens when.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use http::header::USER_AGENT;
use http::{HeaderValue, Request, Response};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use tower::{BoxError, Service, ServiceExt};

/// What requests carry. Answers may come in any form that holds bytes.
pub type RequestBody = kube::client::Body;

type Exchange = BoxFuture<'static, Result<Response<UnsyncBoxBody<Bytes, BoxError>>, BoxError>>;

/// A way to an API server of this process. Clones lead to the same server.
///
/// An error of the service is a request without an answer; one that has an [`std::io::Error`] of the kind
/// `ConnectionRefused` in its chain is a request that reached nobody.
#[derive(Clone)]
pub struct InProcess {
    name: Arc<str>,
    exchange: Arc<dyn Fn(Request<RequestBody>) -> Exchange + Send + Sync>,
}

impl InProcess {
    /// `name` stands where the server's address is shown.
    pub fn new<S, B>(name: &str, service: S) -> Self
    where
        S: Service<Request<RequestBody>, Response = Response<B>> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let exchange = move |request: Request<RequestBody>| -> Exchange {
            let answer = service.clone().oneshot(request).map_err(Into::into);
            answer.map_ok(|answer| answer.map(|body| body.map_err(Into::into).boxed_unsync())).boxed()
        };
        Self { name: name.into(), exchange: Arc::new(exchange) }
    }

    /// What is shown as the server's address.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A client that calls itself so.
    pub(crate) fn client(&self, agent: HeaderValue) -> kube::Client {
        kube::Client::new(Caller { server: self.clone(), agent }, "default")
    }

    fn place(&self) -> *const () {
        Arc::as_ptr(&self.exchange).cast()
    }
}

/// Two ways are the same when they are clones of one.
impl PartialEq for InProcess {
    fn eq(&self, other: &Self) -> bool {
        self.place() == other.place()
    }
}

impl Eq for InProcess {}

impl PartialOrd for InProcess {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for InProcess {
    fn cmp(&self, other: &Self) -> Ordering {
        self.name.cmp(&other.name).then_with(|| self.place().cmp(&other.place()))
    }
}

impl fmt::Debug for InProcess {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_tuple("InProcess").field(&self.name).finish()
    }
}

/// The server as one program asks it.
struct Caller {
    server: InProcess,
    agent: HeaderValue,
}

impl Service<Request<RequestBody>> for Caller {
    type Response = Response<UnsyncBoxBody<Bytes, BoxError>>;
    type Error = BoxError;
    type Future = Exchange;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<RequestBody>) -> Exchange {
        request.headers_mut().insert(USER_AGENT, self.agent.clone());
        (self.server.exchange)(request)
    }
}
