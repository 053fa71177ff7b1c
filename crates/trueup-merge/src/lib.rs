//! Structured merge: typed values by schema, sets of owned fields, apply and update with managers and conflicts.
//!
//! One implementation of Kubernetes' server-side apply semantics, used to predict what a write would leave in a cluster
//! and by the sandbox to perform it. Pure: values in, values out; time is an argument. It deliberately does not default,
//! prune, validate a kind's own rules or convert between versions: whoever stores an object does.

pub mod schema;

mod apply;
mod compare;
mod conversion;
mod element;
mod last_applied;
mod managers;
mod merge;
mod ownership;
mod reconcile;
mod scale;
mod select;
mod update;
mod validate;
mod version;

pub use apply::{Applied, ApplyError, apply, apply_versioned};
pub use compare::{Comparison, compare};
pub use conversion::{Kind, Show};
pub use element::{KeyMatch, element_path, key_value, same_key};
pub use managers::{Conflict, Writer, conflict_message, keep_times, server_path};
pub use merge::merge;
pub use ownership::{MergeError, field_set, zero_object};
pub use scale::{scale_entries, scaled, with_scale_entries};
pub use schema::{
    DefaultWhen, Field, KnownTypeError, Layered, ListKind, PatchStrategy, Scalar, SchemaSet, Shape, Step,
    TypeRef, ZeroRule,
};
pub use select::{extract, get, remove};
pub use update::{update, update_versioned};
pub use validate::{Invalid, validate};
pub use version::{FieldWriter, Managed, fields_in_version, has_fields_of, managed_in_version};

#[cfg(test)]
mod tests;
