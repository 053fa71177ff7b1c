//! Evidence and intent before each step, its outcome after it, in the ledger.

use std::sync::Arc;

use trueup_engine::app::AppKey;
use trueup_engine::desired::TargetSet;
use trueup_engine::evidence::{Evidence, evidence};
use trueup_engine::live::Live;
use trueup_engine::memory::SchemaSet;
use trueup_engine::operation::StepOutcome;
use trueup_engine::plan::{Action, Precondition, Step};
use trueup_ledger::{Fact, IntendedAction, Ledger, NewEntry, Seq};
use trueup_object::Text;

use crate::clock::SharedClock;
use crate::turn::act::Intention;
use crate::turn::verdict::layered;

/// Writes the steps of one plan to the ledger.
pub struct Recorder<'a> {
    pub ledger: &'a Ledger,
    pub clock: &'a SharedClock,
    pub app: &'a AppKey,
    pub intention: &'a Intention,
    pub targets: &'a TargetSet,
    pub schemas: Arc<SchemaSet>,
    pub secret_key: &'a [u8; 32],
}

impl Recorder<'_> {
    fn entry(&self, step: &Step, fact: Fact, evidence: Option<Evidence>) -> NewEntry {
        NewEntry {
            time: self.clock.now(),
            app: self.app.clone(),
            object: Some(step.key.clone()),
            fact,
            evidence,
        }
    }

    /// The live object, masked, with the differences that are about to be undone.
    fn evidence(&self, step: &Step, live: &Live) -> Evidence {
        let object = self.intention.comparison.object(&step.key);
        let differences = object.map(|object| object.differences.as_slice()).unwrap_or_default();
        evidence(live, differences, layered(&self.schemas), self.secret_key)
    }
}

impl Recorder<'_> {
    /// Writes evidence and intent; the step is not carried out where this fails.
    pub async fn before(&self, step: &Step, live: Option<&Live>) -> Result<Seq, String> {
        let (uid, resource_version) = match &step.precondition {
            Precondition::Absent => (None, None),
            Precondition::Unchanged(version) => {
                (Some(version.uid.clone()), Some(version.resource_version.clone()))
            }
        };
        let action = match &step.action {
            Action::Create { .. } => IntendedAction::Create,
            Action::Apply { .. } => IntendedAction::Apply,
            Action::Delete { .. } => IntendedAction::Delete,
        };
        let paths =
            step.corrects.iter().filter_map(|correction| correction.path.as_ref()).map(ToString::to_string);
        let fact = Fact::Intended {
            action,
            reason: self.intention.reason.clone(),
            paths: paths.collect(),
            revision: self.targets.revisions.first().map(|revision| Text::from(revision.id.to_string())),
            uid,
            resource_version,
        };
        let evidence = live.map(|live| self.evidence(step, live));
        self.ledger.append(self.entry(step, fact, evidence)).await.map_err(|error| error.to_string())
    }

    /// Writes the outcome.
    pub async fn after(&self, intent: Seq, step: &Step, outcome: &StepOutcome) {
        let fact = match outcome {
            StepOutcome::Done(_) => Fact::Done { intent, uid: None, resource_version: None },
            StepOutcome::Stale { why: reason }
            | StepOutcome::Refused { message: reason }
            | StepOutcome::Unanswered { message: reason } => Fact::Refused { intent, reason: reason.clone() },
        };
        if let Err(error) = self.ledger.append(self.entry(step, fact, None)).await {
            // The effect has happened; its intent and evidence are on record.
            tracing::error!(object = %step.key, %error, "an outcome could not be written to the ledger");
        }
    }
}
