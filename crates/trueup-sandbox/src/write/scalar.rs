//! Scalars in the form in which the API's Go types print them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trueup_merge::schema::Scalar;
use trueup_object::time::{to_micros, to_seconds};
use trueup_object::{Quantity, Text, Timestamp, Value};

/// The scalar as the server would print it; `None` where its type cannot hold it.
pub fn canonical(value: &Value, scalar: Scalar, format: &str) -> Option<Value> {
    match (scalar, value) {
        // Go leaves a field alone that is null: it keeps its zero value.
        (_, Value::Null) => Some(zero(scalar)),
        (Scalar::String, Value::Str(_)) | (Scalar::Boolean, Value::Bool(_)) => Some(value.clone()),
        (Scalar::Integer, Value::Int(number)) => in_range(*number, format).then(|| value.clone()),
        (Scalar::Number, Value::Int(_) | Value::Float(_)) => Some(value.clone()),
        (Scalar::IntOrString, Value::Int(number)) => in_range(*number, "int32").then(|| value.clone()),
        (Scalar::IntOrString, Value::Str(_)) => Some(value.clone()),
        (Scalar::Quantity, Value::Str(_) | Value::Int(_) | Value::Float(_)) => {
            Quantity::of(value).ok().map(|quantity| quantity.to_string().into())
        }
        (Scalar::Duration, Value::Str(_) | Value::Int(_)) => Some(value.clone()),
        (Scalar::Time, Value::Str(text)) => time(text, to_seconds),
        // Go's parser takes exactly six digits here.
        (Scalar::MicroTime, Value::Str(text)) if !has_micros(text) => None,
        (Scalar::MicroTime, Value::Str(text)) => time(text, to_micros),
        (Scalar::Bytes, Value::Str(text)) => {
            let compact: String = text.chars().filter(|char| !matches!(char, '\n' | '\r')).collect();
            STANDARD.decode(compact.as_bytes()).ok().map(|bytes| STANDARD.encode(bytes).into())
        }
        (Scalar::Other, Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_)) => {
            Some(value.clone())
        }
        (
            Scalar::String
            | Scalar::Boolean
            | Scalar::Integer
            | Scalar::Number
            | Scalar::IntOrString
            | Scalar::Quantity
            | Scalar::Duration
            | Scalar::Time
            | Scalar::MicroTime
            | Scalar::Bytes
            | Scalar::Other,
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::List(_) | Value::Map(_),
        ) => None,
    }
}

/// The zero value of a scalar, as far as JSON shows it.
pub fn zero(scalar: Scalar) -> Value {
    match scalar {
        Scalar::String | Scalar::Bytes | Scalar::Duration | Scalar::Other => "".into(),
        Scalar::Integer | Scalar::Number | Scalar::IntOrString => 0.into(),
        Scalar::Boolean => false.into(),
        Scalar::Quantity => "0".into(),
        Scalar::Time | Scalar::MicroTime => Value::Null,
    }
}

/// The zero value as the server writes it where it writes it.
pub fn zero_written(scalar: Scalar) -> Value {
    match scalar {
        Scalar::Duration => "0s".into(),
        other => zero(other),
    }
}

/// The word of Go's error messages for the type.
pub fn go_type(scalar: Scalar, format: &str) -> &'static str {
    match scalar {
        Scalar::Integer if format == "int64" => "int64",
        Scalar::Integer => "int32",
        Scalar::Number => "float64",
        Scalar::Boolean => "bool",
        Scalar::Bytes => "[]uint8",
        Scalar::IntOrString => "int32",
        Scalar::String
        | Scalar::Quantity
        | Scalar::Duration
        | Scalar::Time
        | Scalar::MicroTime
        | Scalar::Other => "string",
    }
}

/// What Go's quantities say of everything that is none, whatever it is.
const NO_QUANTITY: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// The message of types that parse for themselves; `None` where Go's own message applies.
pub fn refusal(value: &Value, scalar: Scalar) -> Option<String> {
    if scalar == Scalar::Quantity {
        return Some(NO_QUANTITY.to_owned());
    }
    let text = value.as_str()?;
    match scalar {
        Scalar::Time | Scalar::MicroTime => {
            let micro = if scalar == Scalar::MicroTime { ".000000" } else { "" };
            Some(format!(
                "parsing time {text:?} as \"2006-01-02T15:04:05{micro}Z07:00\": cannot parse {text:?} as \"2006\""
            ))
        }
        Scalar::Bytes => {
            let is_known = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
            let place = text.bytes().position(|byte| !is_known(byte)).unwrap_or(text.len() / 4 * 4);
            Some(format!("illegal base64 data at input byte {place}"))
        }
        Scalar::String
        | Scalar::Integer
        | Scalar::Number
        | Scalar::Boolean
        | Scalar::IntOrString
        | Scalar::Quantity
        | Scalar::Duration
        | Scalar::Other => None,
    }
}

fn in_range(number: i64, format: &str) -> bool {
    format != "int32" || i32::try_from(number).is_ok()
}

fn has_micros(text: &str) -> bool {
    let digits = text.split_once('.').map_or("", |(_, fraction)| fraction);
    digits.bytes().take_while(u8::is_ascii_digit).count() == 6
}

fn time(text: &str, written: fn(Timestamp) -> Text) -> Option<Value> {
    if text.is_empty() {
        return None;
    }
    let time: Timestamp = text.parse().ok()?;
    Some(Value::Str(written(time)))
}
