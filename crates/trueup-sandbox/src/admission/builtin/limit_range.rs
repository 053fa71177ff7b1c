//! Limit ranges: what containers get where they ask for nothing, and between which bounds they, their pods and claims must stay.
//!
//! As the `LimitRanger` of `k8s.io/kubernetes/plugin/pkg/admission` does it.

use std::sync::Arc;

use trueup_object::Value;

use crate::amount::{Amount, Amounts, amounts, of_pod};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

/// Gives containers what they do not ask for themselves.
pub(in crate::admission) fn fill_in(ranges: &[Arc<Value>], pod: &mut Value) {
    for range in ranges {
        let mut told = Vec::new();
        for (list, what) in [("containers", "container"), ("initContainers", "init container")] {
            let mut containers = pod.list_at(&["spec", list]).to_vec();
            for container in &mut containers {
                told.extend(fill_in_one(range, container, what));
            }
            if !containers.is_empty() {
                pod.set_at(&["spec", list], Value::List(containers));
            }
        }
        if !told.is_empty() {
            let words = format!("LimitRanger plugin set: {}", told.join("; "));
            pod.set_at(&["metadata", "annotations", ANNOTATION], words.into());
        }
    }
}

fn fill_in_one(range: &Value, container: &mut Value, what: &str) -> Vec<String> {
    let mut told = Vec::new();
    let name = container.str_at(&["name"]).unwrap_or_default().to_owned();
    for (default, field, word) in [("defaultRequest", "requests", "request"), ("default", "limits", "limit")]
    {
        let mut set = Vec::new();
        let limits = range.list_at(&["spec", "limits"]).iter();
        for limit in limits.filter(|limit| limit.str_at(&["type"]) == Some("Container")) {
            for (resource, amount) in
                limit.get(default).and_then(Value::as_map).into_iter().flat_map(|it| it.iter())
            {
                if container.at(&["resources", field, resource]).is_none() {
                    container.set_at(&["resources", field, resource], amount.clone());
                    set.push(resource.to_owned());
                }
            }
        }
        if !set.is_empty() {
            set.sort();
            told.push(format!("{} {word} for {what} {name}", set.join(", ")));
        }
    }
    told
}

/// Why a pod or a claim is not within the bounds, where it is not.
pub(super) fn check(ranges: &[Arc<Value>], plural: &str, object: &Value) -> Result<(), String> {
    for range in ranges {
        let mut wrong = Vec::new();
        for limit in range.list_at(&["spec", "limits"]) {
            match (limit.str_at(&["type"]), plural) {
                (Some("Container"), "pods") => {
                    for list in ["containers", "initContainers"] {
                        for container in object.list_at(&["spec", list]) {
                            let requests = amounts(container.at(&["resources", "requests"]));
                            let limits = amounts(container.at(&["resources", "limits"]));
                            bounds("Container", limit, &requests, Some(&limits), &mut wrong);
                        }
                    }
                }
                (Some("Pod"), "pods") => {
                    let (requests, limits) = (of_pod(object, "requests"), of_pod(object, "limits"));
                    bounds("Pod", limit, &requests, Some(&limits), &mut wrong);
                }
                (Some("PersistentVolumeClaim"), "persistentvolumeclaims") => {
                    let requests = amounts(object.at(&["spec", "resources", "requests"]));
                    bounds("PersistentVolumeClaim", limit, &requests, None, &mut wrong);
                }
                _ => {}
            }
        }
        match wrong.as_slice() {
            [] => {}
            [one] => return Err(one.clone()),
            many => {
                let mut once: Vec<&str> = Vec::new();
                for words in many {
                    if !once.contains(&words.as_str()) {
                        once.push(words);
                    }
                }
                return Err(if once.len() == 1 { once.concat() } else { format!("[{}]", once.join(", ")) });
            }
        }
    }
    Ok(())
}

/// Claims have no limits.
fn bounds(of: &str, limit: &Value, requests: &Amounts, limits: Option<&Amounts>, wrong: &mut Vec<String>) {
    let given = |amounts: Option<&Amounts>, name: &str| amounts.and_then(|it| it.get(name)).copied();
    for (name, least) in &amounts(limit.get("min")) {
        let head = format!("minimum {name} usage per {of} is {least}");
        match (given(Some(requests), name), given(limits, name)) {
            (None, _) => wrong.push(format!("{head}.  No request is specified")),
            (Some(asked), _) if least.exceeds(&asked) => {
                wrong.push(format!("{head}, but request is {asked}"))
            }
            (_, Some(most)) if least.exceeds(&most) => wrong.push(format!("{head}, but limit is {most}")),
            (Some(_), _) => {}
        }
    }
    for (name, most) in &amounts(limit.get("max")) {
        let head = format!("maximum {name} usage per {of} is {most}");
        let (asked, used) = (given(Some(requests), name), given(limits, name));
        let exceeds = |amount: Option<Amount>| amount.filter(|amount| amount.exceeds(most));
        match (limits, used) {
            (Some(_), None) => wrong.push(format!("{head}.  No limit is specified")),
            (None, _) if asked.is_none() => wrong.push(format!("{head}.  No request is specified")),
            (_, _) => match (exceeds(used), exceeds(asked)) {
                (Some(used), _) => wrong.push(format!("{head}, but limit is {used}")),
                (None, Some(asked)) => wrong.push(format!("{head}, but request is {asked}")),
                (None, None) => {}
            },
        }
    }
    if let Some(limits) = limits {
        ratios(of, limit, (requests, limits), wrong);
    }
}

fn ratios(of: &str, limit: &Value, (requests, limits): (&Amounts, &Amounts), wrong: &mut Vec<String>) {
    for (name, ratio) in &amounts(limit.get("maxLimitRequestRatio")) {
        let head = format!("{name} max limit to request ratio per {of} is {ratio}, but");
        let given = |amounts: &Amounts| amounts.get(name).copied().filter(|amount| !amount.is_zero());
        match (given(requests), given(limits)) {
            (None, _) => wrong.push(format!("{head} no request is specified or request is 0")),
            (_, None) => wrong.push(format!("{head} no limit is specified or limit is 0")),
            (Some(asked), Some(used)) => {
                let found = used.over(&asked);
                if found > ratio.over(&Amount::count(1)) {
                    wrong.push(format!("{head} provided ratio is {found:.6}"));
                }
            }
        }
    }
}
