//! What a script that judges returned, as health.

use trueup_health::{Health, HealthStatus};
use trueup_object::Value;

use crate::error::ScriptError;
use crate::message;

/// Argo CD's words.
const INVALID: &str = "Lua returned an invalid health status";

/// A table with `status` and `message`; nil and a table without entries say nothing.
pub(crate) fn read(returned: &Value) -> Result<Option<Health>, ScriptError> {
    let map = match returned {
        // What Lua returns as a list has neither field.
        Value::Null | Value::List(_) => return Ok(None),
        Value::Map(map) => map,
        Value::Bool(_) => return Err(ScriptError::not_a_table("boolean")),
        Value::Int(_) | Value::Float(_) => return Err(ScriptError::not_a_table("number")),
        Value::Str(_) => return Err(ScriptError::not_a_table("string")),
    };
    let field = |name: &str| -> Result<&str, ScriptError> {
        // Go reads a field also where its name is written otherwise.
        let found = map
            .get(name)
            .or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value));
        match found {
            None | Some(Value::Null) => Ok(""),
            Some(Value::Str(text)) => Ok(text.as_str()),
            Some(other) => Err(ScriptError::Result(format!(
                "the field {name} of the returned table is a {}",
                other.type_name()
            ))),
        }
    };
    let (status, said) = (field("status")?, field("message")?);
    Ok(Some(match HealthStatus::parse(status) {
        Some(status) => Health::new(status, message::shown(said)),
        None => Health::new(HealthStatus::Unknown, INVALID),
    }))
}
