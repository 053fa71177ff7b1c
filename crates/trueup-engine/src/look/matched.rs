//! An object that both Git and the cluster have: its findings, judged.

use jiff::{SignedDuration, Timestamp};
use trueup_diff::{CompareInput, Finding};
use trueup_merge::schema::TypeRef;
use trueup_object::{Gvk, ResourceKey, Value};

use super::existence::{blank, git_class, health_counts, health_of};
use super::unit::unit;
use super::{Excuse, Judgement, LookInput, ObjectComparison, ObjectProblem, Presence};
use crate::app::Weight;
use crate::class;
use crate::desired::Target;
use crate::difference::{
    Attribution, Change, Channel, Class, Confidence, Difference, DifferenceId, IgnoredBy, Origin,
};
use crate::live::Live;
use crate::memory::{self, Memory};
use crate::status::SyncStatus;
use crate::weight;

/// managedFields times are whole seconds: an entry of the second of our own sync may be older or newer.
const CLOCK_GRAIN: SignedDuration = SignedDuration::from_secs(1);

/// Where a finding goes.
enum Place {
    Difference,
    Note,
    Ignored,
    Nowhere,
}

pub fn matched(input: &LookInput<'_>, key: &ResourceKey, target: &Target, live: &Live) -> ObjectComparison {
    let memory = input.memory.get(key);
    let known = input.schemas.lookup(&target.gvk);
    let ty = type_of(input, &target.gvk);
    let managed = trueup_merge::managed_in_version(&live.object, ty);
    // What was synced in another version, with other fields, says nothing about the fields of this one.
    let is_readable = |base: &&Value| {
        base.str_at(&["apiVersion"]) == target.object.str_at(&["apiVersion"])
            || trueup_merge::has_fields_of(base, ty)
    };
    let compared = trueup_diff::compare(&CompareInput {
        target: &target.object,
        live: &live.object,
        base: memory.and_then(|memory| memory.base.as_ref()).filter(is_readable),
        managed: &managed,
        our_manager: input.our_manager,
        ty,
        schema_known: known.is_some(),
        ignore: input.app.ignore.rules(),
        unowned: memory.and_then(|memory| memory.unowned.as_ref()),
        secret_key: input.secret_key,
    });
    let mut object = ObjectComparison {
        health: health_of(input, live),
        health_counts: health_counts(input, live),
        ..blank(key, &target.gvk, Presence::Matched, SyncStatus::Synced)
    };
    for finding in compared.findings {
        judge(input, &mut object, live, memory, finding);
    }
    if let Some(problem) = untold(input, key, &compared.untold) {
        object.problem = Some(problem);
    }
    object.status = if !object.differences.is_empty() {
        SyncStatus::OutOfSync
    } else if object.problem.is_some() {
        SyncStatus::Unknown
    } else {
        SyncStatus::Synced
    };
    object
}

/// Says what nothing tells about, as far as it would count if somebody had added it.
fn untold(input: &LookInput<'_>, key: &ResourceKey, findings: &[Finding]) -> Option<ObjectProblem> {
    let would_count = |finding: &&Finding| {
        let path = &finding.path;
        input.autoscalers.owner(key, path).is_none()
            && weight::weight(path, Class::Unattributed, input.app.undeclared) == Weight::Drift
    };
    let counted: Vec<&Finding> = findings.iter().filter(would_count).collect();
    let (first, more) = (counted.first()?, counted.len() - 1);
    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    Some(ObjectProblem {
        message: format!(
            "live has no managedFields: whether somebody added {}{more} cannot be told",
            first.path
        ),
        remedy:
            "give live with its managedFields (kubectl get --show-managed-fields), or what was applied before"
                .to_owned(),
    })
}

fn type_of<'a>(input: &LookInput<'a>, gvk: &Gvk) -> TypeRef<'a> {
    // Not `unwrap_or_else`: the untyped schema is static, the known one is borrowed.
    match input.schemas.lookup(gvk) {
        Some(ty) => ty,
        None => TypeRef::untyped(),
    }
}

fn judge(
    input: &LookInput<'_>,
    object: &mut ObjectComparison,
    live: &Live,
    memory: Option<&Memory>,
    finding: Finding,
) {
    let channel = channel(&finding);
    let origin = origin(&finding, channel);
    let attribution = attribution(input, &finding, origin, memory);
    if let Some(why) = input.autoscalers.uncertainty(&finding.path) {
        object.problem = Some(ObjectProblem {
            message: why,
            remedy: "give trueup the right to list that kind, or wait until the API server serves it"
                .to_owned(),
        });
        return;
    }
    let inherited = channel != Channel::Declared && is_inherited(&finding, memory);
    let (place, excuse) = place(input, object, live, &finding, channel, &attribution, inherited);
    object.judgements.push(Judgement {
        path: finding.path.clone(),
        pointer: finding.pointer.clone(),
        unit: unit(&finding.path, type_of(input, &object.gvk)),
        channel,
        origin,
        pending_removal: finding.pending_removal,
        ours: finding.ours,
        foreign: !finding.owners.is_empty(),
        owners: finding.owners.iter().map(|owner| owner.manager.as_str().into()).collect(),
        opponent: attribution.manager.clone(),
        excuse,
    });
    let id = DifferenceId::new(&input.app.key, &object.key, channel, Some(&finding.path));
    let attribution_class = attribution.class;
    let difference = Difference {
        first_seen: Some(input.first_seen.get(&id).copied().unwrap_or(input.now)),
        id,
        key: object.key.clone(),
        gvk: object.gvk.clone(),
        channel,
        path: Some(finding.path.clone()),
        pointer: Some(finding.pointer.clone()),
        change: change(&finding),
        origin,
        target: finding.target.clone(),
        live: finding.live.clone(),
        base: finding.base.clone(),
        attribution,
        inherited,
        sensitive: finding.sensitive,
        ignored_by: finding.ignored_by.map(|index| ignored_by(input, index)),
        message: message(&finding, channel, attribution_class),
    };
    match place {
        Place::Difference => object.differences.push(difference),
        Place::Note => object.notes.push(difference),
        Place::Ignored => object.ignored.push(difference),
        Place::Nowhere => {}
    }
}

fn place(
    input: &LookInput<'_>,
    object: &ObjectComparison,
    live: &Live,
    finding: &Finding,
    channel: Channel,
    attribution: &Attribution,
    inherited: bool,
) -> (Place, Option<Excuse>) {
    if finding.ignored_by.is_some() {
        return (Place::Ignored, Some(Excuse::Ignored));
    }
    if let Some(scaler) = input.autoscalers.owner(&object.key, &finding.path) {
        return (Place::Nowhere, Some(Excuse::Autoscaler(scaler.clone())));
    }
    // Every owner of the path must be excused: a person's edit is not excused by a controller's co-ownership.
    let excused = !finding.owners.is_empty()
        && finding.owners.iter().all(|owner| {
            let class = class::class_of(owner.manager.as_str(), owner.operation, &owner.subresource);
            class::owns(class, &object.key, &finding.path, &live.object)
        });
    if excused {
        return (Place::Nowhere, Some(Excuse::Class));
    }
    if channel == Channel::Declared {
        return (Place::Difference, None);
    }
    match weight::weight(&finding.path, attribution.class, input.app.undeclared) {
        Weight::Drift if inherited => (Place::Note, Some(Excuse::Weightless)),
        Weight::Drift => (Place::Difference, None),
        Weight::Note => (Place::Note, Some(Excuse::Weightless)),
        Weight::Nothing => (Place::Nowhere, Some(Excuse::Weightless)),
    }
}

fn channel(finding: &Finding) -> Channel {
    match finding.channel {
        trueup_diff::Channel::Declared => Channel::Declared,
        trueup_diff::Channel::Undeclared => Channel::Undeclared,
        trueup_diff::Channel::Unowned => Channel::Unowned,
    }
}

fn change(finding: &Finding) -> Change {
    match finding.change {
        trueup_diff::Change::Changed => Change::Changed,
        trueup_diff::Change::Added => Change::Added,
        trueup_diff::Change::Removed => Change::Removed,
    }
}

/// Git cannot have moved what it never declared; for the rest the table of detection.md 5 decides.
fn origin(finding: &Finding, channel: Channel) -> Origin {
    match channel {
        Channel::Undeclared | Channel::Unowned => Origin::Cluster,
        Channel::Declared | Channel::Existence => match (finding.moved.git, finding.moved.cluster) {
            (Some(true), Some(true)) => Origin::Both,
            (Some(true), Some(false)) => Origin::Git,
            (Some(false), Some(true)) => Origin::Cluster,
            (Some(false), Some(false)) | (None, _) | (_, None) => Origin::Unknown,
        },
    }
}

fn attribution(
    input: &LookInput<'_>,
    finding: &Finding,
    origin: Origin,
    memory: Option<&Memory>,
) -> Attribution {
    let nobody = |class| Attribution {
        class,
        confidence: Confidence::None,
        manager: None,
        operation: None,
        subresource: None,
        time: None,
    };
    if origin == Origin::Git {
        return nobody(git_class(input));
    }
    let Some(owner) = finding.owners.first() else { return nobody(Class::Unattributed) };
    let class = class::class_of(owner.manager.as_str(), owner.operation, &owner.subresource);
    Attribution {
        class,
        confidence: if class::is_generic(owner.manager.as_str()) {
            Confidence::Weak
        } else {
            confidence(class, owner.time, memory.and_then(|memory| memory.synced_at))
        },
        manager: Some(owner.manager.as_str().into()),
        operation: Some(owner.operation),
        subresource: (!owner.subresource.is_empty()).then(|| owner.subresource.clone()),
        time: owner.time,
    }
}

/// Strong: the table knows the manager, and its entry changed after our last sync (detection.md 6). Where we never synced,
/// the entry may be older than what Git says.
fn confidence(class: Class, time: Option<Timestamp>, synced_at: Option<Timestamp>) -> Confidence {
    match (class, time, synced_at) {
        (Class::Unattributed, _, _) | (_, None, _) | (_, _, None) => Confidence::Weak,
        (_, Some(time), Some(synced)) if time + CLOCK_GRAIN < synced => Confidence::Weak,
        (_, Some(_), Some(_)) => Confidence::Strong,
    }
}

fn is_inherited(finding: &Finding, memory: Option<&Memory>) -> bool {
    let Some(memory) = memory else { return false };
    memory::addition(&finding.path, finding.live.as_ref(), finding.sensitive)
        .is_some_and(|(path, value)| memory.inherited.get(&path) == Some(&value))
}

fn ignored_by(input: &LookInput<'_>, index: usize) -> IgnoredBy {
    let rule = input.app.ignore.describe(index);
    IgnoredBy { rule, source: "Application".to_owned() }
}

fn message(finding: &Finding, channel: Channel, class: Class) -> Option<String> {
    if finding.pending_removal {
        return Some("no longer declared in Git; a sync removes it".to_owned());
    }
    if channel != Channel::Declared && weight::is_restart(&finding.path) {
        return Some("restarted".to_owned());
    }
    // What a class plausibly owns is no finding: this is none of it.
    match class {
        Class::Autoscaler | Class::Controller | Class::Injector => {
            let who = finding.owners.first().map(|owner| owner.manager.as_str()).unwrap_or_default();
            Some(format!("outside of what {who}, of class {}, is there for", class.as_str()))
        }
        Class::Manual
        | Class::Automation
        | Class::Gitops
        | Class::PartialSync
        | Class::Git
        | Class::Noise
        | Class::Unattributed => None,
    }
}
