//! Values that must not be seen: a type that hides its content, the names that mark a value as sensitive, the shapes by
//! which credentials are known, and where a text holds either.

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

use crate::Value;

mod name;
mod pair;
mod shape;
mod told;

pub use name::{is_sensitive_entry, is_sensitive_name, refers, tells_nothing};
pub use pair::{pairs, password_in_argument};
pub use shape::{credentials, redact};
pub use told::SensitiveValues;

/// Whether an object is a core Secret.
pub fn is_secret(object: &Value) -> bool {
    object.str_at(&["kind"]) == Some("Secret") && object.str_at(&["apiVersion"]) == Some("v1")
}

/// Whether a field of a Secret is none of its values. Everything else is one, also under a name that a Secret has not: that
/// is a misspelt one.
pub fn is_open_field_of_secret(name: &str) -> bool {
    matches!(name, "apiVersion" | "kind" | "metadata" | "type" | "immutable")
}

/// A value that prints as `***`. It has no equality and no way to be serialized: whoever needs the content asks for it
/// by name.
#[derive(Clone)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    pub fn new(content: T) -> Self {
        Self(content)
    }

    /// The content, for the one place that sends it where it belongs.
    pub fn expose(&self) -> &T {
        &self.0
    }

    pub fn into_exposed(self) -> T {
        self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

/// Where a text holds sensitive values, by their names or by their shapes: in order, without overlaps.
pub fn sensitive_parts(text: &str) -> Vec<Range<usize>> {
    let mut found = pairs(text);
    found.extend(credentials(text));
    found.sort_by_key(|range| (range.start, range.end));
    found.dedup_by(|later, first| {
        let overlaps = later.start < first.end;
        if overlaps {
            first.end = first.end.max(later.end);
        }
        overlaps
    });
    found
}

/// The text with every sensitive value replaced by what is made of it.
pub fn replace(text: &str, with: impl FnMut(&str) -> String) -> Cow<'_, str> {
    replace_ranges(text, sensitive_parts(text), with)
}

/// The same of credentials alone, which are known by their shapes.
pub fn replace_credentials(text: &str, with: impl FnMut(&str) -> String) -> Cow<'_, str> {
    replace_ranges(text, credentials(text), with)
}

fn replace_ranges(
    text: &str,
    found: Vec<Range<usize>>,
    mut with: impl FnMut(&str) -> String,
) -> Cow<'_, str> {
    if found.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut result = String::with_capacity(text.len());
    let mut copied = 0;
    for range in found {
        result += text.get(copied..range.start).unwrap_or_default();
        result += &with(text.get(range.clone()).unwrap_or_default());
        copied = range.end;
    }
    result += text.get(copied..).unwrap_or_default();
    Cow::Owned(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_print_stars() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "*** *** Some(***)");
        assert_eq!(secret.expose(), "hunter2");
    }

    #[test]
    fn names_and_shapes_in_one_text_are_found_once() {
        let text = "url: https://a:b@host/\npassword: https://c:d@host/\n";
        let found: Vec<&str> = sensitive_parts(text).into_iter().map(|range| &text[range]).collect();
        assert_eq!(found, ["b", "https://c:d@host/"]);
        assert_eq!(replace(text, |_| "#".to_owned()), "url: https://a:#@host/\npassword: #\n");
        assert!(matches!(replace("replicas: 3", |_| String::new()), Cow::Borrowed(_)));
    }
}
