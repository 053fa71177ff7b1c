//! Objects that are missing, extraneous, or not observed.

use trueup_health::ObjectHealth;
use trueup_object::{Gvk, ResourceKey};

use super::{LookInput, ObjectComparison, ObjectProblem, Presence};
use crate::desired::Target;
use crate::difference::{Attribution, Change, Channel, Class, Confidence, Difference, DifferenceId, Origin};
use crate::live::Live;
use crate::memory;
use crate::pair::Unobserved;
use crate::status::SyncStatus;
use crate::unsupported;

/// Git wants it, the cluster has it not. What we applied before was deleted, and Git may have changed it too; what we never
/// applied is new in Git.
pub fn missing(input: &LookInput<'_>, key: &ResourceKey, target: &Target) -> ObjectComparison {
    let base = input.memory.get(key).and_then(|memory| memory.base.as_ref());
    let (origin, class) = match base {
        None => (Origin::Git, git_class(input)),
        Some(base) if memory::is_base(base, input.schemas, input.secrecy(), target) => {
            (Origin::Cluster, Class::Unattributed)
        }
        Some(_) => (Origin::Both, Class::Unattributed),
    };
    let difference = whole(input, key, &target.gvk, Change::Missing, origin, class);
    ObjectComparison {
        differences: vec![difference],
        health: ObjectHealth::Missing,
        ..ObjectComparison::blank(key, &target.gvk, Presence::Missing, SyncStatus::OutOfSync)
    }
}

/// It carries our mark and Git does not want it (any more).
pub fn extraneous(input: &LookInput<'_>, key: &ResourceKey, live: &Live) -> ObjectComparison {
    let was_applied = input.memory.get(key).is_some_and(|memory| memory.base.is_some());
    let (origin, class) =
        if was_applied { (Origin::Git, git_class(input)) } else { (Origin::Unknown, Class::Unattributed) };
    let difference = whole(input, key, &live.gvk, Change::Extraneous, origin, class);
    ObjectComparison {
        differences: vec![difference],
        health: health_of(input, live),
        health_counts: health_counts(input, live),
        counts: !unsupported::ignores_extraneous(&live.object),
        ..ObjectComparison::blank(key, &live.gvk, Presence::Extraneous, SyncStatus::OutOfSync)
    }
}

/// What Git moved and is not applied: a pending commit, or what our last operation did not come to.
pub(super) fn git_class(input: &LookInput<'_>) -> Class {
    let half_done =
        input.last_sync.is_some_and(|last| last.left_half_done(&input.targets.revisions, input.memory));
    if half_done { Class::PartialSync } else { Class::Git }
}

/// Nothing can be said about it: that is Unknown, never absence.
pub fn unobserved(input: &LookInput<'_>, unobserved: &Unobserved) -> ObjectComparison {
    let key = &unobserved.key;
    let gvk = input
        .targets
        .targets
        .get(key)
        .map(|target| target.gvk.clone())
        .or_else(|| input.live.objects.get(key).map(|live| live.gvk.clone()))
        .unwrap_or_else(|| Gvk::new(&key.group, "", &key.kind));
    let problem = ObjectProblem {
        message: unobserved.why.clone(),
        remedy: "make the cause go away (rights, API server, manifest or file); then it is compared anew"
            .to_owned(),
    };
    ObjectComparison {
        problem: Some(problem),
        ..ObjectComparison::blank(key, &gvk, Presence::Unobserved, SyncStatus::Unknown)
    }
}

/// The health of an object that is there.
pub(super) fn health_of(input: &LookInput<'_>, live: &Live) -> ObjectHealth {
    input.health.of_object(&live.object, input.now.as_second())
}

/// Hooks are no part of an application's health, and an Application that manages itself is none of its own.
pub(super) fn health_counts(input: &LookInput<'_>, live: &Live) -> bool {
    let is_itself = live.key.group == "argoproj.io"
        && live.key.kind == "Application"
        && live.key.namespace == input.app.key.namespace
        && live.key.name == input.app.key.name;
    !is_itself && !trueup_health::is_hook(&live.object)
}

fn whole(
    input: &LookInput<'_>,
    key: &ResourceKey,
    gvk: &Gvk,
    change: Change,
    origin: Origin,
    class: Class,
) -> Difference {
    let id = DifferenceId::new(&input.app.key, key, Channel::Existence, None);
    Difference {
        first_seen: Some(input.first_seen.get(&id).copied().unwrap_or(input.now)),
        id,
        key: key.clone(),
        gvk: gvk.clone(),
        channel: Channel::Existence,
        path: None,
        pointer: None,
        change,
        origin,
        target: None,
        live: None,
        base: None,
        predicted: None,
        unconfirmed: None,
        attribution: Attribution {
            class,
            // A deletion leaves no trace in the cluster (detection.md 6, fact 4).
            confidence: Confidence::None,
            manager: None,
            operation: None,
            subresource: None,
            time: None,
        },
        inherited: false,
        sensitive: false,
        ignored_by: None,
        message: None,
    }
}
