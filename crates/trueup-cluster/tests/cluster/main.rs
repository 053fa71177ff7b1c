//! The cluster crate against a real control plane.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "tests against a real server use real time")]

#[path = "../shared/mod.rs"]
mod shared;

use std::sync::OnceLock;

use trueup_cluster::{Access, ConnectError, Connection};
use trueup_testkit::controlplane::{ControlPlane, Options};

/// One control plane for all tests of this file; each test uses namespaces of its own. It ends with this process.
pub struct World(&'static ControlPlane);

fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| ControlPlane::start(&Options::default(), &mut |_| {}).unwrap())
}

pub async fn world() -> World {
    World(plane())
}

impl World {
    pub async fn connection(&self) -> Connection {
        let access = Access::Kubeconfig { file: Some(self.0.kubeconfig().to_owned()), context: None };
        Connection::open(&access, "test").await.unwrap()
    }
}

/// The kubeconfig of the control plane with some of its lines changed.
async fn altered(alter: impl Fn(&str) -> Option<String>) -> ConnectError {
    let text = std::fs::read_to_string(plane().kubeconfig()).unwrap();
    let lines: Vec<String> = text.lines().filter_map(alter).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let access = Access::Kubeconfig { file: Some(file.path().to_owned()), context: None };
    let connection = Connection::open(&access, "test").await.unwrap();
    let error = connection.wire.get("/api/v1/namespaces").await.unwrap_err();
    ConnectError::of_wire(&connection.server, error)
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_credentials_are_told_apart() {
    let token = |line: &str| {
        Some(if line.contains("token:") { "    token: wr0ng-t0ken".to_owned() } else { line.to_owned() })
    };
    let error = altered(token).await;
    assert!(matches!(error, ConnectError::Unauthorized { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("wr0ng"));
    let authority = |line: &str| (!line.contains("certificate-authority-data")).then(|| line.to_owned());
    let error = altered(authority).await;
    assert!(matches!(error, ConnectError::Tls { .. }), "{error:?}");
}

/// Somebody with a role in one namespace, by the server's own RBAC.
#[tokio::test(flavor = "multi_thread")]
async fn rights_in_one_namespace_are_enough_for_that_one() {
    use shared::{Bench, config_map, value, watching};
    let wire = World(plane()).connection().await.wire;
    let bench = Bench::new(wire.clone(), "carols", config_map()).await;
    let mut object = bench.config_map("a", "{}");
    object.set_at(&["metadata", "labels", "mark"], "carols".into());
    bench.create_as("setup", &object).await;
    let binding = r#"{"apiVersion":"rbac.authorization.k8s.io/v1","kind":"RoleBinding","metadata":{"name":"carol"},
        "roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"ClusterRole","name":"edit"},
        "subjects":[{"apiGroup":"rbac.authorization.k8s.io","kind":"User","name":"carol"}]}"#;
    let path = "/apis/rbac.authorization.k8s.io/v1/namespaces/carols/rolebindings";
    let body = value(binding).to_json().into_bytes();
    wire.write(http::Method::POST, path, trueup_cluster::wire::BodyKind::Json, body).await.unwrap();

    let text = std::fs::read_to_string(plane().kubeconfig()).unwrap();
    let carol =
        |line: &str| if line.contains("token:") { format!("{line}\n    as: carol") } else { line.to_owned() };
    let lines: Vec<String> = text.lines().map(carol).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), lines.join("\n")).unwrap();
    let access = Access::Kubeconfig { file: Some(file.path().to_owned()), context: None };
    let connection = Connection::open(&access, "test").await.unwrap();
    let cluster = watching::cluster_of(connection).await;
    watching::listed_in(&cluster, "carols").await;
    assert_eq!(cluster.tracked_by("carols").len(), 1);
}
