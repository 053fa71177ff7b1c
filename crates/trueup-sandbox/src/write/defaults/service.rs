//! Defaults of services, endpoints and network policies.

use trueup_object::Value;

use super::super::fields::{below, each, fill, fill_text, is_unset, within};

/// How long a client sticks to an endpoint when only the kind of affinity is given: 3 hours.
const CLIENT_IP_SECONDS: i64 = 10_800;

pub fn service(object: &mut Value) {
    let spec = below(object, "spec");
    fill_text(spec, "sessionAffinity", "None");
    match spec.str_at(&["sessionAffinity"]) {
        Some("None") => {
            spec.remove_at(&["sessionAffinityConfig"]);
        }
        Some("ClientIP") => {
            let config = below(spec, "sessionAffinityConfig");
            fill(below(config, "clientIP"), "timeoutSeconds", CLIENT_IP_SECONDS);
        }
        Some(_) | None => {}
    }
    fill_text(spec, "type", "ClusterIP");
    each(spec, "ports", |port| {
        fill_text(port, "protocol", "TCP");
        let unset = match port.get("targetPort") {
            None | Some(Value::Null | Value::Int(0)) => true,
            Some(Value::Str(text)) => text.is_empty(),
            Some(_) => false,
        };
        if unset && let Some(number) = port.get("port").cloned() {
            port.set_at(&["targetPort"], number);
        }
    });
    let service_type = spec.str_at(&["type"]).unwrap_or_default().to_owned();
    let external_ips = !spec.list_at(&["externalIPs"]).is_empty() && service_type == "ClusterIP";
    if matches!(service_type.as_str(), "NodePort" | "LoadBalancer") || external_ips {
        fill_text(spec, "externalTrafficPolicy", "Cluster");
    }
    if matches!(service_type.as_str(), "ClusterIP" | "NodePort" | "LoadBalancer") {
        fill(spec, "internalTrafficPolicy", "Cluster");
    }
    if service_type == "LoadBalancer" {
        fill(spec, "allocateLoadBalancerNodePorts", true);
        within(object, "status", |status| {
            within(status, "loadBalancer", |balancer| {
                each(balancer, "ingress", |ingress| {
                    if ingress.str_at(&["ip"]).is_some_and(|address| !address.is_empty()) {
                        fill(ingress, "ipMode", "VIP");
                    }
                });
            });
        });
    }
}

pub fn endpoints(object: &mut Value) {
    each(object, "subsets", |subset| each(subset, "ports", |port| fill_text(port, "protocol", "TCP")));
}

pub fn endpoint_slice(object: &mut Value) {
    each(object, "ports", |port| {
        fill(port, "name", "");
        fill(port, "protocol", "TCP");
    });
}

pub fn network_policy(object: &mut Value) {
    let spec = below(object, "spec");
    if is_unset(spec, "policyTypes") {
        let mut types = vec![Value::from("Ingress")];
        if !is_unset(spec, "egress") {
            types.push(Value::from("Egress"));
        }
        spec.set_at(&["policyTypes"], Value::List(types));
    }
    for direction in ["ingress", "egress"] {
        each(spec, direction, |rule| each(rule, "ports", |port| fill(port, "protocol", "TCP")));
    }
    within(spec, "podSelector", |_| {});
}
