//! The fields by which objects of a definition can be selected.

use std::collections::BTreeSet;

use trueup_object::Value;

use super::{Report, join};

/// The most fields that one version may name.
const N_FIELDS_MAX: usize = 8;

pub fn definition(report: &mut Report, object: &Value) {
    let versions = object.list_at(&["spec", "versions"]);
    let alone = versions.len() == 1;
    for (index, version) in versions.iter().enumerate() {
        // The server names a lone version as if it were the definition's own.
        let path = if alone { "spec".to_owned() } else { format!("spec.versions[{index}]") };
        let Some(schema) = version.at(&["schema", "openAPIV3Schema"]) else { continue };
        fields(report, version.list_at(&["selectableFields"]), schema, &join(&path, "selectableFields"));
    }
}

fn fields(report: &mut Report, fields: &[Value], schema: &Value, path: &str) {
    let mut seen = BTreeSet::new();
    for (index, field) in fields.iter().enumerate() {
        let at = format!("{path}[{index}].jsonPath");
        let json_path = field.str_at(&["jsonPath"]).unwrap_or_default();
        if json_path.is_empty() {
            report.required(&at, "");
            continue;
        }
        let found = match find(schema, json_path) {
            Ok(found) => found,
            Err(why) => {
                report.invalid(&at, json_path, &format!("is an invalid path: {why}"));
                continue;
            }
        };
        if json_path.strip_prefix('.').unwrap_or(json_path).split('.').next() == Some("metadata") {
            report.invalid(&at, json_path, "must not point to fields in metadata");
        }
        if !matches!(found.str_at(&["type"]), Some("string" | "boolean" | "integer")) {
            report.invalid(
                &at,
                json_path,
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are \
                 allowed.",
            );
        }
        if !seen.insert(json_path) {
            report.duplicate(&at, json_path);
        }
    }
    if seen.len() > N_FIELDS_MAX {
        let message = format!("Too many: {}: must have at most {N_FIELDS_MAX} items", seen.len());
        report.causes.push(crate::status::StatusCause::new("FieldValueTooMany", path.to_owned(), message));
    }
}

/// The schema of the field that a path such as `.spec.color` means.
fn find<'a>(schema: &'a Value, json_path: &str) -> Result<&'a Value, String> {
    let mut schema = schema;
    let mut rest = json_path;
    while !rest.is_empty() {
        if rest.starts_with('[') {
            return Err("array notation is not allowed".to_owned());
        }
        let Some(after) = rest.strip_prefix('.') else {
            let word = rest.split(['.', '[', ']']).next().filter(|word| !word.is_empty()).unwrap_or("]");
            return Err(format!("expected [ or . but got: {word}"));
        };
        let end = after.find(['.', '[', ']']).unwrap_or(after.len());
        let (name, following) = after.split_at(end);
        if name.is_empty() && following.is_empty() {
            return Err("unexpected end of JSON path".to_owned());
        }
        let additional = schema.get("additionalProperties").filter(|below| below.as_map().is_some());
        let below = match (schema.get("properties"), additional) {
            (Some(properties), _) => properties.get(name),
            (None, additional) => additional,
        };
        schema = below.ok_or_else(|| "does not refer to a valid field".to_owned())?;
        rest = following;
    }
    Ok(schema)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_to_fields_of_the_schema() {
        let schema = br#"{"type":"object","properties":{"spec":{"type":"object","properties":{"color":{"type":"string"},
            "list":{"type":"array","items":{"type":"string"}}}}}}"#;
        let schema = Value::from_json(schema).unwrap();
        assert_eq!(find(&schema, ".spec.color").unwrap().str_at(&["type"]), Some("string"));
        let refused = |path: &str| find(&schema, path).unwrap_err();
        assert_eq!(refused("spec.color"), "expected [ or . but got: spec");
        assert_eq!(refused(".spec.none"), "does not refer to a valid field");
        assert_eq!(refused(".metadata.name"), "does not refer to a valid field");
        assert_eq!(refused(".spec.list[0]"), "array notation is not allowed");
    }
}
