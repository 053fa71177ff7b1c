//! Pods, and the templates that controllers make them from.

use trueup_object::{Map, Value};

use super::container::{self, Surroundings};
use super::names::{dns_label, dns_subdomain, qualified_name};
use super::parts::is_true;
use super::{Report, join, metadata, placement, volume};

static NOTHING: Value = Value::Null;

/// A template that a controller makes pods from.
pub fn template(report: &mut Report, spec: &Value, path: &str, restart: &[&str]) {
    let path = join(path, "template");
    let empty = Value::Map(Map::new());
    let template = spec.get("template").unwrap_or(&empty);
    template_spec(report, template, &path);
    let pod = template.get("spec").unwrap_or(&empty);
    if let Some(policy) = pod.str_at(&["restartPolicy"])
        && !restart.contains(&policy)
        && (restart.len() == 1 || ["Always", "Never", "OnFailure"].contains(&policy))
    {
        report.one_of(pod, &join(&path, "spec"), "restartPolicy", restart);
    }
}

pub fn template_spec(report: &mut Report, template: &Value, path: &str) {
    let metadata = template.get("metadata").unwrap_or(&NOTHING);
    metadata::labels(report, metadata, &join(path, "labels"), "labels");
    metadata::annotations(report, metadata, &join(path, "annotations"));
    pod_spec(report, template.get("spec").unwrap_or(&NOTHING), &join(path, "spec"));
    if !template.list_at(&["spec", "ephemeralContainers"]).is_empty() {
        report.forbidden(
            &join(path, "spec.ephemeralContainers"),
            "ephemeral containers not allowed in pod template",
        );
    }
}

/// A pod by itself.
pub fn pod(report: &mut Report, object: &Value, live: Option<&Value>) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    pod_spec(report, spec, "spec");
    if live.is_none() && !spec.list_at(&["ephemeralContainers"]).is_empty() {
        report.forbidden("spec.ephemeralContainers", "cannot be set on create");
    }
}

pub fn pod_spec(report: &mut Report, spec: &Value, path: &str) {
    let volumes = volume::volumes(report, spec, path);
    let around = Surroundings {
        volumes: &volumes,
        grace_seconds: spec.int_at(&["terminationGracePeriodSeconds"]).unwrap_or(30),
        host_network: is_true(spec, &["hostNetwork"]),
    };
    container::containers(report, spec, path, &around);
    if let Some(resources) = spec.get("resources") {
        container::resources(report, resources, &join(path, "resources"));
    }
    report.one_of(spec, path, "restartPolicy", &["Always", "OnFailure", "Never"]);
    report.one_of(spec, path, "dnsPolicy", &["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]);
    report.label_map(spec.get("nodeSelector"), &join(path, "nodeSelector"));
    security(report, spec, path);
    if let Some(affinity) = spec.get("affinity") {
        placement::affinity(report, affinity, &join(path, "affinity"));
    }
    dns(report, spec, path);
    gates(report, spec, path);
    placement::spreading(report, spec, path);
    names(report, spec, path);
}

fn security(report: &mut Report, spec: &Value, path: &str) {
    let Some(context) = spec.get("securityContext") else {
        return shared_processes(report, spec, path);
    };
    let at = join(path, "securityContext");
    for key in ["fsGroup", "runAsUser", "runAsGroup"] {
        report.id(context, &at, key);
    }
    shared_processes(report, spec, path);
    for (index, setting) in context.list_at(&["sysctls"]).iter().enumerate() {
        let field = format!("{at}.sysctls[{index}].name");
        let name = setting.str_at(&["name"]).unwrap_or_default();
        let parts_fit = name.split(['.', '/']).all(|part| {
            let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            part.bytes().all(|byte| alphanumeric(byte) || matches!(byte, b'-' | b'_'))
                && part.bytes().next().is_some_and(alphanumeric)
                && part.bytes().last().is_some_and(alphanumeric)
        });
        if name.is_empty() {
            report.required(&field, "");
        } else if !parts_fit {
            report.invalid(
                &field,
                name,
                "must have at most 253 characters and match regex \
                 ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$",
            );
        }
    }
    report.optional(context, &at, "fsGroupChangePolicy", &["Always", "OnRootMismatch"]);
    container::seccomp(report, context, &at);
    report.optional(context, &at, "supplementalGroupsPolicy", &["Merge", "Strict"]);
}

/// The server names this field where its own types have it.
fn shared_processes(report: &mut Report, spec: &Value, path: &str) {
    if is_true(spec, &["shareProcessNamespace"]) && is_true(spec, &["hostPID"]) {
        report.invalid(
            &join(path, "securityContext.shareProcessNamespace"),
            true,
            "ShareProcessNamespace and HostPID cannot both be enabled",
        );
    }
}

fn dns(report: &mut Report, spec: &Value, path: &str) {
    let path = join(path, "dnsConfig");
    let config = spec.get("dnsConfig");
    if spec.str_at(&["dnsPolicy"]) == Some("None") {
        let Some(config) = config else {
            return report.required(&path, "must provide `dnsConfig` when `dnsPolicy` is None");
        };
        if config.list_at(&["nameservers"]).is_empty() {
            let detail = "must provide at least one DNS nameserver when `dnsPolicy` is None";
            return report.required(&join(&path, "nameservers"), detail);
        }
    }
    let Some(config) = config else { return };
    for (index, server) in config.list_at(&["nameservers"]).iter().filter_map(Value::as_str).enumerate() {
        report.address(&format!("{path}.nameservers[{index}]"), server);
    }
    for (index, option) in config.list_at(&["options"]).iter().enumerate() {
        if option.str_at(&["name"]).is_none_or(str::is_empty) {
            report.required(&format!("{path}.options[{index}]"), "must not be empty");
        }
    }
}

fn gates(report: &mut Report, spec: &Value, path: &str) {
    for (index, gate) in spec.list_at(&["readinessGates"]).iter().enumerate() {
        let kind = gate.str_at(&["conditionType"]).unwrap_or_default();
        let field = format!("{path}.readinessGates[{index}].conditionType");
        report.wrong(&field, kind, qualified_name(kind));
    }
    let mut seen = std::collections::BTreeSet::new();
    for (index, gate) in spec.list_at(&["schedulingGates"]).iter().enumerate() {
        let name = gate.str_at(&["name"]).unwrap_or_default();
        let field = format!("{path}.schedulingGates[{index}]");
        report.wrong(&field, name, qualified_name(name));
        if !seen.insert(name) {
            report.duplicate(&field, name);
        }
    }
}

/// What is named in a spec, and the last checks of a pod, in the server's order.
fn names(report: &mut Report, spec: &Value, path: &str) {
    report.named(spec, path, "serviceAccountName", dns_subdomain);
    report.named(spec, path, "nodeName", dns_subdomain);
    if let Some(seconds) =
        spec.int_at(&["activeDeadlineSeconds"]).filter(|it| !(1..=i64::from(i32::MAX)).contains(it))
    {
        let detail = "must be between 1 and 2147483647, inclusive";
        report.invalid(&join(path, "activeDeadlineSeconds"), seconds, detail);
    }
    report.named(spec, path, "hostname", dns_label);
    report.named(spec, path, "subdomain", dns_label);
    placement::tolerations(report, spec, path);
    for (index, alias) in spec.list_at(&["hostAliases"]).iter().enumerate() {
        let at = format!("{path}.hostAliases[{index}]");
        report.address(&join(&at, "ip"), alias.str_at(&["ip"]).unwrap_or_default());
        for (number, host) in alias.list_at(&["hostnames"]).iter().filter_map(Value::as_str).enumerate() {
            report.wrong(&format!("{at}.hostnames[{number}]"), host, dns_subdomain(host));
        }
    }
    report.named(spec, path, "priorityClassName", dns_subdomain);
    report.named(spec, path, "runtimeClassName", dns_subdomain);
    report.optional(spec, path, "preemptionPolicy", &["PreemptLowerPriority", "Never"]);
    match spec.str_at(&["os", "name"]) {
        None | Some("linux") => {}
        Some("windows") => {
            for key in ["hostPID", "hostIPC"] {
                if is_true(spec, &[key]) {
                    report.forbidden(&join(path, key), "cannot be set for a windows pod");
                }
            }
        }
        Some(other) => report.supported(&join(path, "os"), other, &["linux", "windows"]),
    }
}
