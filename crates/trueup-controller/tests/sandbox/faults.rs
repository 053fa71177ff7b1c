//! The world's faults that no story can make: an API server that nobody reaches, a repository that goes away and comes
//! back, two controllers at once.

use std::time::Duration;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::world::{World, deployment};

const HEALING: &str = r#"{"syncPolicy":{"automated":{"selfHeal":true,"prune":true}}}"#;

/// Passes connections on to the sandbox until it is stopped, which ends them all.
struct Passage(JoinHandle<()>);

impl Passage {
    async fn open(port: u16, to: u16) -> Self {
        let listener = loop {
            // The port is free again a moment after its last connection has ended.
            match TcpListener::bind(("127.0.0.1", port)).await {
                Ok(listener) => break listener,
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        };
        Self(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut from, _)) = listener.accept().await {
                connections.spawn(async move {
                    if let Ok(mut onward) = TcpStream::connect(("127.0.0.1", to)).await {
                        let _ = copy_bidirectional(&mut from, &mut onward).await;
                    }
                });
            }
        }))
    }

    async fn close(self) {
        self.0.abort();
        let _ = self.0.await;
    }
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_server_that_is_down_at_start_and_later_is_waited_for() {
    let port = free_port().await;
    let world = World::start_through(&[("apps/web/deployment.yaml", &deployment(2))], port).await;
    world.application("web", HEALING).await;
    let passage = Passage::open(port, world.port()).await;
    world.until("web", |status| status.str_at(&["sync", "status"]) == Some("Synced")).await;
    passage.close().await;
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    let passage = Passage::open(port, world.port()).await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.until("web", |status| status.str_at(&["sync", "status"]) == Some("Synced")).await;
    world.end().await;
    passage.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_goes_away_is_named_and_its_return_noticed() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", HEALING).await;
    world.until("web", |status| status.str_at(&["sync", "status"]) == Some("Synced")).await;
    world.hide_repository();
    world.refresh("web").await;
    let status = world.until("web", |status| !status.list_at(&["conditions"]).is_empty()).await;
    assert_eq!(status.str_at(&["sync", "status"]), Some("Synced"), "the last verdict stands for a while");
    let types: Vec<_> =
        status.list_at(&["conditions"]).iter().filter_map(|condition| condition.str_at(&["type"])).collect();
    assert_eq!(types, ["ComparisonError", "StaleWarning"]);
    assert_eq!(world.deployment().await.int_at(&["spec", "replicas"]), Some(2));
    world.show_repository();
    world.refresh("web").await;
    world.until("web", |status| status.list_at(&["conditions"]).is_empty()).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_controllers_one_acts_and_the_other_takes_its_place() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", HEALING).await;
    world.until("web", |status| status.str_at(&["sync", "status"]) == Some("Synced")).await;
    let second = world.second_controller();
    second.until(|shown| shown.ready).await;
    assert!(!second.board.shown().leading, "the Lease is another's");
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    assert!(!second.board.shown().leading);
    world.end_controller().await;
    second.until(|shown| shown.leading).await;
    world.edit(r#"{"spec":{"replicas":7}}"#, "kubectl-edit").await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    second.end().await;
    world.end().await;
}
