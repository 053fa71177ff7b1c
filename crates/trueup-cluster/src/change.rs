//! What changed, for whoever compares: a queue of keys without payload.
//!
//! A key that waits already is not queued again, so the queue is never longer than the number of objects and kinds
//! watched, and a slow reader sees each object once, as it is then. Nothing is delayed: a reader that waits is woken by
//! the event itself.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use trueup_object::{Gvk, ResourceKey};

/// Something in a cluster that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// An object with content appeared, changed or went.
    Object(ResourceKey),
    /// A kind's state changed: its listing ended, failed, began anew.
    Kind(Gvk),
    /// The cluster serves other kinds than before.
    Discovery,
    /// The schemas of the kinds in use changed.
    Schemas,
}

/// The queue of changes of one cluster.
#[derive(Debug, Default)]
pub struct Changes {
    waiting: Mutex<Waiting>,
    arrival: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    order: VecDeque<Change>,
    known: BTreeSet<Change>,
}

impl Changes {
    /// Queues changes; those that wait already keep their place.
    pub fn push(&self, changes: impl IntoIterator<Item = Change>) {
        let mut arrived = false;
        {
            let mut waiting = self.waiting();
            for change in changes {
                if waiting.known.insert(change.clone()) {
                    waiting.order.push_back(change);
                    arrived = true;
                }
            }
        }
        if arrived {
            self.arrival.notify_one();
        }
    }

    /// The next change; waits for one. Meant for one reader. Cancelling the wait loses nothing.
    pub async fn next(&self) -> Change {
        loop {
            if let Some(change) = self.take() {
                return change;
            }
            self.arrival.notified().await;
        }
    }

    /// Everything that waits now.
    pub fn drain(&self) -> Vec<Change> {
        let mut waiting = self.waiting();
        waiting.known.clear();
        waiting.order.drain(..).collect()
    }

    fn take(&self) -> Option<Change> {
        let mut waiting = self.waiting();
        let change = waiting.order.pop_front()?;
        waiting.known.remove(&change);
        Some(change)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Each change of the queue is whole before anything can panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &str) -> Change {
        Change::Object(ResourceKey::new("", "ConfigMap", "web", name))
    }

    #[tokio::test]
    async fn waiting_changes_are_queued_once_in_order() {
        let changes = Changes::default();
        changes.push([object("b"), object("a"), object("b")]);
        assert_eq!(changes.next().await, object("b"));
        // What was taken can be queued again: it changed since.
        changes.push([object("b")]);
        assert_eq!(changes.drain(), [object("a"), object("b")]);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let changes = std::sync::Arc::new(Changes::default());
        let reader = tokio::spawn({
            let changes = changes.clone();
            async move { changes.next().await }
        });
        tokio::task::yield_now().await;
        changes.push([Change::Discovery]);
        assert_eq!(reader.await.ok(), Some(Change::Discovery));
    }
}
