//! The storage in memory: a disk that outlives the controllers which write to it, and that fails when told to.
//!
//! A simulation drives a whole controller on one thread by one seed. Here nothing has a thread or a task: a write is made
//! where it is handed over, or at its time when it was delayed, whoever looks next. What looks from outside (what was
//! intended, with which evidence) is answered at once, at any moment.

mod tables;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use trueup_engine::app::AppKey;
use trueup_object::GroupKind;

use crate::error::LedgerError;
use crate::fact::{Entry, Seq, StoredEvidence};
use crate::key::DigestKey;
use crate::ledger::Write;
use crate::memory::AppMemory;
use crate::query;
use crate::rows::RowWrite;

use tables::Tables;

/// A disk in memory. Clones are the same disk: what was written to it is there for every ledger that is opened on it.
#[derive(Clone)]
pub struct MemoryDisk {
    shared: Arc<Shared>,
}

/// Writes that are about to be made, all or none.
#[derive(Debug, Clone, Copy)]
pub struct PendingWrite<'a> {
    /// Counted from 1 over the life of the disk.
    pub number: u64,
    pub writes: &'a [Write],
}

/// What becomes of writes that were handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WriteFate {
    Made,
    /// They are on the disk after this long. What is handed over later waits behind them.
    MadeAfter(Duration),
    /// They are not made, and the ledger says why, such as `No space left on device`.
    Refused(String),
    /// The process ends before they are made: nobody hears of them again, nor of what still waited before them.
    CrashBefore,
    /// The process ends after they were made, and before it hears of it.
    CrashAfter,
}

type Hook = Box<dyn FnMut(&PendingWrite<'_>) -> WriteFate + Send>;

struct Shared {
    key: DigestKey,
    state: Mutex<State>,
    /// Has a lock of its own: it may look at the disk.
    hook: Mutex<Option<Hook>>,
}

#[derive(Default)]
struct State {
    tables: Tables,
    /// In the order in which they were handed over, none due before the one ahead of it.
    waiting: VecDeque<Waiting>,
    n_handed_over: u64,
    /// A ledger of an earlier life hears nothing any more.
    life: u64,
    unreadable: Option<String>,
}

struct Waiting {
    due: Instant,
    rows: Vec<RowWrite>,
    outcome: Outcome,
}

type Outcome = Arc<Mutex<Option<Result<Vec<Seq>, LedgerError>>>>;

impl MemoryDisk {
    /// An empty disk with the key that its ledgers seal sensitive values with.
    pub fn new(key: [u8; 32]) -> Self {
        let shared = Shared {
            key: DigestKey::from_bytes(key),
            state: Mutex::new(State::default()),
            hook: Mutex::new(None),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Asks about every write before it is made. What is asked may look at the disk, and must not write to it.
    pub fn on_write(&self, decide: impl FnMut(&PendingWrite<'_>) -> WriteFate + Send + 'static) {
        *held(&self.shared.hook) = Some(Box::new(decide));
    }

    /// Makes every write at once again.
    pub fn heal(&self) {
        *held(&self.shared.hook) = None;
        self.state().unreadable = None;
    }

    /// Lets every question of a ledger fail with this reason, or none any more.
    pub fn refuse_reads(&self, reason: Option<&str>) {
        self.state().unreadable = reason.map(str::to_owned);
    }

    /// The processes that use the disk end here: what was not made yet never is, and their ledgers hear nothing any
    /// more. What was made stays, for the ledgers that are opened next.
    pub fn crash(&self) {
        self.settled().crash();
    }

    /// The entries after a place, in order.
    pub fn entries_after(&self, seq: Option<Seq>) -> Result<Vec<Entry>, LedgerError> {
        query::entries(self.settled().tables.after(seq.map_or(0, Seq::number), usize::MAX))
    }

    /// Intents without an outcome, in order.
    pub fn unfinished(&self) -> Result<Vec<Entry>, LedgerError> {
        query::entries(self.settled().tables.unfinished(usize::MAX))
    }

    /// What an entry's effect was about to overwrite.
    pub fn evidence(&self, seq: Seq) -> Result<Option<StoredEvidence>, LedgerError> {
        let body = self.settled().tables.evidence(seq.number());
        body.map(|body| query::evidence(&body)).transpose()
    }

    /// Everything that is remembered of an application.
    pub fn memory(&self, app: &AppKey) -> Result<AppMemory, LedgerError> {
        query::app_memory(self.settled().tables.remembered(&app.to_string()))
    }

    /// The kinds that were ever applied, by application.
    pub fn inventory(&self) -> Result<BTreeMap<AppKey, BTreeSet<GroupKind>>, LedgerError> {
        query::inventory(self.settled().tables.inventory())
    }

    pub(crate) fn key(&self) -> DigestKey {
        self.shared.key.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        held(&self.shared.state)
    }

    /// The state after everything that is due was made.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = self.state();
        state.settle(Instant::now());
        state
    }

    fn decide(&self, write: &PendingWrite<'_>) -> WriteFate {
        held(&self.shared.hook).as_mut().map_or(WriteFate::Made, |hook| hook(write))
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        out.debug_struct("MemoryDisk")
            .field("entries", &state.tables.n_entries())
            .field("waiting", &state.waiting.len())
            .finish_non_exhaustive()
    }
}

impl State {
    fn settle(&mut self, now: Instant) {
        while let Some(next) = self.waiting.pop_front_if(|next| next.due <= now) {
            let made = self.tables.write(next.rows);
            *held(&next.outcome) = Some(made);
        }
    }

    fn settle_all(&mut self) {
        if let Some(last) = self.waiting.back().map(|last| last.due) {
            self.settle(last);
        }
    }

    fn crash(&mut self) {
        self.waiting.clear();
        self.life += 1;
    }
}

/// One ledger's use of a disk, from its opening to the crash.
#[derive(Debug)]
pub struct DiskStorage {
    disk: MemoryDisk,
    life: u64,
}

/// The answer to writes that a disk has.
pub enum DiskAnswer {
    /// The process has ended.
    Never,
    Refused(LedgerError),
    Due {
        disk: MemoryDisk,
        life: u64,
        due: Instant,
        outcome: Outcome,
    },
}

impl DiskStorage {
    pub fn open(disk: &MemoryDisk) -> Self {
        Self { disk: disk.clone(), life: disk.state().life }
    }

    pub fn hand_over(&self, writes: &[Write], rows: Vec<RowWrite>) -> DiskAnswer {
        let number = {
            let mut state = self.disk.settled();
            if state.life != self.life {
                return DiskAnswer::Never;
            }
            state.n_handed_over += 1;
            state.n_handed_over
        };
        let fate = self.disk.decide(&PendingWrite { number, writes });
        let mut state = self.disk.state();
        let delay = match fate {
            WriteFate::Made => Duration::ZERO,
            WriteFate::MadeAfter(delay) => delay,
            WriteFate::Refused(detail) => return DiskAnswer::Refused(LedgerError::Storage { detail }),
            WriteFate::CrashBefore => {
                state.crash();
                return DiskAnswer::Never;
            }
            WriteFate::CrashAfter => {
                state.settle_all();
                // Whether they could be made is for nobody to hear.
                let _unheard = state.tables.write(rows);
                state.crash();
                return DiskAnswer::Never;
            }
        };
        let now = Instant::now();
        let due = state.waiting.back().map_or(now, |last| last.due).max(now + delay);
        let outcome = Outcome::default();
        state.waiting.push_back(Waiting { due, rows, outcome: outcome.clone() });
        state.settle(now);
        DiskAnswer::Due { disk: self.disk.clone(), life: self.life, due, outcome }
    }

    pub async fn read<T>(&self, ask: impl FnOnce(&Tables) -> T) -> Result<T, LedgerError> {
        let answer = {
            let state = self.disk.settled();
            if state.life != self.life {
                None
            } else if let Some(detail) = state.unreadable.clone() {
                Some(Err(LedgerError::Storage { detail }))
            } else {
                Some(Ok(ask(&state.tables)))
            }
        };
        match answer {
            Some(answer) => answer,
            None => pending().await,
        }
    }

    /// Waits until everything that was handed over is made.
    pub async fn close(self) {
        let last = {
            let state = self.disk.settled();
            state.waiting.back().filter(|_| state.life == self.life).map(|last| last.due)
        };
        if let Some(due) = last {
            tokio::time::sleep_until(due).await;
            drop(self.disk.settled());
        }
    }
}

impl DiskAnswer {
    pub async fn written(self) -> Result<Vec<Seq>, LedgerError> {
        match self {
            Self::Never => pending().await,
            Self::Refused(error) => Err(error),
            Self::Due { disk, life, due, outcome } => {
                if due > Instant::now() {
                    tokio::time::sleep_until(due).await;
                }
                let is_alive = disk.settled().life == life;
                let answer = held(&outcome).take().filter(|_| is_alive);
                match answer {
                    Some(answer) => answer,
                    None => pending().await,
                }
            }
        }
    }
}

impl fmt::Debug for DiskAnswer {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => out.write_str("Never"),
            Self::Refused(error) => out.debug_tuple("Refused").field(error).finish(),
            Self::Due { due, .. } => out.debug_struct("Due").field("due", due).finish_non_exhaustive(),
        }
    }
}

/// A panic elsewhere cannot leave half a change: every change is made while its lock is held.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
