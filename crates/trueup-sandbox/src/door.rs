//! A way into a sandbox without a socket: requests of one user as calls of a `tower` service.
//!
//! For programs that run a sandbox and its clients on one thread, under a clock that stands still: nothing but the caller's
//! runtime decides what happens when. Watches stream as they do over HTTP.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderValue, Request, Response};
use tower::{BoxError, Service};

use crate::http::{Body, Front};

/// The API as one user sees it. Clones are the same.
///
/// An answer that a fault cuts off is an error, and so is the rest of a watch that one breaks; a sandbox that was shut down
/// refuses the connection ([`io::ErrorKind::ConnectionRefused`]).
#[derive(Debug, Clone)]
pub struct Door {
    front: Arc<Front>,
    /// Requests that bring credentials of their own keep them.
    authorization: HeaderValue,
}

impl Door {
    pub(crate) fn new(front: Arc<Front>, user: &str) -> Self {
        let token = front.credentials.token_of(user).unwrap_or_default();
        // Tokens are letters, digits and dashes.
        let authorization = HeaderValue::from_str(&format!("Bearer {token}"));
        Self { front, authorization: authorization.unwrap_or(HeaderValue::from_static("")) }
    }
}

impl<B> Service<Request<B>> for Door
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Body>;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Response<Body>, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Self { front, authorization } = self.clone();
        async move {
            if front.shutdown.is_cancelled() {
                return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
            }
            request.headers_mut().entry(AUTHORIZATION).or_insert(authorization);
            front.handle(request).await.map_err(BoxError::from)
        }
        .boxed()
    }
}
