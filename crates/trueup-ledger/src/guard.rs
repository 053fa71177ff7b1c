//! The last look before the disk: a Secret whose values are still readable is refused.
//!
//! Masking and sealing happen where differences are made; this only keeps a mistake there from becoming permanent.

use trueup_object::{ResourceKey, Value};

use crate::error::LedgerError;

/// How a value looks that was sealed with the digest key.
const SEAL: &str = "trueup:sealed:";

const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Refuses an object that is a Secret with readable values, among them those in kubectl's copy of it.
pub fn check_object(
    what: &'static str,
    key: Option<&ResourceKey>,
    object: &Value,
) -> Result<(), LedgerError> {
    let says_secret =
        object.str_at(&["kind"]) == Some("Secret") && object.str_at(&["apiVersion"]) == Some("v1");
    let is_secret = says_secret || key.is_some_and(|key| key.group.is_empty() && key.kind == "Secret");
    if !is_secret {
        return Ok(());
    }
    let last_applied = object.at(&["metadata", "annotations", LAST_APPLIED]);
    let values = [object.get("data"), object.get("stringData"), last_applied];
    if values.into_iter().flatten().all(is_hidden) { Ok(()) } else { Err(LedgerError::Unmasked { what }) }
}

fn is_hidden(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => true,
        Value::Int(_) | Value::Float(_) => false,
        Value::Str(text) => text.starts_with(SEAL) || text.chars().all(|letter| letter == '+'),
        Value::List(items) => items.iter().all(is_hidden),
        Value::Map(map) => map.iter().all(|(_, value)| is_hidden(value)),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn check(json: &str) -> Result<(), LedgerError> {
        check_object("a test", None, &Value::from_json(json.as_bytes()).unwrap())
    }

    #[test]
    fn hidden_values_pass() {
        for data in [
            r#"{}"#,
            r#"{"data":{"password":"++++++++"}}"#,
            r#"{"data":{"password":"trueup:sealed:0123"},"stringData":{"empty":""}}"#,
            r#"{"data":null}"#,
        ] {
            let mut object = Value::from_json(data.as_bytes()).unwrap();
            object.set_at(&["apiVersion"], "v1".into());
            object.set_at(&["kind"], "Secret".into());
            assert_eq!(check(&object.to_json()), Ok(()), "{data}");
        }
        assert_eq!(check(r#"{"apiVersion":"v1","kind":"ConfigMap","data":{"a":"b"}}"#), Ok(()));
    }

    #[test]
    fn readable_values_are_refused() {
        let refused = Err(LedgerError::Unmasked { what: "a test" });
        assert_eq!(
            check(r#"{"apiVersion":"v1","kind":"Secret","data":{"password":"aHVudGVyMg=="}}"#),
            refused
        );
        assert_eq!(
            check(r#"{"apiVersion":"v1","kind":"Secret","stringData":{"a":"++","b":"hunter2"}}"#),
            refused
        );
        let copy = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{}}"}}}"#;
        assert_eq!(check(copy), refused);
        let part = Value::from_json(br#"{"data":{"a":"b"}}"#).unwrap();
        let key = ResourceKey::new("", "Secret", "web", "db");
        assert_eq!(check_object("a test", Some(&key), &part), refused);
    }
}
