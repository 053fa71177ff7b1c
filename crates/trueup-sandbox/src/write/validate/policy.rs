//! Expressions of admission policies and of webhooks' conditions: those that do not compile make their object invalid
//! (`pkg/apis/admissionregistration/validation`). All else about these kinds is checked beside this.

use trueup_object::Value;

use super::Report;
use crate::cel::policy::Scope;

static NOTHING: Value = Value::Null;

fn text<'a>(value: &'a Value, keys: &[&str]) -> &'a str {
    value.str_at(keys).unwrap_or_default()
}

/// The expressions of an object of this group.
pub(super) fn expressions(report: &mut Report, kind: &str, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    match kind {
        "ValidatingAdmissionPolicy" => validating(report, spec),
        "MutatingAdmissionPolicy" => mutating(report, spec),
        "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration" => {
            for (index, webhook) in object.list_at(&["webhooks"]).iter().enumerate() {
                let scope = Scope::of(&NOTHING, false);
                conditions(report, webhook, &scope, &format!("webhooks[{index}]"));
            }
        }
        _ => {}
    }
}

fn conditions(report: &mut Report, of: &Value, scope: &Scope, path: &str) {
    for (index, it) in of.list_at(&["matchConditions"]).iter().enumerate() {
        let expression = text(it, &["expression"]).trim();
        if !expression.is_empty() {
            let field = format!("{path}.matchConditions[{index}].expression");
            report.causes.extend(scope.condition(expression).cause(&field));
        }
    }
}

fn variables(report: &mut Report, spec: &Value, scope: &mut Scope) {
    for (index, it) in spec.list_at(&["variables"]).iter().enumerate() {
        let expression = text(it, &["expression"]);
        if !expression.trim().is_empty() {
            let program = scope.variable(text(it, &["name"]), expression);
            report.causes.extend(program.cause(&format!("spec.variables[{index}].expression")));
        }
    }
}

fn validating(report: &mut Report, spec: &Value) {
    let mut scope = Scope::of(spec, false);
    conditions(report, spec, &scope, "spec");
    variables(report, spec, &mut scope);
    for (index, it) in spec.list_at(&["validations"]).iter().enumerate() {
        let path = format!("spec.validations[{index}]");
        let (expression, message) = (text(it, &["expression"]), text(it, &["messageExpression"]));
        if !expression.trim().is_empty() {
            report.causes.extend(scope.validation(expression).cause(&format!("{path}.expression")));
        }
        if !message.trim().is_empty() {
            report.causes.extend(scope.message(message).cause(&format!("{path}.messageExpression")));
        }
    }
    for (index, it) in spec.list_at(&["auditAnnotations"]).iter().enumerate() {
        let expression = text(it, &["valueExpression"]).trim();
        if !expression.is_empty() {
            let field = format!("spec.auditAnnotations[{index}].valueExpression");
            report.causes.extend(scope.annotation(expression).cause(&field));
        }
    }
}

fn mutating(report: &mut Report, spec: &Value) {
    let mut scope = Scope::of(spec, true);
    conditions(report, spec, &scope, "spec");
    variables(report, spec, &mut scope);
    for (index, it) in spec.list_at(&["mutations"]).iter().enumerate() {
        let (key, patches): (_, fn(&Scope, &str) -> _) = match text(it, &["patchType"]) {
            "JSONPatch" => ("jsonPatch", Scope::json_patch),
            "ApplyConfiguration" => ("applyConfiguration", Scope::apply_configuration),
            _ => continue,
        };
        let expression = text(it, &[key, "expression"]).trim();
        if !expression.is_empty() {
            let field = format!("spec.mutations[{index}].{key}.expression");
            report.causes.extend(patches(&scope, expression).cause(&field));
        }
    }
}
