//! Commits that come while others are applied.

use std::time::Duration;

use tokio::time::sleep;

use super::{APPLICATIONS, World, in_its_own_time};
use crate::world::deployment;

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
