//! Definitions of custom resources, and API services.

use trueup_object::{Map, Value};

use super::names::{dns_1035_label, dns_subdomain};
use super::{Report, join};

static NOTHING: Value = Value::Null;

pub fn definition(report: &mut Report, object: &Value, live: Option<&Value>) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let group = spec.str_at(&["group"]).unwrap_or_default();
    let plural = spec.str_at(&["names", "plural"]).unwrap_or_default();
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
    if live.is_none() && name != format!("{plural}.{group}") {
        report.invalid("metadata.name", name, "must be spec.names.plural+\".\"+spec.group");
    }
    if report.text(spec, "spec", "group") {
        let wrong = dns_subdomain(group);
        if wrong.is_empty() && !group.contains('.') {
            report.invalid("spec.group", group, "should be a domain with at least one dot");
        }
        report.wrong("spec.group", group, wrong);
    }
    report.one_of(spec, "spec", "scope", &["Cluster", "Namespaced"]);
    versions(report, spec);
    let preserves = spec.get("preserveUnknownFields").and_then(Value::as_bool) == Some(true);
    if preserves {
        report.invalid(
            "spec.preserveUnknownFields",
            true,
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead",
        );
    }
    names(report, spec.get("names").unwrap_or(&NOTHING), "spec.names");
    conversion(report, spec.get("conversion").unwrap_or(&NOTHING));
    if object.list_at(&["status", "storedVersions"]).is_empty() {
        report.invalid("status.storedVersions", Value::Null, "must have at least one stored version");
    }
    if let Some(live) = live {
        report.unchanged(object, live, &["spec", "group"]);
        for path in [["spec", "scope", ""], ["spec", "names", "kind"], ["spec", "names", "plural"]] {
            let path: Vec<&str> = path.into_iter().filter(|part| !part.is_empty()).collect();
            report.unchanged(object, live, &path);
        }
    }
}

fn names(report: &mut Report, names: &Value, path: &str) {
    for key in ["plural", "singular"] {
        if report.text(names, path, key) {
            report.named(names, path, key, dns_1035_label);
        }
    }
    for key in ["kind", "listKind"] {
        if report.text(names, path, key) {
            let text = names.str_at(&[key]).unwrap_or_default();
            report.wrong(&join(path, key), text, dns_1035_label(&text.to_lowercase()));
        }
    }
    let text = |key: &str| names.str_at(&[key]).unwrap_or_default();
    if !text("kind").is_empty() && text("kind") == text("listKind") {
        report.invalid(&join(path, "listKind"), text("listKind"), "kind and listKind may not be the same");
    }
    for list in ["shortNames", "categories"] {
        for (index, item) in names.list_at(&[list]).iter().filter_map(Value::as_str).enumerate() {
            report.wrong(&format!("{path}.{list}[{index}]"), item, dns_1035_label(item));
        }
    }
}

fn versions(report: &mut Report, spec: &Value) {
    let versions = spec.list_at(&["versions"]);
    let all = || Value::List(versions.to_vec());
    let mut seen: Vec<&str> = Vec::new();
    let mut unique = true;
    for (index, version) in versions.iter().enumerate() {
        let path = format!("spec.versions[{index}]");
        let name = version.str_at(&["name"]).unwrap_or_default();
        unique &= !seen.contains(&name);
        seen.push(name);
        report.wrong(&join(&path, "name"), name, dns_1035_label(name));
        if index == 0 && !name.is_empty() {
            report.wrong("spec.version", name, dns_1035_label(name));
        }
        // The server names a lone version as if it were the definition's own.
        let own = if versions.len() == 1 { "spec".to_owned() } else { path.clone() };
        match version.at(&["schema", "openAPIV3Schema"]) {
            None => report.required(&join(&path, "schema.openAPIV3Schema"), ""),
            Some(schema) => {
                let at = if versions.len() == 1 { "spec.validation" } else { &join(&path, "schema") };
                structural(report, schema, &join(at, "openAPIV3Schema"));
            }
        }
        subresources(report, version, &own);
        columns(report, version, &own);
    }
    if !unique {
        report.invalid("spec.versions", all(), "must contain unique version names");
    }
    let storage = |version: &&Value| version.get("storage").and_then(Value::as_bool) == Some(true);
    if versions.iter().filter(storage).count() != 1 {
        report.invalid("spec.versions", all(), "must have exactly one version marked as storage version");
    }
}

const TYPES: [&str; 6] = ["array", "boolean", "integer", "number", "object", "string"];

/// A schema that says of every field what it is.
fn structural(report: &mut Report, schema: &Value, path: &str) {
    match schema.str_at(&["type"]).unwrap_or_default() {
        "" => report.required(&join(path, "type"), "must not be empty at the root"),
        "object" => {}
        other => {
            report.invalid(&join(path, "type"), other, "must be object at the root");
        }
    }
    inner(report, schema, path);
}

fn inner(report: &mut Report, schema: &Value, path: &str) {
    if schema.str_at(&["type"]) == Some("array") && schema.get("items").is_none() {
        report.required(&join(path, "items"), "must be specified");
    }
    let properties = schema.get("properties").and_then(Value::as_map);
    for (name, property) in properties.into_iter().flat_map(Map::iter) {
        child(report, property, &format!("{path}.properties[{name}]"), "object fields");
    }
    if let Some(items) = schema.get("items") {
        child(report, items, &join(path, "items"), "array items");
    }
    if let Some(additional) = schema.get("additionalProperties").filter(|value| value.as_map().is_some()) {
        child(report, additional, &join(path, "additionalProperties"), "object fields");
    }
}

fn child(report: &mut Report, schema: &Value, path: &str, what: &str) {
    let free = ["x-kubernetes-preserve-unknown-fields", "x-kubernetes-int-or-string"]
        .iter()
        .any(|key| schema.get(key).and_then(Value::as_bool) == Some(true));
    match schema.str_at(&["type"]).unwrap_or_default() {
        "" if free => {}
        "" => report.required(&join(path, "type"), &format!("must not be empty for specified {what}")),
        kind => report.supported(&join(path, "type"), kind, &TYPES),
    }
    inner(report, schema, path);
}

fn subresources(report: &mut Report, version: &Value, path: &str) {
    let Some(scale) = version.at(&["subresources", "scale"]) else { return };
    let path = join(path, "subresources.scale");
    for (key, part) in [("specReplicasPath", ".spec."), ("statusReplicasPath", ".status.")] {
        let text = scale.str_at(&[key]).unwrap_or_default();
        let field = join(&path, key);
        if text.is_empty() {
            report.required(&field, "");
        } else if !text.starts_with('.') {
            report.invalid(&field, text, "must be a simple json path starting with .");
        } else if !text.starts_with(part) {
            let parent = part.trim_end_matches('.');
            report.invalid(&field, text, &format!("should be a json path under {parent}"));
        }
    }
}

fn columns(report: &mut Report, version: &Value, path: &str) {
    for (index, column) in version.list_at(&["additionalPrinterColumns"]).iter().enumerate() {
        let path = format!("{path}.additionalPrinterColumns[{index}]");
        report.text(column, &path, "name");
        let kind = column.str_at(&["type"]).unwrap_or_default();
        let known = ["boolean", "date", "integer", "number", "string"];
        if kind.is_empty() {
            report.required(&join(&path, "type"), &format!("must be one of {}", known.join(",")));
        } else if !known.contains(&kind) {
            report.invalid(&join(&path, "type"), kind, &format!("must be one of {}", known.join(",")));
        }
        let at = column.str_at(&["jsonPath"]).unwrap_or_default();
        if at.is_empty() {
            report.required(&join(&path, "JSONPath"), "");
        } else if !at.starts_with('.') {
            report.invalid(&join(&path, "JSONPath"), at, "must be a simple json path starting with .");
        }
    }
}

fn conversion(report: &mut Report, conversion: &Value) {
    let path = "spec.conversion";
    match conversion.str_at(&["strategy"]) {
        None | Some("None") => {}
        Some("Webhook") => {
            if conversion.at(&["webhook", "clientConfig"]).is_none() {
                report
                    .required(&join(path, "webhookClientConfig"), "required when strategy is set to Webhook");
            }
            if conversion.list_at(&["webhook", "conversionReviewVersions"]).is_empty() {
                report.required(&join(path, "conversionReviewVersions"), "");
            }
        }
        Some(other) => report.supported(&join(path, "strategy"), other, &["None", "Webhook"]),
    }
}

pub fn api_service(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let text = |key: &str| spec.str_at(&[key]).unwrap_or_default();
    let wanted = format!("{}.{}", text("version"), text("group"));
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
    if name != wanted {
        let detail = format!("must be `spec.version+\".\"+spec.group`: {wanted:?}");
        report.invalid("metadata.name", name, &detail);
    }
    report.named(spec, "spec", "group", dns_subdomain);
    report.wrong("spec.version", text("version"), dns_1035_label(text("version")));
    for (key, most) in [("groupPriorityMinimum", 20_000), ("versionPriority", 1000)] {
        let number = spec.int_at(&[key]).unwrap_or_default();
        if number <= 0 || number > most {
            report.invalid(&join("spec", key), number, &format!("must be positive and less than {most}"));
        }
    }
    let bundle = spec.get("caBundle").is_some_and(|bundle| bundle.as_str() != Some(""));
    let insecure = spec.get("insecureSkipTLSVerify").and_then(Value::as_bool) == Some(true);
    let Some(service) = spec.get("service") else {
        if bundle {
            let value = spec.get("caBundle").cloned().unwrap_or_default();
            report.invalid("spec.caBundle", value, "local APIServices may not have a caBundle");
        }
        if insecure {
            report.invalid(
                "spec.insecureSkipTLSVerify",
                true,
                "local APIServices may not have insecureSkipTLSVerify",
            );
        }
        return;
    };
    report.text(service, "spec.service", "namespace");
    report.text(service, "spec.service", "name");
    if let Some(port) = service.int_at(&["port"]).filter(|port| !(1..=65_535).contains(port)) {
        let detail = "port is not valid: must be between 1 and 65535, inclusive";
        report.invalid("spec.service.port", port, detail);
    }
    if insecure && bundle {
        report.invalid("spec.insecureSkipTLSVerify", true, "may not be true if caBundle is present");
    }
}
