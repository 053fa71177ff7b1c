//! What the other applications have to do with this one's objects: an object that moves from one to another is neither
//! deleted nor fought over.
//!
//! The old one does not prune what the new one declares, and before it prunes anything by policy it lets all that read the same
//! repositories read what it has read: which of the two reads a commit first is chance. The new one takes an object over by
//! policy only where the old one is known to declare it no longer.

use std::collections::BTreeSet;

use jiff::SignedDuration;
use trueup_engine::look::{Comparison, Presence};
use trueup_engine::plan::{HeldReason, Others, SyncPlan};
use trueup_engine::policy::{Asked, Authority};
use trueup_object::{ResourceKey, Timestamp};

use crate::mailbox::Depth;
use crate::state::AppState;
use crate::turn::act::Scene;
use crate::turn::gather;

/// What has not read a commit by then cannot: its repository hangs, or its worker has much else to do.
const READING_MAX: SignedDuration = SignedDuration::from_secs(30);

/// How soon it is looked at again whether all have read. Those that declare what is waiting for wake the worker.
const READING_STEP: SignedDuration = SignedDuration::from_millis(250);

/// What planning needs to know of them.
pub fn others(
    scene: &Scene<'_>,
    state: &mut AppState,
    comparison: &Comparison,
    authority: &Authority,
) -> Others {
    let is_extraneous = |presence| match presence {
        Presence::Extraneous => true,
        Presence::Matched | Presence::Missing | Presence::Unobserved => false,
    };
    let extraneous = comparison.objects.iter().filter(|object| is_extraneous(object.presence));
    let extraneous: Vec<&ResourceKey> = extraneous.map(|object| &object.key).collect();
    let cluster = &scene.app.destination.cluster;
    let wanted =
        scene.installation.routes.declared_elsewhere(extraneous.iter().copied(), cluster, &state.key);
    let prunes = authority.prune && authority.asked == Asked::Policy;
    let unread = prunes && extraneous.iter().any(|key| !wanted.contains_key(key)) && is_unread(scene, state);
    let wanted = wanted.into_iter().map(|(key, app)| (key, app.name)).collect();
    Others { wanted, given_up: given_up(scene, state), unread }
}

/// Objects that this application declares and another one has given up. One that declares such an object still is asked, once,
/// to read what this one has read.
pub fn given_up(scene: &Scene<'_>, state: &mut AppState) -> BTreeSet<ResourceKey> {
    let (app, routes) = (scene.app, &scene.installation.routes);
    let mut given_up = BTreeSet::new();
    let mut owners = BTreeSet::new();
    for (key, live) in scene.live.objects.iter().filter(|(key, _)| scene.targets.targets.contains_key(*key)) {
        let owner = app.tracking.owner(&live.object, key).filter(|owner| *owner != app.instance);
        let Some(owner) = owner else { continue };
        if routes.has_given_up(&owner, key, &app.destination.cluster) {
            given_up.insert(key.clone());
        } else {
            owners.extend(routes.of_instance(&owner));
        }
    }
    if let Some(since) =
        state.changed_at.filter(|since| !owners.is_empty() && state.owners_asked != Some(*since))
    {
        let own = gather::reading(Some(app), since);
        for owner in routes.unread_since(since, &own, owners.into_iter().collect()) {
            scene.installation.staff.wake(&owner, Depth::Git);
        }
        state.owners_asked = Some(since);
    }
    given_up
}

/// Whether some that may declare something of the same repositories have not read since the targets became what they are;
/// they are asked to, once.
fn is_unread(scene: &Scene<'_>, state: &mut AppState) -> bool {
    let Some(since) = state.changed_at else { return false };
    if scene.now.duration_since(since) > READING_MAX {
        return false;
    }
    let staff = &scene.installation.staff;
    let everyone = staff.everyone().into_iter().map(|(app, _)| app).filter(|app| *app != state.key);
    let own = gather::reading(Some(scene.app), since);
    let unread = scene.installation.routes.unread_since(since, &own, everyone.collect());
    if state.others_asked != Some(since) {
        for app in &unread {
            staff.wake(app, Depth::Git);
        }
        state.others_asked = Some(since);
    }
    !unread.is_empty()
}

/// When a plan that waits for others is made again.
pub fn wait_until(plan: &SyncPlan, now: Timestamp) -> Option<Timestamp> {
    plan.held.iter().any(|held| held.reason == HeldReason::OthersUnread).then(|| now + READING_STEP)
}
