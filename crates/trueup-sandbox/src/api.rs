//! The API proper, without HTTP: reading, watching, changing and deleting objects, and what follows from that.
//!
//! The HTTP front and the built-in controllers both come through here, so that there is one way to change anything.

mod autoscaling;
mod change;
mod collect;
pub(crate) mod convert;
mod definitions;
mod delete;
mod first;
mod namespaces;
pub(crate) mod pods;
mod read;
mod reviews;
mod size;
mod watch;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use trueup_merge::SchemaSet;
use trueup_object::Value;
use trueup_object::value::Text;

use crate::admission::policy::Cache;
use crate::clock::Clock;
use crate::ids::IdSource;
use crate::registry::{Builtin, Registry, ServedResource};
use crate::state::{Name, Store};

pub use change::{Admitted, Change, Changed, Proposal};
pub use convert::{convert, shown_as};
pub use delete::{DeleteOptions, Deleted, Propagation};
pub use first::{create_first_objects, create_storage_class, register_metrics};
pub use namespaces::create_system_namespaces;
pub use read::{ListOptions, Listing, RevisionMatch};
pub use watch::{EventKind, WatchEvent, WatchOptions, WatchStream};

pub use collect::collect_garbage;

/// The API server's state and rules. Clones share everything.
#[derive(Debug, Clone)]
pub struct Api {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    registry: Registry,
    schemas: RwLock<Arc<SchemaSet>>,
    builtin_schemas: Arc<SchemaSet>,
    clock: Clock,
    ids: IdSource,
    requests: Mutex<VecDeque<WriteRecord>>,
    policies: Cache,
}

/// A resource and, where the request is about one, an object of it.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    pub served: &'a ServedResource,
    /// Empty for cluster-scoped resources and for lists of all namespaces.
    pub namespace: &'a str,
    pub name: Option<&'a str>,
    pub subresource: Option<&'a str>,
}

/// A request that changed something or tried to, as the request log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriteRecord {
    /// `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: Text,
    /// The path of its URL.
    pub path: String,
    /// Who made it.
    pub user: Text,
    /// As whom the client introduced itself.
    pub user_agent: String,
    /// The status code of the answer.
    pub code: u16,
    /// A dry run changes nothing.
    pub dry_run: bool,
}

/// How many requests the log keeps: enough for the longest story, little enough to forget about.
const N_RECORDS_MAX: usize = 100_000;

impl Api {
    pub fn new(
        builtin: Arc<Builtin>,
        schemas: Arc<SchemaSet>,
        clock: Clock,
        seed: u64,
        n_changes_max: usize,
    ) -> Self {
        let shared = Shared {
            store: Store::new(n_changes_max),
            registry: Registry::new(builtin),
            schemas: RwLock::new(schemas.clone()),
            builtin_schemas: schemas,
            clock,
            ids: IdSource::new(seed),
            requests: Mutex::new(VecDeque::new()),
            policies: Cache::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub fn store(&self) -> &Store {
        &self.shared.store
    }

    pub fn registry(&self) -> &Registry {
        &self.shared.registry
    }

    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    pub fn ids(&self) -> &IdSource {
        &self.shared.ids
    }

    /// The admission policies, compiled.
    pub(crate) fn policies(&self) -> &Cache {
        &self.shared.policies
    }

    /// The types of all kinds served now.
    pub fn schemas(&self) -> Arc<SchemaSet> {
        self.shared.schemas.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The requests that changed something or tried to, oldest first.
    pub fn write_records(&self) -> Vec<WriteRecord> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    pub(crate) fn record_write(&self, record: WriteRecord) {
        let mut records = self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == N_RECORDS_MAX {
            records.pop_front();
        }
        records.push_back(record);
    }

    /// The object that a target names, in the version asked for.
    fn stored(&self, served: &ServedResource, name: &Name) -> Option<Arc<Value>> {
        self.store().get(&served.storage(), name).map(|object| convert(&object, &served.kind))
    }
}

impl<'a> Target<'a> {
    /// All objects of a resource, in one namespace or (empty) in all.
    pub fn collection(served: &'a ServedResource, namespace: &'a str) -> Self {
        Self { served, namespace, name: None, subresource: None }
    }

    pub fn object(served: &'a ServedResource, namespace: &'a str, name: &'a str) -> Self {
        Self { served, namespace, name: Some(name), subresource: None }
    }

    /// The object's name within its resource.
    fn key(&self) -> Name {
        Name::new(self.namespace, self.name.unwrap_or_default())
    }
}
