//! The key of the digests that stand for sensitive values: made once for each state directory, readable by its owner only.

use std::fmt;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use crate::error::LedgerError;

const KEY_BYTES: usize = 32;

/// Where the system gives out random bytes; also where no random crate is wanted for 32 of them.
const RANDOM: &str = "/dev/urandom";

/// The key of the digests. Prints as `***`.
#[derive(Clone)]
pub struct DigestKey([u8; KEY_BYTES]);

impl DigestKey {
    pub fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    pub(crate) fn from_bytes(bytes: [u8; KEY_BYTES]) -> Self {
        Self(bytes)
    }

    /// A text that tells two keys apart and gives neither away.
    pub(crate) fn fingerprint(&self) -> String {
        blake3::derive_key("trueup ledger key fingerprint v1", &self.0)
            .iter()
            .take(8)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// Reads the key, or makes one where there is none. Blocking.
    pub(crate) fn read_or_make(path: &Path) -> Result<Self, LedgerError> {
        match Self::read(path)? {
            Some(key) => Ok(key),
            None => {
                Self::make(path)?;
                Self::read(path)?.ok_or_else(|| failed(path, "it vanished after it was made"))
            }
        }
    }

    fn read(path: &Path) -> Result<Option<Self>, LedgerError> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(path, error)),
        };
        // A copy or a restored backup may have come with wider rights.
        file.set_permissions(Permissions::from_mode(0o600)).map_err(|error| failed(path, error))?;
        let mut bytes = Vec::new();
        file.take(KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| failed(path, error))?;
        let key = bytes.try_into().map_err(|_| failed(path, format!("it has not {KEY_BYTES} bytes")))?;
        Ok(Some(Self(key)))
    }

    /// Writes a new key beside its place and links it there whole; another process that was quicker wins.
    fn make(path: &Path) -> Result<(), LedgerError> {
        let mut key = [0; KEY_BYTES];
        File::open(RANDOM)
            .and_then(|mut random| random.read_exact(&mut key))
            .map_err(|error| failed(path, error))?;
        let fresh = path.with_extension(format!("new-{}", std::process::id()));
        let write = || {
            let mut options = OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
            file.write_all(&key)?;
            file.sync_all()?;
            std::fs::hard_link(&fresh, path)
        };
        let outcome = match write() {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
            outcome => outcome,
        };
        // The name in its place is what counts; this one is of no use any more, whatever the outcome.
        let _gone = std::fs::remove_file(&fresh);
        outcome.map_err(|error| failed(path, error))
    }
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

fn failed(path: &Path, detail: impl fmt::Display) -> LedgerError {
    LedgerError::Key { path: path.to_owned(), detail: detail.to_string() }
}
