//! Evidence and intent of a plan's steps before the first of them, the outcome of each after it, in the ledger.

use trueup_engine::app::AppKey;
use trueup_engine::evidence::{Evidence, evidence};
use trueup_engine::live::{Live, LiveSet};
use trueup_engine::look::Comparison;
use trueup_engine::memory::{Layered, Secrecy};
use trueup_engine::operation::StepOutcome;
use trueup_engine::plan::{Action, Precondition, Step};
use trueup_ledger::{Corrected, Fact, HandedOver, IntendedAction, Ledger, LedgerError, NewEntry, Seq, Write};
use trueup_object::{ResourceKey, Text};

use crate::clock::SharedClock;

/// Writes the steps of one plan to the ledger.
pub struct Recorder<'a> {
    pub ledger: &'a Ledger,
    pub clock: &'a SharedClock,
    pub app: &'a AppKey,
    /// Why the steps are taken, in words.
    pub reason: &'a str,
    /// Whether policy alone takes them.
    pub by_policy: bool,
    /// The look that the plan was made from.
    pub comparison: &'a Comparison,
    /// The commit whose targets are applied.
    pub revision: Option<Text>,
    pub schemas: Layered<'a>,
    /// Annotations whose values are not kept in the open.
    pub masked_annotations: &'a [Text],
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
        let secrecy = Secrecy { key: self.ledger.key().as_bytes(), annotations: self.masked_annotations };
        evidence(live, differences, self.schemas, secrecy)
    }

    /// Writes evidence and intent of all steps before the first one is carried out, in one transaction: a flush to the disk
    /// for each step would be most of what a sync waits for. A step whose own intent cannot be written is not carried out.
    pub async fn before(&self, steps: &[Step], live: &LiveSet) -> Vec<Result<Seq, String>> {
        let intent = |step: &Step| Write::Entry(Box::new(self.intent(step, live.objects.get(&step.key))));
        match self.ledger.write(steps.iter().map(intent).collect()).await {
            Ok(intents) => intents.into_iter().map(Ok).collect(),
            Err(error) if steps.len() == 1 => vec![Err(error.to_string())],
            // One object's evidence that cannot be kept must not stop the others.
            Err(_) => {
                let mut intents = Vec::with_capacity(steps.len());
                for step in steps {
                    let alone = self.ledger.append(self.intent(step, live.objects.get(&step.key))).await;
                    intents.push(alone.map_err(|error| error.to_string()));
                }
                intents
            }
        }
    }

    fn intent(&self, step: &Step, live: Option<&Live>) -> NewEntry {
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
        let corrects = step.corrects.iter().map(|correction| Corrected {
            path: correction.path.as_ref().map(ToString::to_string),
            opponent: correction.opponent.clone(),
        });
        let fact = Fact::Intended {
            action,
            reason: self.reason.to_owned(),
            by_policy: self.by_policy,
            corrects: corrects.collect(),
            revision: self.revision.clone(),
            uid,
            resource_version,
        };
        self.entry(step, fact, live.map(|live| self.evidence(step, live)))
    }

    /// Hands the outcome to the ledger, which writes it beside the next step.
    pub async fn after(
        &self,
        intent: Seq,
        step: &Step,
        outcome: &StepOutcome,
    ) -> Result<HandedOver, LedgerError> {
        let fact = match outcome {
            StepOutcome::Done(_) => Fact::Done { intent, uid: None, resource_version: None },
            StepOutcome::Stale { why: reason }
            | StepOutcome::Refused { message: reason }
            | StepOutcome::Unanswered { message: reason } => Fact::Refused { intent, reason: reason.clone() },
        };
        self.ledger.hand_over(vec![Write::Entry(Box::new(self.entry(step, fact, None)))]).await
    }
}

/// Waits until an outcome is on the disk.
pub async fn written(outcome: Result<HandedOver, LedgerError>, object: &ResourceKey) {
    let written = match outcome {
        Ok(handed_over) => handed_over.written().await.map(|_| ()),
        Err(error) => Err(error),
    };
    if let Err(error) = written {
        // The effect has happened; its intent and evidence are on record.
        tracing::error!(%object, %error, "an outcome could not be written to the ledger");
    }
}
