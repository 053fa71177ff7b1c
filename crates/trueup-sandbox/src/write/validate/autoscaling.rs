//! Horizontal pod autoscalers, by the rules of their second version.

use trueup_object::Value;

use super::names::path_segment;
use super::{Report, join};

static NOTHING: Value = Value::Null;

const STABILIZATION_SECONDS_MAX: i64 = 3600;
const PERIOD_SECONDS_MAX: i64 = 1800;

/// Where a metric is described, by its type and in the order in which the server looks at them.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];

pub fn autoscaler(report: &mut Report, object: &Value) {
    let version = object.str_at(&["apiVersion"]).unwrap_or_default();
    if version == "autoscaling/v1" {
        let mut newer = object.clone();
        crate::api::convert::autoscaler_to_v2(&mut newer);
        return second_version(report, &newer);
    }
    second_version(report, object);
}

fn second_version(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let least = spec.int_at(&["minReplicas"]).unwrap_or(1);
    let most = spec.int_at(&["maxReplicas"]).unwrap_or_default();
    if least < 1 {
        report.invalid("spec.minReplicas", least, "must be greater than or equal to 1");
    }
    if most == 0 {
        report.required("spec.maxReplicas", "must be set and greater than 0");
    } else if most < 0 {
        report.invalid("spec.maxReplicas", most, "must be greater than or equal to 1");
    }
    if most < least {
        report.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`");
    }
    reference(report, spec.get("scaleTargetRef").unwrap_or(&NOTHING), "spec.scaleTargetRef");
    let metrics = spec.list_at(&["metrics"]);
    for (index, metric) in metrics.iter().enumerate() {
        self::metric(report, metric, &format!("spec.metrics[{index}]"));
    }
    let from_outside = |metric: &Value| matches!(metric.str_at(&["type"]), Some("Object" | "External"));
    if least == 0 && !metrics.iter().any(from_outside) {
        report.forbidden(
            "spec.metrics",
            "must specify at least one Object or External metric to support scaling to zero replicas",
        );
    }
    for direction in ["scaleUp", "scaleDown"] {
        if let Some(rules) = spec.at(&["behavior", direction]) {
            scaling_rules(report, rules, &join("spec.behavior", direction));
        }
    }
}

fn reference(report: &mut Report, target: &Value, path: &str) {
    for key in ["kind", "name"] {
        if report.text(target, path, key) {
            let text = target.str_at(&[key]).unwrap_or_default();
            report.wrong(&join(path, key), text, path_segment(text));
        }
    }
    let version = target.str_at(&["apiVersion"]).unwrap_or_default();
    let core = matches!(target.str_at(&["kind"]), Some("ReplicationController" | "Service" | "Pod" | "Node"));
    if !version.contains('/') && !core {
        report.invalid(&join(path, "apiVersion"), version, "apiVersion must specify API group");
    }
}

fn metric(report: &mut Report, metric: &Value, path: &str) {
    let kind = metric.str_at(&["type"]).unwrap_or_default();
    let known = ["ContainerResource", "External", "Object", "Pods", "Resource"];
    if kind.is_empty() {
        report.required(&join(path, "type"), "must specify a metric source type");
    }
    report.supported(&join(path, "type"), kind, &known);
    let present: Vec<&str> =
        SOURCES.iter().map(|(_, key)| *key).filter(|key| metric.get(key).is_some()).collect();
    if let Some(first) = present.first() {
        source(report, metric.get(first).unwrap_or(&NOTHING), first, &join(path, first));
    }
    let expected = SOURCES.iter().find(|(name, _)| *name == kind).map(|(_, key)| *key);
    match expected {
        Some(key) if metric.get(key).is_none() => {
            report.required(&join(path, key), "must populate information for the given metric source");
        }
        Some(_) => {}
        None => report.supported(&join(path, "type"), kind, &known),
    }
    if present.len() > 1 {
        for extra in present.iter().filter(|key| Some(**key) != expected) {
            report.forbidden(&join(path, extra), "must populate the given metric source only");
        }
    }
}

fn source(report: &mut Report, source: &Value, kind: &str, path: &str) {
    let of_resource = matches!(kind, "resource" | "containerResource");
    if of_resource {
        if source.str_at(&["name"]).is_none_or(str::is_empty) {
            report.required(&join(path, "name"), "must specify a resource name");
        }
    } else {
        if kind == "object" {
            reference(
                report,
                source.get("describedObject").unwrap_or(&NOTHING),
                &join(path, "describedObject"),
            );
        }
        let name = source.str_at(&["metric", "name"]).unwrap_or_default();
        if name.is_empty() {
            report.required(&join(path, "metric.name"), "must specify a metric name");
        } else {
            report.wrong(&join(path, "metric.name"), name, path_segment(name));
        }
    }
    if kind == "containerResource" && source.str_at(&["container"]).is_none_or(str::is_empty) {
        report.required(&join(path, "container"), "must specify a container");
    }
    let path = join(path, "target");
    let target = source.get("target").unwrap_or(&NOTHING);
    self::target(report, target, &path);
    let has = |key: &str| target.get(key).is_some();
    match kind {
        "resource" | "containerResource" => {
            if !has("averageUtilization") && !has("averageValue") {
                report.required(
                    &join(&path, "averageUtilization"),
                    "must set either a target raw value or a target utilization",
                );
            }
            if has("averageUtilization") && has("averageValue") {
                report.forbidden(
                    &join(&path, "averageValue"),
                    "may not set both a target raw value and a target utilization",
                );
            }
        }
        "pods" if !has("averageValue") => {
            report.required(&join(&path, "averageValue"), "must specify a positive target averageValue");
        }
        "object" if !has("value") && !has("averageValue") => {
            report.required(&join(&path, "averageValue"), "must set either a target value or averageValue");
        }
        "external" if !has("value") && !has("averageValue") => report.required(
            &join(&path, "averageValue"),
            "must set either a target value for metric or a per-pod target",
        ),
        "external" if has("value") && has("averageValue") => report.forbidden(
            &join(&path, "value"),
            "may not set both a target value for metric and a per-pod target",
        ),
        _ => {}
    }
}

fn target(report: &mut Report, target: &Value, path: &str) {
    let kind = target.str_at(&["type"]).unwrap_or_default();
    if kind.is_empty() {
        report.required(&join(path, "type"), "must specify a metric target type");
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        report.invalid(&join(path, "type"), kind, "must be either Utilization, Value, or AverageValue");
    }
    for key in ["value", "averageValue"] {
        if let Some(value) = target.get(key) {
            report.positive(&join(path, key), value, "must be positive");
        }
    }
    if let Some(percent) = target.int_at(&["averageUtilization"]).filter(|percent| *percent < 1) {
        report.invalid(&join(path, "averageUtilization"), percent, "must be greater than 0");
    }
}

fn scaling_rules(report: &mut Report, rules: &Value, path: &str) {
    let field = join(path, "stabilizationWindowSeconds");
    match rules.int_at(&["stabilizationWindowSeconds"]) {
        Some(seconds) if seconds < 0 => {
            report.invalid(&field, seconds, "must be greater than or equal to zero");
        }
        Some(seconds) if seconds > STABILIZATION_SECONDS_MAX => {
            let detail = format!("must be less than or equal to {STABILIZATION_SECONDS_MAX}");
            report.invalid(&field, seconds, &detail);
        }
        Some(_) | None => {}
    }
    report.optional(rules, path, "selectPolicy", &["Disabled", "Max", "Min"]);
    let policies = rules.list_at(&["policies"]);
    if policies.is_empty() {
        report.required(&join(path, "policies"), "must specify at least one Policy");
    }
    for (index, policy) in policies.iter().enumerate() {
        let path = format!("{path}.policies[{index}]");
        report.supported(
            &join(&path, "type"),
            policy.str_at(&["type"]).unwrap_or_default(),
            &["Percent", "Pods"],
        );
        for key in ["value", "periodSeconds"] {
            let number = policy.int_at(&[key]).unwrap_or_default();
            if number <= 0 {
                report.invalid(&join(&path, key), number, "must be greater than zero");
            }
        }
        if let Some(seconds) = policy.int_at(&["periodSeconds"]).filter(|it| *it > PERIOD_SECONDS_MAX) {
            let detail = format!("must be less than or equal to {PERIOD_SECONDS_MAX}");
            report.invalid(&join(&path, "periodSeconds"), seconds, &detail);
        }
    }
    if let Some(tolerance) = rules.get("tolerance") {
        report.quantity(&join(path, "tolerance"), tolerance);
    }
}
