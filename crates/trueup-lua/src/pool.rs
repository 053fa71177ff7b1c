//! Interpreters that are kept warm, and the rules that are judged with them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use trueup_health::{Health, HealthStatus, Scripted, Scripts};
use trueup_object::{Gvk, Value};

use crate::error::ScriptError;
use crate::health;
use crate::library::{Library, Script};
use crate::secret::{without_values, words_about};
use crate::state::State;

/// As many as threads look at applications at the same time; more are made and dropped again. A warm one holds some
/// hundred kilobytes.
const IDLE_MAX: usize = 8;

/// Interpreters for everybody.
#[derive(Default)]
pub struct Pool {
    idle: Mutex<Vec<State>>,
}

impl Pool {
    /// Runs a script in an interpreter of its own for that time.
    pub(crate) fn run(
        &self,
        script: &Script,
        object: &Value,
        parameters: &BTreeMap<String, String>,
        unix_s: i64,
    ) -> Result<Value, ScriptError> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut state = match idle {
            Some(state) => state,
            None => State::new()?,
        };
        let outcome = state.run(script, object, parameters, unix_s);
        // An interpreter that came to a limit is in no state to be relied on.
        if !matches!(outcome, Err(ScriptError::Instructions { .. } | ScriptError::Memory { .. })) {
            let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
            if idle.len() < IDLE_MAX {
                idle.push(state);
            }
        }
        outcome
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// The scripts in force, and what runs them.
#[derive(Debug, Clone, Default)]
pub struct LuaRules {
    pub(crate) library: Arc<Library>,
    pub(crate) pool: Arc<Pool>,
}

impl LuaRules {
    pub fn new(library: Library, pool: Arc<Pool>) -> Self {
        Self { library: Arc::new(library), pool }
    }
}

impl Scripts for LuaRules {
    fn judge(&self, live: &Value, unix_s: i64) -> Option<Scripted> {
        let script = self.library.health(&Gvk::of(live)?.group_kind())?;
        let said = self
            .pool
            .run(script, &without_values(live), &BTreeMap::new(), unix_s)
            .and_then(|returned| health::read(&returned));
        let health = said.unwrap_or_else(|error| Some(Health::new(HealthStatus::Unknown, error.to_string())));
        let health = health.map(|health| Health { message: words_about(live, health.message), ..health });
        Some(Scripted { source: script.source.clone(), health })
    }
}
