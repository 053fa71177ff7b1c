//! How long to wait before a kind is tried again.

use std::time::Duration;

use trueup_object::Gvk;

pub const BACKOFF_FIRST: Duration = Duration::from_millis(200);
pub const BACKOFF_MAX: Duration = Duration::from_secs(4);
/// However long a server asks to wait, we look again after this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Growing waits, spread by kind so that a hundred kinds do not knock at once.
pub struct Backoff {
    gvk: Gvk,
    attempt: u32,
}

impl Backoff {
    pub fn new(gvk: &Gvk) -> Self {
        Self { gvk: gvk.clone(), attempt: 0 }
    }

    pub fn reset(&mut self) {
        self.attempt = 0;
    }

    pub fn next(&mut self, asked: Option<Duration>) -> Duration {
        let grown = BACKOFF_FIRST.saturating_mul(2_u32.saturating_pow(self.attempt)).min(BACKOFF_MAX);
        self.attempt = self.attempt.saturating_add(1).min(16);
        let percent = 75 + spread(&self.gvk, self.attempt) % 50;
        let spread_out = grown * u32::try_from(percent).unwrap_or(100) / 100;
        spread_out.max(asked.unwrap_or_default().min(RETRY_AFTER_MAX))
    }
}

/// A number that differs between kinds and attempts and needs no source of chance.
pub fn spread(gvk: &Gvk, attempt: u32) -> u64 {
    let hash = blake3::hash(format!("{gvk} {attempt}").as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}
