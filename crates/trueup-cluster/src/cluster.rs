//! One cluster: what it serves, what was observed in it, what changed.

mod namespaces;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use trueup_engine::live::Live;
use trueup_latest as latest;
use trueup_merge::SchemaSet;
use trueup_object::{GroupKind, Gvk, ResourceKey, Text};

use crate::change::{Change, Changes};
use crate::connect::Connection;
use crate::discover::{Discovery, Lookup, discover};
use crate::observed::{Interests, Observed, UnreadableObject};
use crate::openapi::SchemaCache;
use crate::recent::Recent;
use crate::store::{Content, KindState, KindStore, ObjectName};
use crate::watch::{Clock, SharedStore, WatchContext, complete, watch_kind};
use crate::wire::WireError;

/// A watched cluster. Dropping it ends its tasks.
pub struct Cluster {
    connection: Connection,
    context: Arc<WatchContext>,
    discovery: latest::Receiver<Option<Arc<Discovery>>>,
    discovery_failure: latest::Receiver<Option<WireError>>,
    kinds: Mutex<BTreeMap<Gvk, WatchedKind>>,
    described: Arc<Described>,
    schemas: latest::Receiver<Option<Arc<SchemaSet>>>,
    tasks: Mutex<JoinSet<()>>,
    /// The objects that were looked at last, parsed.
    parsed: Recent<Observed, Live>,
}

/// The kinds whose schemas are wanted.
#[derive(Default)]
struct Described {
    kinds: Mutex<BTreeSet<Gvk>>,
    /// Those whose schemas were looked for, found or not.
    looked_for: Mutex<BTreeSet<Gvk>>,
    /// Asks for a look at the schemas.
    look: Notify,
}

struct WatchedKind {
    whole: Watched,
    /// Namespaces that are listed each for itself, since the whole may not be.
    namespaces: BTreeMap<Text, Watched>,
}

struct Watched {
    store: SharedStore,
    task: AbortHandle,
}

/// Reads of single objects at once.
const READS_MAX: usize = 16;
/// So many parsed objects are kept for the next look, and at most as many again: a few megabytes.
const PARSED_MAX: usize = 64;
/// The packed bytes of an object that is kept parsed.
const PARSED_BYTES_MAX: usize = 16 * 1024;
/// Definitions of kinds are watched, so this only guards against an event that never came.
const DISCOVERY_INTERVAL: Duration = Duration::from_secs(300);
/// A group that does not answer, or a server that cannot be reached, is asked again soon.
const DISCOVERY_RETRY: Duration = Duration::from_secs(5);
/// The first retry of a server that cannot be reached.
const DISCOVERY_RETRY_FIRST: Duration = Duration::from_millis(250);
/// A new kind is served a moment after its definition is accepted.
const SETTLING: [Duration; 3] = [Duration::from_millis(200), Duration::from_secs(1), Duration::from_secs(3)];

impl Cluster {
    /// Starts looking at a cluster. Nothing fails here: what cannot be reached is a state of the kinds asked for.
    /// `interests` decides which objects are kept with content; it is asked again at every event of an object.
    pub fn start(connection: Connection, interests: Interests, clock: Clock) -> Self {
        let changes = Arc::new(Changes::default());
        let rediscover = Arc::new(Notify::new());
        let (discovery_sender, discovery) = latest::channel(None);
        let (failure_sender, discovery_failure) = latest::channel(None);
        let context = Arc::new(WatchContext::new(
            connection.wire.clone(),
            interests,
            clock,
            changes,
            discovery.clone(),
            rediscover,
        ));
        let described = Arc::new(Described::default());
        let (schemas_sender, schemas) = latest::channel(None);
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_discovery(context.clone(), described.clone(), discovery_sender, failure_sender));
        let cache = if connection.is_in_process { SchemaCache::staying() } else { SchemaCache::default() };
        tasks.spawn(keep_schemas(context.clone(), described.clone(), cache, schemas_sender));
        let cluster = Self {
            connection,
            context,
            discovery,
            discovery_failure,
            kinds: Mutex::new(BTreeMap::new()),
            described,
            schemas,
            tasks: Mutex::new(tasks),
            parsed: Recent::new(PARSED_MAX),
        };
        // Nobody compares these yet, so no schema of theirs is asked for.
        cluster.observe(&Gvk::new("apiextensions.k8s.io", "v1", "CustomResourceDefinition"));
        cluster.observe(&Gvk::new("apiregistration.k8s.io", "v1", "APIService"));
        cluster
    }

    pub fn connection(&self) -> &Connection {
        &self.connection
    }

    /// An object for the engine.
    pub(crate) fn live_of(&self, observed: &Arc<Observed>) -> Result<Live, UnreadableObject> {
        // What is large is parsed each time, so that little memory is held by many.
        if observed.packed_len() > PARSED_BYTES_MAX {
            return observed.live();
        }
        self.parsed.get(observed, || observed.live())
    }

    /// What changed; one reader.
    pub fn changes(&self) -> &Changes {
        &self.context.changes
    }

    /// What the cluster serves; nothing before it was first reached.
    pub fn discovery(&self) -> Option<Arc<Discovery>> {
        self.discovery.borrow().clone()
    }

    /// Why the last discovery failed, where it did.
    pub fn discovery_failure(&self) -> Option<WireError> {
        self.discovery_failure.borrow().clone()
    }

    /// Waits until the cluster was reached once, or says why it could not be within the time.
    pub async fn reached(&self, within: Duration) -> Result<Arc<Discovery>, WireError> {
        let mut discovery = self.discovery.clone();
        let reached = tokio::time::timeout(within, discovery.wait_for(Option::is_some)).await;
        match reached {
            Ok(Ok(found)) => match found.clone() {
                Some(found) => Ok(found),
                None => Err(self.not_reached(within)),
            },
            Ok(Err(_)) | Err(_) => Err(self.not_reached(within)),
        }
    }

    fn not_reached(&self, within: Duration) -> WireError {
        let message = format!("it did not answer within {} s", within.as_secs());
        self.discovery_failure().unwrap_or(WireError::Unreachable { message })
    }

    /// Asks for another look at what the cluster serves, for instance because a kind was not found.
    pub fn rediscover(&self) {
        self.context.rediscover.notify_one();
    }

    /// The cluster's own schemas of the kinds watched; nothing before they were first read.
    pub fn schemas(&self) -> Option<Arc<SchemaSet>> {
        self.schemas.borrow().clone()
    }

    /// Waits until the schemas were read once; nothing when that takes longer.
    pub async fn schemas_known(&self, within: Duration) -> Option<Arc<SchemaSet>> {
        let mut schemas = self.schemas.clone();
        let known = tokio::time::timeout(within, schemas.wait_for(Option::is_some)).await;
        known.ok()?.ok()?.clone()
    }

    /// Whether the schema of a kind is wanted and was not looked for yet.
    pub fn is_describing(&self, gvk: &Gvk) -> bool {
        self.described.kinds().contains(gvk) && !self.described.looked_for().contains(gvk)
    }

    /// Lists and watches a kind from now on, and reads its schema, if that is not done already. Must run within a tokio
    /// runtime.
    pub fn watch(&self, gvk: &Gvk) {
        self.observe(gvk);
        if self.described.kinds().insert(gvk.clone()) {
            self.described.look.notify_one();
        }
    }

    fn observe(&self, gvk: &Gvk) {
        let mut kinds = self.kinds();
        if kinds.contains_key(gvk) {
            return;
        }
        let whole = self.begin(gvk, Text::default());
        kinds.insert(gvk.clone(), WatchedKind { whole, namespaces: BTreeMap::new() });
    }

    fn begin(&self, gvk: &Gvk, namespace: Text) -> Watched {
        let store = Arc::new(Mutex::new(KindStore::new(gvk.clone())));
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        // Kinds come and go: what has ended is taken out, so the set holds what runs.
        while tasks.try_join_next().is_some() {}
        let task = tasks.spawn(watch_kind(self.context.clone(), store.clone(), namespace));
        Watched { store, task }
    }

    /// Stops watching a kind and forgets what was known of it.
    pub fn unwatch(&self, gvk: &Gvk) {
        self.described.kinds().remove(gvk);
        if let Some(WatchedKind { whole, namespaces }) = self.kinds().remove(gvk) {
            std::iter::once(whole).chain(namespaces.into_values()).for_each(|watched| watched.task.abort());
        }
    }

    /// Lists anew the kinds that a caller watches and chooses, for other interests than before: of each it is as if it had
    /// just been asked for.
    pub fn list_anew(&self, chosen: impl Fn(&Gvk) -> bool) {
        let described: Vec<Gvk> = self.described.kinds().iter().filter(|gvk| chosen(gvk)).cloned().collect();
        for gvk in described {
            self.unwatch(&gvk);
            self.watch(&gvk);
        }
    }

    /// The kinds asked for, each with its state.
    pub fn states(&self) -> BTreeMap<Gvk, KindState> {
        self.kinds().iter().map(|(gvk, kind)| (gvk.clone(), kind.whole.state())).collect()
    }

    /// How far a kind is known as a whole; nothing for one that is not watched.
    pub fn state(&self, gvk: &Gvk) -> Option<KindState> {
        self.kinds().get(gvk).map(|kind| kind.whole.state())
    }

    /// Waits until each of the kinds was listed once or its listing has failed; whether that was so within the time.
    /// Takes nothing from the reader of changes.
    pub async fn settled(&self, kinds: &[Gvk], within: Duration) -> bool {
        let mut states = self.context.states.subscribe();
        let settled = || kinds.iter().all(|gvk| !self.is_under_way(gvk));
        tokio::time::timeout(within, states.wait_for(|_| settled())).await.is_ok()
    }

    /// What is known of an object, in the version asked for.
    pub fn get(&self, gvk: &Gvk, name: &ObjectName) -> Option<Content> {
        self.stores_of(gvk).iter().find_map(|store| lock(store).get(name).cloned())
    }

    /// What is known of an object with content, in whichever version is watched.
    pub fn observed(&self, key: &ResourceKey) -> Option<Arc<Observed>> {
        let name = ObjectName::of(key);
        self.versions(&key.group_kind()).iter().find_map(|store| match lock(store).get(&name) {
            Some(Content::Whole(observed)) => Some(observed.clone()),
            Some(Content::Version(_)) | None => None,
        })
    }

    /// Every object that carries a tracking mark of an owner, over all kinds watched.
    pub fn tracked_by(&self, owner: &str) -> Vec<(ResourceKey, Arc<Observed>)> {
        let mut found = BTreeMap::new();
        for (gvk, store) in self.stores() {
            for (name, observed) in lock(&store).tracked_by(owner) {
                found.entry(key(&gvk, name)).or_insert_with(|| observed.clone());
            }
        }
        found.into_iter().collect()
    }

    /// Every object with content of a kind in a version.
    pub fn whole(&self, gvk: &Gvk) -> Vec<(ResourceKey, Arc<Observed>)> {
        let mut found = BTreeMap::new();
        for store in self.stores_of(gvk) {
            for (name, observed) in lock(&store).whole() {
                found.entry(key(gvk, name)).or_insert_with(|| observed.clone());
            }
        }
        found.into_iter().collect()
    }

    /// Number of objects and bytes of content kept.
    pub fn size(&self) -> (usize, usize) {
        self.stores().iter().fold((0, 0), |(objects, bytes), (_, store)| {
            let store = lock(store);
            let packed: usize = store.whole().map(|(_, observed)| observed.packed_len()).sum();
            (objects + store.len(), bytes + packed)
        })
    }

    /// Reads the content of objects that were kept by version alone and are named now. The interests must name them
    /// before, or their next event drops the content again. Returns what could not be read.
    pub async fn need(
        &self,
        keys: impl IntoIterator<Item = (Gvk, ObjectName)>,
    ) -> Vec<(ResourceKey, WireError)> {
        let Some(discovery) = self.discovery() else { return Vec::new() };
        let mut reads = Vec::new();
        for (gvk, name) in keys {
            let Lookup::Served(kind) = discovery.find(&gvk) else { continue };
            let known = |store: &SharedStore| lock(store).get(&name).cloned();
            let store = self.stores_of(&gvk).into_iter().find_map(|store| Some((known(&store)?, store)));
            if let Some((Content::Version(_), store)) = store {
                reads.push((store, kind.clone(), name));
            }
        }
        stream::iter(reads)
            .map(|(store, kind, name)| async move {
                let read = complete(&self.context, &store, &kind, &name).await;
                read.err().map(|error| (key(&kind.gvk, &name), error))
            })
            .buffer_unordered(READS_MAX)
            .filter_map(|failed| async move { failed })
            // An object that is gone by now is no failure: its deletion is on the way.
            .filter(|(_, error)| std::future::ready(!error.is_not_found()))
            .collect()
            .await
    }

    fn kinds(&self) -> MutexGuard<'_, BTreeMap<Gvk, WatchedKind>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stores(&self) -> Vec<(Gvk, SharedStore)> {
        let kinds = self.kinds();
        let stores = kinds.iter().flat_map(|(gvk, kind)| kind.stores().map(|store| (gvk.clone(), store)));
        stores.collect()
    }

    /// The stores of a kind in a version: of the whole first.
    fn stores_of(&self, gvk: &Gvk) -> Vec<SharedStore> {
        self.kinds().get(gvk).into_iter().flat_map(WatchedKind::stores).collect()
    }

    fn versions(&self, kind: &GroupKind) -> Vec<SharedStore> {
        let kinds = self.kinds();
        let same = kinds.iter().filter(|(gvk, _)| gvk.group == kind.group && gvk.kind == kind.kind);
        same.flat_map(|(_, watched)| watched.stores()).collect()
    }
}

impl WatchedKind {
    fn stores(&self) -> impl Iterator<Item = SharedStore> {
        std::iter::once(&self.whole).chain(self.namespaces.values()).map(|watched| watched.store.clone())
    }
}

impl Watched {
    fn state(&self) -> KindState {
        lock(&self.store).state().clone()
    }
}

impl Described {
    fn kinds(&self) -> MutexGuard<'_, BTreeSet<Gvk>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn looked_for(&self) -> MutexGuard<'_, BTreeSet<Gvk>> {
        self.looked_for.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn lock(store: &SharedStore) -> MutexGuard<'_, KindStore> {
    // Each fold leaves the store whole, so a panic elsewhere while it was locked spoils nothing.
    store.lock().unwrap_or_else(PoisonError::into_inner)
}

fn key(gvk: &Gvk, name: &ObjectName) -> ResourceKey {
    ResourceKey {
        group: gvk.group.clone(),
        kind: gvk.kind.clone(),
        namespace: name.namespace.clone(),
        name: name.name.clone(),
    }
}

/// Keeps what is known of the kinds served up to date until the task is dropped.
async fn keep_discovery(
    context: Arc<WatchContext>,
    described: Arc<Described>,
    discovery: latest::Sender<Option<Arc<Discovery>>>,
    failure: latest::Sender<Option<WireError>>,
) {
    let mut settling = 0;
    let mut retry = DISCOVERY_RETRY_FIRST;
    loop {
        let wait = match discover(&context.wire).await {
            Ok(found) => {
                retry = DISCOVERY_RETRY_FIRST;
                failure.send_replace(None);
                let complete = found.is_complete();
                let changed = discovery.send_if_modified(|known| {
                    let changed = known.as_deref() != Some(&found);
                    if changed {
                        *known = Some(Arc::new(found));
                    }
                    changed
                });
                if changed {
                    context.changes.push([Change::Discovery]);
                }
                // A definition can change a schema and nothing that discovery shows.
                described.look.notify_one();
                let settle = SETTLING.get(settling).copied();
                settling += 1;
                settle.unwrap_or(if complete { DISCOVERY_INTERVAL } else { DISCOVERY_RETRY })
            }
            Err(error) => {
                tracing::debug!(error = %error, "discovery failed");
                failure.send_replace(Some(error));
                let wait = retry;
                retry = (retry * 2).min(DISCOVERY_RETRY);
                wait
            }
        };
        tokio::select! {
            biased;
            () = context.rediscover.notified() => settling = 0,
            () = sleep(wait) => {}
        }
    }
}

/// Keeps the schemas of the kinds watched up to date until the task is dropped. Looks when a kind is added, and whenever
/// discovery was looked at.
async fn keep_schemas(
    context: Arc<WatchContext>,
    described: Arc<Described>,
    mut cache: SchemaCache,
    schemas: latest::Sender<Option<Arc<SchemaSet>>>,
) {
    let mut retry = DISCOVERY_RETRY_FIRST;
    loop {
        described.look.notified().await;
        let kinds = described.kinds().clone();
        if kinds.is_empty() {
            continue;
        }
        match cache.refresh(&context.wire, &kinds).await {
            Ok(refreshed) => {
                for problem in &refreshed.problems {
                    tracing::warn!(problem, "schemas are incomplete");
                }
                let first = schemas.borrow().is_none();
                let news = refreshed.changed || first;
                if news {
                    schemas.send_replace(Some(refreshed.schemas));
                }
                // Only now: whoever waits for a schema finds it where it was to be had.
                let before = std::mem::replace(&mut *described.looked_for(), kinds.clone());
                if news {
                    context.changes.push([Change::Schemas]);
                } else {
                    context.changes.push(kinds.difference(&before).cloned().map(Change::Kind));
                }
                retry = DISCOVERY_RETRY_FIRST;
            }
            Err(error) => {
                tracing::debug!(error = %error, "schemas not read");
                *described.looked_for() = kinds;
                sleep(retry).await;
                retry = (retry * 2).min(DISCOVERY_RETRY);
                described.look.notify_one();
            }
        }
    }
}
