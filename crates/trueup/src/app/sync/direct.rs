//! A sync without a controller: the same look, plan and steps, with the rights of the caller. Evidence and intent are in
//! the caller's own ledger before anything is overwritten.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trueup_api::difference::Difference;
use trueup_cluster::act::{self, Executed, Hand, Refusal};
use trueup_cluster::{Lookup, ServedKind};
use trueup_engine::app::SyncRequest;
use trueup_engine::evidence::evidence;
use trueup_engine::fight::Fights;
use trueup_engine::lint::lint;
use trueup_engine::live::Live;
use trueup_engine::operation::{
    Effect, Next, OperationPhase, OperationState, StepOutcome, StepResult, conclude,
};
use trueup_engine::plan::{Action, Pace, PlanContext, Precondition, Step, SyncPlan, plan};
use trueup_engine::policy::Authority;
use trueup_ledger::{Fact, IntendedAction, Ledger, NewEntry, Seq};
use trueup_object::{ResourceKey, Text, Value};

use super::preview;
use crate::app::refresh::STEP;
use crate::arguments::Globals;
use crate::failure::Failure;
use crate::home::Home;
use crate::output::{self, Table};
use crate::scene::{Scene, Seen};

/// A new kind is served a moment after its definition is accepted.
const KIND_WAIT_MAX: Duration = Duration::from_secs(10);

/// Syncs an application; `asks` lets a person at a terminal decide about drift.
pub async fn sync(
    home: &Home,
    globals: &Globals,
    object: Value,
    request: &SyncRequest,
    asks: bool,
    limit: Option<Duration>,
) -> Result<(), Failure> {
    let work = carry_out(home, globals, object, request, asks);
    match limit {
        None => work.await,
        Some(limit) => tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            Err(Failure::no(format!("the sync has not ended within {} s", limit.as_secs()))
                .hint("`trueup app diff` shows what is left"))
        }),
    }
}

async fn carry_out(
    home: &Home,
    globals: &Globals,
    object: Value,
    request: &SyncRequest,
    asks: bool,
) -> Result<(), Failure> {
    let ledger = Ledger::open(&globals.state_dir()).await.map_err(|error| ledger_failure(&error))?;
    let mut scene = open(home, globals, &object, request).await?;
    let mut seen = scene.look().await;
    if asks {
        let differences: Vec<(&ResourceKey, Difference)> =
            seen.comparison.differences().map(|found| (&found.key, Difference::from(found))).collect();
        let borrowed: Vec<_> = differences.iter().map(|(key, difference)| (*key, difference)).collect();
        preview::ask(&scene.app.key, &borrowed, request)?;
    }
    let mut state = OperationState::begin(request.clone(), Timestamp::now());
    let phase = loop {
        let plan = planned(&scene, &seen, request)?;
        state.results = steps(&scene, &seen, &plan, request, &ledger).await?;
        state.held.clone_from(&plan.held);
        if request.dry_run {
            break outcome_of_dry_run(&mut state);
        }
        let executed_at = Timestamp::now();
        match settle(&scene, &state, &plan, executed_at, &mut seen).await {
            Next::Over { phase, message } => {
                state.message = message;
                break phase;
            }
            Next::RetryAt(at) => {
                output::tell(&format!("failed; trying again at {at}"));
                let wait = at.duration_since(Timestamp::now()).max(SignedDuration::ZERO);
                tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
                state.retry_count += 1;
            }
            Next::Replan | Next::Settle { .. } => {}
        }
        // Kinds may be served now that were not before.
        scene = open(home, globals, &object, request).await?;
        seen = scene.look().await;
    };
    ledger.close().await;
    report(&scene, &state, phase)
}

fn ledger_failure(error: &trueup_ledger::LedgerError) -> Failure {
    Failure::of_source(format!("failed to {error}"), error.fault(), error.hint())
}

/// The scene of an application that may be written to.
async fn open(
    home: &Home,
    globals: &Globals,
    object: &Value,
    request: &SyncRequest,
) -> Result<Scene, Failure> {
    let mut scene = Scene::open(home, globals, object.clone(), request.revision.as_ref())
        .await
        .map_err(Failure::or_user)?;
    scene.app.unsupported.extend(home.project_rules(&scene.app).await?);
    let unsupported: Vec<_> = scene.app.unsupported.iter().chain(&scene.targets.unsupported).collect();
    if let Some(first) = unsupported.first() {
        return Err(Failure::user(format!(
            "{} is read-only: {}: {}, which this build does not support",
            scene.app.key, first.place, first.what
        ))
        .hint("remove what is named, or sync with the tool that supports it"));
    }
    Ok(scene)
}

fn planned(scene: &Scene, seen: &Seen, request: &SyncRequest) -> Result<SyncPlan, Failure> {
    let authority = Authority::of_request(&scene.app, request);
    let made = plan(&PlanContext {
        app: &scene.app,
        comparison: &seen.comparison,
        targets: &scene.targets,
        live: &seen.live,
        authority: &authority,
        fights: &Fights::default(),
        pace: &Pace::default(),
        now: Timestamp::now(),
    });
    let faults = lint(&scene.app, &scene.targets, &seen.live, &made);
    if faults.is_empty() {
        return Ok(made);
    }
    Err(Failure::ours(format!("the plan breaks rules, so nothing of it is done: {faults:?}")))
}

async fn steps(
    scene: &Scene,
    seen: &Seen,
    plan: &SyncPlan,
    request: &SyncRequest,
    ledger: &Ledger,
) -> Result<Vec<StepResult>, Failure> {
    let hand = if request.dry_run { Hand::dry_run() } else { Hand::real() };
    let mut results = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let live = seen.live.objects.get(&step.key);
        let intent =
            if request.dry_run { None } else { Some(intend(scene, seen, step, live, ledger).await?) };
        let outcome = match served(scene, step).await {
            None => StepOutcome::Refused {
                message: format!("the cluster does not serve {}; install its definition first", step.gvk),
            },
            Some(kind) => {
                let wire = &scene.cluster.connection().wire;
                match act::execute(wire, &kind, step, &plan.held, live, &hand).await {
                    Ok(Executed::Applied(done)) => StepOutcome::Done(effect(done.effect)),
                    Ok(Executed::Deleted(_)) => StepOutcome::Done(Effect::Pruned),
                    Err(stopped) => refused(&step.action, &stopped.refusal),
                }
            }
        };
        if let Some(intent) = intent {
            conclude_entry(scene, step, intent, &outcome, ledger).await?;
        }
        results.push(StepResult { key: step.key.clone(), gvk: step.gvk.clone(), outcome });
    }
    Ok(results)
}

async fn intend(
    scene: &Scene,
    seen: &Seen,
    step: &Step,
    live: Option<&Live>,
    ledger: &Ledger,
) -> Result<Seq, Failure> {
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
    let paths = step.corrects.iter().filter_map(|correction| correction.path.as_ref());
    let fact = Fact::Intended {
        action,
        reason: "a sync by command, without a controller".to_owned(),
        paths: paths.map(ToString::to_string).collect(),
        revision: Some(Text::from(scene.revision.as_str())),
        uid,
        resource_version,
    };
    let object = seen.comparison.object(&step.key);
    let differences = object.map(|object| object.differences.as_slice()).unwrap_or_default();
    let evidence = live.map(|live| evidence(live, differences, scene.schemas(), ledger.key().as_bytes()));
    let entry = NewEntry { evidence, ..entry(scene, step, fact) };
    // Without evidence nothing is overwritten.
    ledger.append(entry).await.map_err(|error| ledger_failure(&error))
}

fn entry(scene: &Scene, step: &Step, fact: Fact) -> NewEntry {
    let (time, app, object) = (Timestamp::now(), scene.app.key.clone(), Some(step.key.clone()));
    NewEntry { time, app, object, fact, evidence: None }
}

async fn conclude_entry(
    scene: &Scene,
    step: &Step,
    intent: Seq,
    outcome: &StepOutcome,
    ledger: &Ledger,
) -> Result<(), Failure> {
    let fact = match outcome {
        StepOutcome::Done(_) => Fact::Done { intent, uid: None, resource_version: None },
        StepOutcome::Stale { why: reason }
        | StepOutcome::Refused { message: reason }
        | StepOutcome::Unanswered { message: reason } => Fact::Refused { intent, reason: reason.clone() },
    };
    let written = ledger.append(entry(scene, step, fact)).await;
    written.map(|_| ()).map_err(|error| ledger_failure(&error))
}

async fn served(scene: &Scene, step: &Step) -> Option<ServedKind> {
    let waited = async {
        loop {
            let discovery = scene.cluster.discovery()?;
            if let Lookup::Served(kind) = discovery.find(&step.gvk) {
                return Some(kind.clone());
            }
            scene.cluster.rediscover();
            tokio::time::sleep(STEP).await;
        }
    };
    tokio::time::timeout(KIND_WAIT_MAX, waited).await.ok().flatten()
}

fn effect(effect: act::Effect) -> Effect {
    match effect {
        act::Effect::Created => Effect::Created,
        act::Effect::Changed | act::Effect::Joined => Effect::Changed,
        act::Effect::Unchanged => Effect::Unchanged,
    }
}

fn refused(action: &Action, refusal: &Refusal) -> StepOutcome {
    let message = format!("failed to {refusal}");
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
            StepOutcome::Refused { message: format!("{message}{hint}") }
        }
    }
}

/// Waits until what was applied is observed as applied, as long as that may take.
async fn settle(
    scene: &Scene,
    state: &OperationState,
    plan: &SyncPlan,
    executed_at: Timestamp,
    seen: &mut Seen,
) -> Next {
    loop {
        *seen = scene.look().await;
        match conclude(state, plan, &seen.comparison, executed_at, Timestamp::now()) {
            Next::Settle { until: _ } => tokio::time::sleep(STEP).await,
            Next::Replan => {
                tokio::time::sleep(STEP).await;
                return Next::Replan;
            }
            over @ (Next::RetryAt(_) | Next::Over { .. }) => return over,
        }
    }
}

/// Nothing is observed of a dry run: its answers are its outcome.
fn outcome_of_dry_run(state: &mut OperationState) -> OperationPhase {
    let refused = state.results.iter().any(|it| matches!(it.outcome, StepOutcome::Refused { .. }));
    state.message = format!("dry run: {} objects would be written", state.results.len());
    if refused { OperationPhase::Failed } else { OperationPhase::Succeeded }
}

fn report(scene: &Scene, state: &OperationState, phase: OperationPhase) -> Result<(), Failure> {
    let mut table = Table::new(&["GROUP", "KIND", "NAMESPACE", "NAME", "RESULT", "MESSAGE"]);
    for StepResult { key, gvk: _, outcome } in &state.results {
        let (word, message) = match outcome {
            StepOutcome::Done(Effect::Created) => ("Synced", "created"),
            StepOutcome::Done(Effect::Changed) => ("Synced", "configured"),
            StepOutcome::Done(Effect::Unchanged) => ("Synced", "unchanged"),
            StepOutcome::Done(Effect::Pruned) => ("Pruned", "pruned"),
            StepOutcome::Stale { why: message }
            | StepOutcome::Refused { message }
            | StepOutcome::Unanswered { message } => ("SyncFailed", message.as_str()),
        };
        let place = [&key.group, &key.kind, &key.namespace, &key.name].map(ToString::to_string);
        table.row(place.into_iter().chain([word.to_owned(), message.to_owned()]));
    }
    if !table.is_empty() {
        table.print();
    }
    for held in &state.held {
        let path = held.path.as_ref().map(|path| format!(" {path}")).unwrap_or_default();
        output::tell(&format!(
            "left alone: {}/{}{path}: {}",
            held.key.kind,
            held.key.name,
            held.reason.describe()
        ));
    }
    output::line(&format!("{}: {}: {}", scene.app.key, phase.as_str(), state.message));
    match phase {
        OperationPhase::Succeeded => Ok(()),
        OperationPhase::Running
        | OperationPhase::Terminating
        | OperationPhase::Failed
        | OperationPhase::Error => {
            Err(Failure::no(format!("the sync of {} ended with {}", scene.app.key, phase.as_str()))
                .hint("correct what is named and sync again"))
        }
    }
}
