//! The bounded log of changes.

use std::collections::VecDeque;
use std::sync::Arc;

use trueup_object::Value;

use super::store::{Name, ResourceId, TooOld};

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    Added,
    Modified,
    Deleted,
}

/// One change of one object.
#[derive(Debug, Clone)]
pub struct Change {
    pub revision: u64,
    pub kind: ChangeKind,
    pub resource: ResourceId,
    pub name: Name,
    /// After the change; of a deletion the last state, with the deletion's resourceVersion.
    pub object: Arc<Value>,
    /// Before the change; none where it was added.
    pub previous: Option<Arc<Value>>,
}

/// Changes with consecutive revisions; the oldest are forgotten first.
#[derive(Debug)]
pub(super) struct ChangeLog {
    changes: VecDeque<Change>,
    n_changes_max: usize,
    /// The newest revision whose change is no longer known.
    compacted: u64,
}

impl ChangeLog {
    pub(super) fn new(n_changes_max: usize, compacted: u64) -> Self {
        Self { changes: VecDeque::new(), n_changes_max, compacted }
    }

    pub(super) fn push(&mut self, change: Change) {
        self.changes.push_back(change);
        while self.changes.len() > self.n_changes_max {
            if let Some(forgotten) = self.changes.pop_front() {
                self.compacted = forgotten.revision;
            }
        }
    }

    /// Forgets everything up to now.
    pub(super) fn compact(&mut self, revision: u64) {
        self.changes.clear();
        self.compacted = revision;
    }

    pub(super) fn compacted(&self) -> u64 {
        self.compacted
    }

    /// The changes after a revision, oldest first.
    pub(super) fn after(&self, revision: u64) -> Result<impl DoubleEndedIterator<Item = &Change>, TooOld> {
        if revision < self.compacted {
            return Err(TooOld { requested: revision, oldest: self.compacted });
        }
        // Revisions are consecutive, so the position follows from the number.
        let known = usize::try_from(revision - self.compacted).unwrap_or(usize::MAX);
        Ok(self.changes.range(known.min(self.changes.len())..))
    }
}
