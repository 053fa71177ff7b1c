//! The verdict on an application: the fresh comparison, or for a while the last one, marked stale; and what is remembered
//! of it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use trueup_engine::app::{AppKey, FirstSeen};
use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::desired::{Completeness, TargetSet};
use trueup_engine::difference::Channel;
use trueup_engine::live::LiveSet;
use trueup_engine::look::{Comparison, ObjectComparison, Presence};
use trueup_engine::memory::{self as engine, Layered, Memory, MemoryContext, SchemaSet};
use trueup_engine::status::SyncStatus;
use trueup_engine::tracking::takes_mark;
use trueup_ledger::{Circumstances, Fact, HandedOver, LedgerError, NewEntry, Seq, Write};
use trueup_object::{ResourceKey, Text};

use crate::site::Site;
use crate::state::{AppState, Failing, Written};
use crate::turn::act::Scene;
use crate::turn::restore;

/// How long the last verdict stands while nothing fresh is to be had (contracts: "Limits").
pub const STALE_MAX: SignedDuration = SignedDuration::from_secs(180);

/// Takes note of what cannot be read, or that it can be read again. A failure that goes on keeps its beginning.
pub fn note_failure(known: &mut Option<Failing>, failure: Option<Condition>, now: Timestamp) {
    let since = known.as_ref().map_or(now, |failing| failing.since);
    *known = failure.map(|condition| Failing { since, condition });
}

/// Takes note of a question to Git that has had no answer for long: what is known is as old as it.
pub fn note_overdue(state: &mut AppState, now: Timestamp) {
    let Some((since, told_at)) = state.inquiry.overdue() else { return };
    if state.source_failing.is_none() && told_at <= now {
        let why = format!(
            "the sources have not been read since {since:.0}: Git has not answered yet; it is waited for, and \
             its server may be slow or its history large"
        );
        state.source_failing = Some(Failing { since, condition: Condition::comparison_error(why) });
    }
}

/// Takes note of kinds that cannot be observed, or that all can be again.
pub fn note_blind_spot(state: &mut AppState, fresh: &Comparison, live: &LiveSet, now: Timestamp) {
    let cause = blind_spot(fresh, live).map(Condition::comparison_error);
    note_failure(&mut state.cluster_failing, cause, now);
}

/// Whether the last verdict still stands although nothing fresh is to be had.
pub fn stands(state: &AppState, now: Timestamp) -> bool {
    state.failing().is_some_and(|failing| now < failing.since + STALE_MAX)
}

/// What tells that the last verdict is not fresh.
pub fn stale_warning(state: &AppState) -> Option<Condition> {
    let failing = state.failing()?;
    let until = failing.since + STALE_MAX;
    let why = &failing.condition.message;
    Some(Condition::new(
        ConditionType::StaleWarning,
        format!("the last verdict stands until {until:.0} and is then Unknown: {why}"),
    ))
}

/// When each difference was first seen, to be carried to the next look.
fn first_seen(comparison: &Comparison) -> FirstSeen {
    let all = comparison.differences().chain(comparison.notes());
    all.filter_map(|difference| Some((difference.id.clone(), difference.first_seen?))).collect()
}

/// The verdict to report: the fresh comparison; or the last one with a warning, where the cluster or the source cannot be
/// read and that one is not too old; or Unknown.
pub fn verdict(state: &AppState, fresh: Comparison, live: &LiveSet, now: Timestamp) -> Comparison {
    if state.failing().is_none() {
        return fresh;
    }
    let mut verdict = match (&state.comparison, stands(state, now)) {
        // What was judged before stands. Nothing becomes Synced by being looked at with old eyes.
        (Some(last), true) if state.source_failing.is_none() => {
            let mut standing = standing(last, fresh, live);
            standing.conditions.extend(stale_warning(state));
            standing
        }
        (Some(last), true) if fresh.status == SyncStatus::Unknown || is_better(&fresh, last) => {
            let mut standing = Comparison { conditions: fresh.conditions, ..last.clone() };
            standing.conditions.extend(stale_warning(state));
            standing
        }
        (Some(_), true) => {
            let mut standing = fresh;
            standing.conditions.extend(stale_warning(state));
            standing
        }
        // An application that was never judged has nothing that could stand; of one whose sources are unknown for long,
        // nothing can be said. Where only kinds are unobserved, the others still say what they say.
        (None, _) | (_, false) if state.source_failing.is_some() => Comparison {
            status: SyncStatus::Unknown,
            origin: trueup_engine::status::AppOrigin::Unknown,
            ..fresh
        },
        (None, _) | (_, false) => fresh,
    };
    // Of kinds that cannot be observed, the comparison tells itself.
    verdict.conditions.extend(state.source_failing.as_ref().map(|failing| failing.condition.clone()));
    tidy(verdict)
}

/// The fresh comparison, in which objects that cannot be observed are as they were last seen.
fn standing(last: &Comparison, mut fresh: Comparison, live: &LiveSet) -> Comparison {
    let is_known = |object: &ObjectComparison| object.status != SyncStatus::Unknown;
    for object in &mut fresh.objects {
        let unseen =
            object.presence == Presence::Unobserved && live.coverage.uncertainty(&object.key).is_some();
        if let (true, Some(seen)) = (unseen, last.object(&object.key).filter(|seen| is_known(seen))) {
            *object = seen.clone();
        }
    }
    if fresh.status == SyncStatus::OutOfSync || fresh.objects.iter().any(|it| it.counts && !is_known(it)) {
        return fresh;
    }
    // All that is there to know was known at some time. Targets that are not all known keep it Unknown.
    if last.status != SyncStatus::Unknown {
        Comparison { conditions: fresh.conditions, objects: fresh.objects, ..last.clone() }
    } else {
        fresh
    }
}

fn is_better(fresh: &Comparison, last: &Comparison) -> bool {
    fresh.status == SyncStatus::Synced && last.status != SyncStatus::Synced
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
        .filter_map(|object| live.coverage.uncertainty(&object.key))
        .next()
        .map(|cause| format!("{cause}; it is tried again by itself"))
}

/// Remembers every object that is as Git wants it and whose target is new, and those that a sync has just brought there;
/// closes what was intended and is now seen; keeps when each difference was first seen. Returns what the ledger is to keep.
pub fn remember(
    scene: &Scene<'_>,
    state: &mut AppState,
    memory: &mut BTreeMap<ResourceKey, Memory>,
    comparison: &Comparison,
) -> Vec<Write> {
    let mut writes = rebuilt(scene, state, memory);
    writes.extend(restore::forget_dropped(scene, state));
    writes.extend(agreed(scene, state, memory, comparison));
    if all_observed(comparison, scene.targets) {
        writes.extend(forget_gone(state, memory, comparison));
        state.remembered = true;
    }
    writes.extend(confirmed(scene, state, comparison));
    writes.extend(settled(scene, state, comparison));
    writes.extend(observed(scene, state, comparison));
    writes
}

/// Whether what a look found is on the disk.
pub async fn remembered(app: &AppKey, found: Result<HandedOver, LedgerError>) -> bool {
    let written = match found {
        Ok(handed_over) => handed_over.written().await.map(|_| ()),
        Err(error) => Err(error),
    };
    if let Err(error) = &written {
        tracing::error!(application = %app, %error, "what was found could not be written to the ledger");
    }
    written.is_ok()
}

/// What was read from Git again because the ledger had nothing: from now on it has.
fn rebuilt(scene: &Scene<'_>, state: &mut AppState, memory: &BTreeMap<ResourceKey, Memory>) -> Vec<Write> {
    let mut writes = Vec::new();
    for object in std::mem::take(&mut state.unwritten) {
        let Some(memory) = memory.get(&object).cloned() else { continue };
        let app = state.key.clone();
        writes.push(Write::Inventory { app: app.clone(), kinds: vec![object.group_kind()] });
        writes.push(Write::Memory { app, object, memory, circumstances: circumstances(scene) });
    }
    writes
}

/// What a step has written is what Git said before, from the look on that sees it, whatever Git says by then.
pub fn rebase(scene: &Scene<'_>, state: &AppState, memory: &mut BTreeMap<ResourceKey, Memory>) {
    let schemas = scene.site.schemas(scene.settings);
    let context = memory_context(scene, layered(&schemas));
    for (key, written) in state.just_synced.iter().filter(|(key, written)| is_seen(scene, key, written)) {
        // What others had added when it was first synced is not known yet.
        if let Some(memory) = memory.get_mut(key).filter(|memory| memory.base.is_some()) {
            let applied = engine::restore(&context, &written.target.unpack());
            (memory.base, memory.synced_at) = (applied.base, applied.synced_at);
        }
    }
}

fn is_seen(scene: &Scene<'_>, key: &ResourceKey, written: &Written) -> bool {
    scene.live.objects.get(key).is_some_and(|live| written.is_seen(live))
}

fn memory_context<'a>(scene: &Scene<'a>, schemas: Layered<'a>) -> MemoryContext<'a> {
    let secrecy = scene.settings.secrecy(scene.installation.secret_key());
    MemoryContext { schemas, secrecy, now: scene.now }
}

fn agreed(
    scene: &Scene<'_>,
    state: &mut AppState,
    memory: &mut BTreeMap<ResourceKey, Memory>,
    comparison: &Comparison,
) -> Vec<Write> {
    let schemas = scene.site.schemas(scene.settings);
    let context = memory_context(scene, layered(&schemas));
    let mut just_synced = std::mem::take(&mut state.just_synced);
    let mut writes = Vec::new();
    for object in &comparison.objects {
        let written = just_synced.get(&object.key).filter(|written| is_seen(scene, &object.key, written));
        let synced_now = written.is_some();
        let known = memory.get(&object.key).is_some_and(|memory| memory.base.is_some());
        if !(synced_now || agrees(object) && !(state.remembered && known)) {
            continue;
        }
        let applied = written.map(|written| written.target.unpack());
        let target = applied.as_ref().or_else(|| scene.targets.targets.get(&object.key));
        let (Some(target), Some(found)) = (target, scene.live.objects.get(&object.key)) else { continue };
        // What nobody has put under this application's care is not remembered before its first sync: what is there then
        // would pass as inherited.
        if !(synced_now
            || scene.app.tracking.owner(&found.object, &object.key).is_some()
            || !takes_mark(&object.key))
        {
            continue;
        }
        let earlier = memory.get(&object.key);
        let fresh = engine::remember(&context, target, found, object, earlier);
        let stands = |earlier: &Memory| earlier.base == fresh.base && earlier.unowned.is_some();
        if earlier.is_some_and(stands) && !synced_now {
            continue;
        }
        let mut circumstances = circumstances(scene);
        if let Some(written) = written {
            circumstances.revision.clone_from(&written.revision);
        }
        writes.push(Write::Inventory { app: state.key.clone(), kinds: vec![object.key.group_kind()] });
        writes.push(Write::Memory {
            app: state.key.clone(),
            object: object.key.clone(),
            memory: fresh.clone(),
            circumstances,
        });
        state.memory.get_or_insert_default().insert(object.key.clone(), fresh.clone());
        memory.insert(object.key.clone(), fresh);
    }
    // What cannot be seen now, or not yet, is remembered when it can be.
    let is_going_on = state.running.is_some();
    just_synced.retain(|key, written| match comparison.object(key).map(|it| it.presence) {
        Some(Presence::Unobserved) => true,
        Some(Presence::Missing) => is_going_on,
        Some(Presence::Matched | Presence::Extraneous) => !is_seen(scene, key, written),
        None => false,
    });
    state.just_synced = just_synced;
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

/// Says what came of what was interrupted: its object shows it.
fn settled(scene: &Scene<'_>, state: &mut AppState, comparison: &Comparison) -> Vec<Write> {
    let is_whole = scene.targets.completeness == Completeness::Complete;
    let is_unseen = |key: &ResourceKey| match comparison.object(key) {
        Some(object) => object.presence == Presence::Unobserved || object.problem.is_some(),
        None => !is_whole,
    };
    let (open, seen) =
        std::mem::take(&mut state.interrupted).into_iter().partition::<Vec<_>, _>(|(_, key)| is_unseen(key));
    state.interrupted = open;
    let entry = |(intent, key): (Seq, ResourceKey)| {
        let fact = if comparison.object(&key).is_none_or(agrees) {
            let live = scene.live.objects.get(&key);
            let resource_version = live.map(|live| live.version.resource_version.clone());
            Fact::Confirmed { intent, resource_version }
        } else {
            let reason =
                "the controller was interrupted, and the object is not as it was to become".to_owned();
            Fact::Refused { intent, reason }
        };
        let (time, app) = (scene.now, state.key.clone());
        Write::Entry(Box::new(NewEntry { time, app, object: Some(key), fact, evidence: None }))
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
