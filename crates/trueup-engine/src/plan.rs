//! The plan of a sync or a heal: every step in order, with what must still be true, and why the rest waits.
//!
//! Pure and complete. Executing it involves no choice: a step whose precondition no longer holds is refused, and a new
//! look makes a new plan.

mod beside;
mod body;
mod edit;
mod existence;
mod limits;
mod order;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use trueup_object::{FieldPath, Gvk, ResourceKey, Text, Value};

use crate::app::{App, Propagation};
use crate::desired::{Completeness, TargetSet};
use crate::difference::{Channel, Origin};
use crate::fight::Fights;
use crate::live::{LiveSet, LiveVersion};
use crate::look::{Comparison, Excuse, Hidden, Judgement, ObjectComparison, Presence};
use crate::older_tool::OlderTool;
use crate::policy::{Asked, Authority, BothMoved};
use crate::status::SyncStatus;

#[cfg(test)]
pub(crate) fn delete_at(object: &mut Value, path: &FieldPath) {
    edit::delete(object, path.elements());
}

pub use beside::{RefusedField, displaced};
pub use limits::{Limit, Pace, limit_conditions, limits_until};
pub use order::kind_rank;

/// Everything that planning needs.
#[derive(Clone, Copy)]
pub struct PlanContext<'a> {
    pub app: &'a App,
    pub comparison: &'a Comparison,
    pub targets: &'a TargetSet,
    pub live: &'a LiveSet,
    pub authority: &'a Authority,
    pub fights: &'a Fights,
    pub pace: &'a Pace,
    pub others: &'a Others,
    pub now: Timestamp,
}

/// What is known of the other applications of the same cluster, as far as it concerns this one's objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Others {
    /// Objects that another application declares, and which.
    pub wanted: BTreeMap<ResourceKey, Text>,
    /// Objects that carry the mark of another application, all of whose targets are known and which declares them no longer.
    pub given_up: BTreeSet<ResourceKey>,
    /// Some have not read yet what this one has read: what moved from this one to them would look as if nobody wanted it.
    pub unread: bool,
}

/// What to do, in order, and what is left, with reasons.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SyncPlan {
    pub steps: Vec<Step>,
    pub held: Vec<Held>,
}

/// One object's change.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    pub key: ResourceKey,
    pub gvk: Gvk,
    pub action: Action,
    pub precondition: Precondition,
    /// The paths that it corrects, each with whose value it undoes; no path is the object's existence.
    pub corrects: Vec<Correction>,
}

/// A path that a step corrects because the cluster moved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Correction {
    pub path: Option<FieldPath>,
    pub opponent: Option<Text>,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Non-forced server-side apply without uid: 201 is created, anything else means that somebody was quicker.
    Create { object: Value },
    /// Forced server-side apply with uid and resourceVersion; where `take_over` says so, after the entries of other
    /// tools were moved into ours; then the removals, each with a test on the observed value. `beside` are additions that
    /// go with the apply where the server refuses it because of them ([`displaced`]), and stay otherwise.
    Apply { object: Value, take_over: bool, removals: Vec<Removal>, beside: Vec<FieldPath> },
    /// Deletion with uid and resourceVersion.
    Delete { propagation: Propagation },
}

/// What must still be true when a step begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    Absent,
    Unchanged(LiveVersion),
}

/// A field that no apply removes because somebody else owns it too.
#[derive(Debug, Clone, PartialEq)]
pub struct Removal {
    pub path: FieldPath,
    pub pointer: String,
    /// The value that must still be there.
    pub observed: Value,
}

/// Something that a plan leaves alone, and why.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Held {
    pub key: ResourceKey,
    pub path: Option<FieldPath>,
    pub reason: HeldReason,
}

/// Why a plan leaves something alone.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HeldReason {
    /// The application asks for what this build cannot do.
    ReadOnly,
    /// Its state is not known.
    Unknown { why: String },
    /// The cluster moved it, and nothing says that this is to be undone.
    ClusterMoved,
    /// Both Git and the cluster moved it: somebody must decide.
    BothMoved,
    /// An autoscaler, a controller, an injector or a rule has it.
    Excused,
    /// Undeclared additions stay unless somebody asks for their removal.
    Addition,
    /// Pruning is switched off.
    PruneOff,
    /// The object asks to be kept.
    PruneForbidden { by: String },
    /// Not all targets, or not all objects, are known: a prune could take what Git still wants.
    TargetsIncomplete,
    /// Another application declares it: it takes it over, or stops declaring it.
    WantedElsewhere { by: Text },
    /// Other applications are still reading the commit that dropped it: one of them may declare it now.
    OthersUnread,
    /// Pruning would leave nothing of the application.
    WouldEmpty,
    /// It is being deleted already.
    Deleting,
    /// Another application tracks it.
    Shared { with: Text },
    /// Two owners undo each other; healing backs off.
    Fight { opponent: Option<Text>, until: Timestamp },
    /// Policy does not do so much by itself: somebody must ask for it.
    Limit(Limit),
}

impl HeldReason {
    /// In words, after "left alone: ".
    pub fn describe(&self) -> String {
        match self {
            Self::ReadOnly => "the application is read-only (see its UnsupportedError)".to_owned(),
            Self::Unknown { why } => format!("its state is not known: {why}"),
            Self::ClusterMoved => {
                "changed in the cluster and kept; sync with --overwrite-drift to overwrite it".to_owned()
            }
            Self::BothMoved => {
                "changed both in Git and in the cluster; sync with --overwrite-drift or --keep-drift"
                    .to_owned()
            }
            Self::Excused => "belongs to an autoscaler, a controller or an ignore rule".to_owned(),
            Self::Addition => "added in the cluster; sync with --remove-additions to remove it".to_owned(),
            Self::PruneOff => "requires pruning; sync with --prune".to_owned(),
            Self::PruneForbidden { by } => format!("kept by {by}"),
            Self::TargetsIncomplete => {
                "nothing is pruned while not all manifests and objects are known".to_owned()
            }
            Self::WantedElsewhere { by } => {
                format!("application {by} declares it now and takes it over when it is synced")
            }
            Self::OthersUnread => {
                "other applications of the repository are still reading the commit".to_owned()
            }
            Self::WouldEmpty => "pruning would leave nothing; set allowEmpty to let it".to_owned(),
            Self::Deleting => "it is being deleted".to_owned(),
            Self::Shared { with } => format!("tracked by application {with} too"),
            Self::Fight { opponent, until } => {
                let who = opponent.as_deref().unwrap_or("an unknown writer");
                format!("{who} changes it back each time; not corrected again before {until}")
            }
            Self::Limit(limit) => limit.describe(),
        }
    }
}

/// Makes the plan.
pub fn plan(context: &PlanContext<'_>) -> SyncPlan {
    let authority = authority_with_commit(context);
    let context = &PlanContext { authority: &authority, ..*context };
    let mut plan = SyncPlan::default();
    let read_only = context.app.is_read_only() || !context.targets.unsupported.is_empty();
    let empties = existence::would_empty(context);
    for object in &context.comparison.objects {
        if !context.authority.selects(&object.key) {
            continue;
        }
        if read_only {
            if object.status != SyncStatus::Synced {
                plan.held.push(Held { key: object.key.clone(), path: None, reason: HeldReason::ReadOnly });
            }
            continue;
        }
        match object.presence {
            Presence::Unobserved => hold_unknown(&mut plan, object),
            Presence::Missing => existence::create(context, &mut plan, object),
            Presence::Extraneous => existence::prune(context, &mut plan, object, empties),
            Presence::Matched => change(context, &mut plan, object),
        }
    }
    order::sort(&mut plan.steps);
    limits::obey(context, &mut plan);
    existence::create_namespace(context, &mut plan, read_only);
    order::sort(&mut plan.steps);
    plan.held.sort();
    plan
}

/// The authority, widened where the application lets a commit overwrite what the cluster moved and there is one to apply.
/// What Git dropped does not count: where pruning is off it would be there for ever.
fn authority_with_commit(context: &PlanContext<'_>) -> Authority {
    let mut authority = context.authority.clone();
    let is_commit = |judgement: &Judgement| match judgement.origin {
        Origin::Git | Origin::Both | Origin::Unknown => {
            judgement.channel == Channel::Declared && judgement.excuse.is_none()
        }
        Origin::Cluster => false,
    };
    let brings_commit = |object: &ObjectComparison| match object.presence {
        Presence::Missing => {
            object.differences.iter().any(|it| matches!(it.origin, Origin::Git | Origin::Both))
        }
        Presence::Matched => object.judgements.iter().any(is_commit),
        Presence::Extraneous | Presence::Unobserved => false,
    };
    if authority.overwrite_with_commit && context.comparison.objects.iter().any(brings_commit) {
        authority.cluster_moved = true;
        authority.recreate = true;
    }
    authority
}

fn hold_unknown(plan: &mut SyncPlan, object: &ObjectComparison) {
    let why = object.problem.as_ref().map(|problem| problem.message.clone()).unwrap_or_default();
    plan.held.push(Held { key: object.key.clone(), path: None, reason: HeldReason::Unknown { why } });
}

/// What becomes of one differing path.
enum Decision {
    /// The target's value is applied; a correction where the cluster had moved it.
    Apply { correction: bool },
    /// The live value stays.
    Keep(HeldReason),
    /// It is removed by an explicit patch.
    Remove,
}

fn change(context: &PlanContext<'_>, plan: &mut SyncPlan, object: &ObjectComparison) {
    let (Some(target), Some(live)) =
        (context.targets.targets.get(&object.key), context.live.objects.get(&object.key))
    else {
        return;
    };
    if object.problem.is_some() {
        return hold_unknown(plan, object);
    }
    if live.is_deleting() {
        plan.held.push(Held { key: object.key.clone(), path: None, reason: HeldReason::Deleting });
        return;
    }
    if let Some(reason) = existence::shared(context, live) {
        plan.held.push(Held { key: object.key.clone(), path: None, reason });
        return;
    }
    let nothing = Hidden::default();
    let hidden = if context.app.options.respect_ignore { &object.hidden } else { &nothing };
    let mut draft = body::Draft::new(target, live, context.app, hidden);
    let mut blocked = false;
    let decided = object
        .judgements
        .iter()
        .map(|judgement| (judgement, decide(context, object, judgement, draft.takes_over())))
        .collect();
    for (judgement, decision) in with_parents_of_kept(decided) {
        match decision {
            Decision::Apply { correction } => draft.apply(judgement, correction),
            Decision::Remove => draft.remove(judgement),
            Decision::Keep(reason) => {
                blocked |= reason == HeldReason::BothMoved;
                draft.keep(judgement);
                plan.held.push(Held { key: object.key.clone(), path: Some(judgement.path.clone()), reason });
            }
        }
    }
    // A path that both moved holds its whole object: half of a change may be worse than none.
    if blocked {
        return;
    }
    let moved_here = context.others.given_up.contains(&object.key);
    plan.steps.extend(draft.finish(context.authority.take_over || moved_here));
}

/// What Git dropped cannot go while a part of it is kept: it is kept for the same reason.
fn with_parents_of_kept(decided: Vec<(&Judgement, Decision)>) -> Vec<(&Judgement, Decision)> {
    let kept: Vec<(FieldPath, HeldReason)> = decided
        .iter()
        .filter_map(|(judgement, decision)| match decision {
            Decision::Keep(reason) => Some((judgement.path.clone(), reason.clone())),
            Decision::Apply { .. } | Decision::Remove => None,
        })
        .collect();
    let parent_of_kept = |judgement: &Judgement| {
        let inside = kept.iter().find(|(path, _)| path.starts_with(&judgement.path));
        inside.filter(|_| judgement.pending_removal).map(|(_, reason)| reason.clone())
    };
    decided
        .into_iter()
        .map(|(judgement, decision)| match parent_of_kept(judgement) {
            Some(reason) => (judgement, Decision::Keep(reason)),
            None => (judgement, decision),
        })
        .collect()
}

/// Whether an older tool alone holds an addition: then it is what that tool's files declared and Git does not, and goes
/// with the entry that is taken over.
fn is_older_tools(judgement: &Judgement) -> bool {
    !judgement.owners.is_empty() && judgement.owners.iter().all(|owner| OlderTool::of(owner).is_some())
}

fn decide(
    context: &PlanContext<'_>,
    object: &ObjectComparison,
    judgement: &Judgement,
    taken_over: bool,
) -> Decision {
    let authority = context.authority;
    match &judgement.excuse {
        Some(Excuse::Ignored) if !context.app.options.respect_ignore => {}
        Some(Excuse::Autoscaler(_) | Excuse::Class | Excuse::Ignored | Excuse::Weightless) => {
            return Decision::Keep(HeldReason::Excused);
        }
        None => {}
    }
    match judgement.channel {
        Channel::Undeclared | Channel::Unowned if authority.remove_additions => return Decision::Remove,
        Channel::Undeclared if taken_over && is_older_tools(judgement) => {
            return Decision::Apply { correction: false };
        }
        Channel::Undeclared | Channel::Unowned => return Decision::Keep(HeldReason::Addition),
        Channel::Declared | Channel::Existence => {}
    }
    let correction = match judgement.origin {
        Origin::Git => return Decision::Apply { correction: false },
        // A person asked that the cluster's changes stay, and somebody else wrote this one.
        Origin::Unknown
            if authority.asked == Asked::Person && !authority.cluster_moved && judgement.foreign =>
        {
            return Decision::Keep(HeldReason::ClusterMoved);
        }
        // It was applied by us before, and somebody else has written this field since: whoever has lost what was synced does not
        // take that for a first sync where policy does not heal.
        Origin::Unknown
            if authority.asked == Asked::Policy
                && !authority.cluster_moved
                && !taken_over
                && judgement.foreign
                && !judgement.ours =>
        {
            return Decision::Keep(HeldReason::ClusterMoved);
        }
        // Nothing is known of what was there before. A first sync treats it as moved by Git (contracts: "A difference").
        Origin::Unknown => return Decision::Apply { correction: false },
        Origin::Cluster if authority.cluster_moved => true,
        Origin::Cluster => return Decision::Keep(HeldReason::ClusterMoved),
        Origin::Both => match authority.both_moved {
            BothMoved::Hold => return Decision::Keep(HeldReason::BothMoved),
            BothMoved::Keep => return Decision::Keep(HeldReason::ClusterMoved),
            BothMoved::Overwrite => true,
        },
    };
    let place = (object.key.clone(), Some(judgement.path.clone()));
    match context.fights.fight(&place, context.now) {
        Some(fight) if authority.asked == Asked::Policy && fight.until > context.now => {
            Decision::Keep(HeldReason::Fight { opponent: fight.opponent, until: fight.until })
        }
        Some(_) | None => Decision::Apply { correction },
    }
}

/// Whether the plan would prune although targets are missing from view. Used by the linter too.
pub(crate) fn targets_complete(targets: &TargetSet) -> bool {
    targets.completeness == Completeness::Complete
}

/// Steps by object, for those who look one up.
pub fn by_key(plan: &SyncPlan) -> BTreeMap<&ResourceKey, &Step> {
    plan.steps.iter().map(|step| (&step.key, step)).collect()
}

#[cfg(test)]
mod tests;
