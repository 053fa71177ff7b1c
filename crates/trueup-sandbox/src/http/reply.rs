//! What goes back to a client: whole answers, and streams of watch events.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING};
use http::{Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use trueup_object::Value;

use crate::status::ApiStatus;

/// The body of every answer.
pub type Body = UnsyncBoxBody<Bytes, Cut>;

/// The answer is not given: the connection ends instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cut by a fault")]
pub struct Cut;

/// What becomes of a request.
pub enum Answer {
    Whole(Reply),
    /// An answer that is not given.
    Lost(Reply),
    Watch(Box<super::watching::Watching>),
}

/// A complete answer.
#[derive(Debug, Clone)]
pub struct Reply {
    pub code: u16,
    pub content_type: &'static str,
    pub body: Bytes,
    pub warnings: Vec<String>,
    pub retry_after_seconds: u32,
}

pub const JSON: &str = "application/json";

impl Reply {
    pub fn json(code: u16, value: &Value) -> Self {
        let mut body = value.to_json();
        // Go's encoder ends a document with a line break.
        body.push('\n');
        Self::text(code, JSON, body)
    }

    pub fn text(code: u16, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { code, content_type, body: body.into(), warnings: Vec::new(), retry_after_seconds: 0 }
    }

    /// A path that nothing serves: Go's own answer, which is no `Status`.
    pub fn no_such_path() -> Self {
        Self::text(404, "text/plain; charset=utf-8", "404 page not found\n")
    }

    pub fn into_response(self) -> Response<Body> {
        let Self { code, content_type, body, warnings, retry_after_seconds } = self;
        let full = Full::new(body).map_err(|never| match never {}).boxed_unsync();
        let mut response = Response::new(full);
        *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
        if retry_after_seconds > 0 {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry_after_seconds));
        }
        for warning in warnings {
            // Agent `-` and quoting as in RFC 7234; a text that cannot be in a header is not sent.
            let quoted = warning.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{quoted}\"")) {
                headers.append(WARNING, value);
            }
        }
        response
    }
}

impl From<ApiStatus> for Reply {
    fn from(status: ApiStatus) -> Self {
        let mut reply = Self::json(status.code, &status.to_value());
        reply.retry_after_seconds = status.details.retry_after_seconds;
        reply.warnings = status.details.warnings.into_iter().collect();
        reply
    }
}
