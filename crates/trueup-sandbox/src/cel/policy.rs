//! Admission policies, compiled: validating and mutating ones, and the conditions of webhooks.

use trueup_cel::{Declarations, Type};
use trueup_object::Value;

use super::{Optional, Program, declarations};

/// The name of the struct whose fields are a policy's variables.
const VARIABLES: &str = "kubernetes.variables";

/// A policy, ready to be asked.
#[derive(Debug, Clone)]
pub struct Policy {
    pub name: String,
    /// The policy as it is stored.
    pub source: Value,
    pub conditions: Vec<Program>,
    pub variables: Vec<(String, Program)>,
    pub validations: Vec<Validation>,
    pub annotations: Vec<(String, Program)>,
    pub mutations: Vec<Mutation>,
}

/// One rule of a validating policy.
#[derive(Debug, Clone)]
pub struct Validation {
    pub expression: Program,
    pub message: String,
    pub message_expression: Option<Program>,
    pub reason: Option<String>,
}

/// One change of a mutating policy.
#[derive(Debug, Clone)]
pub enum Mutation {
    ApplyConfiguration(Program),
    JsonPatch(Program),
}

/// What expressions of a policy may name, its variables with it as they are declared.
pub struct Scope {
    has_params: bool,
    /// The variables so far, with the types of their expressions.
    variables: Option<Vec<(String, Type)>>,
}

impl Scope {
    /// Of a policy's spec. Mutating policies may always have variables, validating ones where they declare some.
    pub fn of(spec: &Value, is_mutating: bool) -> Self {
        let composes = is_mutating || !spec.list_at(&["variables"]).is_empty();
        Self { has_params: has(spec, "paramKind"), variables: composes.then(Vec::new) }
    }

    fn declared(&self, authorizer: bool, patches: bool) -> Declarations {
        let declared = declarations(Optional { params: self.has_params, authorizer, patches });
        let Some(variables) = &self.variables else { return declared };
        let mut declared = declared.variable("variables", Type::Object(VARIABLES.into()));
        declared.add_struct(VARIABLES, []);
        for (name, its) in variables {
            declared.add_field(VARIABLES, name, its.clone());
        }
        declared
    }

    /// Conditions know no variables.
    pub fn condition(&self, source: &str) -> Program {
        let declared = declarations(Optional { params: self.has_params, authorizer: true, patches: false });
        Program::compile(source, &declared, &[Type::Bool])
    }

    /// Compiles a variable, which those after it may name.
    pub fn variable(&mut self, name: &str, source: &str) -> Program {
        let program = Program::compile(source, &self.declared(true, false), &[]);
        let its = program.compiled.as_ref().map_or(Type::Dyn, |expression| plain(expression.output()));
        if let Some(variables) = &mut self.variables {
            variables.push((name.to_owned(), its));
        }
        program
    }

    pub fn validation(&self, source: &str) -> Program {
        Program::compile(source, &self.declared(true, false), &[Type::Bool])
    }

    pub fn message(&self, source: &str) -> Program {
        Program::compile(source, &self.declared(false, false), &[Type::String])
    }

    pub fn annotation(&self, source: &str) -> Program {
        Program::compile(source, &self.declared(true, false), &[Type::String, Type::Null])
    }

    pub fn apply_configuration(&self, source: &str) -> Program {
        Program::compile(source, &self.declared(true, true), &[Type::Object("Object".into())])
    }

    pub fn json_patch(&self, source: &str) -> Program {
        Program::compile(source, &self.declared(true, true), &[Type::list(Type::Object("JSONPatch".into()))])
    }
}

/// A type as one of a variable: of structs and optional values nothing is remembered.
fn plain(its: &Type) -> Type {
    match its {
        Type::List(element) => Type::list(plain(element)),
        Type::Map(types) => Type::map(plain(&types.0), plain(&types.1)),
        Type::Bool
        | Type::Bytes
        | Type::Double
        | Type::Duration
        | Type::Int
        | Type::Null
        | Type::String
        | Type::Timestamp
        | Type::Uint => its.clone(),
        _ => Type::Dyn,
    }
}

pub(super) fn has(value: &Value, key: &str) -> bool {
    value.get(key).is_some_and(|value| !value.is_null())
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.str_at(&[key]).unwrap_or_default()
}

impl Policy {
    /// Compiles a stored policy.
    pub fn compile(stored: &Value) -> Self {
        let empty = Value::default();
        let spec = stored.get("spec").unwrap_or(&empty);
        let is_mutating = stored.str_at(&["kind"]) == Some("MutatingAdmissionPolicy");
        let mut scope = Scope::of(spec, is_mutating);
        let conditions = spec.list_at(&["matchConditions"]).iter();
        let conditions = conditions.map(|it| scope.condition(text(it, "expression").trim())).collect();
        let variables = spec.list_at(&["variables"]).iter();
        let variables = variables
            .map(|it| {
                let name = text(it, "name");
                (name.to_owned(), scope.variable(name, text(it, "expression")))
            })
            .collect();
        let validations = spec.list_at(&["validations"]).iter().map(|it| validation(&scope, it)).collect();
        let annotations = spec
            .list_at(&["auditAnnotations"])
            .iter()
            .map(|it| (text(it, "key").to_owned(), scope.annotation(text(it, "valueExpression").trim())));
        Self {
            name: stored.str_at(&["metadata", "name"]).unwrap_or_default().to_owned(),
            conditions,
            variables,
            validations,
            annotations: annotations.collect(),
            mutations: spec.list_at(&["mutations"]).iter().map(|it| mutation(&scope, it)).collect(),
            source: stored.clone(),
        }
    }

    pub fn fails_open(&self) -> bool {
        self.source.str_at(&["spec", "failurePolicy"]) == Some("Ignore")
    }
}

fn validation(scope: &Scope, it: &Value) -> Validation {
    let message = text(it, "messageExpression").trim();
    Validation {
        expression: scope.validation(text(it, "expression")),
        message: text(it, "message").trim().to_owned(),
        message_expression: (!message.is_empty()).then(|| scope.message(text(it, "messageExpression"))),
        reason: it.str_at(&["reason"]).map(str::to_owned),
    }
}

fn mutation(scope: &Scope, it: &Value) -> Mutation {
    let source = |key| it.str_at(&[key, "expression"]).unwrap_or_default().trim();
    if text(it, "patchType") == "JSONPatch" {
        Mutation::JsonPatch(scope.json_patch(source("jsonPatch")))
    } else {
        Mutation::ApplyConfiguration(scope.apply_configuration(source("applyConfiguration")))
    }
}
