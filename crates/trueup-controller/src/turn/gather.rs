//! Gathering: what is remembered, what Git wants, what is live.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trueup_cluster::wire::WireError;
use trueup_cluster::{KindScope, Lookup, ObjectName};
use trueup_engine::app::{App, ClusterName};
use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::desired::{self, Scope, TargetSet};
use trueup_engine::live::LiveSet;
use trueup_engine::memory::SchemaSet;
use trueup_engine::source::Revision;
use trueup_ledger::LedgerError;
use trueup_object::{GroupKind, Gvk, ResourceKey, Text};

use trueup_repo::Freshness;

use crate::applications::Seen;
use crate::installation::Installation;
use crate::mailbox::Depth;
use crate::packed::{PackedMemory, PackedTargets};
use crate::routes::{Named, Reading};
use crate::site::{Site, scaler_kinds};
use crate::sources::{self, Answer, Fresh, Question, SourcesFailure};
use crate::state::AppState;
use crate::turn::verdict;

/// What was asked of the cluster before a look.
pub struct Asked {
    /// The kinds that the application has to do with.
    pub kinds: BTreeSet<Gvk>,
    /// Objects that are there and could not be read.
    pub unread: Vec<(ResourceKey, WireError)>,
}

/// Applications of one repository that poll at about the same time share one question to the remote.
const POLL_SHARED: Duration = Duration::from_secs(10);

/// So do those that try a failed source again.
const RETRY_SHARED: Duration = Duration::from_secs(2);

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
    state.interrupted.extend(installation.interrupted.take(&state.key));
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

/// Asks Git and renders where the depth asks for it or nothing is known yet. What was known stays where that fails; the
/// failure is returned.
pub async fn targets(
    installation: &Installation,
    state: &mut AppState,
    site: &Site,
    app: &App,
    depth: Depth,
    polled: bool,
) -> Option<Condition> {
    let failing = state.source_failing.as_ref().map(|failing| failing.condition.clone());
    let known = match &state.targets {
        Some(_) => stands(state, site, app),
        // A source that could not be read is not asked at every event: its own timer does that.
        None => failing.is_some(),
    };
    if depth == Depth::Live && known {
        return failing;
    }
    let revision = wanted_revision(state);
    let question = Question {
        repositories: &installation.repositories,
        renders: &installation.renders,
        app,
        revision: revision.as_ref(),
        // A poll may share the answer of another application's; a refresh wants to know what is there now.
        freshness: match (polled, &state.source_failing) {
            (true, None) => Freshness::Within(POLL_SHARED),
            (true, Some(_)) => Freshness::Within(RETRY_SHARED),
            (false, _) => Freshness::Now,
        },
        may_stand: depth < Depth::Hard && state.targets.is_some() && stands(state, site, app),
    };
    let asked_at = installation.now();
    let answer = sources::ask(&question, &mut state.sources).await;
    state.asked_at = Some(asked_at);
    note_answer(state, &answer, installation.now());
    match answer {
        Ok(Answer::Same(revisions)) => {
            if let Some(targets) = &mut state.targets {
                targets.revisions = revisions;
            }
            None
        }
        Ok(Answer::Fresh(fresh)) => {
            take_fresh(state, site, app, fresh, installation.now());
            None
        }
        Err(SourcesFailure::Unsupported(unsupported)) => {
            state.targets = None;
            Some(trueup_api::unsupported_condition(&[unsupported]))
        }
        Err(SourcesFailure::Failed { message }) => {
            Some(Condition::new(ConditionType::ComparisonError, message))
        }
    }
}

/// Sets when a source that failed is asked again: soon, then more and more seldom; the poll is the upper limit. What
/// this build cannot render changes with a commit only, which the poll finds.
fn note_answer(state: &mut AppState, answer: &Result<Answer<'_>, SourcesFailure>, now: Timestamp) {
    match answer {
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

/// Packs what was rendered, and gives its place free.
fn take_fresh(state: &mut AppState, site: &Site, app: &App, fresh: Fresh<'_>, now: Timestamp) {
    let mut scopes = BTreeMap::new();
    for manifest in fresh.rendered.iter().flat_map(|rendered| &rendered.manifests) {
        scopes.entry(manifest.gvk().clone()).or_insert_with(|| scope(site, manifest.gvk()));
    }
    let scope_of = |gvk: &Gvk| scopes.get(gvk).copied().unwrap_or(Scope::Unknown);
    let mut targets = desired::settle(app, fresh.rendered, scope_of);
    targets.unsupported.extend(fresh.unsupported);
    let packed = PackedTargets::new(&targets);
    // What was derived from equal targets stands.
    if !state.targets.as_ref().is_some_and(|known| known.wants_the_same(&packed)) {
        state.remembered = false;
        state.changed_at = Some(now);
    }
    state.targets = Some(packed);
    state.scopes = scopes;
    state.marked_by = app.tracking.clone();
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
    kinds.extend(kinds_applied_before(installation, state, site, &seen.reported));
    if app.options.create_namespace {
        kinds.insert(Gvk::new("", "v1", "Namespace"));
    }
    for gvk in &kinds {
        site.cluster.watch(gvk);
    }
    let named = named(state, app, targets);
    let routed = named.declared.iter().chain(&named.beside);
    let mut namespaces: BTreeSet<Text> = routed.map(|key| key.namespace.clone()).collect();
    namespaces.extend(state.memory.iter().flat_map(PackedMemory::keys).map(|key| key.namespace.clone()));
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
    Asked { kinds, unread }
}

/// The objects that an application has to do with. One that is being deleted declares nothing any more.
fn named(state: &AppState, app: &App, targets: &PackedTargets) -> Named {
    let mut declared: BTreeSet<ResourceKey> = targets.named().map(|(_, key)| key.clone()).collect();
    let mut beside = BTreeSet::new();
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
    site.cluster.live_now(&app.instance, named, asked.unread.clone())
}

/// Whether kinds of the application are still being listed, or the schemas of custom ones being read: without, their objects
/// would be compared by structure alone for a moment.
pub fn is_listing(site: &Site, kinds: &BTreeSet<Gvk>) -> bool {
    let is_described =
        |gvk: &Gvk| !site.cluster.is_describing(gvk) || SchemaSet::builtin().lookup(gvk).is_some();
    kinds.iter().any(|gvk| site.cluster.is_under_way(gvk) || !is_described(gvk))
}

/// Kinds without a target now may hold objects that are to be pruned: annotations cannot be selected on, so the kinds
/// of what was applied before are watched too.
fn kinds_applied_before(
    installation: &Installation,
    state: &AppState,
    site: &Site,
    reported: &BTreeSet<GroupKind>,
) -> Vec<Gvk> {
    let Some(discovery) = site.cluster.discovery() else { return Vec::new() };
    let listed = installation.settings.inventory.get(&state.key).into_iter().flatten().cloned();
    let remembered = state.memory.iter().flat_map(PackedMemory::keys).map(ResourceKey::group_kind);
    let kinds: BTreeSet<GroupKind> = listed.chain(remembered).chain(reported.iter().cloned()).collect();
    kinds.iter().filter_map(|kind| discovery.preferred(kind)).map(|served| served.gvk.clone()).collect()
}
