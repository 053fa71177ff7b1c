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
    /// The patch does not fit the object (a `test` that fails, a path that is not there).
    #[error("{0}")]
    DoesNotApply(String),
}

impl PatchError {
    /// Whether the patch asked for something that is not so.
    pub fn is_failed_test(&self) -> bool {
        matches!(self, Self::DoesNotApply(words) if words.starts_with("testing value"))
    }
}

/// What Go's decoder calls a value.
fn json_type(value: &Value) -> &'static str {
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
