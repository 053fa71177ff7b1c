//! Carries a plan out, step by step, without choices of its own.
//!
//! Evidence and intent of every step are in the ledger before the first request leaves, a step's outcome after its answer. A step
//! whose precondition no longer holds is reported as stale: the next look makes a new plan.

use std::time::Duration;

use trueup_cluster::act::{self, Executed, Hand, Mode, Refusal, Tally};
use trueup_cluster::{Cluster, Lookup, ServedKind};
use trueup_engine::live::{Live, LiveSet};
use trueup_engine::operation::{Effect, StepOutcome, StepResult};
use trueup_engine::plan::{Action, Held, Step, SyncPlan};
use trueup_ledger::Seq;
use trueup_object::{GroupKind, ResourceKey};

use crate::record::{self, Recorder};

/// A new kind is served a moment after its definition is accepted; a namespace is usable at once.
const KIND_WAIT_MAX: Duration = Duration::from_secs(10);
const KIND_WAIT_STEP: Duration = Duration::from_millis(100);

/// Where the steps of one plan go, and what they were planned against.
pub struct Execution<'a> {
    pub cluster: &'a Cluster,
    pub live: &'a LiveSet,
    pub mode: Mode,
    /// Where the requests are counted.
    pub tally: &'a Tally,
}

/// Executes the steps in order; also returns what was recorded as intended and then done, of which a dry run has nothing.
/// A refused definition or namespace does not stop the rest: what needs it is refused by the server in its turn.
pub async fn execute(
    execution: &Execution<'_>,
    plan: &SyncPlan,
    record: &Recorder<'_>,
) -> (Vec<StepResult>, Vec<(Seq, ResourceKey)>) {
    let intents = match execution.mode {
        Mode::DryRun => Vec::new(),
        Mode::Real => record.before(&plan.steps, execution.live).await,
    };
    let mut intents = intents.into_iter();
    let mut results = Vec::with_capacity(plan.steps.len());
    // A kind is waited for only where its definition may just have been applied.
    let mut kinds_until = tokio::time::Instant::now();
    let (mut done, mut outcomes, mut refused) = (Vec::new(), Vec::new(), Vec::new());
    for step in &plan.steps {
        let live = execution.live.objects.get(&step.key);
        let outcome = match (execution.mode, intents.next()) {
            (Mode::DryRun, _) => one(execution, step, &plan.held, live, kinds_until, &refused).await,
            (Mode::Real, Some(Ok(intent))) => {
                let outcome = one(execution, step, &plan.held, live, kinds_until, &refused).await;
                outcomes.push((record.after(intent, step, &outcome).await, &step.key));
                if matches!(outcome, StepOutcome::Done(_)) {
                    done.push((intent, step.key.clone()));
                }
                outcome
            }
            // Without evidence nothing is overwritten (detection.md 6, fact 9).
            (Mode::Real, Some(Err(why))) => {
                StepOutcome::Refused { message: format!("failed to write the ledger: {why}") }
            }
            (Mode::Real, None) => {
                StepOutcome::Refused { message: "failed to write the ledger: no answer".to_owned() }
            }
        };
        match (definition(step), &outcome) {
            // Nothing that a refused definition defines is waited for.
            (Some(defined), StepOutcome::Refused { .. }) => refused.push(defined),
            (Some(_), _) => kinds_until = tokio::time::Instant::now() + KIND_WAIT_MAX,
            (None, _) => {}
        }
        results.push(StepResult { key: step.key.clone(), gvk: step.gvk.clone(), outcome });
    }
    for (outcome, object) in outcomes {
        record::written(outcome, object).await;
    }
    (results, done)
}

/// The kind that a step defines, if it does.
fn definition(step: &Step) -> Option<GroupKind> {
    let (Action::Create { object } | Action::Apply { object, .. }) = &step.action else { return None };
    if step.gvk.kind != "CustomResourceDefinition" {
        return None;
    }
    let kind = object.str_at(&["spec", "names", "kind"])?;
    Some(GroupKind::new(object.str_at(&["spec", "group"])?, kind))
}

async fn one(
    execution: &Execution<'_>,
    step: &Step,
    held: &[Held],
    live: Option<&Live>,
    kinds_until: tokio::time::Instant,
    refused_definitions: &[GroupKind],
) -> StepOutcome {
    let is_refused = refused_definitions.contains(&step.gvk.group_kind());
    let until = if is_refused { tokio::time::Instant::now() } else { kinds_until };
    let Some(kind) = served(execution.cluster, step, until).await else {
        let gvk = &step.gvk;
        let message = if is_refused {
            format!(
                "the cluster does not serve {gvk}: its definition, which is in Git too, was refused just before"
            )
        } else {
            format!("the cluster does not serve {gvk}; install its definition first")
        };
        return StepOutcome::Refused { message };
    };
    let wire = &execution.cluster.connection().wire;
    let hand = match execution.mode {
        Mode::Real => Hand { tally: execution.tally.clone(), ..Hand::real() },
        Mode::DryRun => Hand { tally: execution.tally.clone(), ..Hand::dry_run() },
    };
    match act::execute(wire, &kind, step, held, live, &hand).await {
        Ok(Executed::Applied(done)) => StepOutcome::Done(effect(done.effect)),
        Ok(Executed::Deleted(_)) => StepOutcome::Done(Effect::Pruned),
        Err(stopped) => refused(&step.action, &stopped.refusal),
    }
}

/// The kind as the cluster serves it; waits for one whose definition was applied a moment ago.
async fn served(cluster: &Cluster, step: &Step, until: tokio::time::Instant) -> Option<ServedKind> {
    loop {
        let discovery = cluster.discovery()?;
        if let Lookup::Served(kind) = discovery.find(&step.gvk) {
            return Some(kind.clone());
        }
        if tokio::time::Instant::now() >= until {
            return None;
        }
        cluster.rediscover();
        tokio::time::sleep(KIND_WAIT_STEP).await;
    }
}

fn effect(effect: act::Effect) -> Effect {
    match effect {
        act::Effect::Created => Effect::Created,
        act::Effect::Changed | act::Effect::Joined => Effect::Changed,
        act::Effect::Unchanged => Effect::Unchanged,
    }
}

fn refused(action: &Action, refusal: &Refusal) -> StepOutcome {
    let message = refusal.to_string();
    match refusal {
        // What is to be deleted and is not there is deleted.
        Refusal::NotFound { .. } if matches!(action, Action::Delete { .. }) => {
            StepOutcome::Done(Effect::Pruned)
        }
        Refusal::Conflict { .. } | Refusal::PreconditionFailed { .. } => StepOutcome::Stale { why: message },
        Refusal::AnswerUnknown { .. }
        | Refusal::Unreachable { .. }
        | Refusal::Busy { .. }
        | Refusal::Server { .. } => StepOutcome::Unanswered { message },
        Refusal::NotFound { .. }
        | Refusal::Invalid { .. }
        | Refusal::Denied { .. }
        | Refusal::Forbidden { .. }
        | Refusal::Unauthorized { .. }
        | Refusal::Rejected { .. } => {
            let hint = refusal.hint().map(|hint| format!("; {hint}")).unwrap_or_default();
            StepOutcome::Refused { message: format!("failed to {message}{hint}") }
        }
    }
}
