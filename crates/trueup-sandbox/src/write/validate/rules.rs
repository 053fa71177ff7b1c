//! What makes the rules of a custom resource definition (`x-kubernetes-validations`) invalid.

use trueup_cel::Declarations;
use trueup_object::Value;
use trueup_object::value::Map;

use super::Report;
use crate::cel::bounds::{bounds, limit, n_times_max};
use crate::cel::rules::{compile, field_path};
use crate::cel::schema::typed;
use crate::status::StatusCause;

const REASONS: [&str; 4] =
    ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];

/// The rules of all versions. One schema that all versions share is told of as the definition's own.
pub(super) fn definition(report: &mut Report, object: &Value, live: Option<&Value>) {
    let versions = object.list_at(&["spec", "versions"]);
    let schema = |version: &Value| version.at(&["schema", "openAPIV3Schema"]).cloned();
    let schemas: Vec<Option<Value>> = versions.iter().map(schema).collect();
    let told = |report: &mut Report, version: &Value, schema: &Value, path: &str| {
        let mut costs = Costs { is_known: is_unchanged(version, live), ..Costs::default() };
        node(report, schema, Place { path, is_root: true, uncorrelated: None, times: Some(1) }, &mut costs);
        costs.judge(report, path);
    };
    if let ([version, ..], [Some(first), rest @ ..]) = (versions, schemas.as_slice())
        && rest.iter().all(|other| other.as_ref() == Some(first))
    {
        told(report, version, first, "spec.validation.openAPIV3Schema");
        return;
    }
    for (index, (version, schema)) in versions.iter().zip(&schemas).enumerate() {
        if let Some(schema) = schema {
            told(report, version, schema, &format!("spec.versions[{index}].schema.openAPIV3Schema"));
        }
    }
}

/// Whether a version's schema is what it was before: its rules were let pass then.
fn is_unchanged(version: &Value, live: Option<&Value>) -> bool {
    let before = live.and_then(|live| {
        live.list_at(&["spec", "versions"]).iter().find(|before| before.get("name") == version.get("name"))
    });
    before.is_some_and(|before| before.get("schema") == version.get("schema"))
}

/// Where a schema stands in a definition.
#[derive(Clone, Copy)]
struct Place<'a> {
    path: &'a str,
    is_root: bool,
    /// The list above it whose items are not found again in an older object.
    uncorrelated: Option<&'a str>,
    /// How often it may stand in one object, where lists and maps above it are limited.
    times: Option<u64>,
}

fn node(report: &mut Report, schema: &Value, place: Place<'_>, costs: &mut Costs) {
    if schema.as_map().is_none() {
        return;
    }
    let Place { path, uncorrelated, .. } = place;
    let times = place.times.and_then(|times| Some(times.saturating_mul(n_elements_max(schema)?)));
    let below = Place { path: "", is_root: false, uncorrelated, times };
    if let Some(values) = schema.get("additionalProperties") {
        let path = format!("{path}.additionalProperties");
        node(report, values, Place { path: &path, ..below }, costs);
    }
    for (name, property) in schema.get("properties").and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        let path = format!("{path}.properties[{name}]");
        node(report, property, Place { path: &path, ..below }, costs);
    }
    if let Some(items) = schema.get("items") {
        let is_map = schema.str_at(&["x-kubernetes-list-type"]) == Some("map");
        let uncorrelated = uncorrelated.or((!is_map).then_some(path));
        let path = format!("{path}.items");
        node(report, items, Place { path: &path, uncorrelated, ..below }, costs);
    }
    own(report, schema, place, costs);
}

/// How many of what stands below it a schema allows: nothing where it does not say.
fn n_elements_max(schema: &Value) -> Option<u64> {
    match schema.str_at(&["type"]) {
        Some("object") if schema.get("additionalProperties").is_some() => limit(schema, "maxProperties"),
        Some("array") => limit(schema, "maxItems"),
        Some(_) | None => Some(1),
    }
}

/// The rules of one schema itself.
fn own(report: &mut Report, schema: &Value, place: Place<'_>, costs: &mut Costs) {
    let Place { path, is_root, uncorrelated, times } = place;
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
    let bounds = bounds(schema, is_root).unwrap_or_default();
    let times = times.unwrap_or_else(|| n_times_max(&bounds));
    for (index, rule) in rules.iter().enumerate() {
        let path = format!("{path}.x-kubernetes-validations[{index}]");
        let compiled = compile(rule, schema, &its, &declared);
        let cost = compiled.compiled.as_ref().map_or(0, |rule| rule.cost_max(&bounds));
        costs.observe(report, &format!("{path}.rule"), "estimated rule cost", cost.saturating_mul(times));
        if let Err(words) = &compiled.compiled {
            report.causes.push(invalid_rule(&format!("{path}.rule"), rule, words));
        }
        match &compiled.message {
            Some(Err(words)) => {
                report.causes.push(invalid_rule(&format!("{path}.messageExpression"), rule, words));
            }
            Some(Ok(message)) => {
                let field = format!("{path}.messageExpression");
                let what = "estimated messageExpression cost";
                costs.observe(report, &field, what, message.cost_max(&bounds));
            }
            None => {}
        }
        let text = rule.str_at(&["rule"]).unwrap_or_default();
        if let Some(list) = uncorrelated.filter(|_| compiled.uses_old()) {
            let detail =
                format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {list}");
            report.invalid(&format!("{path}.rule"), text, &detail);
        } else if let Some(optional) = rule.get("optionalOldSelf").filter(|_| !compiled.uses_old()) {
            let detail = "may not be set if oldSelf is not used in rule";
            report.invalid(&format!("{path}.optionalOldSelf"), optional.clone(), detail);
        }
    }
}

/// What the rules of one schema may cost.
#[derive(Default)]
struct Costs {
    /// The rules were accepted before: one by one they are not judged again.
    is_known: bool,
    total: u64,
    /// The most expensive ones, these first.
    most: Vec<(u64, String)>,
}

/// The most that one rule may cost, as often as what it is about may stand in an object.
const RULE_LIMIT: u64 = 10_000_000;
/// The most that all rules of a schema may cost together.
const SCHEMA_LIMIT: u64 = 100_000_000;
/// So many rules are named where all of them together are too expensive.
const N_NAMED_MAX: usize = 4;

impl Costs {
    fn observe(&mut self, report: &mut Report, field: &str, what: &str, cost: u64) {
        if cost > RULE_LIMIT && !self.is_known {
            report.causes.push(StatusCause::forbidden(field, &over(what, cost, RULE_LIMIT)));
        }
        self.total = self.total.saturating_add(cost);
        if cost >= SCHEMA_LIMIT / 100 {
            self.most.push((cost, field.to_owned()));
            self.most.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
            self.most.truncate(N_NAMED_MAX);
        }
    }

    fn judge(self, report: &mut Report, path: &str) {
        if self.total <= SCHEMA_LIMIT {
            return;
        }
        let words =
            "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
        report.causes.extend(self.most.iter().map(|(_, field)| StatusCause::forbidden(field, words)));
        let what = "x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema";
        report.causes.push(StatusCause::forbidden(path, &over(what, self.total, SCHEMA_LIMIT)));
    }
}

fn over(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = if factor > 100.0 {
        "more than 100x".to_owned()
    } else if factor < 1.5 {
        format!("{factor:.6}x")
    } else {
        format!("{factor:.1}x")
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and \
         maxLength where arrays, maps, and strings are declared)"
    )
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
