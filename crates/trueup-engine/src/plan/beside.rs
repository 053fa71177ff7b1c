//! Additions that may be unable to stand beside what is applied, and those that must go because the server says so.
//!
//! Who changes an item's key by hand has removed Git's item and added another; who gives a variable a source has removed
//! its value. Applying Git's alone puts it beside the foreign one, which the server may refuse (a name twice, a value and
//! its source): such an addition has to go in the same write. Whether it does is a rule of the kind, which only the
//! server knows, so it is asked: what it refuses names the field.

use trueup_merge::get;
use trueup_object::{FieldPath, PathElement, Value};

/// One reason of the server for refusing an apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedField<'a> {
    /// In the server's own spelling: `spec.ports[1].name`.
    pub field: &'a str,
    pub message: &'a str,
}

/// The additions in the very map or list in which something is applied.
pub(super) fn beside(applied: &[FieldPath], additions: Vec<FieldPath>) -> Vec<FieldPath> {
    let is_beside = |addition: &FieldPath| {
        let parent = addition.parent().filter(|parent| !parent.is_root());
        parent.is_some_and(|parent| applied.iter().any(|path| *path != parent && path.starts_with(&parent)))
    };
    additions.into_iter().filter(is_beside).collect()
}

/// The additions that must go for the apply to be accepted, by what the server says of the apply without that.
///
/// Of those that stand where the server sees the fault, those in the innermost place are meant; among items of a list,
/// those that have the very value that an applied item has, if there are such.
pub fn displaced(
    beside: &[FieldPath],
    live: &Value,
    applied: &Value,
    refused: &[RefusedField<'_>],
) -> Vec<FieldPath> {
    let mut found: Vec<FieldPath> = Vec::new();
    for field in refused.iter().filter(|refused| !is_about_change(refused.message)) {
        let fault = names(field.field);
        let near = innermost(beside, &fault);
        let same: Vec<&FieldPath> =
            near.iter().copied().filter(|path| has_value_of_applied(path, live, applied, &fault)).collect();
        found.extend((if same.is_empty() { near } else { same }).into_iter().cloned());
    }
    found.sort();
    found.dedup();
    found
}

/// A field that may not change is no matter of what stands beside it.
fn is_about_change(message: &str) -> bool {
    ["immutable", "updates to", "may not change", "cannot be changed"].iter().any(|say| message.contains(say))
}

fn innermost<'p>(beside: &'p [FieldPath], fault: &[String]) -> Vec<&'p FieldPath> {
    let depths: Vec<(usize, &FieldPath)> =
        beside.iter().filter_map(|path| Some((depth(path, fault)?, path))).collect();
    let deepest = depths.iter().map(|(depth, _)| *depth).max();
    depths.into_iter().filter(|(depth, _)| Some(*depth) == deepest).map(|(_, path)| path).collect()
}

/// How deep a path's place is, where the fault lies in it: at an item of the same list, at the field itself, or at a field
/// beside it.
fn depth(path: &FieldPath, fault: &[String]) -> Option<usize> {
    let own = plain(path);
    let depth = path.elements().len();
    if matches!(path.elements().last(), Some(PathElement::Key(_) | PathElement::Value(_))) {
        return fault.starts_with(&own).then_some(depth);
    }
    let (_, parent) = own.split_last()?;
    let is_beside = fault.len() == own.len() && fault.starts_with(parent);
    if fault.starts_with(&own) { Some(depth + 1) } else { is_beside.then_some(depth) }
}

/// Whether an added item has, at the field of the fault, the value of an applied item of its list.
fn has_value_of_applied(path: &FieldPath, live: &Value, applied: &Value, fault: &[String]) -> bool {
    let Some(PathElement::Key(_)) = path.elements().last() else { return false };
    let Some(list) = path.parent().and_then(|list| get(applied, &list)) else { return false };
    let rest: Vec<&str> = fault.iter().skip(plain(path).len()).map(String::as_str).collect();
    let Some(value) = get(live, path).and_then(|item| item.at(&rest)).filter(|_| !rest.is_empty()) else {
        return false;
    };
    list.as_list().unwrap_or_default().iter().any(|item| item.at(&rest) == Some(value))
}

/// The names on a path; what tells items of a list apart is left out.
fn plain(path: &FieldPath) -> Vec<String> {
    let names = path.elements().iter().filter_map(|element| match element {
        PathElement::Field(name) => Some(name.to_string()),
        PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => None,
    });
    names.collect()
}

/// The names on a path in the server's spelling (`spec.ports[1].name`, `data[a.b]`) without the indices of lists.
fn names(field: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut name = String::new();
    let mut in_brackets = false;
    for character in field.chars() {
        match character {
            '.' | '[' if !in_brackets => {
                names.push(std::mem::take(&mut name));
                in_brackets = character == '[';
            }
            ']' if in_brackets => {
                if !name.chars().all(|digit| digit.is_ascii_digit()) {
                    names.push(std::mem::take(&mut name));
                }
                name.clear();
                in_brackets = false;
            }
            other => name.push(other),
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use trueup_object::KeyFields;

    use super::*;

    fn path(names: &[&str], key: &[(&str, Value)], rest: &[&str]) -> FieldPath {
        let mut path = FieldPath::fields(names);
        let fields = key.iter().map(|(name, value)| ((*name).into(), value.clone())).collect();
        path.push(PathElement::Key(KeyFields::new(fields)));
        rest.iter().for_each(|name| path.push(PathElement::Field((*name).into())));
        path
    }

    fn port(number: i64) -> FieldPath {
        path(&["spec", "ports"], &[("port", number.into()), ("protocol", "TCP".into())], &[])
    }

    fn variable(name: &str, rest: &[&str]) -> FieldPath {
        path(&["spec", "env"], &[("name", name.into())], rest)
    }

    fn refused(field: &'static str) -> RefusedField<'static> {
        RefusedField { field, message: "Duplicate value" }
    }

    fn json(text: &str) -> Value {
        Value::from_json(text.as_bytes()).unwrap()
    }

    #[test]
    fn the_servers_spelling_is_read() {
        assert_eq!(names("spec.ports[12].name"), ["spec", "ports", "name"]);
        assert_eq!(names("metadata.annotations[a.b/c].x"), ["metadata", "annotations", "a.b/c", "x"]);
        assert_eq!(names(""), Vec::<String>::new());
    }

    #[test]
    fn only_what_is_in_the_same_map_or_list_is_beside() {
        let additions = vec![port(81), variable("B", &[]), FieldPath::fields(&["spec", "paused"])];
        assert_eq!(beside(&[port(80)], additions), [port(81), FieldPath::fields(&["spec", "paused"])]);
        assert_eq!(beside(&[variable("A", &["value"])], vec![variable("A", &["valueFrom"])]).len(), 1);
        assert_eq!(beside(&[FieldPath::fields(&["data", "a"])], vec![FieldPath::fields(&["spec"])]), []);
    }

    #[test]
    fn an_item_with_the_value_of_an_applied_one_goes_alone() {
        let live = json(
            r#"{"spec":{"ports":[{"port":81,"protocol":"TCP","name":"http"},{"port":9,"protocol":"TCP","name":"x"}]}}"#,
        );
        let applied = json(r#"{"spec":{"ports":[{"port":80,"name":"http"}]}}"#);
        let both = [port(9), port(81)];
        assert_eq!(displaced(&both, &live, &applied, &[refused("spec.ports[1].name")]), [port(81)]);
        // Where no value tells, all that stand there.
        let unnamed = json(r#"{"spec":{"ports":[{"port":80}]}}"#);
        assert_eq!(displaced(&both, &live, &unnamed, &[refused("spec.ports[0].name")]), both);
    }

    #[test]
    fn the_innermost_place_is_meant() {
        let beside = [variable("B", &[]), variable("A", &["valueFrom"]), FieldPath::fields(&["spec", "x"])];
        let found = displaced(&beside, &Value::Null, &Value::Null, &[refused("spec.env[0].valueFrom")]);
        assert_eq!(found, [variable("A", &["valueFrom"])]);
        // The server may name the other one of the two.
        let found = displaced(&beside, &Value::Null, &Value::Null, &[refused("spec.env[0].value")]);
        assert_eq!(found, [variable("A", &["valueFrom"])]);
    }

    #[test]
    fn nothing_goes_for_a_fault_of_another_kind() {
        let beside = [port(81), FieldPath::fields(&["spec", "paused"])];
        let none = |field, message| {
            displaced(&beside, &Value::Null, &Value::Null, &[RefusedField { field, message }])
        };
        assert_eq!(none("metadata.labels", "Invalid value"), []);
        assert_eq!(none("spec.template.spec.image", "Required value"), []);
        assert_eq!(none("spec.selector", "field is immutable"), []);
        assert_eq!(none("spec", "Forbidden: updates to it"), []);
    }
}
