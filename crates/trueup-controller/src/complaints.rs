//! Trouble that lasts is logged once, with what to do, and once more when it is over: a thousand applications that are told
//! "forbidden" every few seconds say no more than the first one.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What there is trouble with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Matter {
    Status,
    DriftReport,
    Event,
}

impl Matter {
    /// In the words of the log.
    pub fn words(self) -> &'static str {
        match self {
            Self::Status => "the status of Applications",
            Self::DriftReport => "drift reports",
            Self::Event => "Events",
        }
    }
}

/// The trouble that is known, by its cause.
#[derive(Debug, Default)]
pub struct Complaints {
    lasting: Mutex<BTreeSet<(Matter, &'static str)>>,
}

impl Complaints {
    /// Takes note of trouble; says whether it is new.
    pub fn begins(&self, matter: Matter, cause: &'static str) -> bool {
        self.lasting().insert((matter, cause))
    }

    /// Takes note that there is no trouble any more; says whether there was.
    pub fn ends(&self, matter: Matter) -> bool {
        let mut lasting = self.lasting();
        let before = lasting.len();
        lasting.retain(|(known, _)| *known != matter);
        lasting.len() < before
    }

    fn lasting(&self) -> MutexGuard<'_, BTreeSet<(Matter, &'static str)>> {
        self.lasting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_is_new_once_for_each_cause_until_it_is_over() {
        let complaints = Complaints::default();
        assert!(complaints.begins(Matter::DriftReport, "forbidden"));
        assert!(!complaints.begins(Matter::DriftReport, "forbidden"));
        assert!(complaints.begins(Matter::DriftReport, "unreachable"));
        assert!(complaints.begins(Matter::Event, "forbidden"));
        assert!(complaints.ends(Matter::DriftReport));
        assert!(!complaints.ends(Matter::DriftReport));
        assert!(complaints.begins(Matter::DriftReport, "forbidden"));
        assert!(!complaints.begins(Matter::Event, "forbidden"));
    }
}
