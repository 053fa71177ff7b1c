//! Checks any plan against the invariants, independently of how it was made.
//!
//! Runs in every test that plans, and before every execution: a wrong heal is worse than a refused one.

use std::collections::BTreeSet;

use trueup_object::ResourceKey;

use crate::app::App;
use crate::desired::TargetSet;
use crate::live::LiveSet;
use crate::plan::{Action, Precondition, SyncPlan, kind_rank, targets_complete};

/// A rule that a plan breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanFault {
    #[error("{0} is planned twice")]
    Twice(ResourceKey),
    #[error("{0} would be pruned, and is not tracked by this application")]
    PruneUntracked(ResourceKey),
    #[error("{0} would be pruned, and Git wants it")]
    PruneWanted(ResourceKey),
    #[error("{0} would be pruned, and not all manifests are known")]
    PruneBlind(ResourceKey),
    #[error("{0} would be changed, and its kind is not observed")]
    Unobserved(ResourceKey),
    #[error("{0} would be created over an object that exists")]
    CreateExisting(ResourceKey),
    #[error("{0} would be changed or deleted without being pinned to what was observed")]
    Unpinned(ResourceKey),
    #[error("{0} would be written by an application that is read-only")]
    ReadOnly(ResourceKey),
    #[error("{0} comes after an object that needs it")]
    Order(ResourceKey),
}

/// Every rule that the plan breaks; none for a sound plan.
pub fn lint(app: &App, targets: &TargetSet, live: &LiveSet, plan: &SyncPlan) -> Vec<PlanFault> {
    let mut faults = Vec::new();
    let mut seen = BTreeSet::new();
    let mut rank_before = 0;
    for step in &plan.steps {
        let key = &step.key;
        if !seen.insert(key) {
            faults.push(PlanFault::Twice(key.clone()));
        }
        if app.is_read_only() || !targets.unsupported.is_empty() {
            faults.push(PlanFault::ReadOnly(key.clone()));
        }
        if !live.coverage.is_certain(key) {
            faults.push(PlanFault::Unobserved(key.clone()));
        }
        let found = live.objects.get(key);
        let pinned = match (&step.precondition, found) {
            (Precondition::Absent, None) => true,
            (Precondition::Unchanged(version), Some(found)) => *version == found.version,
            (Precondition::Absent, Some(_)) | (Precondition::Unchanged(_), None) => false,
        };
        match &step.action {
            Action::Create { object: _ } => {
                if !pinned {
                    faults.push(PlanFault::CreateExisting(key.clone()));
                }
            }
            Action::Apply { object: _, take_over: _, removals: _, beside: _ } => {
                if !pinned {
                    faults.push(PlanFault::Unpinned(key.clone()));
                }
            }
            Action::Delete { propagation: _ } => {
                let tracked = found.is_some_and(|found| app.tracks(&found.object, key));
                if !tracked {
                    faults.push(PlanFault::PruneUntracked(key.clone()));
                }
                if targets.targets.contains_key(key) {
                    faults.push(PlanFault::PruneWanted(key.clone()));
                }
                if !targets_complete(targets) {
                    faults.push(PlanFault::PruneBlind(key.clone()));
                }
                if !pinned {
                    faults.push(PlanFault::Unpinned(key.clone()));
                }
                continue;
            }
        }
        let rank = kind_rank(key);
        if rank < rank_before {
            faults.push(PlanFault::Order(key.clone()));
        }
        rank_before = rank;
    }
    faults
}
