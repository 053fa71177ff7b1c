//! A sync operation: what became of its steps, when it has ended, and when it is tried again.
//!
//! An operation spans minutes and restarts, so its progress is data: the shell executes steps and reports outcomes, and
//! what happens next is decided here (detection.md 9: a sync ends when the declared and existence channels agree).

use jiff::{SignedDuration, Timestamp};
use trueup_object::{Gvk, ResourceKey, Text};

use crate::app::{ResourceSelector, Retry, SyncRequest};
use crate::difference::Channel;
use crate::look::Comparison;
use crate::plan::{Held, HeldReason, SyncPlan};

/// How long applied objects may take to be observed as applied. Watch events arrive in milliseconds; a webhook or a
/// controller that changes the object back shows itself within this time.
pub const SETTLE_MAX: SignedDuration = SignedDuration::from_secs(10);

/// Where an operation stands, in Argo CD's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OperationPhase {
    Running,
    Terminating,
    Succeeded,
    Failed,
    Error,
}

impl OperationPhase {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Terminating => "Terminating",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Error => "Error",
        }
    }

    pub fn is_over(self) -> bool {
        match self {
            Self::Running | Self::Terminating => false,
            Self::Succeeded | Self::Failed | Self::Error => true,
        }
    }
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    Created,
    Changed,
    /// The server answered that nothing had to change.
    Unchanged,
    Pruned,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepOutcome {
    Done(Effect),
    /// What was planned on no longer holds: look again, plan again.
    Stale {
        why: String,
    },
    /// The server says no: the manifest, the rights or a policy must change.
    Refused {
        message: String,
    },
    /// No answer: the effect may or may not have happened.
    Unanswered {
        message: String,
    },
}

/// The result of one object in an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepResult {
    pub key: ResourceKey,
    pub gvk: Gvk,
    pub outcome: StepOutcome,
}

/// Progress of an operation, as the Application's `operationState` tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationState {
    pub request: SyncRequest,
    pub phase: OperationPhase,
    pub message: String,
    /// The commits that are synced, one for each source.
    pub revisions: Vec<Text>,
    pub results: Vec<StepResult>,
    /// What the plan left alone.
    pub held: Vec<Held>,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub retry_count: u32,
}

/// What happens next with an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Look again and plan again, at once.
    Replan,
    /// Wait for the applied objects to be observed, not longer than this.
    Settle { until: Timestamp },
    /// It has failed and is tried again then.
    RetryAt { at: Timestamp, why: String },
    /// It is over.
    Over { phase: OperationPhase, message: String },
}

impl OperationState {
    pub fn begin(request: SyncRequest, now: Timestamp) -> Self {
        Self {
            request,
            phase: OperationPhase::Running,
            message: "running".to_owned(),
            revisions: Vec::new(),
            results: Vec::new(),
            held: Vec::new(),
            started_at: now,
            finished_at: None,
            retry_count: 0,
        }
    }

    /// Takes the decision over.
    pub fn finish(&mut self, phase: OperationPhase, message: String, now: Timestamp) {
        self.phase = phase;
        self.message = message;
        self.finished_at = Some(now);
    }
}

/// How the message of an operation begins that names what the application has not.
pub const NO_SUCH_OBJECT: &str = "the application has no object";

/// What a request names and the application has not, with what there is; nothing where all of it is found.
pub fn unmatched(request: &SyncRequest, comparison: &Comparison) -> Option<String> {
    let is_there =
        |wanted: &&ResourceSelector| comparison.objects.iter().any(|object| wanted.selects(&object.key));
    let missing: Vec<String> =
        request.resources.iter().filter(|wanted| !is_there(wanted)).map(ToString::to_string).collect();
    if missing.is_empty() {
        return None;
    }
    let there: Vec<String> =
        comparison.objects.iter().map(|object| of_key(&object.key).to_string()).collect();
    let there = if there.is_empty() { "none".to_owned() } else { first_of(&there, ", ", OBJECTS_NAMED_MAX) };
    Some(format!("{NO_SUCH_OBJECT} {}; there are: {there}", missing.join(", ")))
}

/// What is listed to choose from fits a screen.
const OBJECTS_NAMED_MAX: usize = 20;

fn of_key(key: &ResourceKey) -> ResourceSelector {
    ResourceSelector { kind: key.group_kind(), namespace: key.namespace.clone(), name: key.name.clone() }
}

/// Decides after the steps of a plan were executed. `comparison`: a look made after the last outcome.
pub fn conclude(
    state: &OperationState,
    plan: &SyncPlan,
    comparison: &Comparison,
    executed_at: Timestamp,
    now: Timestamp,
) -> Next {
    let refused: Vec<String> = state.results.iter().filter_map(refusal).collect();
    if !refused.is_empty() {
        return fail_or_retry(state, summary(&refused), now);
    }
    let open = state.results.iter().any(|result| match result.outcome {
        StepOutcome::Stale { .. } | StepOutcome::Unanswered { .. } => true,
        StepOutcome::Done(_) | StepOutcome::Refused { .. } => false,
    });
    let until = executed_at + SETTLE_MAX;
    if open {
        return if now < until {
            Next::Replan
        } else {
            fail_or_retry(state, unfinished(&state.results), now)
        };
    }
    let differing = unsettled(plan, comparison);
    let unknown: Vec<String> = plan.held.iter().filter_map(unobserved).collect();
    if differing.is_empty() && !unknown.is_empty() && !state.request.initiated_by.automated {
        return fail_or_retry(state, format!("not everything was synced: {}", summary(&unknown)), now);
    }
    if differing.is_empty() {
        return Next::Over { phase: OperationPhase::Succeeded, message: success(plan, comparison) };
    }
    if now < until {
        return Next::Settle { until };
    }
    fail_or_retry(state, format!("applied, and still different: {}", summary(&differing)), now)
}

fn refusal(result: &StepResult) -> Option<String> {
    match &result.outcome {
        StepOutcome::Refused { message } => {
            Some(format!("{}/{}: {message}", result.key.kind, result.key.name))
        }
        StepOutcome::Done(_) | StepOutcome::Stale { .. } | StepOutcome::Unanswered { .. } => None,
    }
}

/// What a person asked for and could not be done because nobody knows how the object is.
fn unobserved(held: &Held) -> Option<String> {
    let known = !matches!(held.reason, HeldReason::Unknown { .. });
    (!known).then(|| format!("{}/{}: {}", held.key.kind, held.key.name, held.reason.describe()))
}

fn unfinished(results: &[StepResult]) -> String {
    let open: Vec<String> = results
        .iter()
        .filter_map(|result| match &result.outcome {
            StepOutcome::Stale { why: message } | StepOutcome::Unanswered { message } => {
                Some(format!("{}/{}: {message}", result.key.kind, result.key.name))
            }
            StepOutcome::Done(_) | StepOutcome::Refused { .. } => None,
        })
        .collect();
    summary(&open)
}

/// Objects of the plan whose declared or existence channel still disagrees, what the plan left alone apart.
fn unsettled(plan: &SyncPlan, comparison: &Comparison) -> Vec<String> {
    let held = |key: &ResourceKey, path: Option<&trueup_object::FieldPath>| {
        plan.held.iter().any(|held| held.key == *key && (held.path.is_none() || held.path.as_ref() == path))
    };
    plan.steps
        .iter()
        .filter_map(|step| comparison.object(&step.key))
        .flat_map(|object| &object.differences)
        .filter(|difference| matches!(difference.channel, Channel::Declared | Channel::Existence))
        .filter(|difference| !held(&difference.key, difference.path.as_ref()))
        .map(super::difference::Difference::place)
        .collect()
}

fn success(plan: &SyncPlan, comparison: &Comparison) -> String {
    let additions = comparison
        .differences()
        .filter(|difference| matches!(difference.channel, Channel::Undeclared | Channel::Unowned))
        .count();
    let prunable = plan.held.iter().filter(|held| held.reason == HeldReason::PruneOff).count();
    let mut message = "successfully synced".to_owned();
    if additions > 0 {
        message += &format!("; {additions} {} left", if additions == 1 { "addition" } else { "additions" });
    }
    if prunable > 0 {
        message += &format!(
            "; {prunable} {} pruning",
            if prunable == 1 { "object requires" } else { "objects require" }
        );
    }
    let left_out = left_out(plan);
    if !left_out.is_empty() {
        message += &format!("; left out: {}", summary(&left_out));
    }
    message
}

/// Whole objects that were to be synced and were not, whoever asked: a success without them is not all that was meant.
fn left_out(plan: &SyncPlan) -> Vec<String> {
    let told = plan.held.iter().filter(|held| match held.reason {
        HeldReason::Unknown { .. }
        | HeldReason::BothMoved
        | HeldReason::Deleting
        | HeldReason::Shared { .. }
        | HeldReason::Limit(_) => true,
        HeldReason::ReadOnly
        | HeldReason::ClusterMoved
        | HeldReason::Excused
        | HeldReason::Addition
        | HeldReason::PruneOff
        | HeldReason::PruneForbidden { .. }
        | HeldReason::TargetsIncomplete
        | HeldReason::WantedElsewhere { .. }
        | HeldReason::OthersUnread
        | HeldReason::WouldEmpty
        | HeldReason::Fight { .. } => false,
    });
    let mut told: Vec<String> = told
        .map(|held| format!("{}/{} ({})", held.key.kind, held.key.name, held.reason.describe()))
        .collect();
    told.dedup();
    told
}

fn fail_or_retry(state: &OperationState, message: String, now: Timestamp) -> Next {
    let retry =
        state.request.retry.unwrap_or(Retry { limit: Some(0), base_ms: 0, factor: 1, backoff_ms_max: 0 });
    if retry.allows(state.retry_count) {
        let wait =
            SignedDuration::from_millis(i64::try_from(retry.wait_ms(state.retry_count)).unwrap_or(i64::MAX));
        return Next::RetryAt { at: now.saturating_add(wait).unwrap_or(Timestamp::MAX), why: message };
    }
    Next::Over { phase: OperationPhase::Failed, message }
}

fn summary(messages: &[String]) -> String {
    const NAMED_MAX: usize = 3;
    first_of(messages, "; ", NAMED_MAX)
}

fn first_of(messages: &[String], between: &str, count: usize) -> String {
    let named = messages.iter().take(count).cloned().collect::<Vec<_>>().join(between);
    let more = messages.len().saturating_sub(count);
    if more > 0 { format!("{named}{between}and {more} more") } else { named }
}

#[cfg(test)]
mod tests;
