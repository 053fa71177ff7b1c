//! Where pods may run: tolerations, affinity, spreading.

use trueup_object::Value;

use super::names::{dns_subdomain, label_value, qualified_name};
use super::{Report, join};

static NOTHING: Value = Value::Null;

pub fn tolerations(report: &mut Report, spec: &Value, path: &str) {
    for (index, toleration) in spec.list_at(&["tolerations"]).iter().enumerate() {
        let path = format!("{path}.tolerations[{index}]");
        let part = |key: &str| toleration.str_at(&[key]).unwrap_or_default();
        let field = join(&path, "operator");
        if !part("key").is_empty() {
            report.wrong(&join(&path, "key"), part("key"), qualified_name(part("key")));
        } else if part("operator") != "Exists" {
            report.invalid(
                &field,
                part("operator"),
                "operator must be Exists when `key` is empty, which means \"match all values and all keys\"",
            );
        }
        let effect = join(&path, "effect");
        if toleration.get("tolerationSeconds").is_some() && part("effect") != "NoExecute" {
            let detail = "effect must be 'NoExecute' when `tolerationSeconds` is set";
            report.invalid(&effect, part("effect"), detail);
        }
        match part("operator") {
            "Equal" | "" => {
                let wrong = label_value(part("value"));
                if !wrong.is_empty() {
                    report.invalid(&field, part("value"), &wrong.join(";"));
                }
            }
            "Exists" if !part("value").is_empty() => {
                report.invalid(&field, part("value"), "value must be empty when `operator` is 'Exists'");
            }
            "Exists" => {}
            other => report.supported(&field, other, &["Equal", "Exists"]),
        }
        if !part("effect").is_empty() {
            report.supported(&effect, part("effect"), &["NoSchedule", "PreferNoSchedule", "NoExecute"]);
        }
    }
}

/// Terms of which one must fit a node.
pub fn node_selector(report: &mut Report, selector: &Value, path: &str) {
    let path = join(path, "nodeSelectorTerms");
    let terms = selector.list_at(&["nodeSelectorTerms"]);
    if terms.is_empty() {
        return report.required(&path, "must have at least one node selector term");
    }
    for (index, term) in terms.iter().enumerate() {
        node_term(report, term, &format!("{path}[{index}]"));
    }
}

fn node_term(report: &mut Report, term: &Value, path: &str) {
    for (index, expression) in term.list_at(&["matchExpressions"]).iter().enumerate() {
        let path = format!("{path}.matchExpressions[{index}]");
        let values = expression.list_at(&["values"]);
        let field = join(&path, "values");
        match expression.str_at(&["operator"]).unwrap_or_default() {
            "In" | "NotIn" if values.is_empty() => {
                report.required(&field, "must be specified when `operator` is 'In' or 'NotIn'");
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                report
                    .forbidden(&field, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'");
            }
            "Gt" | "Lt" if values.len() != 1 => {
                report.required(&field, "must be specified single value when `operator` is 'Lt' or 'Gt'");
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" | "Gt" | "Lt" => {}
            other => report.invalid(&join(&path, "operator"), other, "not a valid selector operator"),
        }
        let key = expression.str_at(&["key"]).unwrap_or_default();
        report.wrong(&join(&path, "key"), key, qualified_name(key));
        for (number, value) in values.iter().filter_map(Value::as_str).enumerate() {
            report.wrong(&format!("{field}[{number}]"), value, label_value(value));
        }
    }
    for (index, expression) in term.list_at(&["matchFields"]).iter().enumerate() {
        let path = format!("{path}.matchFields[{index}]");
        let key = expression.str_at(&["key"]).unwrap_or_default();
        if key != "metadata.name" {
            report.invalid(&join(&path, "key"), key, "not a valid field selector key");
        }
        for (number, value) in expression.list_at(&["values"]).iter().filter_map(Value::as_str).enumerate() {
            report.wrong(&format!("{path}.values[{number}]"), value, dns_subdomain(value));
        }
    }
}

const REQUIRED: &str = "requiredDuringSchedulingIgnoredDuringExecution";
const PREFERRED: &str = "preferredDuringSchedulingIgnoredDuringExecution";

pub fn affinity(report: &mut Report, affinity: &Value, path: &str) {
    if let Some(node) = affinity.get("nodeAffinity") {
        let path = join(path, "nodeAffinity");
        if let Some(required) = node.get(REQUIRED) {
            node_selector(report, required, &join(&path, REQUIRED));
        }
        for (index, term) in node.list_at(&[PREFERRED]).iter().enumerate() {
            let path = format!("{path}.{PREFERRED}[{index}]");
            weight(report, term, &path);
            node_term(report, term.get("preference").unwrap_or(&NOTHING), &join(&path, "preference"));
        }
    }
    for key in ["podAffinity", "podAntiAffinity"] {
        let Some(pods) = affinity.get(key) else { continue };
        let path = join(path, key);
        for (index, term) in pods.list_at(&[REQUIRED]).iter().enumerate() {
            pod_term(report, term, &format!("{path}.{REQUIRED}[{index}]"));
        }
        for (index, term) in pods.list_at(&[PREFERRED]).iter().enumerate() {
            let path = format!("{path}.{PREFERRED}[{index}]");
            weight(report, term, &path);
            let inner = term.get("podAffinityTerm").unwrap_or(&NOTHING);
            pod_term(report, inner, &join(&path, "podAffinityTerm"));
        }
    }
}

fn weight(report: &mut Report, term: &Value, path: &str) {
    let weight = term.int_at(&["weight"]).unwrap_or_default();
    if !(1..=100).contains(&weight) {
        report.invalid(&join(path, "weight"), weight, "must be in the range 1-100");
    }
}

fn pod_term(report: &mut Report, term: &Value, path: &str) {
    for key in ["labelSelector", "namespaceSelector"] {
        if let Some(selector) = term.get(key) {
            report.label_selector(selector, &join(path, key));
        }
    }
    let field = join(path, "topologyKey");
    let key = term.str_at(&["topologyKey"]).unwrap_or_default();
    if key.is_empty() {
        report.required(&field, "can not be empty");
    }
    report.wrong(&field, key, qualified_name(key));
}

pub fn spreading(report: &mut Report, spec: &Value, path: &str) {
    for (index, constraint) in spec.list_at(&["topologySpreadConstraints"]).iter().enumerate() {
        let path = format!("{path}.topologySpreadConstraints[{index}]");
        let skew = constraint.int_at(&["maxSkew"]).unwrap_or_default();
        if skew <= 0 {
            report.invalid(&join(&path, "maxSkew"), skew, "must be greater than zero");
        }
        let key = constraint.str_at(&["topologyKey"]).unwrap_or_default();
        if key.is_empty() {
            report.required(&join(&path, "topologyKey"), "can not be empty");
        } else {
            report.wrong(&join(&path, "topologyKey"), key, qualified_name(key));
        }
        let action = constraint.str_at(&["whenUnsatisfiable"]).unwrap_or_default();
        report.supported(&join(&path, "whenUnsatisfiable"), action, &["DoNotSchedule", "ScheduleAnyway"]);
        if let Some(domains) = constraint.int_at(&["minDomains"]) {
            let field = join(&path, "minDomains");
            if domains <= 0 {
                report.invalid(&field, domains, "must be greater than zero");
            }
            if action != "DoNotSchedule" {
                let detail =
                    format!("can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}");
                report.invalid(&field, domains, &detail);
            }
        }
        report.optional(constraint, &path, "nodeAffinityPolicy", &["Honor", "Ignore"]);
        report.optional(constraint, &path, "nodeTaintsPolicy", &["Honor", "Ignore"]);
        if let Some(selector) = constraint.get("labelSelector") {
            report.label_selector(selector, &join(&path, "labelSelector"));
        }
    }
}
