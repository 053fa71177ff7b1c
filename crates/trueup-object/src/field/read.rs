//! Field paths read from the form in which they are printed (`.spec.containers[name="app"].image`).

use super::{FieldPath, KeyFields, PathElement};
use crate::{JsonError, Text, Value};

/// A text that is not a path.
#[derive(Debug, thiserror::Error)]
pub enum FieldPathError {
    #[error("a path begins with a dot or a bracket")]
    Beginning,
    #[error("a name is missing after a dot")]
    NoName,
    #[error("a bracket is not closed")]
    OpenBracket,
    #[error("a quote is not closed")]
    OpenQuote,
    #[error("{0:?} is no name of a key")]
    Key(String),
    #[error("a key has no value")]
    NoValue,
    #[error("{0} is no index")]
    Index(String),
    #[error("{text} is no value: {source}")]
    Scalar { text: String, source: JsonError },
}

impl FieldPath {
    /// Reads what `Display` prints; `.` is the root, and `.["a"]` is the same as `["a"]`.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        let mut path = Self::root();
        let mut rest = if text == "." { "" } else { text };
        while !rest.is_empty() {
            let (element, left) = element(rest)?;
            path.push(element);
            rest = left;
        }
        Ok(path)
    }
}

fn element(text: &str) -> Result<(PathElement, &str), FieldPathError> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, left) = rest.split_at(end);
        return match (name, left.starts_with("[\"")) {
            ("", true) => element(left),
            ("", false) => Err(FieldPathError::NoName),
            (name, _) => Ok((PathElement::Field(Text::from(name)), left)),
        };
    }
    let inner = text.strip_prefix('[').ok_or(FieldPathError::Beginning)?;
    if inner.starts_with('"') {
        let (value, rest) = scalar(inner)?;
        return Ok((PathElement::Field(Text::from(value.as_str().unwrap_or_default())), close(rest)?));
    }
    if let Some(rest) = inner.strip_prefix('=') {
        let (value, rest) = scalar(rest)?;
        return Ok((PathElement::Value(value), close(rest)?));
    }
    if inner.starts_with(|char: char| char.is_ascii_digit()) {
        let (index, rest) = inner.split_once(']').ok_or(FieldPathError::OpenBracket)?;
        let number = index.parse().map_err(|_| FieldPathError::Index(index.to_owned()))?;
        return Ok((PathElement::Index(number), rest));
    }
    keys(inner)
}

fn keys(text: &str) -> Result<(PathElement, &str), FieldPathError> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=').ok_or(FieldPathError::NoValue)?;
        let name = name.trim();
        // Else it could be taken for one of the other elements, or for several.
        let is_other =
            name.starts_with(|char: char| char.is_ascii_digit()) || name.contains(['"', '[', ']', ',']);
        if name.is_empty() || is_other {
            return Err(FieldPathError::Key(name.to_owned()));
        }
        let (value, after) = scalar(after)?;
        fields.push((Text::from(name), value));
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok((PathElement::Key(KeyFields::new(fields)), close(after)?)),
        }
    }
}

/// A JSON scalar at the beginning of a text, and what follows it.
fn scalar(text: &str) -> Result<(Value, &str), FieldPathError> {
    let end = match text.strip_prefix('"') {
        Some(inner) => {
            let mut escaped = false;
            let end = inner.char_indices().find(|(_, char)| {
                let ends = *char == '"' && !escaped;
                escaped = *char == '\\' && !escaped;
                ends
            });
            end.map(|(index, _)| index + 2).ok_or(FieldPathError::OpenQuote)?
        }
        None => text.find([',', ']']).ok_or(FieldPathError::OpenBracket)?,
    };
    let (scalar, rest) = text.split_at(end);
    let value = Value::from_json(scalar.as_bytes())
        .map_err(|source| FieldPathError::Scalar { text: scalar.to_owned(), source })?;
    Ok((value, rest))
}

fn close(text: &str) -> Result<&str, FieldPathError> {
    text.strip_prefix(']').ok_or(FieldPathError::OpenBracket)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_is_read() {
        for text in [
            ".",
            ".spec.replicas",
            r#".metadata.labels["app.kubernetes.io/name"]"#,
            r#".spec.ports[port=80,protocol="TCP"].targetPort"#,
            r#".spec.template.spec.containers[name="a]\"b"].image"#,
            r#".metadata.finalizers[="x.y/z"]"#,
            ".spec.rules[2]",
        ] {
            assert_eq!(FieldPath::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(FieldPath::parse(r#".data.["a-b"]"#).unwrap().to_string(), r#".data["a-b"]"#);
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in [
            "spec",
            ".a..b",
            ".a[",
            ".a[b]",
            r#".a["b"#,
            ".a[b=1",
            ".a[1",
            ".a[1x]",
            r#".a[ ="b"]"#,
            r#".a[ 1="b"]"#,
            r#".a[b"c"].d[e="f"]"#,
        ] {
            assert!(FieldPath::parse(text).is_err(), "{text}");
        }
    }
}
