//! Defaults of the horizontal pod autoscaler.

use trueup_object::{Map, Value};

use super::super::fields::{below, fill, is_unset, within};

/// What `metrics` is when nothing is given, in percent of the requested CPU.
const CPU_PERCENT: i64 = 80;

pub fn autoscaler(version: &str, object: &mut Value) {
    let spec = below(object, "spec");
    fill(spec, "minReplicas", 1);
    if version == "v1" {
        fill(spec, "targetCPUUtilizationPercentage", CPU_PERCENT);
        return;
    }
    if is_unset(spec, "metrics") {
        let mut metric = Value::Map(Map::new());
        metric.set_at(&["type"], "Resource".into());
        metric.set_at(&["resource", "name"], "cpu".into());
        metric.set_at(&["resource", "target", "type"], "Utilization".into());
        metric.set_at(&["resource", "target", "averageUtilization"], CPU_PERCENT.into());
        spec.set_at(&["metrics"], Value::List(vec![metric]));
    }
    within(spec, "behavior", |behavior| {
        rules(below(behavior, "scaleUp"), Some(0), &[("Pods", 4), ("Percent", 100)]);
        rules(below(behavior, "scaleDown"), None, &[("Percent", 100)]);
    });
}

fn rules(rules: &mut Value, window: Option<i64>, policies: &[(&str, i64)]) {
    if let Some(seconds) = window {
        fill(rules, "stabilizationWindowSeconds", seconds);
    }
    fill(rules, "selectPolicy", "Max");
    let listed = policies.iter().map(|(kind, amount)| {
        let mut policy = Value::Map(Map::new());
        policy.set_at(&["type"], (*kind).into());
        policy.set_at(&["value"], (*amount).into());
        policy.set_at(&["periodSeconds"], 15.into());
        policy
    });
    fill(rules, "policies", Value::List(listed.collect()));
}
