//! Ends ignore rules that run too long by the clock, which the core has not (contracts: "Limits").
//!
//! One thread, which waits while no look is under way. It sees which rule runs, remembers since when, and ends it past its
//! limit; the object is then Unknown with the rule named, as it is when the budget of steps is used up.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use trueup_engine::look::Patience;

/// How often it is looked: a limit is kept to about this.
const TICK: Duration = Duration::from_millis(20);

/// Watches the looks of one process.
#[derive(Debug)]
pub struct Watchdog {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    watched: Mutex<Watched>,
    arrival: Condvar,
}

#[derive(Debug, Default)]
struct Watched {
    looks: Vec<Look>,
    is_over: bool,
}

/// One look that is under way.
#[derive(Debug)]
struct Look {
    patience: Arc<Patience>,
    limit: Duration,
    /// The rule that ran when it was last seen, and when that was seen first.
    seen: Option<(u64, Instant)>,
}

impl Watchdog {
    /// Without a thread, where none can be had, the budget of steps is all that ends a rule.
    pub fn start() -> Self {
        let shared: Arc<Shared> = Arc::default();
        let watching = shared.clone();
        let thread = std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || watching.watch());
        Self { shared, thread: thread.ok() }
    }

    /// Ends nothing: the budget of steps is all that ends a rule.
    pub fn idle() -> Self {
        Self { shared: Arc::default(), thread: None }
    }

    /// Does some work, each rule of which may take so long.
    pub fn watch<T>(&self, limit: Duration, work: impl FnOnce() -> T) -> T {
        let patience = Arc::new(Patience::new(limit.as_secs()));
        let mut watched = self.shared.watched();
        let was_idle = watched.looks.is_empty();
        watched.looks.push(Look { patience: patience.clone(), limit, seen: None });
        drop(watched);
        if was_idle {
            self.shared.arrival.notify_one();
        }
        let _forgotten = Forgotten { shared: &self.shared, patience: &patience };
        patience.during(work)
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.shared.watched().is_over = true;
        self.shared.arrival.notify_one();
        if let Some(thread) = self.thread.take() {
            // It holds nothing that could be lost.
            let _ended = thread.join();
        }
    }
}

/// Ends the watching of one look, also where that panics.
struct Forgotten<'a> {
    shared: &'a Shared,
    patience: &'a Arc<Patience>,
}

impl Drop for Forgotten<'_> {
    fn drop(&mut self) {
        self.shared.watched().looks.retain(|look| !Arc::ptr_eq(&look.patience, self.patience));
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn watch(&self) {
        let mut watched = self.watched();
        while !watched.is_over {
            watched = if watched.looks.is_empty() {
                self.arrival.wait(watched).unwrap_or_else(PoisonError::into_inner)
            } else {
                watched.looks.iter_mut().for_each(|look| look.tick(Instant::now()));
                self.arrival.wait_timeout(watched, TICK).unwrap_or_else(PoisonError::into_inner).0
            };
        }
    }
}

impl Look {
    /// Takes note of the rule that runs; says whether it has run for as long as it may.
    fn is_over(&mut self, running: Option<u64>, now: Instant) -> bool {
        let Some(run) = running else {
            self.seen = None;
            return false;
        };
        match self.seen {
            Some((seen, since)) if seen == run => now.duration_since(since) >= self.limit,
            Some(_) | None => {
                self.seen = Some((run, now));
                false
            }
        }
    }

    fn tick(&mut self, now: Instant) {
        let running = self.patience.running();
        if self.is_over(running, now)
            && let Some(run) = running
        {
            self.patience.end(run);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_is_ended_past_its_limit_and_not_before() {
        let limit = Duration::from_secs(1);
        let mut look = Look { patience: Arc::default(), limit, seen: None };
        let begun = Instant::now();
        assert!(!look.is_over(None, begun));
        assert!(!look.is_over(Some(1), begun + 10 * limit), "it was not seen before");
        assert!(!look.is_over(Some(1), begun + 10 * limit + limit / 2));
        assert!(!look.is_over(Some(3), begun + 11 * limit), "another rule runs by then");
        assert!(!look.is_over(None, begun + 12 * limit));
        assert!(!look.is_over(Some(3), begun + 13 * limit), "no rule ran between");
        assert!(look.is_over(Some(3), begun + 14 * limit));
    }

    #[test]
    fn every_look_is_forgotten_at_its_end() {
        let watchdog = Watchdog::start();
        let n_looks = || watchdog.shared.watched().looks.len();
        assert_eq!(watchdog.watch(Duration::from_secs(1), n_looks), 1);
        assert_eq!(n_looks(), 0);
        let panics =
            std::panic::AssertUnwindSafe(|| watchdog.watch(Duration::from_secs(1), || panic!("in a rule")));
        assert!(std::panic::catch_unwind(panics).is_err());
        assert_eq!(n_looks(), 0);
    }
}
