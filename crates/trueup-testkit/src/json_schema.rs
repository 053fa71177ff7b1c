//! The published JSON Schemas (`docs/schema`), and what of a document breaks them.
//!
//! Knows the keywords that these schemas use and no other: one that is not known here fails the test that meets it.

#![expect(clippy::unwrap_used, reason = "for tests")]

use std::collections::BTreeMap;
use std::path::Path;

use trueup_object::Value;

const KEYWORDS: [&str; 11] = [
    "$schema",
    "$ref",
    "title",
    "description",
    "format",
    "type",
    "enum",
    "required",
    "properties",
    "additionalProperties",
    "items",
];

/// The schemas by the names of their files.
pub struct Published {
    documents: BTreeMap<String, Value>,
}

impl Published {
    pub fn read() -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schema");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        let document = |file: std::fs::DirEntry| {
            let name = file.file_name().into_string().unwrap();
            (name, Value::from_json(&std::fs::read(file.path()).unwrap()).unwrap())
        };
        Self { documents: files.map(document).collect() }
    }

    pub fn schema(&self, name: &str) -> &Value {
        self.documents.get(name).unwrap_or_else(|| panic!("there is no docs/schema/{name}"))
    }

    /// Every rule of a schema that a value breaks.
    pub fn faults(&self, name: &str, value: &Value) -> Vec<String> {
        self.check(self.schema(name), value, "")
    }

    fn check(&self, schema: &Value, value: &Value, place: &str) -> Vec<String> {
        for keyword in schema.as_map().unwrap().keys() {
            assert!(KEYWORDS.contains(&keyword), "{place}: the keyword {keyword} is not checked here");
        }
        if let Some(reference) = schema.str_at(&["$ref"]) {
            return self.check(self.schema(reference), value, place);
        }
        let mut found = Vec::new();
        let types: Vec<&str> = match schema.get("type") {
            Some(Value::Str(name)) => vec![name.as_str()],
            Some(Value::List(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        if !types.is_empty() && !types.contains(&type_of(value)) {
            found.push(format!("{place} is {}, not {types:?}", type_of(value)));
        }
        if schema.get("enum").is_some() && !schema.list_at(&["enum"]).contains(value) {
            found.push(format!("{place}: {} is not among the values", value.to_json()));
        }
        found.extend(self.check_fields(schema, value, place));
        if let (Some(list), Some(items)) = (value.as_list(), schema.get("items")) {
            found.extend(list.iter().flat_map(|item| self.check(items, item, &format!("{place}[]"))));
        }
        found
    }

    fn check_fields(&self, schema: &Value, value: &Value, place: &str) -> Vec<String> {
        let Some(map) = value.as_map() else { return Vec::new() };
        let mut found = Vec::new();
        let properties = schema.get("properties").and_then(Value::as_map);
        for required in schema.list_at(&["required"]).iter().filter_map(Value::as_str) {
            if map.get(required).is_none() {
                found.push(format!("{place}.{required} is missing"));
            }
        }
        for (key, child) in map.iter() {
            match properties.and_then(|known| known.get(key)) {
                Some(known) => found.extend(self.check(known, child, &format!("{place}.{key}"))),
                None if schema.get("additionalProperties") == Some(&Value::Bool(false)) => {
                    found.push(format!("{place}.{key} is not in the schema"));
                }
                None => {}
            }
        }
        found
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) => "integer",
        Value::Float(_) => "number",
        Value::Str(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    }
}
