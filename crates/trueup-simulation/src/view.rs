//! The cluster as it is, without asking anybody: what the API server has stored, followed change by change.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use trueup_object::{ResourceKey, Value};
use trueup_sandbox::internals::Api;
use trueup_sandbox::internals::{Change, ChangeKind, WatchCursor};

use crate::oracle::Live;
use crate::templates::Template;

/// Changes are kept for as long as a request that made them may still be under way.
const RECENT_MAX: usize = 2_000;

/// One change of one object.
#[derive(Debug, Clone)]
pub struct Seen {
    pub revision: u64,
    pub key: ResourceKey,
    pub before: Option<Arc<Value>>,
    pub after: Option<Arc<Value>>,
}

/// What the API server has stored.
#[derive(Debug)]
pub struct View {
    api: Api,
    cursor: WatchCursor,
    /// The objects that stories are about.
    pub live: Live,
    /// Counts their changes.
    pub live_changes: u64,
    pub applications: BTreeMap<String, Arc<Value>>,
    /// Changes that nobody has claimed, oldest first.
    recent: VecDeque<Seen>,
    pub revision: u64,
}

impl View {
    pub fn new(api: &Api) -> Self {
        let cursor = api.store().watch(0);
        let mut view = Self {
            api: api.clone(),
            cursor,
            live: Live::new(),
            live_changes: 0,
            applications: BTreeMap::new(),
            recent: VecDeque::new(),
            revision: 0,
        };
        view.rebuild();
        view
    }

    fn rebuild(&mut self) {
        let (all, revision) = self.api.store().snapshot();
        self.cursor = self.api.store().watch(revision);
        self.revision = revision;
        self.live.clear();
        self.live_changes += 1;
        self.applications.clear();
        for (_, _, object) in all {
            if let Some(key) = ResourceKey::of(&object) {
                self.put(&key, Some(object));
            }
        }
    }

    fn put(&mut self, key: &ResourceKey, object: Option<Arc<Value>>) {
        let (map_of_applications, is_of_story) =
            (key.kind == "Application", Template::of(&key.kind).is_some());
        if map_of_applications {
            match object {
                Some(object) => drop(self.applications.insert(key.name.to_string(), object)),
                None => drop(self.applications.remove(key.name.as_str())),
            }
        } else if is_of_story && !key.name.contains(':') {
            self.live_changes += 1;
            match object {
                Some(object) => drop(self.live.insert(key.clone(), object)),
                None => drop(self.live.remove(key)),
            }
        }
    }

    /// Reads what has changed since it was last looked.
    pub fn refresh(&mut self) {
        loop {
            let changes = match self.cursor.take(|_| true) {
                Ok(changes) if changes.is_empty() => break,
                Ok(changes) => changes,
                Err(_) => return self.rebuild(),
            };
            for Change { revision, kind, object, previous, .. } in changes {
                self.revision = revision;
                let Some(key) = ResourceKey::of(&object) else { continue };
                let after = (kind != ChangeKind::Deleted).then_some(object);
                self.put(&key, after.clone());
                self.recent.push_back(Seen { revision, key, before: previous, after });
            }
            while self.recent.len() > RECENT_MAX {
                self.recent.pop_front();
            }
        }
    }

    /// Takes the changes of an object since a revision that nobody has taken before.
    pub fn claim(&mut self, since: u64, key: &ResourceKey) -> Vec<Seen> {
        self.refresh();
        let is_wanted = |seen: &Seen| seen.revision > since && seen.key == *key;
        let (claimed, left) = std::mem::take(&mut self.recent).into_iter().partition(is_wanted);
        self.recent = left;
        Vec::from_iter::<VecDeque<Seen>>(claimed)
    }

    /// Who holds the Lease of the controllers; nobody where there is none.
    pub fn holder(&self) -> String {
        use trueup_sandbox::internals::{Name, ResourceId};
        let (resource, name) =
            (ResourceId::new("coordination.k8s.io", "leases"), Name::new("argocd", trueup_controller::LEASE));
        let lease = self.api.store().get(&resource, &name);
        let holder = lease.as_ref().and_then(|lease| lease.str_at(&["spec", "holderIdentity"]));
        holder.unwrap_or_default().to_owned()
    }
}
