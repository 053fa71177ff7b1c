//! Sealing: every sensitive value replaced by a keyed digest, before anything is found, kept or shown.
//!
//! Sealed objects can be compared (equal values have equal seals), stored as base and masked for people; nothing in them
//! gives a value away without the key. What is sensitive is decided here and nowhere else (contracts: "Masks").

use std::borrow::Cow;

use trueup_merge::TypeRef;
use trueup_object::secret::{
    is_open_field_of_secret, is_secret, is_sensitive_entry, password_in_argument, refers, replace,
    replace_credentials, tells_nothing,
};
use trueup_object::{Gvk, Map, Text, Value, is_sensitive_name};

use crate::normalise::{in_form, is_bookkeeping, is_mark};
use crate::scalar::{decode_base64, text};
use crate::spot::child_type;

const PREFIX: &str = "trueup:sealed:";

/// The hexadecimal digits of a seal.
const DIGITS: usize = 32;

/// kubectl's copy of the whole object, values included. It is never compared, so nothing is lost by hiding it whole.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What the field of a reference is called; with a name among them a map is one, whatever it is called itself.
const REFERENCE_FIELDS: [&str; 14] = [
    "name",
    "key",
    "namespace",
    "kind",
    "group",
    "apiVersion",
    "version",
    "optional",
    "property",
    "path",
    "items",
    "fieldPath",
    "uid",
    "valueFrom",
];

/// What values are sealed with, and which annotations an installation calls sensitive, besides what is known to be.
#[derive(Clone, Copy)]
pub struct Secrecy<'a> {
    pub key: &'a [u8; 32],
    /// By name, on objects of every kind.
    pub annotations: &'a [Text],
}

impl<'a> From<&'a [u8; 32]> for Secrecy<'a> {
    fn from(key: &'a [u8; 32]) -> Self {
        Self { key, annotations: &[] }
    }
}

/// A copy of an object, in the form in which it is compared, with every sensitive value replaced by a digest. Sealing
/// twice is sealing once.
pub fn seal<'k>(object: &Value, ty: TypeRef<'_>, secrecy: impl Into<Secrecy<'k>>) -> Value {
    let object = in_form(object);
    let sealer = Sealer::new(&object, secrecy.into());
    let Some(map) = object.as_map() else { return object.into_owned() };
    let is_secret = is_secret(&object);
    let mut sealed = Vec::new();
    for (name, value) in map.iter() {
        let found = match name {
            "apiVersion" | "kind" => None,
            "data" if is_secret => Some(sealer.everything(value, true)),
            // What is misspelt (`stringdata`) or out of place (`spec`) in a Secret is one of its values all the same.
            _ if is_secret && !is_open_field_of_secret(name) => Some(sealer.everything(value, false)),
            _ => sealer.part(name, value, ty),
        };
        sealed.extend(found.map(|found| (Text::from(name), found)));
    }
    let mut object = object.into_owned();
    for (name, value) in sealed {
        object.set_at(&[&name], value);
    }
    object
}

/// Whether nothing that is compared of these fields of an object is sensitive or a seal: then they need neither sealing nor
/// masks.
pub(crate) fn is_open(
    object: &Value,
    ty: TypeRef<'_>,
    secrecy: Secrecy<'_>,
    fields: &dyn Fn(&str) -> bool,
) -> bool {
    if is_secret(object) {
        return false;
    }
    let sealer = Sealer::new(object, secrecy);
    let is_open = |name: &str, value: &Value| {
        !is_sensitive_name(name)
            && !secrecy.annotations.iter().any(|sensitive| sensitive.as_str() == name)
            && sealer.value(value, &|| TypeRef::untyped()).is_none()
            && !holds_seal(value)
    };
    object.as_map().into_iter().flat_map(Map::iter).all(|(name, value)| match name {
        "apiVersion" | "kind" => true,
        _ if !fields(name) => true,
        "metadata" => value.as_map().into_iter().flat_map(Map::iter).all(|(name, value)| match name {
            "labels" | "annotations" => {
                let marked = |(name, _): &(&str, &Value)| !is_mark(name);
                let values = value.as_map().into_iter().flat_map(Map::iter).filter(marked);
                (value.is_null() || value.as_map().is_some())
                    && values.into_iter().all(|(name, value)| is_open(name, value))
            }
            _ => is_bookkeeping(name) || is_open("", value),
        }),
        _ => sealer.part(name, value, ty).is_none() && !holds_seal(value),
    })
}

/// Whether a value says where another one is: `{name: a, key: b}`, or a list of such.
fn is_reference(value: &Value) -> bool {
    let is_one = |map: &Map| {
        let of_reference = |name: &str| REFERENCE_FIELDS.contains(&name) || refers(name);
        let names = || map.iter().map(|(name, _)| name);
        names().all(of_reference) && names().any(|name| name == "name" || refers(name) || name == "valueFrom")
    };
    match value {
        Value::Map(map) => is_one(map),
        Value::List(items) => !items.is_empty() && items.iter().all(|it| it.as_map().is_some_and(is_one)),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => false,
    }
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
    annotations: &'k [Text],
    is_config: bool,
    fields_can_be_sensitive: bool,
}

/// What the keys of a map are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Keys {
    /// Names of a ConfigMap's entries: whatever one of a sensitive name holds is a value.
    Data,
    /// Fields, among which are references.
    Fields,
}

impl<'k> Sealer<'k> {
    fn new(object: &Value, secrecy: Secrecy<'k>) -> Self {
        let Secrecy { key, annotations } = secrecy;
        let group = Gvk::of(object).map(|gvk| gvk.group);
        // The API's own types name no value by these words; a custom resource may.
        let fields_can_be_sensitive =
            group.is_some_and(|group| group.contains('.') && !group.ends_with(".k8s.io"));
        let is_config = object.str_at(&["kind"]) == Some("ConfigMap");
        Self { key, annotations, is_config, fields_can_be_sensitive }
    }

    /// A field of an object, sealed; `None` where nothing of it is sensitive.
    fn part(&self, name: &str, value: &Value, ty: TypeRef<'_>) -> Option<Value> {
        match (name, value) {
            ("data" | "binaryData", Value::Map(map)) if self.is_config => {
                self.map(map, child_type(ty.step(name)), Keys::Data).map(Value::Map)
            }
            _ => self.value(value, &|| child_type(ty.step(name))),
        }
    }

    /// The value sealed; `None` where nothing of it is sensitive. Its type is asked for only where it has parts.
    fn value<'a>(&self, value: &Value, ty: &dyn Fn() -> TypeRef<'a>) -> Option<Value> {
        match value {
            Value::Map(map) if map.is_empty() => None,
            Value::Map(map) => self.map(map, ty(), Keys::Fields).map(Value::Map),
            Value::List(items) => self.items(items, ty).map(Value::List),
            Value::Str(text) => match replace(text, |found| self.seal_part(found)) {
                Cow::Borrowed(_) => None,
                Cow::Owned(sealed) => Some(sealed.into()),
            },
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => None,
        }
    }

    /// An argument behind `--password` is sensitive, and so is a part of `-pPASSWORD`.
    fn items<'a>(&self, items: &[Value], ty: &dyn Fn() -> TypeRef<'a>) -> Option<Vec<Value>> {
        let has_parts = items.iter().any(|item| matches!(item, Value::Map(_) | Value::List(_)));
        let element = if has_parts { ty().element() } else { TypeRef::untyped() };
        let mut sealed: Option<Vec<Value>> = None;
        let program = items.first().and_then(Value::as_str).unwrap_or_default();
        let mut before: Option<&str> = None;
        for (index, item) in items.iter().enumerate() {
            let text = item.as_str();
            let password = text
                .and_then(|text| Some((text, password_in_argument(program, before, text)?)))
                .and_then(|(text, part)| Some((text.get(..part.start)?, text.get(part)?)));
            let found = match password {
                Some((flag, password)) => Some((flag.to_owned() + &self.seal_part(password)).into()),
                None => self.value(item, &|| element),
            };
            if let Some(found) = found {
                sealed.get_or_insert_with(|| items.to_vec())[index] = found;
            }
            before = text;
        }
        sealed
    }

    fn map(&self, map: &Map, ty: TypeRef<'_>, keys: Keys) -> Option<Map> {
        // An environment variable, a parameter, a header: the name is beside the value.
        let entry = || map.get("name").and_then(Value::as_str).filter(|name| is_sensitive_entry(name));
        let mut sealed: Option<Map> = None;
        for (name, value) in map.iter() {
            let found = if name == LAST_APPLIED {
                Some(self.everything(value, false))
            } else if let Some(entry) = (name == "value").then(entry).flatten() {
                self.named(entry, value)
            } else if let ("description", Value::Str(text)) = (name, value) {
                self.prose(text)
            } else if is_sensitive_name(name) && self.is_value(name, value, ty, keys) {
                self.named(name, value)
            } else if name == "annotations" && !self.annotations.is_empty() {
                self.annotated(value, &|| child_type(ty.step(name)))
            } else {
                self.value(value, &|| child_type(ty.step(name)))
            };
            if let Some(found) = found {
                sealed.get_or_insert_with(|| map.clone()).insert(name, found);
            }
        }
        sealed
    }

    /// Annotations, among them sealed whole those that the installation calls sensitive.
    fn annotated<'a>(&self, value: &Value, ty: &dyn Fn() -> TypeRef<'a>) -> Option<Value> {
        let mut sealed = self.value(value, ty);
        for name in self.annotations {
            if let Some(found) = value.get(name) {
                let whole = self.everything(found, false);
                sealed.get_or_insert_with(|| value.clone()).set_at(&[name], whole);
            }
        }
        sealed
    }

    /// Sentences for people: no pair in them is one of a name and its value.
    fn prose(&self, text: &str) -> Option<Value> {
        match replace_credentials(text, |found| self.seal_part(found)) {
            Cow::Borrowed(_) => None,
            Cow::Owned(sealed) => Some(sealed.into()),
        }
    }

    /// What has a sensitive name.
    fn named(&self, name: &str, value: &Value) -> Option<Value> {
        let is_plain = text(value).is_some_and(|text| tells_nothing(name, &text));
        (!is_plain).then(|| self.everything(value, false))
    }

    /// Whether a field of a sensitive name holds a value of its own and not a reference to one. That a schema declares it
    /// says so where the API's own types are meant.
    fn is_value(&self, name: &str, value: &Value, ty: TypeRef<'_>, keys: Keys) -> bool {
        let is_declared = ty.step(name).is_some_and(|step| step.is_declared());
        let holds_text = |value: &Value| text(value).is_some();
        match keys {
            Keys::Fields if is_declared => {
                let is_text =
                    holds_text(value) || value.as_list().is_some_and(|items| items.iter().all(holds_text));
                self.fields_can_be_sensitive && is_text && !refers(name)
            }
            Keys::Fields => !refers(name) && !is_reference(value),
            Keys::Data => true,
        }
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

    /// A seal in the place of a value, as a base that was kept has it, stays.
    fn seal_part(&self, part: &str) -> String {
        if is_seal_text(part) { part.to_owned() } else { self.seal_text(part.as_bytes()) }
    }

    fn seal_text(&self, bytes: &[u8]) -> String {
        let digest = blake3::keyed_hash(self.key, bytes).to_hex();
        format!("{PREFIX}{}", digest.get(..DIGITS).unwrap_or(&digest))
    }
}

#[cfg(test)]
mod tests;
