//! Mutating policies: each change is seen by those after it, and nobody owns what they set.

use std::collections::BTreeSet;

use trueup_cel::{BUDGET, Val};
use trueup_merge::{ListKind, Shape, TypeRef, merge};
use trueup_object::Value;

use super::scene::Scene;
use super::{Bound, Write, bound, matching, params};
use crate::api::Api;
use crate::cel::Outcome;
use crate::cel::policy::{Mutation, Policy};
use crate::kind::KindInfo;
use crate::status::{ApiStatus, StatusCause, StatusReason};
use crate::write::json_patch;

/// The bound policies that change, and which of them are to see what came after them.
pub(in crate::admission) struct Mutators {
    bound: Vec<Bound>,
    /// Policies (with binding and parameters) that ask to be asked again.
    again: BTreeSet<String>,
    /// Those of them whose object was changed after they were asked.
    due: BTreeSet<String>,
}

/// A policy that could not be asked.
struct Problem {
    policy: String,
    binding: Option<String>,
    words: String,
    is_invalid: bool,
}

impl Mutators {
    pub(in crate::admission) fn of(api: &Api) -> Self {
        Self { bound: bound(api, "mutating"), again: BTreeSet::new(), due: BTreeSet::new() }
    }

    pub(in crate::admission) fn is_empty(&self) -> bool {
        self.bound.is_empty()
    }

    /// Somebody else changed the object: those who ask for it are asked again.
    pub(in crate::admission) fn changed(&mut self) {
        self.due.append(&mut self.again.clone());
    }

    /// Asks all policies.
    pub(in crate::admission) fn mutate(&mut self, write: Write<'_>) -> Result<Option<Value>, ApiStatus> {
        self.round(write, false)
    }

    /// Asks those again whose object was changed after them.
    pub(in crate::admission) fn again(&mut self, write: Write<'_>) -> Result<Option<Value>, ApiStatus> {
        if self.due.is_empty() { Ok(None) } else { self.round(write, true) }
    }

    fn round(&mut self, write: Write<'_>, is_again: bool) -> Result<Option<Value>, ApiStatus> {
        let mut changed: Option<Value> = None;
        let mut problems = Vec::new();
        let due = std::mem::take(&mut self.due);
        for bound in &self.bound {
            let policy = &bound.policy;
            let Some(kind) = matching::matched(&write, policy.source.at(&["spec", "matchConstraints"]))
            else {
                continue;
            };
            for binding in &bound.bindings {
                if matching::matched(&write, binding.at(&["spec", "matchResources"])).is_none() {
                    continue;
                }
                let name = binding.str_at(&["metadata", "name"]).unwrap_or_default();
                let found = match params::collect(&write, &policy.source, binding) {
                    Ok(found) => found,
                    Err(problem) => {
                        let what = if problem.is_of_policy { "policy" } else { "binding" };
                        problems.push((
                            policy,
                            Problem {
                                policy: policy.name.clone(),
                                binding: (!problem.is_of_policy).then(|| name.to_owned()),
                                words: format!("failed to configure {what}: {}", problem.words),
                                is_invalid: false,
                            },
                        ));
                        continue;
                    }
                };
                for param in &found {
                    let named = param.str_at(&["metadata", "name"]).unwrap_or_default();
                    let key = format!("{}/{name}/{named}", policy.name);
                    if is_again && !due.contains(&key) {
                        continue;
                    }
                    let before = changed.as_ref().or(write.object);
                    let current = Write { object: before, ..write };
                    let asked = Asking { write: current, policy, kind: &kind, param };
                    match asked.ask() {
                        Ok(Some(after)) => {
                            if before != Some(&after) {
                                self.due.extend(self.again.iter().cloned());
                            }
                            changed = Some(after);
                        }
                        Ok(None) => continue,
                        Err(words) => problems.push((
                            policy,
                            Problem {
                                policy: policy.name.clone(),
                                binding: Some(name.to_owned()),
                                words,
                                is_invalid: true,
                            },
                        )),
                    }
                    if policy.source.str_at(&["spec", "reinvocationPolicy"]) == Some("IfNeeded") {
                        self.again.insert(key);
                    }
                }
            }
        }
        let problems = problems.into_iter().filter(|(policy, _)| !policy.fails_open()).map(|(_, it)| it);
        refused(&write, problems.collect())?;
        Ok(changed)
    }
}

/// All problems as causes of one refusal, whose message is the first.
fn refused(write: &Write<'_>, problems: Vec<Problem>) -> Result<(), ApiStatus> {
    let Some(first) = problems.first() else { return Ok(()) };
    let mut status = ApiStatus::forbidden(&write.change.target.served.kind, write.shown_name(), "");
    status.message = first.told();
    if first.is_invalid {
        status.reason = StatusReason::Invalid;
    }
    let causes = problems.iter().map(|problem| StatusCause {
        reason: trueup_object::value::Text::default(),
        message: problem.told(),
        field: String::new(),
    });
    let causes = causes.collect();
    Err(status.with_causes(causes))
}

impl Problem {
    fn told(&self) -> String {
        match &self.binding {
            Some(binding) => {
                format!("policy '{}' with binding '{binding}' denied request: {}", self.policy, self.words)
            }
            None => format!("policy {:?} denied request: {}", self.policy, self.words),
        }
    }
}

/// One policy with one binding's parameters.
struct Asking<'a> {
    write: Write<'a>,
    policy: &'a Policy,
    kind: &'a KindInfo,
    param: &'a Value,
}

impl Asking<'_> {
    /// The changed object; nothing where the policy's conditions do not hold. A change that fails is told after the others
    /// were made.
    fn ask(&self) -> Result<Option<Value>, String> {
        let Some(object) = self.write.object else { return Ok(None) };
        let mut scene = Scene::new(self.write, self.kind, self.param, &self.policy.variables);
        if !scene.holds(&self.policy.conditions)? {
            return Ok(None);
        }
        let own = &self.write.change.target.served.kind;
        let mut object = self.write.shown(object, self.kind);
        let mut problem = None;
        for mutation in &self.policy.mutations {
            match self.changed(&scene, mutation, &object) {
                Ok(changed) => {
                    object = changed;
                    scene.set_object(&object);
                }
                Err(words) => problem = problem.or(Some(words)),
            }
        }
        problem.map_or_else(|| Ok(Some(self.write.shown(&object, own))), Err)
    }

    fn changed(&self, scene: &Scene<'_>, mutation: &Mutation, object: &Value) -> Result<Value, String> {
        let (Mutation::ApplyConfiguration(program) | Mutation::JsonPatch(program)) = mutation;
        let value = match scene.evaluate(program, &mut BUDGET.clone()) {
            Outcome::Value(value) => value,
            Outcome::Failed(words) | Outcome::OutOfBudget(words) => return Err(words),
        };
        match mutation {
            Mutation::ApplyConfiguration(_) => self.applied(&value, object),
            Mutation::JsonPatch(_) => patched(&value, object),
        }
    }

    fn applied(&self, value: &Val, object: &Value) -> Result<Value, String> {
        let mut misnamed = Vec::new();
        check_names(value, "Object", &mut misnamed);
        if !misnamed.is_empty() {
            return Err(format!("type mismatch: {}", misnamed.join("\n")));
        }
        let mut patch = value.to_json()?;
        let gvk = self.write.gvk(self.kind);
        patch.set_at(&["apiVersion"], gvk.api_version().into());
        patch.set_at(&["kind"], gvk.kind.clone().into());
        let schemas = self.write.api.schemas();
        let ty = schemas.lookup(gvk).unwrap_or(TypeRef::untyped());
        let wrong = |words: String| Err(format!("error applying patch: {words}"));
        let unfit = trueup_merge::validate(&patch, ty);
        if !unfit.is_empty() {
            let reasons: Vec<String> = unfit.iter().map(ToString::to_string).collect();
            let joined = match reasons.as_slice() {
                [one] => one.clone(),
                many => format!("errors:\n  {}", many.join("\n  ")),
            };
            return wrong(format!("failed to convert patch object to typed object: {joined}"));
        }
        let mut atomic = Vec::new();
        find_atomic(&patch, ty, "", &mut atomic);
        if !atomic.is_empty() {
            return wrong(format!(
                "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: {}",
                atomic.join(", ")
            ));
        }
        Ok(merge(object, &patch, ty))
    }
}

/// Every `Object.a.b{}` stands where its name says.
fn check_names(value: &Val, path: &str, misnamed: &mut Vec<String>) {
    match value {
        Val::Object(object) => {
            if object.name != path {
                misnamed.push(format!(
                    "unexpected type name {:?}, expected {path:?}, which matches field name path from root Object type",
                    object.name.as_str()
                ));
            }
            for (field, value) in &object.fields {
                check_names(value, &format!("{path}.{field}"), misnamed);
            }
        }
        Val::List(list) => list.items.iter().for_each(|item| check_names(item, path, misnamed)),
        Val::Map(map) => map.values().for_each(|item| check_names(item, path, misnamed)),
        _ => {}
    }
}

/// What an apply would replace as a whole, which its author may not mean.
fn find_atomic(value: &Value, ty: TypeRef<'_>, path: &str, found: &mut Vec<String>) {
    match (ty.shape(), value) {
        (Shape::Struct { atomic, .. }, Value::Map(map)) => {
            if atomic {
                found.push(path.to_owned());
            }
            for (name, value) in map.iter() {
                if let Some(field) = ty.field(name) {
                    find_atomic(value, field.ty, &format!("{path}.{name}"), found);
                }
            }
        }
        (Shape::Map { atomic, element }, Value::Map(map)) => {
            if atomic {
                found.push(path.to_owned());
            }
            for (name, value) in map.iter() {
                find_atomic(value, element, &format!("{path}.{name}"), found);
            }
        }
        (Shape::List { kind, element }, Value::List(items)) => {
            if kind == ListKind::Atomic {
                found.push(path.to_owned());
            }
            for (index, item) in items.iter().enumerate() {
                find_atomic(item, element, &format!("{path}[{index}]"), found);
            }
        }
        _ => {}
    }
}

/// A JSON patch from its steps. One whose test fails changes nothing.
fn patched(value: &Val, object: &Value) -> Result<Value, String> {
    let Val::List(steps) = value else {
        return Err("type mismatch: JSONPatchType.expression should evaluate to array".to_owned());
    };
    let mut patch = Vec::with_capacity(steps.items.len());
    for step in &steps.items {
        let Val::Object(step) = step else {
            return Err(
                "type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch".to_owned()
            );
        };
        let mut made = Value::default();
        for (name, value) in &step.fields {
            if name == "value" {
                let mut misnamed = Vec::new();
                if let Val::Object(object) = value {
                    check_names(value, object.name.as_str(), &mut misnamed);
                }
                if !misnamed.is_empty() {
                    return Err(format!("type mismatch: {}", misnamed.join("\n")));
                }
            }
            let json = value.to_json().map_err(|words| {
                format!(
                    "JSONPath valueExpression evaluated to a type that could not marshal to JSON: {words}"
                )
            })?;
            if name != "from" || json.as_str() != Some("") {
                made.set_at(&[name], json);
            }
        }
        patch.push(made);
    }
    match json_patch(object, &Value::List(patch)) {
        Ok(changed) => Ok(changed),
        Err(error) if error.is_failed_test() => Ok(object.clone()),
        Err(error) => Err(format!("JSON Patch: {error}")),
    }
}
