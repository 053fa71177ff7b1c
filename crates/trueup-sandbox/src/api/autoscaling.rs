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
const CARRIED: [(&str, [&str; 2]); 2] =
    [(BEHAVIOR, ["spec", "behavior"]), (CONDITIONS, ["status", "conditions"])];

/// Where v1 has the measure of the processor, and v2 all measures.
const CURRENT_PERCENT: [&str; 2] = ["status", "currentCPUUtilizationPercentage"];
const CURRENT: [&str; 2] = ["status", "currentMetrics"];

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
    let current = object.remove_at(&CURRENT);
    show_current(object, current.as_ref().and_then(Value::as_list).unwrap_or_default());
    if object.at(&["status", "currentReplicas"]).is_none() {
        object.set_at(&["status", "currentReplicas"], 0.into());
    }
}

/// The measured percentage of a metric that v1 has its own field for.
fn current_percent(metric: &Value) -> Option<i64> {
    let is_cpu =
        metric.str_at(&["type"]) == Some("Resource") && metric.str_at(&["resource", "name"]) == Some("cpu");
    metric.int_at(&["resource", "current", "averageUtilization"]).filter(|_| is_cpu)
}

/// The measure of the processor in v2.
fn measured(percent: i64) -> Value {
    let mut metric = Value::Map(Map::new());
    metric.set_at(&["type"], "Resource".into());
    metric.set_at(&["resource", "name"], "cpu".into());
    metric.set_at(&["resource", "current", "averageUtilization"], percent.into());
    metric
}

/// Writes measures as v1 shows them: that of the processor in its field, and all in the annotation, in the server's own form
/// and order.
fn show_current(object: &mut Value, metrics: &[Value]) {
    object.remove_at(&CURRENT_PERCENT);
    take(object, CURRENT_METRICS);
    if let Some(percent) = metrics.iter().find_map(current_percent) {
        object.set_at(&CURRENT_PERCENT, percent.into());
    }
    let shown = |metric: &Value| match current_percent(metric) {
        Some(percent) => format!(
            "{{\"type\":\"Resource\",\"resource\":{{\"name\":\"cpu\",\"currentAverageUtilization\":{percent},\"currentAverageValue\":\"0\"}}}}"
        ),
        None => metric.to_json(),
    };
    let shown: Vec<String> = metrics.iter().map(shown).collect();
    if !shown.is_empty() {
        let text = format!("[{}]", shown.join(","));
        object.set_at(&["metadata", "annotations", CURRENT_METRICS], text.into());
    }
}

/// The measures of an object in v1: what the annotation has, else the field.
fn current_metrics(object: &mut Value) -> Option<Vec<Value>> {
    let given = object.remove_at(&CURRENT_PERCENT).and_then(|value| value.as_int());
    match take(object, CURRENT_METRICS) {
        Some(Value::List(items)) => Some(items.into_iter().map(in_v2).collect()),
        Some(_) | None => given.map(|percent| vec![measured(percent)]),
    }
}

fn in_v2(metric: Value) -> Value {
    match metric.int_at(&["resource", "currentAverageUtilization"]) {
        Some(percent) if metric.str_at(&["resource", "name"]) == Some("cpu") => measured(percent),
        Some(_) | None => metric,
    }
}

/// Takes an object in v1 through the server's internal type: the annotation and the field of its measures become one.
pub fn settle_v1(object: &mut Value) {
    let metrics = current_metrics(object).unwrap_or_default();
    show_current(object, &metrics);
}

/// The annotation of measures follows the status that an object in v1 keeps.
pub fn follow_status_v1(object: &mut Value, before: Option<&Value>) {
    let annotation = ["metadata", "annotations", CURRENT_METRICS];
    match before.and_then(|before| before.at(&annotation)).cloned() {
        Some(text) => object.set_at(&annotation, text),
        None => {
            take(object, CURRENT_METRICS);
        }
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
    if let Some(metrics) = current_metrics(object) {
        object.set_at(&CURRENT, Value::List(metrics));
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
