//! What the API server says about its types and fields in words, for `kubectl explain` against the sandbox.
//!
//! One line for each type, `NAME "description"`, and one for each of its fields, indented by a blank. Descriptions are JSON texts.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::Value;

/// Types of answers, which nobody explains.
const LEFT_OUT: [&str; 2] = ["List", "WatchEvent"];

pub fn reduce(documents: &[Value]) -> Result<String> {
    let mut types: BTreeMap<&str, &Value> = BTreeMap::new();
    for document in documents {
        let schemas = document["components"]["schemas"].as_object().context("a document has no schemas")?;
        types.extend(schemas.iter().map(|(name, schema)| (name.as_str(), schema)));
    }
    let mut text = String::new();
    for (name, schema) in types {
        if LEFT_OUT.iter().any(|suffix| name.ends_with(suffix)) {
            continue;
        }
        text.push_str(&line(name, schema)?);
        for (field, property) in schema["properties"].as_object().into_iter().flatten() {
            if property["description"].is_string() {
                text.push(' ');
                text.push_str(&line(field, property)?);
            }
        }
    }
    Ok(text)
}

fn line(name: &str, schema: &Value) -> Result<String> {
    let description = schema["description"].as_str().unwrap_or_default();
    Ok(format!("{name} {}\n", serde_json::to_string(description)?))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_and_fields_have_a_line_each() {
        let document = json!({"components": {"schemas": {
            "a.Thing": {"description": "A thing.\nIndeed.", "properties": {"b": {"description": "Its \"b\"."}, "c": {}}},
            "a.ThingList": {"description": "Many."},
        }}});
        assert_eq!(reduce(&[document]).unwrap(), "a.Thing \"A thing.\\nIndeed.\"\n b \"Its \\\"b\\\".\"\n");
    }
}
