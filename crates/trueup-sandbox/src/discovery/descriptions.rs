//! What the API server says about types and fields in words (`data/descriptions.txt`, written by `cargo xtask codegen`).

use std::collections::BTreeMap;
use std::sync::LazyLock;

use trueup_object::Value;

const TEXT: &str = include_str!("../../data/descriptions.txt");

/// By type, and by field with an empty name for the type itself. The texts stay as they are written, in JSON.
static DESCRIPTIONS: LazyLock<BTreeMap<(&str, &str), &str>> = LazyLock::new(|| {
    let mut descriptions = BTreeMap::new();
    let mut current = "";
    for line in TEXT.lines() {
        let Some((name, text)) = line.trim_start().split_once(' ') else { continue };
        if line.starts_with(' ') {
            descriptions.insert((current, name), text);
        } else {
            current = name;
            descriptions.insert((current, ""), text);
        }
    }
    descriptions
});

/// The description of a type; None where there is none.
pub(super) fn of_type(name: &str) -> Option<Value> {
    of_field(name, "")
}

pub(super) fn of_field(type_name: &str, field: &str) -> Option<Value> {
    let text = DESCRIPTIONS.get(&(type_name, field)).filter(|text| **text != "\"\"")?;
    Value::from_json(text.as_bytes()).ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn describes_types_and_fields() {
        let name = "io.k8s.api.apps.v1.Deployment";
        assert!(of_type(name).unwrap().as_str().unwrap().starts_with("Deployment enables"));
        assert!(of_field(name, "spec").unwrap().as_str().unwrap().contains("desired behavior"));
        assert_eq!(of_field(name, "nothing"), None);
    }
}
