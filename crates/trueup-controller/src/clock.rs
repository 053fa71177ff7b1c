//! The controller's clock: the one place where the time of day is read.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

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

/// A clock that tasks share.
pub type SharedClock = Arc<dyn Clock>;

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

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
