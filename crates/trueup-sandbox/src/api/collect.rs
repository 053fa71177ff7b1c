//! Garbage collection: what an object's deletion means for its dependents.
//!
//! Follows the history of changes and keeps an index from owners to dependents, so that a deletion costs as much as it has
//! dependents.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::{Instant, sleep_until};
use trueup_object::value::{Map, Text};
use trueup_object::{Gvk, Value};

use super::change::body_of;
use super::definitions::clean_up_definitions;
use super::delete::{FOREGROUND, ORPHAN};
use super::namespaces::Terminating;
use super::read::name_of;
use super::{Api, Change, DeleteOptions, Propagation, Target};
use crate::state::{self, ChangeKind, Name, ResourceId, WatchCursor};
use crate::write::{FieldValidation, PatchKind, WriteVerb};

/// An object, by where it is stored.
type Place = (ResourceId, Name);

/// Follows all changes and deletes what nothing owns any more, what is in a namespace that goes, and the objects of
/// definitions that go. Runs until it is dropped.
pub async fn collect_garbage(api: Api) {
    let cursor = api.store().watch(0);
    let mut collector =
        Collector { cursor, api, dependents: BTreeMap::new(), terminating: Terminating::default() };
    collector.rebuild();
    loop {
        let due = collector.terminating.next_due();
        // What is due goes first: changes may come without a pause, and what is due does not.
        tokio::select! {
            biased;
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                collector.terminating.sweep(&collector.api);
            }
            () = collector.cursor.changed() => {}
        }
        match collector.cursor.take(|_| true) {
            Ok(changes) => changes.iter().for_each(|change| collector.follow(change)),
            Err(state::TooOld { .. }) => collector.rebuild(),
        }
        // Others get their turn between batches, however much there is to follow.
        tokio::task::yield_now().await;
    }
}

struct Collector {
    api: Api,
    cursor: WatchCursor,
    /// By the owner's uid.
    dependents: BTreeMap<Text, BTreeSet<Place>>,
    terminating: Terminating,
}

impl Collector {
    /// Reads everything anew.
    fn rebuild(&mut self) {
        let (all, revision) = self.api.store().snapshot();
        self.cursor = self.api.store().watch(revision);
        self.dependents.clear();
        for (resource, name, object) in &all {
            self.index(&(resource.clone(), name.clone()), None, Some(object));
        }
        for (resource, name, object) in &all {
            self.settle(&(resource.clone(), name.clone()), object);
        }
        self.terminating.sweep(&self.api);
        clean_up_definitions(&self.api);
    }

    fn follow(&mut self, change: &state::Change) {
        let place = (change.resource.clone(), change.name.clone());
        let object = &*change.object;
        let remains = (change.kind != ChangeKind::Deleted).then_some(object);
        self.index(&place, change.previous.as_deref(), remains);
        if remains.is_some() {
            self.settle(&place, object);
        } else {
            self.owner_gone(object);
        }
        let is_deleting = object.str_at(&["metadata", "deletionTimestamp"]).is_some();
        let ends_something = change.kind == ChangeKind::Deleted || is_deleting;
        if ends_something {
            self.terminating.sweep(&self.api);
            clean_up_definitions(&self.api);
        }
    }

    fn index(&mut self, place: &Place, before: Option<&Value>, after: Option<&Value>) {
        for uid in before.into_iter().flat_map(owner_uids) {
            if let Some(places) = self.dependents.get_mut(&uid) {
                places.remove(place);
                if places.is_empty() {
                    self.dependents.remove(&uid);
                }
            }
        }
        for uid in after.into_iter().flat_map(owner_uids) {
            self.dependents.entry(uid).or_default().insert(place.clone());
        }
    }

    /// What an object that exists asks for: deletion when its owners are gone, or the end of its own pending deletion.
    fn settle(&self, place: &Place, object: &Value) {
        let owners = object.list_at(&["metadata", "ownerReferences"]);
        let namespace = &place.1.namespace;
        if !owners.is_empty() && !owners.iter().any(|owner| self.exists(owner, namespace)) {
            self.delete(place, object, Propagation::Background);
        }
        if object.str_at(&["metadata", "deletionTimestamp"]).is_none() {
            return;
        }
        let finalizers = object.list_at(&["metadata", "finalizers"]);
        let has = |name: &str| finalizers.iter().any(|finalizer| finalizer.as_str() == Some(name));
        if has(ORPHAN) {
            self.orphan_dependents(object);
            self.remove_finalizer(place, object, ORPHAN);
        } else if has(FOREGROUND) && !self.delete_dependents(object) {
            self.remove_finalizer(place, object, FOREGROUND);
        }
    }

    /// After an object is gone: its dependents without another owner go, and an owner that waited for it may go.
    fn owner_gone(&self, object: &Value) {
        for (place, dependent) in self.dependents_of(object) {
            self.settle(&place, &dependent);
        }
        let namespace = name_of(object).namespace;
        for owner in object.list_at(&["metadata", "ownerReferences"]) {
            if let Some(place) = self.place_of(owner, &namespace)
                && let Some(owner) = self.api.store().get(&place.0, &place.1)
            {
                self.settle(&place, &owner);
            }
        }
    }

    /// Asks for the deletion of all dependents; true while one is left that blocks its owner's deletion.
    fn delete_dependents(&self, owner: &Value) -> bool {
        let uid = owner.str_at(&["metadata", "uid"]).unwrap_or_default();
        let mut blocked = false;
        for (place, dependent) in self.dependents_of(owner) {
            let blocks = dependent.list_at(&["metadata", "ownerReferences"]).iter().any(|reference| {
                reference.str_at(&["uid"]) == Some(uid)
                    && reference.get("blockOwnerDeletion").and_then(Value::as_bool) == Some(true)
            });
            if dependent.str_at(&["metadata", "deletionTimestamp"]).is_none() {
                self.delete(&place, &dependent, Propagation::Foreground);
            }
            blocked |= blocks && self.api.store().get(&place.0, &place.1).is_some();
        }
        blocked
    }

    fn orphan_dependents(&self, owner: &Value) {
        let uid = owner.str_at(&["metadata", "uid"]).unwrap_or_default();
        for (place, dependent) in self.dependents_of(owner) {
            let references = dependent.list_at(&["metadata", "ownerReferences"]).iter();
            let rest: Vec<Value> =
                references.filter(|reference| reference.str_at(&["uid"]) != Some(uid)).cloned().collect();
            self.patch_metadata(&place, &dependent, "ownerReferences", rest);
        }
    }

    fn dependents_of(&self, owner: &Value) -> Vec<(Place, std::sync::Arc<Value>)> {
        let uid = owner.str_at(&["metadata", "uid"]).unwrap_or_default();
        let places = self.dependents.get(uid).into_iter().flatten();
        places
            .filter_map(|place| {
                self.api.store().get(&place.0, &place.1).map(|dependent| (place.clone(), dependent))
            })
            .collect()
    }

    fn place_of(&self, reference: &Value, namespace: &str) -> Option<Place> {
        let gvk = Gvk::from_api_version(reference.str_at(&["apiVersion"])?, reference.str_at(&["kind"])?);
        let kinds = self.api.registry().kinds();
        let served = kinds.preferred_kind(&gvk.group, &gvk.kind)?;
        let namespace = if served.kind.is_namespaced() { namespace } else { "" };
        Some((served.storage(), Name::new(namespace, reference.str_at(&["name"])?)))
    }

    fn exists(&self, reference: &Value, namespace: &str) -> bool {
        // An owner of a kind that is not served is not known to be gone.
        let Some(place) = self.place_of(reference, namespace) else { return true };
        let owner = self.api.store().get(&place.0, &place.1);
        owner.is_some_and(|owner| owner.str_at(&["metadata", "uid"]) == reference.str_at(&["uid"]))
    }

    fn delete(&self, place: &Place, object: &Value, propagation: Propagation) {
        let kinds = self.api.registry().kinds();
        let Some(served) = kinds.preferred(&place.0) else { return };
        if object.str_at(&["metadata", "deletionTimestamp"]).is_some() {
            return;
        }
        let options = DeleteOptions {
            propagation: Some(propagation),
            uid: object.str_at(&["metadata", "uid"]).map(Text::from),
            ..DeleteOptions::default()
        };
        // An object that is gone or another one by now needs nothing.
        let _ = self.api.delete(Target::object(served, &place.1.namespace, &place.1.name), &options);
    }

    fn remove_finalizer(&self, place: &Place, object: &Value, finalizer: &str) {
        let finalizers = object.list_at(&["metadata", "finalizers"]).iter();
        let rest: Vec<Value> = finalizers.filter(|item| item.as_str() != Some(finalizer)).cloned().collect();
        self.patch_metadata(place, object, "finalizers", rest);
    }

    /// Sets a list in an object's metadata, if the object is still as it was read.
    fn patch_metadata(&self, place: &Place, object: &Value, key: &str, list: Vec<Value>) {
        let kinds = self.api.registry().kinds();
        let Some(served) = kinds.preferred(&place.0) else { return };
        let text = |key: &str| Value::from(object.str_at(&["metadata", key]).unwrap_or_default());
        let metadata = Map::from_iter([
            (key, Value::List(list)),
            ("resourceVersion", text("resourceVersion")),
            ("uid", text("uid")),
        ]);
        let body = body_of(&Value::Map(Map::from_iter([("metadata", Value::Map(metadata))])));
        let change = Change {
            target: Target::object(served, &place.1.namespace, &place.1.name),
            verb: WriteVerb::Patch(PatchKind::Merge),
            body: &body,
            content_type: "application/merge-patch+json",
            field_manager: Some("kube-controller-manager"),
            user_agent: "kube-controller-manager",
            force: false,
            field_validation: Some(FieldValidation::Ignore),
            dry_run: false,
            user: None,
        };
        // An object that changed meanwhile is met again at that change.
        let _ = self.api.change(&change);
    }
}

fn owner_uids(object: &Value) -> impl Iterator<Item = Text> {
    object
        .list_at(&["metadata", "ownerReferences"])
        .iter()
        .filter_map(|reference| reference.str_at(&["uid"]))
        .map(Text::from)
}
