//! Watching: initial events, changes seen through a selector, bookmarks, expiry.

use std::collections::VecDeque;
use std::sync::Arc;

use trueup_object::Value;
use trueup_object::value::Map;

use super::{Api, Target, convert, shown_as};
use crate::kind::KindInfo;
use crate::selector::Selector;
use crate::state::{Change, ChangeKind, ResourceId, TooOld, WatchCursor};
use crate::status::ApiStatus;

/// What a watch asks for.
#[derive(Debug, Clone, Default)]
pub struct WatchOptions {
    pub selector: Selector,
    /// None and 0 begin with what exists.
    pub revision: Option<u64>,
    /// WatchList: begin with what exists, and end that with an annotated bookmark.
    pub send_initial_events: Option<bool>,
    pub bookmarks: bool,
}

/// The type of a watch event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    Added,
    Modified,
    Deleted,
    Bookmark,
    Error,
}

/// What a watch sends.
#[derive(Debug, Clone)]
pub struct WatchEvent {
    pub kind: EventKind,
    pub object: Arc<Value>,
}

/// A running watch.
#[derive(Debug)]
pub struct WatchStream {
    cursor: WatchCursor,
    served: Arc<KindInfo>,
    storage: ResourceId,
    namespace: String,
    selector: Selector,
    bookmarks: bool,
    /// Initial events not sent yet.
    pending: VecDeque<WatchEvent>,
    /// The events handed out last were initial ones.
    initial: bool,
    expired: bool,
}

impl EventKind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "ADDED",
            Self::Modified => "MODIFIED",
            Self::Deleted => "DELETED",
            Self::Bookmark => "BOOKMARK",
            Self::Error => "ERROR",
        }
    }
}

impl Api {
    /// Starts a watch.
    pub fn watch(&self, target: Target<'_>, options: WatchOptions) -> WatchStream {
        let kind = target.served.kind.clone();
        let storage = target.served.storage();
        let from_state = options.send_initial_events.unwrap_or(options.revision.unwrap_or_default() == 0);
        let mut pending = VecDeque::new();
        let position = if from_state {
            let (objects, revision) = self.store().list(&storage, target.namespace);
            let wanted = objects.iter().filter(|object| options.selector.matches(object));
            pending.extend(
                wanted.map(|object| WatchEvent { kind: EventKind::Added, object: convert(object, &kind) }),
            );
            if options.send_initial_events == Some(true) && options.bookmarks {
                pending.push_back(bookmark(&kind, revision, true));
            }
            revision
        } else {
            // With `sendInitialEvents=false` an unset version means "from now".
            options.revision.filter(|revision| *revision > 0).unwrap_or_else(|| self.store().revision())
        };
        WatchStream {
            cursor: self.store().watch(position),
            served: kind,
            storage,
            namespace: target.namespace.to_owned(),
            selector: options.selector,
            bookmarks: options.bookmarks,
            pending,
            initial: false,
            expired: false,
        }
    }
}

impl WatchStream {
    /// The most initial events handed out at once.
    const N_EVENTS_MAX: usize = 256;

    /// Waits for the next events. None when the watch is over because its history is gone (after saying so).
    pub async fn next(&mut self) -> Option<Vec<WatchEvent>> {
        self.initial = !self.pending.is_empty();
        if self.initial {
            let n_events = self.pending.len().min(Self::N_EVENTS_MAX);
            return Some(self.pending.drain(..n_events).collect());
        }
        if self.expired {
            return None;
        }
        loop {
            // Read first: a position that is already lost must be told at once, not at the next change.
            let (storage, namespace) = (&self.storage, &self.namespace);
            let changes = self.cursor.take(|change| {
                change.resource == *storage && (namespace.is_empty() || change.name.namespace == *namespace)
            });
            match changes {
                Ok(changes) => {
                    let events: Vec<WatchEvent> =
                        changes.iter().filter_map(|change| self.event(change)).collect();
                    if !events.is_empty() {
                        return Some(events);
                    }
                }
                Err(old) => {
                    self.expired = true;
                    return Some(vec![expired(old)]);
                }
            }
            self.cursor.changed().await;
        }
    }

    /// A bookmark at the present position, where the client wants bookmarks.
    pub fn bookmark(&self) -> Option<WatchEvent> {
        let due = self.bookmarks && self.pending.is_empty() && !self.expired;
        due.then(|| bookmark(&self.served, self.cursor.position(), false))
    }

    /// Whether the initial events are still being sent.
    pub fn is_initial(&self) -> bool {
        self.initial
    }

    pub fn kind(&self) -> &KindInfo {
        &self.served
    }

    /// A change as seen through the selector: an object that leaves it is deleted, one that enters it is added.
    fn event(&self, change: &Change) -> Option<WatchEvent> {
        let is_selected = change.kind != ChangeKind::Deleted && self.selector.matches(&change.object);
        let was_selected = change.previous.as_ref().is_some_and(|previous| self.selector.matches(previous));
        let (kind, object) = match (was_selected, is_selected) {
            (false, false) => return None,
            (false, true) => (EventKind::Added, change.object.clone()),
            (true, true) => (EventKind::Modified, change.object.clone()),
            (true, false) if change.kind == ChangeKind::Deleted => {
                (EventKind::Deleted, change.object.clone())
            }
            (true, false) => {
                let mut last = change.previous.as_deref().cloned().unwrap_or_default();
                last.set_at(&["metadata", "resourceVersion"], change.revision.to_string().into());
                (EventKind::Deleted, Arc::new(last))
            }
        };
        Some(WatchEvent { kind, object: convert(&object, &self.served) })
    }
}

fn bookmark(kind: &KindInfo, revision: u64, initial_events_end: bool) -> WatchEvent {
    let mut object = Value::Map(Map::from_iter([("kind", Value::from(kind.gvk.kind.clone()))]));
    object = shown_as(&object, kind);
    object.set_at(&["metadata", "resourceVersion"], revision.to_string().into());
    if initial_events_end {
        object.set_at(&["metadata", "annotations", "k8s.io/initial-events-end"], "true".into());
    }
    WatchEvent { kind: EventKind::Bookmark, object: Arc::new(object) }
}

fn expired(old: TooOld) -> WatchEvent {
    WatchEvent { kind: EventKind::Error, object: Arc::new(ApiStatus::expired(old.to_string()).to_value()) }
}
