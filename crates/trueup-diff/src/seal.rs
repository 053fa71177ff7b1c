//! Sealing: every sensitive value replaced by a keyed digest, before anything is found, kept or shown.
//!
//! Sealed objects can be compared (equal values have equal seals), stored as base and masked for people; nothing in them
//! gives a value away without the key. What is sensitive is decided here and nowhere else (contracts: "Masks").

use std::borrow::Cow;

use trueup_merge::TypeRef;
use trueup_object::secret::replace;
use trueup_object::{Gvk, Map, Text, Value, is_sensitive_name};

use crate::normalise::{in_form, is_bookkeeping, is_mark};
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
    let object = in_form(object);
    let sealer = Sealer::new(&object, key);
    let Some(map) = object.as_map() else { return object.into_owned() };
    let is_secret = is_secret(&object);
    let mut sealed = Vec::new();
    for (name, value) in map.iter() {
        let found = match name {
            "apiVersion" | "kind" => None,
            "data" if is_secret => Some(sealer.everything(value, true)),
            "stringData" if is_secret => Some(sealer.everything(value, false)),
            _ => sealer.value(value, &|| child_type(ty.step(name))),
        };
        sealed.extend(found.map(|found| (Text::from(name), found)));
    }
    let mut object = object.into_owned();
    for (name, value) in sealed {
        object.set_at(&[&name], value);
    }
    object
}

/// Whether nothing that is compared of an object is sensitive or a seal: then it needs neither sealing nor masks.
pub(crate) fn is_open(object: &Value, ty: TypeRef<'_>) -> bool {
    if is_secret(object) {
        return false;
    }
    let sealer = Sealer::new(object, &[0; 32]);
    let is_open = |name: &str, value: &Value| {
        !is_sensitive_name(name)
            && sealer.value(value, &|| TypeRef::untyped()).is_none()
            && !holds_seal(value)
    };
    object.as_map().into_iter().flat_map(Map::iter).all(|(name, value)| match name {
        "apiVersion" | "kind" | "status" => true,
        "metadata" => value.as_map().into_iter().flat_map(Map::iter).all(|(name, value)| match name {
            "labels" | "annotations" => {
                let marked = |(name, _): &(&str, &Value)| !is_mark(name);
                let values = value.as_map().into_iter().flat_map(Map::iter).filter(marked);
                (value.is_null() || value.as_map().is_some())
                    && values.into_iter().all(|(name, value)| is_open(name, value))
            }
            _ => is_bookkeeping(name) || is_open("", value),
        }),
        _ => sealer.value(value, &|| child_type(ty.step(name))).is_none() && !holds_seal(value),
    })
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

impl<'k> Sealer<'k> {
    fn new(object: &Value, key: &'k [u8; 32]) -> Self {
        let group = Gvk::of(object).map(|gvk| gvk.group);
        // The API's own types name no value by these words; a custom resource may.
        let fields_can_be_sensitive =
            group.is_some_and(|group| group.contains('.') && !group.ends_with(".k8s.io"));
        Self { key, fields_can_be_sensitive }
    }

    /// The value sealed; `None` where nothing of it is sensitive. Its type is asked for only where it has parts.
    fn value<'a>(&self, value: &Value, ty: &dyn Fn() -> TypeRef<'a>) -> Option<Value> {
        match value {
            Value::Map(map) if map.is_empty() => None,
            Value::Map(map) => self.map(map, ty()).map(Value::Map),
            Value::List(items) => {
                let has_parts = items.iter().any(|item| matches!(item, Value::Map(_) | Value::List(_)));
                let element = if has_parts { ty().element() } else { TypeRef::untyped() };
                let mut sealed: Option<Vec<Value>> = None;
                for (index, item) in items.iter().enumerate() {
                    if let Some(found) = self.value(item, &|| element) {
                        sealed.get_or_insert_with(|| items.clone())[index] = found;
                    }
                }
                sealed.map(Value::List)
            }
            Value::Str(text) => match replace(text, |credential| self.credential(credential)) {
                Cow::Borrowed(_) => None,
                Cow::Owned(sealed) => Some(sealed.into()),
            },
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => None,
        }
    }

    fn map(&self, map: &Map, ty: TypeRef<'_>) -> Option<Map> {
        let mut sealed: Option<Map> = None;
        for (name, value) in map.iter() {
            let found = if self.is_sensitive(map, name, value, ty) {
                Some(self.everything(value, false))
            } else {
                self.value(value, &|| child_type(ty.step(name)))
            };
            if let Some(found) = found {
                sealed.get_or_insert_with(|| map.clone()).insert(name, found);
            }
        }
        sealed
    }

    fn is_sensitive(&self, map: &Map, name: &str, value: &Value, ty: TypeRef<'_>) -> bool {
        let is_declared = || ty.step(name).is_some_and(|step| step.is_declared());
        // An environment variable, a parameter: the name is beside the value.
        let named_value = || map.get("name").and_then(Value::as_str).is_some_and(is_sensitive_name);
        name == LAST_APPLIED
            || (name == "value" && named_value())
            || (is_sensitive_name(name) && (!is_declared() || self.field_is_sensitive(name, value)))
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
