//! One kind, listed and watched for as long as somebody wants it.
//!
//! kube's own watcher is not used: it hides when a dropped watch is back, so a kind that once failed could not be called
//! complete again before its next event, and it has no time limits on lists. The loop here lists (as a stream where the
//! server offers that, in pages otherwise), watches from there, resumes a watch that ends, and lists anew when the
//! server has forgotten the version, or after any time without a connection.

mod answer;
mod backoff;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, Semaphore};
use tokio::time::{Instant, sleep};
use trueup_latest as latest;
use trueup_object::value::Text;
use trueup_object::{Gvk, Timestamp, Value};

use self::answer::{WireBookmark, WireEvent, WirePage};
use self::backoff::{BACKOFF_FIRST, Backoff, spread};
use crate::change::{Change, Changes};
use crate::discover::{Discovery, Lookup, ServedKind};
use crate::observed::{Head, Interest, Interests};
use crate::path;
use crate::status::ApiStatus;
use crate::store::{Cause, Content, Delivered, Delivery, KindState, KindStore, ObjectName};
use crate::wire::{Lines, PAGE_TIMEOUT, Wire, WireError};

/// Tells the time; a function, so that programs and tests can shift it.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// As client-go pages: a Pod list of this length is a few megabytes.
const PAGE_OBJECTS: &str = "500";
/// How many objects of a streamed list are folded at once.
const BATCH_OBJECTS: usize = 250;
/// Listings at once: each holds a page in memory.
const LISTS_MAX: usize = 4;
/// The server ends a watch after this long; spread a little by kind so that not all end together.
const WATCH_SECONDS: u64 = 290;
/// Bookmarks come once a minute: two missing ones mean a connection that is dead without saying so.
const BOOKMARKS_MISSED: Duration = Duration::from_secs(130);
/// A streamed list that shows no sign of life for this long is asked for in pages instead.
const STREAM_IDLE: Duration = Duration::from_secs(10);
/// A watch that lives shorter than this did not work.
const WATCH_LIFE_MIN: Duration = Duration::from_secs(1);
/// So many watches in a row that end at once are a failure.
const SHORT_WATCHES_MAX: u32 = 5;
/// So many answers in a row that the server is busy are a failure.
const BUSY_ANSWERS_MAX: u32 = 3;

/// What the loops of one cluster share.
pub(crate) struct WatchContext {
    pub wire: Wire,
    pub interests: Interests,
    pub clock: Clock,
    pub changes: Arc<Changes>,
    pub discovery: latest::Receiver<Option<Arc<Discovery>>>,
    /// Asks for the kinds served to be looked at again.
    pub rediscover: Arc<Notify>,
    /// Whether lists are asked for as streams; unset for good when the server refuses.
    pub streaming: AtomicBool,
    pub lists: Semaphore,
    /// Counts changes of state, for those who wait for one beside the reader of changes.
    pub states: latest::Sender<u64>,
}

/// The store of one kind, shared between its loop and readers. Never locked across an await.
pub(crate) type SharedStore = Arc<Mutex<KindStore>>;

impl WatchContext {
    pub fn new(
        wire: Wire,
        interests: Interests,
        clock: Clock,
        changes: Arc<Changes>,
        discovery: latest::Receiver<Option<Arc<Discovery>>>,
        rediscover: Arc<Notify>,
    ) -> Self {
        Self {
            wire,
            interests,
            clock,
            changes,
            discovery,
            rediscover,
            streaming: AtomicBool::new(true),
            lists: Semaphore::new(LISTS_MAX),
            states: latest::Sender::new(0),
        }
    }

    /// Folds a delivery and tells who waits.
    fn deliver(&self, store: &SharedStore, delivery: Delivery) {
        let now = (self.clock)();
        let (folded, gvk, first_listing) = {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            let first_listing = matches!(store.state(), KindState::Listing { before: None, .. });
            (store.fold(delivery, now), store.gvk().clone(), first_listing)
        };
        // The definitions that are there at first are what discovery shows already.
        if folded.any && !first_listing && is_about_kinds(&gvk) {
            self.rediscover.notify_one();
        }
        // While a kind is listed for the first time nothing can be compared yet: its completion says it once for all.
        if !first_listing {
            self.changes.push(folded.objects.into_iter().map(Change::Object));
        }
        if folded.state {
            self.states.send_modify(|n_changes| *n_changes = n_changes.wrapping_add(1));
            self.changes.push([Change::Kind((*gvk).clone())]);
        }
    }

    fn delivered(&self, gvk: &Arc<Gvk>, bytes: &[u8]) -> Result<Delivered, WireError> {
        let head =
            Head::read(gvk, bytes).map_err(|error| WireError::Unreadable { message: error.to_string() })?;
        let interest = (self.interests)(&head);
        let name = ObjectName::of(&head.key);
        Ok(Delivered { name, content: Content::of(gvk, head, &interest, bytes) })
    }
}

/// Definitions of kinds: when they change, so does what the cluster serves.
fn is_about_kinds(gvk: &Gvk) -> bool {
    (gvk.group == "apiextensions.k8s.io" && gvk.kind == "CustomResourceDefinition")
        || (gvk.group == "apiregistration.k8s.io" && gvk.kind == "APIService")
}

/// Reads one object whose version alone is kept and completes the store with it.
pub(crate) async fn complete(
    context: &WatchContext,
    store: &SharedStore,
    kind: &ServedKind,
    name: &ObjectName,
) -> Result<(), WireError> {
    let answer = context.wire.get(&path::object(kind, &name.namespace, &name.name)).await?;
    let gvk = store.lock().unwrap_or_else(PoisonError::into_inner).gvk().clone();
    let delivered = match context.delivered(&gvk, &answer.body)? {
        // Whoever asks for it names it by that.
        Delivered { name, content: Content::Version(_) } => {
            let head = Head::read(&gvk, &answer.body)
                .map_err(|error| WireError::Unreadable { message: error.to_string() })?;
            Delivered { name, content: Content::of(&gvk, head, &Interest::Named, &answer.body) }
        }
        whole => whole,
    };
    let folded = store.lock().unwrap_or_else(PoisonError::into_inner).complete(delivered);
    context.changes.push(folded.objects.into_iter().map(Change::Object));
    Ok(())
}

/// What is listed and watched: a kind as a whole, or in one namespace.
struct Collection {
    kind: ServedKind,
    /// Empty: in all.
    namespace: Text,
}

impl Collection {
    fn path(&self) -> String {
        path::collection(&self.kind, &self.namespace)
    }
}

/// Lists and watches a kind until the task is dropped, in one namespace or (empty) in all.
pub(crate) async fn watch_kind(context: Arc<WatchContext>, store: SharedStore, namespace: Text) {
    let gvk = store.lock().unwrap_or_else(PoisonError::into_inner).gvk().clone();
    let mut discovery = context.discovery.clone();
    let mut backoff = Backoff::new(&gvk);
    let mut n_busy = 0;
    loop {
        let found = discovery.borrow_and_update().clone();
        let kind = match watchable(found.as_deref(), &gvk) {
            Ok(kind) => kind,
            Err(delivery) => {
                context.deliver(&store, delivery);
                if discovery.changed().await.is_err() {
                    return;
                }
                continue;
            }
        };
        let began = Instant::now();
        let place = Collection { kind, namespace: namespace.clone() };
        let end = tokio::select! {
            biased;
            // A server may keep the watch of a kind open that it no longer serves.
            () = no_longer(&mut discovery, &gvk, &place.kind) => continue,
            end = round(&context, &store, &gvk, &place, &mut backoff) => end,
        };
        match end {
            // The version is forgotten: a new list helps at once, unless that was just tried.
            End::Gone => {
                if began.elapsed() < WATCH_LIFE_MIN {
                    sleep(backoff.next(None)).await;
                }
            }
            End::Failed(error) => {
                tracing::debug!(kind = %gvk, error = %error, "watch failed");
                if error.is_not_found() {
                    context.rediscover.notify_one();
                }
                let wait = backoff.next(error.retry_after());
                // A kind whose definition was made a moment ago is answered so until its storage is ready: that is no
                // failure yet, and a sync that waits for the listing goes on waiting.
                let busy = error.status().is_some_and(|status| status.code == 429);
                let goes_on = began.elapsed() < WATCH_LIFE_MIN;
                n_busy = if !busy {
                    0
                } else if goes_on {
                    n_busy + 1
                } else {
                    1
                };
                if !busy || n_busy > BUSY_ANSWERS_MAX {
                    context.deliver(&store, Delivery::Failed(cause_of(error)));
                }
                // A kind that is no longer served is learnt from discovery, sooner than by the next try.
                tokio::select! {
                    biased;
                    changed = discovery.changed() => if changed.is_err() { return },
                    () = sleep(wait) => {}
                }
            }
        }
    }
}

/// Waits until discovery shows something else about a kind.
async fn no_longer(discovery: &mut latest::Receiver<Option<Arc<Discovery>>>, gvk: &Gvk, kind: &ServedKind) {
    let differs = |found: &Option<Arc<Discovery>>| {
        found.as_deref().is_some_and(|found| match found.find(gvk) {
            Lookup::Served(served) => served != kind,
            Lookup::NotServed | Lookup::OtherVersions(_) => true,
            // A group that is silent for a while says nothing about a watch that works.
            Lookup::Unknown { .. } => false,
        })
    };
    if discovery.wait_for(differs).await.is_err() {
        // Nobody looks any more: what is watched stays watched.
        std::future::pending::<()>().await;
    }
}

/// The kind as it can be watched, or what its absence means.
fn watchable(discovery: Option<&Discovery>, gvk: &Gvk) -> Result<ServedKind, Delivery> {
    let Some(discovery) = discovery else {
        return Err(Delivery::Failed(Cause::Undiscovered("the cluster was not reached yet".to_owned())));
    };
    match discovery.find(gvk) {
        Lookup::Served(kind) if kind.can("list") && kind.can("watch") => Ok(kind.clone()),
        Lookup::Served(_) => {
            Err(Delivery::Failed(Cause::Unwatchable(format!("{gvk} cannot be listed and watched"))))
        }
        Lookup::OtherVersions(kinds) => {
            let versions: Vec<&str> = kinds.iter().map(|kind| kind.gvk.version.as_str()).collect();
            let message = format!("{gvk} is not served; the kind is in {}", versions.join(", "));
            Err(Delivery::Failed(Cause::VersionNotServed(message)))
        }
        // Its own group answered, or is not there at all: another group's silence changes nothing about that.
        Lookup::NotServed => Err(Delivery::NotServed),
        Lookup::Unknown { why } => {
            Err(Delivery::Failed(Cause::Undiscovered(format!("{}: {why}", gvk.group))))
        }
    }
}

/// Why a round of list and watch is over.
enum End {
    Gone,
    Failed(WireError),
}

impl From<WireError> for End {
    fn from(error: WireError) -> Self {
        if error.is_gone() { Self::Gone } else { Self::Failed(error) }
    }
}

/// A kind that was forbidden is first asked for one object: as long as the answer is the same nothing has changed, and nobody
/// need be told that it was tried again.
async fn round(
    context: &WatchContext,
    store: &SharedStore,
    gvk: &Arc<Gvk>,
    place: &Collection,
    backoff: &mut Backoff,
) -> End {
    let forbidden = store.lock().unwrap_or_else(PoisonError::into_inner).state().is_forbidden();
    if forbidden {
        let path = path::with_query(&place.path(), &[("limit", "1")]);
        if let Err(error) = context.wire.read(&path, "application/json", PAGE_TIMEOUT).await {
            return End::from(error);
        }
    }
    list_and_watch(context, store, gvk, place, backoff).await
}

async fn list_and_watch(
    context: &WatchContext,
    store: &SharedStore,
    gvk: &Arc<Gvk>,
    place: &Collection,
    backoff: &mut Backoff,
) -> End {
    context.deliver(store, Delivery::ListStarted);
    let listed = list(context, store, gvk, place).await;
    let (version, lines) = match listed {
        Ok(listed) => listed,
        Err(error) => return End::from(error),
    };
    context.deliver(store, Delivery::ListCompleted);
    follow(context, store, gvk, place, version, lines, backoff).await
}

/// Lists a kind whole: the version to watch from, and the stream where there is one already.
async fn list(
    context: &WatchContext,
    store: &SharedStore,
    gvk: &Arc<Gvk>,
    place: &Collection,
) -> Result<(Text, Option<Lines>), WireError> {
    let _permit = context.lists.acquire().await;
    if context.streaming.load(Ordering::Relaxed) {
        match list_streamed(context, store, gvk, place).await {
            Ok((version, lines)) => return Ok((version, Some(lines))),
            Err(StreamEnd::Unsupported) => context.streaming.store(false, Ordering::Relaxed),
            Err(StreamEnd::Failed(error)) => return Err(error),
        }
    }
    list_in_pages(context, store, gvk, place).await.map(|version| (version, None))
}

enum StreamEnd {
    Unsupported,
    Failed(WireError),
}

async fn list_streamed(
    context: &WatchContext,
    store: &SharedStore,
    gvk: &Arc<Gvk>,
    place: &Collection,
) -> Result<(Text, Lines), StreamEnd> {
    let seconds = watch_seconds(gvk).to_string();
    let path = path::with_query(
        &place.path(),
        &[
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("sendInitialEvents", "true"),
            ("resourceVersionMatch", "NotOlderThan"),
            ("timeoutSeconds", &seconds),
        ],
    );
    let mut lines = context.wire.watch(&path).await.map_err(|error| match error.status() {
        // Servers without streamed lists refuse the parameters.
        Some(status) if matches!(status.code, 400 | 422) => StreamEnd::Unsupported,
        Some(_) | None => StreamEnd::Failed(error),
    })?;
    let mut batch = Vec::new();
    loop {
        let line = match lines.next(STREAM_IDLE).await {
            Ok(Some(line)) => line,
            // Nothing was refused, but the end of the initial events never came: an older server that ignores the request.
            Err(WireError::NoAnswer { .. }) if batch.is_empty() => return Err(StreamEnd::Unsupported),
            Err(error) => return Err(StreamEnd::Failed(error)),
            Ok(None) => {
                let message = "the stream of the list ended early".to_owned();
                return Err(StreamEnd::Failed(WireError::NoAnswer { message }));
            }
        };
        match read_event(context, gvk, &line).map_err(StreamEnd::Failed)? {
            Event::Written(object, _) => batch.push(object),
            Event::Deleted(name, version) => {
                context.deliver(store, Delivery::Listed(std::mem::take(&mut batch)));
                context.deliver(store, Delivery::Deleted { name, resource_version: version });
            }
            Event::Bookmark { version, initial_events_end: true } => {
                context.deliver(store, Delivery::Listed(batch));
                return Ok((version, lines));
            }
            Event::Bookmark { initial_events_end: false, .. } => {}
            Event::Failed(status) => return Err(StreamEnd::Failed(WireError::Refused(status))),
        }
        if batch.len() >= BATCH_OBJECTS {
            context.deliver(store, Delivery::Listed(std::mem::take(&mut batch)));
        }
    }
}

async fn list_in_pages(
    context: &WatchContext,
    store: &SharedStore,
    gvk: &Arc<Gvk>,
    place: &Collection,
) -> Result<Text, WireError> {
    let mut token = String::new();
    loop {
        let collection = place.path();
        let path = if token.is_empty() {
            path::with_query(&collection, &[("limit", PAGE_OBJECTS)])
        } else {
            path::with_query(&collection, &[("limit", PAGE_OBJECTS), ("continue", &token)])
        };
        let answer = context.wire.read(&path, "application/json", PAGE_TIMEOUT).await?;
        let page: WirePage = serde_json::from_slice(&answer.body).map_err(|error| unreadable_at(&error))?;
        let objects: Result<Vec<Delivered>, WireError> = page
            .items
            .unwrap_or_default()
            .into_iter()
            .map(|item| context.delivered(gvk, item.get().as_bytes()))
            .collect();
        context.deliver(store, Delivery::Listed(objects?));
        token = page.metadata.continue_token.unwrap_or_default();
        if token.is_empty() {
            let version = page.metadata.resource_version.unwrap_or_default();
            if version.is_empty() {
                let message = "the list carries no resourceVersion".to_owned();
                return Err(WireError::Unreadable { message });
            }
            return Ok(Text::from(version));
        }
    }
}

/// Follows a watch and its successors from a version on.
async fn follow(
    context: &WatchContext,
    store: &SharedStore,
    gvk: &Arc<Gvk>,
    place: &Collection,
    mut version: Text,
    mut lines: Option<Lines>,
    backoff: &mut Backoff,
) -> End {
    let mut short_watches = 0;
    loop {
        let opened = Instant::now();
        let mut open = match lines.take() {
            Some(open) => open,
            None => match context.wire.watch(&watch_path(place, gvk, &version)).await {
                Ok(open) => open,
                Err(error) => return End::from(error),
            },
        };
        backoff.reset();
        let resumed_from = version.clone();
        let mut idle = Duration::from_secs(watch_seconds(gvk) + 10);
        // A stream that ends or breaks off is resumed from the last version seen; nothing is missed.
        while let Ok(Some(line)) = open.next(idle).await {
            match read_event(context, gvk, &line) {
                Ok(Event::Written(object, seen)) => {
                    version = seen;
                    context.deliver(store, Delivery::Written(object));
                }
                Ok(Event::Deleted(name, seen)) => {
                    version = seen.clone();
                    context.deliver(store, Delivery::Deleted { name, resource_version: seen });
                }
                Ok(Event::Bookmark { version: seen, .. }) => {
                    version = seen;
                    idle = BOOKMARKS_MISSED;
                }
                Ok(Event::Failed(status)) => return End::from(WireError::Refused(status)),
                Err(error) => return End::from(error),
            }
        }
        // A watch that brought something worked, however soon it ended.
        if opened.elapsed() >= WATCH_LIFE_MIN || version != resumed_from {
            short_watches = 0;
            continue;
        }
        short_watches += 1;
        if short_watches >= SHORT_WATCHES_MAX {
            let message = "watches end as soon as they begin".to_owned();
            return End::Failed(WireError::NoAnswer { message });
        }
        if short_watches > 1 {
            sleep(BACKOFF_FIRST).await;
        }
    }
}

fn watch_path(place: &Collection, gvk: &Gvk, version: &str) -> String {
    let seconds = watch_seconds(gvk).to_string();
    path::with_query(
        &place.path(),
        &[
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("resourceVersion", version),
            ("timeoutSeconds", &seconds),
        ],
    )
}

fn watch_seconds(gvk: &Gvk) -> u64 {
    WATCH_SECONDS + spread(gvk, 0) % 60
}

enum Event {
    Written(Delivered, Text),
    Deleted(ObjectName, Text),
    Bookmark { version: Text, initial_events_end: bool },
    Failed(Box<ApiStatus>),
}

fn read_event(context: &WatchContext, gvk: &Arc<Gvk>, line: &Bytes) -> Result<Event, WireError> {
    // Most events are those of one object, written as servers write them: their object is read once and not searched for.
    if let Some(bytes) = answer::plainly_written(line)
        && let Ok(delivered) = context.delivered(gvk, bytes)
    {
        let version = delivered.content.resource_version().clone();
        return Ok(Event::Written(delivered, version));
    }
    let event: WireEvent = serde_json::from_slice(line).map_err(|error| unreadable_at(&error))?;
    let bytes = event.object.get().as_bytes();
    match event.kind {
        "ADDED" | "MODIFIED" => {
            let delivered = context.delivered(gvk, bytes)?;
            let version = delivered.content.resource_version().clone();
            Ok(Event::Written(delivered, version))
        }
        "DELETED" => {
            let head = Head::read(gvk, bytes)
                .map_err(|error| WireError::Unreadable { message: error.to_string() })?;
            Ok(Event::Deleted(ObjectName::of(&head.key), head.resource_version))
        }
        "BOOKMARK" => {
            let object: WireBookmark =
                serde_json::from_slice(bytes).map_err(|error| unreadable_at(&error))?;
            let annotations = object.metadata.annotations.unwrap_or_default();
            Ok(Event::Bookmark {
                version: Text::from(object.metadata.resource_version),
                initial_events_end: annotations
                    .get("k8s.io/initial-events-end")
                    .is_some_and(|mark| mark == "true"),
            })
        }
        "ERROR" => {
            let status = Value::from_json(bytes).unwrap_or_default();
            Ok(Event::Failed(Box::new(ApiStatus::of(&status, 500))))
        }
        other => Err(WireError::Unreadable { message: format!("a watch event of type {other:?}") }),
    }
}

/// A position and never content: content may be a Secret's.
fn unreadable_at(error: &serde_json::Error) -> WireError {
    WireError::Unreadable { message: format!("line {}, column {}", error.line(), error.column()) }
}

fn cause_of(error: WireError) -> Cause {
    match error {
        WireError::Unreachable { message } | WireError::NoAnswer { message } | WireError::Tls { message } => {
            Cause::Unreachable(message)
        }
        WireError::Credentials { message } => Cause::Unauthorized(message),
        WireError::Unreadable { message } => Cause::Unreadable(message),
        WireError::Refused(status) => match status.code {
            401 => Cause::Unauthorized(status.message),
            403 => Cause::Forbidden(status.message),
            _ => Cause::Server(status.to_string()),
        },
    }
}

#[cfg(test)]
#[path = "watch/tests.rs"]
mod tests;
