//! The audit trail of a request: begun when its caller is known, led to its answer.

use http::header::{HeaderMap, USER_AGENT};
use http::request::Parts;

use super::path::Route;
use super::query::Query;
use super::reply::{JSON, Reply};
use super::serve::Front;
use super::verb;
use crate::audit::{Asked, AskedResource, Request, Trail};
use crate::status::ApiStatus;

use super::credentials::User;

/// Where a request comes from, as the listener knows it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source(pub std::net::IpAddr);

/// Requests without a socket come from this machine.
const HERE: &str = "127.0.0.1";

impl Front {
    pub(super) fn trail(&self, parts: &Parts, query: &Query, route: Option<&Route>, user: &User) -> Trail {
        let Some(audit) = &self.audit else { return Trail::default() };
        // What a real server does not have is not in what it tells.
        if parts.uri.path().starts_with("/sandbox/") {
            return Trail::default();
        }
        with_request(parts, query, route, user, |request| Trail::begin(audit, request))
    }

    /// Notes that nobody knows who asks.
    pub(super) fn note_unknown_caller(
        &self,
        parts: &Parts,
        query: &Query,
        route: Option<&Route>,
        status: &ApiStatus,
    ) {
        let Some(audit) = &self.audit else { return };
        with_request(parts, query, route, &User::new("", &[]), |request| {
            Trail::unknown_caller(audit, request, &status.to_value());
        });
    }
}

/// Notes an answer; what is no resource has a body worth noting only where it fails.
pub(super) fn note_answer(trail: &Trail, reply: &Reply, route: Option<&Route>) {
    trail.answered(reply.code, || {
        let is_object = matches!(route, Some(Route::Resource(_))) || reply.code >= 400;
        let body = (is_object && reply.content_type == JSON).then_some(&reply.body)?;
        trueup_object::Value::from_json(body).ok()
    });
}

fn with_request<T>(
    parts: &Parts,
    query: &Query,
    route: Option<&Route>,
    user: &User,
    work: impl FnOnce(Request<'_>) -> T,
) -> T {
    let header = |name: &str| text(&parts.headers, name);
    let method = parts.method.as_str().to_ascii_lowercase();
    let (mut verb, mut version, mut resource) = (method.as_str(), "", None);
    if let Some(Route::Resource(path)) = route {
        verb = verb::verb_of(&parts.method, query, path).unwrap_or(verb);
        version = &path.version;
        // A namespace is in itself, as the server reads its path.
        let is_namespace = path.resource == "namespaces" && path.group.is_empty();
        let name = path.name.as_deref().unwrap_or_default();
        let name = if name.is_empty() { verb::selected_name(verb, query) } else { name };
        resource = Some(AskedResource {
            group: &path.group,
            resource: &path.resource,
            subresource: path.subresource.as_deref().unwrap_or_default(),
            namespace: if is_namespace { path.name.as_deref().unwrap_or_default() } else { &path.namespace },
            name,
        });
    }
    let uri = parts.uri.path_and_query().map_or("/", |uri| uri.as_str());
    let source =
        parts.extensions.get::<Source>().map_or_else(|| HERE.to_owned(), |source| source.0.to_string());
    work(Request {
        asked: Asked { user, verb, path: parts.uri.path(), resource },
        uri,
        version,
        source: &source,
        user_agent: header(USER_AGENT.as_str()).unwrap_or_default(),
        id: header("audit-id"),
    })
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
