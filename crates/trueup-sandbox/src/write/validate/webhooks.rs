//! Admission: webhooks, policies and their bindings. Their expressions are checked beside this.

use std::collections::BTreeSet;

use trueup_object::Value;

use super::names::{dns_subdomain, qualified_name};
use super::{Report, join};

static NOTHING: Value = Value::Null;

pub fn configuration(report: &mut Report, object: &Value, live: Option<&Value>, mutating: bool) {
    // Names that were let pass before stay.
    let had_own_names = live.is_none_or(has_own_names);
    let mut names = BTreeSet::new();
    for (index, webhook) in object.list_at(&["webhooks"]).iter().enumerate() {
        let path = format!("webhooks[{index}]");
        review_versions(report, webhook, &path);
        self::webhook(report, webhook, &path);
        let name = webhook.str_at(&["name"]).unwrap_or_default();
        if !name.is_empty() && !names.insert(name) && had_own_names {
            report.duplicate(&join(&path, "name"), name);
        }
        if mutating {
            report.optional(webhook, &path, "reinvocationPolicy", &["IfNeeded", "Never"]);
        }
    }
}

/// Whether no two webhooks have the same name.
fn has_own_names(configuration: &Value) -> bool {
    let mut names = BTreeSet::new();
    configuration.list_at(&["webhooks"]).iter().all(|webhook| names.insert(webhook.str_at(&["name"])))
}

/// The versions in which a review can be sent.
const REVIEW_VERSIONS: [&str; 2] = ["v1", "v1beta1"];

fn review_versions(report: &mut Report, webhook: &Value, path: &str) {
    let field = join(path, "admissionReviewVersions");
    let versions = webhook.list_at(&["admissionReviewVersions"]);
    if versions.is_empty() {
        return report.required(&field, "must specify one of v1, v1beta1");
    }
    let mut seen = BTreeSet::new();
    for (index, version) in versions.iter().filter_map(Value::as_str).enumerate() {
        if !seen.insert(version) {
            report.invalid(&format!("{field}[{index}]"), version, "duplicate version");
        }
    }
    if !seen.iter().any(|version| REVIEW_VERSIONS.contains(version)) {
        report.invalid(&field, Value::List(versions.to_vec()), "must include at least one of v1, v1beta1");
    }
}

/// How long a webhook may take.
const TIMEOUT_SECONDS_MAX: i64 = 30;

fn webhook(report: &mut Report, webhook: &Value, path: &str) {
    let name = webhook.str_at(&["name"]).unwrap_or_default();
    let field = join(path, "name");
    if name.is_empty() {
        report.required(&field, "");
    } else {
        let wrong = dns_subdomain(name);
        if wrong.is_empty() && name.split('.').count() < 3 {
            report.invalid(&field, name, "should be a domain with at least three segments separated by dots");
        }
        report.wrong(&field, name, wrong);
    }
    for (index, rule) in webhook.list_at(&["rules"]).iter().enumerate() {
        self::rule(report, rule, &format!("{path}.rules[{index}]"));
    }
    report.optional(webhook, path, "failurePolicy", &["Fail", "Ignore"]);
    report.optional(webhook, path, "matchPolicy", &["Equivalent", "Exact"]);
    match webhook.str_at(&["sideEffects"]) {
        None => report.required(&join(path, "sideEffects"), "must specify one of None, NoneOnDryRun"),
        Some(effects) => report.supported(&join(path, "sideEffects"), effects, &["None", "NoneOnDryRun"]),
    }
    if let Some(seconds) =
        webhook.int_at(&["timeoutSeconds"]).filter(|it| !(1..=TIMEOUT_SECONDS_MAX).contains(it))
    {
        let detail = "the timeout value must be between 1 and 30 seconds";
        report.invalid(&join(path, "timeoutSeconds"), seconds, detail);
    }
    for key in ["namespaceSelector", "objectSelector"] {
        if let Some(selector) = webhook.get(key) {
            report.label_selector(selector, &join(path, key));
        }
    }
    client(report, webhook.get("clientConfig").unwrap_or(&NOTHING), &join(path, "clientConfig"));
    conditions(report, webhook, path);
}

fn client(report: &mut Report, client: &Value, path: &str) {
    match (client.str_at(&["url"]), client.get("service")) {
        (Some(_), Some(_)) | (None, None) => {
            report.required(path, "exactly one of url or service is required");
        }
        (Some(url), None) => address(report, url, &join(path, "url")),
        (None, Some(service)) => {
            let path = join(path, "service");
            report.text(service, &path, "name");
            // The server asks for both under the name's path.
            if service.str_at(&["namespace"]).is_none_or(str::is_empty) {
                report.required(&join(&path, "name"), "");
            }
            if let Some(at) = service.str_at(&["path"]) {
                service_path(report, at, &join(&path, "path"));
            }
            if let Some(port) = service.int_at(&["port"]).filter(|port| !(1..=65_535).contains(port)) {
                let detail = "port is not valid: must be between 1 and 65535, inclusive";
                report.invalid(&join(&path, "port"), port, detail);
            }
        }
    }
}

/// An address as `https://host[/path]`.
fn address(report: &mut Report, url: &str, field: &str) {
    let form = "desired format: https://host[/path]";
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    if scheme != "https" {
        report.invalid(field, scheme, &format!("'https' is the only allowed URL scheme; {form}"));
    }
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if host.is_empty() {
        report.invalid(field, "", &format!("host must be specified; {form}"));
    }
    if let Some((user, _)) = host.split_once('@') {
        report.invalid(field, user, "user information is not permitted in the URL");
    }
    let fragment = rest.split_once('#').map_or("", |(_, fragment)| fragment);
    if !fragment.is_empty() {
        report.invalid(field, fragment, "fragments are not permitted in the URL");
    }
    let query = rest.split('#').next().and_then(|rest| rest.split_once('?')).map_or("", |(_, query)| query);
    if !query.is_empty() {
        report.invalid(field, query, "query parameters are not permitted in the URL");
    }
}

fn service_path(report: &mut Report, at: &str, field: &str) {
    if !at.starts_with('/') {
        report.invalid(field, at, "must start with a '/'");
    }
    if at == "/" {
        return;
    }
    for (index, part) in at.split('/').skip(1).enumerate() {
        if part.is_empty() {
            report.invalid(field, at, &format!("segment[{index}] may not be empty"));
        }
        for message in dns_subdomain(part).into_iter().filter(|_| !part.is_empty()) {
            report.invalid(field, at, &format!("segment[{index}]: {message}"));
        }
    }
    if !at.contains('/') {
        report.invalid(field, at, "segment[0] may not be empty");
    }
}

/// What a webhook or a policy is asked about.
fn rule(report: &mut Report, rule: &Value, path: &str) {
    let listed = |key: &str| -> Vec<&str> { rule.list_at(&[key]).iter().filter_map(Value::as_str).collect() };
    let operations = listed("operations");
    let field = join(path, "operations");
    if operations.is_empty() {
        report.required(&field, "");
    }
    if operations.len() > 1 && operations.contains(&"*") {
        let value = Value::List(rule.list_at(&["operations"]).to_vec());
        report.invalid(&field, value, "if '*' is present, must not specify other operations");
    }
    for (index, operation) in operations.iter().enumerate() {
        let known = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
        report.supported(&format!("{field}[{index}]"), operation, &known);
    }
    for (key, what) in [("apiGroups", "API groups"), ("apiVersions", "API versions")] {
        let items = listed(key);
        let field = join(path, key);
        if items.is_empty() {
            report.required(&field, "");
        }
        if items.len() > 1 && items.contains(&"*") {
            let value = Value::List(rule.list_at(&[key]).to_vec());
            report.invalid(&field, value, &format!("if '*' is present, must not specify other {what}"));
        }
        for (index, _) in items.iter().enumerate().filter(|(_, item)| key == "apiVersions" && item.is_empty())
        {
            report.required(&format!("{field}[{index}]"), "");
        }
    }
    resources(report, rule, &listed("resources"), path);
    report.optional(rule, path, "scope", &["*", "Cluster", "Namespaced"]);
}

fn resources(report: &mut Report, rule: &Value, items: &[&str], path: &str) {
    let field = join(path, "resources");
    if items.is_empty() {
        report.required(&field, "");
    }
    let value = || Value::List(rule.list_at(&["resources"]).to_vec());
    let mut all_of = BTreeSet::new();
    for (index, item) in items.iter().enumerate() {
        let at = format!("{field}[{index}]");
        match item.split_once('/') {
            None if item.is_empty() => report.required(&at, ""),
            Some((resource, "*")) if resource != "*" => {
                all_of.insert(resource);
            }
            Some((resource, _)) if all_of.contains(resource) => {
                report.invalid(&at, *item, &format!("if '{resource}/*' is present, must not specify {item}"));
            }
            Some(_) | None => {}
        }
    }
    if items.len() > 1 && items.contains(&"*/*") {
        report.invalid(&field, value(), "if '*/*' is present, must not specify other resources");
    }
    if items.contains(&"*") && items.iter().any(|item| *item != "*" && !item.contains('/')) {
        let detail = "if '*' is present, must not specify other resources without subresources";
        report.invalid(&field, value(), detail);
    }
}

fn conditions(report: &mut Report, object: &Value, path: &str) {
    for (index, condition) in object.list_at(&["matchConditions"]).iter().enumerate() {
        let path = format!("{path}.matchConditions[{index}]");
        if condition.str_at(&["expression"]).is_none_or(|text| text.trim().is_empty()) {
            report.required(&join(&path, "expression"), "");
        }
        let name = condition.str_at(&["name"]).unwrap_or_default();
        if name.is_empty() {
            report.required(&join(&path, "name"), "");
        } else {
            report.wrong(&join(&path, "name"), name, qualified_name(name));
        }
    }
}

/// What a policy is about, without its expressions.
pub fn policy(report: &mut Report, object: &Value, mutating: bool) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    report.optional(spec, "spec", "failurePolicy", &["Fail", "Ignore"]);
    if let Some(kind) = spec.get("paramKind") {
        for key in ["apiVersion", "kind"] {
            report.text(kind, "spec.paramKind", key);
        }
    }
    match spec.get("matchConstraints") {
        None => report.required("spec.matchConstraints", ""),
        Some(constraints) => {
            match_resources(report, constraints, "spec.matchConstraints");
            if constraints.list_at(&["resourceRules"]).is_empty() {
                report.required("spec.matchConstraints.resourceRules", "");
            }
        }
    }
    conditions(report, spec, "spec");
    for (index, variable) in spec.list_at(&["variables"]).iter().enumerate() {
        let path = format!("spec.variables[{index}]");
        let name = variable.str_at(&["name"]).unwrap_or_default();
        let first = name.bytes().next();
        let identifier = first.is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_')
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if name.is_empty() {
            report.required(&join(&path, "name"), "name is not specified");
        } else if !identifier {
            report.invalid(&join(&path, "name"), name, "must be a valid CEL identifier");
        }
        if variable.str_at(&["expression"]).is_none_or(|text| text.trim().is_empty()) {
            report.required(&join(&path, "expression"), "expression is not specified");
        }
    }
    if mutating { mutations(report, spec) } else { validations(report, object, spec) }
}

fn validations(report: &mut Report, object: &Value, spec: &Value) {
    let validations = spec.list_at(&["validations"]);
    let annotations = spec.list_at(&["auditAnnotations"]);
    if validations.is_empty() && annotations.is_empty() {
        let detail = "validations or auditAnnotations must contain at least one item";
        report.required("spec.validations", detail);
        report.required("spec.auditAnnotations", detail);
    }
    for (index, validation) in validations.iter().enumerate() {
        let path = format!("spec.validations[{index}]");
        if validation.str_at(&["expression"]).is_none_or(|text| text.trim().is_empty()) {
            report.required(&join(&path, "expression"), "expression is not specified");
        }
        if let Some(message) = validation.str_at(&["message"])
            && message.contains('\n')
        {
            report.invalid(&join(&path, "message"), message, "must not contain line breaks");
        }
        // One more is taken than the server names.
        if validation.str_at(&["reason"]) != Some("Unauthorized") {
            report.optional(validation, &path, "reason", &["Forbidden", "Invalid", "RequestEntityTooLarge"]);
        }
    }
    let policy = object.str_at(&["metadata", "name"]).unwrap_or_default();
    for (index, annotation) in annotations.iter().enumerate() {
        let path = format!("spec.auditAnnotations[{index}]");
        let key = annotation.str_at(&["key"]).unwrap_or_default();
        if key.is_empty() {
            report.required(&join(&path, "key"), "");
        } else {
            let whole = format!("{policy}/{key}");
            report.wrong(&join(&path, "key"), &whole, qualified_name(&whole));
        }
        if annotation.str_at(&["valueExpression"]).is_none_or(str::is_empty) {
            report.required(&join(&path, "valueExpression"), "valueExpression is not specified");
        }
    }
}

fn mutations(report: &mut Report, spec: &Value) {
    let mutations = spec.list_at(&["mutations"]);
    if mutations.is_empty() {
        report.required("spec.mutations", "mutations must contain at least one item");
    }
    for (index, mutation) in mutations.iter().enumerate() {
        let path = format!("spec.mutations[{index}]");
        let (own, other) = match mutation.str_at(&["patchType"]) {
            Some("ApplyConfiguration") => ("applyConfiguration", "jsonPatch"),
            Some("JSONPatch") => ("jsonPatch", "applyConfiguration"),
            None => {
                report.required(&join(&path, "patchType"), "");
                continue;
            }
            Some(kind) => {
                report.supported(&join(&path, "patchType"), kind, &["ApplyConfiguration", "JSONPatch"]);
                continue;
            }
        };
        let kind = mutation.str_at(&["patchType"]).unwrap_or_default();
        match mutation.get(own) {
            None => {
                report.required(&join(&path, own), &format!("must be specified when patchType is {kind}"))
            }
            Some(body) => {
                if body.str_at(&["expression"]).is_none_or(|text| text.trim().is_empty()) {
                    report.required(&join(&join(&path, own), "expression"), "expression is not specified");
                }
            }
        }
        if let Some(value) = mutation.get(other) {
            let detail = format!("must not be specified when patchType is {kind}");
            report.invalid(&join(&path, other), value.clone(), &detail);
        }
    }
    match spec.str_at(&["reinvocationPolicy"]) {
        None => report.required("spec.reinvocationPolicy", ""),
        Some(policy) => report.supported("spec.reinvocationPolicy", policy, &["IfNeeded", "Never"]),
    }
}

fn match_resources(report: &mut Report, constraints: &Value, path: &str) {
    report.optional(constraints, path, "matchPolicy", &["Equivalent", "Exact"]);
    for key in ["namespaceSelector", "objectSelector"] {
        if let Some(selector) = constraints.get(key) {
            report.label_selector(selector, &join(path, key));
        }
    }
    for list in ["resourceRules", "excludeResourceRules"] {
        for (index, item) in constraints.list_at(&[list]).iter().enumerate() {
            rule(report, item, &format!("{path}.{list}[{index}]"));
        }
    }
}

pub fn policy_binding(report: &mut Report, object: &Value, mutating: bool) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if report.text(spec, "spec", "policyName") {
        report.named(spec, "spec", "policyName", dns_subdomain);
    }
    if let Some(reference) = spec.get("paramRef") {
        let path = "spec.paramRef";
        let named = reference.str_at(&["name"]).is_some_and(|name| !name.is_empty());
        let selects = reference.get("selector").is_some();
        if named && selects {
            report.forbidden(&join(path, "name"), "name and selector are mutually exclusive");
            report.forbidden(&join(path, "selector"), "name and selector are mutually exclusive");
        }
        if !named && !selects {
            report.required(path, "one of name or selector must be specified");
        }
        match reference.str_at(&["parameterNotFoundAction"]) {
            None => report.required(&join(path, "parameterNotFoundAction"), ""),
            Some(action) => {
                report.supported(&join(path, "parameterNotFoundAction"), action, &["Allow", "Deny"]);
            }
        }
    }
    if let Some(resources) = spec.get("matchResources") {
        match_resources(report, resources, "spec.matchResources");
    }
    if !mutating {
        actions(report, spec.list_at(&["validationActions"]));
    }
}

fn actions(report: &mut Report, all: &[Value]) {
    let field = "spec.validationActions";
    if all.is_empty() {
        report.required(field, "at least one validation action is required");
    }
    let mut seen = BTreeSet::new();
    for (index, action) in all.iter().filter_map(Value::as_str).enumerate() {
        report.supported(&format!("{field}[{index}]"), action, &["Audit", "Deny", "Warn"]);
        if !seen.insert(action) {
            report.duplicate(&format!("{field}[{index}]"), action);
        }
    }
    if seen.contains("Deny") && seen.contains("Warn") {
        report.invalid(
            field,
            Value::List(all.to_vec()),
            "must not contain both Deny and Warn (repeating the same validation failure information in the API response \
             and headers serves no purpose)",
        );
    }
}
