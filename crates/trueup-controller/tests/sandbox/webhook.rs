//! Admission webhooks of tests: an HTTPS server on this machine, and configurations that name it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring::default_provider;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use trueup_object::Value;

use crate::world::{World, value};

/// What a webhook answers about an object: a response without its uid.
type Answer = Arc<dyn Fn(&Value) -> Value + Send + Sync>;

pub struct Webhook {
    url: String,
    authority: String,
    calls: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Webhook {
    pub async fn start(answer: impl Fn(&Value) -> Value + Send + Sync + 'static) -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        let names = vec!["127.0.0.1".to_owned()];
        let certificate = rcgen::CertificateParams::new(names).unwrap().self_signed(&key).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/admit", listener.local_addr().unwrap());
        let (calls, answer): (Arc<AtomicUsize>, Answer) = (Arc::default(), Arc::new(answer));
        let counted = calls.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer, calls) = (acceptor.clone(), answer.clone(), counted.clone());
                tokio::spawn(async move {
                    // A caller that hangs up is its own affair.
                    let _ = serve(stream, acceptor, answer, calls).await;
                });
            }
        });
        Self { url, authority: STANDARD.encode(certificate.pem()), calls, task }
    }

    pub fn n_calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Ends the server; its configurations stay.
    pub fn stop(&self) {
        self.task.abort();
    }

    /// Has the API server ask it about Deployments. `sort` is `Mutating` or `Validating`.
    pub async fn install(&self, world: &World, sort: &str) {
        let (url, authority) = (&self.url, &self.authority);
        let object = value(&format!(
            r#"{{"apiVersion":"admissionregistration.k8s.io/v1","kind":"{sort}WebhookConfiguration","metadata":{{"name":"tests"}},
            "webhooks":[{{"name":"tests.example.com","admissionReviewVersions":["v1"],"sideEffects":"None",
            "clientConfig":{{"url":"{url}","caBundle":"{authority}"}},
            "rules":[{{"operations":["CREATE","UPDATE"],"apiGroups":["apps"],"apiVersions":["v1"],"resources":["deployments"]}}]}}]}}"#
        ));
        let plural = format!("{}webhookconfigurations", sort.to_lowercase());
        world.create(&format!("/apis/admissionregistration.k8s.io/v1/{plural}"), &object).await;
    }
}

async fn serve(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    answer: Answer,
    calls: Arc<AtomicUsize>,
) -> std::io::Result<()> {
    let mut stream = acceptor.accept(stream).await?;
    let mut read = Vec::new();
    let (start, length) = loop {
        stream.read_buf(&mut read).await?;
        let text = String::from_utf8_lossy(&read).to_lowercase();
        if let Some(end) = text.find("\r\n\r\n") {
            let length: Option<usize> =
                text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            break (end + 4, length.unwrap_or_default());
        }
    };
    while read.len() < start + length {
        stream.read_buf(&mut read).await?;
    }
    calls.fetch_add(1, Ordering::SeqCst);
    let review = Value::from_json(&read[start..start + length]).unwrap();
    let mut response = answer(review.at(&["request", "object"]).unwrap());
    response.set_at(&["uid"], review.str_at(&["request", "uid"]).unwrap().into());
    let mut reply = value(r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview"}"#);
    reply.set_at(&["response"], response);
    let body = reply.to_json();
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// A response that allows the write, changed by a JSON patch.
pub fn patched(patch: &str) -> Value {
    let mut response = value(r#"{"allowed":true,"patchType":"JSONPatch"}"#);
    response.set_at(&["patch"], STANDARD.encode(patch).into());
    response
}
