//! An admission webhook on loopback, over TLS as those of a cluster are: what it is asked and what it answers is its owner's.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result};
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

/// What is answered: a status code and a body.
pub struct Answer {
    pub code: u16,
    pub body: String,
}

/// Answers what was posted to a path.
pub type Respond = Arc<dyn Fn(&str, &[u8]) -> Answer + Send + Sync>;

/// A webhook that is being served until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    bundle: String,
    _tasks: JoinSet<()>,
}

impl Receiver {
    /// Listens on loopback, under its address and these names.
    pub async fn start(names: &[String], respond: Respond) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("listen")?;
        let address = listener.local_addr()?;
        let (config, authority) = credentials(address, names).context("make certificates")?;
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, TlsAcceptor::from(Arc::new(config)), respond));
        Ok(Self { address, bundle: STANDARD.encode(authority), _tasks: tasks })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a webhook configuration calls `caBundle`.
    pub fn bundle(&self) -> &str {
        &self.bundle
    }
}

/// A configuration for the address and the names, and the authority that vouches for them, as PEM.
fn credentials(address: SocketAddr, names: &[String]) -> Result<(ServerConfig, String)> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name.push(DnType::CommonName, "webhooks of a test");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let mut known = names.to_vec();
    known.push(address.ip().to_string());
    let certificate = CertificateParams::new(known)?.signed_by(&key, &authority)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], private)?;
    Ok((config, authority.pem()))
}

async fn accept(listener: TcpListener, tls: TlsAcceptor, respond: Respond) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        connections.spawn(serve(stream, tls.clone(), respond.clone()));
        while connections.try_join_next().is_some() {}
    }
}

async fn serve(stream: TcpStream, tls: TlsAcceptor, respond: Respond) {
    // A caller that does not trust us, or goes away, sees that for itself.
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(move |request| answer(respond.clone(), request));
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

async fn answer(respond: Respond, request: Request<Incoming>) -> Result<Response<Full<Bytes>>> {
    let path = request.uri().path_and_query().map_or_else(String::new, ToString::to_string);
    let body = request.into_body().collect().await?.to_bytes();
    let Answer { code, body } = respond(&path, &body);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(code)?;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    Ok(response)
}
