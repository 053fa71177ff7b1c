//! When an operation ends, and how.

use super::*;
use crate::difference::Origin;
use crate::fixture::{app, comparison, judgement, matched, now, targets};
use crate::plan::{Action, Precondition, Step};
use crate::status::SyncStatus;
use trueup_object::Value;

const CONFIG: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

fn step() -> Step {
    let key = ResourceKey::new("", "ConfigMap", "web", "a");
    Step {
        key,
        gvk: Gvk::new("", "v1", "ConfigMap"),
        action: Action::Create { object: Value::default() },
        precondition: Precondition::Absent,
        corrects: Vec::new(),
    }
}

fn plan() -> SyncPlan {
    SyncPlan { steps: vec![step()], held: Vec::new() }
}

fn state(outcome: StepOutcome) -> OperationState {
    let mut state = OperationState::begin(SyncRequest::default(), now());
    let step = step();
    state.results.push(StepResult { key: step.key, gvk: step.gvk, outcome });
    state
}

fn agreed() -> Comparison {
    let mut agreed = comparison(Vec::new());
    agreed.status = SyncStatus::Synced;
    agreed
}

fn differing() -> Comparison {
    let app = app();
    let targets = targets(&app, CONFIG);
    let mut found = matched(&targets, vec![judgement(&["data", "A"], Origin::Cluster)]);
    let input_key = found.objects[0].key.clone();
    let id = crate::difference::DifferenceId::from_text("1");
    found.objects[0].differences.push(crate::difference::Difference {
        id,
        key: input_key,
        gvk: Gvk::new("", "v1", "ConfigMap"),
        channel: Channel::Declared,
        path: Some(trueup_object::FieldPath::fields(&["data", "A"])),
        pointer: Some("/data/A".into()),
        change: crate::difference::Change::Changed,
        origin: Origin::Cluster,
        target: None,
        live: None,
        base: None,
        predicted: None,
        unconfirmed: None,
        attribution: crate::difference::Attribution {
            class: crate::difference::Class::Manual,
            confidence: crate::difference::Confidence::Weak,
            manager: None,
            operation: None,
            subresource: None,
            time: None,
        },
        first_seen: None,
        inherited: false,
        sensitive: false,
        ignored_by: None,
        message: None,
    });
    found
}

#[test]
fn it_ends_when_the_channels_agree() {
    let next = conclude(&state(StepOutcome::Done(Effect::Created)), &plan(), &agreed(), now(), now());
    assert_eq!(
        next,
        Next::Over { phase: OperationPhase::Succeeded, message: "successfully synced".to_owned() }
    );
}

#[test]
fn it_waits_for_what_it_applied_to_be_seen_and_not_for_ever() {
    let state = state(StepOutcome::Done(Effect::Changed));
    let next = conclude(&state, &plan(), &differing(), now(), now());
    assert_eq!(next, Next::Settle { until: now() + SETTLE_MAX });
    let next = conclude(&state, &plan(), &differing(), now(), now() + SETTLE_MAX);
    let Next::Over { phase: OperationPhase::Failed, message } = next else { panic!("{next:?}") };
    assert!(message.contains("ConfigMap/a .data.A"), "{message}");
}

#[test]
fn what_the_plan_held_does_not_keep_it_open() {
    let mut plan = plan();
    plan.held.push(crate::plan::Held {
        key: step().key,
        path: Some(trueup_object::FieldPath::fields(&["data", "A"])),
        reason: HeldReason::Excused,
    });
    let next = conclude(&state(StepOutcome::Done(Effect::Changed)), &plan, &differing(), now(), now());
    assert!(matches!(next, Next::Over { phase: OperationPhase::Succeeded, .. }));
}

#[test]
fn what_could_not_be_observed_fails_a_request_and_not_the_policy() {
    let mut plan = plan();
    plan.steps.clear();
    let reason = HeldReason::Unknown { why: "listing it is forbidden".to_owned() };
    plan.held.push(crate::plan::Held { key: step().key, path: None, reason });
    let mut state = state(StepOutcome::Done(Effect::Changed));
    let next = conclude(&state, &plan, &agreed(), now(), now());
    let Next::Over { phase: OperationPhase::Failed, message } = next else { panic!("{next:?}") };
    assert!(message.contains("listing it is forbidden"), "{message}");
    state.request.initiated_by.automated = true;
    let next = conclude(&state, &plan, &agreed(), now(), now());
    assert!(matches!(next, Next::Over { phase: OperationPhase::Succeeded, .. }), "{next:?}");
}

#[test]
fn a_refusal_fails_it_or_is_retried_as_asked() {
    let mut state = state(StepOutcome::Refused { message: "field is immutable".to_owned() });
    let next = conclude(&state, &plan(), &agreed(), now(), now());
    let Next::Over { phase: OperationPhase::Failed, message } = next else { panic!("{next:?}") };
    assert_eq!(message, "ConfigMap/a: field is immutable");
    state.request.retry = Some(Retry::AUTOMATED);
    state.retry_count = 1;
    let next = conclude(&state, &plan(), &agreed(), now(), now());
    let Next::RetryAt { at, why } = next else { panic!("{next:?}") };
    assert_eq!(at, now() + SignedDuration::from_secs(10));
    assert_eq!(why, "ConfigMap/a: field is immutable");
    state.retry_count = 5;
    assert!(matches!(conclude(&state, &plan(), &agreed(), now(), now()), Next::Over { .. }));
}

#[test]
fn a_stale_plan_is_made_anew_and_not_for_ever() {
    let state = state(StepOutcome::Stale { why: "changed meanwhile".to_owned() });
    assert_eq!(conclude(&state, &plan(), &agreed(), now(), now()), Next::Replan);
    let late = conclude(&state, &plan(), &agreed(), now(), now() + SETTLE_MAX);
    assert!(matches!(late, Next::Over { phase: OperationPhase::Failed, .. }));
}

#[test]
fn success_says_what_is_left() {
    let mut plan = plan();
    plan.held.push(crate::plan::Held { key: step().key, path: None, reason: HeldReason::PruneOff });
    assert_eq!(success(&plan, &agreed()), "successfully synced; 1 object requires pruning");
    plan.held[0].reason = HeldReason::Unknown { why: "page 2 failed".to_owned() };
    assert_eq!(
        success(&plan, &agreed()),
        "successfully synced; left out: ConfigMap/a (its state is not known: page 2 failed)"
    );
    let mut left = differing();
    left.objects[0].differences[0].channel = Channel::Undeclared;
    assert_eq!(success(&self::plan(), &left), "successfully synced; 1 addition left");
}
