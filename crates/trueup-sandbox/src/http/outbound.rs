//! Requests that the server makes itself, to webhooks: over TLS with the authority that a configuration names, or in the clear.

mod trusted;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;
use trusted::Trusted;

/// Answers are objects or patches of them.
const N_ANSWER_BYTES_MAX: usize = 3 * 1024 * 1024;

/// Somebody who is called, and how.
#[derive(Clone, Default)]
pub struct Peer {
    pub url: String,
    /// Where it is, in the place of what the name in the URL leads to.
    pub address: Option<SocketAddr>,
    /// Whom to look up in the place of the name in the URL.
    pub dialled: Option<(String, u16)>,
    /// Who must have signed its certificate.
    pub authority_pem: Option<Vec<u8>>,
    pub certificate_pem: Option<Vec<u8>>,
    pub key_pem: Option<Vec<u8>>,
    pub token: Option<String>,
}

/// Keys and tokens are not for logs.
impl std::fmt::Debug for Peer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Peer").field("url", &self.url).finish_non_exhaustive()
    }
}

fn words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Why a server was not reached, in the words of the server's own language.
fn not_reached(error: &std::io::Error, address: SocketAddr) -> String {
    match error.kind() {
        ErrorKind::ConnectionRefused => format!("dial tcp {address}: connect: connection refused"),
        ErrorKind::NetworkUnreachable => format!("dial tcp {address}: connect: network is unreachable"),
        ErrorKind::HostUnreachable => format!("dial tcp {address}: connect: no route to host"),
        ErrorKind::ConnectionReset => format!("read tcp {address}: read: connection reset by peer"),
        _ => error.to_string(),
    }
}

/// Why no TLS came about, in the same words.
fn not_trusted(error: &std::io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    let Some(rustls::Error::InvalidCertificate(wrong)) = inner else {
        return if error.kind() == ErrorKind::UnexpectedEof { "EOF".to_owned() } else { error.to_string() };
    };
    let why = match wrong {
        CertificateError::UnknownIssuer => "x509: certificate signed by unknown authority".to_owned(),
        CertificateError::NotValidForNameContext { expected, presented } => {
            let known: Vec<&str> = presented.iter().map(|name| plain_name(name)).collect();
            format!("x509: certificate is valid for {}, not {}", known.join(", "), expected.to_str())
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "x509: certificate has expired or is not yet valid".to_owned()
        }
        other => other.to_string(),
    };
    format!("tls: failed to verify certificate: {why}")
}

/// `DnsName("a.b")` and `IpAddress(1.2.3.4)` without what is around them.
fn plain_name(name: &str) -> &str {
    let inner = name.split_once('(').map_or(name, |(_, rest)| rest.trim_end_matches(')'));
    inner.trim_matches('"')
}

impl Peer {
    /// Whether the address is one.
    pub fn check(&self) -> Result<(), String> {
        self.parts().map(drop)
    }

    /// The parsed URL, its host, and whether it is spoken to over TLS.
    fn parts(&self) -> Result<(Uri, String, bool), String> {
        let uri: Uri = self.url.parse().map_err(|_| format!("{:?} is no address", self.url))?;
        let is_tls = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(format!("{:?} is neither https:// nor http://", self.url)),
        };
        let host = uri.host().ok_or_else(|| format!("{:?} names no host", self.url))?.to_owned();
        Ok((uri, host, is_tls))
    }

    fn connector(&self) -> Result<TlsConnector, String> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let known = certificates(self.authority_pem.as_deref().unwrap_or_default())?;
        let trusted = Arc::new(Trusted::new(known, Arc::clone(&provider))?);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(words)?
            .dangerous()
            .with_custom_certificate_verifier(trusted);
        let config = match (&self.certificate_pem, &self.key_pem) {
            (Some(certificate), Some(key)) => {
                let key = PrivateKeyDer::from_pem_slice(key).map_err(words)?;
                builder.with_client_auth_cert(certificates(certificate)?, key).map_err(words)?
            }
            (None, _) | (_, None) => builder.with_no_client_auth(),
        };
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>().map_err(words)
}

/// What was answered.
#[derive(Debug, Clone)]
pub struct Answer {
    pub code: u16,
    pub is_text: bool,
    pub body: Bytes,
}

/// Posts a JSON document, with `query` after the path, and gives the body of a successful answer.
pub async fn post(peer: &Peer, query: &str, body: String) -> Result<Bytes, String> {
    let answer = ask(peer, query, body).await?;
    if (200..300).contains(&answer.code) {
        Ok(answer.body)
    } else {
        Err(format!("the server answered {}", answer.code))
    }
}

/// Posts a JSON document, with `query` after the path, and gives the answer whatever it is.
pub async fn ask(peer: &Peer, query: &str, body: String) -> Result<Answer, String> {
    let (uri, host, is_tls) = peer.parts()?;
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let host = host.trim_matches(['[', ']']);
    let stream = match (peer.address, &peer.dialled) {
        (Some(address), _) => connect([address]).await?,
        (None, Some((name, port))) => connect(lookup(name, *port).await?).await?,
        (None, None) => connect(lookup(host, port).await?).await?,
    };
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(format!("{path}{query}"))
        .header(HOST, uri.authority().map_or(host, |authority| authority.as_str()))
        .header(CONTENT_TYPE, "application/json");
    if let Some(token) = &peer.token {
        request = request.header(AUTHORIZATION, format!("Bearer {token}"));
    }
    let request = request.body(Full::new(Bytes::from(body))).map_err(words)?;
    if is_tls {
        let name = ServerName::try_from(host.to_owned()).map_err(words)?;
        let stream = peer.connector()?.connect(name, stream).await;
        exchange(stream.map_err(|error| not_trusted(&error))?, request).await
    } else {
        exchange(stream, request).await
    }
}

async fn lookup(host: &str, port: u16) -> Result<Vec<SocketAddr>, String> {
    let found = tokio::net::lookup_host((host, port)).await;
    let found: Vec<SocketAddr> = found.map(Iterator::collect).unwrap_or_default();
    if found.is_empty() { Err(format!("dial tcp: lookup {host}: no such host")) } else { Ok(found) }
}

/// The first of several addresses that takes a connection.
async fn connect(addresses: impl IntoIterator<Item = SocketAddr>) -> Result<TcpStream, String> {
    let mut why = String::new();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => why = not_reached(&error, address),
        }
    }
    Err(why)
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<Answer, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(words)?;
    // The connection ends after the answer, or with it: the exchange tells which.
    let connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let response = sender.send_request(request).await.map_err(words)?;
    let code = response.status().as_u16();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_text = kind.is_some_and(|kind| kind.starts_with("text/"));
    let body = Limited::new(response.into_body(), N_ANSWER_BYTES_MAX).collect().await;
    let body = body.map_err(words)?.to_bytes();
    drop(connection);
    Ok(Answer { code, is_text, body })
}
