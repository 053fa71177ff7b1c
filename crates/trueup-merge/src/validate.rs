//! Whether a value fits its type, as far as structured merge is concerned.

use std::collections::BTreeSet;

use trueup_object::{FieldPath, PathElement, Text, Value};

use crate::element::item_element;
use crate::managers::server_path;
use crate::schema::{ListKind, Scalar, Shape, TypeRef};

/// One reason why a value cannot be applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Invalid {
    pub path: FieldPath,
    pub message: String,
}

/// The path as the API server writes it, and the reason.
impl std::fmt::Display for Invalid {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.path.is_root() {
            return write!(out, "{}", self.message);
        }
        write!(out, "{}: {}", server_path(&self.path), self.message)
    }
}

pub(crate) fn join(reasons: &[Invalid]) -> String {
    match reasons {
        [only] => only.to_string(),
        _ => {
            let lines: Vec<String> = reasons.iter().map(|reason| format!("  {reason}")).collect();
            format!("errors:\n{}", lines.join("\n"))
        }
    }
}

/// What the API server would refuse in an applied object: undeclared fields, values of another type, list items without
/// a key or with one that another item has.
pub fn validate(value: &Value, ty: TypeRef<'_>) -> Vec<Invalid> {
    let mut walker = Walker { path: FieldPath::root(), found: Vec::new(), duplicates: Duplicates::Refused };
    walker.value(value, ty);
    walker.found
}

/// The same of an object that is stored, where items of a list may have a key that another item has.
pub(crate) fn validate_stored(value: &Value, ty: TypeRef<'_>) -> Vec<Invalid> {
    let mut walker = Walker { path: FieldPath::root(), found: Vec::new(), duplicates: Duplicates::Allowed };
    walker.value(value, ty);
    walker.found
}

/// Whether a stored object is valid that takes the place of a valid one: what is the same in both is not looked at again.
pub(crate) fn stays_valid(valid: &Value, value: &Value, ty: TypeRef<'_>) -> bool {
    match (ty.shape(), valid, value) {
        (Shape::Struct { .. } | Shape::Map { .. } | Shape::Untyped, Value::Map(valid), Value::Map(map)) => {
            map.iter().all(|(name, below)| match (ty.step(name), valid.get(name)) {
                (None, _) => false,
                (Some(_), Some(known)) if known == below => true,
                (Some(step), Some(known)) => stays_valid(known, below, step.ty),
                (Some(step), None) => validate_stored(below, step.ty).is_empty(),
            })
        }
        _ => validate_stored(value, ty).is_empty(),
    }
}

struct Walker {
    path: FieldPath,
    found: Vec<Invalid>,
    duplicates: Duplicates,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Duplicates {
    Allowed,
    Refused,
}

impl Walker {
    fn problem(&mut self, message: String) {
        self.found.push(Invalid { path: self.path.clone(), message });
    }

    fn value(&mut self, value: &Value, ty: TypeRef<'_>) {
        match (ty.shape(), value) {
            (_, Value::Null) => {}
            (Shape::Scalar(scalar), _) => self.scalar(value, scalar),
            (Shape::List { kind, element }, Value::List(items)) => self.list(items, kind, element),
            (Shape::Struct { .. } | Shape::Map { .. } | Shape::Untyped, Value::Map(map)) => {
                for (name, below) in map.iter() {
                    self.path.push(PathElement::Field(Text::from(name)));
                    match ty.step(name) {
                        Some(step) => self.value(below, step.ty),
                        None => self.problem("field not declared in schema".to_owned()),
                    }
                    self.path.pop();
                }
            }
            (Shape::Untyped, _) => {}
            (Shape::List { .. }, _) => self.problem(format!("expected list, got &{{{}}}", go_plain(value))),
            (Shape::Struct { .. } | Shape::Map { .. }, _) => {
                self.problem(format!("expected map, got &{{{}}}", go_plain(value)));
            }
        }
    }

    fn scalar(&mut self, value: &Value, scalar: Scalar) {
        let is_scalar = !matches!(value, Value::List(_) | Value::Map(_));
        let problem = match scalar {
            Scalar::String | Scalar::Bytes => value.as_str().is_none().then(|| {
                format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_syntax(value))
            }),
            Scalar::Integer | Scalar::Number => (!matches!(value, Value::Int(_) | Value::Float(_)))
                .then(|| format!("expected numeric (int or float), got {}", go_type(value))),
            Scalar::Boolean => {
                value.as_bool().is_none().then(|| format!("expected boolean, got &{{{}}}", go_plain(value)))
            }
            Scalar::IntOrString
            | Scalar::Quantity
            | Scalar::Duration
            | Scalar::Time
            | Scalar::MicroTime
            | Scalar::Other => {
                (!is_scalar).then(|| format!("expected any scalar, got &{{{}}}", go_plain(value)))
            }
        };
        if let Some(problem) = problem {
            self.problem(problem);
        }
    }

    fn list(&mut self, items: &[Value], kind: ListKind<'_>, element: TypeRef<'_>) {
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let name = match (kind, item_element(item, kind, element)) {
                (ListKind::Atomic, _) => PathElement::Index(index),
                (_, Some(name)) => name,
                (_, None) => {
                    self.problem(format!("element {index}: {}", why_nameless(item, kind)));
                    return;
                }
            };
            if !seen.insert(name.clone()) && self.duplicates == Duplicates::Refused {
                let name = server_path(&FieldPath::new(vec![name.clone()]));
                self.problem(format!("duplicate entries for key {name}"));
            }
            self.path.push(name);
            self.value(item, element);
            self.path.pop();
        }
    }
}

fn why_nameless(item: &Value, kind: ListKind<'_>) -> String {
    match (kind, item) {
        (ListKind::Map { .. }, Value::Null) => {
            "associative list with keys may not have a null element".to_owned()
        }
        (ListKind::Map { keys }, Value::Map(_)) => {
            let keys: Vec<String> = keys.iter().map(|key| Value::from(key.clone()).to_json()).collect();
            format!(
                "associative list with keys has an element that omits all key fields [{}] \
                 (and doesn't have default values for any key fields)",
                keys.join(" ")
            )
        }
        (ListKind::Map { .. }, _) => "associative list with keys may not have non-map elements".to_owned(),
        (_, Value::Map(_)) => "associative list without keys has an element that's a map type".to_owned(),
        (_, Value::List(_)) => "not supported: associative list with lists as elements".to_owned(),
        (_, _) => "associative list without keys has an element that's an explicit null".to_owned(),
    }
}

/// The Go type of a value, as `%T` prints it: the server's messages show its own types.
fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Int(_) => "int64",
        Value::Float(_) => "float64",
        Value::Str(_) => "string",
        Value::List(_) => "[]interface {}",
        Value::Map(_) => "map[string]interface {}",
    }
}

/// A value as Go's `%v` prints it.
fn go_plain(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Str(text) => text.to_string(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) => value.to_json(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(go_plain).collect();
            format!("[{}]", items.join(" "))
        }
        Value::Map(map) => {
            let entries: Vec<String> =
                map.iter().map(|(name, value)| format!("{name}:{}", go_plain(value))).collect();
            format!("map[{}]", entries.join(" "))
        }
    }
}

/// A value as Go's `%#v` prints it.
fn go_syntax(value: &Value) -> String {
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => value.to_json(),
        Value::List(items) => {
            let items: Vec<String> = items.iter().map(go_syntax).collect();
            format!("[]interface {{}}{{{}}}", items.join(", "))
        }
        Value::Map(map) => {
            let entries: Vec<String> = map
                .iter()
                .map(|(name, value)| format!("{}:{}", Value::from(name).to_json(), go_syntax(value)))
                .collect();
            format!("map[string]interface {{}}{{{}}}", entries.join(", "))
        }
    }
}
