//! Horizontal pod autoscalers in their two versions: v1 knows one metric, v2 any number and more.
//!
//! What v1 has no field for travels in annotations of the server's names, so that writing through v1 loses nothing. Unlike
//! the real server's they hold v2's own form.

use trueup_object::{Map, Value};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";
const CONDITIONS: &str = "autoscaling.alpha.kubernetes.io/conditions";
const CURRENT_METRICS: &str = "autoscaling.alpha.kubernetes.io/current-metrics";

/// Where v2 has what an annotation of v1 carries.
const CARRIED: [(&str, [&str; 2]); 3] = [
    (BEHAVIOR, ["spec", "behavior"]),
    (CONDITIONS, ["status", "conditions"]),
    (CURRENT_METRICS, ["status", "currentMetrics"]),
];

/// What v1 means by giving no target.
const CPU_PERCENT: i64 = 80;

/// The percentage of a metric that v1 has its own field for.
fn cpu_percent(metric: &Value) -> Option<i64> {
    let is_cpu =
        metric.str_at(&["type"]) == Some("Resource") && metric.str_at(&["resource", "name"]) == Some("cpu");
    metric.int_at(&["resource", "target", "averageUtilization"]).filter(|_| is_cpu)
}

/// From v2 to v1.
pub fn to_v1(object: &mut Value) {
    let metrics = object.list_at(&["spec", "metrics"]).to_vec();
    let percent = metrics.iter().find_map(cpu_percent);
    let others: Vec<Value> = metrics.into_iter().filter(|metric| cpu_percent(metric).is_none()).collect();
    object.remove_at(&["spec", "metrics"]);
    if let Some(percent) = percent {
        object.set_at(&["spec", "targetCPUUtilizationPercentage"], percent.into());
    }
    if !others.is_empty() {
        annotate(object, METRICS, &Value::List(others));
    }
    for (annotation, path) in CARRIED {
        if let Some(value) = object.remove_at(&path).filter(|value| !value.is_null()) {
            annotate(object, annotation, &value);
        }
    }
    if object.at(&["status", "currentReplicas"]).is_none() {
        object.set_at(&["status", "currentReplicas"], 0.into());
    }
}

/// From v1 to v2.
pub fn to_v2(object: &mut Value) {
    let mut metrics = match take(object, METRICS) {
        Some(Value::List(others)) => others,
        Some(_) | None => Vec::new(),
    };
    let given =
        object.remove_at(&["spec", "targetCPUUtilizationPercentage"]).and_then(|value| value.as_int());
    if let Some(percent) = given.or_else(|| metrics.is_empty().then_some(CPU_PERCENT)) {
        let mut metric = Value::Map(Map::new());
        metric.set_at(&["type"], "Resource".into());
        metric.set_at(&["resource", "name"], "cpu".into());
        metric.set_at(&["resource", "target", "type"], "Utilization".into());
        metric.set_at(&["resource", "target", "averageUtilization"], percent.into());
        metrics.push(metric);
    }
    object.set_at(&["spec", "metrics"], Value::List(metrics));
    if let Some(status) = object.get_mut("status").and_then(Value::as_map_mut) {
        if status.get("currentReplicas").and_then(Value::as_int) == Some(0) {
            status.remove("currentReplicas");
        }
        status.entry_or_null("currentMetrics");
    }
    for (annotation, path) in CARRIED {
        if let Some(value) = take(object, annotation) {
            object.set_at(&path, value);
        }
    }
}

fn annotate(object: &mut Value, annotation: &str, value: &Value) {
    object.set_at(&["metadata", "annotations", annotation], value.to_json().into());
}

/// Takes an annotation away and reads it; annotations that are then empty go too.
fn take(object: &mut Value, annotation: &str) -> Option<Value> {
    let text = object.remove_at(&["metadata", "annotations", annotation])?;
    if object.at(&["metadata", "annotations"]).and_then(Value::as_map).is_some_and(Map::is_empty) {
        object.remove_at(&["metadata", "annotations"]);
    }
    Value::from_json(text.as_str()?.as_bytes()).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const V2: &str = r#"{"metadata":{"name":"h"},"spec":{"behavior":{"scaleDown":{"selectPolicy":"Min"}},
        "maxReplicas":5,"metrics":[
            {"pods":{"metric":{"name":"m"},"target":{"averageValue":"1","type":"AverageValue"}},"type":"Pods"},
            {"resource":{"name":"cpu","target":{"averageUtilization":70,"type":"Utilization"}},"type":"Resource"}]},
        "status":{"conditions":[{"type":"AbleToScale"}],"currentMetrics":null,"desiredReplicas":0}}"#;

    #[test]
    fn nothing_is_lost_on_the_way_through_v1() {
        let object = Value::from_json(V2.as_bytes()).unwrap();
        let mut converted = object.clone();
        to_v1(&mut converted);
        assert_eq!(converted.int_at(&["spec", "targetCPUUtilizationPercentage"]), Some(70));
        assert!(converted.at(&["spec", "metrics"]).is_none());
        to_v2(&mut converted);
        assert_eq!(converted.to_json(), object.to_json());
    }

    #[test]
    fn v1_without_a_target_means_the_default() {
        let mut object =
            Value::from_json(br#"{"spec":{"maxReplicas":3},"status":{"currentReplicas":0}}"#).unwrap();
        to_v2(&mut object);
        assert_eq!(cpu_percent(&object.list_at(&["spec", "metrics"])[0]), Some(80));
        assert!(object.at(&["status", "currentReplicas"]).is_none());
    }
}
