//! Gathering: what is remembered, what Git wants, what is live.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use trueup_cluster::{KindScope, KindState, Lookup};
use trueup_engine::app::App;
use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::desired::{self, Scope, TargetSet};
use trueup_engine::live::LiveSet;
use trueup_engine::source::Revision;
use trueup_ledger::LedgerError;
use trueup_object::{GroupKind, Gvk, ResourceKey};

use trueup_repo::Freshness;

use crate::installation::Installation;
use crate::mailbox::Depth;
use crate::site::Site;
use crate::sources::{self, SourcesFailure};
use crate::state::AppState;

/// The live objects of an application, and whether kinds of it are still being listed.
pub struct Gathered {
    pub live: LiveSet,
    pub listing: bool,
}

/// Applications of one repository that poll at about the same time share one question to the remote.
const POLL_SHARED: Duration = Duration::from_secs(10);

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
    state.memory = Some(stored.objects);
    Ok(())
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
    if depth == Depth::Live && state.targets.is_some() {
        return state.failing.as_ref().map(|failing| failing.condition.clone());
    }
    let revision = wanted_revision(state);
    let depth_of_cache = depth.max(Depth::Git);
    // A poll may share the answer of another application's; a refresh wants to know what is there now.
    let freshness = if polled { Freshness::Within(POLL_SHARED) } else { Freshness::Now };
    let rendered = sources::render(
        &installation.repositories,
        app,
        revision.as_ref(),
        depth_of_cache,
        freshness,
        &mut state.sources,
    )
    .await;
    match rendered {
        Ok((rendered, unsupported)) => {
            let scope_of = |gvk: &Gvk| scope(site, gvk);
            let mut targets = desired::settle(app, rendered, scope_of);
            targets.unsupported.extend(unsupported);
            // An equal set keeps its identity: what was derived from it stands.
            if state.targets.as_deref() != Some(&targets) {
                state.targets = Some(Arc::new(targets));
            }
            None
        }
        Err(SourcesFailure::Unsupported(unsupported)) => {
            state.targets = None;
            Some(trueup_api::unsupported_condition(&[unsupported]))
        }
        Err(SourcesFailure::Failed { message, fault: _ }) => {
            Some(Condition::new(ConditionType::ComparisonError, message))
        }
    }
}

/// A running sync of a revision that somebody named looks at that revision.
fn wanted_revision(state: &AppState) -> Option<Revision> {
    state.running.as_ref().and_then(|running| running.operation.request.revision.clone())
}

/// Whether a kind has namespaces: the cluster knows best; a definition among the targets is applied first and then
/// known.
fn scope(site: &Site, gvk: &Gvk) -> Scope {
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
) -> Gathered {
    let mut kinds: BTreeSet<Gvk> = targets.targets.values().map(|target| target.gvk.clone()).collect();
    kinds.extend(kinds_applied_before(installation, state, site));
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
fn kinds_applied_before(installation: &Installation, state: &AppState, site: &Site) -> Vec<Gvk> {
    let Some(discovery) = site.cluster.discovery() else { return Vec::new() };
    let listed = installation.settings.inventory.get(&state.key).into_iter().flatten().cloned();
    let remembered = state.memory.iter().flat_map(BTreeMap::keys).map(ResourceKey::group_kind);
    let kinds: BTreeSet<GroupKind> = listed.chain(remembered).collect();
    kinds.iter().filter_map(|kind| discovery.preferred(kind)).map(|served| served.gvk.clone()).collect()
}
