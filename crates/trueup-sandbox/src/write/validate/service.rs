//! Services and ingresses.

use std::collections::BTreeSet;

use trueup_object::Value;

use super::super::strategy::is_headless;
use super::names::dns_label;
use super::{Report, join, metadata};

static NOTHING: Value = Value::Null;

pub fn service(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let kind = spec.str_at(&["type"]).unwrap_or_default();
    let ports = spec.list_at(&["ports"]);
    if ports.is_empty() && !is_headless(object) && kind != "ExternalName" {
        report.required("spec.ports", "");
    }
    if kind == "ExternalName" && spec.str_at(&["externalName"]).is_none_or(str::is_empty) {
        report.invalid("spec.externalName", "", "a lowercase RFC 1123 subdomain must not be empty");
    }
    if is_headless(object) && matches!(kind, "NodePort" | "LoadBalancer") {
        let detail = format!("may not be set to 'None' for {kind} services");
        report.invalid("spec.clusterIPs[0]", "None", &detail);
    }
    service_ports(report, ports);
    metadata::labels(report, spec, "spec.selector", "selector");
    report.one_of(spec, "spec", "sessionAffinity", &["ClientIP", "None"]);
    traffic_policy(report, spec, kind);
    report.one_of(spec, "spec", "type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
}

/// Traffic from outside has a policy only where there is any.
fn traffic_policy(report: &mut Report, spec: &Value, kind: &str) {
    let external_ips = kind == "ClusterIP" && !spec.list_at(&["externalIPs"]).is_empty();
    let is_external = external_ips || matches!(kind, "NodePort" | "LoadBalancer");
    let Some(policy) = spec.str_at(&["externalTrafficPolicy"]) else { return };
    if !is_external {
        report.invalid(
            "spec.externalTrafficPolicy",
            policy,
            "may only be set for externally-accessible services",
        );
    } else {
        report.one_of(spec, "spec", "externalTrafficPolicy", &["Cluster", "Local"]);
    }
}

fn service_ports(report: &mut Report, ports: &[Value]) {
    let mut names = BTreeSet::new();
    let mut seen: Vec<(Option<i64>, Option<&str>)> = Vec::new();
    for (index, port) in ports.iter().enumerate() {
        let path = format!("spec.ports[{index}]");
        match port.str_at(&["name"]).filter(|name| !name.is_empty()) {
            None if ports.len() > 1 => report.required(&join(&path, "name"), ""),
            None => {}
            Some(name) => {
                for message in dns_label(name) {
                    report.invalid(&join(&path, "name"), name, &message);
                }
                if !names.insert(name) {
                    report.duplicate(&join(&path, "name"), name);
                }
            }
        }
        let number = port.int_at(&["port"]);
        if !number.is_some_and(|number| (1..=65_535).contains(&number)) {
            let value = number.unwrap_or_default();
            report.invalid(&join(&path, "port"), value, "must be between 1 and 65535, inclusive");
        }
        report.one_of(port, &path, "protocol", &["SCTP", "TCP", "UDP"]);
        target_port(report, port, &path);
        let key = (number, port.str_at(&["protocol"]));
        if seen.contains(&key) {
            let mut value = Value::default();
            value.set_at(&["port"], number.unwrap_or_default().into());
            value.set_at(&["protocol"], key.1.unwrap_or_default().into());
            report.duplicate(&path, value);
        }
        seen.push(key);
    }
}

fn target_port(report: &mut Report, port: &Value, path: &str) {
    match port.get("targetPort") {
        Some(Value::Int(number)) if !(1..=65_535).contains(number) => {
            report.invalid(&join(path, "targetPort"), *number, "must be between 1 and 65535, inclusive");
        }
        Some(Value::Str(name)) if name.len() > 15 => {
            report.invalid(&join(path, "targetPort"), name.as_str(), "must be no more than 15 characters");
        }
        Some(_) | None => {}
    }
}

pub fn ingress(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let rules = spec.list_at(&["rules"]);
    if rules.is_empty() && spec.get("defaultBackend").is_none() {
        report.invalid(
            "spec",
            Value::List(Vec::new()),
            "either `defaultBackend` or `rules` must be specified",
        );
    }
    for (index, rule) in rules.iter().enumerate() {
        for (number, path) in rule.list_at(&["http", "paths"]).iter().enumerate() {
            let at = format!("spec.rules[{index}].http.paths[{number}]");
            if path.str_at(&["pathType"]).is_none() {
                report.required(&join(&at, "pathType"), "pathType must be specified");
            }
            if path.get("backend").is_none() {
                report.required(&join(&at, "backend"), "");
            }
        }
    }
}
