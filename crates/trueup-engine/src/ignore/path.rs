//! From the path of a difference to the rule that ignores it.

use trueup_object::{FieldPath, JsonPointer, PathElement, Value};

use super::IgnoreSpec;

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
        add(&mut spec, &FieldPath::parse(path).unwrap());
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
}
