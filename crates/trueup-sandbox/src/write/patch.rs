//! The patch types that compute a new object from the live one: JSON patch, merge patch, strategic merge patch.
//!
//! Pure. Each takes the live object as the server would encode it in the version of the request, and gives the patched
//! one, which then goes the way of an update. Server-side apply is not here: it is structured merge.

mod json_patch;
mod merge_patch;
mod order;
mod strategic;

pub use json_patch::json_patch;
pub use merge_patch::merge_patch;
pub use strategic::{FieldPatch, PatchSchema, strategic_merge};

use trueup_object::Value;

use crate::status::{ApiStatus, StatusReason};

/// A patch that could not be applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PatchError {
    /// The patch itself is not one.
    #[error("{0}")]
    Malformed(String),
    #[error("{0}")]
    TooLarge(String),
    /// The patch does not fit the object (a `test` that fails, a path that is not there).
    #[error("{0}")]
    DoesNotApply(String),
    /// The server has no reason code for it.
    #[error("{0}")]
    Failed(String),
}

impl PatchError {
    /// Whether the patch asked for something that is not so.
    pub fn is_failed_test(&self) -> bool {
        matches!(self, Self::DoesNotApply(words) if words.starts_with("testing value"))
    }
}

/// What Go's decoder calls a value.
pub fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Int(_) | Value::Float(_) => "number",
        Value::Str(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    }
}

impl PatchError {
    /// As the API server answers it.
    pub fn into_status(self) -> ApiStatus {
        match self {
            Self::Malformed(message) => ApiStatus::bad_request(message),
            Self::Failed(message) => ApiStatus::new(500, StatusReason::Unknown, message),
            Self::TooLarge(message) => ApiStatus::new(
                413,
                StatusReason::RequestEntityTooLarge,
                format!("Request entity too large: {message}"),
            ),
            // The server keeps the cause to itself.
            Self::DoesNotApply(_) => ApiStatus::new(
                422,
                StatusReason::Invalid,
                "the server rejected our request due to an error in our request",
            )
            .as_generic(),
        }
    }
}

/// A value as Go's `%+v` prints it, which is how messages show a strategic merge patch.
pub fn go_map(value: &Value) -> String {
    match value {
        Value::Map(map) => {
            let entries: Vec<String> =
                map.iter().map(|(key, value)| format!("{key}:{}", go_map(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(go_map).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Str(text) => text.to_string(),
        Value::Null => "<nil>".to_owned(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => value.to_json(),
    }
}
