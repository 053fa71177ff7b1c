//! Managed fields of an object as its `scale` subresource shows them, and back.
//!
//! The server updates the Scale object by the ordinary rules, with these entries, and carries the result over to the
//! object: a field that nobody owned leaves no trace, and a new owner's entry has no time.

use trueup_object::{FieldPath, FieldSet, ManagedEntry, ManagedFields, Text};

use crate::managers::{Identity, in_server_order};

const SCALE_VERSION: &str = "autoscaling/v1";

fn replicas_in_scale() -> FieldPath {
    FieldPath::fields(&["spec", "replicas"])
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
