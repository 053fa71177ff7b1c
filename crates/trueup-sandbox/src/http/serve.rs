//! One request from its head to its answer: who calls, what the path means, who serves it.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::request::Parts;
use http::{Method, Request, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, Empty};
use tokio_util::sync::CancellationToken;
use tower::BoxError;
use trueup_latest as latest;
use trueup_object::Value;
use trueup_object::value::Text;

use super::credentials::{ADMIN, Credentials, User};
use super::documents::Documents;
use super::followed::note_answer;
use super::path::Route;
use super::query::Query;
use super::reply::{Answer, Body, Cut, JSON, Reply};
use super::{health, metrics, negotiate, protobuf, resource};
use crate::api::Api;
use crate::audit::{Audit, Trail};
use crate::authorize::{self, Deed};
use crate::discovery;
use crate::fates::PodFates;
use crate::faults::Faults;
use crate::metrics::Metrics;
use crate::registry::Kinds;
use crate::status::{ApiStatus, StatusReason};

/// The largest body that is read: etcd's limit with the room that the API server gives it.
const N_BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// How much of a body that is too large is taken before its sender is cut off.
const N_DISCARDED_BYTES_MAX: usize = 16 * N_BODY_BYTES_MAX;

/// The group of everybody who is known.
pub(super) const AUTHENTICATED: &str = "system:authenticated";

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that requests need.
#[derive(Debug)]
pub struct Front {
    pub api: Api,
    pub faults: Faults,
    pub fates: PodFates,
    pub metrics: Metrics,
    pub credentials: Arc<Credentials>,
    pub address: std::net::SocketAddr,
    /// Ends watches when the server stops.
    pub shutdown: CancellationToken,
    pub documents: Documents,
    /// None where nothing is audited.
    pub(crate) audit: Option<Arc<Audit>>,
}

/// A request with its body read and its caller known.
#[derive(Debug)]
pub(super) struct Call {
    pub method: Method,
    pub path: String,
    pub query: Query,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub user: User,
    pub trail: Trail,
}

impl Call {
    pub(super) fn header(&self, name: http::header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    pub(super) fn user_agent(&self) -> &str {
        self.header(USER_AGENT).unwrap_or_default()
    }

    pub(super) fn content_type(&self) -> &str {
        self.header(CONTENT_TYPE).unwrap_or_default()
    }
}

impl Front {
    /// Answers a request; an error drops the connection.
    pub async fn handle<B>(&self, request: Request<B>) -> Result<Response<Body>, Cut>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        let (parts, body) = request.into_parts();
        let is_head = parts.method == Method::HEAD;
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let route = Route::parse(parts.uri.path());
        let user = match self.authenticated(&parts.headers) {
            Ok(user) => user,
            Err(status) => {
                self.note_unknown_caller(&parts, &query, route.as_ref(), &status);
                let response = Reply::from(status).into_response();
                return Ok(if is_head { without_body(response) } else { response });
            }
        };
        let trail = self.trail(&parts, &query, route.as_ref(), &user);
        let answered = self.answer(parts, query, route.as_ref(), user, &trail, body).await;
        let id = trail.id().and_then(|id| HeaderValue::from_str(id).ok());
        let mut response = match answered.unwrap_or_else(|status| Answer::Whole(Reply::from(status))) {
            Answer::Whole(reply) => {
                note_answer(&trail, &reply, route.as_ref());
                reply.into_response()
            }
            Answer::Lost(reply) => {
                note_answer(&trail, &reply, route.as_ref());
                return Err(Cut);
            }
            Answer::Watch(watching) => {
                trail.started();
                watching.into_response(trail)
            }
        };
        if let Some(id) = id {
            response.headers_mut().insert("audit-id", id);
        }
        Ok(if is_head { without_body(response) } else { response })
    }

    async fn answer<B>(
        &self,
        parts: Parts,
        query: Query,
        route: Option<&Route>,
        user: User,
        trail: &Trail,
        body: B,
    ) -> Result<Answer, ApiStatus>
    where
        B: http_body::Body<Data = Bytes> + Send,
        B::Error: Into<BoxError>,
    {
        let user = self.impersonated(user, &parts.headers, trail)?;
        let body = read(body).await?;
        let path = parts.uri.path().to_owned();
        let trail = trail.clone();
        let mut call = Call { method: parts.method, path, query, headers: parts.headers, body, user, trail };
        self.read_protobuf(&mut call)?;
        match route {
            None => Ok(Answer::Whole(Reply::no_such_path())),
            Some(Route::Resource(path)) => resource::answer(self, &call, path).await,
            Some(Route::Other(segments)) => {
                let verb = call.method.as_str().to_ascii_lowercase();
                self.authorize(&call, Deed::Path { verb: &verb, path: &call.path })?;
                Ok(Answer::Whole(self.other(&call, segments)))
            }
        }
    }

    /// Refuses what the caller may not do, and notes the decision.
    pub(super) fn authorize(&self, call: &Call, deed: Deed<'_>) -> Result<(), ApiStatus> {
        let reason = authorize::reason(&self.api, &call.user, deed);
        let decision = if reason.is_some() { "allow" } else { "forbid" };
        call.trail.annotate("authorization.k8s.io/decision", decision);
        call.trail.annotate("authorization.k8s.io/reason", reason.as_deref().unwrap_or_default());
        if reason.is_some() { Ok(()) } else { Err(authorize::refusal(&call.user, deed)) }
    }

    /// Bodies in protobuf go on as JSON.
    fn read_protobuf(&self, call: &mut Call) -> Result<(), ApiStatus> {
        if call.body.is_empty() || !call.content_type().starts_with(protobuf::PROTOBUF) {
            return Ok(());
        }
        let builtin = self.api.registry().builtin();
        let value = protobuf::decode(&call.body, |gvk| builtin.type_name(gvk))
            .map_err(|error| ApiStatus::bad_request(error.to_string()))?;
        call.body = Bytes::from(value.to_json());
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static(JSON));
        Ok(())
    }

    /// Who makes a request: by token, or nobody in particular.
    fn authenticated(&self, headers: &HeaderMap) -> Result<User, ApiStatus> {
        let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = authorization.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        match token {
            None => Ok(User::new("system:anonymous", &["system:unauthenticated"])),
            Some(token) => self.user_of_token(token).ok_or_else(ApiStatus::unauthorized),
        }
    }

    /// Paths that are no resources.
    fn other(&self, call: &Call, segments: &[String]) -> Reply {
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        if let ["sandbox", what @ ("faults" | "restart")] = words.as_slice() {
            return self.change_sandbox(call, what);
        }
        if words.as_slice() == ["sandbox", "pods"] {
            return self.set_fates(call);
        }
        if words.as_slice() == ["sandbox", "metrics"] {
            return self.set_metrics(call);
        }
        if let Some(document) = metrics::discovery(&self.metrics, &words) {
            return Reply::json(200, &document);
        }
        // The server gives its documents to every method.
        let is_document = words.first() == Some(&"openapi");
        if call.method != Method::GET && call.method != Method::HEAD && !is_document {
            return match words.as_slice() {
                ["api" | "apis" | "version", ..] => ApiStatus::no_such_method().into(),
                _ => Reply::no_such_path(),
            };
        }
        // Of the documents of groups and versions the server does not tell the heads alone, of the lists of groups it does.
        let is_told = matches!(words.as_slice(), ["version"] | ["api", ..] | ["apis", _, _]);
        if call.method == Method::HEAD && is_told {
            return ApiStatus::no_such_method().into();
        }
        let kinds = self.api.registry().kinds();
        let accept = call.header(ACCEPT);
        if let Some(refused) = negotiate::refused_document(accept, &words) {
            return refused;
        }
        let aggregated = negotiate::aggregated_discovery(accept).is_some();
        let document = match words.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => {
                return health::answer(&words, &call.query).unwrap_or_else(Reply::no_such_path);
            }
            ["version"] => discovery::version(self.api.registry().builtin()),
            ["api"] | ["apis"] if aggregated => {
                return self.aggregated(&kinds, words.as_slice() == ["api"]);
            }
            ["api"] => discovery::core_versions(&self.address.to_string()),
            ["apis"] => {
                let mut groups = discovery::group_list(&kinds);
                metrics::add_group(&self.metrics, &mut groups);
                groups
            }
            ["apis", group] => match discovery::group(&kinds, group) {
                Some(group) => group,
                None => return Reply::no_such_path(),
            },
            ["api", version] => return resources_reply(&kinds, "", version),
            ["apis", group, version] => return resources_reply(&kinds, group, version),
            ["openapi", "v2"] => return self.older_openapi(accept),
            ["openapi", "v3"] => {
                let make = || Some(Bytes::from(discovery::openapi_index(&kinds).to_json() + "\n"));
                let index = self.documents.get(&kinds, &call.path, make);
                return Reply::text(200, JSON, index.unwrap_or_default());
            }
            ["openapi", "v3", "api", version] => return self.openapi("", version),
            ["openapi", "v3", "apis", group, version] => return self.openapi(group, version),
            [] => discovery::paths(&kinds),
            _ => return Reply::no_such_path(),
        };
        Reply::json(200, &document)
    }

    fn aggregated(&self, kinds: &Arc<Kinds>, is_core: bool) -> Reply {
        let make = || {
            let mut value = discovery::aggregated(kinds, is_core);
            if !is_core {
                metrics::add_aggregated(&self.metrics, &mut value);
            }
            Bytes::from(value.to_json())
        };
        // Metrics come and go beside the kinds.
        let document = if is_core || self.metrics.is_empty() {
            let path = if is_core { "aggregated api" } else { "aggregated apis" };
            self.documents.get(kinds, path, || Some(make())).unwrap_or_default()
        } else {
            make()
        };
        Reply::text(200, discovery::AGGREGATED, document)
    }

    fn older_openapi(&self, accept: Option<&str>) -> Reply {
        let kinds = self.api.registry().kinds();
        let document = discovery::openapi_v2(self.api.registry().builtin(), &kinds);
        if accept.unwrap_or_default().contains("proto-openapi.spec.v2") {
            let encoded = discovery::encode_openapi_v2(&document);
            return Reply::text(200, discovery::OPENAPI_V2_PROTOBUF, encoded);
        }
        Reply::json(200, &document)
    }

    fn openapi(&self, group: &str, version: &str) -> Reply {
        let kinds = self.api.registry().kinds();
        let body = self.documents.openapi(self.api.registry().builtin(), &kinds, group, version);
        body.map_or_else(Reply::no_such_path, |body| Reply::text(200, JSON, body))
    }

    /// Leaves a client waiting until the rules change.
    pub(super) async fn hang(&self, mut changes: latest::Receiver<u64>) {
        tokio::select! {
            () = self.shutdown.cancelled() => {}
            _ = changes.changed() => {}
        }
    }

    /// `/sandbox/faults`: GET tells the rules, POST adds some, DELETE removes all. `/sandbox/restart`: POST does what a restart
    /// of the API server does.
    fn change_sandbox(&self, call: &Call, what: &str) -> Reply {
        if call.user.name != ADMIN {
            let message = "only admin may change the sandbox";
            return ApiStatus::new(403, StatusReason::Forbidden, message).into();
        }
        let not_allowed =
            |methods: &str| ApiStatus::new(405, StatusReason::MethodNotAllowed, methods.to_owned()).into();
        match (what, &call.method) {
            ("restart", &Method::POST) => {
                self.restart();
                return Reply::json(200, &Value::Map(trueup_object::Map::new()));
            }
            ("restart", _) => return not_allowed("POST"),
            (_, &Method::GET) => {}
            (_, &Method::DELETE) => self.faults.clear(),
            (_, &Method::POST) => {
                let added = Value::from_json(&call.body)
                    .map_err(|error| error.to_string())
                    .and_then(|rules| self.faults.add_json(&rules).map_err(|error| error.to_string()));
                if let Err(message) = added {
                    return ApiStatus::bad_request(message).into();
                }
            }
            _ => return not_allowed("GET, POST or DELETE"),
        }
        Reply::json(200, &self.faults.to_value())
    }

    /// Forgets the past, as a restart with compaction does: watches end, and older versions are answered with 410.
    pub(crate) fn restart(&self) {
        self.api.store().compact();
        self.faults.restart();
    }
}

impl Front {
    /// `/sandbox/pods`: GET tells what becomes of pods, POST adds rules, DELETE removes all.
    fn set_fates(&self, call: &Call) -> Reply {
        let set = |rules: &Value| self.fates.add_json(rules).map_err(|error| error.to_string());
        match change_sandbox(call, || self.fates.clear(), set) {
            Ok(()) => Reply::json(200, &self.fates.to_value()),
            Err(status) => status.into(),
        }
    }
}

impl Front {
    /// `/sandbox/metrics`: GET tells what pods use, POST sets it, DELETE forgets it.
    fn set_metrics(&self, call: &Call) -> Reply {
        let set = |usages: &Value| self.metrics.set_json(usages).map_err(|error| error.to_string());
        match change_sandbox(call, || self.metrics.clear(), set) {
            Ok(()) => Reply::json(200, &self.metrics.to_value()),
            Err(status) => status.into(),
        }
    }
}

/// What the paths below `/sandbox` have in common: reading changes nothing, DELETE clears, POST adds.
fn change_sandbox(
    call: &Call,
    clear: impl FnOnce(),
    add: impl FnOnce(&Value) -> Result<(), String>,
) -> Result<(), ApiStatus> {
    if call.user.name != ADMIN {
        let message = "only admin may change the sandbox";
        return Err(ApiStatus::new(403, StatusReason::Forbidden, message));
    }
    match call.method {
        Method::GET => Ok(()),
        Method::DELETE => {
            clear();
            Ok(())
        }
        Method::POST => Value::from_json(&call.body)
            .map_err(|error| error.to_string())
            .and_then(|value| add(&value))
            .map_err(ApiStatus::bad_request),
        _ => Err(ApiStatus::new(405, StatusReason::MethodNotAllowed, "GET, POST or DELETE")),
    }
}

/// The groups of every service account of a namespace.
pub(super) fn account_groups(namespace: &str) -> [Text; 2] {
    ["system:serviceaccounts".into(), format!("system:serviceaccounts:{namespace}").into()]
}

/// The resources of a group version; what is missing in a group that is there is told as a `Status`.
fn resources_reply(kinds: &Kinds, group: &str, version: &str) -> Reply {
    match discovery::resources(kinds, group, version) {
        Some(document) => Reply::json(200, &document),
        None if kinds.groups().iter().any(|served| served.name == group) => {
            ApiStatus::no_such_resource().into()
        }
        None => Reply::no_such_path(),
    }
}

/// Reads a whole body, within limits.
async fn read<B>(body: B) -> Result<Bytes, ApiStatus>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    match tokio::time::timeout(BODY_TIMEOUT, collect(body)).await {
        Ok(read) => read,
        Err(_) => Err(ApiStatus::new(504, StatusReason::Timeout, "Timeout: the body did not arrive in time")),
    }
}

/// All of a body, or a refusal. What is too much is taken nonetheless, within bounds: a client that is cut off while it sends would
/// not hear of the refusal.
async fn collect<B>(body: B) -> Result<Bytes, ApiStatus>
where
    B: http_body::Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    let mut body = std::pin::pin!(body);
    let (mut read, mut n_read) = (BytesMut::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| ApiStatus::bad_request(error.into().to_string()))?;
        let Some(data) = frame.data_ref() else { continue };
        n_read = n_read.saturating_add(data.len());
        if n_read > N_DISCARDED_BYTES_MAX {
            break;
        }
        if n_read <= N_BODY_BYTES_MAX {
            read.extend_from_slice(data);
        }
    }
    if n_read > N_BODY_BYTES_MAX { Err(ApiStatus::too_large(N_BODY_BYTES_MAX)) } else { Ok(read.freeze()) }
}

/// The head of an answer, which says how long the body would be. Over HTTP/2 nobody else takes the body away.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = body.size_hint().exact() {
        parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    Response::from_parts(parts, Empty::new().map_err(|never| match never {}).boxed_unsync())
}
