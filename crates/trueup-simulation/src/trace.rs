//! What happened in a run, line by line, and a number that stands for all of it.

use std::fmt::Write as _;

/// The lines of a run. Two runs of one story have the same.
#[derive(Debug, Default)]
pub struct Trace {
    /// Kept only where somebody reads them.
    pub lines: Option<Vec<String>>,
    digest: u64,
    buffer: String,
}

/// FNV-1a: short, and good enough to tell two runs apart.
const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const PRIME: u64 = 0x0100_0000_01b3;

impl Trace {
    pub fn new(is_kept: bool) -> Self {
        Self { lines: is_kept.then(Vec::new), digest: OFFSET, buffer: String::new() }
    }

    pub fn line(&mut self, at_ms: u64, text: &str) {
        self.buffer.clear();
        // Writing into a string never fails.
        let _ = write!(self.buffer, "{:>9}.{:03} {text}", at_ms / 1000, at_ms % 1000);
        for byte in self.buffer.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(PRIME);
        }
        if let Some(lines) = &mut self.lines {
            lines.push(self.buffer.clone());
        }
    }

    /// What only a reader wants to know; it stands for nothing in the number.
    pub fn detail(&mut self, at_ms: u64, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            lines.push(format!("{:>9}.{:03}   {}", at_ms / 1000, at_ms % 1000, text()));
        }
    }

    pub fn digest(&self) -> u64 {
        self.digest
    }
}
