//! From JSON to values and back, with a schema or without.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trueup_object::Value;
use trueup_object::value::{Map as JsonMap, Text};

use crate::library::{text, time};
use crate::value::{Key, List, ListKind, Object, Val};

/// What a schema says about how JSON is read.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// As it stands.
    Dyn,
    Int,
    Double,
    Bool,
    String,
    Bytes,
    Timestamp,
    Date,
    Duration,
    List {
        element: Arc<Shape>,
        kind: ListKind,
    },
    Map(Arc<Shape>),
    Object {
        name: Text,
        fields: Arc<BTreeMap<Text, ShapeField>>,
    },
}

/// A field of an object: under the name that expressions say.
#[derive(Debug, Clone, PartialEq)]
pub struct ShapeField {
    /// The name in the JSON.
    pub name: Text,
    pub shape: Shape,
}

impl Val {
    /// JSON as it stands.
    pub fn from_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            Value::Float(value) => Self::Double(*value),
            Value::Str(value) => Self::String(value.clone()),
            Value::List(items) => Self::list(items.iter().map(Self::from_json).collect()),
            Value::Map(map) => Self::map(
                map.iter().map(|(key, value)| (Key::String(Text::from(key)), Self::from_json(value))),
            ),
        }
    }

    /// JSON as a schema has it. What does not fit the schema stands as it is.
    pub fn shaped(value: &Value, shape: &Shape) -> Self {
        match (value, shape) {
            (Value::Int(number), Shape::Double) => Self::Double(*number as f64),
            (Value::Float(number), Shape::Int) if number.fract() == 0.0 => Self::Int(*number as i64),
            (Value::Str(text), Shape::Timestamp) => {
                time::parse_timestamp(text).unwrap_or_else(|| Self::String(text.clone()))
            }
            (Value::Str(text), Shape::Date) => time::parse_timestamp(&format!("{text}T00:00:00Z"))
                .unwrap_or_else(|| Self::String(text.clone())),
            (Value::Str(text), Shape::Duration) => {
                time::parse_duration(text).map_or_else(|| Self::String(text.clone()), Self::Duration)
            }
            (Value::Str(text), Shape::Bytes) => STANDARD
                .decode(text.as_bytes())
                .map_or_else(|_| Self::String(text.clone()), |bytes| Self::Bytes(bytes.into())),
            (Value::List(items), Shape::List { element, kind }) => {
                let items = items.iter().map(|item| Self::shaped(item, element)).collect();
                Self::List(Arc::new(List { items, kind: kind.clone() }))
            }
            (Value::Map(map), Shape::Map(element)) => Self::map(
                map.iter().map(|(key, value)| (Key::String(Text::from(key)), Self::shaped(value, element))),
            ),
            (Value::Map(map), Shape::Object { name, fields }) => {
                let fields = fields.iter().filter_map(|(escaped, field)| {
                    Some((escaped.clone(), Self::shaped(map.get(&field.name)?, &field.shape)))
                });
                Self::Object(Arc::new(Object { name: name.clone(), fields: fields.collect() }))
            }
            _ => Self::from_json(value),
        }
    }

    /// The value as JSON; in words why it has none.
    pub fn to_json(&self) -> Result<Value, String> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Int(value) => Value::Int(*value),
            Self::Uint(value) => {
                i64::try_from(*value).map_or_else(|_| Value::Float(*value as f64), Value::Int)
            }
            Self::Double(value) if value.is_finite() => {
                // Whole numbers are written without a point.
                if value.fract() == 0.0 && value.abs() < 9e15 {
                    Value::Int(*value as i64)
                } else {
                    Value::Float(*value)
                }
            }
            Self::Double(value) => return Err(format!("{} has no form in JSON", text::float(*value))),
            Self::String(value) => Value::Str(value.clone()),
            Self::Bytes(value) => Value::from(STANDARD.encode(value)),
            Self::Timestamp(value) => Value::from(time::timestamp_text(*value)),
            Self::Duration(value) => Value::from(time::duration_text(*value)),
            Self::List(list) => {
                Value::List(list.items.iter().map(Self::to_json).collect::<Result<Vec<Value>, String>>()?)
            }
            Self::Map(map) => {
                let mut json = JsonMap::new();
                for (key, value) in map.iter() {
                    let key = match key {
                        Key::String(key) => key.clone(),
                        Key::Bool(key) => Text::from(key.to_string()),
                        Key::Int(key) => Text::from(key.to_string()),
                        Key::Uint(key) => Text::from(key.to_string()),
                    };
                    json.insert(key, value.to_json()?);
                }
                Value::Map(json)
            }
            Self::Object(object) => {
                let mut json = JsonMap::new();
                for (name, value) in &object.fields {
                    json.insert(name.clone(), value.to_json()?);
                }
                Value::Map(json)
            }
            Self::Optional(Some(value)) => value.to_json()?,
            Self::Optional(None) => Value::Null,
            other => return Err(format!("unsupported type: {}", other.type_name())),
        })
    }
}

/// The name that an expression says for a property, where one exists (`__dash__`, `__namespace__`).
pub fn escape(name: &str) -> Option<String> {
    const RESERVED: [&str; 21] = [
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    ];
    if RESERVED.contains(&name) {
        return Some(format!("__{name}__"));
    }
    let starts = name.starts_with(|it: char| it.is_ascii_alphabetic() || it == '_');
    let is_known = |it: char| it.is_ascii_alphanumeric() || matches!(it, '_' | '.' | '-' | '/');
    if !starts || !name.chars().all(is_known) {
        return None;
    }
    let escaped = name
        .replace("__", "\u{0}")
        .replace('.', "__dot__")
        .replace('-', "__dash__")
        .replace('/', "__slash__");
    Some(escaped.replace('\u{0}', "__underscores__"))
}
