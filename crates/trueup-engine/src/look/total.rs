//! From objects to the application: status, origin, health, conditions (contracts: "A difference"; compat 2.1, 4.3).

use super::{Comparison, LookInput, ObjectComparison};
use crate::condition::{Condition, ConditionType};
use crate::desired::Completeness;
use crate::difference::Origin;
use crate::ignore;
use crate::status::{AppOrigin, SyncStatus};

/// How many objects a condition names before it counts the rest.
const NAMED_MAX: usize = 3;

pub fn comparison(input: &LookInput<'_>, objects: Vec<ObjectComparison>) -> Comparison {
    let status = status(input, &objects);
    let health = trueup_health::aggregate(
        objects.iter().filter(|object| object.health_counts).map(|object| (&object.key, &object.health)),
    );
    Comparison {
        status,
        origin: origin(status, &objects),
        health,
        conditions: conditions(input, &objects),
        rules: ignore::count(
            &input.app.ignore,
            objects.iter().map(|object| (&object.key, object.rules.as_slice())),
            input.now,
        ),
        objects,
    }
}

fn status(input: &LookInput<'_>, objects: &[ObjectComparison]) -> SyncStatus {
    let mut counted = objects.iter().filter(|object| object.counts);
    if counted.clone().any(|object| object.status == SyncStatus::OutOfSync) {
        return SyncStatus::OutOfSync;
    }
    let partial = input.targets.completeness != Completeness::Complete;
    if partial || counted.any(|object| object.status == SyncStatus::Unknown) {
        return SyncStatus::Unknown;
    }
    SyncStatus::Synced
}

fn origin(status: SyncStatus, objects: &[ObjectComparison]) -> AppOrigin {
    match status {
        SyncStatus::Synced => return AppOrigin::None,
        SyncStatus::Unknown => return AppOrigin::Unknown,
        SyncStatus::OutOfSync => {}
    }
    let mut origins = objects
        .iter()
        .filter(|object| object.counts)
        .flat_map(|object| &object.differences)
        .map(|it| it.origin);
    let Some(first) = origins.next() else { return AppOrigin::Unknown };
    // Differences of unknown origin say nothing against the others.
    let merged = origins.fold(first, |so_far, next| match (so_far, next) {
        (Origin::Unknown, other) | (other, Origin::Unknown) => other,
        (Origin::Git, Origin::Git) => Origin::Git,
        (Origin::Cluster, Origin::Cluster) => Origin::Cluster,
        (Origin::Both, _)
        | (_, Origin::Both)
        | (Origin::Git, Origin::Cluster)
        | (Origin::Cluster, Origin::Git) => Origin::Both,
    });
    match merged {
        Origin::Git => AppOrigin::Git,
        Origin::Cluster => AppOrigin::Cluster,
        Origin::Both => AppOrigin::Both,
        Origin::Unknown => AppOrigin::Unknown,
    }
}

/// Tells of which objects the server has not confirmed what differs, with the reason of the first.
fn unconfirmed(objects: &[ObjectComparison]) -> Option<Condition> {
    let open: Vec<(&ObjectComparison, &String)> =
        objects.iter().filter_map(|object| Some((object, object.unconfirmed.as_ref()?))).collect();
    let (_, why) = open.first()?;
    let objects: Vec<&ObjectComparison> = open.iter().map(|(object, _)| *object).collect();
    Some(Condition::new(
        ConditionType::UnconfirmedWarning,
        format!("what differs in {} is not confirmed: {why}", named(&objects)),
    ))
}

/// The first few objects by name, and how many more there are.
fn named(objects: &[&ObjectComparison]) -> String {
    let named: Vec<String> = objects
        .iter()
        .take(NAMED_MAX)
        .map(|object| format!("{}/{}", object.key.kind, object.key.name))
        .collect();
    let more = objects.len().saturating_sub(NAMED_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", named.join(", "))
}

fn conditions(input: &LookInput<'_>, objects: &[ObjectComparison]) -> Vec<Condition> {
    let mut found = input.targets.conditions.clone();
    for unsupported in input.app.unsupported.iter().chain(&input.targets.unsupported) {
        found.push(Condition::new(
            ConditionType::UnsupportedError,
            format!(
                "{}: {} is not supported by this version; nothing is applied or pruned until it is removed",
                unsupported.place, unsupported.what
            ),
        ));
    }
    let problems = input.settings.problems.iter().take(NAMED_MAX);
    found.extend(problems.map(|problem| Condition::new(ConditionType::SettingsWarning, problem.to_string())));
    let unknown: Vec<&ObjectComparison> =
        objects.iter().filter(|object| object.status == SyncStatus::Unknown).collect();
    if let Some(first) = unknown.first() {
        let (why, remedy) = first
            .problem
            .as_ref()
            .map(|problem| (problem.message.as_str(), problem.remedy.as_str()))
            .unwrap_or_default();
        found.push(Condition::comparison_error(format!(
            "{} of {} unknown ({}): {why}; {remedy}",
            unknown.len(),
            objects.len(),
            named(&unknown)
        )));
    }
    found.extend(unconfirmed(objects));
    for (key, live) in &input.live.objects {
        let owner = input.app.tracking.owner(&live.object, key).filter(|name| *name != input.app.instance);
        if let (Some(owner), true) = (owner, input.targets.targets.contains_key(key)) {
            found.push(Condition::new(
                ConditionType::SharedResourceWarning,
                format!("{key} is also tracked by application {owner}; keep it in one of the two"),
            ));
        }
    }
    found.sort();
    found.dedup();
    found
}
