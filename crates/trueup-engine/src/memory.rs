//! What is remembered of an object from one sync to the next: the base, and what was there that Git does not declare.

use std::collections::BTreeMap;

use jiff::Timestamp;
pub use trueup_diff::{Masked, Secrecy, UnownedTable};
pub use trueup_merge::{Layered, SchemaSet};
use trueup_merge::{Managed, TypeRef};
use trueup_object::{FieldPath, Value};

use crate::desired::Target;
use crate::difference::{Channel, Difference};
use crate::live::Live;
use crate::look::ObjectComparison;

/// What is remembered of an object from our last sync of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Memory {
    /// The normalised target that was last applied or found in agreement, sensitive values sealed.
    pub base: Option<Value>,
    /// What nobody owned right after that.
    pub unowned: Option<UnownedTable>,
    /// What others had added when the object was first synced: paths and their masked values.
    pub inherited: BTreeMap<String, String>,
    /// When it was last applied or found in agreement.
    pub synced_at: Option<Timestamp>,
}

/// What remembering needs besides the object.
#[derive(Clone, Copy)]
pub struct MemoryContext<'a> {
    pub schemas: Layered<'a>,
    pub secrecy: Secrecy<'a>,
    pub now: Timestamp,
}

/// The memory of an object whose own was lost: its target at the revision that was last synced. What nobody owned then and
/// what was inherited is not known any more.
pub fn restore(context: &MemoryContext<'_>, target: &Target) -> Memory {
    let base = base(context.schemas, context.secrecy, target);
    Memory { base: Some(base), synced_at: Some(context.now), ..Memory::default() }
}

/// Whether a target says what was last synced.
pub(crate) fn is_base(base: &Value, schemas: Layered<'_>, secrecy: Secrecy<'_>, target: &Target) -> bool {
    let ty = match schemas.lookup(&target.gvk) {
        Some(ty) => ty,
        None => TypeRef::untyped(),
    };
    let declared = trueup_diff::normalise_target(&self::base(schemas, secrecy, target));
    // Sealed again: an earlier version may have known fewer values as sensitive.
    let base = trueup_diff::seal(&trueup_diff::normalise_target(base), ty, secrecy);
    trueup_diff::equal(Some(&declared), Some(&base), ty)
}

fn base(schemas: Layered<'_>, secrecy: Secrecy<'_>, target: &Target) -> Value {
    let ty = match schemas.lookup(&target.gvk) {
        Some(ty) => ty,
        None => TypeRef::untyped(),
    };
    trueup_diff::seal(&trueup_diff::declared_form(&target.object), ty, secrecy)
}

/// The memory after an object was seen to be as the target wants it, kept paths apart: base records Git's value for
/// them, not what was sent (contracts: "A difference").
pub fn remember(
    context: &MemoryContext<'_>,
    target: &Target,
    live: &Live,
    comparison: &ObjectComparison,
    earlier: Option<&Memory>,
) -> Memory {
    let ty = match context.schemas.lookup(&target.gvk) {
        Some(ty) => ty,
        None => TypeRef::untyped(),
    };
    let base = base(context.schemas, context.secrecy, target);
    let managed = Managed::of(&live.object, ty);
    // What a sync has left is no part of it: it would else never be found again.
    let left = unowned_additions(comparison);
    let unowned =
        trueup_diff::unowned_table(&live.object, &target.object, &managed, ty, context.secrecy.key, &left);
    let is_first = earlier.is_none_or(|earlier| earlier.base.is_none());
    let inherited = if is_first {
        additions(comparison)
    } else {
        earlier.map(|it| it.inherited.clone()).unwrap_or_default()
    };
    Memory { base: Some(base), unowned: Some(unowned), inherited, synced_at: Some(context.now) }
}

/// The paths of what nobody owns and was not there after an earlier sync.
fn unowned_additions(comparison: &ObjectComparison) -> Vec<FieldPath> {
    let all = comparison.differences.iter().chain(&comparison.notes);
    all.filter(|difference| difference.channel == Channel::Unowned)
        .filter_map(|difference| difference.path.clone())
        .collect()
}

/// Everything that others have added to an object, whatever was made of it.
fn additions(comparison: &ObjectComparison) -> BTreeMap<String, String> {
    let all = comparison.differences.iter().chain(&comparison.notes);
    all.filter(|difference| matches!(difference.channel, Channel::Undeclared | Channel::Unowned))
        .filter_map(|difference: &Difference| {
            addition(difference.path.as_ref()?, difference.live.as_ref(), difference.sensitive)
        })
        .collect()
}

/// An addition as it is remembered. One with a sensitive value is not: two masks do not tell whether it changed.
pub(crate) fn addition(path: &FieldPath, live: Option<&Masked>, sensitive: bool) -> Option<(String, String)> {
    let value = live.filter(|_| !sensitive)?;
    Some((path.to_string(), value.as_value().to_json()))
}
