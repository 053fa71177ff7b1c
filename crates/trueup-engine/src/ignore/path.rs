//! From the path of a difference to the rule that ignores it.

use trueup_object::{FieldPath, JsonPointer, KeyFields, PathElement, Text, Value};

use super::IgnoreSpec;

/// Reads a path as it is printed (`.spec.containers[name="app"].image`); in words, what is wrong with it.
pub fn parse(text: &str) -> Result<FieldPath, String> {
    let mut rest = text;
    let mut path = FieldPath::root();
    while !rest.is_empty() {
        let (element, left) = element(rest)?;
        path.push(element);
        rest = left;
    }
    if path.is_root() { Err("it names the whole object".to_owned()) } else { Ok(path) }
}

fn element(text: &str) -> Result<(PathElement, &str), String> {
    if let Some(rest) = text.strip_prefix('.') {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, left) = rest.split_at(end);
        return match (name, left.starts_with("[\"")) {
            // `.["a"]` and `["a"]` are the same.
            ("", true) => element(left),
            ("", false) => Err("a name is missing after a dot".to_owned()),
            (name, _) => Ok((PathElement::Field(Text::from(name)), left)),
        };
    }
    let inner = text.strip_prefix('[').ok_or("it begins with a dot or a bracket")?;
    if inner.starts_with('"') {
        let (value, rest) = scalar(inner)?;
        return Ok((PathElement::Field(Text::from(value.as_str().unwrap_or_default())), close(rest)?));
    }
    if let Some(rest) = inner.strip_prefix('=') {
        let (value, rest) = scalar(rest)?;
        return Ok((PathElement::Value(value), close(rest)?));
    }
    if inner.starts_with(|char: char| char.is_ascii_digit()) {
        let (index, _) = inner.split_once(']').ok_or("a bracket is not closed")?;
        let number = index.parse().map_err(|_| format!("{index} is no index"))?;
        return Ok((PathElement::Index(number), inner.get(index.len() + 1..).unwrap_or_default()));
    }
    keys(inner)
}

fn keys(text: &str) -> Result<(PathElement, &str), String> {
    let mut fields = Vec::new();
    let mut rest = text;
    loop {
        let (name, after) = rest.split_once('=').ok_or("a key has no value")?;
        let (value, after) = scalar(after)?;
        fields.push((Text::from(name.trim()), value));
        match after.strip_prefix(',') {
            Some(more) => rest = more,
            None => return Ok((PathElement::Key(KeyFields::new(fields)), close(after)?)),
        }
    }
}

/// A JSON scalar at the beginning of a text, and what follows it.
fn scalar(text: &str) -> Result<(Value, &str), String> {
    let end = match text.strip_prefix('"') {
        Some(inner) => {
            let mut escaped = false;
            let end = inner.char_indices().find(|(_, char)| {
                let ends = *char == '"' && !escaped;
                escaped = *char == '\\' && !escaped;
                ends
            });
            end.map(|(index, _)| index + 2).ok_or("a quote is not closed")?
        }
        None => text.find([',', ']']).ok_or("a bracket is not closed")?,
    };
    let (scalar, rest) = text.split_at(end);
    let value = Value::from_json(scalar.as_bytes()).map_err(|error| format!("{scalar}: {error}"))?;
    Ok((value, rest))
}

fn close(text: &str) -> Result<&str, String> {
    text.strip_prefix(']').ok_or_else(|| "a bracket is not closed".to_owned())
}

/// Adds a path to a rule: as a pointer, or where items of a list are on the way, which have no fixed place, as jq.
pub fn add(spec: &mut IgnoreSpec, path: &FieldPath) {
    let is_field = |element: &PathElement| matches!(element, PathElement::Field(_));
    if path.elements().iter().all(is_field) {
        let tokens = path.elements().iter().filter_map(|element| match element {
            PathElement::Field(name) => Some(name.clone()),
            PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => None,
        });
        spec.json_pointers.push(JsonPointer::new(tokens.collect()).to_string());
    } else {
        spec.jq_path_expressions.push(jq(path));
    }
}

fn jq(path: &FieldPath) -> String {
    let mut out = String::new();
    let mut fresh = true;
    for element in path.elements() {
        if fresh && !matches!(element, PathElement::Field(name) if is_plain(name)) {
            out.push('.');
        }
        fresh = false;
        match element {
            PathElement::Field(name) if is_plain(name) => out.push_str(&format!(".{name}")),
            PathElement::Field(name) => out.push_str(&format!("[{}]", Value::Str(name.clone()).to_json())),
            PathElement::Index(index) => out.push_str(&format!("[{index}]")),
            PathElement::Value(value) => out.push_str(&format!("[]? | select(. == {})", value.to_json())),
            PathElement::Key(keys) => {
                let tests: Vec<String> = keys.iter().map(|(name, value)| test(name, value)).collect();
                out.push_str(&format!("[]? | select({})", tests.join(" and ")));
            }
        }
        if matches!(element, PathElement::Key(_) | PathElement::Value(_)) {
            out.push_str(" | ");
            fresh = true;
        }
    }
    out.trim_end_matches(" | ").to_owned()
}

/// A protocol that nobody writes is TCP.
fn test(name: &str, value: &Value) -> String {
    let field =
        if is_plain(name) { format!(".{name}") } else { format!(".[{}]", Value::from(name).to_json()) };
    if name == "protocol" && value.as_str() == Some("TCP") {
        return format!("({field} // \"TCP\") == \"TCP\"");
    }
    format!("{field} == {}", value.to_json())
}

fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|char| char.is_ascii_alphanumeric() || char == '_')
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn rule(path: &str) -> String {
        let mut spec = IgnoreSpec::default();
        add(&mut spec, &parse(path).unwrap());
        assert!(trueup_diff::IgnoreRule::new(&spec).is_ok(), "{spec:?}");
        spec.paths().next().unwrap().to_owned()
    }

    #[test]
    fn paths_become_rules() {
        for (path, expected) in [
            (".spec.replicas", "/spec/replicas"),
            (r#".metadata.labels["app.kubernetes.io/name"]"#, "/metadata/labels/app.kubernetes.io~1name"),
            (
                r#".spec.template.spec.containers[name="app"].image"#,
                r#".spec.template.spec.containers[]? | select(.name == "app") | .image"#,
            ),
            (
                r#".spec.ports[port=80,protocol="TCP"]"#,
                r#".spec.ports[]? | select(.port == 80 and (.protocol // "TCP") == "TCP")"#,
            ),
            (r#".metadata.finalizers[="x.y/z"]"#, r#".metadata.finalizers[]? | select(. == "x.y/z")"#),
            (".spec.rules[2].host", ".spec.rules[2].host"),
            (r#".a[k="v"]["b-c"].d"#, r#".a[]? | select(.k == "v") | .["b-c"].d"#),
        ] {
            assert_eq!(rule(path), expected, "{path}");
        }
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for text in ["", ".", "spec", ".a..b", ".a[", ".a[b]", r#".a["b"#, ".a[b=1", ".a[1"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
