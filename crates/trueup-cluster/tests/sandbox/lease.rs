//! The Lease while the program that holds it gets nothing else done.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{Instant, sleep, timeout};
use trueup_cluster::lease::{Candidate, Keeper, Leadership, LeaseName, read_lease};
use trueup_cluster::wire::{BodyKind, Wire};
use trueup_object::Timestamp;

const DEADLINE: Duration = Duration::from_secs(60);
const NAMESPACE: &str = r#"{"apiVersion":"v1","kind":"Namespace","metadata":{"name":"leading"}}"#;

fn runtime(builder: &mut Builder) -> Runtime {
    builder.enable_all().build().unwrap()
}

async fn renewed(wire: &Wire, lease: &LeaseName) -> Option<Timestamp> {
    read_lease(wire, lease).await.unwrap().and_then(|record| record.renewed)
}

/// The program's runtime stands still, as it does while a thousand applications are compared at once.
#[test]
fn a_busy_program_still_renews_its_lease() {
    let servers = runtime(Builder::new_multi_thread().worker_threads(1));
    let (world, wire) = servers.block_on(async {
        let world = crate::world().await;
        let wire = world.connection().await.wire;
        let created = wire.write(http::Method::POST, "/api/v1/namespaces", BodyKind::Json, NAMESPACE.into());
        created.await.unwrap();
        (world, wire)
    });
    let lease = LeaseName { namespace: "leading".into(), name: "trueup".into() };
    let program = runtime(&mut Builder::new_current_thread());
    let keeper = program.block_on(async {
        let candidate = Candidate {
            access: world.access(),
            version: "test".into(),
            lease: lease.clone(),
            identity: "first".into(),
            clock: Arc::new(Timestamp::now),
        };
        let keeper = Keeper::start(candidate).unwrap();
        let mut leadership = keeper.leadership();
        let leads = leadership.wait_for(|state| *state == Leadership::Leading);
        assert!(timeout(DEADLINE, leads).await.is_ok());
        keeper
    });
    // From here on nothing runs in the program's runtime.
    servers.block_on(async {
        let first = renewed(&wire, &lease).await;
        let deadline = Instant::now() + DEADLINE;
        while renewed(&wire, &lease).await == first {
            assert!(Instant::now() < deadline, "the Lease was not renewed");
            sleep(Duration::from_millis(50)).await;
        }
        keeper.release().await;
        assert_eq!(read_lease(&wire, &lease).await.unwrap().unwrap().holder, "");
    });
}
