//! Validating policies.

use trueup_cel::{BUDGET, Val};
use trueup_object::Value;

use super::scene::Scene;
use super::{Write, bound, matching, params};
use crate::cel::policy::{Policy, Validation};
use crate::cel::{Outcome, Program};
use crate::kind::KindInfo;
use crate::status::{ApiStatus, StatusCause, StatusReason};

/// The longest text that a message's expression may make, in bytes.
const N_MESSAGE_BYTES_MAX: usize = 5 * 1024;

/// A rule that does not hold, or could not be asked.
struct Denial {
    message: String,
    reason: Option<String>,
}

/// A refusal by a policy, and by which binding.
struct Refusal {
    policy: String,
    binding: Option<String>,
    denial: Denial,
}

/// Asks all validating policies about a write; says what to warn of.
pub(in crate::admission) fn validate(write: Write<'_>, warnings: &mut Vec<String>) -> Result<(), ApiStatus> {
    let mut refusals: Vec<Refusal> = Vec::new();
    for bound in bound(write.api, "validating") {
        let policy = &bound.policy;
        let Some(kind) = matching::matched(&write, policy.source.at(&["spec", "matchConstraints"])) else {
            continue;
        };
        for binding in &bound.bindings {
            let resources = binding.at(&["spec", "matchResources"]);
            if matching::matched(&write, resources).is_none() {
                continue;
            }
            let name = binding.str_at(&["metadata", "name"]).unwrap_or_default();
            let found = match params::collect(&write, &policy.source, binding) {
                Ok(found) => found,
                Err(_) if policy.fails_open() => continue,
                Err(problem) => {
                    let what = if problem.is_of_policy { "policy" } else { "binding" };
                    refusals.push(Refusal {
                        policy: policy.name.clone(),
                        binding: (!problem.is_of_policy).then(|| name.to_owned()),
                        denial: denied(format!("failed to configure {what}: {}", problem.words)),
                    });
                    continue;
                }
            };
            for param in &found {
                let told = asked(&write, policy, &kind, param);
                let whose = Binding {
                    policy: &policy.name,
                    name,
                    actions: binding.list_at(&["spec", "validationActions"]),
                };
                whose.act(told, &mut refusals, warnings);
            }
        }
    }
    match refusals.into_iter().next() {
        Some(refusal) => Err(refusal.into_status(&write)),
        None => Ok(()),
    }
}

struct Binding<'a> {
    policy: &'a str,
    name: &'a str,
    actions: &'a [Value],
}

impl Binding<'_> {
    fn act(&self, told: Vec<Told>, refusals: &mut Vec<Refusal>, warnings: &mut Vec<String>) {
        let is = |action: &str| self.actions.iter().any(|it| it.as_str() == Some(action));
        for told in told {
            let denial = match told {
                Told::Denied(denial) if is("Warn") => {
                    warnings.push(format!(
                        "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {}",
                        self.policy, self.name, denial.message
                    ));
                    if !is("Deny") {
                        continue;
                    }
                    denial
                }
                Told::Denied(denial) if is("Deny") => denial,
                Told::Denied(_) => continue,
                // What is to be noted in the audit log and cannot be made out is refused whatever the actions.
                Told::NotNoted(denial) => denial,
            };
            refusals.push(Refusal {
                policy: self.policy.to_owned(),
                binding: Some(self.name.to_owned()),
                denial,
            });
        }
    }
}

/// What asking a policy gives where not all is well.
enum Told {
    Denied(Denial),
    NotNoted(Denial),
}

fn denied(message: String) -> Denial {
    Denial { message, reason: None }
}

impl Refusal {
    fn into_status(self, write: &Write<'_>) -> ApiStatus {
        let Self { policy, binding, denial } = self;
        let with = binding.map(|binding| format!(" with binding '{binding}'")).unwrap_or_default();
        let message =
            format!("ValidatingAdmissionPolicy '{policy}'{with} denied request: {}", denial.message);
        let kind = &write.change.target.served.kind;
        let mut status = ApiStatus::forbidden(kind, write.name(), &message);
        (status.code, status.reason) = match denial.reason.as_deref() {
            Some("Forbidden") => (403, StatusReason::Forbidden),
            Some("Unauthorized") => (401, StatusReason::Unauthorized),
            Some("RequestEntityTooLarge") => (413, StatusReason::RequestEntityTooLarge),
            Some(_) | None => (422, StatusReason::Invalid),
        };
        let cause =
            StatusCause { reason: trueup_object::value::Text::default(), message, field: String::new() };
        status.with_causes(vec![cause])
    }
}

/// Asks one policy with one object of parameters.
fn asked(write: &Write<'_>, policy: &Policy, kind: &KindInfo, param: &Value) -> Vec<Told> {
    let scene = Scene::new(*write, kind, param, &policy.variables);
    let error = |words: String| {
        if policy.fails_open() { Vec::new() } else { vec![Told::Denied(denied(words))] }
    };
    match scene.holds(&policy.conditions) {
        Ok(true) => {}
        Ok(false) => return Vec::new(),
        Err(words) => return error(words),
    }
    let mut budget = BUDGET;
    let mut outcomes = Vec::new();
    for validation in &policy.validations {
        match scene.evaluate(&validation.expression, &mut budget) {
            Outcome::OutOfBudget(words) => return error(words),
            outcome => outcomes.push((validation, outcome)),
        }
    }
    let mut told = Vec::new();
    for (validation, outcome) in outcomes {
        match outcome {
            Outcome::Value(Val::Bool(true)) => {}
            Outcome::Value(_) => told.push(Told::Denied(Denial {
                message: message(&scene, validation, &mut budget),
                reason: Some(validation.reason.clone().unwrap_or_else(|| "Invalid".to_owned())),
            })),
            Outcome::Failed(words) | Outcome::OutOfBudget(words) => told.extend(error(words)),
        }
    }
    for (_, annotation) in &policy.annotations {
        told.extend(noted(&scene, annotation).filter(|_| !policy.fails_open()).map(Told::NotNoted));
    }
    told
}

/// Why the text for the audit log could not be made, where it could not.
fn noted(scene: &Scene<'_>, annotation: &Program) -> Option<Denial> {
    match scene.evaluate(annotation, &mut BUDGET.clone()) {
        Outcome::Value(_) => None,
        Outcome::Failed(words) | Outcome::OutOfBudget(words) => Some(denied(words)),
    }
}

/// The message of a rule that does not hold: its expression's, its own, or the rule itself.
fn message(scene: &Scene<'_>, validation: &Validation, budget: &mut u64) -> String {
    let made = validation.message_expression.as_ref().map(|program| scene.evaluate(program, budget));
    if let Some(Outcome::Value(Val::String(text))) = made {
        let text = text.trim();
        if !text.is_empty() && text.len() <= N_MESSAGE_BYTES_MAX && !text.contains('\n') {
            return text.to_owned();
        }
    }
    if validation.message.is_empty() {
        format!("failed expression: {}", validation.expression.source.trim())
    } else {
        validation.message.clone()
    }
}
