//! The words of an application's state, as Argo CD has them.

use std::fmt;

pub use trueup_health::{GenericUse, Health, HealthRules, HealthStatus, ObjectHealth};

/// Whether Git and the cluster agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SyncStatus {
    Synced,
    OutOfSync,
    Unknown,
}

impl SyncStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Synced => "Synced",
            Self::OutOfSync => "OutOfSync",
            Self::Unknown => "Unknown",
        }
    }
}

impl fmt::Display for SyncStatus {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Who moved, over a whole application (contracts: "A difference").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AppOrigin {
    None,
    Git,
    Cluster,
    Both,
    Unknown,
}

impl AppOrigin {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Git => "git",
            Self::Cluster => "cluster",
            Self::Both => "both",
            Self::Unknown => "unknown",
        }
    }
}
