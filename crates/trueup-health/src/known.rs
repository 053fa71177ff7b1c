//! Kinds that follow the conventions in part and mean more by the rest: what the generic rule would get wrong about them.
//! The verdicts are those of the scripts that Argo CD comes with, where it has one for the kind.

use trueup_object::Value;

use crate::conditions::find;
use crate::{Health, HealthStatus};

const GATEWAY_API: &str = "gateway.networking.k8s.io/";

/// What a kind says of itself beside its conditions; `None` where the conventions say it all.
pub(crate) fn judge(live: &Value) -> Option<Health> {
    let version = live.str_at(&["apiVersion"])?;
    match live.str_at(&["kind"])? {
        "Node" if version == "v1" => node(live),
        "CronJob" if version.starts_with("batch/") => cron_job(live),
        "CustomResourceDefinition" if version.starts_with("apiextensions.k8s.io/") => definition(live),
        "Gateway" if version.starts_with(GATEWAY_API) => gateway(live),
        kind if version.starts_with(GATEWAY_API) && kind.ends_with("Route") => route(live),
        _ => None,
    }
}

fn message(condition: &Value) -> &str {
    condition.str_at(&["message"]).unwrap_or_default()
}

fn says(condition: &Value, word: &str) -> bool {
    condition.str_at(&["status"]) == Some(word)
}

/// The node controller writes `Unknown` after it has not heard of a kubelet for long: waiting does not help.
fn node(live: &Value) -> Option<Health> {
    find(live, "Ready").filter(|ready| says(ready, "Unknown")).map(|ready| Health::degraded(message(ready)))
}

/// A suspended one is well, as Argo CD has it, lest the whole application count as suspended (argo-cd#24428). One that ran says
/// by its times whether the last run succeeded. Whether one that runs now or has never succeeded is well cannot be told.
fn cron_job(live: &Value) -> Option<Health> {
    if live.at(&["spec", "suspend"]).and_then(Value::as_bool) == Some(true) {
        return Some(Health::new(HealthStatus::Healthy, "it is suspended"));
    }
    let time = |name: &str| live.str_at(&["status", name]);
    let scheduled = time("lastScheduleTime")?;
    let runs = !live.list_at(&["status", "active"]).is_empty();
    Some(match time("lastSuccessfulTime") {
        // Both are times of the same form, in UTC.
        Some(succeeded) if succeeded < scheduled && !runs => {
            Health::degraded("its last execution did not succeed")
        }
        Some(_) => Health::healthy(),
        None => Health::new(HealthStatus::Healthy, "none of its executions has succeeded yet"),
    })
}

/// Names that another definition has keep this one from being served, however its other conditions stand.
fn definition(live: &Value) -> Option<Health> {
    if let Some(terminating) = find(live, "Terminating").filter(|it| says(it, "True")) {
        return Some(Health::progressing(format!("it is being deleted: {}", message(terminating))));
    }
    if let Some(refused) = find(live, "NamesAccepted").filter(|it| says(it, "False")) {
        return Some(Health::degraded(format!("its names are not accepted: {}", message(refused))));
    }
    let violated = find(live, "NonStructuralSchema").filter(|it| says(it, "True"))?;
    Some(Health::degraded(format!("its schema is not structural: {}", message(violated))))
}

/// The gateway as a whole may be accepted and a listener of it not.
fn gateway(live: &Value) -> Option<Health> {
    let refused = |name: &str| find(live, name).filter(|it| says(it, "False"));
    if let Some(refused) = refused("Accepted").or_else(|| refused("ResolvedRefs")) {
        return Some(Health::degraded(message(refused)));
    }
    if find(live, "Programmed").is_some_and(|it| !says(it, "True")) {
        return None;
    }
    live.list_at(&["status", "listeners"])
        .iter()
        .filter_map(|listener| {
            let name = listener.str_at(&["name"]).unwrap_or_default();
            part("listener", name, listener).filter(|health| health.status != HealthStatus::Healthy)
        })
        .max_by_key(|health| health.status)
}

/// A route stands as each gateway says that it is attached to: all of its conditions are there.
fn route(live: &Value) -> Option<Health> {
    let parents = live.at(&["status", "parents"])?.as_list()?;
    let generation = live.int_at(&["metadata", "generation"]);
    // What is said of an earlier generation is said of another route.
    let is_current = |parent: &&Value| {
        generation.is_none_or(|generation| {
            let conditions = parent.list_at(&["conditions"]).iter();
            conditions.filter_map(|it| it.int_at(&["observedGeneration"])).any(|seen| seen == generation)
        })
    };
    let told = parents.iter().filter(is_current).filter_map(|parent| {
        let name = parent.str_at(&["parentRef", "name"]).unwrap_or_default();
        part("parent", name, parent)
    });
    let worst = told.max_by_key(|health| health.status);
    Some(worst.unwrap_or_else(|| Health::progressing("no gateway has said anything of it yet")))
}

/// A part with conditions of its own; `None` where it has none.
fn part(what: &str, name: &str, part: &Value) -> Option<Health> {
    let conditions = part.list_at(&["conditions"]);
    let find = |wanted: &str| conditions.iter().find(|it| it.str_at(&["type"]) == Some(wanted));
    let told = |condition: &Value| format!("{what} {name}: {}", message(condition));
    let refused = |wanted: &str| find(wanted).filter(|it| says(it, "False"));
    if let Some(refused) = refused("Accepted").or_else(|| refused("ResolvedRefs")) {
        return Some(Health::degraded(told(refused)));
    }
    if let Some(waiting) = find("Programmed").filter(|it| !says(it, "True")) {
        return Some(Health::progressing(told(waiting)));
    }
    (!conditions.is_empty()).then(Health::healthy)
}
