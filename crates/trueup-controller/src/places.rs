//! Places for turns: how many applications of one cluster are looked at and changed at the same time.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Enough to hide the latency of requests that follow one another. More hold more plans in memory, whose objects are parsed, and
/// keep the API server from everybody else.
const TURNS_MAX: usize = 64;

/// How many of them are for applications in the middle of an operation: what was begun is brought to its end before all that
/// waits has begun, or of a thousand first syncs none would end before the last one begins.
const ONGOING_MAX: usize = 16;

/// The places of one cluster.
#[derive(Debug)]
pub struct Places {
    others: Semaphore,
    ongoing: Semaphore,
}

impl Default for Places {
    fn default() -> Self {
        Self { others: Semaphore::new(TURNS_MAX - ONGOING_MAX), ongoing: Semaphore::new(ONGOING_MAX) }
    }
}

impl Places {
    /// Waits for a place; first come, first served, among those in the middle of an operation and among all others.
    pub async fn take(&self, is_ongoing: bool) -> Option<SemaphorePermit<'_>> {
        let places = if is_ongoing { &self.ongoing } else { &self.others };
        // They are never closed.
        places.acquire().await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn what_was_begun_does_not_wait_for_what_has_not() {
        let places = Places::default();
        let mut taken = Vec::new();
        while let Some(place) = places.take(false).now_or_never() {
            taken.push(place);
        }
        assert_eq!(taken.len(), TURNS_MAX - ONGOING_MAX);
        assert!(places.take(true).now_or_never().is_some());
        taken.pop();
        assert!(places.take(false).now_or_never().is_some());
    }
}
