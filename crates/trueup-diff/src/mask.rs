//! Masks: what people see in place of sensitive values.
//!
//! Of each key, equal values are the same run of `+` and each further value is a longer one, so that it shows whether
//! two sides agree without showing on what.

use std::collections::BTreeMap;
use std::ops::Deref;

use trueup_merge::TypeRef;
use trueup_object::{Text, Value};

use crate::seal::{Secrecy, holds_seal, next_seal, seal};

/// A value that holds nothing sensitive. Only masking makes one, so whatever leaves for a wire, a disk or a screen can
/// ask for this type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Masked(Value);

impl Masked {
    pub fn as_value(&self) -> &Value {
        &self.0
    }

    /// A part of a masked value.
    pub(crate) fn of_masked(value: Value) -> Self {
        Self(value)
    }

    pub fn into_value(self) -> Value {
        self.0
    }
}

impl Deref for Masked {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

/// Masks versions of one object together: the same value of the same key has the same mask in all of them.
pub fn mask<'v, 'k>(
    objects: impl IntoIterator<Item = &'v Value>,
    ty: TypeRef<'_>,
    secrecy: impl Into<Secrecy<'k>>,
) -> Vec<Masked> {
    let secrecy = secrecy.into();
    let mut masks = Masks::default();
    objects.into_iter().map(|object| masks.mask(&seal(object, ty, secrecy))).collect()
}

/// The runs given out so far.
#[derive(Default)]
pub(crate) struct Masks {
    /// The seals of each key, in the order in which they were met.
    seen: BTreeMap<Text, Vec<Text>>,
}

impl Masks {
    /// Masks a sealed object.
    pub fn mask(&mut self, sealed: &Value) -> Masked {
        Masked(self.value(sealed, ""))
    }

    fn value(&mut self, value: &Value, key: &str) -> Value {
        match value {
            Value::Str(text) if holds_seal(value) => self.text(key, text).into(),
            Value::List(items) => Value::List(items.iter().map(|item| self.value(item, key)).collect()),
            Value::Map(map) => {
                let own_name = map.get("name").and_then(Value::as_str);
                let fields = map.iter().map(|(name, child)| {
                    let key = own_name.filter(|_| name == "value").unwrap_or(name);
                    (name, self.value(child, key))
                });
                Value::Map(fields.collect())
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => value.clone(),
        }
    }

    /// A text with a run in place of every seal in it.
    fn text(&mut self, key: &str, text: &str) -> String {
        let mut masked = String::new();
        let mut rest = text;
        while let Some((start, end)) = next_seal(rest) {
            masked += rest.get(..start).unwrap_or_default();
            masked += &self.run(key, rest.get(start..end).unwrap_or_default());
            rest = rest.get(end..).unwrap_or_default();
        }
        masked + rest
    }

    /// Eight marks for the first value of a key, four more for each further one, as Argo CD does.
    fn run(&mut self, key: &str, seal: &str) -> String {
        let seals = self.seen.entry(Text::from(key)).or_default();
        let position = seals.iter().position(|seen| seen.as_str() == seal).unwrap_or_else(|| {
            seals.push(Text::from(seal));
            seals.len() - 1
        });
        "+".repeat(8 + 4 * position)
    }
}
