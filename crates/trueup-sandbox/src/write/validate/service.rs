//! Services.

use std::collections::BTreeSet;

use trueup_object::Value;

use super::super::strategy::is_headless;
use super::names::{dns_label, dns_subdomain, qualified_name};
use super::{Report, join, metadata};

static NOTHING: Value = Value::Null;

pub fn service(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let kind = spec.str_at(&["type"]).unwrap_or_default();
    let ports = spec.list_at(&["ports"]);
    if ports.is_empty() && !is_headless(object) && kind != "ExternalName" {
        report.required("spec.ports", "");
    }
    by_type(report, object, spec, kind);
    service_ports(report, ports);
    if kind == "ClusterIP" {
        for (index, port) in ports.iter().enumerate() {
            if port.int_at(&["nodePort"]).is_some_and(|number| number != 0) {
                let field = format!("spec.ports[{index}].nodePort");
                report.forbidden(&field, "may not be used when `type` is 'ClusterIP'");
            }
        }
    }
    metadata::labels(report, spec, "spec.selector", "selector");
    report.one_of(spec, "spec", "sessionAffinity", &["ClientIP", "None"]);
    affinity_timeout(report, spec);
    for (index, address) in spec.list_at(&["externalIPs"]).iter().filter_map(Value::as_str).enumerate() {
        let field = format!("spec.externalIPs[{index}]");
        if report.address(&field, address) {
            report.endpoint_address(&field, address);
        }
    }
    report.one_of(spec, "spec", "type", &["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"]);
    balancer(report, spec, kind);
    traffic_policy(report, spec, kind);
    report.optional(spec, "spec", "internalTrafficPolicy", &["Cluster", "Local"]);
    report.optional(
        spec,
        "spec",
        "trafficDistribution",
        &["PreferClose", "PreferSameZone", "PreferSameNode"],
    );
}

/// What a service of a type needs, or cannot have.
fn by_type(report: &mut Report, object: &Value, spec: &Value, kind: &str) {
    match kind {
        "ExternalName" => {
            let has_addresses = !spec.list_at(&["clusterIPs"]).is_empty();
            if has_addresses {
                report.forbidden("spec.clusterIPs", "may not be set for ExternalName services");
            }
            let name = spec.str_at(&["externalName"]).unwrap_or_default();
            if name.is_empty() {
                report.required("spec.externalName", "");
            } else {
                report.wrong("spec.externalName", name, dns_subdomain(name.trim_end_matches('.')));
            }
        }
        "NodePort" | "LoadBalancer" if is_headless(object) => {
            let detail = format!("may not be set to 'None' for {kind} services");
            report.invalid("spec.clusterIPs[0]", "None", &detail);
        }
        _ => {}
    }
}

fn affinity_timeout(report: &mut Report, spec: &Value) {
    let path = "spec.sessionAffinityConfig";
    let config = spec.get("sessionAffinityConfig");
    match (spec.str_at(&["sessionAffinity"]), config) {
        (Some("ClientIP"), Some(config)) => {
            let seconds = config.int_at(&["clientIP", "timeoutSeconds"]).unwrap_or_default();
            if !(1..=86_400).contains(&seconds) {
                let detail = "must be greater than 0 and less than 86400";
                report.invalid(&join(path, "clientIP.timeoutSeconds"), seconds, detail);
            }
        }
        (Some("None"), Some(_)) => {
            report.forbidden(path, "must not be set when session affinity is None");
        }
        _ => {}
    }
}

fn balancer(report: &mut Report, spec: &Value, kind: &str) {
    let is_balancer = kind == "LoadBalancer";
    let ranges = spec.list_at(&["loadBalancerSourceRanges"]);
    // The server names this field with a great letter.
    let field = "spec.LoadBalancerSourceRanges";
    if !ranges.is_empty() && !is_balancer {
        report.forbidden(field, "may only be used when `type` is 'LoadBalancer'");
    } else {
        for (index, range) in ranges.iter().filter_map(Value::as_str).enumerate() {
            report.cidr(&format!("{field}[{index}]"), range.trim());
        }
    }
    if spec.get("allocateLoadBalancerNodePorts").is_some() && !is_balancer {
        report.forbidden(
            "spec.allocateLoadBalancerNodePorts",
            "may only be used when `type` is 'LoadBalancer'",
        );
    }
    match spec.str_at(&["loadBalancerClass"]) {
        Some(_) if !is_balancer => {
            report.forbidden("spec.loadBalancerClass", "may only be used when `type` is 'LoadBalancer'");
        }
        Some(class) => report.wrong("spec.loadBalancerClass", class, qualified_name(class)),
        None => {}
    }
}

/// Traffic from outside has a policy only where there is any.
fn traffic_policy(report: &mut Report, spec: &Value, kind: &str) {
    let external_ips = kind == "ClusterIP" && !spec.list_at(&["externalIPs"]).is_empty();
    let is_external = external_ips || matches!(kind, "NodePort" | "LoadBalancer");
    let local = kind == "LoadBalancer" && spec.str_at(&["externalTrafficPolicy"]) == Some("Local");
    if let Some(port) = spec.int_at(&["healthCheckNodePort"]).filter(|port| *port != 0 && !local) {
        report.invalid(
            "spec.healthCheckNodePort",
            port,
            "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        );
    }
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
        report.port(&join(&path, "targetPort"), port.get("targetPort").unwrap_or(&NOTHING));
        report.named(port, &path, "appProtocol", qualified_name);
        let key = (number, port.str_at(&["protocol"]));
        if seen.contains(&key) {
            // As the server's own type has it, with nothing else in it.
            let mut value = Value::default();
            value.set_at(&["Name"], "".into());
            value.set_at(&["Protocol"], key.1.unwrap_or_default().into());
            value.set_at(&["AppProtocol"], Value::Null);
            value.set_at(&["Port"], number.unwrap_or_default().into());
            value.set_at(&["TargetPort"], 0.into());
            value.set_at(&["NodePort"], 0.into());
            report.duplicate(&path, value);
        }
        seen.push(key);
    }
}
