//! How a shell that has a clock ends a rule that runs too long (contracts: "Limits"): the core has none, and only counts steps.
//!
//! Whoever watches looks now and then at which run it is, and ends the one that was the same for too long. A run looks
//! whether it was ended each time it has taken some hundred steps.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    static WATCHED: RefCell<Option<Arc<Patience>>> = const { RefCell::new(None) };
}

/// What the one who works and the one who watches share.
#[derive(Debug)]
pub struct Patience {
    /// How many times the usual number of steps a run may take.
    factor: u64,
    /// Odd while a run goes on; another number for each.
    run: AtomicU64,
    /// The run that was ended last.
    ended: AtomicU64,
}

/// No run may take more than so many times the usual number of steps, whatever is asked for.
const FACTOR_MAX: u64 = 60;

impl Default for Patience {
    fn default() -> Self {
        Self::new(1)
    }
}

impl Patience {
    /// For runs that may take so many seconds, and the steps that go with them.
    pub fn new(seconds: u64) -> Self {
        Self { factor: seconds.clamp(1, FACTOR_MAX), run: AtomicU64::new(0), ended: AtomicU64::new(0) }
    }

    /// Does some work, the rules of which are watched meanwhile.
    pub fn during<T>(self: &Arc<Self>, work: impl FnOnce() -> T) -> T {
        let outer = WATCHED.replace(Some(self.clone()));
        let _restored = Restored(outer);
        work()
    }

    /// The run that goes on now, if any.
    pub fn running(&self) -> Option<u64> {
        let run = self.run.load(Ordering::Relaxed);
        (run % 2 == 1).then_some(run)
    }

    /// Ends a run, unless it is over.
    pub fn end(&self, run: u64) {
        self.ended.store(run, Ordering::Relaxed);
    }
}

/// Puts back who watched before, also where the work panics.
struct Restored(Option<Arc<Patience>>);

impl Drop for Restored {
    fn drop(&mut self) {
        let outer = self.0.take();
        WATCHED.set(outer);
    }
}

/// One run of a rule, as long as this lives.
#[derive(Debug)]
pub(crate) struct Run {
    patience: Option<(Arc<Patience>, u64)>,
}

impl Run {
    pub fn begin() -> Self {
        let patience = WATCHED.with_borrow(Clone::clone).map(|patience| {
            let run = patience.run.fetch_add(1, Ordering::Relaxed) + 1;
            (patience, run)
        });
        Self { patience }
    }

    /// How many times the usual number of steps it may take.
    pub fn factor(&self) -> u64 {
        self.patience.as_ref().map_or(1, |(patience, _)| patience.factor)
    }

    pub fn is_ended(&self) -> bool {
        self.patience.as_ref().is_some_and(|(patience, run)| patience.ended.load(Ordering::Relaxed) == *run)
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if let Some((patience, _)) = &self.patience {
            patience.run.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use trueup_object::Value;

    use super::*;
    use crate::RuleFailure;
    use crate::jq::Program;

    #[test]
    fn a_run_that_is_ended_stops_and_the_next_goes_on() {
        let patience: Arc<Patience> = Arc::default();
        let object = Value::from_json(br#"{"a":1}"#).unwrap();
        let long = Program::new(".a | select([range(10000)] | length > 0)").unwrap();
        // Whoever watches saw the first run for too long.
        patience.end(1);
        let (first, second) = patience.during(|| (long.places(&object), long.places(&object)));
        let Err(RuleFailure::Exhausted(why)) = first else { panic!("{first:?}") };
        assert!(why.contains("longer than"), "{why}");
        assert_eq!(second.map(|places| places.len()), Ok(1));
        assert_eq!(patience.running(), None);
    }

    #[test]
    fn who_may_take_longer_may_take_more_steps() {
        let object = Value::from_json(br#"{"a":1}"#).unwrap();
        let heavy = Program::new(".a | select(reduce range(500000) as $i (0; . + 1) > 0)").unwrap();
        let places = |seconds| Arc::new(Patience::new(seconds)).during(|| heavy.places(&object));
        assert!(matches!(places(1), Err(RuleFailure::Exhausted(why)) if why.contains("2000000 steps")));
        assert_eq!(places(60).map(|places| places.len()), Ok(1));
    }

    #[test]
    fn who_watches_sees_which_run_it_is() {
        let patience: Arc<Patience> = Arc::default();
        assert_eq!(patience.running(), None);
        patience.during(|| {
            let run = Run::begin();
            assert_eq!(patience.running(), Some(1));
            drop(run);
            assert_eq!(patience.running(), None);
            let run = Run::begin();
            assert_eq!(patience.running(), Some(3));
            patience.end(1);
            assert!(!run.is_ended());
            patience.end(3);
            assert!(run.is_ended());
        });
        assert!(!Run::begin().is_ended(), "nobody watches any more");
    }
}
