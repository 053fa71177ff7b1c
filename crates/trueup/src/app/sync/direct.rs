//! A sync without a controller: the same look, plan and steps, with the rights of the caller. Evidence and intent are in
//! the caller's own ledger before anything is overwritten.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use trueup_api::difference::Difference;
use trueup_cluster::act::{Mode, Tally};
use trueup_controller::{Execution, Recorder, SharedClock, SystemClock, execute};
use trueup_engine::app::SyncRequest;
use trueup_engine::fight::Fights;
use trueup_engine::lint::lint;
use trueup_engine::operation::{
    Effect, Next, OperationPhase, OperationState, StepOutcome, StepResult, conclude, unmatched,
};
use trueup_engine::plan::{HeldReason, Others, Pace, PlanContext, SyncPlan, plan};
use trueup_engine::policy::Authority;
use trueup_ledger::Ledger;
use trueup_object::{ResourceKey, Text, Value};

use super::{NAME_ONE, preview};
use crate::app::refresh::STEP;
use crate::arguments::Globals;
use crate::failure::Failure;
use crate::home::Home;
use crate::output::{self, Table};
use crate::remembered;
use crate::scene::{Scene, Seen};

/// Plans that turned out stale or unanswered before a sync is given up: a person waits for it.
const REPLANS_MAX: u32 = 20;

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
    let uid = object.str_at(&["metadata", "uid"]).unwrap_or_default();
    let ledger = Ledger::open(&globals.ledger_dir(uid)).await.map_err(|error| ledger_failure(&error))?;
    let mut scene = open(home, globals, &object, request).await?;
    let mut seen = scene.look().await;
    if let Some(message) = unmatched(request, &seen.comparison) {
        return Err(Failure::user(message).hint(NAME_ONE));
    }
    if asks {
        let differences: Vec<(&ResourceKey, Difference)> =
            seen.comparison.differences().map(|found| (&found.key, Difference::from(found))).collect();
        let borrowed: Vec<_> = differences.iter().map(|(key, difference)| (*key, difference)).collect();
        preview::ask(&scene.app.key, &borrowed, request)?;
    }
    let mut state = OperationState::begin(request.clone(), Timestamp::now());
    let mut n_replans = 0;
    let phase = loop {
        let plan = planned(&scene, &seen, request)?;
        state.results = steps(&scene, &seen, &plan, request, &ledger).await;
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
            Next::RetryAt { at, why } => {
                output::tell(&format!("failed; trying again at {at}: {why}"));
                let wait = at.duration_since(Timestamp::now()).max(SignedDuration::ZERO);
                tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
                state.retry_count += 1;
            }
            Next::Replan if n_replans >= REPLANS_MAX => {
                state.message = format!(
                    "the server kept failing, or others kept changing what was planned on, {n_replans} times"
                );
                break OperationPhase::Failed;
            }
            Next::Replan => n_replans += 1,
            Next::Settle { .. } => {}
        }
        // Kinds may be served now that were not before.
        scene = open(home, globals, &object, request).await?;
        seen = scene.look().await;
    };
    if phase == OperationPhase::Succeeded && !request.dry_run {
        remembered::keep(&ledger, &scene, &seen).await.map_err(|error| ledger_failure(&error))?;
    }
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
        // Who else wants an object is known to a controller alone.
        others: &Others::default(),
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
) -> Vec<StepResult> {
    let clock: SharedClock = Arc::new(SystemClock);
    let recorder = Recorder {
        ledger,
        clock: &clock,
        app: &scene.app.key,
        reason: "a sync by command, without a controller",
        by_policy: false,
        comparison: &seen.comparison,
        revision: Some(Text::from(scene.revision.as_str())),
        schemas: scene.schemas(),
        masked_annotations: &scene.settings.masked_annotations,
    };
    let mode = if request.dry_run { Mode::DryRun } else { Mode::Real };
    let execution = Execution { cluster: &scene.cluster, live: &seen.live, mode, tally: &Tally::default() };
    execute(&execution, plan, &recorder).await.0
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
            over @ (Next::RetryAt { .. } | Next::Over { .. }) => return over,
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
    // What comparing excuses is nobody's concern: it is no difference.
    for held in state.held.iter().filter(|held| held.reason != HeldReason::Excused) {
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
