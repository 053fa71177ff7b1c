//! Holds a state directory for one process.
//!
//! A controller is known by its state directory: after a crash it is the same one again, and need not wait until what it
//! held in the cluster runs out. That makes it necessary that no two processes use one directory at the same time.

use std::fs::{File, TryLockError};
use std::path::Path;

use crate::error::LedgerError;

const FILE: &str = "in-use";

/// The right to use a state directory, until it is dropped or the process ends in whatever way.
#[derive(Debug)]
pub struct Claim {
    /// The lock goes with the file.
    _file: File,
}

impl Claim {
    /// Takes a directory that exists. Does not wait: another process that holds it means a mistake. Blocking, but short.
    pub fn take(state_dir: &Path) -> Result<Self, LedgerError> {
        let failed = |error: std::io::Error| LedgerError::Storage {
            detail: format!("{}: {error}", state_dir.display()),
        };
        let file = File::create(state_dir.join(FILE)).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(LedgerError::InUse { path: state_dir.to_path_buf() }),
            Err(TryLockError::Error(error)) => Err(failed(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_directory_is_held_by_one_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let claim = Claim::take(folder.path()).unwrap();
        assert!(matches!(Claim::take(folder.path()), Err(LedgerError::InUse { .. })));
        drop(claim);
        assert!(Claim::take(folder.path()).is_ok());
    }
}
