//! Pod specs, in pods and in templates.

use std::collections::BTreeSet;

use trueup_object::{Map, Value};

use super::names::dns_label;
use super::{Report, join, metadata};

/// A template that a controller makes pods from, and the selector that must match its labels.
pub fn template(report: &mut Report, spec: &Value, path: &str, restart: &[&str]) {
    let path = join(path, "template");
    let empty = Value::Map(Map::new());
    let template = spec.get("template").unwrap_or(&empty);
    let metadata = template.get("metadata").unwrap_or(&empty);
    metadata::labels(report, metadata, &join(&path, "labels"), "labels");
    let pod = template.get("spec").unwrap_or(&empty);
    let pod_path = join(&path, "spec");
    pod_spec(report, pod, &pod_path);
    if let Some(policy) = pod.str_at(&["restartPolicy"])
        && !restart.contains(&policy)
        && ["Always", "Never", "OnFailure"].contains(&policy)
    {
        report.one_of(pod, &pod_path, "restartPolicy", restart);
    }
}

pub fn pod_spec(report: &mut Report, spec: &Value, path: &str) {
    let volumes = volumes(report, spec, path);
    let mut names = BTreeSet::new();
    containers(report, spec, path, "containers", &volumes, &mut names);
    containers(report, spec, path, "initContainers", &volumes, &mut names);
    report.one_of(spec, path, "restartPolicy", &["Always", "OnFailure", "Never"]);
    report.one_of(spec, path, "dnsPolicy", &["ClusterFirst", "ClusterFirstWithHostNet", "Default", "None"]);
    report.not_negative(spec, path, "terminationGracePeriodSeconds");
    placement(report, spec, path);
}

fn volumes(report: &mut Report, spec: &Value, path: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (index, volume) in spec.list_at(&["volumes"]).iter().enumerate() {
        let path = format!("{path}.volumes[{index}]");
        if !report.text(volume, &path, "name") {
            continue;
        }
        let name = volume.str_at(&["name"]).unwrap_or_default();
        for message in dns_label(name) {
            report.invalid(&join(&path, "name"), name, &message);
        }
        if !names.insert(name.to_owned()) {
            report.duplicate(&join(&path, "name"), name);
        }
        let mut sources: Vec<&str> =
            volume.as_map().into_iter().flat_map(Map::keys).filter(|key| *key != "name").collect();
        // In the order in which the server looks for them; it complains about all but the first.
        let order =
            ["emptyDir", "hostPath", "secret", "nfs", "persistentVolumeClaim", "configMap", "downwardAPI"];
        sources.sort_by_key(|source| order.iter().position(|known| known == source).unwrap_or(order.len()));
        volume_source(report, volume, &path);
        for extra in sources.iter().skip(1) {
            report.forbidden(&join(&path, extra), "may not specify more than 1 volume type");
        }
    }
    names
}

/// What a volume of a kind cannot do without.
fn volume_source(report: &mut Report, volume: &Value, path: &str) {
    for (source, field) in [
        ("hostPath", "path"),
        ("secret", "secretName"),
        ("persistentVolumeClaim", "claimName"),
        ("configMap", "name"),
    ] {
        if let Some(given) = volume.get(source) {
            report.text(given, &join(path, source), field);
        }
    }
}

/// The last checks of a pod, in the server's order.
fn placement(report: &mut Report, spec: &Value, path: &str) {
    for (index, alias) in spec.list_at(&["hostAliases"]).iter().enumerate() {
        let address = alias.str_at(&["ip"]).unwrap_or_default();
        if address.parse::<std::net::IpAddr>().is_err() {
            let field = format!("{path}.hostAliases[{index}].ip");
            report.invalid(&field, address, "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)");
        }
    }
    for (index, toleration) in spec.list_at(&["tolerations"]).iter().enumerate() {
        let effect = toleration.str_at(&["effect"]).unwrap_or_default();
        if toleration.get("tolerationSeconds").is_some() && effect != "NoExecute" {
            let field = format!("{path}.tolerations[{index}].effect");
            report.invalid(&field, effect, "effect must be 'NoExecute' when `tolerationSeconds` is set");
        }
    }
}

fn lifecycle(report: &mut Report, container: &Value, path: &str) {
    for name in ["postStart", "preStop"] {
        let Some(handler) = container.at(&["lifecycle", name]) else { continue };
        let path = format!("{path}.lifecycle.{name}");
        if ["exec", "httpGet", "tcpSocket", "sleep"].iter().all(|kind| handler.get(kind).is_none()) {
            report.required(&path, "must specify a handler type");
        }
        command(report, handler, &path);
    }
}

fn command(report: &mut Report, handler: &Value, path: &str) {
    if handler.get("exec").is_some() && handler.list_at(&["exec", "command"]).is_empty() {
        report.required(&join(path, "exec.command"), "");
    }
}

fn containers(
    report: &mut Report,
    spec: &Value,
    path: &str,
    list: &str,
    volumes: &BTreeSet<String>,
    names: &mut BTreeSet<String>,
) {
    let path = join(path, list);
    let items = spec.list_at(&[list]);
    if items.is_empty() && list == "containers" {
        report.required(&path, "");
    }
    for (index, container) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if report.text(container, &path, "name") {
            let name = container.str_at(&["name"]).unwrap_or_default();
            for message in dns_label(name) {
                report.invalid(&join(&path, "name"), name, &message);
            }
            if !names.insert(name.to_owned()) {
                report.duplicate(&join(&path, "name"), name);
            }
        }
        image(report, container, &path);
        report.one_of(container, &path, "imagePullPolicy", &["Always", "IfNotPresent", "Never"]);
        report.one_of(container, &path, "terminationMessagePolicy", &["FallbackToLogsOnError", "File"]);
        ports(report, container, &path);
        environment(report, container, &path);
        environment_sources(report, container, &path);
        mounts(report, container, &path, volumes);
        resources(report, container, &path);
        lifecycle(report, container, &path);
        for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
            probe(report, container, &path, name);
        }
    }
}

fn image(report: &mut Report, container: &Value, path: &str) {
    if !report.text(container, path, "image") {
        return;
    }
    let image = container.str_at(&["image"]).unwrap_or_default();
    if image.trim() != image {
        report.invalid(&join(path, "image"), image, "must not have leading or trailing whitespace");
    }
}

fn ports(report: &mut Report, container: &Value, path: &str) {
    let mut names = BTreeSet::new();
    for (index, port) in container.list_at(&["ports"]).iter().enumerate() {
        let path = format!("{path}.ports[{index}]");
        match port.int_at(&["containerPort"]).unwrap_or_default() {
            0 => report.required(&join(&path, "containerPort"), ""),
            1..=65_535 => {}
            other => {
                report.invalid(
                    &join(&path, "containerPort"),
                    other,
                    "must be between 1 and 65535, inclusive",
                );
            }
        }
        if let Some(name) = port.str_at(&["name"]).filter(|name| !name.is_empty())
            && !names.insert(name)
        {
            report.duplicate(&join(&path, "name"), name);
        }
        report.one_of(port, &path, "protocol", &["SCTP", "TCP", "UDP"]);
    }
}

fn environment(report: &mut Report, container: &Value, path: &str) {
    for (index, variable) in container.list_at(&["env"]).iter().enumerate() {
        let path = format!("{path}.env[{index}]");
        report.text(variable, &path, "name");
        if let Some(source) = variable.get("valueFrom") {
            let given = variable.str_at(&["value"]).is_some_and(|text| !text.is_empty());
            let path = join(&path, "valueFrom");
            if given {
                report.invalid(&path, "", "may not be specified when `value` is not empty");
            }
            match source.as_map().map_or(0, Map::len) {
                0 => report.invalid(
                    &path,
                    "",
                    "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
                ),
                1 => {
                    if let Some(field) = source.get("fieldRef") {
                        report.text(field, &join(&path, "fieldRef"), "fieldPath");
                    }
                }
                _ => report.invalid(&path, "", "may not have more than one field specified at a time"),
            }
        }
    }
}

fn environment_sources(report: &mut Report, container: &Value, path: &str) {
    for source in container.list_at(&["envFrom"]) {
        if source.get("configMapRef").is_none() && source.get("secretRef").is_none() {
            report.invalid(&join(path, "envFrom"), "", "must specify one of: `configMapRef` or `secretRef`");
        }
    }
}

fn mounts(report: &mut Report, container: &Value, path: &str, volumes: &BTreeSet<String>) {
    let mut paths = BTreeSet::new();
    for (index, mount) in container.list_at(&["volumeMounts"]).iter().enumerate() {
        let path = format!("{path}.volumeMounts[{index}]");
        if report.text(mount, &path, "name") {
            let name = mount.str_at(&["name"]).unwrap_or_default();
            if !volumes.contains(name) {
                report.not_found(&join(&path, "name"), name);
            }
        }
        if report.text(mount, &path, "mountPath") {
            let at = mount.str_at(&["mountPath"]).unwrap_or_default();
            if !paths.insert(at) {
                report.invalid(&join(&path, "mountPath"), at, "must be unique");
            }
        }
    }
}

fn resources(report: &mut Report, container: &Value, path: &str) {
    let amounts = |list: &str| container.at(&["resources", list]).and_then(Value::as_map);
    for list in ["limits", "requests"] {
        for (name, value) in amounts(list).into_iter().flat_map(Map::iter) {
            let field = format!("{path}.resources.{list}[{name}]");
            let Some(quantity) = report.quantity(&field, value) else { continue };
            let limit = amounts("limits").and_then(|limits| limits.get(name));
            if list == "requests"
                && let Some(limit) = limit
                && let Ok(most) = trueup_object::Quantity::of(limit)
                && quantity > most
            {
                report.invalid(
                    &format!("{path}.resources.requests"),
                    value.clone(),
                    &format!("must be less than or equal to {name} limit of {most}"),
                );
            }
        }
    }
}

fn probe(report: &mut Report, container: &Value, path: &str, name: &str) {
    let Some(probe) = container.get(name) else { return };
    let path = join(path, name);
    let handlers = ["exec", "httpGet", "tcpSocket", "grpc"];
    match handlers.iter().filter(|handler| probe.get(handler).is_some()).count() {
        0 => report.required(&path, "must specify a handler type"),
        1 => {}
        _ => report.forbidden(&path, "may not specify more than 1 handler type"),
    }
    command(report, probe, &path);
    for field in
        ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"]
    {
        report.not_negative(probe, &path, field);
    }
    if name != "readinessProbe"
        && let Some(threshold) = probe.int_at(&["successThreshold"])
        && threshold > 1
    {
        report.invalid(&join(&path, "successThreshold"), threshold, "must be 1");
    }
}
