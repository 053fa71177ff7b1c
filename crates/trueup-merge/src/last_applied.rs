//! The annotation of client-side apply, which the server honours for the manager `kubectl` alone.

use trueup_object::{Map, Value};

use crate::compare::compare;
use crate::managers::{Conflict, Writer};
use crate::ownership::all_fields;
use crate::schema::TypeRef;

pub(crate) const KUBECTL: &str = "kubectl";
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
const PATH: [&str; 3] = ["metadata", "annotations", ANNOTATION];
/// All annotations of an object together, keys and values.
const ANNOTATIONS_BYTES_MAX: usize = 256 * 1024;

/// The conflicts that stay: a field that client-side apply set and that still has its value is kubectl's already.
pub(crate) fn open_conflicts(
    live: &Value,
    conflicts: Vec<Conflict>,
    writer: &Writer,
    ty: TypeRef<'_>,
) -> Vec<Conflict> {
    let Some(last) = live.str_at(&PATH).and_then(|text| Value::from_json(text.as_bytes()).ok()) else {
        return conflicts;
    };
    if last.str_at(&["apiVersion"]) != Some(writer.api_version.as_str()) {
        return conflicts;
    }
    let changes = compare(&last, live, ty);
    let unchanged = all_fields(&last, ty)
        .difference(&changes.modified)
        .difference(&changes.added)
        .difference(&changes.removed);
    conflicts.into_iter().filter(|conflict| !unchanged.contains(conflict.path.elements())).collect()
}

/// Brings the annotation up to date where the object has it, so that going back to client-side apply works.
pub(crate) fn refresh(mut object: Value, applied: &Value, writer: &Writer) -> Value {
    if writer.manager.as_str() != KUBECTL || object.str_at(&PATH).is_none_or(str::is_empty) {
        return object;
    }
    let mut configuration = applied.clone();
    configuration.remove_at(&PATH);
    object.set_at(&PATH, Value::from(format!("{}\n", configuration.to_json())));
    let bytes: usize = object
        .at(&["metadata", "annotations"])
        .and_then(Value::as_map)
        .into_iter()
        .flat_map(Map::iter)
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum();
    if bytes > ANNOTATIONS_BYTES_MAX {
        object.remove_at(&PATH);
    }
    object
}
