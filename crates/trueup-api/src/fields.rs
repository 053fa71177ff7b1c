//! Reading typed fields out of a value, gathering what is wrong instead of stopping at it.
//!
//! Every error says which field it is about, what was found there and what is expected.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use trueup_object::{Map, Text, Value};

/// A field that does not hold what it should.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct FieldError {
    /// `spec.source.repoURL`, `spec.sources[1].path`
    pub path: String,
    /// What is there, in words.
    pub found: String,
    /// What should be there, in words.
    pub expected: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}: found {}, expected {}", self.path, self.found, self.expected)
    }
}

impl std::error::Error for FieldError {}

/// The errors found so far.
pub(crate) type Errors = RefCell<Vec<FieldError>>;

/// A map within an object, with its path. A field that is absent or null reads as absent.
#[derive(Clone)]
pub(crate) struct Fields<'a> {
    map: Option<&'a Map>,
    path: String,
    errors: &'a Errors,
}

impl<'a> Fields<'a> {
    /// The fields of an object; `path` is empty for the object itself.
    pub(crate) fn of(value: &'a Value, path: &str, errors: &'a Errors) -> Self {
        Self { map: value.as_map(), path: path.to_owned(), errors }
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Notes that a field is wrong.
    pub(crate) fn refuse(&self, name: &str, found: impl Into<String>, expected: impl Into<String>) {
        let path = self.path_of(name);
        self.errors.borrow_mut().push(FieldError { path, found: found.into(), expected: expected.into() });
    }

    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.map?.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    fn typed<T>(&self, name: &str, expected: &str, read: impl Fn(&'a Value) -> Option<T>) -> Option<T> {
        let value = self.value(name)?;
        let typed = read(value);
        if typed.is_none() {
            self.refuse(name, describe(value), expected);
        }
        typed
    }

    pub(crate) fn text(&self, name: &str) -> Option<Text> {
        self.typed(name, "a string", |value| value.as_str().map(Text::from))
    }

    /// The string, or an empty one.
    pub(crate) fn text_or_empty(&self, name: &str) -> Text {
        self.text(name).unwrap_or_default()
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.typed(name, "true or false", Value::as_bool)
    }

    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.typed(name, "an integer", Value::as_int)
    }

    /// A map within this one.
    pub(crate) fn within(&self, name: &str) -> Option<Self> {
        let map = self.typed(name, "an object", Value::as_map)?;
        Some(Self { map: Some(map), path: self.path_of(name), errors: self.errors })
    }

    /// The maps of a list.
    pub(crate) fn each(&self, name: &str) -> Vec<Self> {
        let items = self.typed(name, "a list of objects", Value::as_list).unwrap_or_default();
        let mut found = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            let name = format!("{name}[{index}]");
            match item.as_map() {
                Some(map) => {
                    found.push(Self { map: Some(map), path: self.path_of(&name), errors: self.errors })
                }
                None => self.refuse(&name, describe(item), "an object"),
            }
        }
        found
    }

    /// The strings of a list.
    pub(crate) fn texts(&self, name: &str) -> Vec<Text> {
        let items = self.typed(name, "a list of strings", Value::as_list).unwrap_or_default();
        let mut found = Vec::with_capacity(items.len());
        for (index, item) in items.iter().enumerate() {
            match item.as_str() {
                Some(text) => found.push(Text::from(text)),
                None => self.refuse(&format!("{name}[{index}]"), describe(item), "a string"),
            }
        }
        found
    }

    /// A map of strings, such as labels.
    pub(crate) fn text_map(&self, name: &str) -> BTreeMap<Text, Text> {
        let Some(map) = self.within(name) else { return BTreeMap::new() };
        let keys: Vec<Text> = map.map.map(|map| map.keys().map(Text::from).collect()).unwrap_or_default();
        keys.into_iter().filter_map(|key| map.text(&key).map(|value| (key, value))).collect()
    }

    /// The fields that are none of these.
    pub(crate) fn others(&self, known: &[&str]) -> Map {
        let entries = self.map.into_iter().flat_map(Map::iter).filter(|(name, _)| !known.contains(name));
        entries.map(|(name, value)| (name, value.clone())).collect()
    }
}

/// A value in words, short enough for a message. Content of collections is left out.
pub(crate) fn describe(value: &Value) -> String {
    const LENGTH_MAX: usize = 60;
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => format!("the boolean {}", value.to_json()),
        Value::Int(_) | Value::Float(_) => format!("the number {}", value.to_json()),
        Value::Str(text) if text.chars().count() > LENGTH_MAX => {
            format!(
                "the string {}",
                Value::from(text.chars().take(LENGTH_MAX).collect::<String>() + "...").to_json()
            )
        }
        Value::Str(_) => format!("the string {}", value.to_json()),
        Value::List(items) => format!("a list of {}", items.len()),
        Value::Map(_) => "an object".to_owned(),
    }
}
