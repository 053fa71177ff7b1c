//! A Secret as a script that judges sees it: with all of its fields, and none of its values. Of other objects it sees
//! everything, since a setting may have a sensitive name, too, and what it says has none of their sensitive values.

use std::borrow::Cow;

use trueup_object::secret::{SensitiveValues, is_open_field_of_secret, is_secret};
use trueup_object::{Map, Value, is_sensitive_name};

use crate::error::ScriptError;
use crate::message::MASK;

/// kubectl's copy of the whole object, values included.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The object, of a Secret without its values: what a script finds in them would be kept in the status of an Application.
/// An empty value stays empty.
pub(crate) fn without_values(object: &Value) -> Cow<'_, Value> {
    if !is_secret(object) {
        return Cow::Borrowed(object);
    }
    let fields = object.as_map().into_iter().flat_map(Map::iter);
    let shown = fields.map(|(name, value)| match name {
        "metadata" => (name, metadata(value)),
        _ if is_open_field_of_secret(name) => (name, value.clone()),
        _ => (name, masked(value)),
    });
    Cow::Owned(Value::Map(shown.collect()))
}

fn metadata(value: &Value) -> Value {
    let mut metadata = value.clone();
    let annotations = value.get("annotations").and_then(Value::as_map).into_iter().flat_map(Map::iter);
    for (name, value) in annotations.filter(|(name, _)| *name == LAST_APPLIED || is_sensitive_name(name)) {
        metadata.set_at(&["annotations", name], masked(value));
    }
    metadata
}

fn masked(value: &Value) -> Value {
    match value {
        Value::Null | Value::Bool(_) => value.clone(),
        Value::Str(text) if text.is_empty() => value.clone(),
        Value::Int(_) | Value::Float(_) | Value::Str(_) => MASK.into(),
        Value::List(items) => Value::List(items.iter().map(masked).collect()),
        Value::Map(map) => Value::Map(map.iter().map(|(name, value)| (name, masked(value))).collect()),
    }
}

/// What a script says of an object, without the object's sensitive values.
pub(crate) fn words_about(object: &Value, words: String) -> String {
    if words.is_empty() {
        return words;
    }
    match SensitiveValues::of(object).masked(&words) {
        Cow::Borrowed(_) => words,
        Cow::Owned(masked) => masked,
    }
}

/// What a script that acts says of an object when it fails. It gets a Secret as it is, since it makes another one of it: what
/// it says of it is not shown.
pub(crate) fn without_words(error: ScriptError, object: &Value) -> ScriptError {
    let error = match error {
        ScriptError::Raised(words) => ScriptError::Raised(words_about(object, words)),
        ScriptError::Result(words) => ScriptError::Result(words_about(object, words)),
        other @ (ScriptError::Syntax(_)
        | ScriptError::Instructions { .. }
        | ScriptError::Memory { .. }
        | ScriptError::NoAction { .. }) => other,
    };
    match error {
        ScriptError::Raised(_) | ScriptError::Result(_) if is_secret(object) => {
            ScriptError::Raised("the script failed; what it says of a Secret is not shown".to_owned())
        }
        ScriptError::Syntax(_)
        | ScriptError::Raised(_)
        | ScriptError::Instructions { .. }
        | ScriptError::Memory { .. }
        | ScriptError::Result(_)
        | ScriptError::NoAction { .. } => error,
    }
}
