//! Tables of requests that both worlds must answer alike.

use crate::both::Worlds;

async fn same(table: &str) {
    let worlds = Worlds::open().await;
    worlds.play_all(table).await;
    worlds.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gives_more_than_he_has() {
    same(include_str!("tables/escalation.yaml")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_hold_alike() {
    same(include_str!("tables/limits.yaml")).await;
}
