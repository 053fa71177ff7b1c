//! The verdict on an application: the fresh comparison, or for a while the last one, marked stale; and what is remembered
//! of it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use trueup_engine::app::FirstSeen;
use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::desired::{Completeness, TargetSet};
use trueup_engine::difference::Channel;
use trueup_engine::live::LiveSet;
use trueup_engine::look::{Comparison, ObjectComparison, Presence};
use trueup_engine::memory::{Layered, Memory, MemoryContext, SchemaSet, remember};
use trueup_engine::status::SyncStatus;
use trueup_ledger::{Circumstances, Write};
use trueup_object::{ResourceKey, Text};

use crate::installation::Installation;
use crate::site::Site;
use crate::state::{AppState, Failing};

/// How long the last verdict stands while nothing fresh is to be had (contracts: "Limits").
pub const STALE_MAX: SignedDuration = SignedDuration::from_secs(180);

/// Takes note of a source that cannot be read, or that it can be read again.
pub fn note_failure(state: &mut AppState, failure: Option<Condition>, now: Timestamp) {
    state.failing = failure.map(|condition| {
        let since = state.failing.as_ref().map_or(now, |failing| failing.since);
        Failing { since, condition }
    });
}

/// Whether the last verdict still stands although nothing fresh is to be had.
pub fn stands(state: &AppState, now: Timestamp) -> bool {
    state.failing.as_ref().is_some_and(|failing| now < failing.since + STALE_MAX)
}

/// What tells that the last verdict is not fresh.
pub fn stale_warning(state: &AppState) -> Option<Condition> {
    let failing = state.failing.as_ref()?;
    let until = failing.since + STALE_MAX;
    let why = &failing.condition.message;
    Some(Condition::new(
        ConditionType::StaleWarning,
        format!("the last verdict stands until {until} and is then Unknown: {why}"),
    ))
}

/// When each difference was first seen, to be carried to the next look.
pub fn first_seen(comparison: &Comparison) -> FirstSeen {
    let all = comparison.differences().chain(comparison.notes());
    all.filter_map(|difference| Some((difference.id.clone(), difference.first_seen?))).collect()
}

/// The verdict to report: the fresh comparison; or the last one with a warning, where the cluster or the source cannot be
/// read and that one is not too old; or Unknown.
pub fn verdict(state: &mut AppState, fresh: Comparison, live: &LiveSet, now: Timestamp) -> Comparison {
    if let Some(cause) = blind_spot(&fresh, live) {
        // Only what was seen before can be stale: an application that was never judged is Unknown at once.
        let condition = Condition::comparison_error(cause);
        if state.failing.is_none() {
            state.failing = Some(Failing { since: now, condition });
        }
    }
    let Some(failing) = &state.failing else { return fresh };
    let until = failing.since + STALE_MAX;
    if now >= until {
        let mut late = fresh;
        late.status = SyncStatus::Unknown;
        late.origin = trueup_engine::status::AppOrigin::Unknown;
        late.conditions.push(failing.condition.clone());
        return tidy(late);
    }
    let mut standing = match &state.comparison {
        Some(last) if fresh.status == SyncStatus::Unknown => {
            Comparison { conditions: fresh.conditions, ..last.clone() }
        }
        Some(_) | None => fresh,
    };
    standing.conditions.push(failing.condition.clone());
    standing.conditions.extend(stale_warning(state));
    tidy(standing)
}

fn tidy(mut comparison: Comparison) -> Comparison {
    comparison.conditions.sort();
    comparison.conditions.dedup();
    comparison
}

/// Why objects could not be observed, where the cluster is the cause and not a manifest.
fn blind_spot(fresh: &Comparison, live: &LiveSet) -> Option<String> {
    let unobserved = fresh.objects.iter().filter(|object| object.presence == Presence::Unobserved);
    unobserved
        .filter_map(|object| live.coverage.uncertainty(&object.key.group_kind()))
        .next()
        .map(|cause| format!("{cause}; it is tried again by itself"))
}

/// Remembers every object that is as Git wants it and whose target is new, and those that a sync has just brought there.
pub async fn remember_agreed(
    installation: &Installation,
    state: &mut AppState,
    site: &Site,
    targets: &Arc<TargetSet>,
    live: &LiveSet,
    comparison: &Comparison,
) {
    let same_targets = state.remembered.as_ref().is_some_and(|known| Arc::ptr_eq(known, targets));
    let now = installation.now();
    let schemas = site.schemas();
    let context = MemoryContext { schemas: layered(&schemas), secret_key: installation.secret_key(), now };
    let mut writes = Vec::new();
    let memory = state.memory.get_or_insert_default();
    for object in &comparison.objects {
        let synced_now = state.just_synced.contains(&object.key);
        let known = memory.get(&object.key).is_some_and(|memory| memory.base.is_some());
        if !(synced_now || agrees(object) && !(same_targets && known)) {
            continue;
        }
        let (Some(target), Some(found)) = (targets.targets.get(&object.key), live.objects.get(&object.key))
        else {
            continue;
        };
        let earlier = memory.get(&object.key);
        let fresh = remember(&context, target, found, object, earlier);
        let unchanged = earlier.is_some_and(|earlier| earlier.base == fresh.base) && !synced_now;
        if unchanged {
            continue;
        }
        writes.extend(stored(&state.key, &object.key, &fresh, targets));
        memory.insert(object.key.clone(), fresh);
    }
    state.just_synced.clear();
    if all_observed(comparison, targets) {
        writes.extend(forget_gone(state, comparison));
        state.remembered = Some(targets.clone());
    }
    if !writes.is_empty()
        && let Err(error) = installation.ledger.write(writes).await
    {
        tracing::error!(application = %state.key, %error, "what was synced could not be remembered");
        state.memory = None;
    }
}

/// The cluster's own schemas before those compiled in.
pub fn layered(schemas: &SchemaSet) -> Layered<'_> {
    schemas.over(SchemaSet::builtin())
}

/// Whether nothing that Git declares differs; additions by others may be there.
fn agrees(object: &ObjectComparison) -> bool {
    object.presence == Presence::Matched
        && object.problem.is_none()
        && !object.differences.iter().any(|difference| match difference.channel {
            Channel::Declared | Channel::Existence => true,
            Channel::Undeclared | Channel::Unowned => false,
        })
}

fn all_observed(comparison: &Comparison, targets: &TargetSet) -> bool {
    targets.completeness == Completeness::Complete
        && comparison.objects.iter().all(|object| object.presence != Presence::Unobserved)
}

/// What was pruned, or deleted after Git dropped it, is forgotten: it would else look like something that was deleted by
/// hand when it comes back.
fn forget_gone(state: &mut AppState, comparison: &Comparison) -> Vec<Write> {
    let memory = state.memory.get_or_insert_default();
    let gone: Vec<ResourceKey> =
        memory.keys().filter(|key| comparison.object(key).is_none()).cloned().collect();
    gone.into_iter()
        .map(|object| {
            memory.remove(&object);
            Write::ForgetObject { app: state.key.clone(), object }
        })
        .collect()
}

fn stored(
    app: &trueup_engine::app::AppKey,
    object: &ResourceKey,
    memory: &Memory,
    targets: &TargetSet,
) -> Vec<Write> {
    let (app, object) = (app.clone(), object.clone());
    let revision = targets.revisions.first().map(|revision| Text::from(revision.id.to_string()));
    let circumstances = Circumstances { revision, context: Text::default() };
    vec![
        Write::Inventory { app: app.clone(), kinds: vec![object.group_kind()] },
        Write::Memory { app, object, memory: memory.clone(), circumstances },
    ]
}
