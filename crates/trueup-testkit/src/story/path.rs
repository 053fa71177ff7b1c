//! Field paths read from the form in which they are printed (`.spec.containers[name="app"].image`).

use anyhow::{Result, anyhow, bail};
use trueup_object::{FieldPath, KeyFields, PathElement, Text, Value};

/// Reads a path.
pub fn parse(text: &str) -> Result<FieldPath> {
    if text == "." {
        return Ok(FieldPath::root());
    }
    let mut rest = text;
    let mut path = FieldPath::root();
    while !rest.is_empty() {
        let (element, left) =
            element(rest).map_err(|error| error.context(format!("read the path {text:?}")))?;
        path.push(element);
        rest = left;
    }
    Ok(path)
}

fn element(text: &str) -> Result<(PathElement, &str)> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, rest) = rest.split_at(end);
        if name.is_empty() {
            bail!("a name is missing after a dot");
        }
        return Ok((PathElement::Field(Text::from(name)), rest));
    }
    let inner = text.strip_prefix('[').ok_or_else(|| anyhow!("a path begins with a dot or a bracket"))?;
    if inner.starts_with('"') {
        let (value, rest) = scalar(inner)?;
        let name = value.as_str().unwrap_or_default();
        return Ok((PathElement::Field(Text::from(name)), close(rest)?));
    }
    if let Some(rest) = inner.strip_prefix('=') {
        let (value, rest) = scalar(rest)?;
        return Ok((PathElement::Value(value), close(rest)?));
    }
    if inner.starts_with(|char: char| char.is_ascii_digit()) {
        let end = inner.find(']').ok_or_else(|| anyhow!("a bracket is not closed"))?;
        let (index, rest) = inner.split_at(end);
        return Ok((PathElement::Index(index.parse()?), close(rest)?));
    }
    keys(inner)
}

fn keys(text: &str) -> Result<(PathElement, &str)> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=').ok_or_else(|| anyhow!("a key has no value"))?;
        let (value, after) = scalar(after)?;
        fields.push((Text::from(name.trim()), value));
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok((PathElement::Key(KeyFields::new(fields)), close(after)?)),
        }
    }
}

/// A JSON scalar at the beginning of a text, and what follows it.
fn scalar(text: &str) -> Result<(Value, &str)> {
    let end = match text.strip_prefix('"') {
        Some(inner) => {
            let mut escaped = false;
            let end = inner.char_indices().find(|(_, char)| {
                let ends = *char == '"' && !escaped;
                escaped = *char == '\\' && !escaped;
                ends
            });
            end.map(|(index, _)| index + 2).ok_or_else(|| anyhow!("a quote is not closed"))?
        }
        None => text.find([',', ']']).ok_or_else(|| anyhow!("a bracket is not closed"))?,
    };
    let (scalar, rest) = text.split_at(end);
    let value = Value::from_json(scalar.as_bytes()).map_err(|error| anyhow!("{scalar}: {error}"))?;
    Ok((value, rest))
}

fn close(text: &str) -> Result<&str> {
    text.strip_prefix(']').ok_or_else(|| anyhow!("a bracket is not closed"))
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
            assert_eq!(parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["spec", ".a..b", ".a[", ".a[b]", r#".a["b"#, ".a[b=1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
