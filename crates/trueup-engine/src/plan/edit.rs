//! Setting and deleting one path of a value.

use trueup_merge::{KeyMatch, same_key};
use trueup_object::{Map, PathElement, Text, Value};

/// Sets the value at a path, making maps and list-map items on the way. An index that does not exist is left alone.
pub fn set(object: &mut Value, path: &[PathElement], value: Value) {
    let Some((first, rest)) = path.split_first() else {
        *object = value;
        return;
    };
    match first {
        PathElement::Field(name) => {
            if object.as_map().is_none() {
                *object = Value::Map(Map::new());
            }
            if let Some(map) = object.as_map_mut() {
                set(map.entry_or_null(name), rest, value);
            }
        }
        PathElement::Key(_) | PathElement::Value(_) => {
            if object.as_list().is_none() {
                *object = Value::List(Vec::new());
            }
            let Some(items) = object.as_list_mut() else { return };
            let index = position(items, first).unwrap_or_else(|| {
                items.push(new_item(first));
                items.len() - 1
            });
            if let Some(item) = items.get_mut(index) {
                set(item, rest, value);
            }
        }
        PathElement::Index(index) => {
            if let Some(item) = object.as_list_mut().and_then(|items| items.get_mut(*index)) {
                set(item, rest, value);
            }
        }
    }
}

/// Deletes what is at a path; nothing where there is nothing.
pub fn delete(object: &mut Value, path: &[PathElement]) {
    let Some((first, rest)) = path.split_first() else { return };
    match (first, rest.is_empty()) {
        (PathElement::Field(name), true) => {
            if let Some(map) = object.as_map_mut() {
                map.remove(name);
            }
        }
        (PathElement::Field(name), false) => {
            if let Some(inner) = object.get_mut(name) {
                delete(inner, rest);
            }
        }
        (PathElement::Key(_) | PathElement::Value(_), last) => {
            let Some(items) = object.as_list_mut() else { return };
            let Some(index) = position(items, first) else { return };
            if last {
                items.remove(index);
            } else if let Some(item) = items.get_mut(index) {
                delete(item, rest);
            }
        }
        (PathElement::Index(index), last) => {
            let Some(items) = object.as_list_mut() else { return };
            if last && *index < items.len() {
                items.remove(*index);
            } else if let Some(item) = items.get_mut(*index) {
                delete(item, rest);
            }
        }
    }
}

/// Where the list item is that an element names: one that has all its keys, else one that lacks some, which then have
/// their defaults there.
fn position(items: &[Value], element: &PathElement) -> Option<usize> {
    match element {
        PathElement::Key(keys) => {
            let fits = |wanted: KeyMatch| items.iter().position(|item| same_key(item, keys) == wanted);
            fits(KeyMatch::Yes).or_else(|| fits(KeyMatch::ButForDefaults))
        }
        PathElement::Value(value) => items.iter().position(|item| item == value),
        PathElement::Field(_) | PathElement::Index(_) => None,
    }
}

fn new_item(element: &PathElement) -> Value {
    match element {
        PathElement::Key(keys) => {
            Value::Map(keys.iter().map(|(name, value)| (Text::from(name), value.clone())).collect())
        }
        PathElement::Value(value) => value.clone(),
        PathElement::Field(_) | PathElement::Index(_) => Value::Null,
    }
}
