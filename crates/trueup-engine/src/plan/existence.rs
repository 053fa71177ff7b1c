//! Creating what is missing and pruning what is extraneous, with the guards of each.

use trueup_object::{Gvk, ResourceKey, Value};

use super::{
    Action, Correction, Held, HeldReason, PlanContext, Precondition, Step, SyncPlan, targets_complete,
};
use crate::difference::Origin;
use crate::live::Live;
use crate::look::{ObjectComparison, Presence};
use crate::policy::{Asked, BothMoved};
use crate::unsupported;

pub fn create(context: &PlanContext<'_>, plan: &mut SyncPlan, object: &ObjectComparison) {
    let Some(target) = context.targets.targets.get(&object.key) else { return };
    let origin = object.differences.first().map(|difference| difference.origin);
    let deleted = matches!(origin, Some(Origin::Cluster | Origin::Both));
    let hold = |reason| Held { key: object.key.clone(), path: None, reason };
    if deleted && !context.authority.recreate {
        // Where it may be created anew nothing is lost by Git's newer form of it.
        let undecided = origin == Some(Origin::Both) && context.authority.both_moved == BothMoved::Hold;
        plan.held.push(hold(if undecided { HeldReason::BothMoved } else { HeldReason::ClusterMoved }));
        return;
    }
    let place = (object.key.clone(), None);
    if let (Asked::Policy, Some(fight)) = (context.authority.asked, context.fights.fight(&place, context.now))
        && deleted
        && fight.until > context.now
    {
        plan.held.push(hold(HeldReason::Fight { opponent: fight.opponent, until: fight.until }));
        return;
    }
    let corrects = if deleted { vec![Correction { path: None, opponent: None }] } else { Vec::new() };
    plan.steps.push(Step {
        key: object.key.clone(),
        gvk: target.gvk.clone(),
        action: Action::Create { object: trueup_diff::sent_form(&target.object) },
        precondition: Precondition::Absent,
        corrects,
    });
}

pub fn prune(context: &PlanContext<'_>, plan: &mut SyncPlan, object: &ObjectComparison, empties: bool) {
    let Some(live) = context.live.objects.get(&object.key) else { return };
    match prune_hold(context, live, empties) {
        Some(reason) => plan.held.push(Held { key: object.key.clone(), path: None, reason }),
        None => plan.steps.push(Step {
            key: object.key.clone(),
            gvk: live.gvk.clone(),
            action: Action::Delete { propagation: context.app.options.propagation },
            precondition: Precondition::Unchanged(live.version.clone()),
            corrects: Vec::new(),
        }),
    }
}

fn prune_hold(context: &PlanContext<'_>, live: &Live, empties: bool) -> Option<HeldReason> {
    let by_policy = context.authority.asked == Asked::Policy;
    if !targets_complete(context.targets) || (by_policy && !listed_to_the_end(context)) {
        return Some(HeldReason::TargetsIncomplete);
    }
    if live.is_deleting() {
        return Some(HeldReason::Deleting);
    }
    if let Some(by) = unsupported::keeps_from_prune(&live.object) {
        return Some(HeldReason::PruneForbidden { by: by.to_owned() });
    }
    if let Some(by) = context.others.wanted.get(&live.key) {
        return Some(HeldReason::WantedElsewhere { by: by.clone() });
    }
    if !context.authority.prune {
        return Some(HeldReason::PruneOff);
    }
    if empties && !context.authority.empty {
        return Some(HeldReason::WouldEmpty);
    }
    (by_policy && context.others.unread).then_some(HeldReason::OthersUnread)
}

/// Whether every kind of the application's objects is known to the end. Kinds of other applications do not count.
fn listed_to_the_end(context: &PlanContext<'_>) -> bool {
    let targets = context.targets.targets.keys();
    let live = context.live.objects.keys();
    targets.chain(live).all(|key| context.live.coverage.is_certain(key))
}

/// Whether every object that there is would be pruned: mostly a path or a repository gone wrong (compat 3.2.4).
pub fn would_empty(context: &PlanContext<'_>) -> bool {
    context.comparison.objects.iter().all(|object| object.presence == Presence::Extraneous)
}

/// Another application's object is not taken by policy: two applications would take it from each other for ever. One that
/// the other declares no longer has moved here.
pub fn shared(context: &PlanContext<'_>, live: &Live) -> Option<HeldReason> {
    let owner = context.app.tracking.owner(&live.object, &live.key)?;
    let by_policy = context.authority.asked == Asked::Policy;
    let moved_here = context.others.given_up.contains(&live.key);
    (by_policy && !moved_here && owner != context.app.instance).then_some(HeldReason::Shared { with: owner })
}

/// `CreateNamespace=true`: the destination namespace, where it is known not to exist and no target brings it. It is not
/// tracked (compat 1.1).
pub fn create_namespace(context: &PlanContext<'_>, plan: &mut SyncPlan, read_only: bool) {
    let name = &context.app.destination.namespace;
    let key = ResourceKey::new("", "Namespace", "", name);
    let creates = plan.steps.iter().any(|step| matches!(step.action, Action::Create { .. }));
    if read_only || !context.app.options.create_namespace || name.is_empty() || !creates {
        return;
    }
    let known_absent = context.live.coverage.is_certain(&key) && !context.live.objects.contains_key(&key);
    if !known_absent || context.targets.targets.contains_key(&key) {
        return;
    }
    let mut object = Value::default();
    object.set_at(&["apiVersion"], "v1".into());
    object.set_at(&["kind"], "Namespace".into());
    object.set_at(&["metadata", "name"], name.clone().into());
    plan.steps.push(Step {
        key,
        gvk: Gvk::new("", "v1", "Namespace"),
        action: Action::Create { object },
        precondition: Precondition::Absent,
        corrects: Vec::new(),
    });
}
