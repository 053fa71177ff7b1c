//! Listing and watching: what others do arrives, and what is not known is a state.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::time::timeout;
use trueup_cluster::wire::BodyKind;
use trueup_cluster::{Change, Cluster, Content, Head, Interest, KindState, Lookup, SchemaCache};
use trueup_object::{Gvk, ResourceKey};

use super::{Bench, config_map, value};
use crate::World;

/// Long enough for a busy machine; nothing waits for it when all is well.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Objects with the label `mark` are tracked by its value; all others are nobody's.
fn marked(head: &Head) -> Interest {
    head.labels.get("mark").map_or(Interest::None, |mark| Interest::Tracked(mark.as_str().into()))
}

pub async fn cluster(world: &World) -> Cluster {
    cluster_of(world.connection().await).await
}

pub async fn cluster_of(connection: trueup_cluster::Connection) -> Cluster {
    let clock = Arc::new(trueup_object::Timestamp::now);
    let cluster = Cluster::start(connection, Arc::new(marked), clock);
    cluster.reached(DEADLINE).await.unwrap();
    cluster
}

/// Reads changes until the condition holds.
pub async fn until(cluster: &Cluster, what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            cluster.changes().next().await;
        }
    };
    let reached = timeout(DEADLINE, wait).await.is_ok();
    assert!(reached, "{what}: {:?}", cluster.states());
}

pub async fn listed(cluster: &Cluster, gvk: &Gvk) {
    cluster.watch(gvk);
    until(cluster, "listed", || cluster.state(gvk).is_some_and(|state| state.is_complete())).await;
}

/// Waits until ConfigMaps are listed in one namespace, since they may not be in all.
pub async fn listed_in(cluster: &Cluster, namespace: &str) {
    let (kind, wanted) = (config_map(), namespace.into());
    cluster.watch(&kind);
    let listed = || {
        cluster.watch_in(&kind, [&wanted]);
        cluster.knows_all(&kind, namespace)
    };
    until(cluster, "listed in one namespace", listed).await;
    let coverage = cluster.coverage();
    let key = |namespace: &str| ResourceKey::new("", "ConfigMap", namespace, "absent");
    assert!(coverage.is_certain(&key(namespace)));
    assert!(coverage.uncertainty(&key("elsewhere")).unwrap().contains("forbidden"), "{coverage:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn discovery_knows_what_is_served() {
    let world = crate::world().await;
    let cluster = cluster(&world).await;
    let discovery = cluster.discovery().unwrap();
    assert!(discovery.is_complete(), "{:?}", discovery.missing().collect::<Vec<_>>());
    assert!(discovery.server_version.starts_with("v1."), "{}", discovery.server_version);
    assert!(
        matches!(discovery.find(&Gvk::new("apps", "v1", "Deployment")), Lookup::Served(kind) if kind.can("watch"))
    );
    assert!(matches!(discovery.find(&Gvk::new("apps", "v1beta1", "Deployment")), Lookup::OtherVersions(_)));
    assert_eq!(discovery.find(&Gvk::new("example.com", "v1", "Nothing")), Lookup::NotServed);
}

#[tokio::test(flavor = "multi_thread")]
async fn writes_of_others_arrive_as_changes() {
    let world = crate::world().await;
    let bench = Bench::new(world.connection().await.wire, "watching", config_map()).await;
    let mut object = bench.config_map("before", r#"{"a":"1"}"#);
    object.set_at(&["metadata", "labels", "mark"], "watching".into());
    bench.create_as("kubectl-create", &object).await;
    let cluster = cluster(&world).await;
    listed(&cluster, &config_map()).await;
    let tracked = cluster.tracked_by("watching");
    assert_eq!(tracked.len(), 1);
    let live = tracked.first().unwrap().1.value().unwrap();
    assert_eq!(live.str_at(&["data", "a"]), Some("1"));
    assert!(!live.list_at(&["metadata", "managedFields"]).is_empty());
    assert_eq!(live.str_at(&["kind"]), Some("ConfigMap"));

    cluster.changes().drain();
    bench.patch_as("kubectl-patch", "before", r#"{"data":{"a":"2"}}"#).await;
    let key = ResourceKey::new("", "ConfigMap", "watching", "before");
    let changed = async { while cluster.changes().next().await != Change::Object(key.clone()) {} };
    timeout(DEADLINE, changed).await.unwrap();
    let live = cluster.observed(&key).unwrap().value().unwrap();
    assert_eq!(live.str_at(&["data", "a"]), Some("2"));

    bench.delete("before").await;
    until(&cluster, "deleted", || cluster.tracked_by("watching").is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_of_nobody_are_read_when_they_are_needed() {
    let world = crate::world().await;
    let bench = Bench::new(world.connection().await.wire, "needing", config_map()).await;
    bench.create_as("kubectl-create", &bench.config_map("plain", r#"{"a":"1"}"#)).await;
    let cluster = cluster(&world).await;
    listed(&cluster, &config_map()).await;
    let plain = bench.name("plain");
    assert!(matches!(cluster.get(&config_map(), &plain), Some(Content::Version(_))));
    let key = ResourceKey::new("", "ConfigMap", "needing", "plain");
    let live = cluster.live_set("nobody", &[(config_map(), key.clone())]).await;
    assert!(live.unread.is_empty(), "{:?}", live.unread);
    assert_eq!(live.objects.get(&key).unwrap().object.str_at(&["data", "a"]), Some("1"));
    assert_eq!(cluster.need([(config_map(), bench.name("gone"))]).await, []);
}

const WIDGETS: &str = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition",
  "metadata":{"name":"widgets.watch.example.com"},
  "spec":{"group":"watch.example.com","scope":"Namespaced",
    "names":{"kind":"Widget","plural":"widgets","singular":"widget","listKind":"WidgetList"},
    "versions":[{"name":"v1","served":true,"storage":true,
      "schema":{"openAPIV3Schema":{"type":"object","properties":{"size":{"type":"integer"}}}}}]}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_comes_and_goes_with_its_definition() {
    let world = crate::world().await;
    let definition = Gvk::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let bench = Bench::new(world.connection().await.wire, "defining", definition).await;
    let cluster = cluster(&world).await;
    let widget = Gvk::new("watch.example.com", "v1", "Widget");
    cluster.watch(&widget);
    assert!(cluster.settled(std::slice::from_ref(&widget), DEADLINE).await);
    let not_served = || matches!(cluster.state(&widget), Some(KindState::NotServed { .. }));
    until(&cluster, "not served at first", not_served).await;

    bench.create_as("kubectl-create", &value(WIDGETS)).await;
    until(&cluster, "served", || matches!(cluster.state(&widget), Some(KindState::Complete { .. }))).await;
    let object = r#"{"apiVersion":"watch.example.com/v1","kind":"Widget","metadata":{"name":"a","labels":{"mark":"widgets"}}}"#;
    let path = "/apis/watch.example.com/v1/namespaces/defining/widgets";
    bench.wire.write(Method::POST, path, BodyKind::Json, object.into()).await.unwrap();
    until(&cluster, "seen", || cluster.tracked_by("widgets").len() == 1).await;
    let described = || cluster.schemas().is_some_and(|schemas| schemas.lookup(&widget).is_some());
    until(&cluster, "its schema", described).await;

    bench.delete("widgets.watch.example.com").await;
    until(&cluster, "gone", || cluster.tracked_by("widgets").is_empty() && not_served()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_sets_hold_what_is_tracked() {
    let world = crate::world().await;
    let bench = Bench::new(world.connection().await.wire, "live", config_map()).await;
    let mut object = bench.config_map("mine", r#"{"a":"1"}"#);
    object.set_at(&["metadata", "labels", "mark"], "live".into());
    bench.create_as("kubectl-create", &object).await;
    let cluster = cluster(&world).await;
    listed(&cluster, &config_map()).await;
    let missing = ResourceKey::new("", "ConfigMap", "live", "missing");
    let live = cluster.live_set("live", &[(config_map(), missing.clone())]).await;
    assert!(live.unread.is_empty(), "{:?}", live.unread);
    assert!(live.coverage.is_settled(&config_map().group_kind()));
    assert!(!live.objects.contains_key(&missing));
    assert_eq!(live.objects.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn schemas_come_from_the_cluster() {
    let world = crate::world().await;
    let wire = world.connection().await.wire;
    let mut cache = SchemaCache::default();
    let deployment = Gvk::new("apps", "v1", "Deployment");
    let unserved = Gvk::new("example.com", "v1", "Nothing");
    let kinds = [deployment.clone(), unserved].into();
    let first = cache.refresh(&wire, &kinds).await.unwrap();
    assert!(first.changed && first.problems.is_empty(), "{:?}", first.problems);
    assert!(first.schemas.lookup(&deployment).is_some());
    let again = cache.refresh(&wire, &kinds).await.unwrap();
    assert!(!again.changed, "nothing changed on the server");
}
