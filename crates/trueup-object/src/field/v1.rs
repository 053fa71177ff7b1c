//! fieldsV1: how `metadata.managedFields` writes a set of paths.
//!
//! `f:NAME` a field, `k:{...}` a list-map item, `v:...` a set item, `i:N` an index; `.` marks the element itself as a
//! member where something below it is one too. An element with an empty map is a member.

use super::path::{KeyFields, PathElement};
use super::set::FieldSet;
use crate::value::{Map, Text, Value};

impl FieldSet {
    /// Reads fieldsV1. `None` where it is not fieldsV1.
    pub fn from_fields_v1(fields: &Value) -> Option<Self> {
        let mut set = Self::new();
        read(fields.as_map()?, &mut set)?;
        Some(set)
    }

    /// Writes fieldsV1.
    pub fn to_fields_v1(&self) -> Value {
        let mut map = Map::new();
        for element in self.members() {
            map.insert(write_element(element), Value::Map(Map::new()));
        }
        for (element, below) in self.children() {
            if below.is_empty() {
                continue;
            }
            let mut inner = below.to_fields_v1();
            if self.members().contains(element) {
                inner.set_at(&["."], Value::Map(Map::new()));
            }
            map.insert(write_element(element), inner);
        }
        Value::Map(map)
    }
}

fn read(fields: &Map, set: &mut FieldSet) -> Option<()> {
    for (key, below) in fields.iter() {
        if key == "." {
            // The caller has marked the element itself.
            continue;
        }
        let element = read_element(key)?;
        let below = below.as_map()?;
        if below.is_empty() || below.contains(".") {
            set.insert(std::slice::from_ref(&element));
        }
        if below.keys().any(|inner| inner != ".") {
            read(below, set.child_mut(&element))?;
        }
    }
    Some(())
}

pub(super) fn read_element(key: &str) -> Option<PathElement> {
    let (kind, rest) = key.split_once(':')?;
    match kind {
        "f" => Some(PathElement::Field(Text::from(rest))),
        "i" => rest.parse().ok().map(PathElement::Index),
        "v" => Value::from_json(rest.as_bytes()).ok().map(PathElement::Value),
        "k" => {
            let keys = Value::from_json(rest.as_bytes()).ok()?;
            let fields =
                keys.as_map()?.iter().map(|(name, value)| (Text::from(name), value.clone())).collect();
            Some(PathElement::Key(KeyFields::new(fields)))
        }
        _ => None,
    }
}

/// Whether a key is an element, as [`read_element`] reads them.
pub(super) fn is_element(key: &str) -> bool {
    match key.split_once(':') {
        Some(("f", _)) => true,
        Some(("k", keys)) => {
            keys.trim_start().starts_with('{') && serde_json::from_str::<serde::de::IgnoredAny>(keys).is_ok()
        }
        Some(_) => read_element(key).is_some(),
        None => false,
    }
}

fn write_element(element: &PathElement) -> Text {
    match element {
        PathElement::Field(name) => Text::from(format!("f:{name}")),
        PathElement::Index(index) => Text::from(format!("i:{index}")),
        PathElement::Value(value) => Text::from(format!("v:{}", value.to_json())),
        PathElement::Key(keys) => {
            let map: Map = keys.sorted().into_iter().map(|(name, value)| (name, value.clone())).collect();
            Text::from(format!("k:{}", Value::Map(map).to_json()))
        }
    }
}
