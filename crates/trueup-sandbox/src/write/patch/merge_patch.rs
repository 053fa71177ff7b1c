//! JSON merge patch (RFC 7386).

use trueup_object::{Map, Value};

use super::PatchError;

/// Applies a merge patch: maps are merged, `null` removes, everything else replaces.
pub fn merge_patch(document: &Value, patch: &Value) -> Result<Value, PatchError> {
    if patch.as_map().is_none() {
        return Err(PatchError::Malformed("Invalid JSON Patch".to_owned()));
    }
    let mut result = document.clone();
    merge(&mut result, patch);
    Ok(result)
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Map(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if target.as_map().is_none() {
        *target = Value::Map(Map::new());
    }
    let Value::Map(fields) = target else { return };
    for (key, change) in changes.iter() {
        if change.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry_or_null(key), change);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn merged(document: &str, patch: &str) -> String {
        let read = |text: &str| Value::from_json(text.as_bytes()).unwrap();
        merge_patch(&read(document), &read(patch)).unwrap().to_json()
    }

    #[test]
    fn maps_merge_nulls_remove_lists_replace() {
        assert_eq!(
            merged(r#"{"a":{"b":1,"c":2},"l":[1,2]}"#, r#"{"a":{"b":null,"d":3},"l":[3],"gone":null}"#),
            r#"{"a":{"c":2,"d":3},"l":[3]}"#
        );
    }

    #[test]
    fn a_map_in_place_of_a_scalar_loses_its_nulls() {
        assert_eq!(merged(r#"{"a":1}"#, r#"{"a":{"b":null,"c":{"d":null}}}"#), r#"{"a":{"c":{}}}"#);
    }

    #[test]
    fn a_patch_that_is_not_a_map_is_refused() {
        assert!(merge_patch(&Value::Map(Map::new()), &Value::List(Vec::new())).is_err());
    }
}
