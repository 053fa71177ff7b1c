//! Acting: requests taken up, decisions made, plans carried out, outcomes noted.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use trueup_cluster::Lookup;
use trueup_cluster::act::{Mode, Tally};
use trueup_engine::app::{App, DriftChoice, Initiator, Retry, SyncRequest};
use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::desired::TargetSet;
use trueup_engine::difference::Origin;
use trueup_engine::fight::Fight;
use trueup_engine::lint::lint;
use trueup_engine::live::LiveSet;
use trueup_engine::look::Comparison;
use trueup_engine::operation::{self, Effect, OperationPhase, OperationState, StepOutcome, StepResult};
use trueup_engine::plan::{
    Action, Held, HeldReason, PlanContext, SyncPlan, limit_conditions, limits_until, plan,
};
use trueup_engine::policy::{self, Asked, Authority, LastSync, NotNow};
use trueup_engine::status::SyncStatus;
use trueup_ledger::Seq;
use trueup_object::{Gvk, ResourceKey, Value};

use crate::execute::{Execution, execute};
use crate::installation::Installation;
use crate::record::Recorder;
use crate::site::Site;
use crate::state::{AppState, Finished, Running, Written};
use crate::turn::unanswered::{unanswered, version};
use crate::turn::verdict::layered;
use crate::turn::{confirm, others};

/// The wait after a heal that the server refused, tripled each time.
const HEAL_RETRY_BASE: SignedDuration = SignedDuration::from_secs(2);
const HEAL_RETRY_FACTOR: i32 = 3;
const HEAL_RETRY_MAX: SignedDuration = SignedDuration::from_secs(300);

/// The wait before another plan when what was planned on no longer held, doubled each time.
const REPLAN_BASE: SignedDuration = SignedDuration::from_millis(50);
const REPLAN_DOUBLINGS_MAX: u32 = 6;

/// Everything that acting needs to see.
pub struct Scene<'a> {
    pub installation: &'a Installation,
    pub site: &'a Site,
    pub app: &'a App,
    pub settings: &'a trueup_engine::settings::Settings,
    pub targets: &'a TargetSet,
    pub live: &'a LiveSet,
    pub now: Timestamp,
}

/// What is about to be done, and why.
pub struct Intention {
    pub plan: SyncPlan,
    pub mode: Mode,
    pub reason: String,
    /// A step of an operation, or a heal that needs none.
    pub heals: bool,
    /// Nobody asked for it.
    pub by_policy: bool,
    /// What was found about the objects of the plan.
    pub comparison: Comparison,
}

impl Intention {
    /// Leaves of targets and live objects what is still needed to carry it out.
    pub fn lighten(intention: Option<&Self>, targets: &mut TargetSet, live: &mut LiveSet) {
        let steps = intention.iter().flat_map(|intention| &intention.plan.steps);
        let changed: BTreeSet<&ResourceKey> = steps.map(|step| &step.key).collect();
        targets.targets.clear();
        live.objects.retain(|key, _| changed.contains(key));
    }
}

/// What was done.
pub struct Outcome {
    pub intention: Intention,
    pub results: Vec<StepResult>,
    /// The entries of the ledger that say what was intended, one for each step that was recorded.
    pub intents: Vec<(Seq, ResourceKey)>,
}

/// Takes up what `operation` asks for, unless it was taken up before. Returns whether there was something to take up.
pub fn take_up_request(state: &mut AppState, app: &App, resource_version: &str, now: Timestamp) -> bool {
    let Some(request) = &app.operation else {
        state.finished.iter_mut().for_each(|finished| finished.is_cleared = true);
        return false;
    };
    if let Some(finished) = &mut state.finished {
        let is_same = |operation: &OperationState| operation.request == *request;
        if !finished.is_cleared && finished.operation.as_ref().is_some_and(is_same) {
            // Somebody was quicker than its end, which is written on what is there now.
            finished.resource_version = resource_version.into();
        }
        if finished.resource_version == resource_version {
            return false;
        }
    }
    let is_running =
        state.running.as_ref().is_some_and(|running| !running.operation.request.initiated_by.automated);
    if is_running {
        return false;
    }
    // A person goes before the policy: a new plan may replace an old one at any time.
    state.running = Some(Running::new(request.clone(), now));
    true
}

/// What is to be done now.
pub fn decide(scene: &Scene<'_>, state: &mut AppState, comparison: &Comparison) -> Option<Intention> {
    if state.running.is_some() {
        if let Some(intention) = go_on(scene, state, comparison) {
            return Some(intention);
        }
        if state.running.is_some() {
            return None;
        }
    }
    by_policy(scene, state, comparison)
}

/// Goes on with a running operation.
fn go_on(scene: &Scene<'_>, state: &mut AppState, comparison: &Comparison) -> Option<Intention> {
    let running = state.running.as_mut()?;
    if let Some((plan, at)) = running.executed.take() {
        // What is not answered or comes between is tried for a while, however often.
        let since = if is_open(&running.operation) { running.begun_at.unwrap_or(at) } else { at };
        match operation::conclude(&running.operation, &plan, comparison, since, scene.now) {
            operation::Next::Replan => {
                running.operation.results.clear();
                running.replans = running.replans.saturating_add(1);
                // Once at once; a server that goes on like that is asked more and more seldom.
                if running.replans > 1 {
                    running.wake_at = Some(scene.now + replan_wait(running.replans));
                    return None;
                }
            }
            operation::Next::Settle { until } => {
                running.executed = Some((plan, at));
                running.wake_at = Some(until);
                return None;
            }
            operation::Next::RetryAt { at, why } => {
                state.missed_kinds = missed_kinds(scene, &running.operation);
                running.operation.retry_count += 1;
                running.operation.message = format!("failed and is tried again at {at:.0}: {why}");
                running.operation.results.clear();
                running.wake_at = Some(at);
                (running.begun_at, running.replans) = (None, 0);
                return None;
            }
            operation::Next::Over { phase, message } => {
                finish(scene, state, &plan, phase, message);
                return None;
            }
        }
    }
    let running = state.running.as_mut()?;
    let is_served = !state.inquiry.is_awaited() && is_served_now(scene, &mut state.missed_kinds);
    let is_early = running.wake_at.is_some_and(|at| at > scene.now) && !is_served;
    if is_early || state.inquiry.is_awaited() {
        return None;
    }
    if let Some(failing) = &state.source_failing {
        if running.operation.request.initiated_by.automated {
            // The policy begins again when there is something to go by.
            state.running = None;
        } else {
            let message = format!("nothing was synced: {}", failing.condition.message);
            finish(scene, state, &SyncPlan::default(), OperationPhase::Error, message);
        }
        return None;
    }
    running.wake_at = None;
    let request = running.operation.request.clone();
    let is_first = running.begun_at.is_none() && running.operation.retry_count == 0;
    // Later what was pruned is no longer there.
    if let Some(message) = operation::unmatched(&request, comparison).filter(|_| is_first) {
        finish(scene, state, &SyncPlan::default(), OperationPhase::Error, message);
        return None;
    }
    let authority = if request.initiated_by.automated {
        Authority::of_policy(scene.app)?
    } else {
        Authority::of_request(scene.app, &request)
    };
    running.operation.revisions = revisions(scene.targets);
    let mode = if request.dry_run { Mode::DryRun } else { Mode::Real };
    let who = if request.initiated_by.automated { "a commit" } else { "a sync that was asked for" };
    let intention = planned(scene, state, comparison, &authority, mode, who, false);
    if scene.app.is_read_only() || !scene.targets.unsupported.is_empty() {
        let message = "the application is read-only: see its UnsupportedError".to_owned();
        finish(scene, state, &intention.plan, OperationPhase::Error, message);
        return None;
    }
    Some(intention)
}

/// What the application's own policy does by itself.
fn by_policy(scene: &Scene<'_>, state: &mut AppState, comparison: &Comparison) -> Option<Intention> {
    state.policy_conditions = fights_held(scene, state);
    state.limited_until = None;
    // What the server or Git has not answered yet is not acted on: the answer wakes the worker.
    let is_open = state.inquiry.is_awaited() || confirm::is_open(state);
    if state.source_failing.is_some() || scene.app.deleting || is_open {
        return None;
    }
    if is_served_now(scene, &mut state.missed_kinds) {
        state.last_sync = None;
    }
    let authority = Authority::of_policy(scene.app)?;
    let revisions: Vec<String> = revisions(scene.targets).iter().map(ToString::to_string).collect();
    let moved_here = !others::given_up(scene, state).is_empty();
    match policy::may_begin(comparison, &revisions, state.last_sync.as_ref()) {
        Ok(()) => {}
        // Marks are not compared: an object that moved here as it was differs in nothing.
        Err(NotNow::NothingToDo) if moved_here && comparison.status == SyncStatus::Synced => {}
        Err(NotNow::NothingToDo) => {
            if comparison.status == SyncStatus::Synced {
                note_heal(state, &[], scene.now);
            }
            return None;
        }
        Err(NotNow::FailedBefore { revisions }) => {
            let condition = failed_before(&revisions, &state.last_message);
            state.policy_conditions.push(condition);
            return None;
        }
    }
    let heals =
        !moved_here && comparison.differences().all(|difference| difference.origin == Origin::Cluster);
    let reason = if heals { "self-heal" } else { "a commit" };
    let intention = planned(scene, state, comparison, &authority, Mode::Real, reason, heals);
    let held = held_conditions(&intention.plan);
    state.policy_conditions.retain(|known| !held.contains(known));
    state.policy_conditions.extend(held);
    let waits = others::wait_until(&intention.plan, scene.now);
    state.limited_until = limits_until(&intention.plan).into_iter().chain(waits).min();
    if intention.plan.steps.is_empty() {
        return None;
    }
    if heals {
        return (state.heal_after.is_none_or(|at| at <= scene.now)).then_some(intention);
    }
    let request = SyncRequest {
        prune: authority.prune,
        initiated_by: Initiator { automated: true, ..Initiator::default() },
        retry: Some(scene.app.retry.unwrap_or(Retry::AUTOMATED)),
        ..SyncRequest::default()
    };
    let mut running = Running::new(request, scene.now);
    running.operation.revisions = self::revisions(scene.targets);
    state.running = Some(running);
    Some(intention)
}

fn failed_before(revisions: &[String], message: &str) -> Condition {
    let cause = if message.is_empty() { "the cause is in the log of that time" } else { message };
    let message = format!(
        "the last sync of {} failed: {cause}; a new commit or `app sync` tries again",
        revisions.join(", ")
    );
    Condition::new(ConditionType::SyncError, message)
}

fn planned(
    scene: &Scene<'_>,
    state: &mut AppState,
    comparison: &Comparison,
    authority: &Authority,
    mode: Mode,
    reason: &str,
    heals: bool,
) -> Intention {
    let others = others::others(scene, state, comparison, authority);
    let plan = plan(&PlanContext {
        app: scene.app,
        comparison,
        targets: scene.targets,
        live: scene.live,
        authority,
        fights: &state.fights,
        pace: &state.pace,
        others: &others,
        now: scene.now,
    });
    let faults = lint(scene.app, scene.targets, scene.live, &plan);
    let plan = if faults.is_empty() {
        plan
    } else {
        // A plan that breaks a rule is a bug of ours; nothing of it is carried out.
        tracing::error!(application = %state.key, ?faults, "a plan breaks the rules and is dropped");
        SyncPlan { steps: Vec::new(), held: plan.held }
    };
    let comparison = concerned(comparison, &plan);
    let by_policy = authority.asked == Asked::Policy;
    Intention { plan, mode, reason: reason.to_owned(), heals, by_policy, comparison }
}

/// What a look found about the objects that a plan changes: their evidence.
pub fn concerned(comparison: &Comparison, plan: &SyncPlan) -> Comparison {
    let changed: BTreeSet<&ResourceKey> = plan.steps.iter().map(|step| &step.key).collect();
    let objects = comparison.objects.iter().filter(|object| changed.contains(&object.key));
    Comparison {
        status: comparison.status,
        origin: comparison.origin,
        health: comparison.health.clone(),
        objects: objects.cloned().collect(),
        conditions: Vec::new(),
        rules: Vec::new(),
    }
}

/// Names every fight from the correction that makes it one until healing would go on, also while the path is as Git wants it: who
/// undoes it so seldom that no back-off ever meets him would else never be named.
fn fights_held(scene: &Scene<'_>, state: &AppState) -> Vec<Condition> {
    if !scene.app.automated.is_some_and(|automated| automated.self_heal) {
        return Vec::new();
    }
    let fights = state.fights.all(scene.now).into_iter().filter(|fight| fight.until > scene.now);
    let held = fights.map(|Fight { place: (key, path), opponent, until }| Held {
        key,
        path,
        reason: HeldReason::Fight { opponent, until },
    });
    held_conditions(&SyncPlan { steps: Vec::new(), held: held.collect() })
}

/// Conditions for what a plan leaves alone and somebody should know of.
fn held_conditions(plan: &SyncPlan) -> Vec<Condition> {
    let conditions = plan.held.iter().filter_map(|held| {
        let place = match &held.path {
            Some(path) => format!("{}/{} {path}", held.key.kind, held.key.name),
            None => format!("{}/{}", held.key.kind, held.key.name),
        };
        let kind = match &held.reason {
            HeldReason::BothMoved => ConditionType::DriftBlocksSyncWarning,
            HeldReason::WantedElsewhere { .. } => ConditionType::SharedResourceWarning,
            HeldReason::Fight { .. } => ConditionType::FightWarning,
            HeldReason::WouldEmpty => ConditionType::SyncError,
            HeldReason::ReadOnly
            | HeldReason::Unknown { .. }
            | HeldReason::ClusterMoved
            | HeldReason::Excused
            | HeldReason::Addition
            | HeldReason::PruneOff
            | HeldReason::PruneForbidden { .. }
            | HeldReason::TargetsIncomplete
            | HeldReason::OthersUnread
            | HeldReason::Deleting
            | HeldReason::Shared { .. }
            // Many objects at once: told together.
            | HeldReason::Limit(_) => return None,
        };
        Some(Condition::new(kind, format!("{place}: {}", held.reason.describe())))
    });
    conditions.chain(limit_conditions(plan)).collect()
}

/// Carries an intention out.
pub async fn carry_out(scene: &Scene<'_>, intention: Option<Intention>) -> Option<Outcome> {
    let intention = intention?;
    let tally = Tally::default();
    let execution =
        Execution { cluster: &scene.site.cluster, live: scene.live, mode: intention.mode, tally: &tally };
    let schemas = scene.site.schemas(scene.settings);
    let recorder = Recorder {
        ledger: &scene.installation.ledger,
        clock: &scene.installation.clock,
        app: &scene.app.key,
        reason: &intention.reason,
        by_policy: intention.by_policy,
        comparison: &intention.comparison,
        revision: revisions(scene.targets).into_iter().next(),
        schemas: layered(&schemas),
        masked_annotations: &scene.settings.masked_annotations,
    };
    let (results, intents) = execute(&execution, &intention.plan, &recorder).await;
    scene.installation.board.update(|shown| {
        for (request, count) in tally.sent() {
            *shown.requests.entry((scene.app.key.clone(), request)).or_default() += count;
        }
    });
    Some(Outcome { intention, results, intents })
}

/// Takes note of what was done.
pub fn take_note(scene: &Scene<'_>, state: &mut AppState, outcome: Option<Outcome>) {
    let Some(Outcome { intention, results, intents }) = outcome else { return };
    let now = scene.installation.now();
    state.open_intents.extend(intents);
    for (step, result) in intention.plan.steps.iter().zip(&results) {
        if intention.mode == Mode::DryRun {
            continue;
        }
        let StepOutcome::Done(effect) = &result.outcome else {
            if matches!(result.outcome, StepOutcome::Unanswered { .. }) {
                state.unanswered.extend(unanswered(scene, step, now));
            }
            continue;
        };
        if *effect == Effect::Unchanged {
            continue;
        }
        for correction in &step.corrects {
            state.fights.correct(
                (step.key.clone(), correction.path.clone()),
                correction.opponent.clone(),
                now,
            );
        }
        if intention.by_policy {
            state.pace.note(step, now);
        }
    }
    state.fights.forget_settled(now);
    if intention.heals {
        note_heal(state, &results, now);
        return;
    }
    let Some(running) = &mut state.running else { return };
    running.operation.results = results;
    running.operation.held.clone_from(&intention.plan.held);
    if let Some(targets) = state.targets.as_ref().filter(|_| intention.mode == Mode::Real) {
        let written = |result: &StepResult| {
            let StepOutcome::Done(effect) = &result.outcome else { return None };
            let before = if *effect == Effect::Unchanged { None } else { version(scene, &result.key) };
            Some((result.key.clone(), Written::new(targets, &result.key, before)?))
        };
        state.just_synced.extend(running.operation.results.iter().filter_map(written));
    }
    running.targets.clone_from(&state.targets);
    running.begun_at.get_or_insert(now);
    running.executed = Some((without_bodies(intention.plan), now));
    running.wake_at = Some(now);
    if intention.mode == Mode::DryRun {
        // Nothing will be observed of a dry run: its answers are its outcome.
        let refused =
            running.operation.results.iter().any(|it| matches!(it.outcome, StepOutcome::Refused { .. }));
        let phase = if refused { OperationPhase::Failed } else { OperationPhase::Succeeded };
        let plan = running.executed.take().map(|(plan, _)| plan).unwrap_or_default();
        let message = format!("dry run: {} objects would be written", plan.steps.len());
        finish(scene, state, &plan, phase, message);
    }
}

/// What concluding needs of a plan. An operation may wait long until the objects are observed, and a thousand at the same time
/// would keep everything that they have applied.
fn without_bodies(mut plan: SyncPlan) -> SyncPlan {
    for step in &mut plan.steps {
        match &mut step.action {
            Action::Create { object } => *object = Value::Null,
            Action::Apply { object, take_over: _, removals, beside } => {
                *object = Value::Null;
                removals.clear();
                beside.clear();
            }
            Action::Delete { propagation: _ } => {}
        }
    }
    plan
}

fn note_heal(state: &mut AppState, results: &[StepResult], now: Timestamp) {
    let refusals: Vec<String> = results
        .iter()
        .filter_map(|result| match &result.outcome {
            StepOutcome::Refused { message } | StepOutcome::Unanswered { message } => {
                Some(format!("{}/{}: {message}", result.key.kind, result.key.name))
            }
            StepOutcome::Done(_) | StepOutcome::Stale { .. } => None,
        })
        .collect();
    let stale = results.iter().any(|result| matches!(result.outcome, StepOutcome::Stale { .. }));
    if refusals.is_empty() && stale {
        // Somebody was quicker; whether there is still something to heal is looked at in a moment.
        state.heal_failures = state.heal_failures.saturating_add(1);
        state.heal_after = Some(now + replan_wait(state.heal_failures));
        return;
    }
    if refusals.is_empty() {
        state.heal_failures = 0;
        state.heal_after = None;
        state.heal_condition = None;
        return;
    }
    let factor = HEAL_RETRY_FACTOR.checked_pow(state.heal_failures).unwrap_or(i32::MAX);
    let wait = HEAL_RETRY_BASE.checked_mul(factor).unwrap_or(HEAL_RETRY_MAX).min(HEAL_RETRY_MAX);
    state.heal_failures = state.heal_failures.saturating_add(1);
    state.heal_after = Some(now + wait);
    let message =
        format!("self-heal failed and is tried again at {:.0}: {}", now + wait, refusals.join("; "));
    state.heal_condition = Some(Condition::new(ConditionType::SyncError, message));
}

fn finish(scene: &Scene<'_>, state: &mut AppState, plan: &SyncPlan, phase: OperationPhase, message: String) {
    let Some(mut running) = state.running.take() else { return };
    running.operation.held.clone_from(&plan.held);
    running.operation.finish(phase, message, scene.now);
    let request = &running.operation.request;
    if !request.dry_run {
        // A server that did not answer has not refused, and what was not tried was not either: the policy may begin.
        let unknown = plan.held.iter().any(|held| matches!(held.reason, HeldReason::Unknown { .. }));
        let results = &running.operation.results;
        let says_no = results.iter().any(|it| matches!(it.outcome, StepOutcome::Refused { .. }));
        let refused =
            phase == OperationPhase::Failed && (says_no || !unknown && !is_open(&running.operation));
        state.last_sync = (phase == OperationPhase::Succeeded || refused).then(|| LastSync {
            revisions: running.operation.revisions.iter().map(ToString::to_string).collect(),
            succeeded: phase == OperationPhase::Succeeded,
            started_at: running.operation.started_at,
            finished_at: scene.now,
        });
        state.missed_kinds = missed_kinds(scene, &running.operation);
    }
    if phase == OperationPhase::Succeeded && !request.dry_run && request.drift == DriftChoice::Keep {
        // Somebody has decided: the base becomes what Git said then, also where nothing was left to apply.
        let kept = plan.held.iter().filter(|held| held.path.is_some());
        let kept =
            kept.filter(|held| matches!(held.reason, HeldReason::ClusterMoved | HeldReason::BothMoved));
        let written = |key: &ResourceKey| Written::new(running.targets.as_ref()?, key, None);
        state.just_synced.extend(kept.filter_map(|held| Some((held.key.clone(), written(&held.key)?))));
    }
    count(scene, state, &running.operation, phase);
    // What the policy has to say comes next, with the outcome known.
    state.last_message.clone_from(&running.operation.message);
    let resource_version = state.version.clone();
    state.finished =
        Some(Finished { operation: Some(running.operation), resource_version, is_cleared: false });
    state.again = true;
}

/// Kinds that steps needed and the cluster does not serve.
fn missed_kinds(scene: &Scene<'_>, operation: &OperationState) -> BTreeSet<Gvk> {
    let refused = operation.results.iter().filter(|it| matches!(it.outcome, StepOutcome::Refused { .. }));
    refused.filter(|it| !is_served(scene, &it.gvk)).map(|it| it.gvk.clone()).collect()
}

/// Whether kinds that were missed are all served now; they are then no longer missed.
fn is_served_now(scene: &Scene<'_>, missed: &mut BTreeSet<Gvk>) -> bool {
    let found = !missed.is_empty() && missed.iter().all(|gvk| is_served(scene, gvk));
    if found {
        missed.clear();
    }
    found
}

fn is_served(scene: &Scene<'_>, gvk: &Gvk) -> bool {
    scene.site.cluster.discovery().is_some_and(|known| matches!(known.find(gvk), Lookup::Served(_)))
}

/// Whether a step was overtaken or got no answer.
fn is_open(operation: &OperationState) -> bool {
    operation
        .results
        .iter()
        .any(|it| matches!(it.outcome, StepOutcome::Stale { .. } | StepOutcome::Unanswered { .. }))
}

fn replan_wait(count: u32) -> SignedDuration {
    let factor = 2_i32.saturating_pow(count.min(REPLAN_DOUBLINGS_MAX));
    REPLAN_BASE.checked_mul(factor).unwrap_or(HEAL_RETRY_MAX)
}

fn count(scene: &Scene<'_>, state: &AppState, operation: &OperationState, phase: OperationPhase) {
    let millis = scene.now.duration_since(operation.started_at).as_millis();
    scene.installation.board.update(|shown| {
        *shown.syncs.entry((state.key.clone(), phase.as_str(), operation.request.dry_run)).or_default() += 1;
        *shown.sync_millis.entry(state.key.clone()).or_default() += u64::try_from(millis).unwrap_or_default();
    });
}

fn revisions(targets: &TargetSet) -> Vec<trueup_object::Text> {
    targets.revisions.iter().map(|revision| trueup_object::Text::from(revision.id.to_string())).collect()
}
