//! What the controller knows of every application, for those who show it: metrics and health of the process.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use trueup_engine::app::AppKey;

/// The latest word on one application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppCard {
    pub project: String,
    pub repo: String,
    pub dest_server: String,
    pub dest_namespace: String,
    pub sync_status: String,
    pub health_status: String,
    pub autosync: bool,
    /// `sync` while an operation runs, else empty.
    pub operation: String,
}

/// Counters and cards, shared with whoever serves them.
#[derive(Debug, Clone, Default)]
pub struct Board {
    shared: Arc<RwLock<Shown>>,
}

/// Everything there is to show.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    pub cards: BTreeMap<AppKey, AppCard>,
    /// Finished operations by application, phase and whether they were dry.
    pub syncs: BTreeMap<(AppKey, &'static str, bool), u64>,
    /// Milliseconds spent in operations.
    pub sync_millis: BTreeMap<AppKey, u64>,
    /// Looks taken, and the milliseconds they took.
    pub looks: BTreeMap<AppKey, (u64, u64)>,
    /// Whether this process holds the Lease and every kind it needs was listed once.
    pub ready: bool,
    pub leading: bool,
}

impl Board {
    /// Changes what is shown.
    pub fn update(&self, change: impl FnOnce(&mut Shown)) {
        change(&mut self.shared.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// What is shown now.
    pub fn shown(&self) -> Shown {
        self.shared.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
