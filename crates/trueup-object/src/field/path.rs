//! Path elements and paths, and how they are written (contracts: "Paths").

use std::cmp::Ordering;
use std::fmt;

use crate::value::{Text, Value};

/// One step of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PathElement {
    /// A field of a struct or a key of a map.
    Field(Text),
    /// An item of a list-map, by its key fields.
    Key(KeyFields),
    /// An item of a set, by its value.
    Value(Value),
    /// An item of an atomic list, from 0.
    Index(usize),
}

/// The key fields of a list-map item, shown in the order of the schema; equality and order do not depend on it.
#[derive(Debug, Clone)]
pub struct KeyFields {
    fields: Vec<(Text, Value)>,
}

impl KeyFields {
    /// Key fields in the order in which the schema lists the keys.
    pub fn new(fields: Vec<(Text, Value)>) -> Self {
        Self { fields }
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.fields.iter().map(|(name, value)| (name.as_str(), value))
    }

    pub fn get(&self, name: &str) -> Option<&Value> {
        self.iter().find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    /// The fields sorted by name, as fieldsV1 writes them.
    pub fn sorted(&self) -> Vec<(&str, &Value)> {
        let mut sorted: Vec<_> = self.iter().collect();
        sorted.sort_by(|left, right| left.0.cmp(right.0));
        sorted
    }
}

impl Ord for KeyFields {
    fn cmp(&self, other: &Self) -> Ordering {
        if let ([one], [other]) = (self.fields.as_slice(), other.fields.as_slice()) {
            return one.cmp(other);
        }
        self.sorted().cmp(&other.sorted())
    }
}

impl PartialOrd for KeyFields {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for KeyFields {
    fn eq(&self, other: &Self) -> bool {
        // No name occurs twice.
        self.fields.len() == other.fields.len()
            && self.iter().all(|(name, value)| other.get(name).is_some_and(|found| found == value))
    }
}

impl Eq for KeyFields {}

impl std::hash::Hash for KeyFields {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.sorted().hash(state);
    }
}

/// A path from the root of an object; empty is the object itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldPath {
    elements: Vec<PathElement>,
}

impl FieldPath {
    pub fn root() -> Self {
        Self::default()
    }

    pub fn new(elements: Vec<PathElement>) -> Self {
        Self { elements }
    }

    /// A path of plain fields.
    pub fn fields(names: &[&str]) -> Self {
        Self { elements: names.iter().map(|name| PathElement::Field(Text::from(*name))).collect() }
    }

    pub fn elements(&self) -> &[PathElement] {
        &self.elements
    }

    pub fn is_root(&self) -> bool {
        self.elements.is_empty()
    }

    pub fn push(&mut self, element: PathElement) {
        self.elements.push(element);
    }

    pub fn pop(&mut self) -> Option<PathElement> {
        self.elements.pop()
    }

    /// This path with one more element.
    pub fn child(&self, element: PathElement) -> Self {
        let mut elements = self.elements.clone();
        elements.push(element);
        Self { elements }
    }

    /// This path with one more plain field.
    pub fn field(&self, name: &str) -> Self {
        self.child(PathElement::Field(Text::from(name)))
    }

    pub fn parent(&self) -> Option<Self> {
        let (_, elements) = self.elements.split_last()?;
        Some(Self { elements: elements.to_vec() })
    }

    /// Whether `prefix` is this path or a parent of it.
    pub fn starts_with(&self, prefix: &Self) -> bool {
        self.elements.starts_with(&prefix.elements)
    }

    /// Whether the path starts with these plain fields.
    pub fn starts_with_fields(&self, names: &[&str]) -> bool {
        self.elements.len() >= names.len()
            && self
                .elements
                .iter()
                .zip(names)
                .all(|(element, name)| matches!(element, PathElement::Field(field) if field == name))
    }
}

/// Whether a field name can follow a dot without quotes.
fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|rest| rest.is_ascii_alphanumeric() || rest == '_')
}

impl fmt::Display for PathElement {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) if is_plain(name) => write!(out, ".{name}"),
            Self::Field(name) => write!(out, "[{}]", Value::Str(name.clone()).to_json()),
            Self::Key(keys) => {
                out.write_str("[")?;
                for (position, (name, value)) in keys.iter().enumerate() {
                    let comma = if position == 0 { "" } else { "," };
                    write!(out, "{comma}{name}={}", value.to_json())?;
                }
                out.write_str("]")
            }
            Self::Value(value) => write!(out, "[={}]", value.to_json()),
            Self::Index(index) => write!(out, "[{index}]"),
        }
    }
}

/// The root prints as a single dot.
impl fmt::Display for FieldPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.elements.is_empty() {
            return out.write_str(".");
        }
        self.elements.iter().try_for_each(|element| element.fmt(out))
    }
}
