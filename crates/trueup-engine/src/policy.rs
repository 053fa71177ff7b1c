//! What may be done: an application's policy and a person's request, turned into an authority that the planner obeys.
//!
//! Acting obeys who moved (detection.md 9): a commit moves the paths that Git moved; paths that the cluster moved keep
//! their live values unless healing covers them or a person says otherwise; what both moved waits for a decision.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::app::{App, DriftChoice, OnCommit, ResourceSelector, SyncRequest};
use crate::desired::ResolvedRevision;
use crate::look::Comparison;
use crate::memory::Memory;
use crate::status::SyncStatus;
use trueup_object::ResourceKey;

/// What happens to a path that both Git and the cluster moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BothMoved {
    /// Its object waits, with a condition, until somebody decides.
    Hold,
    /// Git wins.
    Overwrite,
    /// The live value stays.
    Keep,
}

/// What a plan may do.
#[derive(Debug, Clone, PartialEq)]
pub struct Authority {
    /// Apply paths that the cluster moved.
    pub cluster_moved: bool,
    /// The same, and create anew what was deleted, but only along with something that Git moved.
    pub overwrite_with_commit: bool,
    pub both_moved: BothMoved,
    /// Create anew what somebody deleted.
    pub recreate: bool,
    pub prune: bool,
    /// Prune even where that would leave the application empty.
    pub empty: bool,
    pub remove_additions: bool,
    /// Bring objects that differ in nothing under our manager and mark.
    pub take_over: bool,
    /// Who asked: nobody, or a person.
    pub asked: Asked,
    /// Empty: every object.
    pub selection: Vec<ResourceSelector>,
}

/// Who asked for what a plan does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// The policy of the application.
    Policy,
    /// A person.
    Person,
}

impl Authority {
    /// What the application's own policy allows. `None`: nothing happens by itself.
    pub fn of_policy(app: &App) -> Option<Self> {
        let automated = app.automated?;
        let overwrite = app.on_commit == OnCommit::Overwrite;
        Some(Self {
            cluster_moved: automated.self_heal,
            overwrite_with_commit: overwrite,
            both_moved: if overwrite { BothMoved::Overwrite } else { BothMoved::Hold },
            recreate: automated.self_heal,
            prune: automated.prune && !app.options.never_prune,
            empty: automated.allow_empty,
            remove_additions: false,
            take_over: false,
            asked: Asked::Policy,
            selection: Vec::new(),
        })
    }

    /// What a person's request allows.
    pub fn of_request(app: &App, request: &SyncRequest) -> Self {
        let keep = request.drift == DriftChoice::Keep;
        Self {
            cluster_moved: !keep,
            overwrite_with_commit: false,
            both_moved: if keep { BothMoved::Keep } else { BothMoved::Overwrite },
            recreate: true,
            prune: request.prune && !app.options.never_prune,
            empty: true,
            remove_additions: request.remove_additions,
            take_over: true,
            asked: Asked::Person,
            selection: request.resources.clone(),
        }
    }

    pub fn selects(&self, key: &ResourceKey) -> bool {
        self.selection.is_empty() || self.selection.iter().any(|selector| selector.selects(key))
    }
}

/// The last sync of an application, as far as the next automated one depends on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastSync {
    pub revisions: Vec<String>,
    pub succeeded: bool,
    pub started_at: Timestamp,
    pub finished_at: Timestamp,
}

/// Why an automated sync does not begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotNow {
    /// The application is not OutOfSync, or its state is not known.
    NothingToDo,
    /// The last sync of this very revision failed and its retries are used up: a new commit or a person is needed.
    FailedBefore { revisions: Vec<String> },
}

/// Whether an automated sync may begin now: never on Unknown, and never again for a revision whose sync failed
/// (compat 3.2.3).
pub fn may_begin(
    comparison: &Comparison,
    revisions: &[String],
    last: Option<&LastSync>,
) -> Result<(), NotNow> {
    if comparison.status != SyncStatus::OutOfSync {
        return Err(NotNow::NothingToDo);
    }
    match last {
        Some(last) if !last.succeeded && last.revisions == revisions => {
            Err(NotNow::FailedBefore { revisions: revisions.to_vec() })
        }
        Some(_) | None => Ok(()),
    }
}

impl LastSync {
    /// Whether it ended midway through these revisions: it has moved the base of some objects, and of others not.
    pub fn left_half_done(
        &self,
        revisions: &[ResolvedRevision],
        memory: &BTreeMap<ResourceKey, Memory>,
    ) -> bool {
        let same =
            self.revisions.iter().eq(revisions.iter().map(|it| it.id.to_string()).collect::<Vec<_>>().iter());
        let has_written =
            || memory.values().any(|memory| memory.synced_at.is_some_and(|at| at >= self.started_at));
        !self.succeeded && same && has_written()
    }
}
