//! Calling a webhook over HTTPS, with the authority that its configuration names.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trueup_object::{Map, Value};

use super::hook::Hook;
use crate::http::outbound::{self, Peer};
use crate::status::{ApiStatus, StatusReason};

/// Why no answer could be had.
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
    code: u16,
    message: String,
}

impl Verdict {
    /// A refusal as the client sees it.
    pub(super) fn into_status(self, webhook: &str) -> ApiStatus {
        let why = if self.message.is_empty() {
            " without explanation".to_owned()
        } else {
            format!(": {}", self.message)
        };
        let reason = if self.code == 403 { StatusReason::Forbidden } else { StatusReason::BadRequest };
        ApiStatus::new(self.code, reason, format!("admission webhook {webhook:?} denied the request{why}"))
    }
}

/// Asks within the webhook's own time.
pub(super) async fn call(hook: &Hook, review: &Value) -> Result<Verdict, CallError> {
    let url = hook.url().ok_or_else(|| CallError("no service of the sandbox has endpoints".to_owned()))?;
    let limit = Duration::from_secs(hook.timeout_seconds());
    let told = |why: &str| CallError(format!("Post \"{url}?timeout={}s\": {why}", limit.as_secs()));
    let answer = tokio::time::timeout(limit, post(url, hook.authority(), review))
        .await
        .map_err(|_| told("context deadline exceeded"))?
        .map_err(|why| told(&why))?;
    verdict(&answer).map_err(|why| told(&why))
}

async fn post(url: &str, authority: Option<&str>, review: &Value) -> Result<Value, String> {
    if !url.starts_with("https://") {
        return Err("the address is not https".to_owned());
    }
    let bundle = STANDARD.decode(authority.unwrap_or_default()).map_err(|error| error.to_string())?;
    let peer = Peer { url: url.to_owned(), authority_pem: Some(bundle), ..Peer::default() };
    let body = outbound::post(&peer, "", review.to_json()).await?;
    Value::from_json(&body).map_err(|error| error.to_string())
}

fn verdict(answer: &Value) -> Result<Verdict, String> {
    let response = answer.get("response").ok_or("the answer has no response")?;
    let allowed = response.get("allowed").and_then(Value::as_bool).unwrap_or_default();
    let patch = match response.str_at(&["patch"]) {
        None | Some("") => None,
        Some(patch) => {
            let bytes = STANDARD.decode(patch).map_err(|error| error.to_string())?;
            Some(Value::from_json(&bytes).map_err(|error| error.to_string())?)
        }
    };
    let warnings = response.list_at(&["warnings"]).iter().filter_map(Value::as_str).map(str::to_owned);
    let notes = response.get("auditAnnotations").and_then(Value::as_map).into_iter().flat_map(Map::iter);
    let notes = notes.filter_map(|(key, note)| Some((key.to_owned(), note.as_str()?.to_owned())));
    let code = response.int_at(&["status", "code"]).and_then(|code| u16::try_from(code).ok());
    Ok(Verdict {
        allowed,
        patch,
        warnings: warnings.collect(),
        notes: notes.collect(),
        // A refusal is never told as a success.
        code: code.filter(|code| *code >= 400).unwrap_or(400),
        message: response.str_at(&["status", "message"]).unwrap_or_default().to_owned(),
    })
}
