//! Everything on one thread, with a clock that stands still until all have done what they can.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::{Method, Request};
use tokio::time::Instant;
use tower::ServiceExt;
use trueup_cluster::lease::{Candidate, Keeper, LEASE_DURATION, Leadership, LeaseName};
use trueup_cluster::wire::{BodyKind, WireError};
use trueup_cluster::{Access, Cluster, Connection, InProcess, Interest, RequestBody};
use trueup_object::{Gvk, ResourceKey, Timestamp, Value};
use trueup_sandbox::{Clock, Door, Sandbox, SandboxOptions};

const LONG: Duration = Duration::from_secs(30);

/// What was asked, and when.
type Journal = Arc<Mutex<Vec<(Duration, String)>>>;

fn start() -> Timestamp {
    "2026-01-02T03:04:05Z".parse().unwrap()
}

fn sandbox() -> Sandbox {
    let options = SandboxOptions { clock: Clock::starting_at(start()), ..SandboxOptions::default() };
    Sandbox::in_process(options).unwrap()
}

fn access(sandbox: &Sandbox) -> Access {
    Access::InProcess(InProcess::new("sandbox", sandbox.door("admin")))
}

/// A way in that writes down what passes.
fn noted(door: Door, journal: &Journal) -> Access {
    let (journal, began) = (journal.clone(), Instant::now());
    let service = tower::service_fn(move |request: Request<RequestBody>| {
        let line = format!("{} {}", request.method(), request.uri());
        journal.lock().unwrap().push((began.elapsed(), line));
        door.clone().oneshot(request)
    });
    Access::InProcess(InProcess::new("sandbox", service))
}

fn cluster(connection: Connection, sandbox: &Sandbox) -> Cluster {
    let clock = sandbox.clock().clone();
    Cluster::start(connection, Arc::new(|_| Interest::Named), Arc::new(move || clock.now()))
}

async fn create(connection: &Connection, name: &str) -> Result<(), WireError> {
    let body = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}}}}"#);
    let path = "/api/v1/namespaces/default/configmaps";
    connection.wire.write(Method::POST, path, BodyKind::Json, body.into_bytes()).await.map(|_| ())
}

#[tokio::test(start_paused = true)]
async fn a_cluster_is_watched_without_a_socket() {
    let sandbox = sandbox();
    let connection = Connection::open(&access(&sandbox), "test").await.unwrap();
    let cluster = cluster(connection.clone(), &sandbox);
    let gvk = Gvk::new("", "v1", "ConfigMap");
    cluster.reached(LONG).await.unwrap();
    cluster.watch(&gvk);
    assert!(cluster.settled(std::slice::from_ref(&gvk), LONG).await);
    create(&connection, "a").await.unwrap();
    let key = ResourceKey::new("", "ConfigMap", "default", "a");
    tokio::time::timeout(LONG, async {
        while cluster.observed(&key).is_none() {
            cluster.changes().next().await;
        }
    })
    .await
    .unwrap();
    let agent = sandbox.requests().last().map(|record| record.user_agent.clone());
    assert_eq!(agent.as_deref(), Some("trueup/test"));
}

#[tokio::test(start_paused = true)]
async fn a_cut_answer_is_none_and_a_server_that_is_down_is_not_reached() {
    let sandbox = sandbox();
    let connection = Connection::open(&access(&sandbox), "test").await.unwrap();
    sandbox.faults().add_json(&Value::from_json(br#"{"kind":"cut"}"#).unwrap()).unwrap();
    assert!(matches!(create(&connection, "a").await, Err(WireError::NoAnswer { .. })));
    sandbox.faults().clear();
    let error = create(&connection, "a").await.unwrap_err();
    assert_eq!(error.status().map(|status| status.code), Some(409), "the cut one had its effect");
    sandbox.shutdown().await;
    assert!(matches!(create(&connection, "b").await, Err(WireError::Unreachable { .. })));
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_striven_for_by_a_task_that_ends_with_its_keeper() {
    let sandbox = sandbox();
    let (journal, clock) = (Journal::default(), sandbox.clock().clone());
    let candidate = Candidate {
        access: noted(sandbox.door("admin"), &journal),
        version: "test".to_owned(),
        lease: LeaseName { namespace: "default".to_owned(), name: "acting".to_owned() },
        identity: "one".to_owned(),
        clock: Arc::new(move || clock.now()),
    };
    let keeper = Keeper::start(candidate.clone()).unwrap();
    let mut leadership = keeper.leadership();
    leadership.wait_for(|state| *state == Leadership::Leading).await.unwrap();
    drop(keeper);
    tokio::time::sleep(LEASE_DURATION).await;
    let n_requests = journal.lock().unwrap().len();
    tokio::time::sleep(LEASE_DURATION * 4).await;
    assert_eq!(journal.lock().unwrap().len(), n_requests, "nothing of it lives on");
    let other = Candidate { identity: "two".to_owned(), ..candidate };
    let keeper = Keeper::start(other).unwrap();
    keeper.leadership().wait_for(|state| *state == Leadership::Leading).await.unwrap();
    keeper.release().await;
}

/// The way to a server while things go wrong.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Open,
    Refused,
    /// Nothing is answered.
    Silent,
}

/// A way in that lets through what it is told to.
fn guarded(door: Door, way: &Arc<Mutex<Way>>) -> Access {
    let way = way.clone();
    let service = tower::service_fn(move |request: Request<RequestBody>| {
        let (door, way) = (door.clone(), *way.lock().unwrap());
        async move {
            match way {
                Way::Open => door.oneshot(request).await,
                Way::Refused => Err(tower::BoxError::from("refused")),
                Way::Silent => std::future::pending().await,
            }
        }
    });
    Access::InProcess(InProcess::new("sandbox", service))
}

/// The server refuses, and falls silent just when the deadline passes: the try that begins then must not keep the lease.
#[tokio::test(start_paused = true)]
async fn who_cannot_renew_stops_before_another_may_begin() {
    let sandbox = sandbox();
    let way = Arc::new(Mutex::new(Way::Open));
    let clock = sandbox.clock().clone();
    let candidate = Candidate {
        access: guarded(sandbox.door("admin"), &way),
        version: "test".to_owned(),
        lease: LeaseName { namespace: "default".to_owned(), name: "acting".to_owned() },
        identity: "one".to_owned(),
        clock: Arc::new(move || clock.now()),
    };
    let keeper = Keeper::start(candidate).unwrap();
    let mut leadership = keeper.leadership();
    leadership.wait_for(|state| *state == Leadership::Leading).await.unwrap();
    let renewed = Instant::now();
    *way.lock().unwrap() = Way::Refused;
    tokio::time::sleep(Duration::from_millis(9_500)).await;
    assert_eq!(*leadership.borrow(), Leadership::Leading, "a short fault of the server stops nobody");
    *way.lock().unwrap() = Way::Silent;
    leadership.wait_for(|state| *state != Leadership::Leading).await.unwrap();
    let held = renewed.elapsed();
    assert!(held < LEASE_DURATION, "held for {held:?}");
    *way.lock().unwrap() = Way::Open;
    leadership.wait_for(|state| *state == Leadership::Leading).await.unwrap();
    keeper.release().await;
}

/// A cluster, three kinds and a few changes: what was asked, and when.
fn run_once() -> Vec<(Duration, String)> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let sandbox = sandbox();
        let journal = Journal::default();
        let connection = Connection::open(&noted(sandbox.door("admin"), &journal), "test").await.unwrap();
        let cluster = cluster(connection.clone(), &sandbox);
        for kind in ["ConfigMap", "Secret", "Service"] {
            cluster.watch(&Gvk::new("", "v1", kind));
        }
        for number in 0..5 {
            create(&connection, &format!("c{number}")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(700)).await;
        }
        tokio::time::sleep(Duration::from_secs(1000)).await;
        std::mem::take(&mut *journal.lock().unwrap())
    })
}

#[test]
fn two_runs_ask_the_same_at_the_same_times() {
    let (first, second) = (run_once(), run_once());
    assert!(first.len() > 30, "{}", first.len());
    assert_eq!(first, second);
}
