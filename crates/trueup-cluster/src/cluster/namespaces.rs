//! Kinds that may not be listed as a whole, listed in single namespaces instead.
//!
//! Whoever has rights in some namespaces only can still be told of everything there. What is elsewhere stays unknown, and
//! is said to be.

use std::collections::BTreeSet;

use trueup_engine::live::KindCoverage;
use trueup_object::{Gvk, Text};

use super::{Cluster, WatchedKind};
use crate::discover::{KindScope, Lookup};
use crate::store::KindState;

impl Cluster {
    /// Lists and watches a watched kind in these namespaces, each for itself, while it may not be listed as a whole. Does
    /// nothing otherwise, so it can be asked at each look: rights change.
    pub fn watch_in<'a>(&self, gvk: &Gvk, namespaces: impl IntoIterator<Item = &'a Text>) {
        let has_namespaces = || {
            self.discovery().is_some_and(
            |known| matches!(known.find(gvk), Lookup::Served(kind) if kind.scope == KindScope::Namespaced),
        )
        };
        let mut kinds = self.kinds();
        let Some(kind) = kinds.get_mut(gvk) else { return };
        match kind.whole.state() {
            KindState::Complete { .. } | KindState::NotServed { .. } => {
                for (_, watched) in std::mem::take(&mut kind.namespaces) {
                    watched.task.abort();
                }
            }
            state if state.is_forbidden() && has_namespaces() => {
                for namespace in namespaces.into_iter().filter(|namespace| !namespace.is_empty()) {
                    if !kind.namespaces.contains_key(namespace) {
                        tracing::info!(
                            kind = %gvk, %namespace,
                            "may not be listed in all namespaces, so it is in this one; what is elsewhere is not seen"
                        );
                        kind.namespaces.insert(namespace.clone(), self.begin(gvk, namespace.clone()));
                    }
                }
            }
            KindState::Unlisted | KindState::Listing { .. } | KindState::Incomplete { .. } => {}
        }
    }

    /// The kinds of which only some namespaces can be seen, with these.
    pub fn seen_in_part(&self) -> Vec<(Gvk, BTreeSet<Text>)> {
        let kinds = self.kinds();
        let partly =
            kinds.iter().filter(|(_, kind)| !kind.namespaces.is_empty() && !kind.whole.state().is_complete());
        partly.map(|(gvk, kind)| (gvk.clone(), kind.namespaces.keys().cloned().collect())).collect()
    }

    /// Whether an object of a kind that is not known in a namespace does not exist there.
    pub fn knows_all(&self, gvk: &Gvk, namespace: &str) -> bool {
        let kinds = self.kinds();
        let Some(kind) = kinds.get(gvk) else { return false };
        kind.whole.state().is_complete()
            || kind.namespaces.get(namespace).is_some_and(|watched| watched.state().is_complete())
    }

    /// Whether a kind is being listed, as a whole or in some namespace, or is to be.
    pub fn is_under_way(&self, gvk: &Gvk) -> bool {
        let kinds = self.kinds();
        let Some(WatchedKind { whole, namespaces }) = kinds.get(gvk) else { return false };
        let whole = whole.state();
        whole.is_under_way()
            || !whole.is_complete() && namespaces.values().any(|watched| watched.state().is_under_way())
    }

    /// How much is known of each kind in each version that is watched.
    pub(crate) fn coverages(&self) -> Vec<(Gvk, KindCoverage)> {
        let kinds = self.kinds();
        kinds.iter().map(|(gvk, kind)| (gvk.clone(), kind.coverage())).collect()
    }
}

impl WatchedKind {
    fn coverage(&self) -> KindCoverage {
        match self.whole.state().coverage() {
            KindCoverage::Incomplete { cause, since: _ } if !self.namespaces.is_empty() => {
                let known = self.namespaces.iter().map(|(namespace, watched)| {
                    let why = match watched.state().coverage() {
                        KindCoverage::Complete | KindCoverage::NotServed => None,
                        KindCoverage::Incomplete { cause, since: _ } => Some(cause),
                        // A namespace has no parts.
                        KindCoverage::Namespaces { cause, known: _ } => Some(cause),
                    };
                    (namespace.clone(), why)
                });
                KindCoverage::Namespaces { cause, known: known.collect() }
            }
            coverage => coverage,
        }
    }
}
