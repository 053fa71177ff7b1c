//! Kubernetes' protobuf bodies, which typed Go clients send by default, read into the same values as JSON.
//!
//! Only reading: answers are JSON, which every such client accepts as well. The messages are those of the built-in kinds,
//! reduced from the published `.proto` files by `cargo xtask codegen`.

mod wire;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trueup_object::value::{Map, Text};
use trueup_object::{Gvk, Timestamp, Value};

use crate::clock::{wire_micro_time, wire_time};
use wire::{Field, WireError, fields};

/// The media type of these bodies.
pub const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

/// How deep messages may nest: deeper than any kind, shallow enough for the stack.
const DEPTH_MAX: usize = 64;

/// What every body begins with.
const MAGIC: &[u8] = b"k8s\0";

const DELETE_OPTIONS: &str = "apimachinery.pkg.apis.meta.v1.DeleteOptions";

/// Why a body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    #[error("provided data does not appear to be a protobuf message, expected prefix {MAGIC:?}")]
    NoPrefix,
    #[error("no kind \"{0}\" is registered in scheme")]
    UnknownKind(String),
    #[error("messages are nested too deeply")]
    TooDeep,
    #[error("proto: {0}")]
    Wire(#[from] WireError),
}

/// The fields of one message, by number.
#[derive(Debug, Default)]
struct Message<'a> {
    fields: BTreeMap<u64, Rule<'a>>,
}

#[derive(Debug, Clone, Copy)]
struct Rule<'a> {
    /// `~`: the fields of the message stand in this one.
    name: &'a str,
    shape: Shape,
    element: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    One,
    List,
    Map,
}

/// Reads a body. `type_name` gives the name of a kind's type as the table of built-in kinds has it.
pub fn decode<'t>(body: &[u8], type_name: impl Fn(&Gvk) -> Option<&'t str>) -> Result<Value, ProtobufError> {
    let envelope = body.strip_prefix(MAGIC).ok_or(ProtobufError::NoPrefix)?;
    let (mut gvk, mut raw) = (Gvk::new("", "", ""), &[][..]);
    for field in fields(envelope) {
        match field? {
            Field { number: 1, value: wire::Wire::Bytes(bytes) } => gvk = type_meta(bytes)?,
            Field { number: 2, value: wire::Wire::Bytes(bytes) } => raw = bytes,
            Field { .. } => {}
        }
    }
    let message = if gvk.kind == "DeleteOptions" {
        DELETE_OPTIONS
    } else {
        let name = type_name(&gvk).and_then(|name| name.strip_prefix("io.k8s."));
        name.ok_or_else(|| ProtobufError::UnknownKind(gvk.kind.to_string()))?
    };
    let mut object = message_value(message, raw, 0)?;
    object.set_at(&["apiVersion"], gvk.api_version().into());
    object.set_at(&["kind"], gvk.kind.into());
    Ok(object)
}

fn type_meta(bytes: &[u8]) -> Result<Gvk, ProtobufError> {
    let (mut api_version, mut kind) = (Text::default(), Text::default());
    for field in fields(bytes) {
        match field? {
            Field { number: 1, value: wire::Wire::Bytes(bytes) } => api_version = text(bytes),
            Field { number: 2, value: wire::Wire::Bytes(bytes) } => kind = text(bytes),
            Field { .. } => {}
        }
    }
    Ok(Gvk::from_api_version(&api_version, &kind))
}

fn messages() -> &'static BTreeMap<&'static str, Message<'static>> {
    static MESSAGES: OnceLock<BTreeMap<&str, Message<'_>>> = OnceLock::new();
    MESSAGES.get_or_init(|| include_str!("../../data/protobuf.txt").lines().filter_map(parse_line).collect())
}

fn parse_line(line: &'static str) -> Option<(&'static str, Message<'static>)> {
    let mut words = line.split(' ');
    let name = words.next()?;
    let fields = words.filter_map(|word| {
        let (name, rest) = word.split_once('=')?;
        let (number, element) = rest.split_once(':')?;
        let (shape, element) = match element.split_at(1) {
            ("*", element) => (Shape::List, element),
            ("%", element) => (Shape::Map, element),
            _ => (Shape::One, element),
        };
        Some((number.parse().ok()?, Rule { name, shape, element }))
    });
    Some((name, Message { fields: fields.collect() }))
}

fn text(bytes: &[u8]) -> Text {
    Text::from(String::from_utf8_lossy(bytes).as_ref())
}

/// A message as JSON has it.
fn message_value(name: &str, bytes: &[u8], depth: usize) -> Result<Value, ProtobufError> {
    if depth > DEPTH_MAX {
        return Err(ProtobufError::TooDeep);
    }
    if let Some(special) = special(name, bytes)? {
        return Ok(special);
    }
    let mut map = Map::new();
    read_message(name, bytes, depth, &mut map)?;
    Ok(Value::Map(map))
}

fn read_message(name: &str, bytes: &[u8], depth: usize, map: &mut Map) -> Result<(), ProtobufError> {
    let Some(message) = messages().get(name) else { return Ok(()) };
    for field in fields(bytes) {
        let Field { number, value } = field?;
        // A field of a newer version is unknown here, as it is to an older server.
        let Some(rule) = message.fields.get(&number) else { continue };
        match (rule.shape, &value) {
            (Shape::One, wire::Wire::Bytes(inner)) if rule.name == "~" => {
                read_message(rule.element, inner, depth + 1, map)?;
            }
            (Shape::One, value) => {
                let value = element_value(rule.element, value, depth)?;
                if !value.is_null() {
                    map.insert(rule.name, value);
                }
            }
            (Shape::List, value) => {
                let items = list_items(rule.element, value, depth)?;
                append(map.entry_or_null(rule.name), items);
            }
            (Shape::Map, wire::Wire::Bytes(entry)) => {
                let (key, value) = map_entry(rule.element, entry, depth)?;
                map.entry_or_null(rule.name).set_at(&[&key], value);
            }
            (Shape::Map, wire::Wire::Number(_) | wire::Wire::Eight(_)) => {}
        }
    }
    Ok(())
}

fn append(list: &mut Value, items: Vec<Value>) {
    match list {
        Value::List(present) => present.extend(items),
        other => *other = Value::List(items),
    }
}

/// One item, or several where numbers are packed.
fn list_items(element: &str, value: &wire::Wire<'_>, depth: usize) -> Result<Vec<Value>, ProtobufError> {
    if let ("i", wire::Wire::Bytes(packed)) = (element, value) {
        let numbers = wire::packed(packed)?;
        return Ok(numbers.into_iter().map(|number| Value::Int(number.cast_signed())).collect());
    }
    Ok(vec![element_value(element, value, depth)?])
}

fn map_entry(element: &str, entry: &[u8], depth: usize) -> Result<(Text, Value), ProtobufError> {
    let mut key = Text::default();
    // An absent value is the zero value of its type.
    let mut value = match element {
        "s" | "y" => Value::from(""),
        "i" => Value::Int(0),
        "b" => Value::Bool(false),
        message => message_value(message, &[], depth + 1)?,
    };
    for field in fields(entry) {
        match field? {
            Field { number: 1, value: wire::Wire::Bytes(bytes) } => key = text(bytes),
            Field { number: 2, value: inner } => value = element_value(element, &inner, depth)?,
            Field { .. } => {}
        }
    }
    Ok((key, value))
}

fn element_value(element: &str, value: &wire::Wire<'_>, depth: usize) -> Result<Value, ProtobufError> {
    Ok(match (element, value) {
        ("s", wire::Wire::Bytes(bytes)) => Value::Str(text(bytes)),
        ("y", wire::Wire::Bytes(bytes)) => STANDARD.encode(bytes).into(),
        ("i", wire::Wire::Number(number)) => Value::Int(number.cast_signed()),
        ("b", wire::Wire::Number(number)) => Value::Bool(*number != 0),
        ("d", wire::Wire::Eight(bits)) => Value::Float(f64::from_bits(*bits)),
        (message, wire::Wire::Bytes(bytes)) => message_value(message, bytes, depth + 1)?,
        (_, wire::Wire::Number(_) | wire::Wire::Eight(_)) => return Err(WireError::WrongType.into()),
    })
}

/// Messages whose JSON form is no map.
fn special(name: &str, bytes: &[u8]) -> Result<Option<Value>, ProtobufError> {
    let is_time = name.ends_with("meta.v1.Time");
    if is_time || name.ends_with("meta.v1.MicroTime") {
        return time(bytes, is_time).map(Some);
    }
    let is_raw = name.ends_with("runtime.RawExtension") || name.ends_with("meta.v1.FieldsV1");
    let (mut numbers, mut last) = (BTreeMap::new(), &[][..]);
    let is_special = is_raw
        || name.ends_with("resource.Quantity")
        || name.ends_with("intstr.IntOrString")
        || name.ends_with("meta.v1.Duration")
        || name.ends_with(".ExtraValue");
    if !is_special {
        return Ok(None);
    }
    let mut texts = Vec::new();
    for field in fields(bytes) {
        match field? {
            Field { number, value: wire::Wire::Number(value) } => {
                numbers.insert(number, value);
            }
            Field { value: wire::Wire::Bytes(value), .. } => {
                last = value;
                texts.push(Value::Str(text(value)));
            }
            Field { value: wire::Wire::Eight(_), .. } => {}
        }
    }
    let number = |number: u64| numbers.get(&number).copied().unwrap_or_default().cast_signed();
    Ok(Some(match name.rsplit('.').next().unwrap_or_default() {
        "ExtraValue" => Value::List(texts),
        "IntOrString" if number(1) == 0 => Value::Int(number(2)),
        "Duration" => format!("{}ns", number(1)).into(),
        _ if is_raw => Value::from_json(last).unwrap_or_default(),
        _ => Value::Str(text(last)),
    }))
}

/// A time; null where it is the zero time, which is sent as an empty message.
fn time(bytes: &[u8], whole_seconds: bool) -> Result<Value, ProtobufError> {
    let (mut seconds, mut nanos, mut given) = (0i64, 0i64, false);
    for field in fields(bytes) {
        match field? {
            Field { number: 1, value: wire::Wire::Number(value) } => {
                (seconds, given) = (value.cast_signed(), true)
            }
            Field { number: 2, value: wire::Wire::Number(value) } => {
                (nanos, given) = (value.cast_signed(), true)
            }
            Field { .. } => {}
        }
    }
    let time = Timestamp::new(seconds, i32::try_from(nanos).unwrap_or_default()).ok().filter(|_| given);
    Ok(time.map_or(Value::Null, |time| {
        Value::Str(if whole_seconds { wire_time(time) } else { wire_micro_time(time) })
    }))
}

#[cfg(test)]
mod tests;
