//! Which fields differ between two objects of one type.

use std::collections::BTreeMap;

use trueup_object::{FieldSet, PathElement, Text, Value};

use crate::element::{Atom, atom, child_type, item_element};
use crate::schema::{ListKind, TypeRef};

/// The fields that one object has and the other has not, and those whose values differ. No field is in two of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Comparison {
    pub added: FieldSet,
    pub modified: FieldSet,
    pub removed: FieldSet,
}

/// Compares two objects of one type. Values are equal as JSON: `1` and `1.0` are, `0.1` and `100m` are not.
pub fn compare(before: &Value, after: &Value, ty: TypeRef<'_>) -> Comparison {
    let mut walker = Walker { path: Vec::new(), found: Comparison::default() };
    walker.values(Some(before), Some(after), ty);
    walker.found
}

impl Comparison {
    pub fn is_same(&self) -> bool {
        self.added.is_empty() && self.modified.is_empty() && self.removed.is_empty()
    }

    /// What is there after or differs: what a writer of the second object wrote.
    pub fn written(&self) -> FieldSet {
        self.modified.union(&self.added)
    }

    /// Without these fields and everything below them.
    pub fn without(self, fields: &FieldSet) -> Self {
        if fields.is_empty() {
            return self;
        }
        Self {
            added: self.added.recursive_difference(fields),
            modified: self.modified.recursive_difference(fields),
            removed: self.removed.recursive_difference(fields),
        }
    }
}

struct Walker {
    path: Vec<PathElement>,
    found: Comparison,
}

/// Whether two values have the same form, so that one look at them suffices.
fn same_form(left: Atom<'_>, right: Atom<'_>) -> bool {
    std::mem::discriminant(&left) == std::mem::discriminant(&right)
}

impl Walker {
    fn values(&mut self, before: Option<&Value>, after: Option<&Value>, ty: TypeRef<'_>) {
        // Most of two objects is the same, whatever its type.
        if before.is_some() && before == after {
            return;
        }
        let (left, right) = (atom(ty, before), atom(ty, after));
        let leaf = match (before, after) {
            (None, None) => return,
            (Some(_), None) => self.as_form(left, before, after, ty),
            (None, Some(_)) => self.as_form(right, before, after, ty),
            (Some(_), Some(_)) if same_form(left, right) => self.as_form(right, before, after, ty),
            (Some(_), Some(_)) => {
                self.as_form(left, before, after, ty);
                self.as_form(right, before, after, ty)
            }
        };
        if !leaf {
            match (before, after) {
                (None, _) => self.found.added.insert(&self.path),
                (_, None) => self.found.removed.insert(&self.path),
                (Some(_), Some(_)) => {}
            }
        }
    }

    /// Compares both as values of one form; whether they were one value each.
    fn as_form(
        &mut self,
        form: Atom<'_>,
        before: Option<&Value>,
        after: Option<&Value>,
        ty: TypeRef<'_>,
    ) -> bool {
        match form {
            Atom::Leaf | Atom::List { kind: ListKind::Atomic, .. } => self.leaves(before, after),
            Atom::Map { atomic: true } | Atom::Wild { atomic: true } => self.leaves(before, after),
            Atom::Map { atomic: false } | Atom::Wild { atomic: false } => {
                if has_no_entries(before) && has_no_entries(after) {
                    return self.leaves(before, after);
                }
                self.maps(before, after, ty);
                false
            }
            Atom::List { kind, element } => {
                let (left, right) = (items(before), items(after));
                if left.is_empty() && right.is_empty() {
                    return self.leaves(before, after);
                }
                self.lists(left, right, kind, element);
                false
            }
        }
    }

    fn leaves(&mut self, before: Option<&Value>, after: Option<&Value>) -> bool {
        match (before, after) {
            (None, _) => self.found.added.insert(&self.path),
            (_, None) => self.found.removed.insert(&self.path),
            (Some(left), Some(right)) if left != right => self.found.modified.insert(&self.path),
            (Some(_), Some(_)) => {}
        }
        true
    }

    fn maps(&mut self, before: Option<&Value>, after: Option<&Value>, ty: TypeRef<'_>) {
        let keys = |value: Option<&Value>| -> Vec<Text> {
            value.and_then(Value::as_map).into_iter().flat_map(|map| map.keys().map(Text::from)).collect()
        };
        let mut names = keys(before);
        names.extend(keys(after));
        names.sort();
        names.dedup();
        for name in names {
            let (left, right) =
                (before.and_then(|value| value.get(&name)), after.and_then(|value| value.get(&name)));
            if left.is_some() && left == right {
                continue;
            }
            let below = child_type(ty, &name);
            self.path.push(PathElement::Field(name));
            self.values(left, right, below);
            self.path.pop();
        }
    }

    fn lists(&mut self, before: &[Value], after: &[Value], kind: ListKind<'_>, element: TypeRef<'_>) {
        let mut by_name: BTreeMap<PathElement, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for item in before {
            if let Some(name) = item_element(item, kind, element) {
                by_name.entry(name).or_default().0.push(item);
            }
        }
        for item in after {
            if let Some(name) = item_element(item, kind, element) {
                by_name.entry(name).or_default().1.push(item);
            }
        }
        for (name, (left, right)) in by_name {
            self.path.push(name);
            self.items(&left, &right, element);
            self.path.pop();
        }
    }

    /// Items of one name. Several of one name are owned as one value, by their name.
    fn items(&mut self, left: &[&Value], right: &[&Value], element: TypeRef<'_>) {
        match (left, right) {
            ([] | [_], [] | [_]) => self.values(left.first().copied(), right.first().copied(), element),
            ([_, _, ..], [_, _, ..]) => {
                if left != right {
                    self.found.modified.insert(&self.path);
                }
            }
            ([_, _, ..], _) => {
                if let Some(item) = right.first() {
                    self.values(None, Some(item), element);
                }
                self.found.removed.insert(&self.path);
            }
            (_, [_, _, ..]) => {
                if let Some(item) = left.first() {
                    self.values(Some(item), None, element);
                }
                self.found.added.insert(&self.path);
            }
        }
    }
}

pub(crate) fn has_no_entries(value: Option<&Value>) -> bool {
    value.and_then(Value::as_map).is_none_or(|map| map.is_empty())
}

pub(crate) fn items(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_list).unwrap_or_default()
}
