//! Defaulting (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/defaulting`).

use trueup_object::Value;

use super::Node;

/// Fills in defaults below a value, then removes nulls that may not be.
pub(super) fn default(schema: Node<'_>, value: &mut Value) {
    fill(schema, value);
    remove_nulls(schema, value);
}

/// Fills in defaults below a value that an apply has merged: its nulls stay, and are refused later.
pub(super) fn default_merged(schema: Node<'_>, value: &mut Value) {
    fill(schema, value);
}

fn is_wrong_null(schema: Node<'_>, value: &Value) -> bool {
    value.is_null() && !schema.is_nullable()
}

fn fill(schema: Node<'_>, value: &mut Value) {
    match value {
        Value::Map(map) => {
            for (name, property) in schema.properties() {
                let Some(default) = property.default() else { continue };
                if map.get(name).is_none_or(|present| is_wrong_null(property, present)) {
                    map.insert(name, default.clone());
                }
            }
            for (name, present) in map.iter_mut() {
                if let Some(property) = schema.property(name) {
                    fill(property, present);
                } else if let Some(additional) = schema.additional() {
                    fill_element(additional, present);
                }
            }
        }
        Value::List(items) => {
            let Some(element) = schema.items() else { return };
            items.iter_mut().for_each(|item| fill_element(element, item));
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
    }
}

fn fill_element(schema: Node<'_>, value: &mut Value) {
    if let Some(default) = schema.default().filter(|_| is_wrong_null(schema, value)) {
        *value = default.clone();
    }
    fill(schema, value);
}

fn remove_nulls(schema: Node<'_>, value: &mut Value) {
    match value {
        Value::Map(map) => map.retain(|name, present| {
            let Some(known) = schema.property(name).or_else(|| schema.additional()) else { return true };
            if is_wrong_null(known, present) {
                return false;
            }
            remove_nulls(known, present);
            true
        }),
        Value::List(items) => {
            let Some(element) = schema.items() else { return };
            items.iter_mut().for_each(|item| remove_nulls(element, item));
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
    }
}
