//! jq expressions that name paths (`jqPathExpressions`): the places that `del(EXPRESSION)` would delete, as gojq does it.
//!
//! The syntax is read by jaq; running it is done here, on our own values, for three reasons: what a path is differs between jq
//! implementations and has to be gojq's; every step has to be counted, since a rule must end without a clock to stop it; and
//! nothing outside of the object (environment, input, time) may be seen. Steps, depth and memory are bounded.

mod access;
mod compile;
mod items;
mod machine;
mod math;
mod names;
mod native;
mod run;
mod syntax;
mod text;
mod update;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use trueup_object::{JsonPointer, Value};

use crate::ignore::RuleFailure;

pub use compile::JqError;

/// Programs that are kept: an installation has some dozens of expressions, and reading one costs more than running it.
const PROGRAMS_MAX: usize = 1000;

/// An expression, ready to run.
#[derive(Debug)]
pub struct Program {
    code: syntax::Expr,
}

/// What is read once is not read again: the same text always gives the same program.
static KNOWN: Mutex<BTreeMap<String, Arc<Program>>> = Mutex::new(BTreeMap::new());

impl Program {
    /// Reads an expression.
    pub fn new(text: &str) -> Result<Arc<Self>, JqError> {
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(program) = known.get(text) {
            return Ok(program.clone());
        }
        let program = Arc::new(Self { code: compile::expression(text)? });
        if known.len() >= PROGRAMS_MAX {
            known.clear();
        }
        known.insert(text.to_owned(), program.clone());
        Ok(program)
    }

    /// The places in an object that the expression names, without repetition.
    pub fn places(&self, object: &Value) -> Result<Vec<JsonPointer>, RuleFailure> {
        let paths = run::paths(&self.code, object)?;
        let mut places = Vec::new();
        for path in &paths {
            access::resolve(path, object, &mut places)?;
        }
        places.sort();
        places.dedup();
        Ok(places)
    }
}

#[cfg(test)]
mod tests;
