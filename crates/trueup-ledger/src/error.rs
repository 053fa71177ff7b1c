//! Why the ledger could not be read or written.

use std::path::PathBuf;

use thiserror::Error;
use trueup_engine::source::Fault;

/// Why the ledger could not be read or written. Cheap to clone: all writes of one transaction share its failure.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LedgerError {
    #[error("open the ledger {}: it was written by a newer trueup (schema {found}, this build knows {known})", .path.display())]
    NewerSchema { path: PathBuf, found: i64, known: i64 },
    #[error("open the ledger {}: it is another program's database", .path.display())]
    NotALedger { path: PathBuf },
    #[error("open the ledger {}: its digests were made with another key than {}", .path.display(), .key.display())]
    OtherKey { path: PathBuf, key: PathBuf },
    #[error("use the key {}: {detail}", .path.display())]
    Key { path: PathBuf, detail: String },
    #[error("use the ledger: {detail}")]
    Storage { detail: String },
    #[error("write {what} to the ledger: {bytes} bytes, more than the limit of {limit}")]
    TooLarge { what: &'static str, bytes: usize, limit: usize },
    #[error("write to the ledger: {what} of a Secret holds a value that was not masked")]
    Unmasked { what: &'static str },
    #[error("read the ledger: {detail}")]
    Unreadable { detail: String },
    #[error("use the state directory {}: another controller uses it", .path.display())]
    InUse { path: PathBuf },
    #[error("use the ledger: it is closed")]
    Closed,
}

impl LedgerError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::NewerSchema { .. }
            | Self::NotALedger { .. }
            | Self::OtherKey { .. }
            | Self::InUse { .. } => Fault::User,
            Self::Key { .. } | Self::Storage { .. } | Self::Unreadable { .. } => Fault::World,
            Self::TooLarge { .. } | Self::Unmasked { .. } | Self::Closed => Fault::Ours,
        }
    }

    /// Whether the same write may succeed later.
    pub fn is_retryable(&self) -> bool {
        matches!(self, Self::Storage { .. })
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NewerSchema { .. } => {
                "run the newer trueup again, or give this one a state directory of its own"
            }
            Self::InUse { .. } => "end that controller, or give this one a --state-dir of its own",
            Self::NotALedger { .. } => "choose another --state-dir, or move the file away",
            Self::OtherKey { .. } => {
                "restore the key that belongs to it, or move both files away to begin anew (history is lost)"
            }
            Self::Key { .. } | Self::Storage { .. } => {
                "check free space and permissions of the state directory"
            }
            Self::Unreadable { .. } => {
                "check the disk; `sqlite3 ledger.db 'PRAGMA integrity_check'` names the damage"
            }
            Self::TooLarge { .. } | Self::Unmasked { .. } | Self::Closed => {
                "this is a bug of trueup; please report it with the log around it"
            }
        }
    }
}

impl From<sqlx::Error> for LedgerError {
    fn from(error: sqlx::Error) -> Self {
        Self::Storage { detail: error.to_string() }
    }
}
