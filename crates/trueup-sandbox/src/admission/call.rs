//! Calling a webhook over HTTPS, with the authority that its configuration names.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use trueup_object::Value;

use super::hook::Hook;
use crate::status::{ApiStatus, StatusReason};

/// Answers are objects or patches of them.
const N_ANSWER_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Why no answer could be had.
#[derive(Debug)]
pub(super) struct CallError(pub(super) String);

/// What a webhook says.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) allowed: bool,
    pub(super) patch: Option<Value>,
    pub(super) warnings: Vec<String>,
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
    let uri: Uri = url.parse().map_err(|_| "the address is not one".to_owned())?;
    let (Some(host), Some("https")) = (uri.host(), uri.scheme_str()) else {
        return Err("the address is not https".to_owned());
    };
    let words = |error: &dyn std::fmt::Display| error.to_string();
    let stream =
        TcpStream::connect((host, uri.port_u16().unwrap_or(443))).await.map_err(|error| words(&error))?;
    let name = ServerName::try_from(host.to_owned()).map_err(|error| words(&error))?;
    let stream = connector(authority)?.connect(name, stream).await.map_err(|error| words(&error))?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| words(&error))?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(HOST, uri.authority().map_or(host, |authority| authority.as_str()))
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(review.to_json())))
        .map_err(|error| words(&error))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(|error| words(&error))?;
        let code = response.status();
        let body = Limited::new(response.into_body(), N_ANSWER_BYTES_MAX).collect().await;
        let body = body.map_err(|error| words(&error))?.to_bytes();
        if !code.is_success() {
            return Err(format!("the server answered {code}"));
        }
        Value::from_json(&body).map_err(|error| words(&error))
    };
    // It ends after the answer, or with it: the exchange tells which.
    let connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let answer = exchange.await;
    drop(connection);
    answer
}

fn connector(authority: Option<&str>) -> Result<TlsConnector, String> {
    let mut roots = RootCertStore::empty();
    let bundle = STANDARD.decode(authority.unwrap_or_default()).map_err(|error| error.to_string())?;
    for certificate in CertificateDer::pem_slice_iter(&bundle) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
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
    let code = response.int_at(&["status", "code"]).and_then(|code| u16::try_from(code).ok());
    Ok(Verdict {
        allowed,
        patch,
        warnings: warnings.collect(),
        // A refusal is never told as a success.
        code: code.filter(|code| *code >= 400).unwrap_or(400),
        message: response.str_at(&["status", "message"]).unwrap_or_default().to_owned(),
    })
}
