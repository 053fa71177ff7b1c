//! The sandbox's time: starts at a given instant, runs with the monotonic clock, and can be moved forward by tests.
//!
//! The monotonic clock is that of tokio: where a test has paused it, the sandbox's time stands still too.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use trueup_object::Timestamp;
use trueup_object::value::Text;

/// A clock that all parts of one sandbox share; clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    start: Timestamp,
    origin: Instant,
    offset_ms: AtomicU64,
    /// Wakes those who wait for a time when the clock is moved.
    moved: Notify,
}

impl Clock {
    /// Starts at the machine's present time.
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the sandbox may begin at the machine's time"
    )]
    pub fn system() -> Self {
        Self::starting_at(Timestamp::now())
    }

    /// Starts at the given time and runs on from there. For a paused clock it must be made where that one is paused: on a
    /// thread that has entered the runtime.
    pub fn starting_at(start: Timestamp) -> Self {
        let (origin, offset_ms) = (Instant::now(), AtomicU64::new(0));
        Self { inner: Arc::new(Inner { start, origin, offset_ms, moved: Notify::new() }) }
    }

    /// Moves the clock forward, for all who share it.
    pub fn advance(&self, by: Duration) {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.inner.offset_ms.fetch_add(by_ms, Ordering::Relaxed);
        self.inner.moved.notify_waiters();
    }

    /// Waits until the clock shows a time, whether it runs there or is moved.
    pub async fn reached(&self, time: Timestamp) {
        loop {
            let mut moved = std::pin::pin!(self.inner.moved.notified());
            // From here on no move is missed.
            moved.as_mut().enable();
            let Ok(left) = Duration::try_from(time.duration_since(self.now())) else { return };
            if left.is_zero() {
                return;
            }
            tokio::select! {
                biased;
                () = moved => {}
                () = tokio::time::sleep(left) => {}
            }
        }
    }

    /// What time it is.
    pub fn now(&self) -> Timestamp {
        let elapsed =
            self.inner.origin.elapsed() + Duration::from_millis(self.inner.offset_ms.load(Ordering::Relaxed));
        // Saturates at the end of representable time instead of failing: a test may advance by centuries.
        self.inner.start.checked_add(elapsed).unwrap_or(Timestamp::MAX)
    }
}

/// A time as Kubernetes writes it: RFC 3339 in UTC, whole seconds (`metav1.Time`).
pub fn wire_time(time: Timestamp) -> Text {
    trueup_object::time::to_seconds(time)
}

/// A time with microseconds (`metav1.MicroTime`).
pub fn wire_micro_time(time: Timestamp) -> Text {
    trueup_object::time::to_micros(time)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn starts_where_told_and_moves_for_all_clones() {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let clock = Clock::starting_at(start);
        let other = clock.clone();
        clock.advance(Duration::from_secs(7200));
        assert!(other.now() >= start.checked_add(Duration::from_secs(7200)).unwrap());
    }

    #[tokio::test]
    async fn who_waits_for_a_time_is_woken_when_the_clock_is_moved_there() {
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let century = Duration::from_secs(100 * 365 * 24 * 3600);
        let time = Timestamp::UNIX_EPOCH.checked_add(century).unwrap();
        let other = clock.clone();
        let waits = async move { other.reached(time).await };
        tokio::join!(waits, async { clock.advance(century) });
        assert!(clock.now() >= time);
    }

    #[test]
    fn writes_times_as_the_api_does() {
        let time: Timestamp = "2026-01-02T03:04:05.123456789Z".parse().unwrap();
        assert_eq!(wire_time(time), "2026-01-02T03:04:05Z");
        assert_eq!(wire_micro_time(time), "2026-01-02T03:04:05.123456Z");
    }
}
