//! Containers of pods: what runs, with what, and how it is looked after.

use std::collections::BTreeSet;

use trueup_object::{Map, Quantity, Value};

use super::names::{config_key, dns_label, dns_subdomain, port_name, variable_name};
use super::parts::{is_true, is_whole};
use super::volume::{descending, field_reference};
use super::{Report, cluster, join};

static NOTHING: Value = Value::Null;

/// What all containers of a pod share.
pub struct Surroundings<'a> {
    pub volumes: &'a BTreeSet<String>,
    pub grace_seconds: i64,
    pub host_network: bool,
}

pub fn containers(report: &mut Report, spec: &Value, path: &str, around: &Surroundings<'_>) {
    let mut names = BTreeSet::new();
    let at = join(path, "containers");
    let items = spec.list_at(&["containers"]);
    if items.is_empty() {
        report.required(&at, "");
    }
    let mut host_ports = BTreeSet::new();
    for (index, container) in items.iter().enumerate() {
        let path = format!("{at}[{index}]");
        common(report, container, &path, around);
        unique(report, container, &path, &mut names);
        looked_after(report, container, &path, around);
        let image = container.str_at(&["image"]).unwrap_or_default();
        if image.trim() != image {
            report.invalid(&join(&path, "image"), image, "must not have leading or trailing whitespace");
        }
    }
    for (index, container) in items.iter().enumerate() {
        host_port_conflicts(report, container, &format!("{at}[{index}]"), &mut host_ports);
    }
    let at = join(path, "initContainers");
    for (index, container) in spec.list_at(&["initContainers"]).iter().enumerate() {
        let path = format!("{at}[{index}]");
        common(report, container, &path, around);
        unique(report, container, &path, &mut names);
        host_port_conflicts(report, container, &path, &mut BTreeSet::new());
        if container.str_at(&["restartPolicy"]) == Some("Always") {
            looked_after(report, container, &path, around);
            continue;
        }
        for key in ["lifecycle", "livenessProbe", "readinessProbe", "startupProbe"] {
            if container.get(key).is_some() {
                let detail = "may not be set for init containers without restartPolicy=Always";
                report.forbidden(&join(&path, key), detail);
            }
        }
    }
}

fn unique<'v>(report: &mut Report, container: &'v Value, path: &str, names: &mut BTreeSet<&'v str>) {
    let name = container.str_at(&["name"]).unwrap_or_default();
    if !name.is_empty() && !names.insert(name) {
        report.duplicate(&join(path, "name"), name);
    }
}

fn common(report: &mut Report, container: &Value, path: &str, around: &Surroundings<'_>) {
    if report.text(container, path, "name") {
        let name = container.str_at(&["name"]).unwrap_or_default();
        report.wrong(&join(path, "name"), name, dns_label(name));
    }
    report.text(container, path, "image");
    report.one_of(container, path, "terminationMessagePolicy", &["File", "FallbackToLogsOnError"]);
    ports(report, container, path, around);
    environment(report, container, path);
    environment_sources(report, container, path);
    mounts(report, container, path, around.volumes);
    report.one_of(container, path, "imagePullPolicy", &["Always", "IfNotPresent", "Never"]);
    if let Some(resources) = container.get("resources") {
        self::resources(report, resources, &join(path, "resources"));
    }
    if let Some(context) = container.get("securityContext") {
        security(report, context, &join(path, "securityContext"));
    }
}

fn ports(report: &mut Report, container: &Value, path: &str, around: &Surroundings<'_>) {
    let mut names = BTreeSet::new();
    for (index, port) in container.list_at(&["ports"]).iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        if let Some(name) = port.str_at(&["name"]).filter(|name| !name.is_empty()) {
            report.wrong(&join(&path, "name"), name, port_name(name));
            if !names.insert(name) {
                report.duplicate(&join(&path, "name"), name);
            }
        }
        let number = port.int_at(&["containerPort"]).unwrap_or_default();
        if number == 0 {
            report.required(&join(&path, "containerPort"), "");
        } else {
            report.port_number(&join(&path, "containerPort"), number);
        }
        if let Some(host) = port.int_at(&["hostPort"]).filter(|host| *host != 0) {
            report.port_number(&join(&path, "hostPort"), host);
            if around.host_network && host != number {
                let detail = "must match `containerPort` when `hostNetwork` is true";
                report.invalid(&join(&path, "hostPort"), host, detail);
            }
        }
        report.one_of(port, &path, "protocol", &["SCTP", "TCP", "UDP"]);
    }
}

fn host_port_conflicts(report: &mut Report, container: &Value, path: &str, seen: &mut BTreeSet<String>) {
    for (index, port) in container.list_at(&["ports"]).iter().enumerate() {
        let Some(host) = port.int_at(&["hostPort"]).filter(|host| *host != 0) else { continue };
        let part = |key: &str| port.str_at(&[key]).unwrap_or_default();
        let key = format!("{}/{}/{host}", part("protocol"), part("hostIP"));
        if seen.contains(&key) {
            report.duplicate(&format!("{path}.ports[{index}].hostPort"), key);
        } else {
            seen.insert(key);
        }
    }
}

fn environment(report: &mut Report, container: &Value, path: &str) {
    for (index, variable) in container.list_at(&["env"]).iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        if report.text(variable, &path, "name") {
            let name = variable.str_at(&["name"]).unwrap_or_default();
            report.wrong(&join(&path, "name"), name, variable_name(name));
        }
        let Some(source) = variable.get("valueFrom") else { continue };
        let given = variable.str_at(&["value"]).is_some_and(|text| !text.is_empty());
        value_from(report, source, &join(&path, "valueFrom"), given);
    }
}

const RESOURCES_TOLD: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];

fn value_from(report: &mut Report, source: &Value, path: &str, given: bool) {
    let count = source.as_map().map_or(0, Map::len);
    if let Some(field) = source.get("fieldRef") {
        field_reference(report, field, &join(path, "fieldRef"), false);
    }
    if let Some(resource) = source.get("resourceFieldRef") {
        let path = join(path, "resourceFieldRef");
        let name = resource.str_at(&["resource"]).unwrap_or_default();
        if name.is_empty() {
            report.required(&join(&path, "resource"), "");
        } else if !name.contains(".hugepages-") {
            report.supported(&join(&path, "resource"), name, &RESOURCES_TOLD);
        }
    }
    for key in ["configMapKeyRef", "secretKeyRef"] {
        let Some(reference) = source.get(key) else { continue };
        let path = join(path, key);
        let name = reference.str_at(&["name"]).unwrap_or_default();
        report.wrong(&join(&path, "name"), name, dns_subdomain(name));
        let text = reference.str_at(&["key"]).unwrap_or_default();
        if text.is_empty() {
            report.required(&join(&path, "key"), "");
        } else {
            report.wrong(&join(&path, "key"), text, config_key(text));
        }
    }
    if count == 0 {
        report.invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        );
    } else if given {
        report.invalid(path, "", "may not be specified when `value` is not empty");
    } else if count > 1 {
        report.invalid(path, "", "may not have more than one field specified at a time");
    }
}

fn environment_sources(report: &mut Report, container: &Value, path: &str) {
    for (index, source) in container.list_at(&["envFrom"]).iter().enumerate() {
        let at = format!("{path}.envFrom[{index}]");
        report.named(source, &at, "prefix", variable_name);
        let mut count = 0;
        for key in ["configMapRef", "secretRef"] {
            if let Some(reference) = source.get(key) {
                count += 1;
                report.text(reference, &join(&at, key), "name");
            }
        }
        // Here the server names the list and not its item.
        let list = join(path, "envFrom");
        match count {
            0 => report.invalid(&list, "", "must specify one of: `configMapRef` or `secretRef`"),
            1 => {}
            _ => report.invalid(&list, "", "may not have more than one field specified at a time"),
        }
    }
}

fn mounts(report: &mut Report, container: &Value, path: &str, volumes: &BTreeSet<String>) {
    let mut paths = BTreeSet::new();
    let list = join(path, "volumeMounts");
    for (index, mount) in container.list_at(&["volumeMounts"]).iter().enumerate() {
        let path = format!("{list}[{index}]");
        let name = mount.str_at(&["name"]).unwrap_or_default();
        if name.is_empty() {
            report.required(&join(&path, "name"), "");
        }
        if !volumes.contains(name) {
            report.not_found(&join(&path, "name"), name);
        }
        let at = mount.str_at(&["mountPath"]).unwrap_or_default();
        if at.is_empty() {
            report.required(&join(&path, "mountPath"), "");
        }
        if !paths.insert(at) {
            report.invalid(&join(&path, "mountPath"), at, "must be unique");
        }
        for key in ["subPath", "subPathExpr"] {
            if mount.str_at(&[key]).is_some_and(|text| !text.is_empty()) {
                descending(report, mount, &list, key);
            }
        }
        match mount.str_at(&["mountPropagation"]) {
            Some("Bidirectional") if !is_true(container, &["securityContext", "privileged"]) => {
                report.forbidden(
                    &join(&list, "mountPropagation"),
                    "Bidirectional mount propagation is available only to privileged containers",
                );
            }
            Some(mode) => {
                let known = ["Bidirectional", "HostToContainer", "None"];
                report.supported(&join(&list, "mountPropagation"), mode, &known);
            }
            None => {}
        }
    }
}

/// Resources of which more may be asked for than there is.
fn is_elastic(name: &str) -> bool {
    let native = !name.contains('/') || name.contains("kubernetes.io/");
    native && !name.starts_with("hugepages-")
}

pub fn resources(report: &mut Report, resources: &Value, path: &str) {
    let amounts = |list: &str| resources.get(list).and_then(Value::as_map);
    for list in ["limits", "requests"] {
        for (name, value) in amounts(list).into_iter().flat_map(Map::iter) {
            let field = format!("{path}.{list}[{name}]");
            cluster::resource_name(report, &field, name);
            if !name.contains('/') && !cluster::is_container_resource(name) {
                report.invalid(&field, name, "must be a standard resource for containers");
            }
            let Some(quantity) = report.quantity(&field, value) else { continue };
            if name.contains('/') && !is_elastic(name) && !is_whole(value) {
                report.invalid(&field, value.clone(), "must be an integer");
            }
            if list == "requests" {
                let limit = amounts("limits").and_then(|limits| limits.get(name));
                beside_limit(report, name, &quantity, limit, path);
            }
        }
    }
}

fn beside_limit(report: &mut Report, name: &str, asked: &Quantity, limit: Option<&Value>, path: &str) {
    let field = join(path, "requests");
    let Some(limit) = limit else {
        if !is_elastic(name) {
            let detail = "Limit must be set for non overcommitable resources";
            report.required(&join(path, "limits"), detail);
        }
        return;
    };
    let Ok(most) = Quantity::of(limit) else { return };
    if *asked != most && !is_elastic(name) {
        let detail = format!("must be equal to {name} limit of {most}");
        report.invalid(&field, asked.to_string(), &detail);
    } else if *asked > most {
        let detail = format!("must be less than or equal to {name} limit of {most}");
        report.invalid(&field, asked.to_string(), &detail);
    }
}

fn security(report: &mut Report, context: &Value, path: &str) {
    report.id(context, path, "runAsUser");
    report.id(context, path, "runAsGroup");
    report.optional(context, path, "procMount", &["Default", "Unmasked"]);
    if context.str_at(&["procMount"]) == Some("Unmasked") {
        let detail = "`hostUsers` must be false to use `Unmasked`";
        report.invalid(&join(path, "procMount"), "Unmasked", detail);
    }
    seccomp(report, context, path);
    let no_escalation = context.get("allowPrivilegeEscalation").and_then(Value::as_bool) == Some(false);
    if no_escalation && is_true(context, &["privileged"]) {
        let detail = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
        report.invalid(path, context.clone(), detail);
    }
}

pub fn seccomp(report: &mut Report, context: &Value, path: &str) {
    let Some(profile) = context.get("seccompProfile") else { return };
    let path = join(path, "seccompProfile");
    let kind = profile.str_at(&["type"]).unwrap_or_default();
    let local = profile.str_at(&["localhostProfile"]);
    if kind == "Localhost" {
        if local.is_none_or(str::is_empty) {
            let detail = "must be set when seccomp type is Localhost";
            report.required(&join(&path, "localhostProfile"), detail);
        }
        return;
    }
    report.supported(&join(&path, "type"), kind, &["Localhost", "RuntimeDefault", "Unconfined"]);
    if let Some(local) = local {
        let detail = "can only be set when seccomp type is Localhost";
        report.invalid(&join(&path, "localhostProfile"), local, detail);
    }
}

fn looked_after(report: &mut Report, container: &Value, path: &str, around: &Surroundings<'_>) {
    for name in ["postStart", "preStop"] {
        if let Some(action) = container.at(&["lifecycle", name]) {
            handler(report, action, &format!("{path}.lifecycle.{name}"), around);
        }
    }
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get(name) else { continue };
        let path = join(path, name);
        handler(report, probe, &path, around);
        for field in
            ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
        {
            report.not_negative(probe, &path, field);
        }
        let grace = probe.int_at(&["terminationGracePeriodSeconds"]);
        if let Some(seconds) = grace.filter(|seconds| *seconds <= 0) {
            report.invalid(&join(&path, "terminationGracePeriodSeconds"), seconds, "must be greater than 0");
        }
        if name == "readinessProbe" {
            if let Some(seconds) = grace {
                let detail = "must not be set for readinessProbes";
                report.invalid(&join(&path, "terminationGracePeriodSeconds"), seconds, detail);
            }
        } else if let Some(threshold) =
            probe.int_at(&["successThreshold"]).filter(|threshold| *threshold != 1)
        {
            report.invalid(&join(&path, "successThreshold"), threshold, "must be 1");
        }
    }
}

/// The kinds of handlers in the order in which the server looks for them.
const HANDLERS: [&str; 5] = ["exec", "httpGet", "tcpSocket", "grpc", "sleep"];

fn handler(report: &mut Report, action: &Value, path: &str, around: &Surroundings<'_>) {
    let present: Vec<&str> = HANDLERS.into_iter().filter(|kind| action.get(kind).is_some()).collect();
    let Some(first) = present.first() else { return report.required(path, "must specify a handler type") };
    let body = action.get(first).unwrap_or(&NOTHING);
    let at = join(path, first);
    let port = body.get("port").unwrap_or(&NOTHING);
    match *first {
        "exec" if body.list_at(&["command"]).is_empty() => report.required(&join(&at, "command"), ""),
        "httpGet" => {
            report.text(body, &at, "path");
            report.port(&join(&at, "port"), port);
            report.optional(body, &at, "scheme", &["HTTP", "HTTPS"]);
        }
        "tcpSocket" => report.port(&join(&at, "port"), port),
        "grpc" => report.port_number(&join(&at, "port"), port.as_int().unwrap_or_default()),
        "sleep" => {
            let seconds = body.int_at(&["seconds"]).unwrap_or_default();
            let most = around.grace_seconds;
            if !(0..=most).contains(&seconds) {
                let detail =
                    format!("must be non-negative and less than terminationGracePeriodSeconds ({most})");
                report.invalid(&at, seconds, &detail);
            }
        }
        _ => {}
    }
    for extra in present.iter().skip(1) {
        report.forbidden(&join(path, extra), "may not specify more than 1 handler type");
    }
}
