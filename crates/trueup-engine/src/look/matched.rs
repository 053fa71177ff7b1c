//! An object that both Git and the cluster have: its findings, judged.

use jiff::{SignedDuration, Timestamp};
use trueup_diff::{CompareInput, Finding, IgnoreRule, RuleFailure};
use trueup_merge::{Managed, TypeRef};
use trueup_object::{FieldManager, FieldPath, Gvk, ManagedFields, ManagedOperation, ResourceKey, Value};

use super::confirmed::{Bearing, Confirming, NOISE, hidden_by_server, is_noise};
use super::existence::{git_class, health_counts, health_of};
use super::unit::unit;
use super::{Excuse, Judgement, LookInput, ObjectComparison, ObjectProblem, Presence};
use crate::app::Weight;
use crate::autoscaler::short;
use crate::class;
use crate::desired::Target;
use crate::difference::{
    Attribution, Change, Channel, Class, Confidence, Difference, DifferenceId, IgnoredBy, Origin,
};
use crate::ignore::{self, Rule, RuleMatch};
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
    /// The server says that it is none.
    Noise,
    Nowhere,
}

pub fn matched(input: &LookInput<'_>, key: &ResourceKey, target: &Target, live: &Live) -> ObjectComparison {
    let (own, own_problem) = match ignore::of_object(&target.object, key) {
        Ok(own) => (own, None),
        Err(why) => (Vec::new(), Some(why)),
    };
    let all = input.app.ignore.rules().iter().chain(&input.settings.ignore).chain(&own);
    let rules = ignore::about(all, key, input.now);
    let compiled: Vec<&IgnoreRule> = rules.iter().map(|rule| rule.compiled()).collect();
    let memory = input.memory.get(key);
    let known = input.schemas.lookup(&target.gvk);
    let ty = type_of(input, &target.gvk);
    let managed = Managed::of(&live.object, ty);
    // What was synced in another version, with other fields, says nothing about the fields of this one.
    let is_readable = |base: &&Value| {
        base.str_at(&["apiVersion"]) == target.object.str_at(&["apiVersion"])
            || trueup_merge::has_fields_of(base, ty)
    };
    let compare = CompareInput {
        target: &target.object,
        live: &live.object,
        base: memory.and_then(|memory| memory.base.as_ref()).filter(is_readable),
        managed: &managed,
        our_manager: input.our_manager,
        ty,
        schema_known: known.is_some(),
        ignore: &compiled,
        unowned: memory.and_then(|memory| memory.unowned.as_ref()),
        status: input.settings.compare.compares_status(&key.group_kind()),
        secrecy: input.secrecy(),
    };
    let compared = trueup_diff::compare(&compare);
    let mut confirming = Confirming::new(input, key, target, live);
    confirming.take(&compare, &compared.findings);
    let further = confirming.further(input, &compare, &compared.findings);
    let mut object = ObjectComparison {
        health: health_of(input, live),
        health_counts: health_counts(input, live),
        rules: outcomes(&rules, &compared),
        hidden: compared.hidden,
        structural: known.is_none(),
        ..ObjectComparison::blank(key, &target.gvk, Presence::Matched, SyncStatus::Synced)
    };
    let mut counted = false;
    let scene = Scene { input, live, memory, rules: &rules };
    for (index, finding) in compared.findings.into_iter().enumerate() {
        counted |= judge(&scene, &mut object, finding, confirming.bearing(index));
    }
    for (finding, foretold) in further {
        let bearing = Bearing::Told { foretold: &foretold, fresh: true };
        counted |= judge(&scene, &mut object, finding, bearing);
    }
    if let Some(problem) = untold(input, key, live, &compared.untold) {
        object.problem = Some(problem);
    }
    if let Some(problem) = obscured(input, &object, own_problem) {
        object.differences.clear();
        object.problem = Some(problem);
    }
    if object.problem.is_none() {
        confirming.settle(&mut object, target, live, counted);
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

/// What each rule did in the object.
fn outcomes(rules: &[&Rule], compared: &trueup_diff::Comparison) -> Vec<RuleMatch> {
    let failure = |index: usize| {
        compared.rule_failures.iter().find(|(failed, _)| *failed == index).map(|(_, failure)| failure.clone())
    };
    let matches = |index: usize| compared.rule_matches.get(index).copied().unwrap_or_default();
    rules
        .iter()
        .enumerate()
        .map(|(index, rule)| RuleMatch::of(rule, matches(index), failure(index)))
        .collect()
}

/// Why it is not known what is to be ignored of the object. A rule that is given up makes it Unknown in any case; one that
/// cannot be read only where something differs that it might hide.
fn obscured(
    input: &LookInput<'_>,
    object: &ObjectComparison,
    own_problem: Option<String>,
) -> Option<ObjectProblem> {
    for matched in &object.rules {
        if let Some(RuleFailure::Exhausted(why)) = &matched.failure {
            return Some(ObjectProblem {
                message: format!("the ignore rule {} {}: {why}", matched.place, matched.path),
                remedy: "write it with fewer steps, or allow it more time (ignore.normalizer.jq.timeout in argocd-cm); until \
                         then nothing is done to the object"
                    .to_owned(),
            });
        }
    }
    if object.differences.is_empty() {
        return None;
    }
    if let Some(why) = own_problem {
        let remedy = "correct it in Git: a map, or a list of maps, with jsonPointers, jqPathExpressions or \
                      managedFieldsManagers";
        return Some(ObjectProblem { message: why, remedy: remedy.to_owned() });
    }
    let problem = input.settings.obscured(&object.key.group_kind())?;
    Some(ObjectProblem {
        message: format!("an ignore rule that may be meant for it cannot be read: {problem}"),
        remedy: "then it is compared anew by itself".to_owned(),
    })
}

/// What an addition is worth here.
fn worth(input: &LookInput<'_>, key: &ResourceKey, path: &FieldPath, class: Class) -> Weight {
    let levels = [
        (input.app.undeclared, &*input.app.counts),
        (input.app.project_counts.word, &*input.app.project_counts.rules),
        (input.settings.undeclared, &*input.settings.counts),
    ];
    weight::weight(key, path, class, levels)
}

/// Says what nothing tells about, as far as it would count if somebody had added it.
fn untold(
    input: &LookInput<'_>,
    key: &ResourceKey,
    live: &Live,
    findings: &[Finding],
) -> Option<ObjectProblem> {
    let would_count = |finding: &&Finding| {
        let path = &finding.path;
        scaler_of(input, key, finding).is_none()
            && !class::has_one_writer(key, path, &live.object)
            && worth(input, key, path, Class::Unattributed) == Weight::Drift
    };
    let counted: Vec<&Finding> = findings.iter().filter(would_count).collect();
    let (first, more) = (counted.first()?, counted.len() - 1);
    let more = if more == 0 { String::new() } else { format!(" (and {more} more)") };
    Some(ObjectProblem {
        message: format!(
            "live has no managedFields: whether somebody added {}{more} cannot be told",
            first.path
        ),
        remedy: "give what was applied before (trueup diff --last-applied or --base), or live with its managedFields \
                 where it has any (kubectl get --show-managed-fields)"
            .to_owned(),
    })
}

/// The autoscaler that what was found belongs to.
fn scaler_of<'a>(input: &LookInput<'a>, key: &ResourceKey, finding: &Finding) -> Option<&'a ResourceKey> {
    let writers = (&*finding.owners, finding.ours);
    input.autoscalers.owner(key, &finding.path, finding.live.as_deref(), writers)
}

fn type_of<'a>(input: &LookInput<'a>, gvk: &Gvk) -> TypeRef<'a> {
    // Not `unwrap_or_else`: the untyped schema is static, the known one is borrowed.
    match input.schemas.lookup(gvk) {
        Some(ty) => ty,
        None => TypeRef::untyped(),
    }
}

/// What judging a finding needs besides it.
struct Scene<'a> {
    input: &'a LookInput<'a>,
    live: &'a Live,
    memory: Option<&'a Memory>,
    rules: &'a [&'a Rule],
}

/// Puts a finding where it belongs; says whether it is one that Git declares and nothing but the server's answer excuses.
fn judge(scene: &Scene<'_>, object: &mut ObjectComparison, finding: Finding, bearing: Bearing<'_>) -> bool {
    let Scene { input, live, memory, rules: _ } = *scene;
    let channel = channel(&finding);
    let origin = match origin(&finding, channel) {
        Origin::Cluster | Origin::Both if is_of_ours_alone(&finding) && is_applied_since(live, memory) => {
            Origin::Git
        }
        origin => origin,
    };
    let mut attribution = attribution(input, &finding, origin, memory);
    if let Some(why) = input.autoscalers.uncertainty(&finding.path) {
        object.problem = Some(ObjectProblem {
            message: why,
            remedy: "give trueup the right to list that kind, or wait until the API server serves it"
                .to_owned(),
        });
        return false;
    }
    let inherited = channel != Channel::Declared && is_inherited(&finding, memory);
    let (place, excuse) = place(input, object, live, &finding, channel, &attribution, inherited);
    let counted = channel == Channel::Declared && matches!(place, Place::Difference);
    let bearing = if counted { bearing } else { Bearing::None };
    let place = match bearing {
        Bearing::Told { .. } if is_noise(&finding, bearing) => Place::Noise,
        // Nothing is healed or judged on what could not be confirmed, and it stays to be seen.
        Bearing::Unavailable => Place::Note,
        Bearing::None | Bearing::Told { .. } | Bearing::Refused(_) | Bearing::Unanswered => place,
    };
    if matches!(place, Place::Noise) {
        attribution.class = Class::Noise;
    } else {
        object.judgements.push(judgement(scene, object, &finding, (channel, origin), &attribution, excuse));
    }
    let difference = difference(scene, object, &finding, (channel, origin), attribution, bearing, inherited);
    match place {
        Place::Difference => object.differences.push(difference),
        Place::Note => object.notes.push(difference),
        Place::Ignored => object.ignored.push(difference),
        Place::Noise => object.ignored.push(Difference {
            ignored_by: Some(hidden_by_server()),
            message: Some(NOISE.to_owned()),
            ..difference
        }),
        Place::Nowhere => {}
    }
    counted
}

fn judgement(
    scene: &Scene<'_>,
    object: &ObjectComparison,
    finding: &Finding,
    (channel, origin): (Channel, Origin),
    attribution: &Attribution,
    excuse: Option<Excuse>,
) -> Judgement {
    Judgement {
        path: finding.path.clone(),
        pointer: finding.pointer.clone(),
        unit: unit(&finding.path, type_of(scene.input, &object.gvk)),
        channel,
        origin,
        pending_removal: finding.pending_removal,
        ours: finding.ours,
        foreign: !finding.owners.is_empty(),
        owners: finding.owners.iter().map(|owner| owner.manager.as_str().into()).collect(),
        opponent: attribution.manager.clone(),
        excuse,
    }
}

fn difference(
    scene: &Scene<'_>,
    object: &ObjectComparison,
    finding: &Finding,
    (channel, origin): (Channel, Origin),
    attribution: Attribution,
    bearing: Bearing<'_>,
    inherited: bool,
) -> Difference {
    let input = scene.input;
    let id = DifferenceId::new(&input.app.key, &object.key, channel, Some(&finding.path));
    let scaled = scaler_of(input, &object.key, finding)
        .map(|scaler| format!("changed by hand; {} scales this field and may overrule it", short(scaler)));
    let (predicted, unconfirmed, answer) = match bearing {
        Bearing::None => (None, None, None),
        Bearing::Told { foretold, fresh } => (foretold.value.clone(), fresh.then_some(false), None),
        Bearing::Refused(message) => (None, Some(true), Some(format!("the server refuses it: {message}"))),
        Bearing::Unanswered => (None, Some(true), Some("the server has not confirmed it".to_owned())),
        Bearing::Unavailable => (None, Some(true), Some("the server could not be asked".to_owned())),
    };
    Difference {
        first_seen: Some(input.first_seen.get(&id).copied().unwrap_or(input.now)),
        id,
        key: object.key.clone(),
        gvk: object.gvk.clone(),
        channel,
        path: Some(finding.path.clone()),
        pointer: Some(finding.pointer.clone()),
        change: change(finding),
        origin,
        target: finding.target.clone(),
        live: finding.live.clone(),
        base: finding.base.clone(),
        predicted,
        unconfirmed,
        message: answer.or(scaled).or_else(|| message(finding, channel, attribution.class)),
        attribution,
        inherited,
        sensitive: finding.sensitive,
        ignored_by: finding.ignored_by.and_then(|index| scene.rules.get(index)).map(|rule| ignored_by(rule)),
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
        // A rule that applying does not respect takes nothing away from whoever has the field besides.
        let owner = scaler_of(input, &object.key, finding).cloned().map(Excuse::Autoscaler);
        return (Place::Ignored, Some(owner.unwrap_or(Excuse::Ignored)));
    }
    if let Some(scaler) = scaler_of(input, &object.key, finding) {
        // The autoscaler's own changes are its business; a person's beside it are told, though they do not count.
        let by_hand = attribution.class == Class::Manual;
        let place = if by_hand { Place::Note } else { Place::Nowhere };
        return (place, Some(Excuse::Autoscaler(scaler.clone())));
    }
    // Who has a declared status compared wants to know of every writer of it.
    let is_status = finding.path.starts_with_fields(&["status"]);
    // Every owner of the path must be excused: a person's edit is not excused by a controller's co-ownership.
    let excused = !is_status
        && !finding.owners.is_empty()
        && finding.owners.iter().all(|owner| {
            let class = class::class_of(owner.manager.as_str(), owner.operation, &owner.subresource);
            class::owns(class, &object.key, &finding.path, &live.object)
        });
    if excused || is_of_unnamed_writer(&object.key, live, finding, channel) {
        return (Place::Nowhere, Some(Excuse::Class));
    }
    if channel == Channel::Declared {
        return (Place::Difference, None);
    }
    match worth(input, &object.key, &finding.path, attribution.class) {
        Weight::Drift if inherited && input.app.inherited != Some(Weight::Drift) => {
            (Place::Note, Some(Excuse::Weightless))
        }
        Weight::Drift => (Place::Difference, None),
        Weight::Note => (Place::Note, Some(Excuse::Weightless)),
        Weight::Nothing => (Place::Nowhere, Some(Excuse::Weightless)),
    }
}

/// Whether a field has one writer that is excused, in an object that names no writers at all: then it is that one's, unless Git
/// declares something there.
fn is_of_unnamed_writer(key: &ResourceKey, live: &Live, finding: &Finding, channel: Channel) -> bool {
    let is_declared = channel == Channel::Declared
        && finding.target.as_deref().is_some_and(|target| !class::is_filled_in(target, &finding.path));
    !is_declared
        && finding.owners.is_empty()
        && class::has_one_writer(key, &finding.path, &live.object)
        && ManagedFields::of(&live.object).entries.is_empty()
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

/// Whether nobody but us has written what is live.
fn is_of_ours_alone(finding: &Finding) -> bool {
    finding.ours && finding.owners.is_empty()
}

/// Whether an apply of ours is younger than what is remembered: that of another controller with a ledger of its own, or one
/// whose outcome was never written down. What it left is of a commit, and nobody in the cluster has moved it.
fn is_applied_since(live: &Live, memory: Option<&Memory>) -> bool {
    let Some(synced_at) = memory.and_then(|memory| memory.synced_at) else { return false };
    let entries = ManagedFields::of(&live.object).entries;
    let ours = entries.iter().filter(|entry| {
        entry.manager.as_str() == FieldManager::TRUEUP
            && entry.operation == ManagedOperation::Apply
            && entry.subresource.is_empty()
    });
    ours.filter_map(|entry| entry.time).any(|time| time > synced_at)
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

fn ignored_by(rule: &Rule) -> IgnoredBy {
    IgnoredBy { rule: rule.describe(), source: rule.source.as_str().to_owned() }
}

fn message(finding: &Finding, channel: Channel, class: Class) -> Option<String> {
    if finding.same_amount {
        return Some(
            "equal in value, written otherwise: nothing says that this text is an amount".to_owned(),
        );
    }
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
