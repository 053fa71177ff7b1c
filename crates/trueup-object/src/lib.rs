//! The language of Kubernetes objects: values, identity, field paths and sets, managed fields,
//! manifests and where they came from, quantities.
//!
//! Pure: values in, values out. `serde_json` and the YAML parser are used inside as readers of bytes;
//! neither appears in a public signature.

pub mod value;

pub mod json;
pub mod yaml;

pub mod identity;

pub mod field;
pub mod managed;
pub mod pointer;

pub mod manifest;

pub mod quantity;
pub mod scalar;
pub mod secret;
pub mod time;

pub use field::{FieldPath, FieldPathError, FieldSet, FlatFields, KeyFields, PathElement};
pub use identity::{FieldManager, GroupKind, Gvk, ResourceKey};
pub use json::{FromJson, JsonError};
pub use managed::{ManagedEntry, ManagedFields, ManagedOperation};
pub use manifest::{FileOrigin, Manifest, ManifestProblem, Origin, Severity, read_manifests};
pub use pointer::{JsonPointer, PointerError};
pub use quantity::Quantity;
pub use secret::{Secret, is_sensitive_name};
pub use value::{Map, Text, Value};
pub use yaml::YamlError;

/// A point in time. Always an argument in the core, never read from a clock there.
pub use jiff::Timestamp;
