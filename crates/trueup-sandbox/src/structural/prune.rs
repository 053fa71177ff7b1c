//! Pruning (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/pruning`).

use trueup_object::Value;

use super::Node;

/// What every object has, whatever its schema says.
const OBJECT_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Removes unknown fields below an object's root; returns their paths.
pub(super) fn prune(schema: Node<'_>, object: &mut Value) -> Vec<String> {
    let mut pruned = Vec::new();
    prune_fields(schema, object, "", true, &mut pruned);
    pruned
}

fn prune_value(schema: Node<'_>, value: &mut Value, path: &str, pruned: &mut Vec<String>) {
    match value {
        Value::Map(_) => prune_fields(schema, value, path, schema.is_embedded_resource(), pruned),
        Value::List(items) => {
            let Some(element) = schema.items() else { return };
            for (index, item) in items.iter_mut().enumerate() {
                prune_value(element, item, &format!("{path}[{index}]"), pruned);
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
    }
}

fn prune_fields(
    schema: Node<'_>,
    object: &mut Value,
    path: &str,
    is_resource: bool,
    pruned: &mut Vec<String>,
) {
    let Some(map) = object.as_map_mut() else { return };
    let keeps = schema.preserves_unknown();
    map.retain(|name, value| {
        if is_resource && OBJECT_FIELDS.contains(&name) {
            return true;
        }
        let below = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match schema.property(name).or_else(|| schema.additional()) {
            Some(known) => prune_value(known, value, &below, pruned),
            None if keeps => {}
            None => {
                pruned.push(below);
                return false;
            }
        }
        true
    });
}
