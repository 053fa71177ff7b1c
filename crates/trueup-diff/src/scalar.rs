//! When two scalars mean the same, by what the schema or the field's name says of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trueup_merge::{Scalar, Shape};
use trueup_object::Value;
use trueup_object::quantity::equal_quantities;
use trueup_object::scalar::{equal_durations, equal_times};

use crate::spot::Spot;

/// Whether two scalars at a place mean the same. A scalar never equals a list or a map.
pub(crate) fn same(left: &Value, right: &Value, spot: &Spot<'_>) -> bool {
    if left == right {
        return true;
    }
    match spot.ty.shape() {
        Shape::Scalar(Scalar::Quantity) => equal_quantities(left, right),
        Shape::Scalar(Scalar::Duration) => same_text(left, right) || equal_durations(left, right),
        Shape::Scalar(Scalar::Time | Scalar::MicroTime) => equal_times(left, right),
        Shape::Scalar(Scalar::Bytes) => same_bytes(left, right),
        // A declared type: `80` and `"80"`, where one side was written without regard for it.
        Shape::Scalar(Scalar::Integer | Scalar::Number | Scalar::Boolean) => same_text(left, right),
        Shape::Scalar(Scalar::String | Scalar::IntOrString | Scalar::Other) => {
            same_text(left, right) || same_by_name(left, right, spot)
        }
        Shape::Untyped => same_by_name(left, right, spot),
        Shape::List { .. } | Shape::Struct { .. } | Shape::Map { .. } => false,
    }
}

/// Fields that hold quantities or durations by convention, where the schema says only "string" (or nothing).
fn same_by_name(left: &Value, right: &Value, spot: &Spot<'_>) -> bool {
    if spot.in_free_map() {
        return false;
    }
    (names_quantity(spot) && equal_quantities(left, right))
        || (names_duration(spot.name) && equal_durations(left, right))
}

/// Whether two scalars that are different text look like the same amount or duration: both have a unit, or one has.
pub(crate) fn looks_equal(left: &Value, right: &Value) -> bool {
    let has_unit = |value: &Value| {
        value.as_str().is_some_and(|text| {
            text.starts_with(|first: char| first.is_ascii_digit())
                && text.ends_with(|last: char| last.is_ascii_alphabetic())
        })
    };
    (has_unit(left) || has_unit(right)) && (equal_quantities(left, right) || equal_durations(left, right))
}

fn same_text(left: &Value, right: &Value) -> bool {
    text(left).is_some_and(|left| Some(left) == text(right))
}

fn names_quantity(spot: &Spot<'_>) -> bool {
    const PARENTS: [&str; 6] = ["requests", "limits", "capacity", "allocatable", "hard", "overhead"];
    const NAMES: [&str; 8] = [
        "cpu",
        "memory",
        "storage",
        "ephemeral-storage",
        "sizeLimit",
        "storageSize",
        "minAllowed",
        "maxAllowed",
    ];
    PARENTS.contains(&spot.parent) || NAMES.contains(&spot.name)
}

fn names_duration(name: &str) -> bool {
    const ENDINGS: [&str; 9] =
        ["duration", "interval", "timeout", "renewbefore", "ttl", "period", "delay", "backoff", "age"];
    let name = name.to_ascii_lowercase();
    ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Base64 may be wrapped in lines.
pub(crate) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let joined: String = text.split_ascii_whitespace().collect();
    STANDARD.decode(joined).ok()
}

pub(crate) fn encode_base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn same_bytes(left: &Value, right: &Value) -> bool {
    let decode = |value: &Value| value.as_str().and_then(decode_base64);
    decode(left).is_some_and(|left| Some(left) == decode(right))
}

/// A scalar as the text that stands for it in YAML without quotes; `None` for null, lists and maps.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::Str(text) => Some(text.to_string()),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => Some(value.to_json()),
        Value::Null | Value::List(_) | Value::Map(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Complaint 11: where neither a schema nor a name speaks, a pair is said to be the same amount, and stays different.
    #[test]
    fn pain_11_texts_that_look_like_the_same_amount() {
        let same = |left: &str, right: &str| looks_equal(&Value::from(left), &Value::from(right));
        for (left, right) in [("0.5", "500m"), ("1024Mi", "1Gi"), ("60s", "1m0s")] {
            assert!(same(left, right) && same(right, left), "{left} {right}");
        }
        for (left, right) in [("1.10", "1.1"), ("0.5", "600m"), ("1G", "1Gi"), ("1s", "1"), ("v1", "v1.0")] {
            assert!(!same(left, right), "{left} {right}");
        }
    }
}
