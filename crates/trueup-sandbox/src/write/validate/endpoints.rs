//! Endpoints and EndpointSlices.

use std::collections::BTreeSet;
use std::net::IpAddr;

use trueup_object::Value;

use super::names::{dns_label, dns_subdomain, qualified_name};
use super::{Report, join};

const PROTOCOLS: [&str; 3] = ["SCTP", "TCP", "UDP"];

pub fn endpoints(report: &mut Report, object: &Value) {
    for (index, subset) in object.list_at(&["subsets"]).iter().enumerate() {
        let path = format!("subsets[{index}]");
        if subset.list_at(&["addresses"]).is_empty() && subset.list_at(&["notReadyAddresses"]).is_empty() {
            report.required(&path, "must specify `addresses` or `notReadyAddresses`");
        }
        for list in ["addresses", "notReadyAddresses"] {
            for (number, address) in subset.list_at(&[list]).iter().enumerate() {
                let path = format!("{path}.{list}[{number}]");
                let field = join(&path, "ip");
                let ip = address.str_at(&["ip"]).unwrap_or_default();
                // The server asks twice whether it is an address at all.
                if !report.address(&field, ip) {
                    report.invalid(&field, ip, "must be a valid IP address");
                }
                report.named(address, &path, "hostname", dns_label);
                report.named(address, &path, "nodeName", dns_subdomain);
                report.endpoint_address(&field, ip);
            }
        }
        let ports = subset.list_at(&["ports"]);
        for (number, port) in ports.iter().enumerate() {
            let path = format!("{path}.ports[{number}]");
            match port.str_at(&["name"]).filter(|name| !name.is_empty()) {
                None if ports.len() > 1 => report.required(&join(&path, "name"), ""),
                None => {}
                Some(name) => report.wrong(&join(&path, "name"), name, dns_label(name)),
            }
            report.port_number(&join(&path, "port"), port.int_at(&["port"]).unwrap_or_default());
            report.one_of(port, &path, "protocol", &PROTOCOLS);
            report.named(port, &path, "appProtocol", qualified_name);
        }
    }
}

pub fn endpoint_slice(report: &mut Report, object: &Value, live: Option<&Value>) {
    let kind = object.str_at(&["addressType"]).unwrap_or_default();
    report.one_of(object, "", "addressType", &["FQDN", "IPv4", "IPv6"]);
    // Addresses are judged by their type, which may not change.
    if live.is_some_and(|live| live.get("addressType") != object.get("addressType")) {
        return;
    }
    for (index, endpoint) in object.list_at(&["endpoints"]).iter().enumerate() {
        let path = format!("endpoints[{index}]");
        let addresses = endpoint.list_at(&["addresses"]);
        if addresses.is_empty() {
            report.required(&join(&path, "addresses"), "must contain at least 1 address");
        }
        for (number, address) in addresses.iter().filter_map(Value::as_str).enumerate() {
            self::address(report, kind, address, &path, number);
        }
        report.named(endpoint, &path, "nodeName", dns_subdomain);
        report.named(endpoint, &path, "hostname", dns_label);
    }
    let mut names = BTreeSet::new();
    for (index, port) in object.list_at(&["ports"]).iter().enumerate() {
        let path = format!("ports[{index}]");
        let name = port.str_at(&["name"]).unwrap_or_default();
        if !name.is_empty() {
            report.wrong(&join(&path, "name"), name, dns_label(name));
        }
        if !names.insert(name) {
            report.duplicate(&join(&path, "name"), name);
        }
        if port.get("protocol").is_none() {
            report.required(&join(&path, "protocol"), "");
        } else {
            report.protocol(port, &path, &PROTOCOLS);
        }
        report.named(port, &path, "appProtocol", qualified_name);
    }
}

fn address(report: &mut Report, kind: &str, text: &str, path: &str, number: usize) {
    let field = format!("{path}.addresses[{number}]");
    match kind {
        "FQDN" => report.wrong(&field, text, dns_subdomain(text)),
        "IPv4" | "IPv6" => {
            let wanted = if kind == "IPv4" { "must be an IPv4 address" } else { "must be an IPv6 address" };
            if !report.address(&field, text) {
                return;
            }
            let fits = text.parse::<IpAddr>().is_ok_and(|address| address.is_ipv4() == (kind == "IPv4"));
            if !fits {
                report.invalid(&join(path, "addresses"), text, wanted);
            }
            report.endpoint_address(&field, text);
        }
        _ => {}
    }
}
