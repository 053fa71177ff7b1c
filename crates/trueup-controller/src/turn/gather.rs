//! Gathering: what is remembered, what Git wants, what is live.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trueup_cluster::wire::WireError;
use trueup_cluster::{KindScope, Lookup, ObjectName};
use trueup_engine::app::{App, AppKey, ClusterName, RefreshLevel};
use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::desired::{Scope, TargetSet};
use trueup_engine::live::LiveSet;
use trueup_engine::memory::SchemaSet;
use trueup_engine::source::Revision;
use trueup_ledger::LedgerError;
use trueup_object::{GroupKind, Gvk, ResourceKey, Text};

use trueup_repo::Freshness;

use crate::applications::Seen;
use crate::inquiry::{Answered, Wish};
use crate::installation::{Installation, spread};
use crate::mailbox::Depth;
use crate::packed::{PackedMemory, PackedTargets};
use crate::routes::{Named, Reading};
use crate::site::{Site, scaler_kinds};
use crate::sources::{Read, Settled, SourcesFailure};
use crate::state::AppState;
use crate::turn::errand::{Errand, Via};
use crate::turn::{recall, restore, verdict};

/// What was asked of the cluster before a look.
pub struct Asked {
    /// The kinds that the application has to do with.
    pub kinds: BTreeSet<Gvk>,
    /// The objects of the application of before, of kinds of which there may be any.
    pub before: BTreeSet<ResourceKey>,
    /// Objects that are there and could not be read.
    pub unread: Vec<(ResourceKey, WireError)>,
}

/// Applications of one repository that poll at about the same time share one question to the remote.
const POLL_SHARED: Duration = Duration::from_secs(10);

/// So do those that try a failed source again.
const RETRY_SHARED: Duration = Duration::from_secs(2);

/// What is rendered anew because the cluster has become another need not be asked for anew: polls do that.
const RENDERED_ANEW: Duration = Duration::from_secs(180);

/// Why a turn is taken, as far as it concerns Git.
pub struct Occasion {
    pub woken: Depth,
    /// The Application names other sources than at the last turn.
    pub sources_changed: bool,
    /// Somebody has just asked for a sync.
    pub taken_up: bool,
}

/// The wait after a source could not be read, doubled each time.
const SOURCE_RETRY_BASE: SignedDuration = SignedDuration::from_secs(5);
const SOURCE_RETRY_MAX: SignedDuration = SignedDuration::from_secs(120);

/// Loads what is remembered of the application, once.
pub async fn memory(installation: &Installation, state: &mut AppState) -> Result<(), LedgerError> {
    if state.memory.is_some() {
        return Ok(());
    }
    let stored = installation.ledger.memory(&state.key).await?;
    for (object, why) in &stored.unreadable {
        tracing::warn!(application = %state.key, object, why, "what is remembered of an object cannot be read");
    }
    state.first_seen = stored.first_seen;
    let contexts: BTreeSet<&Text> = stored.circumstances.values().map(|found| &found.context).collect();
    // Tables of several versions are of no use: one of them is old.
    state.context = if contexts.len() == 1 { contexts.first().map(|found| Text::clone(found)) } else { None };
    state.memory = Some(PackedMemory::new(stored.objects));
    let open = installation.interrupted.take(&state.key);
    state.interrupted.extend(open.intents);
    state.unanswered.extend(open.corrections);
    if let Some((fights, pace)) = installation.past.take(&state.key) {
        (state.fights, state.pace) = (fights, pace);
    }
    Ok(())
}

/// Whether what is remembered was taken for another version of the server.
pub fn is_other_server(state: &AppState, site: &Site) -> bool {
    let version = verdict::server_version(site);
    !version.is_empty() && state.context.as_ref().is_some_and(|known| *known != version)
}

/// Forgets what nobody owned where it was taken for another version of the server, whose new defaults would else be
/// false drift everywhere (detection.md 2); it is taken anew from what agrees.
pub fn keep_context(state: &mut AppState, site: &Site) {
    let version = verdict::server_version(site);
    if version.is_empty() || state.context.as_ref() == Some(&version) {
        return;
    }
    if let Some(memory) = &mut state.memory {
        memory.forget_unowned();
    }
    state.remembered = false;
    state.context = Some(version);
}

/// Takes over what Git has answered since the last turn; returns for whom. What was known stays where the sources could not be
/// read.
pub fn answered(state: &mut AppState, app: &App, now: Timestamp) -> Option<Wish> {
    let Answered { wish, begun_at, answer } = state.inquiry.take()?;
    let Some(wish) = wish else {
        recall::take_over(state, app, answer);
        return None;
    };
    state.asked_at = Some(begun_at);
    let read = match answer {
        Some(answer) => {
            state.asking += answer.took;
            state.restored |= answer.is_restored;
            if let Some(restored) = answer.restored {
                restore::take_over(state, restored);
            }
            if answer.app.sources != app.sources || answer.revision != wanted_revision(state) {
                // Something else is wanted by now; who waited for this waits for that.
                state.inquiry.wish(wish);
                return None;
            }
            state.sources = answer.reads;
            answer.read
        }
        // The panic itself is in the log.
        None => Err(SourcesFailure::Failed {
            message: "failed to read the sources: a bug of the controller; see its log".to_owned(),
            is_answer: false,
        }),
    };
    note_answer(state, &read, now);
    let failure = match read {
        Ok(Read::Same(revisions)) => {
            if let Some(targets) = &mut state.targets {
                targets.revisions = revisions;
            }
            None
        }
        Ok(Read::Fresh(settled)) => {
            take_over(state, *settled, now);
            None
        }
        Err(SourcesFailure::Unsupported(unsupported)) => {
            state.targets = None;
            Some(trueup_api::unsupported_condition(&[unsupported]))
        }
        Err(SourcesFailure::Failed { message, .. }) => {
            Some(Condition::new(ConditionType::ComparisonError, message))
        }
    };
    verdict::note_failure(&mut state.source_failing, failure, begun_at);
    Some(wish)
}

/// What Git is to be asked now: what somebody asks for, what has become other than it was read for, and what is due.
pub fn wish(
    state: &AppState,
    site: &Site,
    app: &App,
    occasion: &Occasion,
    answered: Option<&Wish>,
    now: Timestamp,
) -> Option<Wish> {
    let refresh = match app.refresh {
        Some(RefreshLevel::Hard) => Depth::Hard,
        Some(RefreshLevel::Normal) => Depth::Git,
        None => Depth::Live,
    };
    let heard = state.inquiry.refreshing().max(answered.map_or(Depth::Live, |wish| wish.refresh));
    let refresh = if refresh > heard { refresh } else { Depth::Live };
    // What was asked for a moment ago is synced as Git has it now.
    let is_awaited =
        occasion.sources_changed || occasion.taken_up || state.asked_revision != wanted_revision(state);
    let depth = occasion.woken.max(refresh).max(if is_awaited { Depth::Git } else { Depth::Live });
    if depth > Depth::Live {
        return Some(Wish { depth, freshness: Freshness::Now, refresh, is_awaited });
    }
    if state.inquiry.is_under_way() {
        return None;
    }
    let by_itself =
        |freshness, is_awaited| Some(Wish { depth: Depth::Git, freshness, refresh: Depth::Live, is_awaited });
    // A source that could not be read is not asked at every event: its own timer does that.
    let is_retried = state.source_retry_at.is_some_and(|at| at <= now);
    if state.source_failing.is_none() && !is_usable(state, site, app) {
        return by_itself(Freshness::Within(RENDERED_ANEW), true);
    }
    let is_due = is_retried || state.poll_at.is_none_or(|at| at <= now);
    let shared = if state.source_failing.is_some() { RETRY_SHARED } else { POLL_SHARED };
    if is_due { by_itself(Freshness::Within(shared), false) } else { None }
}

/// Asks Git what is wished for, unless it is being asked already.
pub fn inquire(
    installation: &Arc<Installation>,
    state: &mut AppState,
    site: &Arc<Site>,
    seen: &Seen,
    now: Timestamp,
) {
    let owner = (installation.staff.clone(), state.key.clone());
    // Before the remote is asked, which may take long, what was last reported is looked at again.
    if let Some(errand) = recall::due(installation, state, site, seen) {
        return state.inquiry.begin(None, now, owner, errand.run());
    }
    let Some(wish) = state.inquiry.due() else { return };
    let revision = wanted_revision(state);
    let errand = Errand {
        installation: installation.clone(),
        site: site.clone(),
        app: seen.app.clone(),
        asked: seen.app.clone(),
        via: Via::Remote(wish.freshness),
        revision: revision.clone(),
        may_stand: wish.depth < Depth::Hard && is_usable(state, site, &seen.app),
        earlier: state.sources.clone(),
        lost: restore::what_was_lost(state, seen),
    };
    state.asked_revision = revision;
    state.source_retry_at = None;
    state.poll_at = Some(next_poll(installation, &state.key, now));
    state.inquiry.begin(Some(wish), now, owner, errand.run());
}

fn next_poll(installation: &Installation, key: &AppKey, now: Timestamp) -> Timestamp {
    let settings = &installation.settings;
    let jitter = settings.poll_jitter.mul_f64(spread(key));
    let wait = SignedDuration::try_from(settings.poll + jitter).unwrap_or(SignedDuration::from_secs(120));
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// Sets when a source that failed is asked again: soon, then more and more seldom; the poll is the upper limit. What
/// this build cannot render changes with a commit only, which the poll finds.
fn note_answer(state: &mut AppState, read: &Result<Read, SourcesFailure>, now: Timestamp) {
    match read {
        Ok(_) | Err(SourcesFailure::Unsupported(_)) => {
            state.source_failures = 0;
            state.source_retry_at = None;
        }
        Err(SourcesFailure::Failed { .. }) => {
            let factor = 2_i32.saturating_pow(state.source_failures);
            let wait = SOURCE_RETRY_BASE.checked_mul(factor).unwrap_or(SOURCE_RETRY_MAX);
            state.source_failures = state.source_failures.saturating_add(1);
            state.source_retry_at = Some(now + wait.min(SOURCE_RETRY_MAX));
        }
    }
}

fn take_over(state: &mut AppState, settled: Settled, now: Timestamp) {
    // What was derived from equal targets stands.
    if !state.targets.as_ref().is_some_and(|known| known.wants_the_same(&settled.targets)) {
        state.changed_at = Some(now);
        state.remembered = false;
    }
    keep(state, settled);
}

/// Goes by these targets from now on.
pub fn keep(state: &mut AppState, settled: Settled) {
    let Settled { targets, scopes, marked_by } = settled;
    state.targets = Some(targets);
    state.scopes = scopes;
    state.marked_by = marked_by;
}

/// Whether a look can go by what is known of Git: it was read from the sources of now, and would be settled the same.
pub fn is_usable(state: &AppState, site: &Site, app: &App) -> bool {
    let read = state.sources.iter().map(|read| &read.source);
    state.targets.is_some() && read.eq(&app.sources) && stands(state, site, app)
}

/// Whether the targets would be settled the same today: objects are marked as they were, and each kind still has its
/// scope. A definition that was applied since may say otherwise.
fn stands(state: &AppState, site: &Site, app: &App) -> bool {
    state.marked_by == app.tracking
        && state.scopes.iter().all(|(gvk, known)| match scope(site, gvk) {
            Scope::Unknown => true,
            found @ (Scope::Namespaced | Scope::Cluster) => found == *known,
        })
}

/// A running sync of a revision that somebody named looks at that revision.
fn wanted_revision(state: &AppState) -> Option<Revision> {
    state.running.as_ref().and_then(|running| running.operation.request.revision.clone())
}

/// Whether a kind has namespaces: the cluster knows best; a definition among the targets is applied first and then
/// known.
pub fn scope(site: &Site, gvk: &Gvk) -> Scope {
    let Some(discovery) = site.cluster.discovery() else { return Scope::Unknown };
    match discovery.find(gvk) {
        Lookup::Served(kind) => match kind.scope {
            KindScope::Namespaced => Scope::Namespaced,
            KindScope::Cluster => Scope::Cluster,
        },
        _ => Scope::Unknown,
    }
}

/// Asks for everything that a look at an application needs to see: kinds to be watched, wake-ups, the content of objects that
/// were kept by version alone. Returns what could not be read.
pub async fn ask(
    installation: &Installation,
    state: &AppState,
    site: &Site,
    seen: &Seen,
    targets: &PackedTargets,
) -> Asked {
    let app = &seen.app;
    let mut kinds: BTreeSet<Gvk> = targets.named().map(|(gvk, _)| gvk.clone()).collect();
    let before = objects_of_before(state, site, &seen.reported);
    kinds.extend(kinds_of_before(installation, state, site, &before));
    if app.options.create_namespace {
        kinds.insert(Gvk::new("", "v1", "Namespace"));
    }
    for gvk in &kinds {
        site.cluster.watch(gvk);
    }
    let named = named(state, app, targets, &before);
    let routed = named.declared.iter().chain(&named.beside);
    let mut namespaces: BTreeSet<Text> = routed.map(|key| key.namespace.clone()).collect();
    namespaces.insert(Text::from(app.destination.namespace.as_str()));
    // What may not be listed as a whole is listed where this application's objects are.
    for gvk in kinds.iter().chain(&scaler_kinds()) {
        site.cluster.watch_in(gvk, &namespaces);
    }
    for other in installation.routes.set(&state.key, &app.instance, named) {
        installation.staff.wake(&other, Depth::Live);
    }
    let named = targets.named().map(|(gvk, key)| (gvk.clone(), ObjectName::of(key)));
    let unread = site.cluster.need(named).await;
    Asked { kinds, before, unread }
}

/// The objects that an application has to do with. One that is being deleted declares nothing any more.
fn named(state: &AppState, app: &App, targets: &PackedTargets, before: &BTreeSet<ResourceKey>) -> Named {
    let mut declared: BTreeSet<ResourceKey> = targets.named().map(|(_, key)| key.clone()).collect();
    let mut beside = before.clone();
    if app.options.create_namespace {
        beside.insert(ResourceKey::new("", "Namespace", "", &app.destination.namespace));
    }
    if let Some(comparison) = &state.comparison {
        beside.extend(comparison.objects.iter().map(|object| object.key.clone()));
    }
    if app.deleting {
        beside.append(&mut declared);
    }
    beside.retain(|key| !declared.contains(key));
    Named { cluster: app.destination.cluster.clone(), declared, beside, complete: targets.is_complete() }
}

/// What an application reads, and when it asked for it.
pub fn reading(app: Option<&App>, at: Timestamp) -> Reading {
    let repositories =
        app.iter().flat_map(|app| &app.sources).map(|source| Text::from(source.repo.normalised()));
    let cluster = app.map_or(ClusterName::InCluster, |app| app.destination.cluster.clone());
    Reading { at, repositories: repositories.collect(), cluster }
}

/// The live objects as they are known now.
pub fn live(site: &Site, app: &App, targets: &TargetSet, asked: &Asked) -> LiveSet {
    let named = targets.targets.values().map(|target| (&target.gvk, &target.key));
    let mut live = site.cluster.live_now(&app.instance, named, asked.unread.clone());
    // Of what Git dropped there may be nothing but the memory of it: that its kind cannot be listed does not make it gone.
    for key in &asked.before {
        if targets.targets.contains_key(key) || live.objects.contains_key(key) {
            continue;
        }
        if let Some(why) = live.coverage.uncertainty(key) {
            live.unread.entry(key.clone()).or_insert(why);
        }
    }
    live
}

/// Whether kinds of the application are still being listed, or the schemas of custom ones being read: without, their objects
/// would be compared by structure alone for a moment.
pub fn is_listing(site: &Site, kinds: &BTreeSet<Gvk>) -> bool {
    let is_described =
        |gvk: &Gvk| !site.cluster.is_describing(gvk) || SchemaSet::builtin().lookup(gvk).is_some();
    kinds.iter().any(|gvk| site.cluster.is_under_way(gvk) || !is_described(gvk))
}

/// The objects that the application was last known to have: remembered, or told of by its status, which another controller may
/// have written. Where a kind is served no longer, nothing is left of them.
fn objects_of_before(
    state: &AppState,
    site: &Site,
    reported: &BTreeSet<ResourceKey>,
) -> BTreeSet<ResourceKey> {
    let Some(discovery) = site.cluster.discovery() else { return BTreeSet::new() };
    let remembered = state.memory.iter().flat_map(PackedMemory::keys);
    let may_be = |key: &&ResourceKey| {
        let kind = Gvk::new(&key.group, "", &key.kind);
        !matches!(discovery.find(&kind), Lookup::NotServed)
    };
    remembered.chain(reported).filter(may_be).cloned().collect()
}

/// Kinds without a target now may hold objects that are to be pruned: annotations cannot be selected on, so the kinds
/// of what was applied before are watched too.
fn kinds_of_before(
    installation: &Installation,
    state: &AppState,
    site: &Site,
    before: &BTreeSet<ResourceKey>,
) -> Vec<Gvk> {
    let Some(discovery) = site.cluster.discovery() else { return Vec::new() };
    let listed = installation.settings.inventory.get(&state.key).into_iter().flatten().cloned();
    let kinds: BTreeSet<GroupKind> = listed.chain(before.iter().map(ResourceKey::group_kind)).collect();
    kinds.iter().filter_map(|kind| discovery.preferred(kind)).map(|served| served.gvk.clone()).collect()
}
