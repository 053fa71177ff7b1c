//! Taking a set of fields out of an object, leaving it away, and finding the value at a path.

use trueup_object::{FieldPath, FieldSet, Map, PathElement, Text, Value};

use crate::element::{Atom, KeyMatch, atom, child_type, item_element, same_key};
use crate::schema::{ListKind, TypeRef};

/// Only the fields of a set, with what identifies the list items on the way (their key fields).
///
/// A member that is a map, struct or list stands for everything in it only where it is atomic or empty or nothing below
/// it is in the set.
pub fn extract(object: &Value, set: &FieldSet, ty: TypeRef<'_>) -> Value {
    let mut result = Value::Map(Map::new());
    if let Value::Map(map) = object {
        result = extract_map(map, set, ty);
    }
    result
}

/// The object without the fields of a set. A map or list of which everything is removed is `null`, as the server leaves
/// it; a removed member takes everything below it along.
pub fn remove(object: &Value, set: &FieldSet, ty: TypeRef<'_>) -> Value {
    match atom(ty, Some(object)) {
        Atom::Leaf => object.clone(),
        Atom::List { kind: ListKind::Atomic, .. } | Atom::Map { atomic: true } | Atom::Wild { .. } => {
            Value::Null
        }
        Atom::Map { atomic: false } => {
            let kept = remove_from_map(object.as_map().cloned().unwrap_or_default(), set, ty);
            if kept.is_empty() { Value::Null } else { Value::Map(kept) }
        }
        Atom::List { kind, element } => {
            let kept: Vec<Value> = object
                .as_list()
                .unwrap_or_default()
                .iter()
                .filter_map(|item| remove_from_item(item, set, kind, element))
                .collect();
            if kept.is_empty() { Value::Null } else { Value::List(kept) }
        }
    }
}

fn below<'s>(set: &'s FieldSet, element: &PathElement) -> Option<&'s FieldSet> {
    set.child(element).filter(|below| !below.is_empty())
}

fn remove_from_map(map: Map, set: &FieldSet, ty: TypeRef<'_>) -> Map {
    map.into_iter()
        .filter_map(|(name, value)| {
            let element = PathElement::Field(name.clone());
            if set.members().contains(&element) {
                return None;
            }
            let kept = match below(set, &element) {
                Some(below) => remove(&value, below, child_type(ty, &name)),
                None => value,
            };
            Some((name, kept))
        })
        .collect()
}

fn remove_from_item(item: &Value, set: &FieldSet, kind: ListKind<'_>, ty: TypeRef<'_>) -> Option<Value> {
    let Some(element) = item_element(item, kind, ty) else { return Some(item.clone()) };
    if set.members().contains(&element) {
        return None;
    }
    Some(below(set, &element).map_or_else(|| item.clone(), |below| remove(item, below, ty)))
}

fn extract_map(map: &Map, set: &FieldSet, ty: TypeRef<'_>) -> Value {
    map.iter()
        .filter_map(|(name, value)| {
            let element = PathElement::Field(Text::from(name));
            let member = set.members().contains(&element);
            let kept = extract_value(value, member, below(set, &element), child_type(ty, name))?;
            Some((name, kept))
        })
        .collect::<Map>()
        .into()
}

/// What a set holds of one value: nothing, all of it, or some of what is below it.
fn extract_value(value: &Value, member: bool, set: Option<&FieldSet>, ty: TypeRef<'_>) -> Option<Value> {
    let Some(set) = set else { return member.then(|| value.clone()) };
    Some(match atom(ty, Some(value)) {
        Atom::Leaf | Atom::List { kind: ListKind::Atomic, .. } => value.clone(),
        Atom::Map { atomic: true } | Atom::Wild { .. } => value.clone(),
        Atom::Map { atomic: false } => extract_map(value.as_map()?, set, ty),
        Atom::List { kind, element } => Value::List(
            value.as_list()?.iter().filter_map(|item| extract_item(item, set, kind, element)).collect(),
        ),
    })
}

fn extract_item(item: &Value, set: &FieldSet, kind: ListKind<'_>, ty: TypeRef<'_>) -> Option<Value> {
    let element = item_element(item, kind, ty)?;
    let mut kept = match (set.members().contains(&element), below(set, &element)) {
        (false, None) => return None,
        // An item of which only the key is owned.
        (true, None) if matches!(element, PathElement::Key(_)) => Value::Map(Map::new()),
        (member, below) => extract_value(item, member, below, ty)?,
    };
    if let PathElement::Key(keys) = &element {
        for (name, _) in keys.iter() {
            if let Some(value) = item.get(name) {
                kept.set_at(&[name], value.clone());
            }
        }
    }
    Some(kept)
}

/// The value at a path. An item that lacks a key field fits where the path's value can be that field's default, unless
/// another item fits exactly.
pub fn get<'v>(object: &'v Value, path: &FieldPath) -> Option<&'v Value> {
    path.elements().iter().try_fold(object, |value, element| match element {
        PathElement::Field(name) => value.get(name),
        PathElement::Index(index) => value.as_list()?.get(*index),
        PathElement::Value(wanted) => value.as_list()?.iter().find(|item| *item == wanted),
        PathElement::Key(keys) => {
            let fits = |wanted: KeyMatch| {
                value.as_list().unwrap_or_default().iter().find(move |item| same_key(item, keys) == wanted)
            };
            fits(KeyMatch::Yes).or_else(|| fits(KeyMatch::ButForDefaults))
        }
    })
}
