//! JSON pointers (RFC 6901), and from field paths to them.

use std::fmt;

use crate::field::{FieldPath, PathElement};
use crate::value::{Text, Value};

/// A JSON pointer; empty is the whole object.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JsonPointer {
    tokens: Vec<Text>,
}

/// A text that is not a JSON pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PointerError {
    #[error("the pointer `{0}` does not start with `/`")]
    NoSlash(String),
    #[error("the pointer `{0}` has a `~` that is not `~0` or `~1`")]
    BadEscape(String),
}

impl JsonPointer {
    pub fn new(tokens: Vec<Text>) -> Self {
        Self { tokens }
    }

    pub fn parse(text: &str) -> Result<Self, PointerError> {
        if text.is_empty() {
            return Ok(Self::default());
        }
        let Some(rest) = text.strip_prefix('/') else { return Err(PointerError::NoSlash(text.to_owned())) };
        let tokens = rest
            .split('/')
            .map(|token| unescape(token).ok_or_else(|| PointerError::BadEscape(text.to_owned())));
        Ok(Self { tokens: tokens.collect::<Result<_, _>>()? })
    }

    pub fn tokens(&self) -> &[Text] {
        &self.tokens
    }

    /// The value that the pointer names, where there is one.
    pub fn get<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        self.tokens.iter().try_fold(value, |value, token| match value {
            Value::Map(map) => map.get(token),
            Value::List(items) => items.get(index(token)?),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => None,
        })
    }

    /// The value that the pointer names for changing, where there is one.
    pub fn get_mut<'a>(&self, value: &'a mut Value) -> Option<&'a mut Value> {
        self.tokens.iter().try_fold(value, |value, token| match value {
            Value::Map(map) => map.get_mut(token),
            Value::List(items) => items.get_mut(index(token)?),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => None,
        })
    }

    /// Removes and returns the value that the pointer names, as JSON patch's `remove`; the whole value cannot be removed.
    pub fn remove(&self, value: &mut Value) -> Option<Value> {
        let (last, parents) = self.tokens.split_last()?;
        match Self::new(parents.to_vec()).get_mut(value)? {
            Value::Map(map) => map.remove(last),
            Value::List(items) => {
                let index = index(last)?;
                (index < items.len()).then(|| items.remove(index))
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => None,
        }
    }
}

fn unescape(token: &str) -> Option<Text> {
    let mut out = Text::default();
    let mut chars = token.chars();
    while let Some(char) = chars.next() {
        out.push(match (char, char == '~') {
            (_, true) => match chars.next()? {
                '0' => '~',
                '1' => '/',
                _ => return None,
            },
            (other, false) => other,
        });
    }
    Some(out)
}

/// RFC 6901: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let digits = token.bytes().all(|byte| byte.is_ascii_digit());
    if digits && (token == "0" || !token.starts_with('0')) { token.parse().ok() } else { None }
}

impl fmt::Display for JsonPointer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.tokens.iter().try_for_each(|token| {
            out.write_str("/")?;
            if token.contains(['~', '/']) {
                out.write_str(&token.replace('~', "~0").replace('/', "~1"))
            } else {
                out.write_str(token)
            }
        })
    }
}

impl PathElement {
    /// The key or index that this step is in a value, where the value has it.
    fn token_in(&self, value: &Value) -> Option<Text> {
        match self {
            Self::Field(name) => value.get(name).map(|_| name.clone()),
            Self::Index(index) => value.as_list()?.get(*index).map(|_| Text::from(index.to_string())),
            Self::Key(keys) => {
                let matches = |item: &Value| keys.iter().all(|(name, key)| item.get(name) == Some(key));
                // A key that its default stands for is absent from the item; only an exact match is preferred to it.
                let loose = |item: &Value| {
                    item.as_map().is_some()
                        && keys.iter().all(|(name, key)| item.get(name).is_none_or(|found| found == key))
                };
                let items = value.as_list()?;
                let found = items.iter().position(matches).or_else(|| items.iter().position(loose))?;
                Some(Text::from(found.to_string()))
            }
            Self::Value(wanted) => {
                let found = value.as_list()?.iter().position(|item| item == wanted)?;
                Some(Text::from(found.to_string()))
            }
        }
    }

    /// The value that this step leads to, where there is one.
    pub fn step<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match self {
            Self::Field(name) => value.get(name),
            Self::Index(_) | Self::Key(_) | Self::Value(_) => {
                value.as_list()?.get(index(&self.token_in(value)?)?)
            }
        }
    }
}

impl FieldPath {
    /// The JSON pointer that this path is in an object, where the object has it.
    pub fn pointer_in(&self, object: &Value) -> Option<JsonPointer> {
        let mut value = object;
        let mut tokens = Vec::with_capacity(self.elements().len());
        for element in self.elements() {
            let token = element.token_in(value)?;
            value = element.step(value)?;
            tokens.push(token);
        }
        Some(JsonPointer { tokens })
    }

    /// The value at this path, where there is one.
    pub fn get_in<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        self.elements().iter().try_fold(object, |value, element| element.step(value))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::field::KeyFields;

    fn object() -> Value {
        Value::from_json(
            br#"{"a~b/c":1,"":2,"list":[{"name":"x","v":1},{"name":"y"}],"set":["p","q"],"ports":[{"port":80}]}"#,
        )
        .unwrap()
    }

    #[test]
    fn pointers_name_values() {
        let object = object();
        for (pointer, expected) in
            [("/a~0b~1c", "1"), ("/", "2"), ("/list/1/name", "\"y\""), ("/set/0", "\"p\"")]
        {
            let parsed = JsonPointer::parse(pointer).unwrap();
            assert_eq!(parsed.to_string(), pointer);
            assert_eq!(parsed.get(&object).unwrap().to_json(), expected);
        }
        assert_eq!(JsonPointer::parse("").unwrap().get(&object), Some(&object));
        for absent in ["/list/2", "/list/01", "/list/-", "/list/name", "/set/0/x", "/none/x"] {
            assert_eq!(JsonPointer::parse(absent).unwrap().get(&object), None, "{absent}");
        }
    }

    #[test]
    fn bad_pointers_are_refused() {
        assert_eq!(JsonPointer::parse("a"), Err(PointerError::NoSlash("a".to_owned())));
        assert_eq!(JsonPointer::parse("/~2"), Err(PointerError::BadEscape("/~2".to_owned())));
        assert_eq!(JsonPointer::parse("/~"), Err(PointerError::BadEscape("/~".to_owned())));
    }

    #[test]
    fn removing() {
        let mut object = object();
        assert_eq!(
            JsonPointer::parse("/list/0").unwrap().remove(&mut object).unwrap().to_json(),
            r#"{"name":"x","v":1}"#
        );
        assert_eq!(JsonPointer::parse("/list/0/name").unwrap().remove(&mut object), Some("y".into()));
        assert_eq!(JsonPointer::parse("/list/5").unwrap().remove(&mut object), None);
        assert_eq!(JsonPointer::parse("").unwrap().remove(&mut object), None);
    }

    #[test]
    fn paths_become_pointers() {
        let object = object();
        let key = |name: &str, value: Value| PathElement::Key(KeyFields::new(vec![(name.into(), value)]));
        let path = FieldPath::fields(&["list"]).child(key("name", "y".into())).field("name");
        assert_eq!(path.pointer_in(&object).unwrap().to_string(), "/list/1/name");
        assert_eq!(path.get_in(&object), Some(&"y".into()));
        let set = FieldPath::fields(&["set"]).child(PathElement::Value("q".into()));
        assert_eq!(set.pointer_in(&object).unwrap().to_string(), "/set/1");
        let defaulted = KeyFields::new(vec![("port".into(), 80.into()), ("protocol".into(), "TCP".into())]);
        let port = FieldPath::fields(&["ports"]).child(PathElement::Key(defaulted));
        assert_eq!(port.pointer_in(&object).unwrap().to_string(), "/ports/0");
        assert_eq!(FieldPath::fields(&["none"]).pointer_in(&object), None);
        assert_eq!(FieldPath::root().pointer_in(&object).unwrap().to_string(), "");
    }
}
