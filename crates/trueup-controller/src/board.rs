//! What the controller knows of every application, for those who show it: metrics and health of the process.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use trueup_cluster::act::SentRequest;
use trueup_engine::app::AppKey;
use trueup_object::Text;

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
    /// The labels of the Application.
    pub labels: BTreeMap<Text, Text>,
    /// How many conditions of each type there are.
    pub conditions: BTreeMap<Text, u64>,
}

/// The upper ends of the classes in which durations are counted, in milliseconds, as Argo CD has them; what takes longer
/// is in a last class.
pub const DURATION_CLASSES_MS: [u64; 7] = [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000];

/// How long things took.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Durations {
    /// How many fell into each class, and into none.
    pub counts: [u64; DURATION_CLASSES_MS.len() + 1],
    pub sum_ms: u64,
}

impl Durations {
    pub fn add(&mut self, millis: u64) {
        let class = DURATION_CLASSES_MS.iter().position(|end| millis <= *end);
        if let Some(count) = self.counts.get_mut(class.unwrap_or(DURATION_CLASSES_MS.len())) {
            *count += 1;
        }
        self.sum_ms = self.sum_ms.saturating_add(millis);
    }
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
    /// Turns with a look, from asking Git to reporting, by the namespace of the Application and its destination.
    pub reconciles: BTreeMap<(Text, String), Durations>,
    /// Requests that changed objects of an application, or would have in a dry run.
    pub requests: BTreeMap<(AppKey, SentRequest), u64>,
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

impl Shown {
    /// Drops what is shown of an application that is gone.
    pub fn forget(&mut self, app: &AppKey) {
        self.cards.remove(app);
        self.syncs.retain(|(of, _, _), _| of != app);
        self.sync_millis.remove(app);
        self.looks.remove(app);
        self.requests.retain(|(of, _), _| of != app);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_class_that_holds_it() {
        let mut durations = Durations::default();
        for millis in [0, 250, 251, 16_000, 16_001] {
            durations.add(millis);
        }
        assert_eq!(durations.counts, [2, 1, 0, 0, 0, 0, 1, 1]);
        assert_eq!(durations.sum_ms, 32_502);
    }

    #[test]
    fn an_application_that_is_gone_leaves_no_figures() {
        let mut shown = Shown::default();
        let app = AppKey::new("argocd", "web");
        shown.looks.insert(app.clone(), (1, 1));
        shown.syncs.insert((app.clone(), "Succeeded", false), 1);
        shown.sync_millis.insert(app.clone(), 1);
        shown.forget(&app);
        assert_eq!(shown, Shown::default());
    }
}
