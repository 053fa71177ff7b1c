//! Ingresses and their classes, network policies.

use std::net::IpAddr;

use trueup_object::Value;

use super::names::{dns_label, dns_subdomain, domain_prefixed_path, path_segment, wildcard_subdomain};
use super::parts::Cidr;
use super::{Report, join};

static NOTHING: Value = Value::Null;

pub fn ingress(report: &mut Report, object: &Value, live: Option<&Value>) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let rules = spec.list_at(&["rules"]);
    if rules.is_empty() && spec.get("defaultBackend").is_none() {
        report.invalid("spec", Value::Null, "either `defaultBackend` or `rules` must be specified");
    }
    for (index, tls) in spec.list_at(&["tls"]).iter().enumerate() {
        let path = format!("spec.tls[{index}]");
        for (number, host) in tls.list_at(&["hosts"]).iter().filter_map(Value::as_str).enumerate() {
            report.wrong(&format!("{path}.hosts[{number}]"), host, host_name(host));
        }
        report.named(tls, &path, "secretName", dns_subdomain);
    }
    for (index, rule) in rules.iter().enumerate() {
        ingress_rule(report, rule, &format!("spec.rules[{index}]"));
    }
    if let Some(backend) = spec.get("defaultBackend") {
        ingress_backend(report, backend, "spec.defaultBackend");
    }
    if let Some(class) = spec.str_at(&["ingressClassName"]) {
        report.wrong("spec.ingressClassName", class, dns_subdomain(class));
    }
    let older = ["metadata", "annotations", "kubernetes.io/ingress.class"];
    if let Some(class) = object.str_at(&older).filter(|_| live.is_none())
        && spec.str_at(&["ingressClassName"]).is_some_and(|name| name != class)
    {
        report.invalid(
            "annotations.kubernetes.io/ingress.class",
            class,
            "must match `ingressClassName` when both are specified",
        );
    }
}

fn host_name(host: &str) -> Vec<String> {
    if host.contains('*') { wildcard_subdomain(host) } else { dns_subdomain(host) }
}

fn ingress_rule(report: &mut Report, rule: &Value, path: &str) {
    if let Some(host) = rule.str_at(&["host"]).filter(|host| !host.is_empty()) {
        let field = join(path, "host");
        if host.parse::<IpAddr>().is_ok() {
            report.invalid(&field, host, "must be a DNS name, not an IP address");
        } else {
            report.wrong(&field, host, host_name(host));
        }
    }
    let Some(http) = rule.get("http") else { return };
    let paths = http.list_at(&["paths"]);
    if paths.is_empty() {
        report.required(&join(path, "http.paths"), "");
    }
    for (number, item) in paths.iter().enumerate() {
        let path = format!("{path}.http.paths[{number}]");
        ingress_path(report, item, &path);
        let backend = item.get("backend").unwrap_or(&NOTHING);
        ingress_backend(report, backend, &join(&path, "backend"));
    }
}

/// What a path may not hold, and what it may not end with.
const NOT_IN_PATHS: [&str; 6] = ["//", "/./", "/../", "%2f", "%2F", "#"];
const NOT_AT_END: [&str; 2] = ["/..", "/."];

fn ingress_path(report: &mut Report, item: &Value, path: &str) {
    let text = item.str_at(&["path"]).unwrap_or_default();
    let field = join(path, "path");
    match item.str_at(&["pathType"]) {
        None => report.required(&join(path, "pathType"), "pathType must be specified"),
        Some("Exact" | "Prefix") => {
            if !text.starts_with('/') {
                report.invalid(&field, text, "must be an absolute path");
            }
            if !text.is_empty() {
                for part in NOT_IN_PATHS.iter().filter(|part| text.contains(**part)) {
                    report.invalid(&field, text, &format!("must not contain '{part}'"));
                }
                for part in NOT_AT_END.iter().filter(|part| text.ends_with(**part)) {
                    report.invalid(&field, text, &format!("cannot end with '{part}'"));
                }
            }
        }
        Some("ImplementationSpecific") => {
            if !text.is_empty() && !text.starts_with('/') {
                report.invalid(&field, text, "must be an absolute path");
            }
        }
        Some(other) => {
            let field = join(path, "pathType");
            report.supported(&field, other, &["Exact", "ImplementationSpecific", "Prefix"]);
        }
    }
}

/// A backend that is another object of the namespace.
fn referred(report: &mut Report, resource: &Value, path: &str) {
    if let Some(group) = resource.str_at(&["apiGroup"]) {
        report.wrong(&join(path, "apiGroup"), group, dns_subdomain(group));
    }
    for key in ["kind", "name"] {
        report.text(resource, path, key);
        if let Some(text) = resource.str_at(&[key]).filter(|text| !text.is_empty()) {
            report.wrong(&join(path, key), text, path_segment(text));
        }
    }
}

fn ingress_backend(report: &mut Report, backend: &Value, path: &str) {
    let service = backend.get("service");
    if let Some(resource) = backend.get("resource") {
        if service.is_some() {
            return report.invalid(path, "", "cannot set both resource and service backends");
        }
        return referred(report, resource, &join(path, "resource"));
    }
    let Some(service) = service else {
        return report.invalid(path, "", "resource or service backend is required");
    };
    if report.text(service, &join(path, "service"), "name") {
        let name = service.str_at(&["name"]).unwrap_or_default();
        report.wrong(&join(path, "service.name"), name, dns_label(name));
    }
    let name = service.str_at(&["port", "name"]).filter(|name| !name.is_empty());
    let number = service.int_at(&["port", "number"]).filter(|number| *number != 0);
    match (name, number) {
        (Some(_), Some(_)) => report.invalid(path, "", "cannot set both port name & port number"),
        (Some(name), None) => {
            report.wrong(&join(path, "service.port.name"), name, super::names::port_name(name));
        }
        (None, Some(number)) => report.port_number(&join(path, "service.port.number"), number),
        (None, None) => report.required(path, "port name or number is required"),
    }
}

pub fn ingress_class(report: &mut Report, object: &Value, live: Option<&Value>) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if let Some(live) = live {
        report.unchanged(object, live, &["spec", "controller"]);
    }
    let controller = spec.str_at(&["controller"]).unwrap_or_default();
    if controller.is_empty() {
        report.required("spec.controller", "");
    } else {
        let shown = controller.split_once('/').map_or(controller, |(host, _)| host);
        report.wrong("spec.controller", shown, domain_prefixed_path(controller));
    }
    let Some(parameters) = spec.get("parameters") else { return };
    let path = "spec.parameters";
    report.named(parameters, path, "apiGroup", dns_subdomain);
    for key in ["kind", "name"] {
        if report.text(parameters, path, key) {
            let text = parameters.str_at(&[key]).unwrap_or_default();
            report.wrong(&join(path, key), text, path_segment(text));
        }
    }
    let has_namespace = parameters.str_at(&["namespace"]).is_some();
    match parameters.str_at(&["scope"]) {
        None => report.required(&join(path, "scope"), ""),
        Some("Namespace") if !has_namespace => {
            report.required(&join(path, "namespace"), "`parameters.scope` is set to 'Namespace'");
        }
        Some("Cluster") if has_namespace => {
            report.forbidden(&join(path, "namespace"), "`parameters.scope` is set to 'Cluster'");
        }
        Some(scope) => report.supported(&join(path, "scope"), scope, &["Cluster", "Namespace"]),
    }
}

pub fn network_policy(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if let Some(selector) = spec.get("podSelector") {
        report.label_selector(selector, "spec.podSelector");
    }
    for (list, peers) in [("ingress", "from"), ("egress", "to")] {
        for (index, rule) in spec.list_at(&[list]).iter().enumerate() {
            let path = format!("spec.{list}[{index}]");
            for (number, port) in rule.list_at(&["ports"]).iter().enumerate() {
                policy_port(report, port, &format!("{path}.ports[{number}]"));
            }
            for (number, peer) in rule.list_at(&[peers]).iter().enumerate() {
                policy_peer(report, peer, &format!("{path}.{peers}[{number}]"));
            }
        }
    }
    let types = spec.list_at(&["policyTypes"]);
    if types.len() > 2 {
        let detail = "may not specify more than two policyTypes";
        return report.invalid("spec.policyTypes", Value::List(types.to_vec()), detail);
    }
    for (index, kind) in types.iter().filter_map(Value::as_str).enumerate() {
        report.supported(&format!("spec.policyTypes[{index}]"), kind, &["Ingress", "Egress"]);
    }
}

fn policy_port(report: &mut Report, port: &Value, path: &str) {
    if port.get("protocol").is_some() {
        report.protocol(port, path, &["TCP", "UDP", "SCTP"]);
    }
    let end = port.int_at(&["endPort"]);
    let field = join(path, "endPort");
    match port.get("port") {
        Some(Value::Int(number)) => {
            report.port_number(&join(path, "port"), *number);
            if let Some(end) = end {
                if end < *number {
                    report.invalid(&field, *number, "must be greater than or equal to `port`");
                }
                report.port_number(&field, end);
            }
        }
        Some(name) => {
            if let Some(end) = end {
                report.invalid(&field, end, "may not be specified when `port` is non-numeric");
            }
            report.port(&join(path, "port"), name);
        }
        None => {
            if let Some(end) = end {
                report.invalid(&field, end, "may not be specified when `port` is not specified");
            }
        }
    }
}

fn policy_peer(report: &mut Report, peer: &Value, path: &str) {
    let mut n_peers = 0;
    for key in ["podSelector", "namespaceSelector"] {
        if let Some(selector) = peer.get(key) {
            n_peers += 1;
            report.label_selector(selector, &join(path, key));
        }
    }
    if let Some(block) = peer.get("ipBlock") {
        n_peers += 1;
        let path = join(path, "ipBlock");
        let text = block.str_at(&["cidr"]).unwrap_or_default();
        if text.is_empty() {
            report.required(&join(&path, "cidr"), "");
        } else if let Some(whole) = report.cidr(&join(&path, "cidr"), text) {
            for (index, except) in block.list_at(&["except"]).iter().filter_map(Value::as_str).enumerate() {
                let field = format!("{path}.except[{index}]");
                let Some(part) = report.cidr(&field, except) else { continue };
                if !Cidr::is_strictly_within(part, whole) {
                    report.invalid(&field, except, "must be a strict subset of `cidr`");
                }
            }
        }
    }
    if n_peers == 0 {
        report.required(path, "must specify a peer");
    } else if n_peers > 1 && peer.get("ipBlock").is_some() {
        report.forbidden(path, "may not specify both ipBlock and another peer");
    }
}
