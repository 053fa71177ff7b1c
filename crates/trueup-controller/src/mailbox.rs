//! Wake-ups of one application: coalesced, without payload save the depth of the look that is asked for.
//!
//! Every path (start, watch event, timer, refresh, finished step) sends the same thing, and a reader that is busy finds
//! one wake-up waiting, not many.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

/// How much has to be looked at again. A deeper one includes the shallower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// Compare what is known of Git with what is live.
    Live,
    /// Ask Git first.
    Git,
    /// Ask Git and render again whatever the caches say.
    Hard,
}

/// The mailbox of one application's worker.
#[derive(Debug, Clone, Default)]
pub struct Mailbox {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Option<Depth>>,
    arrival: Notify,
}

impl Mailbox {
    /// Asks for a look. Never waits.
    pub fn wake(&self, depth: Depth) {
        {
            let mut waiting = self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            *waiting = (*waiting).max(Some(depth));
        }
        self.shared.arrival.notify_one();
    }

    /// Waits for a wake-up and takes it. Cancelling the wait loses nothing.
    pub async fn next(&self) -> Depth {
        loop {
            if let Some(depth) = self.take() {
                return depth;
            }
            self.shared.arrival.notified().await;
        }
    }

    /// Takes what waits now.
    pub fn take(&self) -> Option<Depth> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn many_wake_ups_are_one_of_the_greatest_depth() {
        let mailbox = Mailbox::default();
        mailbox.wake(Depth::Live);
        mailbox.wake(Depth::Hard);
        mailbox.wake(Depth::Git);
        assert_eq!(mailbox.next().await, Depth::Hard);
        assert_eq!(mailbox.take(), None);
    }

    #[tokio::test]
    async fn a_waiting_reader_is_woken() {
        let mailbox = Mailbox::default();
        let reader = tokio::spawn({
            let mailbox = mailbox.clone();
            async move { mailbox.next().await }
        });
        tokio::task::yield_now().await;
        mailbox.wake(Depth::Live);
        assert_eq!(reader.await.ok(), Some(Depth::Live));
    }
}
