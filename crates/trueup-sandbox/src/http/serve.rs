//! One request from its head to its answer: who calls, what the path means, who serves it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Limited};
use tokio_util::sync::CancellationToken;
use tower::BoxError;
use trueup_object::Value;
use trueup_object::value::Text;

use super::credentials::{ADMIN, Account, Credentials, User};
use super::path::Route;
use super::query::Query;
use super::reply::{Body, Cut, JSON, Reply};
use super::{negotiate, protobuf, resource};
use crate::api::Api;
use crate::authorize::{self, Deed};
use crate::discovery;
use crate::faults::Faults;
use crate::registry::Kinds;
use crate::state::{Name, ResourceId};
use crate::status::{ApiStatus, StatusReason};

/// The largest body that is read: etcd's limit with the room that the API server gives it.
const N_BODY_BYTES_MAX: usize = 3 * 1024 * 1024;

/// The group of everybody who is known.
const AUTHENTICATED: &str = "system:authenticated";

/// How long a client may take to send a body.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// Everything that requests need.
#[derive(Debug)]
pub struct Front {
    pub api: Api,
    pub faults: Faults,
    pub credentials: Credentials,
    pub address: std::net::SocketAddr,
    /// Ends watches when the server stops.
    pub shutdown: CancellationToken,
    pub documents: Documents,
}

/// OpenAPI documents that were asked for, as long as the kinds stay what they are: they are large, and every client begins
/// with them.
#[derive(Debug, Default)]
pub struct Documents {
    kept: Mutex<Kept>,
}

/// The documents of one picture of the kinds, by path.
#[derive(Debug, Default)]
struct Kept {
    kinds: Option<Arc<Kinds>>,
    documents: BTreeMap<String, Bytes>,
}

impl Kept {
    fn is_of(&self, kinds: &Arc<Kinds>) -> bool {
        self.kinds.as_ref().is_some_and(|own| Arc::ptr_eq(own, kinds))
    }
}

impl Documents {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, kinds: &Arc<Kinds>, path: &str) -> Option<Bytes> {
        let kept = self.kept();
        if kept.is_of(kinds) { kept.documents.get(path).cloned() } else { None }
    }

    fn keep(&self, kinds: &Arc<Kinds>, path: String, document: Bytes) {
        let mut kept = self.kept();
        if !kept.is_of(kinds) {
            *kept = Kept { kinds: Some(kinds.clone()), documents: BTreeMap::new() };
        }
        kept.documents.insert(path, document);
    }
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
        let user = match self.caller(&parts.headers) {
            Ok(user) => user,
            Err(status) => return Ok(Reply::from(status).into_response()),
        };
        let body = match read(body).await {
            Ok(body) => body,
            Err(status) => return Ok(Reply::from(status).into_response()),
        };
        let query = match Query::parse(parts.uri.query().unwrap_or_default()) {
            Ok(query) => query,
            Err(status) => return Ok(Reply::from(status).into_response()),
        };
        let path = parts.uri.path().to_owned();
        let mut call = Call { method: parts.method, path, query, headers: parts.headers, body, user };
        if let Err(status) = self.read_protobuf(&mut call) {
            return Ok(Reply::from(status).into_response());
        }
        match Route::parse(&call.path) {
            None => Ok(Reply::no_such_path().into_response()),
            Some(Route::Resource(path)) => resource::answer(self, &call, &path).await,
            Some(Route::Other(segments)) => {
                let verb = call.method.as_str().to_ascii_lowercase();
                let deed = Deed::Path { verb: &verb, path: &call.path };
                match authorize::check(&self.api, &call.user, deed) {
                    Ok(()) => Ok(self.other(&call, &segments).into_response()),
                    Err(status) => Ok(Reply::from(status).into_response()),
                }
            }
        }
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

    /// Who makes a request: by token, or whom somebody who may do so stands in for.
    fn caller(&self, headers: &HeaderMap) -> Result<User, ApiStatus> {
        let authorization = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        let token = authorization.and_then(|value| value.strip_prefix("Bearer ")).map(str::trim);
        let user = token.and_then(|token| self.user_of_token(token)).ok_or_else(ApiStatus::unauthorized)?;
        let Some(name) = headers.get("impersonate-user").and_then(|value| value.to_str().ok()) else {
            return Ok(user);
        };
        let groups = headers.get_all("impersonate-group").iter().filter_map(|value| value.to_str().ok());
        let groups: Vec<&str> = groups.collect();
        let account = name.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
        let may = |group, resource, namespace, name| {
            let deed =
                Deed::Resource { verb: "impersonate", group, resource, subresource: "", namespace, name };
            authorize::check(&self.api, &user, deed)
        };
        match account {
            Some((namespace, name)) => may("", "serviceaccounts", namespace, name)?,
            None => may("", "users", "", name)?,
        }
        groups.iter().try_for_each(|group| may("", "groups", "", group))?;
        let mut all: Vec<Text> = groups.into_iter().map(Text::from).collect();
        if let Some((namespace, _)) = account.filter(|_| all.is_empty()) {
            all.extend(account_groups(namespace));
        }
        if !all.iter().any(|group| group == AUTHENTICATED) {
            all.push(AUTHENTICATED.into());
        }
        Ok(User { name: name.into(), uid: Text::default(), groups: all, extra: Vec::new() })
    }

    /// Who holds a token: one of the sandbox's users, or a service account that still is the one it was issued to.
    fn user_of_token(&self, token: &str) -> Option<User> {
        if let Some(user) = self.credentials.user_of_token(token) {
            return Some(user.clone());
        }
        let account = self.credentials.account_of_token(token, self.api.clock().now().as_second())?;
        let Account { namespace, name, uid } = account;
        let stored = self
            .api
            .store()
            .get(&ResourceId::new("", "serviceaccounts"), &Name::new(&namespace, &name))
            .filter(|stored| stored.str_at(&["metadata", "uid"]) == Some(uid.as_str()));
        stored.map(|_| {
            let mut groups: Vec<Text> = account_groups(&namespace).into();
            groups.push(AUTHENTICATED.into());
            User { name: format!("system:serviceaccount:{namespace}:{name}").into(), uid, groups, extra: Vec::new() }
        })
    }

    /// Paths that are no resources.
    fn other(&self, call: &Call, segments: &[String]) -> Reply {
        let words: Vec<&str> = segments.iter().map(String::as_str).collect();
        if words.as_slice() == ["sandbox", "faults"] {
            return self.set_faults(call);
        }
        if call.method != Method::GET && call.method != Method::HEAD {
            return Reply::no_such_path();
        }
        let kinds = self.api.registry().kinds();
        let accept = call.header(ACCEPT);
        let aggregated = negotiate::aggregated_discovery(accept).is_some();
        let document = match words.as_slice() {
            ["healthz" | "livez" | "readyz", ..] => {
                return Reply::text(200, "text/plain; charset=utf-8", "ok");
            }
            ["version"] => discovery::version(self.api.registry().builtin()),
            ["api"] | ["apis"] if aggregated => {
                let value = discovery::aggregated(&kinds, words.as_slice() == ["api"]);
                return Reply::text(200, discovery::AGGREGATED, value.to_json());
            }
            ["api"] => discovery::core_versions(&self.address.to_string()),
            ["apis"] => discovery::group_list(&kinds),
            ["apis", group] => match discovery::group(&kinds, group) {
                Some(group) => group,
                None => return Reply::no_such_path(),
            },
            ["api", version] => return resources_reply(&kinds, "", version),
            ["apis", group, version] => return resources_reply(&kinds, group, version),
            ["openapi", "v2"] => return self.older_openapi(accept),
            ["openapi", "v3"] => discovery::openapi_index(&kinds),
            ["openapi", "v3", "api", version] => return self.openapi("", version),
            ["openapi", "v3", "apis", group, version] => return self.openapi(group, version),
            [] => discovery::paths(&kinds),
            _ => return Reply::no_such_path(),
        };
        Reply::json(200, &document)
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
        let path = format!("{group}/{version}");
        let known = self.documents.find(&kinds, &path);
        let body = known.or_else(|| {
            let builtin = self.api.registry().builtin();
            let document = discovery::openapi_document(builtin, &kinds, group, version)?;
            let body = Bytes::from(document.to_json());
            self.documents.keep(&kinds, path, body.clone());
            Some(body)
        });
        body.map_or_else(Reply::no_such_path, |body| Reply::text(200, JSON, body))
    }

    /// `/sandbox/faults`: GET tells the rules, POST adds some, DELETE removes all.
    fn set_faults(&self, call: &Call) -> Reply {
        if call.user.name != ADMIN {
            let message = "only admin may change the sandbox";
            return ApiStatus::new(403, StatusReason::Forbidden, message).into();
        }
        match call.method {
            Method::GET => {}
            Method::DELETE => self.faults.clear(),
            Method::POST => {
                let added = Value::from_json(&call.body)
                    .map_err(|error| error.to_string())
                    .and_then(|rules| self.faults.add_json(&rules).map_err(|error| error.to_string()));
                if let Err(message) = added {
                    return ApiStatus::bad_request(message).into();
                }
            }
            _ => return ApiStatus::new(405, StatusReason::MethodNotAllowed, "GET, POST or DELETE").into(),
        }
        Reply::json(200, &self.faults.to_value())
    }
}

/// The groups of every service account of a namespace.
fn account_groups(namespace: &str) -> [Text; 2] {
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
    let collected = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, N_BODY_BYTES_MAX).collect()).await;
    match collected {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(ApiStatus::too_large(N_BODY_BYTES_MAX))
        }
        Ok(Err(error)) => Err(ApiStatus::bad_request(error.to_string())),
        Err(_) => Err(ApiStatus::new(504, StatusReason::Timeout, "Timeout: the body did not arrive in time")),
    }
}
