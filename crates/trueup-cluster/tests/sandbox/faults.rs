//! What the sandbox lets go wrong.

use trueup_cluster::act::{self, Hand, Refusal};
use trueup_cluster::{Cause, Cluster, KindState};

use crate::World;
use crate::shared::watching::{cluster, listed, until};
use crate::shared::{Bench, config_map, value};

async fn bench(namespace: &'static str) -> (World, Bench) {
    let world = crate::world().await;
    let wire = world.connection().await.wire;
    (world, Bench::new(wire, namespace, config_map()).await)
}

fn fault(world: &World, rule: &str) {
    world.sandbox.faults().add_json(&value(rule)).unwrap();
}

fn incomplete(cluster: &Cluster) -> Option<Cause> {
    match cluster.state(&config_map()) {
        Some(KindState::Incomplete { cause, .. }) => Some(cause),
        Some(
            KindState::Unlisted
            | KindState::Listing { .. }
            | KindState::Complete { .. }
            | KindState::NotServed { .. },
        )
        | None => None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_that_breaks_off_is_no_listing() {
    let (world, bench) = bench("partial").await;
    for name in ["a", "b", "c"] {
        let mut object = bench.config_map(name, "{}");
        object.set_at(&["metadata", "labels", "mark"], "partial".into());
        bench.create_as("setup", &object).await;
    }
    fault(&world, r#"{"partial-list":{"kind":"ConfigMap","keep":1}}"#);
    let cluster = cluster(&world).await;
    cluster.watch(&config_map());
    until(&cluster, "incomplete", || incomplete(&cluster).is_some()).await;
    let live = cluster.live_set("partial", &[]).await;
    assert!(!live.coverage.is_settled(&config_map().group_kind()));

    world.sandbox.faults().clear();
    listed(&cluster, &config_map()).await;
    assert_eq!(cluster.tracked_by("partial").len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn dropped_watches_miss_nothing() {
    let (world, bench) = bench("dropped").await;
    let cluster = cluster(&world).await;
    listed(&cluster, &config_map()).await;
    for name in ["a", "b", "c"] {
        fault(&world, r#"{"drop-watch":{"after":"0s"}}"#);
        world.sandbox.faults().clear();
        let mut object = bench.config_map(name, "{}");
        object.set_at(&["metadata", "labels", "mark"], "dropped".into());
        bench.create_as("somebody", &object).await;
    }
    until(&cluster, "all seen", || cluster.tracked_by("dropped").len() == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_fails_is_a_state_that_passes() {
    let (world, _bench) = bench("failing").await;
    fault(&world, r#"{"kind":"status","code":503,"match":{"kind":"ConfigMap"}}"#);
    let cluster = cluster(&world).await;
    cluster.watch(&config_map());
    until(&cluster, "incomplete", || matches!(incomplete(&cluster), Some(Cause::Server(_)))).await;
    world.sandbox.faults().clear();
    listed(&cluster, &config_map()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_and_lost_writes_are_told_apart() {
    let (world, bench) = bench("writing").await;
    let place = bench.place("a");
    act::create(&bench.wire, place, &bench.config_map("a", r#"{"x":"1"}"#), &Hand::real()).await.unwrap();
    let observed = bench.live("a").await.version;
    let target = bench.config_map("a", r#"{"x":"2"}"#);

    fault(&world, r#"{"kind":"conflict","times":1}"#);
    let refusal = act::apply(&bench.wire, place, &target, &observed, &Hand::real()).await.unwrap_err();
    assert!(matches!(refusal, Refusal::PreconditionFailed { .. }), "{refusal:?}");
    world.sandbox.faults().clear();

    fault(&world, r#"{"kind":"status","code":429,"retryAfter":3}"#);
    let refusal = act::apply(&bench.wire, place, &target, &observed, &Hand::real()).await.unwrap_err();
    let Refusal::Busy { retry_after, .. } = refusal else { panic!("{refusal:?}") };
    assert_eq!(retry_after.map(|wait| wait.as_secs()), Some(3));
    world.sandbox.faults().clear();

    // The effect happens, the answer is lost: nothing is claimed, and nothing is sent twice.
    fault(&world, r#"{"kind":"cut"}"#);
    let refusal = act::apply(&bench.wire, place, &target, &observed, &Hand::real()).await.unwrap_err();
    assert!(matches!(refusal, Refusal::AnswerUnknown { .. }), "{refusal:?}");
    world.sandbox.faults().clear();
    assert_eq!(bench.live("a").await.object.str_at(&["data", "x"]), Some("2"));
}

/// Rights in some namespaces only: those are listed each for itself, and nothing is said about others.
#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_forbidden_as_a_whole_is_listed_by_namespace() {
    let (world, bench) = bench("partly").await;
    let mut object = bench.config_map("a", "{}");
    object.set_at(&["metadata", "labels", "mark"], "partly".into());
    bench.create_as("setup", &object).await;
    fault(&world, r#"{"kind":"status","code":403,"match":{"verb":["list","watch"],"namespace":""}}"#);
    let cluster = cluster(&world).await;
    crate::shared::watching::listed_in(&cluster, "partly").await;
    assert_eq!(cluster.tracked_by("partly").len(), 1);
    bench.delete("a").await;
    until(&cluster, "its end is seen", || cluster.tracked_by("partly").is_empty()).await;

    // As soon as the whole may be listed, it is.
    world.sandbox.faults().clear();
    listed(&cluster, &config_map()).await;
    cluster.watch_in(&config_map(), [&"partly".into()]);
    assert!(cluster.seen_in_part().is_empty());
}
