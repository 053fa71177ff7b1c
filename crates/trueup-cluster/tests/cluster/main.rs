//! The cluster crate against a real control plane.
#![expect(clippy::unwrap_used, reason = "tests")]
#![expect(clippy::disallowed_methods, reason = "tests against a real server use real time")]

mod act;
mod lease;

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::time::timeout;
use trueup_cluster::{
    Access, Change, Cluster, ConnectError, Connection, Content, Head, Interest, KindState, Lookup,
    ObjectName, SchemaCache,
};
use trueup_object::{Gvk, ResourceKey};
use trueup_testkit::controlplane::{ControlPlane, Options};

const DEADLINE: Duration = Duration::from_secs(20);

/// One control plane for all tests of this file; each test uses namespaces of its own. It ends with this process.
fn plane() -> &'static ControlPlane {
    static PLANE: OnceLock<ControlPlane> = OnceLock::new();
    PLANE.get_or_init(|| ControlPlane::start(&Options::default(), &mut |_| {}).unwrap())
}

fn kubectl(arguments: &[&str]) -> String {
    let output = plane().kubectl().args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn kubectl_stdin(arguments: &[&str], text: &str) {
    let mut command: Command = plane().kubectl();
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    assert!(child.wait().unwrap().success(), "{arguments:?}");
}

async fn connection() -> Connection {
    let access = Access::Kubeconfig { file: Some(plane().kubeconfig().to_owned()), context: None };
    Connection::open(&access, "test").await.unwrap()
}

/// Objects with the label `mark` are tracked by its value; `kube-root-ca.crt` and the like are nobody's.
fn marked(head: &Head) -> Interest {
    head.labels.get("mark").map_or(Interest::None, |mark| Interest::Tracked(mark.as_str().into()))
}

async fn cluster() -> Cluster {
    let clock = Arc::new(trueup_object::Timestamp::now);
    let cluster = Cluster::start(connection().await, Arc::new(marked), clock);
    cluster.reached(DEADLINE).await.unwrap();
    cluster
}

/// Reads changes until the condition holds.
async fn until(cluster: &Cluster, what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            cluster.changes().next().await;
        }
    };
    assert!(timeout(DEADLINE, wait).await.is_ok(), "{what}: {:?}", cluster.states());
}

fn config_map() -> Gvk {
    Gvk::new("", "v1", "ConfigMap")
}

fn name(namespace: &str, name: &str) -> ObjectName {
    ObjectName { namespace: namespace.into(), name: name.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_knows_what_is_served() {
    let cluster = cluster().await;
    let discovery = cluster.discovery().unwrap();
    assert!(discovery.is_complete(), "{:?}", discovery.missing().collect::<Vec<_>>());
    assert_eq!(discovery.server_version, plane().ready().kubernetes);
    assert!(
        matches!(discovery.find(&Gvk::new("apps", "v1", "Deployment")), Lookup::Served(kind) if kind.can("watch"))
    );
    assert!(matches!(discovery.find(&Gvk::new("apps", "v1beta1", "Deployment")), Lookup::OtherVersions(_)));
    assert_eq!(discovery.find(&Gvk::new("example.com", "v1", "Nothing")), Lookup::NotServed);
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

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_others_arrive_as_changes() {
    kubectl(&["create", "namespace", "watching"]);
    kubectl(&["--namespace=watching", "create", "configmap", "before", "--from-literal=a=1"]);
    kubectl(&["--namespace=watching", "label", "configmap", "before", "mark=watching"]);
    let cluster = cluster().await;
    cluster.watch(&config_map());
    until(&cluster, "listed", || cluster.state(&config_map()).is_some_and(|state| state.is_complete())).await;
    let tracked = cluster.tracked_by("watching");
    assert_eq!(tracked.len(), 1);
    let value = tracked.first().unwrap().1.value().unwrap();
    assert_eq!(value.str_at(&["data", "a"]), Some("1"));
    assert!(!value.list_at(&["metadata", "managedFields"]).is_empty());
    assert_eq!(value.str_at(&["kind"]), Some("ConfigMap"));

    cluster.changes().drain();
    kubectl(&["--namespace=watching", "patch", "configmap", "before", "-p", r#"{"data":{"a":"2"}}"#]);
    let key = ResourceKey::new("", "ConfigMap", "watching", "before");
    let changed = async { while cluster.changes().next().await != Change::Object(key.clone()) {} };
    timeout(DEADLINE, changed).await.unwrap();
    let value = cluster.observed(&key).unwrap().value().unwrap();
    assert_eq!(value.str_at(&["data", "a"]), Some("2"));

    kubectl(&["--namespace=watching", "delete", "configmap", "before"]);
    until(&cluster, "deleted", || cluster.tracked_by("watching").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_nobody_are_read_when_they_are_needed() {
    kubectl(&["create", "namespace", "needing"]);
    kubectl(&["--namespace=needing", "create", "configmap", "plain", "--from-literal=a=1"]);
    let cluster = cluster().await;
    cluster.watch(&config_map());
    until(&cluster, "listed", || cluster.state(&config_map()).is_some_and(|state| state.is_complete())).await;
    let plain = name("needing", "plain");
    assert!(matches!(cluster.get(&config_map(), &plain), Some(Content::Version(_))));
    let key = ResourceKey::new("", "ConfigMap", "needing", "plain");
    let live = cluster.live_set("nobody", &[(config_map(), key.clone())]).await;
    assert!(live.unread.is_empty(), "{:?}", live.unread);
    assert_eq!(live.objects.get(&key).unwrap().object.str_at(&["data", "a"]), Some("1"));
    let gone = name("needing", "gone");
    assert_eq!(cluster.need([(config_map(), gone)]).await, []);
}

const WIDGETS: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.watch.example.com}
spec:
  group: watch.example.com
  names: {kind: Widget, plural: widgets, singular: widget, listKind: WidgetList}
  scope: Namespaced
  versions:
  - {name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_comes_and_goes_with_its_definition() {
    let cluster = cluster().await;
    let widget = Gvk::new("watch.example.com", "v1", "Widget");
    cluster.watch(&widget);
    assert!(cluster.settled(std::slice::from_ref(&widget), DEADLINE).await);
    let not_served = || matches!(cluster.state(&widget), Some(KindState::NotServed { .. }));
    until(&cluster, "not served at first", not_served).await;

    kubectl_stdin(&["apply", "-f", "-"], WIDGETS);
    until(&cluster, "served", || matches!(cluster.state(&widget), Some(KindState::Complete { .. }))).await;
    let object = "apiVersion: watch.example.com/v1\nkind: Widget\nmetadata: {name: a, namespace: default, labels: {mark: widgets}}\n";
    kubectl_stdin(&["apply", "-f", "-"], object);
    until(&cluster, "seen", || cluster.tracked_by("widgets").len() == 1).await;
    let described = || cluster.schemas().is_some_and(|schemas| schemas.lookup(&widget).is_some());
    until(&cluster, "its schema", described).await;

    kubectl(&["delete", "customresourcedefinition", "widgets.watch.example.com"]);
    until(&cluster, "gone", || cluster.tracked_by("widgets").is_empty() && not_served()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_sets_hold_what_is_tracked() {
    kubectl(&["create", "namespace", "live"]);
    kubectl(&["--namespace=live", "create", "configmap", "mine", "--from-literal=a=1"]);
    kubectl(&["--namespace=live", "label", "configmap", "mine", "mark=live"]);
    let cluster = cluster().await;
    cluster.watch(&config_map());
    until(&cluster, "listed", || cluster.state(&config_map()).is_some_and(|state| state.is_complete())).await;
    let missing = ResourceKey::new("", "ConfigMap", "live", "missing");
    let live = cluster.live_set("live", &[(config_map(), missing.clone())]).await;
    assert!(live.unread.is_empty(), "{:?}", live.unread);
    assert!(live.coverage.is_certain(&config_map().group_kind()));
    assert!(!live.objects.contains_key(&missing));
    assert_eq!(live.objects.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_come_from_the_cluster() {
    let connection = connection().await;
    let mut cache = SchemaCache::default();
    let deployment = Gvk::new("apps", "v1", "Deployment");
    let unserved = Gvk::new("example.com", "v1", "Nothing");
    let kinds = [deployment.clone(), unserved].into();
    let first = cache.refresh(&connection.wire, &kinds).await.unwrap();
    assert!(first.changed && first.problems.is_empty(), "{:?}", first.problems);
    assert!(first.schemas.lookup(&deployment).is_some());
    let again = cache.refresh(&connection.wire, &kinds).await.unwrap();
    assert!(!again.changed, "nothing changed on the server");
}
