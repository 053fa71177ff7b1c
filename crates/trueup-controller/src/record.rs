//! Evidence and intent before each step, its outcome after it, in the ledger.

use trueup_engine::app::AppKey;
use trueup_engine::evidence::{Evidence, evidence};
use trueup_engine::live::Live;
use trueup_engine::look::Comparison;
use trueup_engine::memory::Layered;
use trueup_engine::operation::StepOutcome;
use trueup_engine::plan::{Action, Precondition, Step};
use trueup_ledger::{Fact, IntendedAction, Ledger, NewEntry, Seq};
use trueup_object::Text;

use crate::clock::SharedClock;

/// Writes the steps of one plan to the ledger.
pub struct Recorder<'a> {
    pub ledger: &'a Ledger,
    pub clock: &'a SharedClock,
    pub app: &'a AppKey,
    /// Why the steps are taken, in words.
    pub reason: &'a str,
    /// The look that the plan was made from.
    pub comparison: &'a Comparison,
    /// The commit whose targets are applied.
    pub revision: Option<Text>,
    pub schemas: Layered<'a>,
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
        let object = self.comparison.object(&step.key);
        let differences = object.map(|object| object.differences.as_slice()).unwrap_or_default();
        evidence(live, differences, self.schemas, self.ledger.key().as_bytes())
    }

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
            reason: self.reason.to_owned(),
            paths: paths.collect(),
            revision: self.revision.clone(),
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
