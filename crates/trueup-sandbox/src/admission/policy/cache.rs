//! Compiled policies, kept for as long as they are what is stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use trueup_object::Value;

use crate::cel::policy::Policy;

/// More policies than anybody has; past this, those kept are forgotten.
const N_POLICIES_MAX: usize = 1_000;

/// Compiled policies by uid.
#[derive(Debug, Default)]
pub struct Cache {
    kept: Mutex<BTreeMap<String, Kept>>,
}

#[derive(Debug)]
struct Kept {
    revision: String,
    policy: Arc<Policy>,
}

impl Cache {
    /// A stored policy, compiled now or before.
    pub(super) fn compiled(&self, stored: &Value) -> Arc<Policy> {
        let text = |field: &str| stored.str_at(&["metadata", field]).unwrap_or_default().to_owned();
        let (uid, revision) = (text("uid"), text("resourceVersion"));
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.get(&uid).filter(|found| found.revision == revision) {
            return found.policy.clone();
        }
        if kept.len() >= N_POLICIES_MAX {
            kept.clear();
        }
        let policy = Arc::new(Policy::compile(stored));
        kept.insert(uid, Kept { revision, policy: policy.clone() });
        policy
    }
}
