//! A plain HTTPS client for one API server: any method, any header, any user agent, watches as lines.
//!
//! Tests and measurements stand outside of what they look at, so this shares no code with the client under test. It keeps its
//! connections, and says nothing about answers: a refusal is an answer like any other.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
pub use hyper::Method;
use hyper::{
    Request, Response,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    header,
};
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{
    TlsConnector,
    rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
};
use trueup_object::Value;

/// A request without an answer after this long has failed: longer than the API server's own limit.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(65);

/// What one caller needs to reach one API server; clones share connections.
#[derive(Clone)]
pub struct Client {
    server: Arc<Server>,
    token: Arc<str>,
    /// Sent as `User-Agent`.
    agent: Arc<str>,
    /// Sent beside what every request has.
    headers: Arc<[(String, String)]>,
}

struct Server {
    host: String,
    port: u16,
    tls: TlsConnector,
    idle: Mutex<Vec<SendRequest<Full<Bytes>>>>,
}

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    pub code: u16,
    pub body: Bytes,
    /// The `Warning` headers, in their order.
    pub warnings: Vec<String>,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    Json,
    MergePatch,
    StrategicPatch,
    JsonPatch,
    Apply,
}

impl BodyKind {
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::MergePatch => "application/merge-patch+json",
            Self::StrategicPatch => "application/strategic-merge-patch+json",
            Self::JsonPatch => "application/json-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }
}

impl Client {
    /// Reads a kubeconfig as the control plane and the sandbox write it: one cluster, a token for each user.
    pub fn open(kubeconfig: &Path, user: &str, agent: &str) -> Result<Self> {
        let text = std::fs::read(kubeconfig).with_context(|| format!("read {}", kubeconfig.display()))?;
        Self::from_kubeconfig(&text, user, agent).with_context(|| format!("use {}", kubeconfig.display()))
    }

    /// As [`Self::open`], from the file's content.
    pub fn from_kubeconfig(text: &[u8], user: &str, agent: &str) -> Result<Self> {
        let config = Value::from_yaml(text)?;
        let cluster = config.list_at(&["clusters"]).first().and_then(|item| item.get("cluster"));
        let cluster = cluster.ok_or_else(|| anyhow!("the kubeconfig names no cluster"))?;
        let url = cluster.str_at(&["server"]).unwrap_or_default();
        let (host, port) = url
            .strip_prefix("https://")
            .and_then(|rest| rest.trim_end_matches('/').rsplit_once(':'))
            .ok_or_else(|| anyhow!("the server {url:?} is not https://HOST:PORT"))?;
        let token = config
            .list_at(&["users"])
            .iter()
            .find(|item| item.str_at(&["name"]) == Some(user))
            .and_then(|item| item.str_at(&["user", "token"]))
            .ok_or_else(|| anyhow!("the kubeconfig has no token of {user}"))?;
        let server = Server {
            host: host.to_owned(),
            port: port.parse().context("read the port")?,
            tls: connector(&authority(cluster)?)?,
            idle: Mutex::default(),
        };
        Ok(Self {
            server: Arc::new(server),
            token: token.into(),
            agent: agent.into(),
            headers: Arc::default(),
        })
    }

    /// The same way to the server under another program's name.
    pub fn with_agent(&self, agent: &str) -> Self {
        Self { agent: agent.into(), ..self.clone() }
    }

    /// The same way to the server with one more header, or (of a name that every request has) with another one.
    pub fn with_header(&self, name: &str, value: &str) -> Self {
        let headers = self.headers.iter().cloned().chain([(name.to_owned(), value.to_owned())]);
        Self { headers: headers.collect(), ..self.clone() }
    }

    /// `https://HOST:PORT`.
    pub fn url(&self) -> String {
        format!("https://{}:{}", self.server.host, self.server.port)
    }

    /// The bearer token that is sent.
    pub fn token(&self) -> &str {
        &self.token
    }

    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(Method::GET, path, None).await
    }

    /// Reads an object or a list; `None` where there is none (404).
    pub async fn find(&self, path: &str) -> Result<Option<Value>> {
        let reply = self.get(path).await?;
        match reply.code {
            200 => Ok(Some(reply.value()?)),
            404 => Ok(None),
            _ => bail!("GET {path}: {}", reply.complaint()),
        }
    }

    /// Sends a body; a refusal is an error.
    pub async fn write(&self, method: Method, path: &str, kind: BodyKind, body: &Value) -> Result<Value> {
        let reply = self.send(method.clone(), path, Some((kind, body.to_json().into()))).await?;
        if reply.code >= 400 {
            bail!("{method} {path}: {}", reply.complaint());
        }
        reply.value()
    }

    pub async fn delete(&self, path: &str) -> Result<Reply> {
        self.send(Method::DELETE, path, None).await
    }

    /// Sends a request and reads the whole answer, whatever its code.
    pub async fn send(&self, method: Method, path: &str, body: Option<(BodyKind, Bytes)>) -> Result<Reply> {
        self.send_as(method, path, body.map(|(kind, bytes)| (kind.content_type(), bytes))).await
    }

    /// As [`Self::send`], with any content type: an empty one is not sent.
    pub async fn send_as(&self, method: Method, path: &str, body: Option<(&str, Bytes)>) -> Result<Reply> {
        let exchange = async {
            let response = self.exchange(method.clone(), path, body).await?;
            let code = response.0.status().as_u16();
            let texts = response.0.headers().get_all(header::WARNING).iter();
            let warnings = texts.map(|text| String::from_utf8_lossy(text.as_bytes()).into_owned()).collect();
            let bytes = response.0.into_body().collect().await.context("read the answer")?.to_bytes();
            self.keep(response.1);
            Ok::<_, anyhow::Error>(Reply { code, body: bytes, warnings })
        };
        let answer = timeout(ANSWER_TIMEOUT, exchange).await;
        answer.map_err(|_| anyhow!("no answer in time")).flatten().with_context(|| format!("{method} {path}"))
    }

    /// Sends any request under this client's credentials. Of an answer that went well the body is not read: it may be a watch.
    pub async fn refusal(&self, request: Request<Full<Bytes>>) -> Result<Reply> {
        let exchange = async {
            let (response, _sender) = self.pass(request).await?;
            let code = response.status().as_u16();
            if code == 200 {
                return Ok(Reply { code, body: Bytes::new(), warnings: Vec::new() });
            }
            let body = response.into_body().collect().await?.to_bytes();
            Ok::<_, anyhow::Error>(Reply { code, body, warnings: Vec::new() })
        };
        timeout(ANSWER_TIMEOUT, exchange).await.map_err(|_| anyhow!("no answer in time")).flatten()
    }

    /// Opens a watch; its events come one by one.
    pub async fn watch(&self, path: &str) -> Result<Lines> {
        let (response, sender) = self.exchange(Method::GET, path, None).await?;
        if response.status() != 200 {
            bail!("watch {path}: answered {}", response.status());
        }
        Ok(Lines { body: response.into_body(), buffer: BytesMut::new(), _sender: sender })
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Bytes)>,
    ) -> Result<(Response<Incoming>, SendRequest<Full<Bytes>>)> {
        let pooled = self.server.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        if let Some(mut sender) = pooled
            && sender.ready().await.is_ok()
        {
            match sender.send_request(self.request(&method, path, body.clone())?).await {
                Ok(response) => return Ok((response, sender)),
                // The server closed the kept connection before it took the request.
                Err(error) if error.is_canceled() || error.is_closed() || method == Method::GET => {}
                Err(error) => return Err(error.into()),
            }
        }
        let mut sender = self.connect().await?;
        let response = sender.send_request(self.request(&method, path, body)?).await?;
        Ok((response, sender))
    }

    fn request(
        &self,
        method: &Method,
        path: &str,
        body: Option<(&str, Bytes)>,
    ) -> Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, format!("{}:{}", self.server.host, self.server.port))
            .header(header::ACCEPT, "application/json")
            .header(header::USER_AGENT, self.agent.as_ref())
            .header(header::AUTHORIZATION, format!("Bearer {}", self.token));
        let body = match body {
            Some((content_type, bytes)) => {
                if !content_type.is_empty() {
                    request = request.header(header::CONTENT_TYPE, content_type);
                }
                bytes
            }
            None => Bytes::new(),
        };
        let mut request = request.body(Full::new(body))?;
        for (name, value) in self.headers.iter() {
            let name = header::HeaderName::try_from(name.as_str())?;
            if name == header::ACCEPT {
                request.headers_mut().remove(&name);
            }
            request.headers_mut().append(name, value.parse()?);
        }
        Ok(request)
    }

    /// Passes a request of somebody else's on, under this client's credentials.
    pub(crate) async fn pass(
        &self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<(Response<Incoming>, SendRequest<Full<Bytes>>)> {
        let host = format!("{}:{}", self.server.host, self.server.port);
        request.headers_mut().insert(header::HOST, host.parse()?);
        request.headers_mut().insert(header::AUTHORIZATION, format!("Bearer {}", self.token).parse()?);
        let mut sender = self.connect().await?;
        let response = sender.send_request(request).await?;
        Ok((response, sender))
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let Server { host, port, tls, .. } = self.server.as_ref();
        let stream = TcpStream::connect((host.as_str(), *port)).await.context("connect")?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(host.clone()).context("name the server")?;
        let stream = tls.connect(name, stream).await.context("agree on TLS")?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(async move {
            // How it ended shows in the request that was under way.
            let _ = connection.await;
        });
        Ok(sender)
    }

    /// Keeps a connection whose last answer was read whole.
    pub(crate) fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        if !sender.is_closed() {
            self.server.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
    }
}

impl Reply {
    pub fn value(&self) -> Result<Value> {
        Value::from_json(&self.body).map_err(|error| anyhow!("read the answer: {error}"))
    }

    /// Code and message of a refusal.
    pub fn complaint(&self) -> String {
        let status = Value::from_json(&self.body).unwrap_or_default();
        let message = status.str_at(&["message"]).map(str::to_owned);
        format!(
            "{} {}",
            self.code,
            message.unwrap_or_else(|| String::from_utf8_lossy(&self.body).into_owned())
        )
    }
}

/// The events of a watch.
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
    /// The connection ends with its last sender.
    _sender: SendRequest<Full<Bytes>>,
}

impl Lines {
    /// The next event; `None` when the server ended the watch.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        let Some(line) = self.next_line().await? else { return Ok(None) };
        Ok(Some(Value::from_json(&line).map_err(|error| anyhow!("read an event: {error}"))?))
    }

    /// The next event as it was sent, for those who need the moment of its arrival.
    pub async fn next_line(&mut self) -> Result<Option<Bytes>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                return Ok(Some(self.buffer.split_to(end + 1).freeze()));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(frame) => {
                    if let Ok(data) = frame.context("read the watch")?.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
            }
        }
    }
}

fn authority(cluster: &Value) -> Result<Vec<u8>> {
    use base64::Engine as _;
    if let Some(data) = cluster.str_at(&["certificate-authority-data"]) {
        return base64::engine::general_purpose::STANDARD
            .decode(data)
            .context("read the certificate authority");
    }
    let file = cluster.str_at(&["certificate-authority"]);
    let file = file.ok_or_else(|| anyhow!("the kubeconfig has no certificate authority"))?;
    std::fs::read(file).with_context(|| format!("read {file}"))
}

fn connector(authority: &[u8]) -> Result<TlsConnector> {
    use tokio_rustls::rustls::pki_types::{CertificateDer, pem::PemObject};
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(authority) {
        roots.add(certificate.context("read the certificate authority")?)?;
    }
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}
