//! fieldsV1: how `metadata.managedFields` writes a set of paths.
//!
//! `f:NAME` a field, `k:{...}` a list-map item, `v:...` a set item, `i:N` an index; `.` marks the element itself as a
//! member where something below it is one too. An element with an empty map is a member.

use super::path::{KeyFields, PathElement};
use super::set::FieldSet;
use crate::json::read::Keys;
use crate::json::write_text;
use crate::value::{Map, Text, Value};

/// Deeper than this a set is written as a tree of maps: readers of JSON do not follow for ever.
const TEXT_DEPTH_MAX: usize = 100;

impl FieldSet {
    /// Reads fieldsV1. `None` where it is not fieldsV1.
    pub fn from_fields_v1(fields: &Value) -> Option<Self> {
        let mut set = Self::new();
        let map = fields.as_map()?;
        match map.json().filter(|_| map.as_written().is_some()) {
            Some(json) => {
                read_text(&mut Keys::new(json), &mut String::new(), &mut set)?;
            }
            None => read(map, &mut set)?,
        }
        Some(set)
    }

    /// Writes fieldsV1.
    pub fn to_fields_v1(&self) -> Value {
        // As text until somebody looks into it: most often it is only copied and sent.
        let mut text = String::new();
        match write_level(self, false, 0, &mut text) {
            Some(()) => Value::Map(Map::unread(text.into_boxed_str(), true)),
            None => self.to_tree(),
        }
    }

    /// The same, every map of it made.
    pub(super) fn to_tree(&self) -> Value {
        let mut map = Map::new();
        for element in self.members() {
            map.insert(write_element(element), Value::Map(Map::new()));
        }
        for (element, below) in self.children() {
            if below.is_empty() {
                continue;
            }
            let mut inner = below.to_tree();
            if self.members().contains(element) {
                inner.set_at(&["."], Value::Map(Map::new()));
            }
            map.insert(write_element(element), inner);
        }
        Value::Map(map)
    }
}

/// Writes one level and those below it, sorted; `None` where there are too many.
fn write_level(set: &FieldSet, is_member: bool, depth: usize, out: &mut String) -> Option<()> {
    if depth > TEXT_DEPTH_MAX {
        return None;
    }
    let children = set.children().iter().filter(|(_, below)| !below.is_empty());
    let below = children.map(|(element, below)| (write_element(element), Some((element, below))));
    let mut entries: Vec<(Text, Option<(&PathElement, &FieldSet)>)> =
        set.members().iter().map(|element| (write_element(element), None)).chain(below).collect();
    entries.sort_by(|one, other| one.0.cmp(&other.0));
    out.push('{');
    if is_member {
        // Before all others: every element begins with a letter.
        out.push_str(r#"".":{}"#);
    }
    let mut entries = entries.into_iter().peekable();
    while let Some((key, below)) = entries.next() {
        // Of those that are written alike the last one counts, which is what has something below it.
        if entries.peek().is_some_and(|(next, _)| *next == key) {
            continue;
        }
        if !out.ends_with('{') {
            out.push(',');
        }
        write_text(&key, out);
        out.push(':');
        match below {
            Some((element, below)) => {
                write_level(below, set.members().contains(element), depth + 1, out)?;
            }
            None => out.push_str("{}"),
        }
    }
    out.push('}');
    Some(())
}

/// What stands in a map: whether its own element is a member of the set, and whether there is anything below.
struct Level {
    is_member: bool,
    has_below: bool,
}

/// Reads a map that is still text. `keys` is a buffer, left as it was.
fn read_text(reader: &mut Keys<'_>, keys: &mut String, set: &mut FieldSet) -> Option<Level> {
    let (mut is_marked, mut has_below) = (false, false);
    let start = keys.len();
    while reader.next(keys) {
        if keys.get(start..)? == "." {
            is_marked = true;
            keys.truncate(start);
            reader.pass(keys);
            continue;
        }
        has_below = true;
        let element = read_element(keys.get(start..)?)?;
        keys.truncate(start);
        let mut below = FieldSet::new();
        let level = read_text(reader, keys, &mut below)?;
        if level.is_member {
            set.insert(std::slice::from_ref(&element));
        }
        if level.has_below {
            *set.child_mut(&element) = below;
        }
    }
    Some(Level { is_member: is_marked || !has_below, has_below })
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
        PathElement::Field(name) => {
            let mut text = Text::with_capacity(name.len() + 2);
            text.push_str("f:");
            text.push_str(name);
            text
        }
        PathElement::Index(index) => Text::from(format!("i:{index}")),
        PathElement::Value(value) => Text::from(format!("v:{}", value.to_json())),
        PathElement::Key(keys) => {
            let map: Map = keys.sorted().into_iter().map(|(name, value)| (name, value.clone())).collect();
            Text::from(format!("k:{}", Value::Map(map).to_json()))
        }
    }
}
