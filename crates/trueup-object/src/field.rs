//! Where a field is: paths, path elements, and sets of paths.
//!
//! The model is that of Kubernetes' structured merge: a path element is a field of a struct or map, an item of a
//! list-map by its keys, an item of a set by its value, or an index of an atomic list.

mod flat;
mod path;
mod read;
mod set;
mod v1;

#[cfg(test)]
mod tests;

pub use flat::FlatFields;
pub use path::{FieldPath, KeyFields, PathElement};
pub use read::FieldPathError;
pub use set::FieldSet;
