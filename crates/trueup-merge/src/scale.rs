//! Managed fields of an object as its `scale` subresource shows them, and back.
//!
//! The server updates the Scale object by the ordinary rules, with these entries, and carries the result over to the
//! object: a field that nobody owned leaves no trace, and a new owner's entry has no time.

use trueup_object::{FieldPath, FieldSet, Gvk, ManagedEntry, ManagedFields, PathElement, Text, Value};

use crate::managers::{Identity, Writer, in_server_order};
use crate::schema::{SchemaSet, TypeRef};
use crate::update::update;

const SCALE_VERSION: &str = "autoscaling/v1";

fn replicas_in_scale() -> FieldPath {
    FieldPath::fields(&["spec", "replicas"])
}

/// The object after an update or patch of its `scale` subresource set its replicas: with the replicas and the managed
/// fields that the server would store.
///
/// `replicas_path` is where the object has its replicas (`.spec.replicas` for all built-in kinds; plain fields only).
/// `writer.api_version` is the object's.
pub fn scaled(live: &Value, replicas: i64, replicas_path: &FieldPath, writer: &Writer) -> Value {
    let now = crate::select::get(live, replicas_path).and_then(Value::as_int).unwrap_or_default();
    let parent = ManagedFields::of(live);
    let mut before = scale_object(now);
    before.set_at(&["metadata", "managedFields"], scale_entries(&parent, replicas_path).to_value());
    let scale_writer =
        Writer { api_version: Text::from(SCALE_VERSION), subresource: Text::from("scale"), ..writer.clone() };
    let ty = SchemaSet::builtin()
        .lookup(&Gvk::from_api_version(SCALE_VERSION, "Scale"))
        .unwrap_or_else(TypeRef::untyped);
    let after = update(Some(&before), &scale_object(replicas), &scale_writer, ty);
    let fields = with_scale_entries(&parent, &ManagedFields::of(&after), replicas_path, &writer.api_version);
    let mut object = live.clone();
    let names: Vec<&str> = replicas_path
        .elements()
        .iter()
        .filter_map(|element| if let PathElement::Field(name) = element { Some(name.as_str()) } else { None })
        .collect();
    object.set_at(&names, Value::Int(replicas));
    object.remove_at(&["metadata", "managedFields"]);
    if !fields.entries.is_empty() {
        object.set_at(&["metadata", "managedFields"], fields.to_value());
    }
    object
}

/// A Scale as the server's Go type prints it: no replicas is how it says 0, so scaling to 0 is a removal and leaves the
/// field without an owner.
fn scale_object(replicas: i64) -> Value {
    let mut scale = Value::default();
    scale.set_at(&["metadata", "uid"], Value::from("scale"));
    if replicas != 0 {
        scale.set_at(&["spec", "replicas"], Value::Int(replicas));
    }
    scale
}

/// The entries of a Scale object: the owners of the object's replicas.
///
/// `replicas` is the path of the replicas in the object (`.spec.replicas` for all built-in kinds).
pub fn scale_entries(parent: &ManagedFields, replicas: &FieldPath) -> ManagedFields {
    let owners = parent.entries.iter().filter(|entry| entry.fields.contains(replicas.elements()));
    let entries = owners
        .map(|entry| ManagedEntry {
            api_version: Text::from(SCALE_VERSION),
            fields: [replicas_in_scale()].into_iter().collect(),
            ..entry.clone()
        })
        .collect();
    ManagedFields { entries }
}

/// The object's entries after a write to its Scale left these `scale` entries. `api_version` is the object's.
///
/// An updater's identity holds its version, so an updater that kept its replicas is not recognised: its entry is split.
/// That is what the server does.
pub fn with_scale_entries(
    parent: &ManagedFields,
    scale: &ManagedFields,
    replicas: &FieldPath,
    api_version: &str,
) -> ManagedFields {
    let replicas_only: FieldSet = [replicas.clone()].into_iter().collect();
    let mut newcomers: Vec<&ManagedEntry> = scale.entries.iter().collect();
    let mut entries = Vec::new();
    for entry in &parent.entries {
        let known = newcomers.iter().position(|other| Identity::of(other) == Identity::of(entry));
        match known {
            _ if !entry.fields.contains(replicas.elements()) => entries.push(entry.clone()),
            Some(index) => {
                newcomers.remove(index);
                entries.push(entry.clone());
            }
            None => {
                let fields = entry.fields.difference(&replicas_only);
                if !fields.is_empty() {
                    entries.push(ManagedEntry { fields, ..entry.clone() });
                }
            }
        }
    }
    let owns_replicas = |entry: &&ManagedEntry| entry.fields.contains(replicas_in_scale().elements());
    entries.extend(newcomers.into_iter().filter(owns_replicas).map(|entry| ManagedEntry {
        api_version: Text::from(api_version),
        time: None,
        fields: replicas_only.clone(),
        ..entry.clone()
    }));
    in_server_order(&mut entries);
    ManagedFields { entries }
}
