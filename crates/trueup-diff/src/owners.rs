//! Who owns a path, by `metadata.managedFields`.

use std::cmp::Reverse;

use trueup_merge::{FieldWriter, Managed};
use trueup_object::{FieldManager, FieldPath, ManagedOperation, Text, Timestamp};

/// A manager that owns a path: a hint, since clients choose the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    pub manager: FieldManager,
    pub operation: ManagedOperation,
    /// Empty for writes to the object itself.
    pub subresource: Text,
    /// When the entry last changed, so an upper bound for the path. `scale` writes have none.
    pub time: Option<Timestamp>,
}

/// The owners of one path.
#[derive(Debug, Default)]
pub(crate) struct Owned<'a> {
    /// Entries of others, the likeliest writer of the value first.
    pub others: Vec<&'a FieldWriter>,
    /// An entry of our manager owns it.
    pub ours: bool,
    /// What our manager applied declares it: the next apply without it removes it.
    pub ours_applied: bool,
}

/// Looks owners up.
#[derive(Clone, Copy)]
pub(crate) struct Owners<'a> {
    pub managed: &'a Managed<'a>,
    pub ours: &'a FieldManager,
    /// Without a schema it is not known which maps are atomic: then whoever owns a map as a whole owns what is in it.
    pub schema_known: bool,
}

impl<'a> Owners<'a> {
    /// Whether the object says who owns what at all.
    pub fn known(&self) -> bool {
        !self.managed.writers().is_empty()
    }

    /// The owners of a path; where it lies in an atomic value, `atomic` is the length of that value's path.
    pub fn of(&self, path: &FieldPath, atomic: Option<usize>) -> Owned<'a> {
        let elements = path.elements();
        let elements = elements.get(..atomic.unwrap_or(elements.len())).unwrap_or(elements);
        let mut owned = Owned::default();
        for entry in self.managed.writers() {
            let holds = entry.touches(elements) || (!self.schema_known && entry.holds_an_ancestor(elements));
            if !holds {
                continue;
            }
            if entry.manager == *self.ours {
                owned.ours = true;
                owned.ours_applied |= entry.operation == ManagedOperation::Apply;
            } else {
                owned.others.push(entry);
            }
        }
        owned
            .others
            .sort_by_key(|entry| likelihood(entry.operation, &entry.subresource, entry.time, &entry.manager));
        owned
    }
}

/// An update takes a path from all others, an apply of an equal value only joins them: so an update wrote the value, and
/// a write to `scale` (which leaves no time) was an update that meant this very field. Then the latest.
fn likelihood<'a>(
    operation: ManagedOperation,
    subresource: &str,
    time: Option<Timestamp>,
    manager: &'a FieldManager,
) -> (bool, bool, Reverse<Option<Timestamp>>, &'a str) {
    let applied = operation == ManagedOperation::Apply;
    (applied, subresource.is_empty(), Reverse(time), manager.as_str())
}

impl Owner {
    pub(crate) fn of(entry: &FieldWriter) -> Self {
        Self {
            manager: entry.manager.clone(),
            operation: entry.operation,
            subresource: entry.subresource.clone(),
            time: entry.time,
        }
    }

    /// Orders the owners of one path: the likeliest writer of its value first.
    pub(crate) fn by_likelihood(&self, other: &Self) -> std::cmp::Ordering {
        let of = |owner: &'_ Self| {
            let (applied, whole, time, name) =
                likelihood(owner.operation, &owner.subresource, owner.time, &owner.manager);
            (applied, whole, time, name.to_owned())
        };
        of(self).cmp(&of(other))
    }

    /// Whether both are the same writer, whatever the time and the API version of the entry.
    pub(crate) fn is(&self, other: &Self) -> bool {
        (&self.manager, self.operation, &self.subresource)
            == (&other.manager, other.operation, &other.subresource)
    }
}
