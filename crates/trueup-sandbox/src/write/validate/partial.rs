//! Changes through subresources that write a part of an object: decisions about certificates, containers to look at a pod with, and
//! what a pod's containers may use.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trueup_object::{Map, Value};

use super::super::strategy::{Part, quality_of_service, same_meaning};
use super::{Report, join};
use crate::kind::KindInfo;

pub fn partial(report: &mut Report, kind: &KindInfo, part: Part, object: &Value, live: &Value) {
    match (part, kind.gvk.kind.as_str()) {
        (Part::Approval | Part::Status, "CertificateSigningRequest") => {
            conditions(report, object);
            decisions(report, part, object, live);
            certificate(report, part, object, live);
        }
        (Part::EphemeralContainers, "Pod") => ephemeral_containers(report, object, live),
        (Part::Resize, "Pod") => resize(report, object, live),
        _ => {}
    }
}

fn conditions(report: &mut Report, object: &Value) {
    let path = "status.conditions";
    let mut seen: Vec<&str> = Vec::new();
    for (index, condition) in object.list_at(&["status", "conditions"]).iter().enumerate() {
        let at = format!("{path}[{index}]");
        let text = |key: &str| condition.str_at(&[key]).unwrap_or_default();
        let kind = text("type");
        if kind.is_empty() {
            report.required(&join(&at, "type"), "");
        }
        let decides = matches!(kind, "Approved" | "Denied" | "Failed");
        let supported: &[&str] = if decides { &["True"] } else { &["False", "True", "Unknown"] };
        match text("status") {
            "" => report.required(&join(&at, "status"), ""),
            status => report.supported(&join(&at, "status"), status, supported),
        }
        let other = match kind {
            "Approved" => "Denied",
            "Denied" => "Approved",
            _ => "",
        };
        if !other.is_empty() && seen.contains(&other) {
            report.invalid(path, kind, "Approved and Denied conditions are mutually exclusive");
        }
        if seen.contains(&kind) {
            report.duplicate(&join(&at, "type"), kind);
        }
        seen.push(kind);
    }
}

fn decisions(report: &mut Report, part: Part, object: &Value, live: &Value) {
    let path = "status.conditions";
    let of = |object: &Value, kind: &str| -> Vec<Value> {
        let all = object.list_at(&["status", "conditions"]).iter();
        all.filter(|condition| condition.str_at(&["type"]) == Some(kind)).cloned().collect()
    };
    for kind in ["Approved", "Denied", "Failed"] {
        if of(object, kind).len() < of(live, kind).len() {
            report.forbidden(path, &format!("updates may not remove a condition of type {kind:?}"));
        }
    }
    if part == Part::Approval {
        return;
    }
    for kind in ["Approved", "Denied"] {
        if of(object, kind).len() > of(live, kind).len() {
            report.forbidden(path, &format!("updates may not add a condition of type {kind:?}"));
        }
    }
}

fn certificate(report: &mut Report, part: Part, object: &Value, live: &Value) {
    let path = "status.certificate";
    let of = |object: &Value| object.str_at(&["status", "certificate"]).unwrap_or_default().to_owned();
    let (new, old) = (of(object), of(live));
    if part == Part::Status && !new.is_empty() {
        let decoded = STANDARD.decode(&new).unwrap_or_default();
        if !String::from_utf8_lossy(&decoded).contains("-----BEGIN CERTIFICATE-----") {
            let detail = "must contain at least one CERTIFICATE PEM block";
            report.invalid(path, "<certificate data>", detail);
        }
    }
    if part == Part::Status && new != old && !old.is_empty() {
        report.forbidden(path, "updates may not modify existing certificate content");
    }
}

fn ephemeral_containers(report: &mut Report, object: &Value, live: &Value) {
    super::pod::pod(report, object, Some(live));
    let others =
        ["containers", "initContainers"].into_iter().flat_map(|list| object.list_at(&["spec", list]));
    let mut names: Vec<&str> = others.filter_map(|container| container.str_at(&["name"])).collect();
    for (index, container) in object.list_at(&["spec", "ephemeralContainers"]).iter().enumerate() {
        let name = container.str_at(&["name"]).unwrap_or_default();
        if names.contains(&name) {
            report.duplicate(&format!("spec.ephemeralContainers[{index}].name"), name);
        }
        names.push(name);
    }
    let path = "spec.ephemeralContainers";
    let containers = object.list_at(&["spec", "ephemeralContainers"]);
    let named = |name: &str| containers.iter().find(|container| container.str_at(&["name"]) == Some(name));
    for old in live.list_at(&["spec", "ephemeralContainers"]) {
        let name = old.str_at(&["name"]).unwrap_or_default();
        match named(name) {
            None => {
                report
                    .forbidden(path, &format!("existing ephemeral containers {name:?} may not be removed\n"));
            }
            Some(new) if !same_meaning(old, new) => {
                report
                    .forbidden(path, &format!("existing ephemeral containers {name:?} may not be changed\n"));
            }
            Some(_) => {}
        }
    }
}

fn resize(report: &mut Report, object: &Value, live: &Value) {
    super::pod::pod(report, object, Some(live));
    if quality_of_service(object) != quality_of_service(live) {
        let before = live.at(&["status", "qosClass"]).cloned().unwrap_or_default();
        report.invalid("spec", before, "Pod QOS Class may not change as a result of resizing");
    }
    // A node tells what running containers really have, or it cannot give them anything else.
    let statuses = live.list_at(&["status", "containerStatuses"]).iter();
    let mut running = statuses.filter(|status| status.at(&["state", "running"]).is_some());
    if running.any(|status| status.get("resources").is_none()) {
        report.forbidden("spec", "Pod running on node without support for resize");
    }
    let mut is_same = true;
    for list in ["containers", "initContainers"] {
        let (new, old) = (object.list_at(&["spec", list]), live.list_at(&["spec", list]));
        let path = join("spec", list);
        if new.len() != old.len() {
            report.forbidden(&path, &format!("{list} may not be added or removed on resize"));
            is_same = false;
            continue;
        }
        for (index, (new, old)) in new.iter().zip(old).enumerate() {
            if new.str_at(&["name"]) != old.str_at(&["name"]) {
                let field = format!("{path}[{index}].name");
                report.forbidden(&field, &format!("{list} may not be renamed or reordered on resize"));
                is_same = false;
            }
        }
    }
    if !is_same {
        return;
    }
    for list in ["initContainers", "containers"] {
        let pairs = object.list_at(&["spec", list]).iter().zip(live.list_at(&["spec", list]));
        for (index, (new, old)) in pairs.enumerate() {
            let at = format!("spec.{list}[{index}].resources");
            for part in ["requests", "limits"] {
                resized_amounts(report, (new, old), &join(&at, part), part);
            }
        }
    }
}

/// What was asked for and limited stays so, and only memory and processors can be another amount.
fn resized_amounts(report: &mut Report, (new, old): (&Value, &Value), path: &str, part: &str) {
    let of = |container: &Value| -> Map {
        container.at(&["resources", part]).and_then(Value::as_map).cloned().unwrap_or_default()
    };
    let (new, old) = (of(new), of(old));
    if old.keys().any(|name| !new.contains(name)) {
        report.forbidden(path, &format!("resource {part} cannot be removed"));
    }
    let is_fixed =
        |(name, amount): (&str, &Value)| !matches!(name, "cpu" | "memory") && old.get(name) != Some(amount);
    if new.iter().any(is_fixed) {
        report.forbidden("spec", "only cpu and memory resources are mutable");
    }
}
