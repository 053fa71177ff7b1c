//! Admission webhooks, called for real over TLS: behind a Service, about deletes and scales, and once more after others.

use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::world::{World, object, refusal};

type Asked = Arc<Mutex<Vec<Value>>>;

/// A webhook that is asked under the name of a Service.
struct Receiver {
    port: u16,
    bundle: String,
    asked: Asked,
    _tasks: JoinSet<()>,
}

impl Receiver {
    async fn start(name: &str, answer: fn(&Value) -> Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let certificate =
            CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], private)
            .unwrap();
        let asked = Asked::default();
        let (tls, seen) = (TlsAcceptor::from(Arc::new(config)), asked.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                serve(stream, &tls, &seen, answer).await;
            }
        });
        Self { port, bundle: STANDARD.encode(authority.pem()), asked, _tasks: tasks }
    }

    fn operations(&self) -> Vec<String> {
        let asked = self.asked.lock().unwrap();
        let of = |review: &Value| {
            let request = &review["request"];
            let what = request["kind"]["kind"].as_str().unwrap();
            format!("{} {what}", request["operation"].as_str().unwrap())
        };
        asked.iter().map(of).collect()
    }
}

/// One connection after the other: the server closes each after its answer.
async fn serve(stream: TcpStream, tls: &TlsAcceptor, asked: &Asked, answer: fn(&Value) -> Value) {
    let Ok(stream) = tls.accept(stream).await else { return };
    let service = service_fn(|request: Request<Incoming>| async {
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let review: Value = serde_json::from_slice(&body).unwrap();
        let mut response = answer(&review["request"]);
        response["uid"] = review["request"]["uid"].clone();
        asked.lock().unwrap().push(review);
        let reply = json!({
            "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response,
        });
        Ok::<_, std::convert::Infallible>(Response::new(Full::new(Bytes::from(reply.to_string()))))
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// A Service that leads to this machine, and a webhook behind it.
async fn configure(world: &World, receiver: &Receiver, sort: &str, rules: Value) {
    let services = world.dynamic("v1", "Service", "services", Some("default"));
    let service = object(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook"},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }));
    services.create(&PostParams::default(), &service).await.unwrap();
    let kind = format!("{sort}WebhookConfiguration");
    let plural = kind.to_lowercase() + "s";
    let configuration = object(json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "hook"},
        "webhooks": [{
            "name": "hook.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"], "rules": rules,
            "reinvocationPolicy": if sort == "Mutating" { json!("IfNeeded") } else { Value::Null },
            "clientConfig": {
                "caBundle": receiver.bundle,
                "service": {"name": "hook", "namespace": "default", "path": "/ask", "port": receiver.port},
            },
        }],
    }));
    let configurations = world.dynamic("admissionregistration.k8s.io/v1", &kind, &plural, None);
    configurations.create(&PostParams::default(), &configuration).await.unwrap();
}

fn denies_deletes(request: &Value) -> Value {
    if request["operation"] == "DELETE" && request["oldObject"]["metadata"]["name"] == "kept" {
        return json!({"allowed": false, "status": {"message": "it is kept", "reason": "Forbidden", "code": 403}});
    }
    json!({"allowed": true, "warnings": ["asked"]})
}

#[tokio::test]
async fn a_webhook_behind_a_service_is_asked_about_deletes_and_scales() {
    let world = World::start().await;
    let receiver = Receiver::start("hook.default.svc", denies_deletes).await;
    let rules = json!([
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["DELETE"], "resources": ["configmaps"]},
        {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["deployments/scale"]},
    ]);
    configure(&world, &receiver, "Validating", rules).await;
    let maps = world.config_maps();
    for name in ["kept", "free"] {
        world.create_config_map(name, &json!({})).await;
    }
    let refused = refusal(maps.delete("kept", &DeleteParams::default()).await);
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (403, "admission webhook \"hook.example.com\" denied the request: it is kept")
    );
    maps.delete("free", &DeleteParams::default()).await.unwrap();
    let deployments = world.dynamic("apps/v1", "Deployment", "deployments", Some("default"));
    let deployment = object(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "shop/web:1"}]},
            },
        },
    }));
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let three = Patch::Merge(json!({"spec": {"replicas": 3}}));
    deployments.patch_scale("web", &PatchParams::default(), &three).await.unwrap();
    assert_eq!(receiver.operations(), ["DELETE ConfigMap", "DELETE ConfigMap", "UPDATE Scale"]);
}

fn adds_what_is_missing(request: &Value) -> Value {
    if request["object"]["data"]["set"].is_null() {
        let patch = json!([{"op": "add", "path": "/data/set", "value": "by webhook"}]);
        return json!({"allowed": true, "patchType": "JSONPatch", "patch": STANDARD.encode(patch.to_string())});
    }
    json!({"allowed": true})
}

#[tokio::test]
async fn what_a_webhook_adds_is_nobodys() {
    let world = World::start().await;
    let receiver = Receiver::start("hook.default.svc", adds_what_is_missing).await;
    let rules = json!([
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
    ]);
    configure(&world, &receiver, "Mutating", rules).await;
    let made = world.create_config_map("a", &json!({"own": "1"})).await;
    let made = serde_json::to_value(made).unwrap();
    assert_eq!(made["data"], json!({"own": "1", "set": "by webhook"}));
    assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"]["f:data"], json!({".": {}, "f:own": {}}));
    // Its own change is none after it.
    assert_eq!(receiver.operations(), ["CREATE ConfigMap"]);
}

#[tokio::test]
async fn a_webhook_without_a_service_is_not_reached() {
    let world = World::start().await;
    let receiver = Receiver::start("hook.default.svc", denies_deletes).await;
    let rules = json!([
        {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]},
    ]);
    configure(&world, &receiver, "Validating", rules).await;
    let services = world.dynamic("v1", "Service", "services", Some("default"));
    services.delete("hook", &DeleteParams::default()).await.unwrap();
    let map = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    let refused = refusal(world.config_maps().create(&PostParams::default(), &map).await);
    let wanted = format!(
        "Internal error occurred: failed calling webhook \"hook.example.com\": failed to call webhook: Post \
         \"https://hook.default.svc:{}/ask?timeout=10s\": service \"hook\" not found",
        receiver.port
    );
    assert_eq!(refused.message, wanted);
    let ready = object(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook"},
        "spec": {"ports": [{"port": receiver.port, "protocol": "TCP"}]},
    }));
    let ready = services.create(&PostParams::default(), &ready).await.unwrap();
    let address = ready.data["spec"]["clusterIP"].as_str().unwrap();
    let refused = refusal(world.config_maps().create(&PostParams::default(), &map).await);
    let wanted = format!("dial tcp {address}:{}: connect: connection refused", receiver.port);
    assert!(refused.message.ends_with(&wanted), "{}", refused.message);
    assert!(receiver.operations().is_empty());
}
