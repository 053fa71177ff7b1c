//! Merging an applied configuration into an object.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use trueup_object::{Map, PathElement, Value};

use crate::compare::{has_no_entries, items};
use crate::element::{Atom, atom, child_type, item_element};
use crate::schema::{ListKind, TypeRef};

/// The object with everything that `applied` says, in the order that `applied` gives to list items that both have.
///
/// What `applied` does not mention stays. An applied `null` replaces a single value and is itself kept; it does not
/// empty a map or a list. Nothing is removed: [`crate::apply`] does that by ownership.
pub fn merge(object: &Value, applied: &Value, ty: TypeRef<'_>) -> Value {
    values(Some(object), Some(applied), ty)
}

fn values(left: Option<&Value>, right: Option<&Value>, ty: TypeRef<'_>) -> Value {
    // A value that is there on both sides in two forms is replaced, so the form of the applied one decides.
    let form = if right.is_none() { atom(ty, left) } else { atom(ty, right) };
    match form {
        Atom::Leaf | Atom::List { kind: ListKind::Atomic, .. } => applied_first(left, right),
        Atom::Map { atomic } | Atom::Wild { atomic } => {
            if atomic || (has_no_entries(left) && has_no_entries(right)) {
                return applied_first(left, right);
            }
            maps(left, right, ty)
        }
        Atom::List { kind, element } => {
            let (old, new) = (items(left), items(right));
            if old.is_empty() && new.is_empty() {
                return applied_first(left, right);
            }
            Value::List(lists(old, new, kind, element))
        }
    }
}

fn applied_first(left: Option<&Value>, right: Option<&Value>) -> Value {
    right.or(left).cloned().unwrap_or_default()
}

fn maps(left: Option<&Value>, right: Option<&Value>, ty: TypeRef<'_>) -> Value {
    let left = left.and_then(Value::as_map);
    let right = right.and_then(Value::as_map);
    let names: BTreeSet<&str> =
        left.into_iter().flat_map(Map::keys).chain(right.into_iter().flat_map(Map::keys)).collect();
    names
        .into_iter()
        .map(|name| {
            let (old, new) = (left.and_then(|map| map.get(name)), right.and_then(|map| map.get(name)));
            (name, values(old, new, child_type(ty, name)))
        })
        .collect::<Map>()
        .into()
}

/// The items of one side by name. Items that share a name on the object's side are not merged into.
fn by_name<'v>(names: &[PathElement], items: &[&'v Value]) -> BTreeMap<PathElement, Option<&'v Value>> {
    let mut found = BTreeMap::new();
    for (name, item) in names.iter().zip(items) {
        found.entry(name.clone()).and_modify(|known| *known = None).or_insert(Some(*item));
    }
    found
}

/// Merges the items of a set or list-map. Items that both sides have stand in the applied order; items that only the
/// object has keep their place between those.
fn lists(left: &[Value], right: &[Value], kind: ListKind<'_>, element: TypeRef<'_>) -> Vec<Value> {
    let named = |side: &[Value]| -> Vec<PathElement> {
        side.iter().filter_map(|item| item_element(item, kind, element)).collect()
    };
    let keyed = |item: &&Value| item_element(item, kind, element).is_some();
    let old: Vec<&Value> = left.iter().filter(keyed).collect();
    let new: Vec<&Value> = right.iter().filter(keyed).collect();
    let (old_names, new_names) = (named(left), named(right));
    let (old_by_name, new_by_name) = (by_name(&old_names, &old), by_name(&new_names, &new));
    let mut shared: VecDeque<&PathElement> =
        new_names.iter().filter(|name| old_by_name.contains_key(*name)).collect();
    let mut next = shared.pop_front();
    let mut merged = BTreeSet::new();
    let mut result = Vec::with_capacity(old.len().max(new.len()));
    let (mut at, mut to) = (0, 0);
    while at < old.len() || to < new.len() {
        let (here, there) = (old_names.get(at), new_names.get(to));
        if let (Some(name), Some(applied)) = (here, there)
            && name != applied
            && new_by_name.contains_key(name)
            && next.is_some_and(|next| next != name)
        {
            // It will come in its applied place.
            at += 1;
            continue;
        }
        if let Some(name) = here
            && there != Some(name)
        {
            if !new_by_name.contains_key(name) {
                result.push(values(Some(old[at]), None, element));
                at += 1;
                continue;
            }
            if merged.contains(name) {
                at += 1;
            }
        }
        let Some(name) = there else { continue };
        let before = old_by_name.get(name).copied().flatten();
        result.push(values(before, new.get(to).copied(), element));
        merged.insert(name);
        if here == Some(name) {
            at += 1;
        }
        if next == Some(name) {
            next = shared.pop_front();
        }
        to += 1;
    }
    result
}
