//! Small steps on value trees that defaulting, strategies and validation share.

use trueup_object::{Map, Value};

/// Sets a field that is absent or `null`.
pub fn fill(value: &mut Value, key: &str, default: impl Into<Value>) {
    if value.get(key).is_none_or(Value::is_null)
        && let Some(map) = value.as_map_mut()
    {
        map.insert(key, default.into());
    }
}

/// Sets a field that is absent, `null` or an empty string.
pub fn fill_text(value: &mut Value, key: &str, default: &str) {
    if value.get(key).and_then(Value::as_str) == Some("")
        && let Some(map) = value.as_map_mut()
    {
        map.remove(key);
    }
    fill(value, key, default);
}

/// The map under a key, made where there is none. Gives `value` itself where that is no map.
pub fn below<'v>(value: &'v mut Value, key: &str) -> &'v mut Value {
    if value.as_map().is_none() {
        return value;
    }
    fill(value, key, Value::Map(Map::new()));
    match value {
        Value::Map(map) => map.entry_or_null(key),
        other => other,
    }
}

/// Calls for each item of the list under a key.
pub fn each(value: &mut Value, key: &str, mut step: impl FnMut(&mut Value)) {
    if let Some(items) = value.get_mut(key).and_then(Value::as_list_mut) {
        items.iter_mut().for_each(&mut step);
    }
}

/// Calls for the map under a key, where there is one.
pub fn within(value: &mut Value, key: &str, step: impl FnOnce(&mut Value)) {
    if let Some(inner) = value.get_mut(key)
        && inner.as_map().is_some()
    {
        step(inner);
    }
}

/// Whether a field is absent, `null`, or an empty string, list or map.
pub fn is_unset(value: &Value, key: &str) -> bool {
    match value.get(key) {
        None | Some(Value::Null) => true,
        Some(Value::Str(text)) => text.is_empty(),
        Some(Value::List(items)) => items.is_empty(),
        Some(Value::Map(map)) => map.is_empty(),
        Some(Value::Bool(_) | Value::Int(_) | Value::Float(_)) => false,
    }
}

/// Puts a field of another object in place of one's own: takes it away where the other has it not.
pub fn copy_field(into: &mut Value, from: &Value, path: &[&str]) {
    match from.at(path) {
        Some(value) => into.set_at(path, value.clone()),
        None => {
            into.remove_at(path);
        }
    }
}
