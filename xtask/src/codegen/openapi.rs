//! Reduces OpenAPI v3 documents to types: what each field is, how lists and maps merge, no descriptions.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::discovery::{Discovered, KindKey};

/// The types and kinds of the table, as far as the server publishes them.
pub struct Published {
    pub types: BTreeMap<String, Type>,
    /// The type of each kind's object.
    pub kinds: BTreeMap<KindKey, String>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Type {
    pub fields: BTreeMap<String, Field>,
    pub atomic: bool,
    pub preserve: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    pub shape: Shape,
    pub required: bool,
    pub patch: Option<String>,
    pub merge_key: Option<String>,
    /// An optional text or number whose published default is its zero value: where it is the key of an item, that names it.
    pub zero_default: bool,
}

/// What stands at one place.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Ref {
        name: String,
        /// What the use says over the type: atomic or granular.
        atomic: Option<bool>,
    },
    List {
        items: Box<Shape>,
        list: ListType,
    },
    Map {
        items: Box<Shape>,
        atomic: bool,
    },
    /// A scalar or something without a schema; `kind` is the table's word for it.
    Scalar {
        kind: &'static str,
        format: Option<String>,
        allowed: Vec<String>,
    },
}

#[derive(Clone, Debug, PartialEq)]
pub enum ListType {
    Atomic,
    Set,
    Map(Vec<String>),
}

pub fn reduce(documents: &[Value], discovered: &Discovered) -> Result<Published> {
    let schemas = collect(documents)?;
    let mut kinds = BTreeMap::new();
    for key in discovered.kinds() {
        // A few subresources stream or proxy; they have options and no object.
        if let Some(name) = type_of_kind(&schemas, &key) {
            kinds.insert(key, name);
        }
    }
    let reducer = Reducer { schemas };
    let mut types = BTreeMap::new();
    let mut open: Vec<String> = kinds.values().cloned().collect();
    while let Some(name) = open.pop() {
        if types.contains_key(&name) {
            continue;
        }
        let reduced = reducer.object(&name).with_context(|| format!("reduce {name}"))?;
        open.extend(reduced.fields.values().flat_map(|field| references(&field.shape)));
        types.insert(name, reduced);
    }
    Ok(Published { types, kinds })
}

/// All schemas of all documents by name. The same name must mean the same everywhere.
fn collect(documents: &[Value]) -> Result<BTreeMap<String, Value>> {
    let mut schemas: BTreeMap<String, Value> = BTreeMap::new();
    for document in documents {
        let all = document["components"]["schemas"].as_object().context("a document without schemas")?;
        for (name, schema) in all {
            let previous = schemas.insert(name.clone(), schema.clone());
            if previous.is_some_and(|previous| previous["properties"] != schema["properties"]) {
                bail!("{name} differs between group versions");
            }
        }
    }
    Ok(schemas)
}

fn type_of_kind(schemas: &BTreeMap<String, Value>, key: &KindKey) -> Option<String> {
    let (group, version) = key.group_version.rsplit_once('/').unwrap_or(("", &key.group_version));
    let is_it =
        |gvk: &Value| gvk["group"] == group && gvk["version"] == version && gvk["kind"] == key.kind.as_str();
    let mut named = schemas.iter().filter(|(_, schema)| {
        schema["x-kubernetes-group-version-kind"].as_array().is_some_and(|gvks| gvks.iter().any(is_it))
    });
    named.next().map(|(name, _)| name.clone())
}

/// Whether what is published says that a text or whole number is empty or zero where it is not given.
fn has_zero_default(described: &Value) -> bool {
    let default = described.get("default");
    match described["type"].as_str() {
        Some("string") => default == Some(&json!("")),
        Some("integer") => default == Some(&json!(0)),
        _ => false,
    }
}

fn references(shape: &Shape) -> Vec<String> {
    match shape {
        Shape::Ref { name, .. } => vec![name.clone()],
        Shape::List { items, .. } | Shape::Map { items, .. } => references(items),
        Shape::Scalar { .. } => Vec::new(),
    }
}

struct Reducer {
    schemas: BTreeMap<String, Value>,
}

impl Reducer {
    fn object(&self, name: &str) -> Result<Type> {
        let schema = self.schemas.get(name).context("no such schema")?;
        let required: BTreeSet<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let mut fields = BTreeMap::new();
        for (field, described) in schema["properties"].as_object().unwrap_or(&Map::new()) {
            let reduced = Field {
                shape: self.shape(described).with_context(|| format!("field {field}"))?,
                required: required.contains(field.as_str()),
                patch: string(described, "x-kubernetes-patch-strategy"),
                merge_key: string(described, "x-kubernetes-patch-merge-key"),
                zero_default: !required.contains(field.as_str()) && has_zero_default(described),
            };
            fields.insert(field.clone(), reduced);
        }
        Ok(Type { fields, atomic: is_atomic(schema), preserve: preserves(schema) })
    }

    fn shape(&self, described: &Value) -> Result<Shape> {
        if let Some(name) = reference(described) {
            return self.referred(name, map_type(described));
        }
        if let Some(items) = described.get("items") {
            let list = list_type(described)?;
            return Ok(Shape::List { items: Box::new(self.shape(items)?), list });
        }
        if let Some(items) = described.get("additionalProperties").filter(|items| items.is_object()) {
            return Ok(Shape::Map { items: Box::new(self.shape(items)?), atomic: is_atomic(described) });
        }
        Ok(scalar(described))
    }

    /// A reference to an object stays one; what is not an object is resolved here.
    fn referred(&self, name: &str, atomic: Option<bool>) -> Result<Shape> {
        let named = match name.rsplit('.').next().unwrap_or(name) {
            "Quantity" => Some("quantity"),
            "Time" => Some("time"),
            "MicroTime" => Some("microtime"),
            "RawExtension" => Some("raw"),
            "FieldsV1" => Some("any"),
            _ => None,
        };
        if let Some(kind) = named {
            return Ok(Shape::Scalar { kind, format: None, allowed: Vec::new() });
        }
        let schema = self.schemas.get(name).with_context(|| format!("no schema {name}"))?;
        if schema.get("properties").is_some()
            || schema["type"] == "object" && schema.get("additionalProperties").is_none()
        {
            return Ok(Shape::Ref { name: name.to_owned(), atomic });
        }
        self.shape(schema)
    }
}

fn reference(described: &Value) -> Option<&str> {
    let direct = described["$ref"].as_str();
    let wrapped = || match described["allOf"].as_array().map(Vec::as_slice) {
        Some([only]) => only["$ref"].as_str(),
        _ => None,
    };
    direct.or_else(wrapped)?.rsplit('/').next()
}

fn list_type(described: &Value) -> Result<ListType> {
    Ok(match described["x-kubernetes-list-type"].as_str() {
        None | Some("atomic") => ListType::Atomic,
        Some("set") => ListType::Set,
        Some("map") => {
            let keys =
                described["x-kubernetes-list-map-keys"].as_array().context("a list-map without keys")?;
            ListType::Map(keys.iter().filter_map(Value::as_str).map(str::to_owned).collect())
        }
        Some(other) => bail!("unknown list type {other}"),
    })
}

fn scalar(described: &Value) -> Shape {
    let format = string(described, "format");
    let allowed = described["enum"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    let kind = match (described["type"].as_str(), format.as_deref()) {
        (Some("string"), Some("byte")) => "bytes",
        (Some("string"), Some("date-time")) => "time",
        (_, Some("int-or-string")) => "int-or-string",
        (Some("string"), _) => "string",
        (Some("integer"), _) => "integer",
        (Some("number"), _) => "number",
        (Some("boolean"), _) => "boolean",
        _ => "any",
    };
    // The formats that the word itself says are left out.
    let format = format.filter(|_| ["string", "integer", "number"].contains(&kind));
    Shape::Scalar { kind, format, allowed }
}

fn is_atomic(described: &Value) -> bool {
    map_type(described) == Some(true)
}

fn map_type(described: &Value) -> Option<bool> {
    described["x-kubernetes-map-type"].as_str().map(|word| word == "atomic")
}

fn preserves(described: &Value) -> bool {
    described["x-kubernetes-preserve-unknown-fields"] == true
}

fn string(described: &Value, key: &str) -> Option<String> {
    described[key].as_str().map(str::to_owned)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {

    use super::*;

    fn shape(described: &Value) -> Shape {
        let schemas = BTreeMap::from([
            ("a.Quantity".to_owned(), json!({"oneOf": [{"type": "string"}, {"type": "number"}]})),
            ("a.Mode".to_owned(), json!({"type": "string", "enum": ["A", "B"]})),
            ("a.Spec".to_owned(), json!({"type": "object", "properties": {}})),
        ]);
        Reducer { schemas }.shape(described).unwrap()
    }

    fn word(kind: &'static str, format: Option<&str>, allowed: &[&str]) -> Shape {
        let allowed = allowed.iter().map(|&allowed| allowed.to_owned()).collect();
        Shape::Scalar { kind, format: format.map(str::to_owned), allowed }
    }

    #[test]
    fn scalars_get_the_words_of_the_table() {
        assert_eq!(shape(&json!({"type": "string", "format": "byte"})), word("bytes", None, &[]));
        assert_eq!(
            shape(&json!({"type": "integer", "format": "int32"})),
            word("integer", Some("int32"), &[])
        );
        assert_eq!(shape(&json!({"format": "int-or-string", "oneOf": []})), word("int-or-string", None, &[]));
        assert_eq!(shape(&json!({"description": "anything"})), word("any", None, &[]));
        assert_eq!(shape(&json!({"$ref": "#/components/schemas/a.Quantity"})), word("quantity", None, &[]));
        assert_eq!(
            shape(&json!({"allOf": [{"$ref": "#/x/a.Mode"}], "default": ""})),
            word("string", None, &["A", "B"])
        );
    }

    #[test]
    fn lists_and_maps_say_how_they_merge() {
        let list = json!({"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["b", "a"]});
        let Shape::List { list, .. } = shape(&list) else { panic!("a list") };
        assert_eq!(list, ListType::Map(vec!["b".into(), "a".into()]));
        let Shape::List { list, .. } = shape(&json!({"type": "array", "items": {"type": "string"}})) else {
            panic!("a list")
        };
        assert_eq!(list, ListType::Atomic);
        let map = json!({"type": "object", "additionalProperties": {"type": "string"}, "x-kubernetes-map-type": "atomic"});
        assert!(matches!(shape(&map), Shape::Map { atomic: true, .. }));
        let reference = json!({"allOf": [{"$ref": "#/x/a.Spec"}], "x-kubernetes-map-type": "atomic"});
        assert_eq!(shape(&reference), Shape::Ref { name: "a.Spec".into(), atomic: Some(true) });
    }

    #[test]
    fn a_name_with_two_meanings_is_refused() {
        let document =
            |kind: &str| json!({"components": {"schemas": {"a": {"properties": {"b": {"type": kind}}}}}});
        assert!(collect(&[document("string"), document("string")]).is_ok());
        assert!(collect(&[document("string"), document("integer")]).is_err());
    }
}
