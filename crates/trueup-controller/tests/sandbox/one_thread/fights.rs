//! What a controller that begins anew knows of whom it has corrected.

use std::time::Duration;

use trueup_engine::app::AppKey;
use trueup_ledger::{Corrected, Fact, IntendedAction, Ledger, NewEntry};
use trueup_object::ResourceKey;

use super::{APPLICATIONS, DEPLOYMENT, World, in_its_own_time};

impl World {
    /// Waits until a fight is told of and who fights.
    async fn until_opponent(&self, name: &str) {
        let path = format!("{APPLICATIONS}/web");
        self.until(&path, |app| {
            let mut conditions = app.list_at(&["status", "conditions"]).iter();
            conditions.any(|it| {
                it.str_at(&["type"]) == Some("FightWarning")
                    && it.str_at(&["message"]).is_some_and(|message| message.contains(name))
            })
        })
        .await;
    }
}

/// What a controller has corrected is in its ledger: one that begins anew goes on backing off, and names whom it fights.
#[test]
fn a_fight_goes_on_after_a_crash() {
    in_its_own_time(async {
        let world = World::new(Duration::from_millis(1)).await;
        let (first, _) = world.control();
        world.until_all_synced().await;
        for _ in 0..7 {
            world.scale(5).await;
            world.until_replicas(2).await;
        }
        first.abort();
        world.disk.crash();
        assert!(first.await.is_err());
        world.scale(5).await;
        let (second, ended) = world.control();
        world.until_opponent("kubectl-edit").await;
        world.until_replicas(2).await;
        ended.cancel();
        assert!(second.await.is_ok_and(|ended| ended.is_ok()));
    });
}

/// Who was interrupted before an answer came does not know whether the correction came about. It has, where the object is another
/// now; that it differs again is the opponent's doing.
#[test]
fn a_correction_that_was_interrupted_counts() {
    in_its_own_time(async {
        let world = World::new(Duration::from_millis(1)).await;
        let (first, ended) = world.control();
        world.until_all_synced().await;
        for _ in 0..3 {
            world.scale(5).await;
            world.until_replicas(2).await;
        }
        ended.cancel();
        assert!(first.await.is_ok_and(|ended| ended.is_ok()));
        world.scale(5).await;
        let live = world.get(DEPLOYMENT).await.unwrap();
        let fact = Fact::Intended {
            action: IntendedAction::Apply,
            reason: "self-heal".to_owned(),
            by_policy: true,
            corrects: vec![Corrected {
                path: Some(".spec.replicas".to_owned()),
                opponent: Some("kubectl-edit".into()),
            }],
            revision: None,
            uid: live.str_at(&["metadata", "uid"]).map(Into::into),
            resource_version: live.str_at(&["metadata", "resourceVersion"]).map(Into::into),
        };
        let app = AppKey::new("argocd", "web");
        let object = Some(ResourceKey::new("apps", "Deployment", "web", "web"));
        let time = world.sandbox.clock().now();
        let ledger = Ledger::in_memory(&world.disk);
        ledger.append(NewEntry { time, app, object, fact, evidence: None }).await.unwrap();
        drop(ledger);
        // The correction, and the opponent once more.
        world.scale(2).await;
        world.scale(5).await;
        let (second, ended) = world.control();
        world.until_opponent("kubectl-edit").await;
        ended.cancel();
        assert!(second.await.is_ok_and(|ended| ended.is_ok()));
    });
}
