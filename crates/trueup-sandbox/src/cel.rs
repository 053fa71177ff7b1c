//! Expressions of policies, of webhooks' conditions and of custom resource definitions: what they may name, and how they are
//! compiled and refused.
//!
//! Pure. The words are those of `k8s.io/apiserver/pkg/admission/plugin/cel`.

pub mod bounds;
pub mod policy;
pub mod rules;
pub mod schema;

use trueup_cel::{Activation, Declarations, Expression, Type, Val};
use trueup_object::Value;

use crate::status::StatusCause;

/// What an expression of admission may name beside the objects.
#[derive(Debug, Clone, Copy, Default)]
pub struct Optional {
    pub params: bool,
    pub authorizer: bool,
    pub patches: bool,
}

/// An expression with its source; one that does not compile says why.
#[derive(Debug, Clone)]
pub struct Program {
    pub source: String,
    pub compiled: Result<Expression, String>,
    /// It could not be made into a program, which the server takes for a fault of its own.
    is_internal: bool,
}

/// How an evaluation ends.
#[derive(Debug)]
pub enum Outcome {
    Value(Val),
    /// This expression failed; others may be evaluated.
    Failed(String),
    /// The budget is spent: nothing more is evaluated.
    OutOfBudget(String),
}

const OUT_OF_BUDGET: &str =
    "validation failed due to running out of cost budget, no further validation rules will be run";

impl Program {
    pub fn compile(source: &str, declared: &Declarations, wanted: &[Type]) -> Self {
        let compiled = compiled(source, declared, wanted);
        let is_internal =
            compiled.as_ref().is_err_and(|words| words.starts_with("program instantiation failed"));
        Self { source: source.to_owned(), compiled, is_internal }
    }

    /// Evaluates within what is left of a budget.
    pub fn evaluate(
        &self,
        activation: &dyn Activation,
        extra: &dyn Fn() -> u64,
        budget: &mut u64,
    ) -> Outcome {
        let expression = match &self.compiled {
            Ok(expression) => expression,
            Err(words) => return Outcome::Failed(format!("compilation error: {words}")),
        };
        let (result, cost) = expression.evaluate(activation);
        match budget.checked_sub(cost.saturating_add(extra())) {
            Some(left) => *budget = left,
            None => return Outcome::OutOfBudget(OUT_OF_BUDGET.to_owned()),
        }
        match result {
            Ok(value) => Outcome::Value(value),
            Err(error) => Outcome::Failed(format!("expression '{}' resulted in error: {error}", self.source)),
        }
    }

    /// The cause that refuses an expression which does not compile.
    pub fn cause(&self, field: &str) -> Option<StatusCause> {
        let words = self.compiled.as_ref().err()?;
        if self.is_internal {
            return Some(StatusCause::new("InternalError", field, format!("Internal error: {words}")));
        }
        Some(StatusCause::invalid(field, &Value::from(self.source.as_str()), words))
    }
}

fn compiled(source: &str, declared: &Declarations, wanted: &[Type]) -> Result<Expression, String> {
    let expression = Expression::compile(source, declared).map_err(|error| error.to_string())?;
    let found = expression.output();
    if wanted.is_empty() || wanted.contains(found) {
        return Ok(expression);
    }
    let names: Vec<String> = wanted.iter().map(Type::name).collect();
    Err(match names.as_slice() {
        [name] => format!("must evaluate to {name} but got {}", found.name()),
        names => format!("must evaluate to one of [{}] but got {}", names.join(" "), found.name()),
    })
}

/// What every expression of admission may name.
pub fn declarations(optional: Optional) -> Declarations {
    let object = |name: &str| Type::Object(name.into());
    let texts = || Type::list(Type::String);
    let names = |third| [("group", Type::String), ("version", Type::String), (third, Type::String)];
    let mut declared = Declarations::new()
        .variable("object", Type::Dyn)
        .variable("oldObject", Type::Dyn)
        .variable("namespaceObject", object("kubernetes.Namespace"))
        .variable("request", object("kubernetes.AdmissionRequest"))
        .with_struct("kubernetes.GroupVersionKind", names("kind"))
        .with_struct("kubernetes.GroupVersionResource", names("resource"))
        .with_struct(
            "kubernetes.UserInfo",
            [
                ("username", Type::String),
                ("uid", Type::String),
                ("groups", texts()),
                ("extra", Type::map(Type::String, texts())),
            ],
        )
        .with_struct(
            "kubernetes.AdmissionRequest",
            [
                ("kind", object("kubernetes.GroupVersionKind")),
                ("resource", object("kubernetes.GroupVersionResource")),
                ("subResource", Type::String),
                ("requestKind", object("kubernetes.GroupVersionKind")),
                ("requestResource", object("kubernetes.GroupVersionResource")),
                ("requestSubResource", Type::String),
                ("name", Type::String),
                ("namespace", Type::String),
                ("operation", Type::String),
                ("userInfo", object("kubernetes.UserInfo")),
                ("dryRun", Type::Bool),
                ("options", Type::Dyn),
            ],
        );
    declare_namespace(&mut declared);
    if optional.params {
        declared = declared.variable("params", Type::Dyn);
    }
    if optional.authorizer {
        declared = declared
            .variable("authorizer", object("kubernetes.authorization.Authorizer"))
            .variable("authorizer.requestResource", object("kubernetes.authorization.ResourceCheck"));
    }
    if optional.patches { declared.with_patches() } else { declared }
}

fn declare_namespace(declared: &mut Declarations) {
    let object = |name: &str| Type::Object(name.into());
    let texts = || Type::list(Type::String);
    let labels = || Type::map(Type::String, Type::String);
    declared.add_struct(
        "kubernetes.Namespace",
        [
            ("metadata", object("kubernetes.NamespaceMetadata")),
            ("spec", object("kubernetes.NamespaceSpec")),
            ("status", object("kubernetes.NamespaceStatus")),
        ],
    );
    declared.add_struct("kubernetes.NamespaceSpec", [("finalizers", texts())]);
    declared.add_struct(
        "kubernetes.NamespaceStatus",
        [("conditions", Type::list(object("kubernetes.NamespaceCondition"))), ("phase", Type::String)],
    );
    declared.add_struct(
        "kubernetes.NamespaceCondition",
        [
            ("status", Type::String),
            ("type", Type::String),
            ("lastTransitionTime", Type::Timestamp),
            ("message", Type::String),
            ("reason", Type::String),
        ],
    );
    declared.add_struct(
        "kubernetes.NamespaceMetadata",
        [
            ("name", Type::String),
            ("generateName", Type::String),
            ("namespace", Type::String),
            ("labels", labels()),
            ("annotations", labels()),
            ("UID", Type::String),
            ("creationTimestamp", Type::Timestamp),
            ("deletionGracePeriodSeconds", Type::Int),
            ("deletionTimestamp", Type::Timestamp),
            ("generation", Type::Int),
            ("resourceVersion", Type::String),
            ("finalizers", texts()),
        ],
    );
}
