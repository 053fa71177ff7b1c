//! What there is to warn of pods and their templates.

use std::collections::{BTreeMap, BTreeSet};

use trueup_object::Value;

use super::overlaps::overlaps;
use super::{GONE_SOURCES, NOTHING, claim, entries, fractional};

/// A pod by itself.
pub fn whole(told: &mut Vec<String>, pod: &Value) {
    spec(told, pod, "");
}

/// A template, under the path of itself.
pub fn template(told: &mut Vec<String>, template: &Value, path: &str) {
    spec(told, template, &format!("{path}."));
}

/// `at` is empty or ends with a dot.
fn spec(told: &mut Vec<String>, holder: &Value, at: &str) {
    let spec = holder.get("spec").unwrap_or(&NOTHING);
    let path = format!("{at}spec");
    for (label, _) in entries(spec, "nodeSelector") {
        if let Some(words) = old_label(label) {
            told.push(format!("{path}.nodeSelector[{label}]: {words}"));
        }
    }
    spreading(told, spec, &path);
    annotations(told, holder, at);
    volumes(told, spec, &path);
    overlaps(told, spec.list_at(&["volumes"]));
    twice(told, spec, &path);
    for resource in ["memory", "ephemeral-storage"] {
        fractional(told, spec.get("overhead"), resource, &format!("{path}.overhead"));
    }
    for (container, path) in containers(spec, &path) {
        for resource in ["memory", "ephemeral-storage"] {
            for list in ["limits", "requests"] {
                let amounts = container.at(&["resources", list]);
                fractional(told, amounts, resource, &format!("{path}.resources.{list}"));
            }
        }
        variables(told, container, &path);
    }
    ports(told, spec, &path);
    if spec.int_at(&["terminationGracePeriodSeconds"]).is_some_and(|seconds| seconds < 0) {
        told.push(format!(
            "{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        ));
    }
    affinity(told, spec, &path);
}

/// Labels of nodes that have other names by now.
fn old_label(label: &str) -> Option<&'static str> {
    Some(match label {
        "beta.kubernetes.io/arch" => "deprecated since v1.14; use \"kubernetes.io/arch\" instead",
        "beta.kubernetes.io/os" => "deprecated since v1.14; use \"kubernetes.io/os\" instead",
        "failure-domain.beta.kubernetes.io/region" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/region\" instead"
        }
        "failure-domain.beta.kubernetes.io/zone" => {
            "deprecated since v1.17; use \"topology.kubernetes.io/zone\" instead"
        }
        "beta.kubernetes.io/instance-type" => {
            "deprecated since v1.17; use \"node.kubernetes.io/instance-type\" instead"
        }
        _ => return None,
    })
}

const NO_SELECTOR: &str = "a null labelSelector results in matching no pod";

fn spreading(told: &mut Vec<String>, spec: &Value, path: &str) {
    for (index, constraint) in spec.list_at(&["topologySpreadConstraints"]).iter().enumerate() {
        let path = format!("{path}.topologySpreadConstraints[{index}]");
        let key = constraint.str_at(&["topologyKey"]).unwrap_or_default();
        if let Some(words) = old_label(key) {
            told.push(format!("{path}.topologyKey: {key} is {words}"));
        }
        if constraint.get("labelSelector").is_none() {
            told.push(format!("{path}.labelSelector: {NO_SELECTOR}"));
        }
    }
}

fn annotations(told: &mut Vec<String>, holder: &Value, at: &str) {
    for (key, words) in [
        (
            "scheduler.alpha.kubernetes.io/critical-pod",
            "non-functional in v1.16+; use the \"priorityClassName\" field instead",
        ),
        (
            "security.alpha.kubernetes.io/sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead",
        ),
        (
            "security.alpha.kubernetes.io/unsafe-sysctls",
            "non-functional in v1.11+; use the \"sysctls\" field instead",
        ),
    ] {
        if super::annotated(holder, key) {
            told.push(format!("{at}metadata.annotations[{key}]: {words}"));
        }
    }
}

fn volumes(told: &mut Vec<String>, spec: &Value, path: &str) {
    for (index, volume) in spec.list_at(&["volumes"]).iter().enumerate() {
        let path = format!("{path}.volumes[{index}]");
        let of_pods = [
            ("gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
            ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
            ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
        ];
        for (source, words) in of_pods.into_iter().chain(GONE_SOURCES) {
            if volume.get(source).is_some() {
                let shown = if source == "storageos" { "storageOS" } else { source };
                told.push(format!("{path}.{shown}: {words}"));
            }
        }
        if let Some(template) = volume.at(&["ephemeral", "volumeClaimTemplate", "spec"]) {
            claim(told, template, &format!("{path}.ephemeral.volumeClaimTemplate.spec"));
        }
    }
}

/// What is listed twice, where the second hides the first.
fn twice(told: &mut Vec<String>, spec: &Value, path: &str) {
    for (list, key, word) in [("hostAliases", "ip", "ip"), ("imagePullSecrets", "name", "name")] {
        let mut seen = BTreeSet::new();
        for (index, item) in spec.list_at(&[list]).iter().enumerate() {
            let text = item.str_at(&[key]).unwrap_or_default();
            if !seen.insert(text) {
                told.push(format!("{path}.{list}[{index}].{key}: duplicate {word} {text:?}"));
            }
        }
    }
    for (index, item) in spec.list_at(&["imagePullSecrets"]).iter().enumerate() {
        if item.str_at(&["name"]).is_none_or(str::is_empty) {
            told.push(format!("{path}.imagePullSecrets[{index}].name: invalid empty name \"\""));
        }
    }
}

/// All containers with their paths, in the server's order.
fn containers<'v>(spec: &'v Value, path: &str) -> Vec<(&'v Value, String)> {
    let mut found = Vec::new();
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for (index, container) in spec.list_at(&[list]).iter().enumerate() {
            found.push((container, format!("{path}.{list}[{index}]")));
        }
    }
    found
}

/// A variable that is defined again without its former value.
fn variables(told: &mut Vec<String>, container: &Value, path: &str) {
    let mut seen = BTreeSet::new();
    for (index, variable) in container.list_at(&["env"]).iter().enumerate() {
        let name = variable.str_at(&["name"]).unwrap_or_default();
        if seen.insert(name) {
            continue;
        }
        let value = variable.str_at(&["value"]).unwrap_or_default();
        let itself = format!("$({name})");
        if variable.get("valueFrom").is_some() || value == itself || !value.contains(&itself) {
            told.push(format!(
                "{path}.env[{index}]: hides previous definition of {name:?}, which may be dropped when using apply"
            ));
        }
    }
}

/// Where a port of a container is on its node.
#[derive(Clone)]
struct Place {
    field: String,
    host_port: i64,
    host_ip: String,
}

fn ports(told: &mut Vec<String>, spec: &Value, path: &str) {
    let mut places: BTreeMap<(i64, String), Vec<Place>> = BTreeMap::new();
    for (container, path) in containers(spec, path) {
        for (index, port) in container.list_at(&["ports"]).iter().enumerate() {
            let text = |key: &str| port.str_at(&[key]).unwrap_or_default().to_owned();
            let number = |key: &str| port.int_at(&[key]).unwrap_or_default();
            let place = Place {
                field: format!("{path}.ports[{index}]"),
                host_port: number("hostPort"),
                host_ip: text("hostIP"),
            };
            if !place.host_ip.is_empty() && place.host_port == 0 {
                told.push(format!(
                    "{}: hostIP set without hostPort: {{Name:{} HostPort:0 ContainerPort:{} Protocol:{} HostIP:{}}}",
                    place.field,
                    text("name"),
                    number("containerPort"),
                    text("protocol"),
                    place.host_ip
                ));
            }
            let others = places.entry((number("containerPort"), text("protocol"))).or_default();
            told.extend(others.iter().filter_map(|other| overlap(&place, other)));
            others.push(place);
        }
    }
}

fn overlap(place: &Place, other: &Place) -> Option<String> {
    let how = if place.host_ip == other.host_ip && place.host_port == other.host_port {
        "duplicate"
    } else if place.host_port == 0 || other.host_port == 0 {
        "overlapping"
    } else if place.host_port == other.host_port && place.host_ip.is_empty() != other.host_ip.is_empty() {
        "dangerously ambiguous"
    } else {
        return None;
    };
    Some(format!("{}: {how} port definition with {}", place.field, other.field))
}

fn affinity(told: &mut Vec<String>, spec: &Value, path: &str) {
    for kind in ["podAffinity", "podAntiAffinity"] {
        let Some(affinity) = spec.at(&["affinity", kind]) else { continue };
        for (list, below) in [
            ("requiredDuringSchedulingIgnoredDuringExecution", None),
            ("preferredDuringSchedulingIgnoredDuringExecution", Some("podAffinityTerm")),
        ] {
            for (index, item) in affinity.list_at(&[list]).iter().enumerate() {
                let term = below.map_or(Some(item), |below| item.get(below)).unwrap_or(&NOTHING);
                if term.get("labelSelector").is_none() {
                    let below = below.map(|below| format!(".{below}")).unwrap_or_default();
                    told.push(format!(
                        "{path}.affinity.{kind}.{list}[{index}]{below}.labelSelector: {NO_SELECTOR}"
                    ));
                }
            }
        }
    }
}
