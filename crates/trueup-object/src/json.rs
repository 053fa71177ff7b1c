//! JSON read from bytes into [`Value`], and written back with sorted keys.
//!
//! Reading follows Kubernetes: an integer that fits 64 signed bits is an integer, any other number a float; of duplicate
//! keys the last wins. Writing follows Go's `encoding/json` closely enough that equal values give equal bytes.

use std::fmt::Write as _;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::value::{Text, Value};

pub(crate) mod read;

/// Bytes that are not JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not valid JSON at line {line}, column {column}: {message}")]
pub struct JsonError {
    pub line: usize,
    pub column: usize,
    pub message: String,
}

/// What a text of a map or a list begins with, so that it does not grow and move a dozen times.
const ROOM: usize = 512;

impl Value {
    /// Reads one JSON value.
    pub fn from_json(bytes: &[u8]) -> Result<Self, JsonError> {
        match read::read(bytes) {
            Some(value) => Ok(value),
            None => Self::from_json_carefully(bytes),
        }
    }

    /// The same without the quick way.
    fn from_json_carefully(bytes: &[u8]) -> Result<Self, JsonError> {
        serde_json::from_slice::<FromJson>(bytes).map(|read| read.0).map_err(JsonError::from)
    }

    /// Compact JSON with sorted keys.
    pub fn to_json(&self) -> String {
        let room = if matches!(self, Self::Map(_) | Self::List(_)) { ROOM } else { 0 };
        let mut out = String::with_capacity(room);
        write_json(self, &mut out);
        out
    }

    /// The same, at the end of a text.
    pub fn write_json(&self, out: &mut String) {
        write_json(self, out);
    }

    /// JSON with sorted keys, indented by two spaces.
    pub fn to_json_pretty(&self) -> String {
        let mut out = String::new();
        write_pretty(self, 0, &mut out);
        out
    }
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self { line: error.line(), column: error.column(), message: error.to_string() }
    }
}

/// The reader of JSON values, for shells that read them as part of larger documents.
pub struct FromJson(pub Value);

impl<'de> Deserialize<'de> for FromJson {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor).map(FromJson)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(i64::try_from(number).map_or(Value::Float(number as f64), Value::Int))
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Value, E> {
        match number {
            // Go reads `-0` as the integer 0.
            0.0 => Ok(Value::Int(0)),
            number if number.is_finite() => Ok(Value::Float(number)),
            _ => Err(E::custom("number out of range")),
        }
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Str(Text::from(text)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::with_capacity(items.size_hint().unwrap_or_default().min(1024));
        while let Some(FromJson(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut found: Vec<(Text, Value)> = Vec::new();
        while let Some(key) = entries.next_key::<std::borrow::Cow<'de, str>>()? {
            let FromJson(value) = entries.next_value().map_err(A::Error::custom)?;
            found.push((Text::from(key.as_ref()), value));
        }
        Ok(Value::Map(found.into_iter().collect()))
    }
}

fn write_json(value: &Value, out: &mut String) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(flag) => out.push_str(if *flag { "true" } else { "false" }),
        Value::Int(number) => {
            let _ = write!(out, "{number}");
        }
        Value::Float(number) => write_float(*number, out),
        Value::Str(text) => write_text(text, out),
        Value::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_json(item, out);
            }
            out.push(']');
        }
        Value::Map(map) => {
            if let Some(json) = map.as_written() {
                return out.push_str(json);
            }
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_text(key, out);
                out.push(':');
                write_json(item, out);
            }
            out.push('}');
        }
    }
}

fn write_pretty(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::List(items) if !items.is_empty() => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "\n" });
                indent(depth + 1, out);
                write_pretty(item, depth + 1, out);
            }
            out.push('\n');
            indent(depth, out);
            out.push(']');
        }
        Value::Map(map) if !map.is_empty() => {
            out.push('{');
            for (index, (key, item)) in map.iter().enumerate() {
                out.push_str(if index > 0 { ",\n" } else { "\n" });
                indent(depth + 1, out);
                write_text(key, out);
                out.push_str(": ");
                write_pretty(item, depth + 1, out);
            }
            out.push('\n');
            indent(depth, out);
            out.push('}');
        }
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::Str(_)
        | Value::List(_)
        | Value::Map(_) => {
            write_json(value, out);
        }
    }
}

fn indent(depth: usize, out: &mut String) {
    out.extend(std::iter::repeat_n("  ", depth));
}

/// Go prints a float without a fraction as an integer, and switches to exponents outside 1e-6..1e21.
fn write_float(number: f64, out: &mut String) {
    let size = number.abs();
    let written = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let text = format!("{number:e}");
        match text.split_once('e') {
            Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
            Some(_) | None => text,
        }
    } else {
        format!("{number}")
    };
    out.push_str(&written);
}

pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    loop {
        let (plain, after) = rest.split_at_checked(read::plain(rest.as_bytes())).unwrap_or((rest, ""));
        out.push_str(plain);
        let mut chars = after.chars();
        match chars.next() {
            None => break,
            Some('"') => out.push_str("\\\""),
            Some('\\') => out.push_str("\\\\"),
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some(control) => {
                let _ = write!(out, "\\u{:04x}", control as u32);
            }
        }
        rest = chars.as_str();
    }
    out.push('"');
}

/// Reads values that follow each other, each with the offset of its first byte; ends at the first error.
pub(crate) fn read_stream(bytes: &[u8]) -> Vec<(usize, Result<Value, JsonError>)> {
    let mut found = Vec::new();
    let mut stream = serde_json::Deserializer::from_slice(bytes).into_iter::<FromJson>();
    loop {
        let offset = stream.byte_offset();
        let blank = bytes.iter().skip(offset).take_while(|byte| byte.is_ascii_whitespace()).count();
        match stream.next() {
            None => return found,
            Some(Ok(FromJson(value))) => found.push((offset + blank, Ok(value))),
            Some(Err(error)) => {
                found.push((offset + blank, Err(JsonError::from(error))));
                return found;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn again(text: &str) -> String {
        Value::from_json(text.as_bytes()).unwrap().to_json()
    }

    #[test]
    fn numbers_are_integers_where_they_fit() {
        let cases = [
            ("9223372036854775807", "9223372036854775807"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("9223372036854775808", "9223372036854776000"),
            ("-0", "0"),
            ("1.0", "1"),
            ("1e21", "1e+21"),
            ("1e-7", "1e-7"),
            ("0.000001", "0.000001"),
            ("-5.279298212530421e-94", "-5.279298212530421e-94"),
        ];
        for (text, expected) in cases {
            assert_eq!(again(text), expected, "{text}");
        }
        assert_eq!(Value::from_json(b"1").unwrap(), Value::from_json(b"1.0").unwrap());
        assert!(Value::from_json(b"1e999").is_err());
    }

    #[test]
    fn maps_are_sorted_and_the_last_duplicate_wins() {
        assert_eq!(
            again(r#"{"b":1,"a":{"d":[],"c":{}},"b":"\u0001\n"}"#),
            r#"{"a":{"c":{},"d":[]},"b":"\u0001\n"}"#
        );
        let pretty = Value::from_json(br#"{"a":[1,{}],"b":{"c":null}}"#).unwrap().to_json_pretty();
        assert_eq!(pretty, "{\n  \"a\": [\n    1,\n    {}\n  ],\n  \"b\": {\n    \"c\": null\n  }\n}");
    }

    #[test]
    fn errors_say_where() {
        let error = Value::from_json(b"{\n  \"a\": x\n}").unwrap_err();
        assert_eq!((error.line, error.column), (2, 8));
        assert!(Value::from_json("[".repeat(200).as_bytes()).is_err());
        assert!(Value::from_json(b"1 2").is_err());
    }
}
