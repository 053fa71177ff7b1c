//! Services.

use std::collections::BTreeSet;

use trueup_object::Value;

use super::super::strategy::is_headless;
use super::names::{dns_label, dns_subdomain, qualified_name};
use super::{Report, join, metadata};

static NOTHING: Value = Value::Null;

pub fn service(report: &mut Report, object: &Value, live: Option<&Value>) {
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
    addresses(report, spec, live.is_none());
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

/// Addresses and their families: this cluster has IPv4 alone, as the API server has it by default.
fn addresses(report: &mut Report, spec: &Value, is_new: bool) {
    let families = spec.list_at(&["ipFamilies"]);
    for (index, family) in families.iter().filter_map(Value::as_str).enumerate() {
        let field = format!("spec.ipFamilies[{index}]");
        report.supported(&field, family, &["IPv4", "IPv6"]);
        if families.iter().take(index).any(|other| other.as_str() == Some(family)) {
            report.duplicate(&field, family);
        }
    }
    let listed: Vec<&str> = spec.list_at(&["clusterIPs"]).iter().filter_map(Value::as_str).collect();
    let of_family = |v6: bool| listed.iter().filter(|address| address.contains(':') == v6).count();
    if !listed.contains(&"None") && (of_family(false) > 1 || of_family(true) > 1) {
        let given = Value::List(spec.list_at(&["clusterIPs"]).to_vec());
        report.invalid("spec.clusterIPs", given, "may specify no more than one IP for each IP family");
    }
    if families.len() == 2
        && families.first() != families.get(1)
        && families.iter().all(|family| matches!(family.as_str(), Some("IPv4" | "IPv6")))
        && spec.str_at(&["ipFamilyPolicy"]) == Some("SingleStack")
    {
        let detail =
            "must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified";
        report.invalid("spec.ipFamilyPolicy", "SingleStack", detail);
    }
    report.optional(spec, "spec", "ipFamilyPolicy", &["PreferDualStack", "RequireDualStack", "SingleStack"]);
    let listed = spec.list_at(&["clusterIPs"]);
    if listed.first().is_some_and(|first| first.as_str() != spec.str_at(&["clusterIP"])) {
        report.invalid("spec.clusterIPs", Value::List(listed.to_vec()), "first value must match `clusterIP`");
    }
    for (index, address) in listed.iter().filter_map(Value::as_str).enumerate() {
        if address == "None" {
            continue;
        }
        let field = format!("spec.clusterIPs[{index}]");
        if !report.address(&field, address) {
            continue;
        }
        let is_v6 = address.contains(':');
        let wanted = families.get(index).and_then(Value::as_str).unwrap_or_default();
        // A new service has its address chosen after this.
        if (wanted == "IPv6") != is_v6 && !wanted.is_empty() && !is_new {
            let detail = format!("expected an {wanted} value as indicated by `ipFamilies[{index}]`");
            report.invalid(&field, address, &detail);
        }
    }
}

/// What families of addresses a cluster of one family refuses, once everything else is as it should be.
pub fn families(report: &mut Report, object: &Value, live: Option<&Value>) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if spec.str_at(&["type"]) == Some("ExternalName") {
        return;
    }
    let selects = spec.get("selector").and_then(Value::as_map).is_some_and(|map| !map.is_empty());
    let alone = is_headless(object) && !selects;
    if alone {
        return;
    }
    let policy = spec.str_at(&["ipFamilyPolicy"]);
    let same = live.and_then(|live| live.str_at(&["spec", "ipFamilyPolicy"])) == policy;
    if policy == Some("RequireDualStack") && !same {
        let detail = "this cluster is not configured for dual-stack services";
        report.invalid("spec.ipFamilyPolicy", "RequireDualStack", detail);
    }
    for (index, family) in spec.list_at(&["ipFamilies"]).iter().filter_map(Value::as_str).enumerate() {
        if family == "IPv6" {
            let field = format!("spec.ipFamilies[{index}]");
            report.invalid(&field, family, "not configured on this cluster");
        }
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
