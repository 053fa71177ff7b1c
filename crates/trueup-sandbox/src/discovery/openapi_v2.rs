//! The older OpenAPI document, of everything at once: some parts of kubectl still read it, and only in protobuf.
//!
//! Made from the newer documents: the types of all groups, as Swagger 2.0 writes them. Paths are left out: what kubectl asks
//! them for it asks of the newer documents first.

use trueup_object::Value;
use trueup_object::value::Map;

use super::{map, openapi_document};
use crate::registry::{Builtin, Kinds};

/// The protobuf form (`gnostic`'s `openapi.v2.Document`). Clients ask for it with an `@` in place of the first dot after `v2`,
/// which no content type may have.
pub const PROTOBUF: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

/// `/openapi/v2` as JSON.
pub fn openapi_v2(builtin: &Builtin, kinds: &Kinds) -> Value {
    let mut definitions = Map::new();
    for group in kinds.groups() {
        for version in &group.versions {
            let document = openapi_document(builtin, kinds, &group.name, version);
            let schemas = document.as_ref().and_then(|document| document.at(&["components", "schemas"]));
            for (name, schema) in schemas.and_then(Value::as_map).into_iter().flat_map(Map::iter) {
                if !definitions.contains(name) {
                    definitions.insert(name, older(schema));
                }
            }
        }
    }
    map([
        ("definitions", Value::Map(definitions)),
        (
            "info",
            map([("title", "Kubernetes".into()), ("version", format!("v{}", builtin.kubernetes()).into())]),
        ),
        ("paths", Value::Map(Map::new())),
        ("swagger", "2.0".into()),
    ])
}

/// A schema in the older form: references stand alone, and alternatives are text.
fn older(schema: &Value) -> Value {
    let Some(fields) = schema.as_map() else { return schema.clone() };
    let inner = schema.list_at(&["allOf"]).first().and_then(|first| first.str_at(&["$ref"]));
    let mut out = Map::new();
    if let Some(reference) = inner.or_else(|| schema.str_at(&["$ref"])) {
        out.insert("$ref", reference.replace("#/components/schemas/", "#/definitions/").into());
        if let Some(description) = schema.get("description") {
            out.insert("description", description.clone());
        }
        return Value::Map(out);
    }
    for (key, value) in fields.iter() {
        match key {
            "properties" => {
                let properties = value.as_map().into_iter().flat_map(Map::iter);
                let properties = properties.map(|(name, schema)| (name, older(schema)));
                out.insert(key, Value::Map(properties.collect()));
            }
            "items" | "additionalProperties" => {
                out.insert(key, older(value));
            }
            "oneOf" => {
                out.insert("type", "string".into());
            }
            _ => {
                out.insert(key, value.clone());
            }
        }
    }
    Value::Map(out)
}

/// The document in protobuf.
pub fn encode(document: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, 1, "2.0");
    let mut info = Vec::new();
    text(&mut info, 1, document.str_at(&["info", "title"]).unwrap_or_default());
    text(&mut info, 2, document.str_at(&["info", "version"]).unwrap_or_default());
    bytes(&mut out, 2, &info);
    bytes(&mut out, 8, &[]);
    bytes(&mut out, 9, &named_schemas(document.get("definitions")));
    out
}

fn named_schemas(schemas: Option<&Value>) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, value) in schemas.and_then(Value::as_map).into_iter().flat_map(Map::iter) {
        let mut named = Vec::new();
        text(&mut named, 1, name);
        bytes(&mut named, 2, &schema(value));
        bytes(&mut out, 1, &named);
    }
    out
}

fn schema(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (key, field) in value.as_map().into_iter().flat_map(Map::iter) {
        match key {
            "$ref" => text(&mut out, 1, field.as_str().unwrap_or_default()),
            "format" => text(&mut out, 2, field.as_str().unwrap_or_default()),
            "description" => text(&mut out, 4, field.as_str().unwrap_or_default()),
            "default" => bytes(&mut out, 5, &any(field)),
            "required" => {
                for name in field.as_list().unwrap_or_default() {
                    text(&mut out, 19, name.as_str().unwrap_or_default());
                }
            }
            "enum" => {
                field.as_list().unwrap_or_default().iter().for_each(|one| bytes(&mut out, 20, &any(one)))
            }
            "additionalProperties" => {
                let mut item = Vec::new();
                if field.as_map().is_some() {
                    bytes(&mut item, 1, &schema(field));
                } else {
                    number(&mut item, 2, u64::from(field.as_bool() == Some(true)));
                }
                bytes(&mut out, 21, &item);
            }
            "type" => {
                let mut item = Vec::new();
                text(&mut item, 1, field.as_str().unwrap_or_default());
                bytes(&mut out, 22, &item);
            }
            "items" => {
                let mut item = Vec::new();
                bytes(&mut item, 1, &schema(field));
                bytes(&mut out, 23, &item);
            }
            "properties" => bytes(&mut out, 25, &named_schemas(Some(field))),
            extension if extension.starts_with("x-") => {
                let mut named = Vec::new();
                text(&mut named, 1, extension);
                bytes(&mut named, 2, &any(field));
                bytes(&mut out, 31, &named);
            }
            // Limits of numbers and texts, which no reader of this document looks at.
            _ => {}
        }
    }
    out
}

/// Any value, as YAML, of which JSON is a part.
fn any(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    text(&mut out, 2, &value.to_json());
    out
}

fn text(out: &mut Vec<u8>, field: u64, text: &str) {
    bytes(out, field, text.as_bytes());
}

fn bytes(out: &mut Vec<u8>, field: u64, bytes: &[u8]) {
    varint(out, (field << 3) | 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn number(out: &mut Vec<u8>, field: u64, number: u64) {
    varint(out, field << 3);
    varint(out, number);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or_default());
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn references_stand_alone() {
        let newer = Value::from_json(
            br##"{"type":"object","properties":{"a":{"description":"An a.","allOf":[{"$ref":"#/components/schemas/x.A"}]},
                 "b":{"oneOf":[{"type":"integer"},{"type":"string"}]}}}"##,
        )
        .unwrap();
        let expected = Value::from_json(
            br##"{"type":"object","properties":{"a":{"$ref":"#/definitions/x.A","description":"An a."},"b":{"type":"string"}}}"##,
        )
        .unwrap();
        assert_eq!(older(&newer), expected);
    }

    #[test]
    fn messages_are_those_of_the_wire_format() {
        let schema = schema(&Value::from_json(br#"{"type":"string"}"#).unwrap());
        assert_eq!(schema, [0xb2, 0x01, 8, 0x0a, 6, b's', b't', b'r', b'i', b'n', b'g']);
        let mut long = Vec::new();
        varint(&mut long, 300);
        assert_eq!(long, [0xac, 0x02]);
    }
}
