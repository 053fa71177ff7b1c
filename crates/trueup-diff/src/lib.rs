//! Compares a live object with what Git declares: finds every difference as a path, says who owns it and which side
//! moved, applies ignore rules and masks what is sensitive.
//!
//! Pure: values in, values out. It judges one pair of objects; which objects belong together, which owners are excused
//! and what to do about a difference is the engine's.
//!
//! Invariants: a difference is never the whole object; comparing a thing with itself finds nothing; no finding holds a
//! sensitive value.

mod absent;
mod addition;
mod align;
mod blame;
mod compare;
mod derived;
mod equal;
mod finding;
mod foretell;
mod ignore;
mod jq;
mod keep;
mod mask;
mod normalise;
mod owners;
mod patience;
mod place;
mod predict;
mod reference;
mod remainder;
mod scalar;
mod seal;
mod spot;
mod unowned;
mod walk;

pub use blame::{OwnedField, blame};
pub use compare::compare;
pub use equal::equal;
pub use finding::{Change, Channel, CompareInput, Comparison, Finding, Moved};
pub use foretell::{Foretold, Further, foretold, unforeseen};
pub use ignore::{Hidden, IgnoreError, IgnoreRule, IgnoreSpec, RuleFailure, without_ignored};
pub use jq::JqError;
pub use keep::keep_hidden;
pub use mask::{Masked, mask};
pub use normalise::{declared_form, normalise_live, normalise_target, sent_form};
pub use owners::Owner;
pub use patience::Patience;
pub use predict::predict;
pub use remainder::unowned_table;
pub use seal::{Secrecy, seal};
pub use unowned::{UnownedTable, UnownedTableError};
