//! What clients of HTTP/2 meet: heads, bodies and headers that are large, paths about health. Seen on kube-apiserver 1.36.3.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use trueup_object::Value;
use trueup_sandbox::Sandbox;

use crate::world::World;

/// A connection of HTTP/2 to a sandbox.
struct Wire {
    send: SendRequest<Full<Bytes>>,
    url: String,
    token: String,
}

/// The text after a key of the kubeconfig, of the first entry that has it.
fn setting(kubeconfig: &str, key: &str) -> String {
    let found = kubeconfig.lines().find_map(|line| line.trim_start_matches([' ', '-']).strip_prefix(key));
    found.unwrap().trim_start_matches(':').trim().trim_matches('"').to_owned()
}

impl Wire {
    async fn to(sandbox: &Sandbox) -> Self {
        let kubeconfig = sandbox.kubeconfig("admin");
        let authority = STANDARD.decode(setting(&kubeconfig, "certificate-authority-data")).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(&authority).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let mut config = builder.unwrap().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let address = sandbox.url().strip_prefix("https://").unwrap().to_owned();
        let stream = TcpStream::connect(&address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap();
        let (send, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self { send, url: sandbox.url(), token: setting(&kubeconfig, "token") }
    }

    async fn ask(&mut self, method: Method, path: &str, header: &str, body: Vec<u8>) -> Response<Incoming> {
        let request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", "application/json")
            .header("x-large", header)
            .body(Full::new(Bytes::from(body)));
        self.send.ready().await.unwrap();
        self.send.send_request(request.unwrap()).await.unwrap()
    }
}

async fn text(response: Response<Incoming>) -> String {
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[tokio::test]
async fn a_head_says_how_long_the_body_would_be() {
    let world = World::start().await;
    let mut wire = Wire::to(&world.sandbox).await;
    for (path, code) in [("/readyz", 200), ("/apis", 200), ("/api", 405), ("/api/v1/namespaces/default", 405)]
    {
        let response = wire.ask(Method::HEAD, path, "", Vec::new()).await;
        assert_eq!(response.status(), code, "{path}");
        assert!(response.headers().contains_key("content-length"), "{path}");
        assert_eq!(text(response).await, "", "{path}");
    }
    // The connection is as good as before.
    assert_eq!(text(wire.ask(Method::GET, "/readyz", "", Vec::new()).await).await, "ok");
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_in_words() {
    let world = World::start().await;
    let mut wire = Wire::to(&world.sandbox).await;
    let path = "/api/v1/namespaces/default/configmaps";
    let response = wire.ask(Method::POST, path, "", vec![b'a'; 4_000_000]).await;
    assert_eq!(response.status(), 413);
    let status = Value::from_json(text(response).await.as_bytes()).unwrap();
    assert_eq!(status.str_at(&["reason"]), Some("RequestEntityTooLarge"));
    assert_eq!(status.str_at(&["message"]), Some("Request entity too large: limit is 3145728"));
}

#[tokio::test]
async fn headers_may_be_long() {
    let world = World::start().await;
    let mut wire = Wire::to(&world.sandbox).await;
    let header = "a".repeat(60_000);
    assert_eq!(wire.ask(Method::GET, "/readyz", &header, Vec::new()).await.status(), 200);
}
