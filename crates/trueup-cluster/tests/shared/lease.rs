//! Who leads, decided by a Lease.

use std::sync::Arc;

use tokio::time::timeout;
use trueup_cluster::Clock;
use trueup_cluster::lease::{Leadership, LeaseName, read_lease, release, strive};

use super::watching::DEADLINE;
use super::{Bench, config_map};

async fn becomes(leadership: &mut trueup_latest::Receiver<Leadership>, expected: &Leadership) {
    let reached = timeout(DEADLINE, leadership.wait_for(|state| state == expected)).await.is_ok();
    assert!(reached, "{expected:?}: {:?}", leadership.borrow());
}

#[tokio::test(flavor = "multi_thread")]
async fn one_leads_and_the_next_follows_once_it_is_released() {
    let world = crate::world().await;
    let wire = Bench::new(world.connection().await.wire, "leading", config_map()).await.wire;
    let lease = LeaseName { namespace: "leading".into(), name: "trueup".into() };
    let clock: Clock = Arc::new(trueup_object::Timestamp::now);
    let join = |identity: &str| {
        let (sender, receiver) = trueup_latest::channel(Leadership::Unknown);
        let strive = strive(wire.clone(), lease.clone(), identity.into(), clock.clone(), sender);
        (tokio::spawn(strive), receiver)
    };
    let (first_task, mut first) = join("first");
    becomes(&mut first, &Leadership::Leading).await;
    let (_second_task, mut second) = join("second");
    becomes(&mut second, &Leadership::Following { holder: "first".into() }).await;
    let record = read_lease(&wire, &lease).await.unwrap().unwrap();
    assert!(record.is_held(clock()));
    assert_eq!(record.holder, "first");

    // The same identity again, as after a restart, need not wait.
    first_task.abort();
    let (again_task, mut again) = join("first");
    becomes(&mut again, &Leadership::Leading).await;
    again_task.abort();

    release(&wire, &lease, "first", &clock).await.unwrap();
    becomes(&mut second, &Leadership::Leading).await;
}
