//! Validating policies.

use std::collections::BTreeMap;

use trueup_cel::{BUDGET, Val};
use trueup_object::Value;

use super::scene::Scene;
use super::{Write, bound, matching, params};
use crate::audit::Trail;
use crate::cel::Outcome;
use crate::cel::policy::{Policy, Validation};
use crate::kind::KindInfo;
use crate::status::{ApiStatus, StatusCause, StatusReason};

/// The longest text that a message's expression may make, in bytes.
const N_MESSAGE_BYTES_MAX: usize = 5 * 1024;

/// The longest text that is noted in the audit log, in bytes.
const N_NOTE_BYTES_MAX: usize = 10 * 1024;

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
        let mut notes = Notes::default();
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
                let actions = binding.list_at(&["spec", "validationActions"]);
                let whose = Binding { policy: &policy.name, name, actions, trail: write.trail };
                whose.act(told, &mut refusals, warnings, &mut notes);
            }
        }
        notes.publish(&write, &policy.name);
    }
    match refusals.into_iter().next() {
        Some(refusal) => Err(refusal.into_status(&write)),
        None => Ok(()),
    }
}

/// What the bindings of one policy have noted in the audit log, by key.
#[derive(Default)]
struct Notes(BTreeMap<String, Vec<String>>);

impl Notes {
    /// What several bindings say alike is said once.
    fn add(&mut self, key: String, value: String) {
        let values = self.0.entry(key).or_default();
        if !values.contains(&value) {
            values.push(value);
        }
    }

    fn publish(self, write: &Write<'_>, policy: &str) {
        for (key, values) in self.0 {
            write.trail.annotate(&format!("{policy}/{key}"), &values.join(", "));
        }
    }
}

struct Binding<'a> {
    policy: &'a str,
    name: &'a str,
    actions: &'a [Value],
    trail: &'a Trail,
}

impl Binding<'_> {
    fn act(
        &self,
        told: Vec<Told>,
        refusals: &mut Vec<Refusal>,
        warnings: &mut Vec<String>,
        notes: &mut Notes,
    ) {
        let refuse = |refusals: &mut Vec<Refusal>, denial| {
            let (policy, binding) = (self.policy.to_owned(), Some(self.name.to_owned()));
            refusals.push(Refusal { policy, binding, denial });
        };
        for told in told {
            match told {
                Told::Denied(index, denial) => {
                    if self.asks_for("Audit") {
                        self.note_failure(index, &denial);
                    }
                    if self.asks_for("Warn") {
                        warnings.push(format!(
                            "Validation failed for ValidatingAdmissionPolicy '{}' with binding '{}': {}",
                            self.policy, self.name, denial.message
                        ));
                    }
                    if self.asks_for("Deny") {
                        refuse(refusals, denial);
                    }
                }
                Told::Noted(key, value) => notes.add(key, value),
                // What is to be noted in the audit log and cannot be made out is refused whatever the actions.
                Told::NotNoted(denial) => refuse(refusals, denial),
            }
        }
    }

    fn asks_for(&self, action: &str) -> bool {
        self.actions.iter().any(|it| it.as_str() == Some(action))
    }

    /// The first failure of a request alone is noted: the key of all is the same.
    fn note_failure(&self, index: usize, denial: &Denial) {
        // In the order of the server's own type.
        let text = |text: &str| Value::from(text).to_json();
        let json = format!(
            "[{{\"message\":{},\"policy\":{},\"binding\":{},\"expressionIndex\":{index},\"validationActions\":{}}}]",
            text(&denial.message),
            text(self.policy),
            text(self.name),
            Value::List(self.actions.to_vec()).to_json(),
        );
        let json = json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026");
        self.trail.annotate("validation.policy.admission.k8s.io/validation_failure", &json);
    }
}

/// What asking a policy gives where there is something to do about it.
enum Told {
    /// By the rule with this index.
    Denied(usize, Denial),
    Noted(String, String),
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
        let mut status = ApiStatus::forbidden(kind, write.shown_name(), &message);
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
    let error = |index: usize, words: String| {
        if policy.fails_open() { Vec::new() } else { vec![Told::Denied(index, denied(words))] }
    };
    match scene.holds(&policy.conditions) {
        Ok(true) => {}
        Ok(false) => return Vec::new(),
        Err(words) => return error(0, words),
    }
    let mut budget = BUDGET;
    let mut outcomes = Vec::new();
    for validation in &policy.validations {
        match scene.evaluate(&validation.expression, &mut budget) {
            Outcome::OutOfBudget(words) => return error(0, words),
            outcome => outcomes.push((validation, outcome)),
        }
    }
    // The messages of all rules are made, also of those that hold, from what is left of the budget.
    let messages = messages(&scene, policy, &mut budget);
    let mut told = Vec::new();
    for (index, (validation, outcome)) in outcomes.into_iter().enumerate() {
        match (outcome, &messages) {
            (Outcome::Failed(words) | Outcome::OutOfBudget(words), _) => told.extend(error(index, words)),
            (Outcome::Value(_), Err(words)) => {
                told.extend(error(index, format!("failed messageExpression: {words}")));
            }
            (Outcome::Value(Val::Bool(true)), Ok(_)) => {}
            (Outcome::Value(_), Ok(messages)) => {
                let made = messages.get(index).and_then(Option::as_deref);
                let reason = validation.reason.clone().unwrap_or_else(|| "Invalid".to_owned());
                let denial = Denial { message: message(validation, made), reason: Some(reason) };
                told.push(Told::Denied(index, denial));
            }
        }
    }
    match noted(&scene, policy) {
        Ok(notes) => told.extend(notes),
        // What the audit log costs too much takes the place of all else.
        Err(words) => return error(0, words),
    }
    told
}

/// The texts that the messages' expressions make, by rule; why there are none where they cost too much.
fn messages(scene: &Scene<'_>, policy: &Policy, budget: &mut u64) -> Result<Vec<Option<String>>, String> {
    let mut made = Vec::with_capacity(policy.validations.len());
    for validation in &policy.validations {
        let Some(program) = &validation.message_expression else {
            made.push(None);
            continue;
        };
        made.push(match scene.evaluate(program, budget) {
            Outcome::Value(Val::String(text)) => Some(text.trim().to_owned()),
            Outcome::Value(_) | Outcome::Failed(_) => None,
            Outcome::OutOfBudget(words) => return Err(words),
        });
    }
    Ok(made)
}

/// What the policy has noted in the audit log; why not where that costs too much.
fn noted(scene: &Scene<'_>, policy: &Policy) -> Result<Vec<Told>, String> {
    let mut budget = BUDGET;
    let mut told = Vec::new();
    for (key, annotation) in &policy.annotations {
        match scene.evaluate(annotation, &mut budget) {
            Outcome::Value(Val::String(text)) => {
                let text = cut(text.trim(), N_NOTE_BYTES_MAX);
                if !text.is_empty() {
                    told.push(Told::Noted(key.clone(), text.to_owned()));
                }
            }
            Outcome::Failed(words) if !policy.fails_open() => told.push(Told::NotNoted(denied(words))),
            Outcome::Value(_) | Outcome::Failed(_) => {}
            Outcome::OutOfBudget(words) => return Err(words),
        }
    }
    Ok(told)
}

/// As much of a text as fits.
fn cut(text: &str, n_bytes_max: usize) -> &str {
    let end = (0..=n_bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or_default()).unwrap_or_default()
}

/// The message of a rule that does not hold: its expression's, its own, or the rule itself.
fn message(validation: &Validation, made: Option<&str>) -> String {
    let fits = |text: &&str| !text.is_empty() && text.len() <= N_MESSAGE_BYTES_MAX && !text.contains('\n');
    if let Some(text) = made.filter(fits) {
        return text.to_owned();
    }
    if validation.message.is_empty() {
        format!("failed expression: {}", validation.expression.source.trim())
    } else {
        validation.message.clone()
    }
}
