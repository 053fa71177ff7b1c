//! Small parts of cells that several kinds share.

use trueup_object::value::Map;
use trueup_object::{Timestamp, Value};

use super::age;

/// A string field, or nothing.
pub(super) fn text<'v>(object: &'v Value, keys: &[&str]) -> &'v str {
    object.str_at(keys).unwrap_or_default()
}

pub(super) fn int(object: &Value, keys: &[&str]) -> i64 {
    object.int_at(keys).unwrap_or_default()
}

/// The text, or `<none>` where it is empty.
pub(super) fn or_none(text: &str) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text.to_owned() }
}

/// A number or text as it stands; the given words where it is absent.
pub(super) fn scalar_or(object: &Value, keys: &[&str], absent: &str) -> String {
    match object.at(keys) {
        Some(Value::Str(text)) => text.to_string(),
        None | Some(Value::Null) => absent.to_owned(),
        Some(other) => other.to_json(),
    }
}

/// `a=b,c=d`, or `<none>`.
pub(super) fn labels(map: Option<&Value>) -> String {
    let pairs: Vec<String> = map
        .and_then(Value::as_map)
        .into_iter()
        .flat_map(Map::iter)
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    or_none(&pairs.join(","))
}

/// A label selector in words.
pub(super) fn label_selector(selector: Option<&Value>) -> String {
    let Some(selector) = selector else { return "<none>".to_owned() };
    let labels = selector.get("matchLabels").and_then(Value::as_map).into_iter().flat_map(Map::iter);
    let mut parts: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    for expression in selector.list_at(&["matchExpressions"]) {
        let key = text(expression, &["key"]);
        let values: Vec<&str> = expression.list_at(&["values"]).iter().filter_map(Value::as_str).collect();
        parts.push(match text(expression, &["operator"]) {
            "In" => format!("{key} in ({})", values.join(",")),
            "NotIn" => format!("{key} notin ({})", values.join(",")),
            "DoesNotExist" => format!("!{key}"),
            _ => key.to_owned(),
        });
    }
    or_none(&parts.join(","))
}

/// Names and images of a pod's containers.
pub(super) fn containers(pod_spec: Option<&Value>) -> [Value; 2] {
    let containers = pod_spec.map(|spec| spec.list_at(&["containers"])).unwrap_or_default();
    let join = |key: &str| {
        let all: Vec<&str> = containers.iter().map(|container| text(container, &[key])).collect();
        Value::from(all.join(","))
    };
    [join("name"), join("image")]
}

/// The object's name.
pub(super) fn name(object: &Value) -> Value {
    text(object, &["metadata", "name"]).into()
}

/// How long ago the object was created.
pub(super) fn age_of(object: &Value, now: Timestamp) -> Value {
    age::since(object.str_at(&["metadata", "creationTimestamp"]), now).into()
}

/// A boolean field; the server's default where it is absent.
pub(super) fn flag(object: &Value, keys: &[&str], default: bool) -> Value {
    Value::Bool(object.at(keys).and_then(Value::as_bool).unwrap_or(default))
}

/// The phase; an object that is being deleted is terminating.
pub(super) fn phase(object: &Value) -> &str {
    if object.str_at(&["metadata", "deletionTimestamp"]).is_some() {
        "Terminating"
    } else {
        text(object, &["status", "phase"])
    }
}

/// The name, with a note where one of the annotations makes the object the default of its kind.
pub(super) fn is_marked_default(object: &Value, annotations: &[&str]) -> Value {
    let marked = annotations.iter().any(|key| text(object, &["metadata", "annotations", key]) == "true");
    let name = text(object, &["metadata", "name"]);
    if marked { format!("{name} (default)").into() } else { name.into() }
}
