//! What comes out of a run: percentiles, a table for people, raw samples for those who calculate.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use trueup_object::Value;

/// Milliseconds, with their fractions.
pub fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Milliseconds from one moment to another, which may be the earlier one.
pub fn millis_between(from: Instant, to: Instant) -> f64 {
    match to.checked_duration_since(from) {
        Some(after) => millis(after),
        None => -millis(from.duration_since(to)),
    }
}

/// p50, p90, p99 and the greatest of some samples.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Percentiles {
    pub n: usize,
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

impl Percentiles {
    /// By the nearest rank, so that each figure is a sample; `None` of none.
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = samples.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let rank = |percent: usize| sorted.get((n * percent).div_ceil(100).max(1) - 1).copied();
        Some(Self { n, p50: rank(50)?, p90: rank(90)?, p99: rank(99)?, max: rank(100)? })
    }

    pub fn row(&self, name: &str) -> String {
        let Self { n, p50, p90, p99, max } = self;
        format!("{name:<34} {n:>5} {p50:>9.1} {p90:>9.1} {p99:>9.1} {max:>9.1}")
    }

    pub fn head() -> String {
        format!("{:<34} {:>5} {:>9} {:>9} {:>9} {:>9}", "milliseconds", "n", "p50", "p90", "p99", "max")
    }
}

/// The file of a run: one JSON object a line.
pub struct Raw {
    file: fs::File,
    pub path: PathBuf,
}

impl Raw {
    pub fn create(folder: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join(format!("{name}.jsonl"));
        let file = fs::File::create(&path).with_context(|| format!("create {}", path.display()))?;
        Ok(Self { file, path })
    }

    pub fn write(&mut self, fields: &[(&str, Value)]) -> Result<()> {
        let mut line = Value::default();
        for (name, value) in fields {
            line.set_at(&[name], value.clone());
        }
        writeln!(self.file, "{}", line.to_json()).context("write a sample")
    }
}

/// A number for the raw samples, in thousandths: enough for microseconds of milliseconds.
pub fn number(value: Option<f64>) -> Value {
    value.map_or(Value::Null, |value| Value::Float((value * 1000.0).round() / 1000.0))
}

/// A count for the raw samples.
pub fn count(value: usize) -> Value {
    Value::Int(i64::try_from(value).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let figures = Percentiles::of((1..=200).rev().map(f64::from));
        assert_eq!(figures, Some(Percentiles { n: 200, p50: 100.0, p90: 180.0, p99: 198.0, max: 200.0 }));
        assert_eq!(Percentiles::of([3.0]).map(|it| (it.p50, it.p99, it.max)), Some((3.0, 3.0, 3.0)));
        assert_eq!(Percentiles::of([]), None);
    }

    #[test]
    fn an_event_may_come_before_the_acknowledgement() {
        let now = Instant::now();
        let later = now + Duration::from_millis(2);
        assert!((millis_between(now, later) - 2.0).abs() < 0.001);
        assert!((millis_between(later, now) + 2.0).abs() < 0.001);
    }
}
