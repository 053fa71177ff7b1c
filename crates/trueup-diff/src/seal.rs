//! Sealing: every sensitive value replaced by a keyed digest, before anything is found, kept or shown.
//!
//! Sealed objects can be compared (equal values have equal seals), stored as base and masked for people; nothing in them
//! gives a value away without the key. What is sensitive is decided here and nowhere else (contracts: "Masks").

use std::borrow::Cow;

use trueup_merge::TypeRef;
use trueup_object::secret::replace;
use trueup_object::{Gvk, Map, Text, Value, is_sensitive_name};

use crate::normalise::in_form;
use crate::scalar::{decode_base64, text};
use crate::spot::child_type;

const PREFIX: &str = "trueup:sealed:";

/// The hexadecimal digits of a seal.
const DIGITS: usize = 32;

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
    value.as_str().is_some_and(is_seal_text)
}

fn is_seal_text(text: &str) -> bool {
    matches!(next_seal(text), Some((0, end)) if end == text.len())
}

/// Whether a value is a seal or holds one.
pub(crate) fn holds_seal(value: &Value) -> bool {
    match value {
        Value::Str(text) => next_seal(text).is_some(),
        Value::List(items) => items.iter().any(holds_seal),
        Value::Map(map) => map.iter().any(|(_, child)| holds_seal(child)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => false,
    }
}

/// Where the next seal in a text starts and ends: of a text that holds a credential only the credential is sealed.
pub(crate) fn next_seal(text: &str) -> Option<(usize, usize)> {
    let start = text.find(PREFIX)?;
    let digits =
        text.get(start + PREFIX.len()..)?.bytes().take_while(u8::is_ascii_hexdigit).take(DIGITS).count();
    Some((start, start + PREFIX.len() + digits))
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
            Value::Str(text) => match replace(text, |credential| self.credential(credential)) {
                Cow::Borrowed(_) => value.clone(),
                Cow::Owned(sealed) => sealed.into(),
            },
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => value.clone(),
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
        self.seal_text(&bytes).into()
    }

    /// A seal in the place of a credential, as a base that was kept has it, stays.
    fn credential(&self, credential: &str) -> String {
        if is_seal_text(credential) { credential.to_owned() } else { self.seal_text(credential.as_bytes()) }
    }

    fn seal_text(&self, bytes: &[u8]) -> String {
        let digest = blake3::keyed_hash(self.key, bytes).to_hex();
        format!("{PREFIX}{}", digest.get(..DIGITS).unwrap_or(&digest))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_credential_is_sealed_by_its_shape_alone_and_the_rest_of_its_text_stays() {
        let token = format!("ghp_{}", "a1B2c3D4e5".repeat(3));
        let text = format!("url: https://example.com\ngit: {token}\nend: {token}\n");
        let mut object = Value::default();
        object.set_at(&["apiVersion"], "v1".into());
        object.set_at(&["kind"], "ConfigMap".into());
        object.set_at(&["data", "app.yaml"], text.into());
        object.set_at(&["data", "bare"], token.clone().into());
        let sealed = seal(&object, TypeRef::untyped(), &[7; 32]);
        assert!(!sealed.to_json().contains(&token), "{sealed:?}");
        let bare = sealed.at(&["data", "bare"]).unwrap();
        assert!(is_seal(bare));
        let text = sealed.str_at(&["data", "app.yaml"]).unwrap();
        let bare = bare.as_str().unwrap();
        assert_eq!(text, format!("url: https://example.com\ngit: {bare}\nend: {bare}\n"));
        assert_eq!(seal(&sealed, TypeRef::untyped(), &[7; 32]), sealed);
        let masked = crate::mask([&object], TypeRef::untyped(), &[7; 32]).remove(0);
        assert_eq!(
            masked.str_at(&["data", "app.yaml"]),
            Some("url: https://example.com\ngit: ++++++++\nend: ++++++++\n")
        );
    }

    /// Else the sealed base of an address with a password would differ from the target, and a change by hand look like one
    /// of both sides.
    #[test]
    fn a_sealed_address_is_not_sealed_again() {
        let mut object = Value::default();
        object.set_at(&["apiVersion"], "v1".into());
        object.set_at(&["kind"], "ConfigMap".into());
        object.set_at(&["data", "url"], "postgres://app:hunter2@db.example.com/shop".into());
        let sealed = seal(&object, TypeRef::untyped(), &[7; 32]);
        assert!(holds_seal(&sealed) && !sealed.to_json().contains("hunter2"), "{sealed:?}");
        assert_eq!(seal(&sealed, TypeRef::untyped(), &[7; 32]), sealed);
    }

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
