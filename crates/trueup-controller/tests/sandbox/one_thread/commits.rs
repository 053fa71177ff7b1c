//! Commits that come while others are applied, or that one controller applies and another remembers.

use std::time::Duration;

use http::Method;
use tokio::time::sleep;
use trueup_cluster::wire::BodyKind;
use trueup_ledger::MemoryDisk;

use super::{APPLICATIONS, World, in_its_own_time};
use crate::world::{config_map, deployment};

/// What Git says next is read while what it said before is being applied. It is no change in the cluster that the second is not
/// there: nobody has applied it yet.
#[test]
fn a_commit_that_is_read_while_another_is_applied_is_applied_too() {
    for next in [2, 4] {
        in_its_own_time(async {
            let world = World::new(Duration::from_millis(1)).await;
            let (controller, ended) = world.control();
            world.until_all_synced().await;
            world.tell("web", r#"{"spec":{"syncPolicy":{"automated":null}}}"#).await;
            world.commit(&[("apps/web/deployment.yaml", &deployment(3))]);
            world
                .tell("web", r#"{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}"#)
                .await;
            let path = format!("{APPLICATIONS}/web");
            world.until(&path, |app| app.str_at(&["status", "sync", "status"]) == Some("OutOfSync")).await;
            world.fault(r#"{"kind":"latency","ms":15000}"#, r#"{"kind":"Deployment","verb":["patch"]}"#);
            world.slow_git(Duration::from_secs(5));
            world.commit(&[("apps/web/deployment.yaml", &deployment(next))]);
            world
                .tell(
                    "web",
                    r#"{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}},
                        "spec":{"syncPolicy":{"automated":{"selfHeal":false}}}}"#,
                )
                .await;
            world.until_replicas(3).await;
            world.until_replicas(i64::from(next)).await;
            world.until_all_synced().await;
            sleep(Duration::from_secs(1)).await;
            ended.cancel();
            assert!(controller.await.is_ok_and(|ended| ended.is_ok()));
        });
    }
}

const BESIDE: &str = "/api/v1/namespaces/web/configmaps/beside";

impl World {
    /// A controller with this disk plays its part, and goes.
    async fn led_by(&mut self, disk: &MemoryDisk, part: impl AsyncFnOnce(&Self)) {
        self.disk = disk.clone();
        self.start = self.sandbox.clock().now();
        let (controller, ended) = self.control();
        part(self).await;
        sleep(Duration::from_secs(30)).await;
        ended.cancel();
        assert!(controller.await.is_ok_and(|ended| ended.is_ok()));
    }
}

/// What another controller has pruned, because Git had dropped it, was not deleted by hand: a commit that brings it back is applied by
/// the one that remembers it from before. What was deleted by hand since the other one's sync stays away where nothing is healed.
#[test]
fn what_another_controller_has_pruned_comes_back_with_a_commit() {
    in_its_own_time(async {
        let mut world = World::new(Duration::from_millis(1)).await;
        let (one, other) = (MemoryDisk::new([7; 32]), MemoryDisk::new([8; 32]));
        let beside = [("apps/web/map.yaml", &*config_map("beside", "a"))];
        world.commit(&beside);
        world.tell("web", r#"{"spec":{"syncPolicy":{"automated":{"prune":true,"selfHeal":false}}}}"#).await;
        for disk in [&one, &other] {
            world.led_by(disk, async |world| world.until_all_synced().await).await;
        }
        world.drop_file("apps/web/map.yaml");
        world
            .led_by(&one, async |world| {
                while world.get(BESIDE).await.is_some() {
                    sleep(Duration::from_millis(100)).await;
                }
                world.until_all_synced().await;
            })
            .await;
        world.commit(&beside);
        world
            .led_by(&other, async |world| {
                world.until(BESIDE, |_| true).await;
                world.until_all_synced().await;
            })
            .await;
        world.wire.write(Method::DELETE, BESIDE, BodyKind::Json, Vec::new()).await.unwrap();
        world.led_by(&other, async |_| {}).await;
        assert_eq!(world.sync_status("web").await, "OutOfSync");
        assert!(world.get(BESIDE).await.is_none(), "deleted by hand, in an application that does not heal");
    });
}

/// What was written is what Git said before only once it is seen: an event that comes late makes nobody a changer of the cluster, and
/// what was there before is not remembered as what an apply has left.
#[test]
fn what_was_written_and_is_not_seen_yet_is_no_change_in_the_cluster() {
    in_its_own_time(async {
        let world = World::new(Duration::from_millis(1)).await;
        world.fault(r#"{"kind":"late-watch","ms":4000}"#, r#"{"kind":"Deployment"}"#);
        let (controller, ended) = world.control();
        world.until_all_synced().await;
        sleep(Duration::from_secs(30)).await;
        let n_before = world.n_asked();
        world.commit(&[("apps/web/deployment.yaml", &deployment(3))]);
        world.tell("web", r#"{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}"#).await;
        world.until_replicas(3).await;
        sleep(Duration::from_secs(30)).await;
        world.until_all_synced().await;
        let told = world.told_since(n_before);
        assert!(told.iter().any(|report| report.contains(r#""origin":"git""#)), "{told:?}");
        assert!(!told.iter().any(|report| report.contains(r#""origin":"cluster""#)), "{told:?}");
        ended.cancel();
        assert!(controller.await.is_ok_and(|ended| ended.is_ok()));
    });
}

impl World {
    /// What was reported of drift since so many requests.
    fn told_since(&self, n_before: usize) -> Vec<String> {
        let journal = self.journal.lock().unwrap();
        let asked = journal.iter().skip(n_before);
        let reports = asked.filter(|(_, method, address, _)| {
            *method == Method::PATCH && address.contains("/driftreports/web")
        });
        reports.map(|(_, _, _, body)| String::from_utf8_lossy(body).into_owned()).collect()
    }
}
