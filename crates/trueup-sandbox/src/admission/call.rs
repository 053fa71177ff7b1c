//! Calling a webhook over HTTPS, with the authority that its configuration names, and reading what it answers.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trueup_object::{Map, Value};

use super::hook::Hook;
use super::service::{Place, Reference};
use crate::api::Api;
use crate::http::outbound::{self, Answer, Peer};
use crate::status::{ApiStatus, StatusReason};

/// The versions of reviews that the server speaks.
const VERSIONS: [&str; 2] = ["v1", "v1beta1"];

/// Why no answer could be had, in the server's words.
#[derive(Debug)]
pub(super) struct CallError(pub(super) String);

/// What a webhook says.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) allowed: bool,
    pub(super) patch: Option<Value>,
    pub(super) warnings: Vec<String>,
    /// For the audit trail.
    pub(super) notes: Vec<(String, String)>,
    /// The status that goes with a refusal.
    status: Value,
}

impl Verdict {
    /// A refusal as the client sees it: the webhook's own status, with its name in the message.
    pub(super) fn into_status(self, webhook: &str) -> ApiStatus {
        let mut status = self.status.as_map().map_or_else(Map::new, Clone::clone);
        let text = |key: &str| status.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let why = match (text("message"), text("reason")) {
            (message, _) if !message.is_empty() => format!(": {message}"),
            (_, reason) if !reason.is_empty() => format!(": {reason}"),
            (_, _) => " without explanation".to_owned(),
        };
        let message = format!("admission webhook {webhook:?} denied the request{why}");
        let code = status.get("code").and_then(Value::as_int).and_then(|code| u16::try_from(code).ok());
        // A refusal is never told as a success.
        let code = code.filter(|code| *code >= 400).unwrap_or(400);
        if matches!(text("status").as_str(), "" | "Success") {
            status.insert("status", "Failure".into());
        }
        status.insert("apiVersion", "v1".into());
        status.insert("kind", "Status".into());
        status.insert("metadata", Value::Map(Map::new()));
        status.insert("code", i64::from(code).into());
        status.insert("message", message.as_str().into());
        let mut refusal = ApiStatus::new(code, StatusReason::Unknown, message);
        refusal.details.whole = Some(Value::Map(status));
        refusal
    }
}

/// Asks within the webhook's own time. `review` makes the review of a version, with an id.
pub(super) async fn call(
    api: &Api,
    hook: &Hook,
    review: impl FnOnce(&str, &str) -> Value,
) -> Result<Verdict, CallError> {
    let mut versions = hook.review_versions();
    let Some(version) = versions.find(|version| VERSIONS.contains(version)) else {
        let why = "could not create admission objects: webhook does not accept known AdmissionReview versions (v1, v1beta1)";
        return Err(CallError(why.to_owned()));
    };
    let uid = api.ids().uid();
    let limit = hook.timeout_seconds();
    let query = format!("?timeout={limit}s");
    let failed = |why: String| CallError(format!("failed to call webhook: {why}"));
    let (url, place) = match hook.service() {
        Some(service) => {
            let reference = Reference::of(service);
            let path = service.str_at(&["path"]).unwrap_or("/");
            let slash = if path.starts_with('/') { "" } else { "/" };
            (format!("https://{}{slash}{path}", reference.host()), Some(reference.resolve(api)))
        }
        None => (with_path(hook.url().unwrap_or_default()), None),
    };
    let told = |why: String| failed(format!("Post \"{url}{query}\": {why}"));
    let place = place.transpose().map_err(told)?;
    let bundle = STANDARD.decode(hook.authority().unwrap_or_default());
    let bundle = bundle.map_err(|error| told(error.to_string()))?;
    let mut peer = Peer { url: url.clone(), authority_pem: Some(bundle), ..Peer::default() };
    match place {
        Some(Place::Address(address)) => peer.address = Some(address),
        Some(Place::Named(name, port)) => peer.dialled = Some((name, port)),
        None => {}
    }
    let asked = outbound::ask(&peer, &query, review(version, &uid).to_json());
    let answer = tokio::time::timeout(Duration::from_secs(limit), asked).await;
    let answer = answer.map_err(|_| told("context deadline exceeded".to_owned()))?.map_err(told)?;
    let review = read(&answer, version).map_err(failed)?;
    let invalid = |why: String| CallError(format!("received invalid webhook response: {why}"));
    verdict(&review, version, &uid, hook.is_mutating()).map_err(invalid)
}

/// A server is asked for something below its root.
fn with_path(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    if rest.contains('/') { url.to_owned() } else { format!("{url}/") }
}

/// The review that was answered.
fn read(answer: &Answer, version: &str) -> Result<Value, String> {
    let body = Value::from_json(&answer.body).ok().or_else(|| crate::write::yaml_document(&answer.body));
    if !(200..300).contains(&answer.code) {
        let status = body.filter(|body| body.str_at(&["kind"]) == Some("Status"));
        let message = status.as_ref().and_then(|it| it.str_at(&["message"])).map(str::to_owned);
        return Err(message.unwrap_or_else(|| of_code(answer)));
    }
    let body = body.unwrap_or_default();
    if body.as_map().is_none() {
        let found = match &body {
            Value::Str(_) => "string",
            Value::List(_) => "array",
            Value::Bool(_) => "bool",
            Value::Int(_) | Value::Float(_) => "number",
            Value::Null | Value::Map(_) => return Err("unexpected end of JSON input".to_owned()),
        };
        return Err(format!(
            "couldn't get version/kind; json parse error: json: cannot unmarshal {found} into Go value of type struct {{ \
             APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }}"
        ));
    }
    let text = || String::from_utf8_lossy(&answer.body).trim().to_owned();
    let Some(kind) = body.str_at(&["kind"]).filter(|kind| !kind.is_empty()) else {
        return Err(format!("Object 'Kind' is missing in '{}'", text()));
    };
    let api_version = body.str_at(&["apiVersion"]).unwrap_or_default();
    let found = api_version.strip_prefix("admission.k8s.io/");
    match found {
        Some(found) if kind == "AdmissionReview" && found == version => Ok(body),
        Some(found) if kind == "AdmissionReview" && VERSIONS.contains(&found) => Err(format!(
            "converting ({found}.AdmissionReview) to ({version}.AdmissionReview): unknown conversion"
        )),
        _ => Err(format!(
            "no kind {kind:?} is registered for version {api_version:?} in scheme \"k8s.io/apiserver/pkg/util/webhook/client.go\""
        )),
    }
}

/// What is made of a bare status code (`NewGenericServerResponse` of the server's client).
fn of_code(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let said = if answer.is_text { text.trim() } else { "unknown" };
    let message = match answer.code {
        400 => "the server rejected our request for an unknown reason",
        401 => "the server has asked for the client to provide credentials",
        403 | 415 => said,
        404 => "the server could not find the requested resource",
        405 => "the server does not allow this method on the requested resource",
        406 => "the server was unable to respond with a content type that the client supports",
        409 => "the server reported a conflict",
        422 => "the server rejected our request due to an error in our request",
        429 => "the server has received too many requests and has asked us to try again later",
        503 => "the server is currently unable to handle the request",
        504 => {
            "the server was unable to return a response in the time allotted, but may still be processing the request"
        }
        code if code >= 500 => {
            return format!("an error on the server ({said:?}) has prevented the request from succeeding");
        }
        code => {
            return format!(
                "the server responded with the status code {code} but did not return more information"
            );
        }
    };
    message.to_owned()
}

fn verdict(review: &Value, version: &str, uid: &str, mutates: bool) -> Result<Verdict, String> {
    let response = review.get("response").filter(|it| !it.is_null()).ok_or("webhook response was absent")?;
    let is_strict = version == "v1";
    let found = response.str_at(&["uid"]).unwrap_or_default();
    if is_strict && found != uid {
        return Err(format!("expected response.uid={uid:?}, got {found:?}"));
    }
    let encoded = response.str_at(&["patch"]).filter(|patch| !patch.is_empty());
    let patch_type = response.str_at(&["patchType"]);
    if is_strict {
        let wrong = match (mutates, encoded, patch_type) {
            (true, Some(_), None) => Some("webhook returned response.patch but not response.patchType"),
            (true, None, Some(_)) => Some("webhook returned response.patchType but not response.patch"),
            (true, Some(_), Some("")) => Some("webhook returned invalid response.patchType of \"\""),
            (false, Some(_), _) => Some("validating webhook may not return response.patch"),
            (false, None, Some(_)) => Some("validating webhook may not return response.patchType"),
            (_, _, _) => None,
        };
        if let Some(wrong) = wrong {
            return Err(wrong.to_owned());
        }
    }
    let patch = match encoded.filter(|_| mutates) {
        None => None,
        Some(patch) => {
            let bytes = STANDARD.decode(patch).map_err(|error| error.to_string())?;
            Some(Value::from_json(&bytes).map_err(|error| error.to_string())?)
        }
    };
    let warnings = response.list_at(&["warnings"]).iter().filter_map(Value::as_str).map(str::to_owned);
    let notes = response.get("auditAnnotations").and_then(Value::as_map).into_iter().flat_map(Map::iter);
    let notes = notes.filter_map(|(key, note)| Some((key.to_owned(), note.as_str()?.to_owned())));
    Ok(Verdict {
        allowed: response.get("allowed").and_then(Value::as_bool).unwrap_or_default(),
        patch,
        warnings: warnings.collect(),
        notes: notes.collect(),
        status: response.get("status").cloned().unwrap_or_default(),
    })
}
