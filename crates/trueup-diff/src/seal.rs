//! Sealing: every sensitive value replaced by a keyed digest, before anything is found, kept or shown.
//!
//! Sealed objects can be compared (equal values have equal seals), stored as base and masked for people; nothing in them
//! gives a value away without the key. What is sensitive is decided here and nowhere else (contracts: "Masks").

use trueup_merge::TypeRef;
use trueup_object::{Gvk, Map, Text, Value, is_sensitive_name};

use crate::normalise::in_form;
use crate::scalar::{decode_base64, text};
use crate::spot::child_type;

const PREFIX: &str = "trueup:sealed:";

/// kubectl's copy of the whole object, values included. It is never compared, so nothing is lost by hiding it whole.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Endings of names that a schema gives to references and settings, not to values.
const REFERENCES: [&str; 20] = [
    "ref",
    "refs",
    "reference",
    "name",
    "names",
    "namespace",
    "selector",
    "class",
    "path",
    "file",
    "type",
    "mount",
    "provider",
    "store",
    "template",
    "policy",
    "mode",
    "ttl",
    "seconds",
    "url",
];

/// A copy of an object, in the form in which it is compared, with every sensitive value replaced by a digest. Sealing
/// twice is sealing once.
pub fn seal(object: &Value, ty: TypeRef<'_>, key: &[u8; 32]) -> Value {
    let object = &*in_form(object);
    let group = Gvk::of(object).map(|gvk| gvk.group);
    let sealer = Sealer {
        key,
        // The API's own types name no value by these words; a custom resource may.
        fields_can_be_sensitive: group
            .is_some_and(|group| group.contains('.') && !group.ends_with(".k8s.io")),
    };
    let Some(map) = object.as_map() else { return object.clone() };
    let is_secret = is_secret(object);
    let fields = map.iter().map(|(name, value)| {
        let value = match name {
            "apiVersion" | "kind" => value.clone(),
            "data" if is_secret => sealer.everything(value, true),
            "stringData" if is_secret => sealer.everything(value, false),
            _ => sealer.value(value, child_type(ty.field(name))),
        };
        (name, value)
    });
    Value::Map(fields.collect())
}

/// Whether an object is a core Secret.
pub(crate) fn is_secret(object: &Value) -> bool {
    object.str_at(&["kind"]) == Some("Secret") && object.str_at(&["apiVersion"]) == Some("v1")
}

/// Whether a value is a seal.
pub(crate) fn is_seal(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with(PREFIX))
}

/// Whether a value is a seal or holds one.
pub(crate) fn holds_seal(value: &Value) -> bool {
    match value {
        Value::Str(_) => is_seal(value),
        Value::List(items) => items.iter().any(holds_seal),
        Value::Map(map) => map.iter().any(|(_, child)| holds_seal(child)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
    }
}

struct Sealer<'k> {
    key: &'k [u8; 32],
    fields_can_be_sensitive: bool,
}

impl Sealer<'_> {
    fn value(&self, value: &Value, ty: TypeRef<'_>) -> Value {
        match value {
            Value::Map(map) => Value::Map(self.map(map, ty)),
            Value::List(items) => {
                items.iter().map(|item| self.value(item, ty.element())).collect::<Vec<_>>().into()
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => value.clone(),
        }
    }

    fn map(&self, map: &Map, ty: TypeRef<'_>) -> Map {
        // An environment variable, a parameter: the name is beside the value.
        let named_value = map.get("name").and_then(Value::as_str).is_some_and(is_sensitive_name);
        map.iter()
            .map(|(name, value)| {
                let declared = ty.field(name).is_some_and(|field| field.declared);
                let sensitive = name == LAST_APPLIED
                    || (named_value && name == "value")
                    || (is_sensitive_name(name) && (!declared || self.field_is_sensitive(name, value)));
                let sealed = if sensitive {
                    self.everything(value, false)
                } else {
                    self.value(value, child_type(ty.field(name)))
                };
                (name, sealed)
            })
            .collect()
    }

    /// Whether a field that a schema declares holds a value of its own and not a reference to one.
    fn field_is_sensitive(&self, name: &str, value: &Value) -> bool {
        let name = name.to_ascii_lowercase();
        let is_reference = REFERENCES.iter().any(|ending| name.ends_with(ending));
        let holds_text = |value: &Value| text(value).is_some();
        let is_value = holds_text(value) || value.as_list().is_some_and(|items| items.iter().all(holds_text));
        self.fields_can_be_sensitive && is_value && !is_reference
    }

    /// Seals every value. Booleans and empty values give nothing away, and whether they are set is worth seeing.
    fn everything(&self, value: &Value, base64: bool) -> Value {
        match value {
            Value::Map(map) => {
                Value::Map(map.iter().map(|(name, value)| (name, self.everything(value, base64))).collect())
            }
            Value::List(items) => {
                Value::List(items.iter().map(|item| self.everything(item, base64)).collect())
            }
            Value::Null | Value::Bool(_) => value.clone(),
            Value::Str(_) if is_seal(value) => value.clone(),
            Value::Int(_) | Value::Float(_) | Value::Str(_) => {
                self.digest(&text(value).unwrap_or_default(), base64)
            }
        }
    }

    fn digest(&self, text: &str, base64: bool) -> Value {
        if text.is_empty() {
            return Value::Str(Text::default());
        }
        let bytes = base64.then(|| decode_base64(text)).flatten().unwrap_or_else(|| text.as_bytes().to_vec());
        let digest = blake3::keyed_hash(self.key, &bytes).to_hex();
        format!("{PREFIX}{}", digest.get(..32).unwrap_or(&digest)).into()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_copy_that_kubectl_keeps_is_sealed_whole() {
        let live = br#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db","annotations":{"a":"b",
            "kubectl.kubernetes.io/last-applied-configuration":"{\"data\":{\"password\":\"aHVudGVyMg==\"}}"}}}"#;
        let sealed = seal(&Value::from_json(live).unwrap(), TypeRef::untyped(), &[7; 32]);
        let annotations = sealed.at(&["metadata", "annotations"]).unwrap();
        assert!(annotations.get(LAST_APPLIED).is_some_and(is_seal), "{annotations:?}");
        assert_eq!(annotations.get("a").and_then(Value::as_str), Some("b"));
        assert!(!sealed.to_json().contains("aHVudGVyMg"));
    }
}
