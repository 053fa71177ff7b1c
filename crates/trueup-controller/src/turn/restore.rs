//! What can be rebuilt when the state folder was lost, or when another controller has synced since it was written: the base of
//! each object from the revision that the Application says was last synced, and how its last sync ended.
//!
//! Without it every difference would be of unknown origin, and an automated application would take it for a first sync and
//! overwrite what somebody changed by hand (detection.md 1: base); and what another controller has pruned would be missed as
//! if it had been deleted by hand.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use trueup_api::status::{ApplicationStatus, ComparedTo};
use trueup_engine::app::{App, AppKey, Source};
use trueup_engine::desired::Completeness;
use trueup_engine::live::Live;
use trueup_engine::memory::{self, Memory, MemoryContext};
use trueup_engine::policy::LastSync;
use trueup_engine::source::Revision;
use trueup_ledger::Write;
use trueup_object::{Gvk, ResourceKey, Text, Value};
use trueup_repo::Freshness;

use crate::applications::Seen;
use crate::installation::Installation;
use crate::packed::PackedMemory;
use crate::site::Site;
use crate::sources::{self, Answer, Question, SourcesFailure};
use crate::state::AppState;
use crate::turn::act::Scene;
use crate::turn::gather;
use crate::turn::verdict::layered;

/// What is to be read again: the application as it was last deployed, and when that was.
pub struct Lost {
    app: App,
    deployed_at: Timestamp,
    /// When that was begun, where something is remembered of the application.
    begun_at: Option<Timestamp>,
}

impl Lost {
    /// The sources at the commits that were deployed.
    pub fn sources(&self) -> &[Source] {
        &self.app.sources
    }
}

/// What was last synced, as Git tells.
#[derive(Debug)]
pub struct Restored {
    memory: PackedMemory,
    deployed_at: Timestamp,
    /// What is not in it was not wanted then.
    is_complete: bool,
}

/// Rebuilds what was lost. Nothing where Git has it no longer; an error where Git cannot be read now.
pub async fn restore(
    installation: &Installation,
    site: &Site,
    key: &AppKey,
    lost: &Lost,
) -> Result<Option<Restored>, SourcesFailure> {
    let Lost { app, deployed_at, begun_at } = lost;
    // Who leads writes down what it does: what was deployed before its last word, is known to it.
    if let (Some(begun_at), Ok(entries)) = (begun_at, installation.ledger.history(key, None, None, 1).await)
        && entries.first().is_some_and(|last| last.time >= *begun_at)
    {
        return Ok(None);
    }
    let question = Question {
        repositories: &installation.repositories,
        renders: &installation.renders,
        app,
        revision: None,
        freshness: Freshness::Now,
        may_stand: false,
    };
    let fresh = match sources::ask(&question, &mut Vec::new()).await {
        Ok(Answer::Fresh(fresh)) => fresh,
        Err(failure @ SourcesFailure::Failed { is_answer: false, .. }) => return Err(failure),
        Ok(Answer::Same(_)) | Err(SourcesFailure::Failed { .. } | SourcesFailure::Unsupported(_)) => {
            tracing::warn!(application = %key, "the revision that was last synced cannot be read any more");
            return Ok(None);
        }
    };
    let targets = trueup_engine::desired::settle(app, fresh.rendered, |gvk: &Gvk| gather::scope(site, gvk));
    let settings = installation.configured.settings().unwrap_or_default();
    let schemas = site.schemas(&settings);
    let context = MemoryContext {
        schemas: layered(&schemas),
        secrecy: settings.secrecy(installation.secret_key()),
        now: *deployed_at,
    };
    let restored =
        targets.targets.values().map(|target| (target.key.clone(), memory::restore(&context, target)));
    tracing::info!(application = %key, "what was last synced was read from Git again: the state folder does not know of it");
    Ok(Some(Restored {
        memory: PackedMemory::new(restored.collect()),
        deployed_at: *deployed_at,
        is_complete: targets.completeness == Completeness::Complete,
    }))
}

/// Takes over how the last sync ended, until that was done once after a start; returns what is to be rebuilt, where nothing of it is
/// remembered: the ledger is new, or another controller with a ledger of its own has synced since.
pub fn what_was_lost(state: &mut AppState, seen: &Seen) -> Option<Lost> {
    if state.restored {
        return None;
    }
    let parsed = seen.application()?;
    let (application, status) = (&parsed.application, &parsed.status);
    if state.last_sync.is_none() {
        state.last_sync = last_sync(status);
        state.last_message =
            status.operation_state.as_ref().map(|last| last.message.clone()).unwrap_or_default();
    }
    let known = state.memory.as_ref()?;
    let is_empty = known.keys().next().is_none();
    let is_unknown =
        |begun_at: Option<Timestamp>| begun_at.is_some_and(|at| known.synced_at().is_none_or(|it| it < at));
    let last = status.history.last().filter(|last| is_empty || is_unknown(last.deploy_started_at))?;
    let now = ComparedTo::of(&application.spec, &application.object);
    let same = reads_the_same(&now.source, &last.source) && reads_the_same(&now.sources, &last.sources);
    let app = at_revisions(&seen.app, &last.revisions).filter(|_| same)?;
    let begun_at = last.deploy_started_at.filter(|_| !is_empty);
    Some(Lost { app, deployed_at: last.deployed_at, begun_at })
}

/// Goes by what was rebuilt where nothing is remembered, and has it written to the ledger: what differs now would else be without a past
/// again after the next start, since by then the ledger knows the objects that agree. Where something is remembered, only what Git had
/// dropped is gone by: of what it wanted, the sync may have left out what could not be seen then.
pub fn take_over(state: &mut AppState, restored: Restored) {
    let Restored { memory: restored, deployed_at, is_complete } = restored;
    let known = state.memory.get_or_insert_default().unpack();
    if known.is_empty() {
        state.unwritten = restored.keys().cloned().collect();
        state.memory = Some(restored);
    } else if is_complete {
        // A kind that is not served now may have been settled without its namespace.
        let wanted: BTreeSet<(&Text, &Text, &Text)> = restored.keys().map(without_namespace).collect();
        let is_older = |memory: &Memory| memory.synced_at.is_none_or(|at| at < deployed_at);
        let dropped = known
            .into_iter()
            .filter(|(key, memory)| is_older(memory) && !wanted.contains(&without_namespace(key)));
        state.dropped = dropped.map(|(key, _)| key).collect();
    }
}

fn without_namespace(key: &ResourceKey) -> (&Text, &Text, &Text) {
    (&key.group, &key.kind, &key.name)
}

/// What Git had dropped when another controller synced, and is not there: nobody has deleted it by hand.
pub fn without_dropped(scene: &Scene<'_>, state: &AppState, memory: &mut BTreeMap<ResourceKey, Memory>) {
    for key in state.dropped.iter().filter(|key| is_gone(scene, key)) {
        memory.remove(key);
    }
}

/// Forgets what was dropped and is gone; what is still there is remembered as before.
pub fn forget_dropped(scene: &Scene<'_>, state: &mut AppState) -> Vec<Write> {
    let mut writes = Vec::new();
    for object in std::mem::take(&mut state.dropped) {
        if is_gone(scene, &object) {
            state.memory.get_or_insert_default().remove(&object);
            writes.push(Write::ForgetObject { app: state.key.clone(), object });
        } else if scene.live.objects.get(&object).is_none_or(Live::is_deleting) {
            state.dropped.insert(object);
        }
    }
    writes
}

fn is_gone(scene: &Scene<'_>, key: &ResourceKey) -> bool {
    !scene.live.objects.contains_key(key) && scene.live.coverage.uncertainty(key).is_none()
}

/// The application with its sources at these commits; nothing where there are not as many.
pub fn at_revisions(app: &App, revisions: &[Text]) -> Option<App> {
    if app.sources.len() != revisions.len() {
        return None;
    }
    let mut app = app.clone();
    for (source, revision) in app.sources.iter_mut().zip(revisions) {
        source.revision = Revision::parse(revision).ok()?;
    }
    Some(app)
}

/// Whether two sources, or lists of them, differ in nothing but the revision.
fn reads_the_same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::List(left), Value::List(right)) => {
            left.len() == right.len()
                && left.iter().zip(right).all(|(left, right)| reads_the_same(left, right))
        }
        (left, right) => {
            let without_revision = |source: &Value| {
                let mut source = source.clone();
                source.remove_at(&["targetRevision"]);
                source
            };
            without_revision(left) == without_revision(right)
        }
    }
}

/// How the last sync of the whole application ended, as its status tells.
fn last_sync(status: &ApplicationStatus) -> Option<LastSync> {
    let state = status.operation_state.as_ref()?;
    let sync = state.operation.get("sync")?;
    let partial = !sync.list_at(&["resources"]).is_empty();
    let dry = sync.at(&["dryRun"]).and_then(Value::as_bool) == Some(true);
    // What ended in an error was not tried: there was nothing to go by, or the application was read-only.
    if partial || dry || !matches!(state.phase.as_str(), "Succeeded" | "Failed") {
        return None;
    }
    let finished_at: Timestamp = state.finished_at?;
    let revisions = state.sync_result.as_ref()?.revisions.iter().map(ToString::to_string).collect();
    Some(LastSync {
        revisions,
        succeeded: state.phase == "Succeeded",
        started_at: state.started_at,
        finished_at,
    })
}
