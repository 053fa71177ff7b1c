//! Structural schemas as types of expressions (`k8s.io/apiserver/pkg/cel/common/schemas.go`).

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_cel::{Declarations, ListKind, Shape, ShapeField, Type, escape};
use trueup_object::Value;
use trueup_object::value::{Map, Text};

/// A schema as a type, and how JSON of it is read. Nothing where expressions do not see it.
pub fn typed(
    schema: &Value,
    is_root: bool,
    name: &str,
    declared: &mut Declarations,
) -> Option<(Type, Shape)> {
    let flag = |key: &str| schema.get(key).and_then(Value::as_bool) == Some(true);
    if flag("x-kubernetes-int-or-string") {
        return Some((Type::Dyn, Shape::Dyn));
    }
    let is_resource = is_root || flag("x-kubernetes-embedded-resource");
    match schema.str_at(&["type"]).unwrap_or(if is_resource { "object" } else { "" }) {
        "array" => {
            let (element, shape) = typed(schema.get("items")?, false, &format!("{name}.@idx"), declared)?;
            let kind = match schema.str_at(&["x-kubernetes-list-type"]) {
                Some("set") => ListKind::Set,
                Some("map") => ListKind::Map(list_keys(schema)),
                Some(_) | None => ListKind::Atomic,
            };
            Some((Type::list(element), Shape::List { element: Arc::new(shape), kind }))
        }
        "object" => match schema.get("additionalProperties").filter(|it| it.as_map().is_some()) {
            Some(values) if !is_resource => {
                let (its, shape) = typed(values, false, &format!("{name}.@prop"), declared)?;
                Some((Type::map(Type::String, its), Shape::Map(Arc::new(shape))))
            }
            Some(_) | None => Some(object(schema, is_resource, name, declared)),
        },
        "string" => Some(match schema.str_at(&["format"]) {
            Some("byte") => (Type::Bytes, Shape::Bytes),
            Some("duration") => (Type::Duration, Shape::Duration),
            Some("date") => (Type::Timestamp, Shape::Date),
            Some("date-time") => (Type::Timestamp, Shape::Timestamp),
            Some(_) | None => (Type::String, Shape::String),
        }),
        "boolean" => Some((Type::Bool, Shape::Bool)),
        "number" => Some((Type::Double, Shape::Double)),
        "integer" => Some((Type::Int, Shape::Int)),
        _ => None,
    }
}

/// The key fields of a map-like list, under the names that expressions say.
pub fn list_keys(schema: &Value) -> Vec<Text> {
    let keys = schema.list_at(&["x-kubernetes-list-map-keys"]).iter().filter_map(Value::as_str);
    keys.map(|key| Text::from(escape(key).unwrap_or_else(|| key.to_owned()))).collect()
}

fn object(schema: &Value, is_resource: bool, name: &str, declared: &mut Declarations) -> (Type, Shape) {
    let mut fields: BTreeMap<Text, ShapeField> = BTreeMap::new();
    let mut types: Vec<(Text, Type)> = Vec::new();
    let mut add = |property: &str, its: Type, shape: Shape| {
        // A name that cannot be escaped cannot be said.
        let Some(escaped) = escape(property) else { return };
        types.push((Text::from(escaped.as_str()), its));
        fields.insert(Text::from(escaped), ShapeField { name: Text::from(property), shape });
    };
    let properties = schema.get("properties").and_then(Value::as_map);
    for (property, below) in properties.into_iter().flat_map(Map::iter) {
        if is_resource && matches!(property, "apiVersion" | "kind" | "metadata") {
            continue;
        }
        if let Some((its, shape)) = typed(below, false, &format!("{name}.{property}"), declared) {
            add(property, its, shape);
        }
    }
    if is_resource {
        let metadata = format!("{name}.metadata");
        declared.add_struct(&metadata, [("name", Type::String), ("generateName", Type::String)]);
        let shown = ["name", "generateName"]
            .map(|it| (Text::from(it), ShapeField { name: Text::from(it), shape: Shape::String }));
        let shape = Shape::Object { name: Text::from(metadata.as_str()), fields: Arc::new(shown.into()) };
        add("metadata", Type::Object(Text::from(metadata)), shape);
        add("apiVersion", Type::String, Shape::String);
        add("kind", Type::String, Shape::String);
    }
    declared.add_struct(name, types.iter().map(|(field, its)| (field.as_str(), its.clone())));
    let shape = Shape::Object { name: Text::from(name), fields: Arc::new(fields) };
    (Type::Object(Text::from(name)), shape)
}
