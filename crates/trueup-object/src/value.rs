//! A compact tree of JSON values with sorted maps.
//!
//! Numbers are what Kubernetes keeps: a signed 64-bit integer, or a float. Maps are sorted by key, as Go prints
//! them, so equal values print equal bytes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;

use crate::json::read::entries;

/// A short string: up to 24 bytes are kept inline.
pub type Text = compact_str::CompactString;

/// A JSON value.
#[derive(Debug, Clone, Default)]
pub enum Value {
    #[default]
    Null,
    Bool(bool),
    Int(i64),
    /// Never NaN or infinite: the readers refuse both, as Kubernetes does.
    Float(f64),
    Str(Text),
    List(Vec<Value>),
    Map(Map),
}

/// A map from text to value, sorted by key, without duplicates.
#[derive(Clone, Default)]
pub struct Map {
    entries: Entries,
}

/// The entries of a map, sorted by key.
#[derive(Clone)]
enum Entries {
    Read(Vec<(Text, Value)>),
    /// Read when somebody looks into it.
    Unread(Box<Unread>),
}

/// A map that is still JSON, known to be well formed.
struct Unread {
    json: Box<str>,
    /// It is as it would be written: sorted, without blanks, and with no escapes but those that are needed.
    is_as_written: bool,
    read: OnceLock<Vec<(Text, Value)>>,
}

impl Value {
    /// The string, where this is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) => Some(text.as_str()),
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The integer, where this is one; a float without a fraction counts.
    pub fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            Self::Float(number) if number.fract() == 0.0 && number.abs() < 9.0e15 => Some(*number as i64),
            Self::Null | Self::Bool(_) | Self::Float(_) | Self::Str(_) | Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The boolean, where this is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Self::Bool(flag) = self { Some(*flag) } else { None }
    }

    /// The items, where this is a list.
    pub fn as_list(&self) -> Option<&[Value]> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The items for changing, where this is a list.
    pub fn as_list_mut(&mut self) -> Option<&mut Vec<Value>> {
        if let Self::List(items) = self { Some(items) } else { None }
    }

    /// The map, where this is one.
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The map for changing, where this is one.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The value of a key, where this is a map that has it.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.as_map().and_then(|map| map.get(key))
    }

    /// The value of a key for changing, where this is a map that has it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        self.as_map_mut().and_then(|map| map.get_mut(key))
    }

    /// The value under a chain of map keys.
    pub fn at(&self, keys: &[&str]) -> Option<&Value> {
        keys.iter().try_fold(self, |value, key| value.get(key))
    }

    /// The string under a chain of map keys.
    pub fn str_at(&self, keys: &[&str]) -> Option<&str> {
        self.at(keys).and_then(Value::as_str)
    }

    /// The integer under a chain of map keys.
    pub fn int_at(&self, keys: &[&str]) -> Option<i64> {
        self.at(keys).and_then(Value::as_int)
    }

    /// The list under a chain of map keys; empty where there is none.
    pub fn list_at(&self, keys: &[&str]) -> &[Value] {
        self.at(keys).and_then(Value::as_list).unwrap_or_default()
    }

    /// Sets the value under a chain of map keys, making the maps on the way (a value in the way that is not a map is replaced).
    pub fn set_at(&mut self, keys: &[&str], value: Value) {
        let Some((first, rest)) = keys.split_first() else {
            *self = value;
            return;
        };
        if self.as_map().is_none() {
            *self = Self::Map(Map::new());
        }
        if let Some(map) = self.as_map_mut() {
            map.entry_or_null(first).set_at(rest, value);
        }
    }

    /// Removes the value under a chain of map keys and returns it.
    pub fn remove_at(&mut self, keys: &[&str]) -> Option<Value> {
        let (last, parents) = keys.split_last()?;
        let mut value = self;
        for key in parents {
            value = value.get_mut(key)?;
        }
        value.as_map_mut()?.remove(last)
    }

    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// What kind of value this is, in JSON's words.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) => "integer",
            Self::Float(_) => "number",
            Self::Str(_) => "string",
            Self::List(_) => "array",
            Self::Map(_) => "object",
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Int(_) | Self::Float(_) => 2,
            Self::Str(_) => 3,
            Self::List(_) => 4,
            Self::Map(_) => 5,
        }
    }
}

/// Total order: by kind, then by content; an integer and a float of the same value are equal.
impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bool(left), Self::Bool(right)) => left.cmp(right),
            (Self::Int(left), Self::Int(right)) => left.cmp(right),
            (Self::Float(left), Self::Float(right)) => left.total_cmp(right),
            (Self::Int(left), Self::Float(right)) => (*left as f64).total_cmp(right),
            (Self::Float(left), Self::Int(right)) => left.total_cmp(&(*right as f64)),
            (Self::Str(left), Self::Str(right)) => left.cmp(right),
            (Self::List(left), Self::List(right)) => left.cmp(right),
            (Self::Map(left), Self::Map(right)) => left.cmp(right),
            (left, right) => left.rank().cmp(&right.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Str(left), Self::Str(right)) => left == right,
            (Self::List(left), Self::List(right)) => left == right,
            (Self::Map(left), Self::Map(right)) => left == right,
            (left, right) => left.cmp(right) == Ordering::Equal,
        }
    }
}

impl Eq for Value {}

impl Hash for Value {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Null => {}
            Self::Bool(flag) => flag.hash(state),
            Self::Int(number) => (*number as f64).to_bits().hash(state),
            Self::Float(number) => number.to_bits().hash(state),
            Self::Str(text) => text.hash(state),
            Self::List(items) => items.hash(state),
            Self::Map(map) => map.hash(state),
        }
    }
}

impl Default for Entries {
    fn default() -> Self {
        Self::Read(Vec::new())
    }
}

/// What was read of it is not copied: whoever looks into the copy reads it again.
impl Clone for Unread {
    fn clone(&self) -> Self {
        Self { json: self.json.clone(), is_as_written: self.is_as_written, read: OnceLock::new() }
    }
}

impl Unread {
    fn entries(&self) -> &[(Text, Value)] {
        self.read.get_or_init(|| entries(&self.json))
    }
}

/// Up to so many keys, looking at each is quicker than halving.
const LINEAR_MAX: usize = 8;

impl Map {
    pub fn new() -> Self {
        Self::default()
    }

    /// From entries in any order, of which later ones win.
    pub(crate) fn from_entries(mut entries: Vec<(Text, Value)>) -> Self {
        // One sort at the end: inserting one by one would take quadratic time for keys in reverse order.
        if !entries.is_sorted_by(|left, right| left.0 < right.0) {
            entries.sort_by(|left, right| left.0.cmp(&right.0));
            // Of equal keys, which the sort has kept in order, the first stays: swap it for the later one before.
            entries.dedup_by(|later, kept| {
                let same = later.0 == kept.0;
                if same {
                    std::mem::swap(&mut later.1, &mut kept.1);
                }
                same
            });
        }
        Self { entries: Entries::Read(entries) }
    }

    /// A map that is read from JSON, known to be well formed, when somebody looks into it.
    pub(crate) fn unread(json: Box<str>, is_as_written: bool) -> Self {
        Self { entries: Entries::Unread(Box::new(Unread { json, is_as_written, read: OnceLock::new() })) }
    }

    /// Its JSON, where that is at hand.
    pub(crate) fn as_written(&self) -> Option<&str> {
        match &self.entries {
            Entries::Unread(unread) if unread.is_as_written => Some(&unread.json),
            Entries::Unread(_) | Entries::Read(_) => None,
        }
    }

    /// The JSON of a map that nobody has looked into.
    pub(crate) fn json(&self) -> Option<&str> {
        match &self.entries {
            Entries::Unread(unread) if unread.read.get().is_none() => Some(&unread.json),
            Entries::Unread(_) | Entries::Read(_) => None,
        }
    }

    fn entries(&self) -> &[(Text, Value)] {
        match &self.entries {
            Entries::Read(entries) => entries,
            Entries::Unread(unread) => unread.entries(),
        }
    }

    fn entries_mut(&mut self) -> &mut Vec<(Text, Value)> {
        loop {
            match self.entries {
                Entries::Read(ref mut entries) => return entries,
                Entries::Unread(_) => {
                    let read = std::mem::take(self).into_entries();
                    self.entries = Entries::Read(read);
                }
            }
        }
    }

    pub(crate) fn into_entries(self) -> Vec<(Text, Value)> {
        match self.entries {
            Entries::Read(entries) => entries,
            Entries::Unread(unread) => {
                let Unread { json, is_as_written: _, read } = *unread;
                read.into_inner().unwrap_or_else(|| entries(&json))
            }
        }
    }

    pub fn len(&self) -> usize {
        self.entries().len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries().is_empty()
    }

    fn position(&self, key: &str) -> Result<usize, usize> {
        self.entries().binary_search_by(|(name, _)| name.as_str().cmp(key))
    }

    pub fn contains(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        let entries = self.entries();
        let index = if entries.len() <= LINEAR_MAX {
            entries.iter().position(|(name, _)| name.as_str() == key)?
        } else {
            self.position(key).ok()?
        };
        entries.get(index).map(|(_, value)| value)
    }

    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value> {
        let index = self.position(key).ok()?;
        self.entries_mut().get_mut(index).map(|(_, value)| value)
    }

    /// Sets a key; returns the value it had.
    pub fn insert(&mut self, key: impl Into<Text>, value: Value) -> Option<Value> {
        let key = key.into();
        // Readers mostly hand keys over in order: then this is a push.
        if self.entries().last().is_none_or(|(last, _)| *last < key) {
            self.entries_mut().push((key, value));
            return None;
        }
        match self.position(&key) {
            Ok(index) => {
                self.entries_mut().get_mut(index).map(|entry| std::mem::replace(&mut entry.1, value))
            }
            Err(index) => {
                self.entries_mut().insert(index, (key, value));
                None
            }
        }
    }

    /// The value of a key, made `null` where it was absent.
    pub fn entry_or_null(&mut self, key: &str) -> &mut Value {
        let index = match self.position(key) {
            Ok(index) => index,
            Err(index) => {
                self.entries_mut().insert(index, (Text::from(key), Value::Null));
                index
            }
        };
        &mut self.entries_mut()[index].1
    }

    pub fn remove(&mut self, key: &str) -> Option<Value> {
        let index = self.position(key).ok()?;
        Some(self.entries_mut().remove(index).1)
    }

    pub fn retain(&mut self, mut keep: impl FnMut(&str, &mut Value) -> bool) {
        self.entries_mut().retain_mut(|(key, value)| keep(key, value));
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&str, &Value)> + ExactSizeIterator {
        self.entries().iter().map(|(key, value)| (key.as_str(), value))
    }

    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&str, &mut Value)> {
        self.entries_mut().iter_mut().map(|(key, value)| (key.as_str(), value))
    }

    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.entries().iter().map(|(key, _)| key.as_str())
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        if let (Some(left), Some(right)) = (self.as_written(), other.as_written()) {
            return left == right;
        }
        // Equal texts are equal maps; different ones may still be, in their order or their blanks.
        let same_text = self.json().zip(other.json()).is_some_and(|(left, right)| left == right);
        same_text || self.entries() == other.entries()
    }
}

impl Eq for Map {}

impl Ord for Map {
    fn cmp(&self, other: &Self) -> Ordering {
        self.entries().cmp(other.entries())
    }
}

impl PartialOrd for Map {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Map {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.entries().hash(state);
    }
}

impl IntoIterator for Map {
    type Item = (Text, Value);
    type IntoIter = std::vec::IntoIter<(Text, Value)>;

    fn into_iter(self) -> Self::IntoIter {
        self.into_entries().into_iter()
    }
}

/// Later entries win over earlier ones with the same key.
impl<K: Into<Text>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        Self::from_entries(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(Text::from(text))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Str(Text::from(text))
    }
}

impl From<Text> for Value {
    fn from(text: Text) -> Self {
        Self::Str(text)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Self::Map(map)
    }
}

impl From<Vec<Value>> for Value {
    fn from(items: Vec<Value>) -> Self {
        Self::List(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_stay_sorted_without_duplicates() {
        let mut map = Map::new();
        for key in ["b", "a", "c", "b"] {
            map.insert(key, Value::from(key));
        }
        assert_eq!(map.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(map.remove("b"), Some("b".into()));
        assert!(!map.contains("b") && map.len() == 2);
    }

    #[test]
    fn of_repeated_keys_the_last_wins() {
        let map: Map = [("b", 1), ("a", 2), ("b", 3), ("a", 4), ("b", 5)]
            .into_iter()
            .map(|(key, number)| (key, Value::Int(number)))
            .collect();
        assert_eq!(Value::Map(map).to_json(), r#"{"a":4,"b":5}"#);
    }

    #[test]
    fn chains_of_keys() {
        let mut value = Value::Null;
        value.set_at(&["a", "b"], Value::Int(1));
        value.set_at(&["a", "c"], "x".into());
        assert_eq!((value.int_at(&["a", "b"]), value.str_at(&["a", "c"])), (Some(1), Some("x")));
        assert_eq!(value.remove_at(&["a", "b"]), Some(Value::Int(1)));
        assert_eq!((value.remove_at(&["z", "b"]), value.at(&["a", "b"])), (None, None));
        value.set_at(&["a", "c", "d"], Value::Bool(true));
        assert_eq!(value.to_json(), r#"{"a":{"c":{"d":true}}}"#);
    }

    #[test]
    fn numbers_are_equal_by_amount() {
        assert_eq!(Value::Int(1), Value::Float(1.0));
        assert_ne!(Value::Int(1), Value::Float(1.5));
        assert_ne!(Value::Int(1), Value::from("1"));
        assert!(Value::Null < Value::Bool(false) && Value::Int(9) < Value::from("1"));
    }
}
