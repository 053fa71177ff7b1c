//! Who has something to say and cannot write it: one of them tries often, the others more and more seldom, and what one can write
//! again the others are told of.
//!
//! A thousand applications that all try often keep a server down that has just come back; that all of them wait for minutes
//! leaves statuses untrue for minutes when it is back.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use trueup_engine::app::AppKey;

/// The applications whose last report was not written.
#[derive(Debug, Default)]
pub struct Unreported {
    apps: Mutex<BTreeSet<AppKey>>,
}

impl Unreported {
    /// Takes note of a report that was not written; says whether this application is the one that tries often.
    pub fn failed(&self, app: &AppKey) -> bool {
        let mut apps = self.apps();
        apps.insert(app.clone());
        apps.first() == Some(app)
    }

    /// Takes note that an application has nothing more to say; hands out those to whom that is news.
    pub fn ended(&self, app: &AppKey) -> Vec<AppKey> {
        let mut apps = self.apps();
        if apps.remove(app) { apps.iter().cloned().collect() } else { Vec::new() }
    }

    /// Nobody says anything any more.
    pub fn clear(&self) {
        self.apps().clear();
    }

    fn apps(&self) -> MutexGuard<'_, BTreeSet<AppKey>> {
        self.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_tries_often_and_the_others_hear_when_one_has_succeeded() {
        let (unreported, key) = (Unreported::default(), |name: &str| AppKey::new("argocd", name));
        assert!(unreported.failed(&key("b")));
        assert!(!unreported.failed(&key("c")));
        assert!(unreported.failed(&key("b")));
        assert_eq!(unreported.ended(&key("other")), []);
        assert_eq!(unreported.ended(&key("c")), [key("b")]);
        assert_eq!(unreported.ended(&key("c")), []);
        unreported.clear();
        assert!(unreported.failed(&key("c")));
    }
}
