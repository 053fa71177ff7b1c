//! The verdict on an application: the fresh comparison, or for a while the last one, marked stale; and what is remembered
//! of it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use trueup_engine::app::FirstSeen;
use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::desired::{Completeness, TargetSet};
use trueup_engine::difference::Channel;
use trueup_engine::live::LiveSet;
use trueup_engine::look::{Comparison, ObjectComparison, Presence};
use trueup_engine::memory::{self as engine, Layered, Memory, MemoryContext, SchemaSet};
use trueup_engine::status::SyncStatus;
use trueup_engine::tracking::{takes_mark, tracked_by};
use trueup_ledger::{Circumstances, Fact, NewEntry, Seq, Write};
use trueup_object::{ResourceKey, Text};

use crate::site::Site;
use crate::state::{AppState, Failing};
use crate::turn::act::Scene;

/// How long the last verdict stands while nothing fresh is to be had (contracts: "Limits").
pub const STALE_MAX: SignedDuration = SignedDuration::from_secs(180);

/// Takes note of a source that cannot be read, or that it can be read again.
pub fn note_failure(state: &mut AppState, failure: Option<Condition>, now: Timestamp) {
    state.failing = lasting(state.failing.take(), failure, now);
}

/// Takes note of a cluster that does not show every object, or that it does again.
pub fn note_blindness(state: &mut AppState, fresh: &Comparison, live: &LiveSet, now: Timestamp) {
    let cause = blind_spot(fresh, live).map(Condition::comparison_error);
    state.blind = lasting(state.blind.take(), cause, now);
}

/// A trouble that goes on has the beginning that it had.
fn lasting(before: Option<Failing>, condition: Option<Condition>, now: Timestamp) -> Option<Failing> {
    let since = before.map_or(now, |failing| failing.since);
    condition.map(|condition| Failing { since, condition })
}

/// Whether the last verdict still stands although nothing fresh is to be had.
pub fn stands(state: &AppState, now: Timestamp) -> bool {
    state.failing.as_ref().is_some_and(|failing| now < failing.since + STALE_MAX)
}

/// What tells that the last verdict is not fresh.
pub fn stale_warning(failing: &Failing) -> Condition {
    let until = failing.since + STALE_MAX;
    let why = &failing.condition.message;
    Condition::new(
        ConditionType::StaleWarning,
        format!("the last verdict stands until {until} and is then Unknown: {why}"),
    )
}

/// When each difference was first seen, to be carried to the next look.
fn first_seen(comparison: &Comparison) -> FirstSeen {
    let all = comparison.differences().chain(comparison.notes());
    all.filter_map(|difference| Some((difference.id.clone(), difference.first_seen?))).collect()
}

/// The verdict to report: the fresh comparison; or the last one with a warning, where the cluster or the source cannot be
/// read and that one is not too old; or Unknown.
pub fn verdict(state: &AppState, fresh: Comparison, now: Timestamp) -> Comparison {
    let failing = [&state.failing, &state.blind].into_iter().flatten().min_by_key(|failing| failing.since);
    let Some(failing) = failing else { return fresh };
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
    standing.conditions.push(stale_warning(failing));
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

/// Remembers every object that is as Git wants it and whose target is new, and those that a sync has just brought there;
/// closes what was intended and is now seen; keeps when each difference was first seen.
pub async fn remember(
    scene: &Scene<'_>,
    state: &mut AppState,
    memory: &mut BTreeMap<ResourceKey, Memory>,
    comparison: &Comparison,
) {
    let mut writes = agreed(scene, state, memory, comparison);
    if all_observed(comparison, scene.targets) {
        writes.extend(forget_gone(state, memory, comparison));
        state.remembered = true;
    }
    writes.extend(confirmed(scene, state, comparison));
    writes.extend(observed(scene, state, comparison));
    if !writes.is_empty()
        && let Err(error) = scene.installation.ledger.write(writes).await
    {
        tracing::error!(application = %state.key, %error, "what was found could not be written to the ledger");
        state.memory = None;
    }
}

fn agreed(
    scene: &Scene<'_>,
    state: &mut AppState,
    memory: &mut BTreeMap<ResourceKey, Memory>,
    comparison: &Comparison,
) -> Vec<Write> {
    let schemas = scene.site.schemas();
    let context = MemoryContext {
        schemas: layered(&schemas),
        secret_key: scene.installation.secret_key(),
        now: scene.now,
    };
    let circumstances = circumstances(scene);
    let mut writes = Vec::new();
    for object in &comparison.objects {
        let synced_now = state.just_synced.contains(&object.key);
        let known = memory.get(&object.key).is_some_and(|memory| memory.base.is_some());
        if !(synced_now || agrees(object) && !(state.remembered && known)) {
            continue;
        }
        let target = scene.targets.targets.get(&object.key);
        let (Some(target), Some(found)) = (target, scene.live.objects.get(&object.key)) else { continue };
        // What nobody has put under this application's care is not remembered before its first sync: what is there then
        // would pass as inherited.
        if !(synced_now || tracked_by(&found.object, &object.key).is_some() || !takes_mark(&object.key)) {
            continue;
        }
        let earlier = memory.get(&object.key);
        let fresh = engine::remember(&context, target, found, object, earlier);
        let stands = |earlier: &Memory| earlier.base == fresh.base && earlier.unowned.is_some();
        if earlier.is_some_and(stands) && !synced_now {
            continue;
        }
        writes.push(Write::Inventory { app: state.key.clone(), kinds: vec![object.key.group_kind()] });
        writes.push(Write::Memory {
            app: state.key.clone(),
            object: object.key.clone(),
            memory: fresh.clone(),
            circumstances: circumstances.clone(),
        });
        state.memory.get_or_insert_default().insert(object.key.clone(), fresh.clone());
        memory.insert(object.key.clone(), fresh);
    }
    state.just_synced.clear();
    writes
}

/// What a table of unowned fields is valid for: another version of the server may fill in other fields.
fn circumstances(scene: &Scene<'_>) -> Circumstances {
    let revision = scene.targets.revisions.first().map(|revision| Text::from(revision.id.to_string()));
    Circumstances { revision, context: server_version(scene.site) }
}

/// The version of the cluster's API server; empty while it is not known.
pub fn server_version(site: &Site) -> Text {
    site.cluster.discovery().map(|known| Text::from(known.server_version.as_str())).unwrap_or_default()
}

/// Only observation proves a change (invariant 6): the step's object was seen as the step left it, or is gone.
fn confirmed(scene: &Scene<'_>, state: &mut AppState, comparison: &Comparison) -> Vec<Write> {
    let (seen, open) = std::mem::take(&mut state.open_intents)
        .into_iter()
        .partition::<Vec<_>, _>(|(_, key)| comparison.object(key).is_none_or(agrees));
    state.open_intents = open;
    let entry = |(intent, key): (Seq, ResourceKey)| {
        let live = scene.live.objects.get(&key);
        let resource_version = live.map(|live| live.version.resource_version.clone());
        Write::Entry(Box::new(NewEntry {
            time: scene.now,
            app: state.key.clone(),
            object: Some(key),
            fact: Fact::Confirmed { intent, resource_version },
            evidence: None,
        }))
    };
    seen.into_iter().map(entry).collect()
}

/// What is there now and was not at the last look, or the other way round.
fn observed(scene: &Scene<'_>, state: &mut AppState, comparison: &Comparison) -> Vec<Write> {
    let seen = first_seen(comparison);
    if seen.keys().eq(state.first_seen.keys()) {
        return Vec::new();
    }
    let differences: Vec<Text> =
        comparison.differences().map(|found| Text::from(found.id.as_str())).collect();
    let message = format!(
        "{}: {} differences, {} notes",
        comparison.status,
        differences.len(),
        comparison.notes().count()
    );
    state.first_seen = seen.clone();
    let entry = NewEntry {
        time: scene.now,
        app: state.key.clone(),
        object: None,
        fact: Fact::Observed { differences, message },
        evidence: None,
    };
    vec![Write::Entry(Box::new(entry)), Write::FirstSeen { app: state.key.clone(), seen }]
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
fn forget_gone(
    state: &mut AppState,
    memory: &mut BTreeMap<ResourceKey, Memory>,
    comparison: &Comparison,
) -> Vec<Write> {
    let gone: Vec<ResourceKey> =
        memory.keys().filter(|key| comparison.object(key).is_none()).cloned().collect();
    gone.into_iter()
        .map(|object| {
            memory.remove(&object);
            state.memory.get_or_insert_default().remove(&object);
            Write::ForgetObject { app: state.key.clone(), object }
        })
        .collect()
}
