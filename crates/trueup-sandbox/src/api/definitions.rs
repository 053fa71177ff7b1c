//! CustomResourceDefinitions: served as soon as they are written, with the conditions that say so; deleted with their objects.

use std::sync::{Arc, PoisonError};

use trueup_object::Value;
use trueup_object::value::Map;

use super::delete::DEFINITION_CLEANUP;
use super::first::register_definitions;
use super::{Api, DeleteOptions, Propagation, Target};
use crate::clock::wire_time;
use crate::state::{Commit, Name, ResourceId, revision_of};
use crate::write::WriteVerb;

fn definitions() -> ResourceId {
    ResourceId::new("apiextensions.k8s.io", "customresourcedefinitions")
}

impl Api {
    /// Serves the kinds of all definitions as they are now.
    pub(super) fn refresh_definitions(&self) {
        let (all, _) = self.store().list(&definitions(), "");
        self.registry().set_definitions(&all);
        let mut schemas = trueup_merge::SchemaSet::clone(&self.shared.builtin_schemas);
        for definition in &all {
            schemas.add_crd(definition);
        }
        *self.shared.schemas.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(schemas);
        register_definitions(self);
    }

    /// After a definition was written: serves it and says so in its status.
    pub(super) fn definition_written(&self, name: &Name) {
        self.refresh_definitions();
        let Some(live) = self.store().get(&definitions(), name) else { return };
        let Some(settled) = settled(&live, &wire_time(self.clock().now())) else { return };
        let kinds = self.registry().kinds();
        let Some(served) = kinds.resource("apiextensions.k8s.io", "v1", "customresourcedefinitions") else {
            return;
        };
        let target = Target { subresource: Some("status"), ..Target::object(served, "", &name.name) };
        // Somebody who changed the definition meanwhile comes through here as well.
        let _ = self.change_as_server(target, WriteVerb::Update, &settled);
    }
}

/// The definition with the status of one that is served; none where it says so already.
fn settled(live: &Value, now: &str) -> Option<Value> {
    let names = live.at(&["spec", "names"]).cloned().unwrap_or_default();
    let conditions = live.list_at(&["status", "conditions"]);
    let is_true = |kind: &str| {
        conditions.iter().any(|condition| {
            condition.str_at(&["type"]) == Some(kind) && condition.str_at(&["status"]) == Some("True")
        })
    };
    let accepted = live.at(&["status", "acceptedNames"]) == Some(&names);
    if accepted && is_true("NamesAccepted") && is_true("Established") {
        return None;
    }
    let mut settled = live.clone();
    settled.set_at(&["status", "acceptedNames"], names);
    let mut conditions = conditions.to_vec();
    for (kind, reason, message) in [
        ("NamesAccepted", "NoConflicts", "no conflicts found"),
        ("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ] {
        if !is_true(kind) {
            conditions.retain(|condition| condition.str_at(&["type"]) != Some(kind));
            conditions.push(Value::Map(Map::from_iter([
                ("lastTransitionTime", Value::from(now)),
                ("message", Value::from(message)),
                ("reason", Value::from(reason)),
                ("status", Value::from("True")),
                ("type", Value::from(kind)),
            ])));
        }
    }
    settled.set_at(&["status", "conditions"], Value::List(conditions));
    Some(settled)
}

/// Deletes the objects of definitions that are being deleted, and the definitions once none is left.
pub(super) fn clean_up_definitions(api: &Api) {
    let (all, _) = api.store().list(&definitions(), "");
    for definition in all.iter().filter(|object| object.str_at(&["metadata", "deletionTimestamp"]).is_some())
    {
        let Some(name) = definition.str_at(&["metadata", "name"]) else { continue };
        if delete_instances(api, definition) {
            release(api, definition, &Name::new("", name));
        }
    }
}

/// Asks for the deletion of all objects of a definition; true when none is left.
fn delete_instances(api: &Api, definition: &Value) -> bool {
    let group = definition.str_at(&["spec", "group"]).unwrap_or_default();
    let plural = definition.str_at(&["spec", "names", "plural"]).unwrap_or_default();
    let id = ResourceId::new(group, plural);
    let kinds = api.registry().kinds();
    let Some(served) = kinds.preferred(&id) else { return true };
    let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    let (objects, _) = api.store().list(&id, "");
    for object in objects.iter().filter(|object| object.str_at(&["metadata", "deletionTimestamp"]).is_none())
    {
        let namespace = object.str_at(&["metadata", "namespace"]).unwrap_or_default();
        let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
        // An object that somebody else deletes at this moment is gone as well.
        let _ = api.delete(Target::object(served, namespace, name), &options);
    }
    api.store().list(&id, "").0.is_empty()
}

/// Takes the clean-up finalizer away, and the definition with the last finalizer.
fn release(api: &Api, definition: &Value, name: &Name) {
    let mut released = definition.clone();
    let mut finalizers = released.list_at(&["metadata", "finalizers"]).to_vec();
    finalizers.retain(|finalizer| finalizer.as_str() != Some(DEFINITION_CLEANUP));
    let revision = revision_of(definition);
    let commit = if finalizers.is_empty() {
        Commit::Delete { revision }
    } else {
        released.set_at(&["metadata", "finalizers"], Value::List(finalizers));
        Commit::Replace { revision, object: released }
    };
    // A definition that changed meanwhile is met again at that change.
    if api.store().commit(&definitions(), name, commit).is_ok() {
        api.refresh_definitions();
    }
}
