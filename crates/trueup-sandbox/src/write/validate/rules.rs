//! What makes the rules of a custom resource definition (`x-kubernetes-validations`) invalid.

use trueup_cel::Declarations;
use trueup_object::Value;
use trueup_object::value::Map;

use super::Report;
use crate::cel::rules::{compile, field_path};
use crate::cel::schema::typed;
use crate::status::StatusCause;

const REASONS: [&str; 4] =
    ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// The rules of all versions. One schema that all versions share is told of as the definition's own.
pub(super) fn definition(report: &mut Report, object: &Value) {
    let versions = object.list_at(&["spec", "versions"]);
    let schema = |version: &Value| version.at(&["schema", "openAPIV3Schema"]).cloned();
    let schemas: Vec<Option<Value>> = versions.iter().map(schema).collect();
    if let [Some(first), rest @ ..] = schemas.as_slice()
        && rest.iter().all(|other| other.as_ref() == Some(first))
    {
        node(report, first, "spec.validation.openAPIV3Schema", true, true);
        return;
    }
    for (index, schema) in schemas.iter().enumerate() {
        if let Some(schema) = schema {
            node(report, schema, &format!("spec.versions[{index}].schema.openAPIV3Schema"), true, true);
        }
    }
}

fn node(report: &mut Report, schema: &Value, path: &str, is_root: bool, correlates: bool) {
    if schema.as_map().is_none() {
        return;
    }
    if let Some(values) = schema.get("additionalProperties") {
        node(report, values, &format!("{path}.additionalProperties"), false, correlates);
    }
    for (name, below) in schema.get("properties").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        node(report, below, &format!("{path}.properties[{name}]"), false, correlates);
    }
    if let Some(items) = schema.get("items") {
        let is_map = schema.str_at(&["x-kubernetes-list-type"]) == Some("map");
        node(report, items, &format!("{path}.items"), false, correlates && is_map);
    }
    let rules = schema.list_at(&["x-kubernetes-validations"]);
    if rules.is_empty() {
        return;
    }
    let n_before = report.causes.len();
    for (index, rule) in rules.iter().enumerate() {
        shape(report, rule, schema, &format!("{path}.x-kubernetes-validations[{index}]"));
    }
    if report.causes.len() > n_before {
        return;
    }
    let mut declared = Declarations::new();
    let Some((its, _)) = typed(schema, is_root, "selfType", &mut declared) else { return };
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{path}.x-kubernetes-validations[{index}]");
        let compiled = compile(rule, schema, &its, &declared);
        if let Err(words) = &compiled.compiled {
            report.causes.push(invalid_rule(&format!("{path}.rule"), rule, words));
        }
        if let Some(Err(words)) = &compiled.message {
            report.causes.push(invalid_rule(&format!("{path}.messageExpression"), rule, words));
        }
        let text = rule.str_at(&["rule"]).unwrap_or_default();
        if compiled.uses_old() && !correlates {
            let detail =
                format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {path}");
            report.invalid(&format!("{path}.rule"), text, &detail);
        } else if let Some(optional) = rule.get("optionalOldSelf").filter(|_| !compiled.uses_old()) {
            let detail = "may not be set if oldSelf is not used in rule";
            report.invalid(&format!("{path}.optionalOldSelf"), optional.clone(), detail);
        }
    }
}

/// What is wrong with a rule before anybody compiles it.
fn shape(report: &mut Report, rule: &Value, schema: &Value, path: &str) {
    let text = |key: &str| rule.str_at(&[key]).unwrap_or_default();
    let (expression, message) = (text("rule").trim(), text("message").trim());
    if expression.is_empty() {
        report.required(&format!("{path}.rule"), "rule is not specified");
    } else if !text("message").is_empty() && message.is_empty() {
        report.invalid(&format!("{path}.message"), text("message"), "must be non-empty if specified");
    } else if message.contains('\n') {
        report.invalid(&format!("{path}.message"), text("message"), "must not contain line breaks");
    } else if expression.contains('\n') && message.is_empty() {
        report.required(&format!("{path}.message"), "message must be specified if rule contains line breaks");
    }
    if !text("messageExpression").is_empty() && text("messageExpression").trim().is_empty() {
        let field = format!("{path}.messageExpression");
        report.required(&field, "messageExpression must be non-empty if specified");
    }
    if !text("reason").is_empty() && !REASONS.contains(&text("reason")) {
        let field = format!("{path}.reason");
        report.causes.push(StatusCause::not_supported(&field, &text("reason").into(), &REASONS));
    }
    if !text("fieldPath").is_empty() && field_path(text("fieldPath"), schema).is_none() {
        report.invalid(&format!("{path}.fieldPath"), text("fieldPath"), "must be a valid path");
    }
}

/// The server shows a rule that does not compile as JSON of its internal type, in Go's own spelling.
fn invalid_rule(field: &str, rule: &Value, words: &str) -> StatusCause {
    let json = |key: &str, missing: Value| match rule.get(key) {
        None | Some(Value::Null) => missing.to_json(),
        Some(value) => value.to_json(),
    };
    let shown = format!(
        "{{\"Rule\":{},\"Message\":{},\"MessageExpression\":{},\"Reason\":{},\"FieldPath\":{},\"OptionalOldSelf\":{}}}",
        json("rule", "".into()),
        json("message", "".into()),
        json("messageExpression", "".into()),
        json("reason", Value::Null),
        json("fieldPath", "".into()),
        json("optionalOldSelf", Value::Null),
    );
    let shown = shown.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
    StatusCause::new("FieldValueInvalid", field, format!("Invalid value: {shown}: {words}"))
}
