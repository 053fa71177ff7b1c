//! Admission webhooks of a story, served on loopback over TLS as those of a cluster are: both worlds call them.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result, anyhow};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer},
    },
};
use trueup_object::{Map, Value};

use super::format::StoryWebhook;

/// A webhook that is being served.
pub struct Webhook {
    name: String,
    address: SocketAddr,
    /// What a webhook configuration calls `caBundle`.
    bundle: String,
    _tasks: JoinSet<()>,
}

impl Webhook {
    /// Serves it until it is dropped.
    pub async fn start(webhook: &StoryWebhook) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let address = listener.local_addr()?;
        let (config, authority) = credentials(address).context("make certificates")?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), Arc::new(webhook.inject.clone())));
        let bundle = STANDARD.encode(authority);
        Ok(Self { name: webhook.name.clone(), address, bundle, _tasks: tasks })
    }

    /// Puts its address and its authority where a text names them.
    pub fn fill(&self, text: &str) -> String {
        text.replace(&format!("${{webhook.{}.url}}", self.name), &format!("https://{}/", self.address))
            .replace(&format!("${{webhook.{}.caBundle}}", self.name), &self.bundle)
    }
}

/// A configuration for the address, and the authority that vouches for it, as PEM.
fn credentials(address: SocketAddr) -> Result<(ServerConfig, String)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "webhooks of a story");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![address.ip().to_string()])?.signed_by(&key, &authority)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    Ok((config, authority.pem()))
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, inject: Arc<Value>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.spawn(serve(stream, tls.clone(), inject.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, inject: Arc<Value>) {
    // A caller that does not trust us, or goes away, sees that for itself.
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(move |request| answer(inject.clone(), request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(inject: Arc<Value>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let body = request.into_body().collect().await?.to_bytes();
    let reply =
        Value::from_json(&body).map_err(|error| anyhow!("{error}")).and_then(|it| review(&it, &inject));
    let mut response = match reply {
        Ok(reply) => Response::new(Full::new(Bytes::from(reply.to_json()))),
        Err(error) => {
            let mut refused = Response::new(Full::new(Bytes::from(format!("{error:#}"))));
            *refused.status_mut() = StatusCode::BAD_REQUEST;
            refused
        }
    };
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    Ok(response)
}

/// The answer to an AdmissionReview: allowed, with a JSON patch of whole members where something is missing.
fn review(asked: &Value, inject: &Value) -> Result<Value> {
    let uid = asked.str_at(&["request", "uid"]).ok_or_else(|| anyhow!("no AdmissionReview"))?;
    let object = asked.at(&["request", "object"]).cloned().unwrap_or_default();
    let mut wanted = object.clone();
    lay_over(&mut wanted, inject);
    let mut patch = Vec::new();
    for (key, value) in wanted.as_map().into_iter().flat_map(Map::iter) {
        if object.get(key) != Some(value) {
            let mut operation = Value::default();
            operation.set_at(&["op"], "add".into());
            operation.set_at(&["path"], format!("/{key}").into());
            operation.set_at(&["value"], value.clone());
            patch.push(operation);
        }
    }
    let mut reply = Value::default();
    reply.set_at(&["apiVersion"], "admission.k8s.io/v1".into());
    reply.set_at(&["kind"], "AdmissionReview".into());
    reply.set_at(&["response", "uid"], uid.into());
    reply.set_at(&["response", "allowed"], true.into());
    if !patch.is_empty() {
        reply.set_at(&["response", "patchType"], "JSONPatch".into());
        reply.set_at(&["response", "patch"], STANDARD.encode(Value::from(patch).to_json()).into());
    }
    Ok(reply)
}

/// Maps are merged, items of lists are merged by their `name` and added where there is none, everything else is replaced: so a
/// second call changes nothing, as with injectors that look for what they have injected.
fn lay_over(object: &mut Value, inject: &Value) {
    match (object, inject) {
        (Value::Map(object), Value::Map(inject)) => {
            for (key, value) in inject.iter() {
                lay_over(object.entry_or_null(key), value);
            }
        }
        (Value::List(items), Value::List(wanted)) if wanted.iter().all(|item| item.get("name").is_some()) => {
            for item in wanted {
                match items.iter_mut().find(|it| it.get("name") == item.get("name")) {
                    Some(present) => lay_over(present, item),
                    None => items.push(item.clone()),
                }
            }
        }
        (object, inject) => *object = inject.clone(),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        Value::from_yaml(text.as_bytes()).unwrap()
    }

    #[test]
    fn what_is_missing_is_injected_once() {
        let inject = value("spec: {containers: [{name: proxy, image: p}], hostPID: false}");
        let asked =
            value("request: {uid: u1, object: {kind: Pod, spec: {containers: [{name: app, image: a}]}}}");
        let reply = review(&asked, &inject).unwrap();
        assert_eq!(reply.str_at(&["response", "uid"]), Some("u1"));
        let patch = STANDARD.decode(reply.str_at(&["response", "patch"]).unwrap()).unwrap();
        let patch = Value::from_json(&patch).unwrap();
        let wanted = value(
            "[{op: add, path: /spec, value: \
             {containers: [{name: app, image: a}, {name: proxy, image: p}], hostPID: false}}]",
        );
        assert_eq!(patch, wanted);
        let mut again = value("request: {uid: u2}");
        again.set_at(
            &["request", "object", "spec"],
            patch.as_list().unwrap()[0].get("value").unwrap().clone(),
        );
        let reply = review(&again, &inject).unwrap();
        assert!(reply.at(&["response", "patch"]).is_none(), "{}", reply.to_json());
        assert_eq!(reply.at(&["response", "allowed"]), Some(&Value::from(true)));
    }

    #[tokio::test]
    async fn a_text_names_its_address_and_authority() {
        let webhook = StoryWebhook { name: "a".to_owned(), inject: value("{}") };
        let webhook = Webhook::start(&webhook).await.unwrap();
        let text = webhook.fill("${webhook.a.url} ${webhook.a.caBundle} ${webhook.b.url}");
        assert!(text.starts_with("https://127.0.0.1:"), "{text}");
        assert!(text.ends_with(" ${webhook.b.url}"), "{text}");
        assert!(!text.contains("caBundle"), "{text}");
    }
}
