//! The language of Kubernetes objects: values, identity, field paths and sets, managed fields,
//! manifests and where they came from, quantities.
//!
//! Pure: values in, values out. `serde_json` and the YAML parser are used inside as readers of bytes;
//! neither appears in a public signature.

pub mod field;
pub mod identity;
pub mod json;
pub mod managed;
pub mod value;

pub use field::{FieldPath, FieldSet, KeyFields, PathElement};
pub use identity::{FieldManager, GroupKind, Gvk, ResourceKey};
pub use json::{FromJson, JsonError};
pub use managed::{ManagedEntry, ManagedFields, ManagedOperation};
pub use value::{Map, Text, Value};

/// A point in time. Always an argument in the core, never read from a clock there.
pub use jiff::Timestamp;
