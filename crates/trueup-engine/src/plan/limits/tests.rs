//! What policy stops before, and what it does not.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::fmt::Write;

use super::*;
use crate::app::{App, Automated, SyncRequest};
use crate::desired::TargetSet;
use crate::difference::Origin;
use crate::fight::Fights;
use crate::fixture::{
    app, as_live, comparison, existence, judgement, live, matched_each, now, only, targets,
};
use crate::live::LiveSet;
use crate::look::{Comparison, Judgement};
use crate::plan::{Others, plan};
use crate::policy::Authority;

struct Case {
    app: App,
    targets: TargetSet,
    live: LiveSet,
    pace: Pace,
}

impl Case {
    fn of(kind: &str, count: usize) -> Self {
        let mut app = app();
        app.automated = Some(Automated { prune: true, self_heal: true, allow_empty: false });
        let mut yaml = String::new();
        for index in 0..count {
            write!(yaml, "---\n{{{kind}, metadata: {{name: o{index:02}}}}}\n").unwrap();
        }
        let targets = targets(&app, &yaml);
        let live = live(as_live(&targets), &targets);
        Self { app, targets, live, pace: Pace::default() }
    }

    fn plan(&self, comparison: &Comparison, authority: &Authority) -> SyncPlan {
        let plan = plan(&PlanContext {
            app: &self.app,
            comparison,
            targets: &self.targets,
            live: &self.live,
            authority,
            fights: &Fights::default(),
            pace: &self.pace,
            others: &Others::default(),
            now: now(),
        });
        assert_eq!(crate::lint::lint(&self.app, &self.targets, &self.live, &plan), []);
        plan
    }

    fn by_policy(&self, comparison: &Comparison) -> SyncPlan {
        self.plan(comparison, &Authority::of_policy(&self.app).unwrap())
    }

    fn asked(&self, comparison: &Comparison) -> SyncPlan {
        let request = SyncRequest { prune: true, ..SyncRequest::default() };
        self.plan(comparison, &Authority::of_request(&self.app, &request))
    }

    /// Every object has the same judgement.
    fn moved(&self, judgement: &Judgement) -> Comparison {
        matched_each(&self.targets, judgement)
    }

    /// Git has lost so many of the objects.
    fn dropped(&mut self, count: usize) -> Comparison {
        let keys: Vec<ResourceKey> = self.targets.targets.keys().take(count).cloned().collect();
        for key in &keys {
            self.targets.targets.remove(key);
        }
        let kept = self.moved(&judgement(&["data", "A"], Origin::Cluster)).objects;
        let kept = kept.into_iter().map(|object| only(object, Vec::new()));
        let gone = keys.iter().map(|key| existence(&self.live.objects[key], Presence::Extraneous));
        comparison(gone.chain(kept).collect())
    }
}

const DEPLOYMENT: &str = "apiVersion: apps/v1, kind: Deployment";
const CONFIG: &str = "apiVersion: v1, kind: ConfigMap";

fn template() -> Judgement {
    judgement(&["spec", "template", "spec", "hostNetwork"], Origin::Cluster)
}

fn limits(plan: &SyncPlan) -> Vec<Limit> {
    let limits = plan.held.iter().filter_map(|held| match &held.reason {
        HeldReason::Limit(limit) => Some(limit.clone()),
        _ => None,
    });
    limits.collect()
}

#[test]
fn ten_objects_are_restarted_at_once_and_eleven_are_not() {
    let case = Case::of(DEPLOYMENT, 10);
    assert_eq!(case.by_policy(&case.moved(&template())).steps.len(), 10);
    let case = Case::of(DEPLOYMENT, 11);
    let plan = case.by_policy(&case.moved(&template()));
    assert!(plan.steps.is_empty());
    assert_eq!(limits(&plan), vec![Limit::Restarts { objects: 11 }; 11]);
    assert_eq!(case.asked(&case.moved(&template())).steps.len(), 11, "a person has been asked");
}

#[test]
fn what_restarts_nothing_is_not_limited() {
    let case = Case::of(DEPLOYMENT, 30);
    let scaled = judgement(&["spec", "replicas"], Origin::Cluster);
    assert_eq!(case.by_policy(&case.moved(&scaled)).steps.len(), 30);
    let configs = Case::of(CONFIG, 30);
    assert_eq!(configs.by_policy(&configs.moved(&template())).steps.len(), 30, "no workload");
}

#[test]
fn a_commit_is_no_correction() {
    let case = Case::of(DEPLOYMENT, 30);
    let committed = judgement(&["spec", "template", "spec", "hostNetwork"], Origin::Git);
    assert_eq!(case.by_policy(&case.moved(&committed)).steps.len(), 30);
}

#[test]
fn deleted_workloads_count_and_deleted_configuration_does_not() {
    for (kind, steps) in [(DEPLOYMENT, 0), ("apiVersion: batch/v1, kind: Job", 0), (CONFIG, 12)] {
        let mut case = Case::of(kind, 12);
        let objects = case.live.objects.values().map(|live| existence(live, Presence::Missing)).collect();
        case.live.objects.clear();
        assert_eq!(case.by_policy(&comparison(objects)).steps.len(), steps, "{kind}");
    }
}

#[test]
fn a_rate_holds_what_is_past_it_until_the_oldest_restart_is_ten_minutes_ago() {
    let mut case = Case::of(DEPLOYMENT, 5);
    let moved = case.moved(&template());
    let step = case.by_policy(&moved).steps.remove(0);
    for minutes in (1..=9).cycle().take(18) {
        case.pace.note(&step, now() - SignedDuration::from_mins(minutes));
    }
    let plan = case.by_policy(&moved);
    assert_eq!(plan.steps.len(), 2, "twenty less eighteen");
    let until = now() + SignedDuration::from_mins(1);
    assert_eq!(limits(&plan), vec![Limit::RestartRate { until }; 3]);
    assert_eq!(limits_until(&plan), Some(until));
}

#[test]
fn restarts_of_long_ago_do_not_count() {
    let mut case = Case::of(DEPLOYMENT, 5);
    let moved = case.moved(&template());
    let step = case.by_policy(&moved).steps.remove(0);
    for _ in 0..30 {
        case.pace.note(&step, now() - WINDOW);
    }
    assert_eq!(case.by_policy(&moved).steps.len(), 5);
}

#[test]
fn policy_prunes_a_small_part_of_an_application_and_asks_before_a_large_one() {
    for (all, dropped, pruned) in [(40, 10, 10), (12, 10, 10), (40, 20, 20), (40, 21, 0), (12, 11, 0)] {
        let mut case = Case::of(CONFIG, all);
        let comparison = case.dropped(dropped);
        let plan = case.by_policy(&comparison);
        assert_eq!(plan.steps.len(), pruned, "{dropped} of {all}");
        assert_eq!(limits(&plan).len(), dropped - pruned);
        assert_eq!(case.asked(&comparison).steps.len(), dropped, "a person has been asked");
    }
}

#[test]
fn a_loss_in_two_halves_is_as_large_as_one_at_once() {
    let mut case = Case::of(CONFIG, 20);
    let comparison = case.dropped(8);
    let step = case.by_policy(&comparison).steps.remove(0);
    for _ in 0..7 {
        case.pace.note(&step, now());
    }
    let plan = case.by_policy(&comparison);
    assert_eq!(limits(&plan), vec![Limit::Prunes { prunes: 15, of: 27 }; 8]);
}

#[test]
fn a_condition_names_the_objects_and_what_to_do() {
    let case = Case::of(DEPLOYMENT, 11);
    let conditions = limit_conditions(&case.by_policy(&case.moved(&template())));
    let [condition] = conditions.as_slice() else { panic!("one condition: {conditions:?}") };
    assert_eq!(condition.kind, ConditionType::LimitWarning);
    assert_eq!(
        condition.message,
        "Deployment/o00, Deployment/o01, Deployment/o02 and 8 more left alone: corrections of 11 objects would \
         restart their pods at once; `app sync` does it at once"
    );
}
