//! What expressions see of a write.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_cel::{About, Activation, Asked, CONDITIONS_BUDGET, Decision, Question, Resource, Val};
use trueup_object::Value;

use super::Write;
use crate::authorize::{self, Deed};
use crate::cel::{Outcome, Program};
use crate::http::credentials::User;
use crate::kind::KindInfo;
use crate::state::{Name, ResourceId};
use crate::write::FieldValidation;

/// The values of all variables. A policy's own are evaluated when they are first asked for.
pub(super) struct Scene<'a> {
    write: Write<'a>,
    object: Val,
    old: Val,
    request: Val,
    params: Val,
    namespace: Val,
    variables: &'a [(String, Program)],
    made: RefCell<BTreeMap<String, Result<Val, String>>>,
    /// What the variables cost, not yet counted.
    spent: Cell<u64>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(
        write: Write<'a>,
        kind: &KindInfo,
        params: &Value,
        variables: &'a [(String, Program)],
    ) -> Self {
        let shown = |object: Option<&Value>| {
            object.map_or(Val::Null, |object| Val::from_json(&write.shown(object, kind)))
        };
        Self {
            object: shown(write.object),
            old: shown(write.old),
            request: Val::from_json(&request(&write, kind)),
            params: Val::from_json(params),
            namespace: namespace(&write),
            write,
            variables,
            made: RefCell::default(),
            spent: Cell::default(),
        }
    }

    /// The object as an earlier change of the same policy left it.
    pub(super) fn set_object(&mut self, object: &Value) {
        self.object = Val::from_json(object);
        self.made.borrow_mut().clear();
    }

    /// What the variables cost since this was asked last.
    pub(super) fn take_spent(&self) -> u64 {
        self.spent.take()
    }

    pub(super) fn evaluate(&self, program: &Program, budget: &mut u64) -> Outcome {
        program.evaluate(self, &|| self.take_spent(), budget)
    }

    /// Whether all conditions hold. An error counts only where no condition is false.
    pub(super) fn holds(&self, conditions: &[Program]) -> Result<bool, String> {
        let mut budget = CONDITIONS_BUDGET;
        let mut errors: Vec<String> = Vec::new();
        for condition in conditions {
            match self.evaluate(condition, &mut budget) {
                Outcome::Value(Val::Bool(false)) => return Ok(false),
                Outcome::Value(_) => {}
                Outcome::Failed(words) if errors.contains(&words) => {}
                Outcome::Failed(words) => errors.push(words),
                Outcome::OutOfBudget(words) => return Err(words),
            }
        }
        match errors.as_slice() {
            [] => Ok(true),
            [one] => Err(one.clone()),
            many => Err(format!("[{}]", many.join(", "))),
        }
    }

    fn user(&self, asked: &Asked) -> User {
        let Some((namespace, name)) = &asked.service_account else { return self.write.user.clone() };
        let mut user = self.write.user.clone();
        user.name = format!("system:serviceaccount:{namespace}:{name}").into();
        user.uid = trueup_object::value::Text::default();
        user.groups = vec![
            "system:serviceaccounts".into(),
            format!("system:serviceaccounts:{namespace}").into(),
            "system:authenticated".into(),
        ];
        user
    }
}

impl Activation for Scene<'_> {
    fn variable(&self, name: &str) -> Option<Val> {
        Some(match name {
            "object" => self.object.clone(),
            "oldObject" => self.old.clone(),
            "request" => self.request.clone(),
            "params" => self.params.clone(),
            "namespaceObject" => self.namespace.clone(),
            "authorizer" => Val::Asked(Arc::new(Asked::requester())),
            "authorizer.requestResource" => {
                let target = &self.write.change.target;
                Val::Asked(Arc::new(Asked::resource(Resource {
                    group: target.served.kind.gvk.group.clone(),
                    resource: target.served.kind.plural.clone(),
                    subresource: target.subresource.unwrap_or_default().into(),
                    namespace: target.namespace.into(),
                    name: target.name.unwrap_or_default().into(),
                    ..Resource::default()
                })))
            }
            _ => return None,
        })
    }

    fn lazy_field(&self, variable: &str, field: &str) -> Option<Result<Val, String>> {
        if variable != "variables" {
            return None;
        }
        if let Some(made) = self.made.borrow().get(field) {
            return Some(made.clone());
        }
        let (_, program) = self.variables.iter().find(|(name, _)| name == field)?;
        let made = match &program.compiled {
            Err(words) => Err(format!("composited variable {field:?} fails to compile: {words}")),
            Ok(expression) => {
                let (result, cost) = expression.evaluate(self);
                self.spent.set(self.spent.get().saturating_add(cost));
                result.map_err(|error| format!("composited variable {field:?} fails to evaluate: {error}"))
            }
        };
        self.made.borrow_mut().insert(field.to_owned(), made.clone());
        Some(made)
    }

    fn decide(&self, question: &Question) -> Decision {
        let user = self.user(&question.asked);
        let deed = match &question.asked.about {
            About::Path(path) => Deed::Path { verb: &question.verb, path },
            About::Resource(resource) => Deed::Resource {
                verb: &question.verb,
                group: &resource.group,
                resource: &resource.resource,
                subresource: &resource.subresource,
                namespace: &resource.namespace,
                name: &resource.name,
            },
            About::Nothing | About::Group(_) => return Decision::unknown(),
        };
        let reason = authorize::reason(self.write.api, &user, deed);
        Decision { allowed: reason.is_some(), reason: reason.unwrap_or_default(), error: None }
    }
}

/// The namespace of the object, as far as expressions may see it; a namespace is in none.
fn namespace(write: &Write<'_>) -> Val {
    let target = &write.change.target;
    if target.namespace.is_empty() || target.served.kind.group_kind().is("", "Namespace") {
        return Val::Null;
    }
    let name = Name::new("", target.namespace);
    let Some(found) = write.api.store().get(&ResourceId::new("", "namespaces"), &name) else {
        return Val::Null;
    };
    let mut seen = Value::default();
    for part in ["spec", "status"] {
        seen.set_at(&[part], found.get(part).cloned().unwrap_or_default());
    }
    let metadata = [
        "name",
        "generateName",
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "labels",
        "annotations",
        "finalizers",
    ];
    for field in metadata {
        if let Some(value) = found.at(&["metadata", field]) {
            seen.set_at(&["metadata", field], value.clone());
        }
    }
    Val::from_json(&seen)
}

/// The request as expressions see it. What is empty is not there.
pub(in crate::admission) fn request(write: &Write<'_>, kind: &KindInfo) -> Value {
    let target = &write.change.target;
    let mut request = Value::default();
    let asked = &target.served.kind;
    for (field, kind) in [("kind", kind), ("requestKind", asked)] {
        let gvk = write.gvk(kind);
        for (name, text) in [("group", &gvk.group), ("version", &gvk.version), ("kind", &gvk.kind)] {
            request.set_at(&[field, name], text.clone().into());
        }
    }
    for (field, kind) in [("resource", kind), ("requestResource", asked)] {
        let parts = [("group", &kind.gvk.group), ("version", &kind.gvk.version), ("resource", &kind.plural)];
        for (name, text) in parts {
            request.set_at(&[field, name], text.clone().into());
        }
    }
    let subresource = target.subresource.unwrap_or_default();
    let is_namespace = asked.group_kind().is("", "Namespace");
    let namespace = if is_namespace { write.name() } else { target.namespace };
    let texts = [
        ("subResource", subresource),
        ("requestSubResource", subresource),
        ("name", target.name.unwrap_or(write.name())),
        ("namespace", namespace),
    ];
    for (field, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
        request.set_at(&[field], text.into());
    }
    request.set_at(&["uid"], "".into());
    request.set_at(&["operation"], write.operation().into());
    request.set_at(&["userInfo", "username"], write.user.name.clone().into());
    if !write.user.uid.is_empty() {
        request.set_at(&["userInfo", "uid"], write.user.uid.clone().into());
    }
    let groups = write.user.groups.iter().map(|group| Value::from(group.clone())).collect();
    request.set_at(&["userInfo", "groups"], Value::List(groups));
    request.set_at(&["object"], Value::Null);
    request.set_at(&["oldObject"], Value::Null);
    request.set_at(&["dryRun"], write.change.dry_run.into());
    request.set_at(&["options"], options(write));
    request
}

fn options(write: &Write<'_>) -> Value {
    let change = write.change;
    let mut options = Value::default();
    if let (Some(deletes), Some(old)) = (write.deletes, write.old) {
        return deletes.to_value(&change.target.served.kind, old);
    }
    // A patch has the options of what it comes to.
    let kind = if write.old.is_some() { "UpdateOptions" } else { "CreateOptions" };
    options.set_at(&["kind"], kind.into());
    options.set_at(&["apiVersion"], "meta.k8s.io/v1".into());
    if let Some(manager) = change.field_manager.filter(|manager| !manager.is_empty()) {
        options.set_at(&["fieldManager"], manager.into());
    }
    if let Some(validation) = change.field_validation {
        let validation = match validation {
            FieldValidation::Ignore => "Ignore",
            FieldValidation::Warn => "Warn",
            FieldValidation::Strict => "Strict",
        };
        options.set_at(&["fieldValidation"], validation.into());
    }
    if change.dry_run {
        options.set_at(&["dryRun"], Value::List(vec!["All".into()]));
    }
    options
}

/// Whether a webhook's conditions hold for a write; in words where that cannot be said.
pub(in crate::admission) fn condition_problem(
    write: Write<'_>,
    kind: &KindInfo,
    conditions: &[Value],
) -> Result<bool, String> {
    if conditions.is_empty() {
        return Ok(true);
    }
    let scope = crate::cel::policy::Scope::of(&Value::default(), false);
    let programs: Vec<Program> = conditions
        .iter()
        .map(|it| scope.condition(it.str_at(&["expression"]).unwrap_or_default().trim()))
        .collect();
    let mut scene = Scene::new(write, kind, &Value::Null, &[]);
    scene.namespace = Val::Null;
    scene.holds(&programs)
}
