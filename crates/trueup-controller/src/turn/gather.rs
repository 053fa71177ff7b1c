//! Gathering: what is remembered, what Git wants, what is live.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trueup_cluster::{KindScope, KindState, Lookup};
use trueup_engine::app::{App, Unsupported};
use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::desired::{self, Rendered, Scope, TargetSet};
use trueup_engine::live::LiveSet;
use trueup_engine::source::Revision;
use trueup_ledger::LedgerError;
use trueup_object::{GroupKind, Gvk, ResourceKey, Text, Value};

use trueup_repo::Freshness;

use crate::installation::Installation;
use crate::mailbox::Depth;
use crate::packed::{PackedMemory, PackedTargets};
use crate::site::Site;
use crate::sources::{self, Answer, Question, SourcesFailure};
use crate::state::AppState;
use crate::turn::verdict;

/// The live objects of an application, and whether kinds of it are still being listed.
pub struct Gathered {
    pub live: LiveSet,
    pub listing: bool,
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
    Ok(())
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
        Some(_) => scopes_stand(state, site),
        // A source that could not be read is not asked at every event: its own timer does that.
        None => failing.is_some(),
    };
    if depth == Depth::Live && known {
        return failing;
    }
    let revision = wanted_revision(state);
    let question = Question {
        repositories: &installation.repositories,
        app,
        revision: revision.as_ref(),
        // A poll may share the answer of another application's; a refresh wants to know what is there now.
        freshness: match (polled, &state.source_failing) {
            (true, None) => Freshness::Within(POLL_SHARED),
            (true, Some(_)) => Freshness::Within(RETRY_SHARED),
            (false, _) => Freshness::Now,
        },
        may_stand: depth < Depth::Hard && state.targets.is_some() && scopes_stand(state, site),
    };
    let answer = sources::ask(&question, &mut state.sources).await;
    note_answer(state, &answer, installation.now());
    match answer {
        Ok(Answer::Same(revisions)) => {
            if let Some(targets) = &mut state.targets {
                targets.revisions = revisions;
            }
            None
        }
        Ok(Answer::Fresh { rendered, unsupported }) => {
            take_fresh(state, site, app, rendered, unsupported);
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
fn note_answer(state: &mut AppState, answer: &Result<Answer, SourcesFailure>, now: Timestamp) {
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

fn take_fresh(
    state: &mut AppState,
    site: &Site,
    app: &App,
    rendered: Vec<Rendered>,
    unsupported: Vec<Unsupported>,
) {
    let mut scopes = BTreeMap::new();
    for manifest in rendered.iter().flat_map(|rendered| &rendered.manifests) {
        scopes.entry(manifest.gvk().clone()).or_insert_with(|| scope(site, manifest.gvk()));
    }
    let scope_of = |gvk: &Gvk| scopes.get(gvk).copied().unwrap_or(Scope::Unknown);
    let mut targets = desired::settle(app, rendered, scope_of);
    targets.unsupported.extend(unsupported);
    let packed = PackedTargets::new(&targets);
    // What was derived from equal targets stands.
    if !state.targets.as_ref().is_some_and(|known| known.wants_the_same(&packed)) {
        state.remembered = false;
    }
    state.targets = Some(packed);
    state.scopes = scopes;
}

/// Whether each kind still has the scope with which the targets were settled: a definition that was applied since may
/// say otherwise.
pub fn scopes_stand(state: &AppState, site: &Site) -> bool {
    state.scopes.iter().all(|(gvk, known)| match scope(site, gvk) {
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

/// The live objects, after their kinds were asked for.
pub async fn live(
    installation: &Installation,
    state: &AppState,
    site: &Site,
    app: &App,
    targets: &TargetSet,
    status: &Value,
) -> Gathered {
    let mut kinds: BTreeSet<Gvk> = targets.targets.values().map(|target| target.gvk.clone()).collect();
    kinds.extend(kinds_applied_before(installation, state, site, status));
    if app.options.create_namespace {
        kinds.insert(Gvk::new("", "v1", "Namespace"));
    }
    for gvk in &kinds {
        site.cluster.watch(gvk);
    }
    let mut routed: BTreeSet<ResourceKey> = targets.targets.keys().cloned().collect();
    if app.options.create_namespace {
        routed.insert(ResourceKey::new("", "Namespace", "", &app.destination.namespace));
    }
    if let Some(comparison) = &state.comparison {
        routed.extend(comparison.objects.iter().map(|object| object.key.clone()));
    }
    installation.routes.set(&state.key, &app.instance, routed);
    let named: Vec<(Gvk, ResourceKey)> =
        targets.targets.values().map(|target| (target.gvk.clone(), target.key.clone())).collect();
    let live = site.cluster.live_set(&app.instance, &named).await;
    let listing = kinds.iter().any(|gvk| {
        matches!(site.cluster.state(gvk), None | Some(KindState::Unlisted | KindState::Listing { .. }))
    });
    Gathered { live, listing }
}

/// Kinds without a target now may hold objects that are to be pruned: annotations cannot be selected on, so the kinds
/// of what was applied before are watched too.
fn kinds_applied_before(
    installation: &Installation,
    state: &AppState,
    site: &Site,
    status: &Value,
) -> Vec<Gvk> {
    let Some(discovery) = site.cluster.discovery() else { return Vec::new() };
    let reported = status.list_at(&["resources"]).iter().filter_map(|resource| {
        let group = resource.str_at(&["group"]).unwrap_or_default();
        Some(GroupKind::new(group, resource.str_at(&["kind"])?))
    });
    let listed = installation.settings.inventory.get(&state.key).into_iter().flatten().cloned();
    let remembered = state.memory.iter().flat_map(PackedMemory::keys).map(ResourceKey::group_kind);
    let kinds: BTreeSet<GroupKind> = listed.chain(remembered).chain(reported).collect();
    kinds.iter().filter_map(|kind| discovery.preferred(kind)).map(|served| served.gvk.clone()).collect()
}
