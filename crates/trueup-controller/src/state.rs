//! What one worker keeps of its application between turns. Everything in it can be rebuilt from the cluster, Git and the
//! ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use trueup_engine::app::FirstSeen;
use trueup_engine::app::{App, AppKey, SyncRequest};
use trueup_engine::condition::Condition;
use trueup_engine::desired::Scope;
use trueup_engine::fight::{Fights, Place};
use trueup_engine::live::Live;
use trueup_engine::look::Comparison;
use trueup_engine::operation::OperationState;
use trueup_engine::plan::{Pace, SyncPlan};
use trueup_engine::policy::LastSync;
use trueup_engine::source::Revision;
use trueup_engine::tracking::Tracking;
use trueup_ledger::Seq;
use trueup_object::{Gvk, ResourceKey, Text};

use crate::applications::Seen;
use crate::foreign::Sighting;
use crate::inquiry::Inquiry;
use crate::packed::{PackedMemory, PackedTarget, PackedTargets};
use crate::report::Report;
use crate::sources::SourceRead;
use crate::turn::confirm::Confirmations;

/// The state of one application's worker.
pub struct AppState {
    pub key: AppKey,
    pub app: Option<Arc<App>>,
    /// The Application as the last turn has read it.
    pub seen: Option<Box<Seen>>,
    /// The uid of the Application: another one under the same name begins anew.
    pub uid: Text,
    /// The resourceVersion of the Application at the last turn.
    pub version: Text,
    /// What is being asked of Git beside the turns.
    pub inquiry: Inquiry,
    /// For which revision Git was last asked, where it is another than the sources name.
    pub asked_revision: Option<Revision>,
    pub sources: Vec<SourceRead>,
    pub targets: Option<PackedTargets>,
    /// The scopes with which the targets were settled.
    pub scopes: BTreeMap<Gvk, Scope>,
    /// And how they were marked.
    pub marked_by: Tracking,
    /// Loaded from the ledger at the first turn.
    pub memory: Option<PackedMemory>,
    /// The version of the server for which the tables of unowned fields were taken.
    pub context: Option<Text>,
    /// Whether what a lost state folder would have known was looked for.
    pub restored: bool,
    /// Of what is remembered, what was rebuilt and is not in the ledger yet.
    pub unwritten: BTreeSet<ResourceKey>,
    /// Of what is remembered, what Git had dropped when another controller synced.
    pub dropped: BTreeSet<ResourceKey>,
    /// Whether what was last reported was looked for in the mirrors.
    pub recalled: bool,
    /// Whether every object of the present targets was remembered.
    pub remembered: bool,
    /// Objects that a step has just written, and as what: that is the new base.
    pub just_synced: BTreeMap<ResourceKey, Written>,
    pub first_seen: FirstSeen,
    /// What the API server says of what differs.
    pub confirmations: Confirmations,
    pub fights: Fights,
    /// Corrections of which nobody knows whether they came about.
    pub unanswered: Vec<Unanswered>,
    /// What policy has restarted and pruned of late.
    pub pace: Pace,
    /// When a limit lets go by itself of what it holds.
    pub limited_until: Option<Timestamp>,
    /// The verdict as last reported.
    pub comparison: Option<Comparison>,
    /// The DriftReport in the cluster, where it is known to tell of that verdict.
    pub told: Option<Told>,
    /// The sources cannot be read since then, and why. Known anew whenever Git is asked.
    pub source_failing: Option<Failing>,
    /// The cluster cannot be read since then, and why. Known anew at each turn.
    pub cluster_failing: Option<Failing>,
    /// How often in a row Git was asked in vain, and when it is asked again.
    pub source_failures: u32,
    pub source_retry_at: Option<Timestamp>,
    /// The other controller that writes the Application.
    pub foreign: Option<Sighting>,
    /// How often in a row a report could not be written.
    pub report_failures: u32,
    /// Kinds that the last sync missed in the cluster: when they are served, it is tried again.
    pub missed_kinds: BTreeSet<Gvk>,
    pub running: Option<Running>,
    /// An operation that is over and not yet written to the Application.
    pub finished: Option<Finished>,
    /// How the last operation ended in words, also one from before a restart.
    pub last_message: String,
    pub last_sync: Option<LastSync>,
    pub policy_conditions: Vec<Condition>,
    pub heal_failures: u32,
    pub heal_after: Option<Timestamp>,
    pub heal_condition: Option<Condition>,
    /// When Git is asked again.
    pub poll_at: Option<Timestamp>,
    /// When Git was last asked, whatever came of it.
    pub asked_at: Option<Timestamp>,
    /// When the targets last became others.
    pub changed_at: Option<Timestamp>,
    /// For which of these changes the other applications were asked to read the same.
    pub others_asked: Option<Timestamp>,
    /// For which those were that track what this one declares.
    pub owners_asked: Option<Timestamp>,
    pub started_at: Option<Timestamp>,
    /// How long asking Git has taken since the last look.
    pub asking: Duration,
    /// Steps that were done and not yet seen in a watch event.
    pub open_intents: Vec<(Seq, ResourceKey)>,
    /// Intents of before, of which nobody knows what came of them.
    pub interrupted: Vec<(Seq, ResourceKey)>,
    /// Another turn is to follow at once.
    pub again: bool,
}

/// A DriftReport as it is known to be in the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub resource_version: Text,
    /// Of all that it says but when; a number, since thousands of applications sleep with it.
    pub digest: u64,
    pub revisions: Vec<Text>,
}

/// Since when nothing fresh is known, and what a person can do.
#[derive(Debug, Clone, PartialEq)]
pub struct Failing {
    pub since: Timestamp,
    pub condition: Condition,
}

/// What Git said of an object when it was applied. It may say something else by the time of the next look, which is to be
/// applied yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    pub target: PackedTarget,
    pub revision: Option<Text>,
    /// The object's version that the step has changed: while that one is observed, what was written is not seen yet.
    pub before: Option<Text>,
}

impl Written {
    pub fn new(targets: &PackedTargets, key: &ResourceKey, before: Option<Text>) -> Option<Self> {
        let revision = targets.revisions.first().map(|revision| Text::from(revision.id.to_string()));
        Some(Self { target: targets.get(key)?.clone(), revision, before })
    }

    pub fn is_seen(&self, live: &Live) -> bool {
        self.before.as_ref() != Some(&live.version.resource_version)
    }
}

/// A correction whose answer did not come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    pub place: Place,
    pub opponent: Option<Text>,
    pub at: Timestamp,
    /// The object as it was corrected; nothing where it was not there.
    pub version: Option<Text>,
}

/// An operation in progress.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    pub operation: OperationState,
    /// The plan that was executed, and when.
    pub executed: Option<(SyncPlan, Timestamp)>,
    /// What Git said when it was made.
    pub targets: Option<PackedTargets>,
    /// When it is gone on with at the latest; a new plan is not made before.
    pub wake_at: Option<Timestamp>,
    /// When the steps of this attempt were first executed, and how often a new plan followed because of an answer that
    /// did not come or a change that came between.
    pub begun_at: Option<Timestamp>,
    pub replans: u32,
}

/// An operation that is over.
#[derive(Debug, Clone, PartialEq)]
pub struct Finished {
    /// Until the Application was seen to tell of it.
    pub operation: Option<OperationState>,
    /// The version of the Application from which the request was read: while it is the one observed, its `operation`
    /// field is the old request.
    pub resource_version: Text,
    /// The request was taken off the Application. Before, an equal one is the same.
    pub is_cleared: bool,
}

impl Running {
    pub fn new(request: SyncRequest, now: Timestamp) -> Self {
        Self {
            operation: OperationState::begin(request, now),
            executed: None,
            targets: None,
            wake_at: None,
            begun_at: None,
            replans: 0,
        }
    }
}

impl AppState {
    /// What keeps the verdict from being fresh, the sources first.
    pub fn failing(&self) -> Option<&Failing> {
        self.source_failing.as_ref().or(self.cluster_failing.as_ref())
    }

    /// Keeps the verdict as reported, and drops what is known elsewhere by now: thousands of applications sleep with what is
    /// kept here.
    pub fn keep(&mut self, mut verdict: Comparison, report: &Report) {
        verdict.objects.shrink_to_fit();
        self.comparison = Some(verdict);
        self.told = report.told();
        if let Some(finished) = &mut self.finished
            && report.operation_is_told
            && finished.resource_version != self.version
        {
            finished.operation = None;
        }
        if let (Some(memory), Some(targets)) = (&mut self.memory, &self.targets) {
            memory.share(targets);
        }
    }

    pub fn new(key: AppKey) -> Self {
        Self {
            key,
            app: None,
            seen: None,
            uid: Text::default(),
            version: Text::default(),
            inquiry: Inquiry::default(),
            asked_revision: None,
            sources: Vec::new(),
            targets: None,
            scopes: BTreeMap::new(),
            marked_by: Tracking::default(),
            memory: None,
            context: None,
            restored: false,
            unwritten: BTreeSet::new(),
            dropped: BTreeSet::new(),
            recalled: false,
            remembered: false,
            just_synced: BTreeMap::new(),
            first_seen: FirstSeen::new(),
            confirmations: Confirmations::default(),
            fights: Fights::default(),
            unanswered: Vec::new(),
            pace: Pace::default(),
            limited_until: None,
            comparison: None,
            told: None,
            source_failing: None,
            cluster_failing: None,
            source_failures: 0,
            source_retry_at: None,
            foreign: None,
            report_failures: 0,
            missed_kinds: BTreeSet::new(),
            running: None,
            finished: None,
            last_message: String::new(),
            last_sync: None,
            policy_conditions: Vec::new(),
            heal_failures: 0,
            heal_after: None,
            heal_condition: None,
            poll_at: None,
            asked_at: None,
            changed_at: None,
            others_asked: None,
            owners_asked: None,
            started_at: None,
            asking: Duration::ZERO,
            open_intents: Vec::new(),
            interrupted: Vec::new(),
            again: false,
        }
    }
}
