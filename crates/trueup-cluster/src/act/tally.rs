//! Counts the requests that change objects, for those who show figures.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use trueup_object::Text;

use super::{Mode, Place};
use crate::wire::{Answer, WireError};

/// A request as it is counted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SentRequest {
    /// As Argo CD's metrics name it: `Patch`, `Delete`.
    pub verb: &'static str,
    /// 0 where no answer came.
    pub code: u16,
    /// The plural of the kind.
    pub resource: Text,
    pub namespace: Text,
    pub dry_run: bool,
}

/// Requests with how often each was sent. Cheap to clone; all clones count together.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    sent: Arc<Mutex<BTreeMap<SentRequest, u64>>>,
}

impl Tally {
    pub(super) fn count(
        &self,
        place: &Place<'_>,
        verb: &'static str,
        mode: Mode,
        sent: &Result<Answer, WireError>,
    ) {
        let code = match sent {
            Ok(answer) => answer.code,
            Err(error) => error.status().map_or(0, |status| status.code),
        };
        let request = SentRequest {
            verb,
            code,
            resource: place.kind.plural.clone(),
            namespace: Text::from(place.namespace),
            dry_run: mode == Mode::DryRun,
        };
        let mut sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner);
        *sent.entry(request).or_default() += 1;
    }

    /// What was counted so far.
    pub fn sent(&self) -> BTreeMap<SentRequest, u64> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
