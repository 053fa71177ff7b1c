//! Disruption budgets: how many pods may go at once.

use std::sync::Arc;

use trueup_object::{Map, Timestamp, Value};

use super::objects::{BUDGETS, Condition, Step, condition, count, int, is_ready};
use super::replica_set::is_active;
use crate::write::selector_matches;

pub fn reconcile(budget: &Value, pods: &[Arc<Value>], now: Timestamp) -> Vec<Step> {
    let selector = budget.at(&["spec", "selector"]);
    let selected: Vec<&Value> = pods
        .iter()
        .map(Arc::as_ref)
        .filter(|pod| is_active(pod))
        .filter(|pod| {
            selector.is_some_and(|selector| selector_matches(selector, pod.at(&["metadata", "labels"])))
        })
        .collect();
    Step::status(BUDGETS, budget, status(budget, &selected, now)).into_iter().collect()
}

/// A number, or that many percent of all, rounded up.
fn share(value: &Value, all: i64) -> i64 {
    match value {
        Value::Int(number) => *number,
        Value::Str(text) => {
            let percent: i64 =
                text.strip_suffix('%').and_then(|digits| digits.parse().ok()).unwrap_or_default();
            percent.saturating_mul(all).saturating_add(99) / 100
        }
        Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => 0,
    }
}

fn status(budget: &Value, pods: &[&Value], now: Timestamp) -> Value {
    let expected = i64::try_from(pods.len()).unwrap_or(i64::MAX);
    let healthy = count(pods.iter().copied(), is_ready);
    let desired = match (budget.at(&["spec", "maxUnavailable"]), budget.at(&["spec", "minAvailable"])) {
        (Some(most), _) => (expected - share(most, expected)).max(0),
        (None, Some(least)) => share(least, expected),
        (None, None) => 0,
    };
    let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
    let mut status = budget.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    let generation = int(budget, &["metadata", "generation"]);
    for (key, number) in [
        ("currentHealthy", healthy),
        ("desiredHealthy", desired),
        ("disruptionsAllowed", allowed),
        ("expectedPods", expected),
        ("observedGeneration", generation),
    ] {
        status.set_at(&[key], number.into());
    }
    let (state, reason) =
        if allowed > 0 { ("True", "SufficientPods") } else { ("False", "InsufficientPods") };
    let mut new = Condition { kind: "DisruptionAllowed", status: state, reason, message: "" }.to_value(now);
    new.set_at(&["message"], "".into());
    new.set_at(&["observedGeneration"], generation.into());
    let current = condition(status.list_at(&["conditions"]), "DisruptionAllowed");
    if let Some(current) = current.filter(|current| current.str_at(&["status"]) == Some(state))
        && let Some(time) = current.get("lastTransitionTime").cloned()
    {
        new.set_at(&["lastTransitionTime"], time);
    }
    status.set_at(&["conditions"], Value::List(vec![new]));
    status
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn allowed(spec: &str, n_ready: usize, n_pods: usize) -> (i64, i64) {
        let budget = format!(r#"{{"metadata":{{"generation":1}},"spec":{spec}}}"#);
        let budget = Value::from_json(budget.as_bytes()).unwrap();
        let pod = |index: usize| {
            let ready = if index < n_ready { "True" } else { "False" };
            let text = format!(
                r#"{{"metadata":{{"labels":{{"app":"a"}}}},"status":{{"conditions":[{{"type":"Ready","status":"{ready}"}}]}}}}"#
            );
            Arc::new(Value::from_json(text.as_bytes()).unwrap())
        };
        let pods: Vec<Arc<Value>> = (0..n_pods).map(pod).collect();
        let steps = reconcile(&budget, &pods, Timestamp::UNIX_EPOCH);
        let Step::Update { object, .. } = &steps[0] else { panic!("not an update") };
        (int(object, &["status", "disruptionsAllowed"]), int(object, &["status", "desiredHealthy"]))
    }

    #[test]
    fn what_may_go_follows_from_what_must_stay() {
        let selector = r#""selector":{"matchLabels":{"app":"a"}}"#;
        assert_eq!(allowed(&format!(r#"{{"minAvailable":1,{selector}}}"#), 3, 3), (2, 1));
        assert_eq!(allowed(&format!(r#"{{"minAvailable":"50%",{selector}}}"#), 3, 3), (1, 2));
        assert_eq!(allowed(&format!(r#"{{"maxUnavailable":1,{selector}}}"#), 2, 3), (0, 2));
        assert_eq!(allowed(r#"{"minAvailable":1,"selector":{"matchLabels":{"app":"b"}}}"#, 3, 3), (0, 1));
    }
}
