//! The Common Expression Language, as a Kubernetes API server has it.
//!
//! An [`Expression`] is compiled against [`Declarations`] (what it may name, and of which types) and evaluated with an
//! [`Activation`] within a limit of cost. Syntax and macros are those of the `cel` crate; the checker, the evaluation, its
//! cost, the library of functions and all words follow the reference implementation (`github.com/google/cel-go`) and
//! `k8s.io/apiserver/pkg/cel`, because people and programs read them in refusals.
//!
//! Pure: no IO, no clock, and no panic on any input.

mod ast;
mod check;
mod constants;
mod cost;
mod declare;
mod estimate;
mod eval;
mod json;
mod kind;
mod library;
mod macros;
mod nesting;
mod parse;
mod report;
mod unify;
mod value;

use std::sync::Arc;

pub use cost::{BUDGET, CONDITIONS_BUDGET, EXPRESSION_LIMIT};
pub use declare::Declarations;
pub use estimate::Bounds;
pub use eval::{Activation, EvalError};
pub use json::{Shape, ShapeField, escape};
pub use kind::Type;
pub use library::rights::{About, Asked, Decision, Question, Resource};
pub use value::{Key, List, ListKind, Map, Object, Val};

use report::Source;

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Expression {
    root: Arc<ast::Expr>,
    its: Type,
    names: Arc<Vec<String>>,
    facts: Arc<check::Facts>,
}

/// Why an expression cannot be used: the words and arrows of the reference implementation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CompileError {
    /// It is not an expression, or its types do not fit.
    Refused(String),
    /// It is one, but what is constant in it has no value.
    Instantiation(String),
}

impl std::fmt::Display for CompileError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(words) => write!(f, "compilation failed: {words}"),
            Self::Instantiation(words) => write!(f, "program instantiation failed: {words}"),
        }
    }
}

impl std::error::Error for CompileError {}

impl Expression {
    /// Parses and checks.
    pub fn compile(source: &str, declared: &Declarations) -> Result<Self, CompileError> {
        let source = Source::new(source);
        let mut root = parse::parse(&source, declared)?;
        let check::Checked { facts, its, problems, mixed } = check::check(&mut root, declared, &source);
        if !problems.is_empty() {
            return Err(source.refuse(problems));
        }
        let mut problems = constants::check(&root, &source);
        problems.extend(mixed);
        if !problems.is_empty() {
            return Err(source.refuse(problems));
        }
        if let Some(words) = constants::instantiate(&root) {
            return Err(CompileError::Instantiation(words));
        }
        let mut names = Vec::new();
        constants::names(&root, &mut names);
        Ok(Self { root: Arc::new(root), its, names: Arc::new(names), facts: Arc::new(facts) })
    }

    /// The type of what it evaluates to.
    pub fn output(&self) -> &Type {
        &self.its
    }

    /// Whether it names a variable.
    pub fn uses(&self, variable: &str) -> bool {
        self.names.iter().any(|name| name == variable)
    }

    /// The most that it may cost where the one variable that it names is bounded so, as an API server estimates it.
    pub fn cost_max(&self, variable: &Bounds) -> u64 {
        estimate::cost_max(&self.root, &self.facts, variable)
    }

    /// Evaluates. The second part is what it cost, which counts although it failed.
    pub fn evaluate(&self, activation: &dyn Activation) -> (Result<Val, EvalError>, u64) {
        let mut evaluator = eval::Evaluator::new(activation, EXPRESSION_LIMIT);
        let result = evaluator.eval(&self.root);
        (result, evaluator.meter.spent)
    }
}

#[cfg(test)]
mod tests;
