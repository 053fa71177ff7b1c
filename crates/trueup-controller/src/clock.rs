//! The controller's clock: the one place where the time of day is read.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// The system's clock set forward by the number of seconds that a file holds, so that a story can let hours pass.
#[derive(Debug, Clone)]
pub struct OffsetClock {
    file: PathBuf,
}

impl OffsetClock {
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }
}

impl Clock for OffsetClock {
    fn now(&self) -> Timestamp {
        let seconds =
            std::fs::read_to_string(&self.file).ok().and_then(|text| text.trim().parse::<i64>().ok());
        let offset = SignedDuration::from_secs(seconds.unwrap_or_default());
        Timestamp::now().saturating_add(offset).unwrap_or(Timestamp::MAX)
    }
}

/// A clock that runs with tokio's from a given time on: it stands still where that one is paused, and goes on as tasks sleep.
#[derive(Debug, Clone, Copy)]
pub struct RuntimeClock {
    start: Timestamp,
    origin: Instant,
}

impl RuntimeClock {
    /// Shows the time given now. Must be made where the runtime's clock is paused: on a thread that has entered it.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, origin: Instant::now() }
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        self.start.checked_add(self.origin.elapsed()).unwrap_or(Timestamp::MAX)
    }
}

/// A clock that tasks share.
pub type SharedClock = Arc<dyn Clock>;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_runtimes_clock_goes_on_as_tasks_sleep() {
        let start: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let clock = RuntimeClock::starting_at(start);
        assert_eq!(clock.now(), start);
        tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
        assert_eq!(clock.now(), start + SignedDuration::from_secs(3600));
    }

    #[test]
    fn the_offset_is_read_anew_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("offset");
        let clock = OffsetClock::new(file.clone());
        let before = clock.now();
        std::fs::write(&file, "7200\n").unwrap();
        assert!(clock.now() >= before + SignedDuration::from_secs(7200));
    }
}
