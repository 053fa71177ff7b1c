//! Objects by resource and name, with optimistic commits and cursors for watching.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trueup_latest as latest;
use trueup_object::Value;
use trueup_object::value::Text;

use super::log::{Change, ChangeKind, ChangeLog};

/// A resource as stored: one for all versions of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// Empty for the core group.
    pub group: Text,
    pub plural: Text,
}

/// An object's name within its resource. Ordered as listings are: by namespace, then name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// Empty for cluster-scoped objects.
    pub namespace: Text,
    pub name: Text,
}

/// A change to be made, with what must still be true.
#[derive(Debug)]
pub enum Commit {
    /// The object must not exist.
    Create { object: Value },
    /// The object must be at this revision.
    Replace { revision: u64, object: Value },
    /// The object must be at this revision.
    Delete { revision: u64 },
}

/// Why a commit was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    #[error("the object exists")]
    Exists,
    #[error("the object does not exist")]
    Missing,
    #[error("the object is at another revision")]
    Changed,
}

/// The history asked for is no longer kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too old resource version: {requested} ({oldest})")]
pub struct TooOld {
    pub requested: u64,
    pub oldest: u64,
}

/// All objects of the cluster. Clones share the state.
///
/// The lock is held for map operations only, never while objects are computed, written out or awaited.
#[derive(Debug, Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    /// The newest revision, for those who wait for changes.
    revision: latest::Sender<u64>,
}

#[derive(Debug)]
struct State {
    revision: u64,
    objects: BTreeMap<ResourceId, BTreeMap<Name, Arc<Value>>>,
    log: ChangeLog,
}

/// Reads changes in order, from a revision on.
#[derive(Debug)]
pub struct WatchCursor {
    store: Store,
    position: u64,
    revision: latest::Receiver<u64>,
}

impl ResourceId {
    pub fn new(group: &str, plural: &str) -> Self {
        Self { group: Text::from(group), plural: Text::from(plural) }
    }
}

impl Name {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: Text::from(namespace), name: Text::from(name) }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            out.write_str(&self.name)
        } else {
            write!(out, "{}/{}", self.namespace, self.name)
        }
    }
}

impl Store {
    /// An empty store that remembers this many changes.
    pub fn new(n_changes_max: usize) -> Self {
        let state =
            State { revision: 1, objects: BTreeMap::new(), log: ChangeLog::new(n_changes_max.max(1), 1) };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), revision: latest::Sender::new(1) }) }
    }

    /// A poisoned lock is used on: every operation leaves the state whole before anything can panic.
    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The newest revision.
    pub fn revision(&self) -> u64 {
        self.state().revision
    }

    /// The oldest revision from which changes can still be read.
    pub fn oldest_revision(&self) -> u64 {
        self.state().log.compacted()
    }

    /// Forgets the history of changes, as a compaction of etcd does.
    pub fn compact(&self) {
        let mut state = self.state();
        let revision = state.revision;
        state.log.compact(revision);
    }

    pub fn get(&self, resource: &ResourceId, name: &Name) -> Option<Arc<Value>> {
        self.state().objects.get(resource)?.get(name).cloned()
    }

    /// The objects of a resource, in one namespace or (empty) in all, and the revision at which that was so.
    pub fn list(&self, resource: &ResourceId, namespace: &str) -> (Vec<Arc<Value>>, u64) {
        let state = self.state();
        let objects = state.objects.get(resource).map(|objects| in_namespace(objects, namespace));
        (objects.unwrap_or_default(), state.revision)
    }

    /// The objects of a resource as they were at an earlier revision.
    pub fn list_at(
        &self,
        resource: &ResourceId,
        namespace: &str,
        revision: u64,
    ) -> Result<Vec<Arc<Value>>, TooOld> {
        let state = self.state();
        let mut objects = state.objects.get(resource).cloned().unwrap_or_default();
        for change in state.log.after(revision)?.rev().filter(|change| change.resource == *resource) {
            match &change.previous {
                Some(previous) => objects.insert(change.name.clone(), previous.clone()),
                None => objects.remove(&change.name),
            };
        }
        Ok(in_namespace(&objects, namespace))
    }

    /// Every object, by where it is stored, and the revision at which that was so.
    pub fn snapshot(&self) -> (Vec<(ResourceId, Name, Arc<Value>)>, u64) {
        let state = self.state();
        let all = state.objects.iter().flat_map(|(resource, objects)| {
            objects.iter().map(|(name, object)| (resource.clone(), name.clone(), object.clone()))
        });
        (all.collect(), state.revision)
    }

    /// The resources that have objects in a namespace.
    pub fn resources_in(&self, namespace: &str) -> Vec<ResourceId> {
        let state = self.state();
        let occupied = state.objects.iter().filter(|(_, objects)| {
            objects
                .range(Name::new(namespace, "")..)
                .next()
                .is_some_and(|(name, _)| name.namespace == namespace)
        });
        occupied.map(|(resource, _)| resource.clone()).collect()
    }

    /// Makes a change; the object gets the new revision as its resourceVersion. Returns the object after the change (of
    /// a deletion: its last state).
    pub fn commit(
        &self,
        resource: &ResourceId,
        name: &Name,
        commit: Commit,
    ) -> Result<Arc<Value>, CommitError> {
        let mut state = self.state();
        let current = state.objects.get(resource).and_then(|objects| objects.get(name)).cloned();
        let (kind, mut object) = match (commit, &current) {
            (Commit::Create { .. }, Some(_)) => return Err(CommitError::Exists),
            (Commit::Create { object }, None) => (ChangeKind::Added, object),
            (Commit::Replace { .. } | Commit::Delete { .. }, None) => return Err(CommitError::Missing),
            (Commit::Replace { revision, object }, Some(current)) => {
                if revision_of(current) != revision {
                    return Err(CommitError::Changed);
                }
                (ChangeKind::Modified, object)
            }
            (Commit::Delete { revision }, Some(current)) => {
                if revision_of(current) != revision {
                    return Err(CommitError::Changed);
                }
                (ChangeKind::Deleted, Value::clone(current))
            }
        };
        let revision = state.revision + 1;
        object.set_at(&["metadata", "resourceVersion"], revision.to_string().into());
        let object = Arc::new(object);
        let objects = state.objects.entry(resource.clone()).or_default();
        if kind == ChangeKind::Deleted {
            objects.remove(name);
        } else {
            objects.insert(name.clone(), object.clone());
        }
        state.revision = revision;
        state.log.push(Change {
            revision,
            kind,
            resource: resource.clone(),
            name: name.clone(),
            object: object.clone(),
            previous: current,
        });
        // Under the lock, so that waiters see revisions in order; this only wakes them.
        self.shared.revision.send_replace(revision);
        Ok(object)
    }

    /// Reads the changes after a revision, now and as they come.
    pub fn watch(&self, after: u64) -> WatchCursor {
        WatchCursor { store: self.clone(), position: after, revision: self.shared.revision.subscribe() }
    }
}

impl WatchCursor {
    /// The most changes handed out at once, so that the lock is held briefly.
    const N_CHANGES_MAX: usize = 256;

    /// Up to which revision changes were read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// The next changes that pass the filter, perhaps none; never waits.
    pub fn take(&mut self, wanted: impl Fn(&Change) -> bool) -> Result<Vec<Change>, TooOld> {
        let state = self.store.state();
        let mut taken = Vec::new();
        let mut position = self.position;
        for change in state.log.after(self.position)? {
            position = change.revision;
            if wanted(change) {
                taken.push(change.clone());
                if taken.len() == Self::N_CHANGES_MAX {
                    break;
                }
            }
        }
        drop(state);
        self.position = position;
        Ok(taken)
    }

    /// Waits until there are changes that were not read. Returns at once where there are.
    pub async fn changed(&mut self) {
        let position = self.position;
        // The sender lives in the store that this cursor holds, so waiting cannot fail.
        let _ = self.revision.wait_for(|revision| *revision > position).await;
    }

    /// Waits for the next changes that pass the filter.
    pub async fn next(&mut self, wanted: impl Fn(&Change) -> bool) -> Result<Vec<Change>, TooOld> {
        loop {
            self.changed().await;
            let changes = self.take(&wanted)?;
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }
}

/// The revision that an object carries; 0 where it carries none.
pub fn revision_of(object: &Value) -> u64 {
    object.str_at(&["metadata", "resourceVersion"]).and_then(|text| text.parse().ok()).unwrap_or_default()
}

fn in_namespace(objects: &BTreeMap<Name, Arc<Value>>, namespace: &str) -> Vec<Arc<Value>> {
    if namespace.is_empty() {
        return objects.values().cloned().collect();
    }
    objects
        .range(Name::new(namespace, "")..)
        .take_while(|(name, _)| name.namespace == namespace)
        .map(|(_, object)| object.clone())
        .collect()
}
