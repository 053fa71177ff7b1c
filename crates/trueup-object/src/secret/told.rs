//! The sensitive values of objects, to be taken out of what somebody says about them: a server that refuses one, a script
//! that judges one.

use std::borrow::Cow;
use std::cmp::Reverse;

use super::{
    is_open_field_of_secret, is_sensitive_entry, is_sensitive_name, password_in_argument, refers,
    sensitive_parts, tells_nothing,
};
use crate::{Map, Value};

/// What stands in place of a value.
const MASK: &str = "***";

/// A value as short as this is taken out only where it stands in quotes: it may be a part of any word.
const SHORT_CHARS_MAX: usize = 3;

/// kubectl's copy of the whole object.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// The sensitive values of one or more objects. It shows none of them.
#[derive(Default)]
pub struct SensitiveValues {
    /// One that contains another one is before it.
    values: Vec<String>,
}

impl SensitiveValues {
    /// Those of an object.
    pub fn of(object: &Value) -> Self {
        let mut values = Self::default();
        values.add(object);
        values
    }

    /// Adds the texts under sensitive names, the values of environment variables with such names, and what other texts of
    /// the object hold of them.
    pub fn add(&mut self, object: &Value) {
        self.collect(object);
        self.order();
    }

    /// Adds every value that a Secret has, under whatever name.
    pub fn add_values_of_secret(&mut self, secret: &Value) {
        let fields = secret.as_map().into_iter().flat_map(Map::iter);
        let closed = fields.filter(|(name, _)| !is_open_field_of_secret(name));
        closed.for_each(|(name, field)| self.everything(name, field));
        self.order();
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// A text without them.
    pub fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.values.iter().fold(Cow::Borrowed(text), |text, value| {
            if value.chars().count() > SHORT_CHARS_MAX {
                return replaced(text, value, MASK);
            }
            replaced(text, &format!("\"{value}\""), &format!("\"{MASK}\""))
        })
    }

    fn order(&mut self) {
        self.values.sort_by(|a, b| (Reverse(a.len()), a).cmp(&(Reverse(b.len()), b)));
        self.values.dedup();
    }

    fn push(&mut self, text: &str) {
        self.values.push(text.to_owned());
        // As a server prints it in quotes.
        let quoted = format!("{text:?}");
        let quoted = quoted.trim_matches('"');
        if quoted != text {
            self.values.push(quoted.to_owned());
        }
    }

    fn collect(&mut self, value: &Value) {
        match value {
            Value::Str(text) => {
                let parts = sensitive_parts(text).into_iter().filter_map(|part| text.get(part));
                parts.for_each(|part| self.values.push(part.to_owned()));
            }
            Value::Int(_) | Value::Float(_) | Value::Bool(_) | Value::Null => {}
            Value::List(items) => self.items(items),
            Value::Map(map) => {
                let own_name =
                    map.get("name").and_then(Value::as_str).filter(|name| is_sensitive_entry(name));
                for (key, value) in map.iter() {
                    let named = own_name.filter(|_| key == "value");
                    let says_so = is_sensitive_name(key) && !refers(key);
                    match value {
                        // What has fields of its own, such as `secretKeyRef`, says where a value is.
                        Value::Map(_) => self.collect(value),
                        Value::Str(text) if key == LAST_APPLIED => self.last_applied(text),
                        Value::List(items) if says_so => items.iter().for_each(|item| match item {
                            Value::Map(_) => self.collect(item),
                            item => self.everything(key, item),
                        }),
                        _ if says_so || named.is_some() => self.everything(named.unwrap_or(key), value),
                        _ => self.collect(value),
                    }
                }
            }
        }
    }

    fn items(&mut self, items: &[Value]) {
        let program = items.first().and_then(Value::as_str).unwrap_or_default();
        let mut before = None;
        for item in items {
            let text = item.as_str();
            let password = text.and_then(|text| text.get(password_in_argument(program, before, text)?));
            match password {
                Some(password) => self.push(password),
                None => self.collect(item),
            }
            before = text;
        }
    }

    /// The object in kubectl's annotation has fields, too.
    fn last_applied(&mut self, text: &str) {
        let object = Value::from_json(text.as_bytes()).unwrap_or_else(|_| Value::from(text));
        self.collect(&object);
    }

    /// Every value, however deep it stands, that gives something away.
    fn everything(&mut self, name: &str, value: &Value) {
        match value {
            Value::List(items) => items.iter().for_each(|item| self.everything(name, item)),
            Value::Map(map) => map.iter().for_each(|(key, value)| self.everything(key, value)),
            Value::Str(text) if !tells_nothing(name, text) => self.push(text),
            Value::Int(number) => self.push(&number.to_string()),
            Value::Str(_) | Value::Float(_) | Value::Bool(_) | Value::Null => {}
        }
    }
}

fn replaced<'t>(text: Cow<'t, str>, value: &str, mask: &str) -> Cow<'t, str> {
    if text.contains(value) { Cow::Owned(text.replace(value, mask)) } else { text }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn masked(object: &str, text: &str) -> String {
        let object = Value::from_json(object.as_bytes()).unwrap();
        SensitiveValues::of(&object).masked(text).into_owned()
    }

    #[test]
    fn what_names_and_shapes_mark_is_taken_out() {
        let object = r#"{"metadata":{"annotations":{"example.com/token":"LEAKannotation"}},"spec":{"password":"LEAKlong and LEAK",
            "passwords":["LEAKone",{"name":"two"}],"enabled_token":true,"pin_token":"12","other":"password=LEAKpart",
            "env":[{"name":"API_TOKEN","value":"LEAK"},{"name":"COLOUR","value":"green"}],"secretName":"blue",
            "args":["mysql","-pLEAKflag","--password","LEAKnext","--token","true"],"token":"tr\"ue"}}"#;
        for (text, wanted) in [
            ("LEAKlong and LEAK, LEAK", "***, ***"),
            ("LEAKannotation LEAKone two LEAKpart", "*** *** two ***"),
            ("-pLEAKflag LEAKnext", "-p*** ***"),
            ("green blue true 12 \"12\"", "green blue true 12 \"***\""),
            ("tr\"ue and \"tr\\\"ue\"", "*** and \"***\""),
        ] {
            assert_eq!(masked(object, text), wanted);
        }
        assert!(SensitiveValues::of(&Value::from("green")).is_empty());
    }

    #[test]
    fn kubectls_copy_of_an_earlier_object_is_read() {
        let object = r#"{"metadata":{"annotations":{"kubectl.kubernetes.io/last-applied-configuration":
            "{\"spec\":{\"env\":[{\"name\":\"PASSWORD\",\"value\":\"LEAKold\"}]}}"}}}"#;
        assert_eq!(masked(object, "was LEAKold"), "was ***");
    }

    #[test]
    fn all_of_a_secret_is_taken_out() {
        let secret = Value::from_json(
            br#"{"kind":"Secret","type":"Opaque","data":{"a":"LEAKa"},"spec":[{"b":"LEAKb"}]}"#,
        )
        .unwrap();
        let mut values = SensitiveValues::default();
        values.add_values_of_secret(&secret);
        assert_eq!(values.masked("Opaque LEAKa LEAKb"), "Opaque *** ***");
    }
}
