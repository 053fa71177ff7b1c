//! Strategic merge patch: maps merge, lists merge by the merge key that the API's types declare, and directives
//! (`$patch`, `$retainKeys`, `$deleteFromPrimitiveList`, `$setElementOrder`) say the rest.
//!
//! The order of a merged list follows the server: the order of the directive or the patch first, the live order second.

use trueup_object::{Map, Value};

use super::order::{normalize_order, partition};
use super::{PatchError, go_map};

const DIRECTIVE: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM_PREFIX: &str = "$deleteFromPrimitiveList";
const ELEMENT_ORDER_PREFIX: &str = "$setElementOrder";

/// What the API's types say about one field, for patching.
#[derive(Debug, Clone)]
pub struct FieldPatch<S> {
    /// Whether a list merges; otherwise it is replaced.
    pub merges: bool,
    /// Whether a map is replaced; otherwise it merges.
    pub replaces: bool,
    pub merge_key: Option<String>,
    /// The schema of the field's value, or of its items where it is a list.
    pub below: S,
}

/// The schema of a map, as far as patching needs it. Tests have one of their own beside the built-in table's.
pub trait PatchSchema: Sized {
    fn field(&self, name: &str) -> FieldPatch<Self>;
}

/// Applies a strategic merge patch.
pub fn strategic_merge<S: PatchSchema>(
    document: &Value,
    patch: &Value,
    schema: &S,
) -> Result<Value, PatchError> {
    let Some(changes) = patch.as_map() else {
        let found = super::json_type(patch);
        return Err(malformed(&format!(
            "json: cannot unmarshal {found} into Go value of type map[string]interface {{}}"
        )));
    };
    let original = document.as_map().cloned().unwrap_or_default();
    merge_map(original, changes.clone(), schema).map(Value::Map)
}

fn malformed(message: &str) -> PatchError {
    PatchError::Malformed(message.to_owned())
}

fn bad_directive(directive: &Value, patch: &Map) -> PatchError {
    let shown = match directive {
        Value::Str(text) => text.to_string(),
        Value::Int(number) => format!("%!s(int64={number})"),
        other => format!("%!s({})", other.to_json()),
    };
    let map = go_map(&Value::Map(patch.clone()));
    PatchError::Failed(format!("unknown patch type: {shown} in map: {map}"))
}

fn merge_map<S: PatchSchema>(mut original: Map, mut patch: Map, schema: &S) -> Result<Map, PatchError> {
    if let Some(directive) = patch.get(DIRECTIVE) {
        return match directive.as_str() {
            Some("replace") => {
                patch.remove(DIRECTIVE);
                Ok(patch)
            }
            Some("delete") => Ok(Map::new()),
            Some(_) | None => Err(bad_directive(directive, &patch)),
        };
    }
    retain_keys(&mut original, &mut patch)?;
    merge_ordered_lists(&mut original, &mut patch, schema)?;
    for (key, change) in patch {
        let (name, deletes) = match key.strip_prefix(DELETE_FROM_PREFIX) {
            Some(rest) => (list_name(rest, "invalid patch format of primitive list")?, true),
            None => (key.as_str(), false),
        };
        if change.is_null() {
            original.remove(name);
            continue;
        }
        merge_field(&mut original, name, change, deletes, schema)?;
    }
    Ok(original)
}

fn merge_field<S: PatchSchema>(
    original: &mut Map,
    name: &str,
    change: Value,
    deletes: bool,
    schema: &S,
) -> Result<(), PatchError> {
    let merged = match (original.remove(name), change) {
        (Some(Value::Map(live)), Value::Map(change)) if !deletes => {
            let field = schema.field(name);
            let merged = if field.replaces { change } else { merge_map(live, change, &field.below)? };
            Some(Value::Map(merged))
        }
        (Some(Value::List(live)), Value::List(change)) => {
            let field = schema.field(name);
            Some(Value::List(merge_list(live, change, &field, deletes)?))
        }
        (live, _) if deletes => live,
        (Some(live), change) if live.type_name() == change.type_name() => without_directives(change),
        (_, mut change) => {
            discard_nulls(&mut change);
            without_directives(change)
        }
    };
    if let Some(value) = merged {
        original.insert(name, value);
    }
    Ok(())
}

/// `$retainKeys`: every other key of the live map goes.
fn retain_keys(original: &mut Map, patch: &mut Map) -> Result<(), PatchError> {
    let Some(directive) = patch.remove(RETAIN_KEYS) else { return Ok(()) };
    let bad = || malformed("invalid patch format of retainKeys");
    let kept: Vec<&str> = directive.as_list().ok_or_else(bad)?.iter().filter_map(Value::as_str).collect();
    for (key, change) in patch.iter() {
        let is_directive = key.starts_with(DELETE_FROM_PREFIX) || key.starts_with(ELEMENT_ORDER_PREFIX);
        if !change.is_null() && !is_directive && !kept.contains(&key) {
            return Err(bad());
        }
    }
    original.retain(|key, _| kept.contains(&key));
    Ok(())
}

/// `$setElementOrder/NAME`: merges the list NAME and puts it into the order given; both leave the patch.
fn merge_ordered_lists<S: PatchSchema>(
    original: &mut Map,
    patch: &mut Map,
    schema: &S,
) -> Result<(), PatchError> {
    let ordered: Vec<String> =
        patch.keys().filter(|key| key.starts_with(ELEMENT_ORDER_PREFIX)).map(str::to_owned).collect();
    for key in ordered {
        let bad = "invalid patch format of setElementOrder list";
        let name = list_name(key.strip_prefix(ELEMENT_ORDER_PREFIX).unwrap_or_default(), bad)?.to_owned();
        let Some(Value::List(order)) = patch.remove(&key) else { return Err(malformed(bad)) };
        let field = schema.field(&name);
        let live = list_field(original, &name)?;
        let change = list_field(patch, &name)?;
        check_order(change.as_deref().unwrap_or_default(), &order, field.merge_key.as_deref())?;
        let merged = match (live.clone(), change) {
            (Some(live), None) => live,
            (None, Some(change)) => match without_directives(Value::List(change)) {
                Some(Value::List(items)) => items,
                Some(_) | None => continue,
            },
            (Some(live), Some(change)) => merge_list(live, change, &field, false)?,
            (None, None) => continue,
        };
        let merge_key = field.merge_key.as_deref();
        let (listed, server_only) = partition(merged, &order, merge_key);
        let both =
            normalize_order(listed, server_only, &order, live.as_deref().unwrap_or_default(), merge_key);
        original.insert(name.as_str(), Value::List(both));
        patch.remove(&name);
    }
    Ok(())
}

/// The name after the slash of a directive's key.
fn list_name<'k>(rest: &'k str, error: &str) -> Result<&'k str, PatchError> {
    rest.strip_prefix('/').filter(|name| !name.is_empty()).ok_or_else(|| malformed(error))
}

fn list_field(map: &Map, name: &str) -> Result<Option<Vec<Value>>, PatchError> {
    match map.get(name) {
        None => Ok(None),
        Some(Value::List(items)) => Ok(Some(items.clone())),
        Some(other) => {
            let found = match other {
                Value::Map(_) => "map[string]interface {}",
                Value::Str(_) => "string",
                Value::Bool(_) => "bool",
                Value::Int(_) => "int64",
                Value::Float(_) => "float64",
                Value::Null | Value::List(_) => "<nil>",
            };
            Err(PatchError::Failed(format!("expected a []interface {{}}, but received a {found}")))
        }
    }
}

/// The items of the patch must come in the order of the directive, and be a part of it.
fn check_order(patch: &[Value], order: &[Value], merge_key: Option<&str>) -> Result<(), PatchError> {
    if patch.is_empty() || order.is_empty() {
        return Ok(());
    }
    let mut listed = order.iter();
    for item in patch.iter().filter(|item| item.get(DIRECTIVE).is_none()) {
        if !listed.any(|candidate| same_item(item, candidate, merge_key)) {
            return Err(PatchError::Malformed(format!(
                "The order in patch list:\n{}\n doesn't match {ELEMENT_ORDER_PREFIX} list:\n{}\n",
                Value::List(patch.to_vec()).to_json(),
                Value::List(order.to_vec()).to_json()
            )));
        }
    }
    Ok(())
}

fn same_item(left: &Value, right: &Value, merge_key: Option<&str>) -> bool {
    match merge_key {
        None => left == right,
        Some(key) => left.get(key).is_some_and(|value| right.get(key) == Some(value)),
    }
}

fn merge_list<S: PatchSchema>(
    live: Vec<Value>,
    change: Vec<Value>,
    field: &FieldPatch<S>,
    deletes: bool,
) -> Result<Vec<Value>, PatchError> {
    if deletes {
        return Ok(live.into_iter().filter(|item| !change.contains(item)).collect());
    }
    if !field.merges {
        return Ok(change);
    }
    let maps = |items: &[Value]| items.iter().any(|item| item.as_map().is_some());
    if !maps(&live) && !maps(&change) {
        return Ok(merge_scalars(live, &change));
    }
    let Some(merge_key) = field.merge_key.as_deref() else {
        return Err(malformed("cannot merge lists without merge key"));
    };
    let (mut original, changes) = take_directives(live, change, merge_key)?;
    let live_order = original.clone();
    for item in &changes {
        let Some(changed) = item.as_map() else {
            return Err(malformed("expected a map in a list that merges"));
        };
        let Some(key) = changed.get(merge_key) else { return Err(no_merge_key(item, merge_key)) };
        match original.iter().position(|candidate| candidate.get(merge_key) == Some(key)) {
            Some(position) => {
                let found = original[position].as_map().cloned().unwrap_or_default();
                original[position] = Value::Map(merge_map(found, changed.clone(), &field.below)?);
            }
            None => original.push(item.clone()),
        }
    }
    let (listed, server_only) = partition(original, &changes, Some(merge_key));
    Ok(normalize_order(listed, server_only, &changes, &live_order, Some(merge_key)))
}

fn no_merge_key(item: &Value, merge_key: &str) -> PatchError {
    PatchError::Malformed(format!("map: {} does not contain declared merge key: {merge_key}", item.to_json()))
}

fn merge_scalars(live: Vec<Value>, change: &[Value]) -> Vec<Value> {
    let mut merged: Vec<Value> = Vec::new();
    for item in live.iter().chain(change) {
        if !merged.contains(item) {
            merged.push(item.clone());
        }
    }
    let (listed, server_only) = partition(merged, change, None);
    normalize_order(listed, server_only, change, &live, None)
}

/// Carries out `$patch: delete` and `$patch: replace` items; gives the live list and the changes that remain.
fn take_directives(
    mut live: Vec<Value>,
    change: Vec<Value>,
    merge_key: &str,
) -> Result<(Vec<Value>, Vec<Value>), PatchError> {
    let mut rest = Vec::new();
    let mut replaces = false;
    for item in change {
        let Some(directive) = item.get(DIRECTIVE) else {
            rest.push(item);
            continue;
        };
        match directive.as_str() {
            Some("delete") => {
                let key = item.get(merge_key).ok_or_else(|| no_merge_key(&item, merge_key))?;
                live.retain(|candidate| candidate.get(merge_key) != Some(key));
            }
            Some("replace") => replaces = true,
            Some("merge") => return Err(malformed("merging lists cannot yet be specified in the patch")),
            Some(_) | None => {
                let map = item.as_map().cloned().unwrap_or_default();
                return Err(bad_directive(directive, &map));
            }
        }
    }
    if replaces { Ok((rest, Vec::new())) } else { Ok((live, rest)) }
}

/// The value without maps that carry a directive; `None` where it is one itself.
fn without_directives(value: Value) -> Option<Value> {
    match value {
        Value::Map(map) if map.contains(DIRECTIVE) => None,
        Value::Map(map) => Some(Value::Map(
            map.into_iter().filter_map(|(key, value)| Some((key, without_directives(value)?))).collect(),
        )),
        Value::List(items) => Some(Value::List(items.into_iter().filter_map(without_directives).collect())),
        scalar @ (Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_)) => {
            Some(scalar)
        }
    }
}

fn discard_nulls(value: &mut Value) {
    match value {
        Value::Map(map) => map.retain(|_, item| {
            discard_nulls(item);
            !item.is_null()
        }),
        Value::List(items) => items.iter_mut().for_each(discard_nulls),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
    }
}

#[cfg(test)]
#[path = "strategic_tests.rs"]
mod tests;
