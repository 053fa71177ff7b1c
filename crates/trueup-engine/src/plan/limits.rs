//! Limits of what policy does by itself: past them it stops and asks (detection.md 9; docs/design/0003-limits.md).
//!
//! A wrong path in Git, a broken template or a tool gone wild make a thousand wrong corrections as easily as one. Only
//! plans by policy are limited: a person who syncs has been asked. Objects are held whole, since half of a change may be
//! worse than none.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use trueup_object::{FieldPath, PathElement, ResourceKey};

use super::{Action, Held, HeldReason, PlanContext, Step, SyncPlan};
use crate::condition::{Condition, ConditionType};
use crate::look::Presence;
use crate::policy::Asked;

/// Prunes up to this many are never too many: it is what one component of an application usually consists of.
const PRUNES_MAX: usize = 10;

/// Past [`PRUNES_MAX`], more than one in so many live objects is too many: Git losing half of an application is more often
/// a path, a branch or a merge gone wrong than a decision.
const PRUNE_SHARE: usize = 2;

/// Objects whose pods one plan may restart. A tool gone wild changes many workloads at once; a person's hand few.
const RESTARTS_MAX: usize = 10;

/// Restarting corrections of one application within [`WINDOW`]. A single fight makes at most eleven in that time, so that
/// more than twenty are several at once.
const RESTART_RATE_MAX: usize = 20;

/// Over how long the rates are counted; the window in which a fight is recognised.
const WINDOW: SignedDuration = SignedDuration::from_mins(10);

/// How many objects a condition names before it counts the rest.
const NAMED_MAX: usize = 3;

/// Which limit holds an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Too large a part of the application would go.
    Prunes { prunes: usize, of: usize },
    /// Too many objects would restart pods at once.
    Restarts { objects: usize },
    /// Pods were restarted too often of late.
    RestartRate { until: Timestamp },
}

/// What policy has restarted and pruned of one application of late.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pace {
    restarts: Vec<Timestamp>,
    prunes: Vec<Timestamp>,
}

impl Pace {
    /// Remembers a step that had an effect.
    pub fn note(&mut self, step: &Step, now: Timestamp) {
        self.restarts.retain(|time| is_recent(*time, now));
        self.prunes.retain(|time| is_recent(*time, now));
        self.remember(&step.key, is_prune(step), step.corrects.iter().map(|it| it.path.as_ref()), now);
    }

    /// Remembers what was done to an object at some time, as a record tells it: whether it was pruned, and the paths that were
    /// corrected.
    pub fn remember<'p>(
        &mut self,
        key: &ResourceKey,
        is_prune: bool,
        mut corrected: impl Iterator<Item = Option<&'p FieldPath>>,
        at: Timestamp,
    ) {
        if corrected.any(|path| starts_pods(key, path)) {
            self.restarts.push(at);
        }
        if is_prune {
            self.prunes.push(at);
        }
    }

    fn prunes(&self, now: Timestamp) -> usize {
        self.prunes.iter().filter(|time| is_recent(**time, now)).count()
    }

    /// How many more objects may be restarted now, and when one more may.
    fn restarts_left(&self, now: Timestamp) -> (usize, Timestamp) {
        let recent: Vec<Timestamp> =
            self.restarts.iter().copied().filter(|time| is_recent(*time, now)).collect();
        let left = RESTART_RATE_MAX.saturating_sub(recent.len());
        // The oldest that still counts against the rate leaves the window first.
        let oldest = recent.iter().min().copied().unwrap_or(now);
        (left, oldest + WINDOW)
    }
}

fn is_recent(time: Timestamp, now: Timestamp) -> bool {
    now.duration_since(time) < WINDOW
}

impl Limit {
    /// In words, after "left alone: ".
    pub fn describe(&self) -> String {
        match self {
            Self::Prunes { prunes, of } => {
                format!("{prunes} prunes of {of} objects are more than policy does by itself; {ASK_PRUNE}")
            }
            Self::Restarts { objects } => {
                format!("corrections of {objects} objects would restart their pods at once; {ASK}")
            }
            Self::RestartRate { until } => format!(
                "more than {RESTART_RATE_MAX} corrections have restarted pods within {} minutes; it goes on at \
                 {until}, or {ASK}",
                WINDOW.as_mins()
            ),
        }
    }
}

const ASK: &str = "`app sync` does it at once";
const ASK_PRUNE: &str = "see `app diff`, then `app sync --prune` does it";

/// Takes the steps out of a plan by policy that are past a limit, and holds their objects instead.
pub fn obey(context: &PlanContext<'_>, plan: &mut SyncPlan) {
    match context.authority.asked {
        Asked::Person => return,
        Asked::Policy => {}
    }
    limit_prunes(context, plan);
    limit_restarts(context, plan);
}

/// Prunes of the last minutes count with those of the plan: a loss in two halves is as large as one at once.
fn limit_prunes(context: &PlanContext<'_>, plan: &mut SyncPlan) {
    let planned = plan.steps.iter().filter(|step| is_prune(step)).count();
    let recent = context.pace.prunes(context.now);
    let exists = |presence: Presence| match presence {
        Presence::Matched | Presence::Extraneous => true,
        Presence::Missing | Presence::Unobserved => false,
    };
    let live = context.comparison.objects.iter().filter(|object| exists(object.presence)).count();
    let (prunes, of) = (planned + recent, live + recent);
    if planned > 0 && prunes > PRUNES_MAX && prunes * PRUNE_SHARE > of {
        hold(plan, &Limit::Prunes { prunes, of }, is_prune);
    }
}

fn limit_restarts(context: &PlanContext<'_>, plan: &mut SyncPlan) {
    let planned = plan.steps.iter().filter(|step| restarts_pods(step)).count();
    if planned > RESTARTS_MAX {
        return hold(plan, &Limit::Restarts { objects: planned }, restarts_pods);
    }
    let (mut left, until) = context.pace.restarts_left(context.now);
    if planned > left {
        hold(plan, &Limit::RestartRate { until }, |step| {
            let takes = restarts_pods(step);
            let is_past = takes && left == 0;
            left -= usize::from(takes && !is_past);
            is_past
        });
    }
}

fn hold(plan: &mut SyncPlan, limit: &Limit, mut is_held: impl FnMut(&Step) -> bool) {
    let held = plan.steps.extract_if(.., |step| is_held(step)).map(|step| Held {
        key: step.key,
        path: None,
        reason: HeldReason::Limit(limit.clone()),
    });
    plan.held.extend(held);
}

fn is_prune(step: &Step) -> bool {
    match step.action {
        Action::Delete { .. } => true,
        Action::Create { .. } | Action::Apply { .. } => false,
    }
}

/// Whether a step undoes what the cluster moved in a way that starts pods anew. What a commit brings is no correction.
fn restarts_pods(step: &Step) -> bool {
    step.corrects.iter().any(|correction| starts_pods(&step.key, correction.path.as_ref()))
}

fn starts_pods(key: &ResourceKey, path: Option<&FieldPath>) -> bool {
    let Some(path) = path else { return runs_pods(key) };
    pod_template(key).is_some_and(|template| match path.elements() {
        [PathElement::Field(spec), PathElement::Field(name), ..] => spec == "spec" && name == template,
        _ => false,
    })
}

/// The field of `spec` from which a workload makes its pods.
fn pod_template(key: &ResourceKey) -> Option<&'static str> {
    match (key.group.as_str(), key.kind.as_str()) {
        ("apps", "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet")
        | ("", "ReplicationController") => Some("template"),
        ("batch", "CronJob") => Some("jobTemplate"),
        _ => None,
    }
}

/// Whether creating an object anew starts pods.
fn runs_pods(key: &ResourceKey) -> bool {
    pod_template(key).is_some()
        || matches!((key.group.as_str(), key.kind.as_str()), ("batch", "Job") | ("", "Pod"))
}

/// What the limits hold, one condition for each, naming the objects and what to do.
pub fn limit_conditions(plan: &SyncPlan) -> Vec<Condition> {
    let mut by_limit: BTreeMap<&Limit, Vec<String>> = BTreeMap::new();
    for held in &plan.held {
        if let HeldReason::Limit(limit) = &held.reason {
            by_limit.entry(limit).or_default().push(format!("{}/{}", held.key.kind, held.key.name));
        }
    }
    let told = by_limit.into_iter().map(|(limit, names)| {
        let more = names.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named: Vec<String> = names.into_iter().take(NAMED_MAX).collect();
        let message = format!("{}{more} left alone: {}", named.join(", "), limit.describe());
        Condition::new(ConditionType::LimitWarning, message)
    });
    told.collect()
}

/// When the earliest of the limits lets go by itself.
pub fn limits_until(plan: &SyncPlan) -> Option<Timestamp> {
    let untils = plan.held.iter().filter_map(|held| {
        if let HeldReason::Limit(Limit::RestartRate { until }) = held.reason { Some(until) } else { None }
    });
    untils.min()
}

#[cfg(test)]
mod tests;
