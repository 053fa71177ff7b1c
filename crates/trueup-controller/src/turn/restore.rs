//! What can be rebuilt when the state folder was lost: the base of each object from the revision that the Application says
//! was last synced, and how its last sync ended.
//!
//! Without it every difference would be of unknown origin, and an automated application would take it for a first sync and
//! overwrite what somebody changed by hand (detection.md 1: base).

use jiff::Timestamp;
use trueup_api::status::{ApplicationStatus, ComparedTo};
use trueup_engine::app::{App, AppKey, Source};
use trueup_engine::memory::{self, MemoryContext};
use trueup_engine::policy::LastSync;
use trueup_engine::source::Revision;
use trueup_object::{Gvk, Text, Value};
use trueup_repo::Freshness;

use crate::applications::Seen;
use crate::installation::Installation;
use crate::packed::PackedMemory;
use crate::site::Site;
use crate::sources::{self, Answer, Question, SourcesFailure};
use crate::state::AppState;
use crate::turn::gather;
use crate::turn::verdict::layered;

/// What is to be read again: the application as it was last deployed, and when that was.
pub struct Lost {
    app: App,
    deployed_at: Timestamp,
}

impl Lost {
    /// The sources at the commits that were deployed.
    pub fn sources(&self) -> &[Source] {
        &self.app.sources
    }
}

/// Rebuilds what was lost. Nothing where Git has it no longer; an error where Git cannot be read now.
pub async fn restore(
    installation: &Installation,
    site: &Site,
    key: &AppKey,
    lost: &Lost,
) -> Result<Option<PackedMemory>, SourcesFailure> {
    let Lost { app, deployed_at } = lost;
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
    tracing::info!(application = %key, "what was last synced was read from Git again: the state folder has nothing");
    Ok(Some(PackedMemory::new(restored.collect())))
}

/// Takes over how the last sync ended, until that was done once after a start; returns what is to be rebuilt, where nothing of it is remembered.
pub fn what_was_lost(state: &mut AppState, seen: &Seen) -> Option<Lost> {
    if state.restored {
        return None;
    }
    let application = seen.application()?;
    let status = ApplicationStatus::of(application.status());
    if state.last_sync.is_none() {
        state.last_sync = last_sync(&status);
        state.last_message =
            status.operation_state.as_ref().map(|last| last.message.clone()).unwrap_or_default();
    }
    let is_empty = state.memory.as_ref().is_some_and(|memory| memory.keys().next().is_none());
    let last = status.history.last().filter(|_| is_empty)?;
    let now = ComparedTo::of(&application.spec, &application.object);
    let same = reads_the_same(&now.source, &last.source) && reads_the_same(&now.sources, &last.sources);
    let app = at_revisions(&seen.app, &last.revisions).filter(|_| same)?;
    Some(Lost { app, deployed_at: last.deployed_at })
}

/// Goes by what was rebuilt, and has it written to the ledger: what differs now would else be without a past again after the next
/// start, since by then the ledger knows the objects that agree.
pub fn take_over(state: &mut AppState, restored: PackedMemory) {
    state.unwritten = restored.keys().cloned().collect();
    state.memory = Some(restored);
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
