//! What live had right after our last sync that nobody declared and nobody owned, as hashes.

use trueup_object::{FieldPath, Value};

/// Path and value hashes of the undeclared, unowned remainder of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnownedTable {
    /// Sorted, without duplicates.
    entries: Vec<(u64, u64)>,
}

/// Bytes that are no such table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a table of unowned fields: {length} bytes is no multiple of {ENTRY}")]
pub struct UnownedTableError {
    pub length: usize,
}

const ENTRY: usize = 16;

impl UnownedTable {
    pub(crate) fn new(mut entries: Vec<(u64, u64)>) -> Self {
        entries.sort_unstable();
        entries.dedup();
        Self { entries }
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn contains(&self, entry: (u64, u64)) -> bool {
        self.entries.binary_search(&entry).is_ok()
    }

    /// For storage: sixteen bytes an entry.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.entries
            .iter()
            .flat_map(|(path, value)| [path.to_le_bytes(), value.to_le_bytes()])
            .flatten()
            .collect()
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, UnownedTableError> {
        let (entries, rest) = bytes.as_chunks::<ENTRY>();
        if !rest.is_empty() {
            return Err(UnownedTableError { length: bytes.len() });
        }
        let half = |bytes: &[u8]| bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
        let entries = entries
            .iter()
            .map(|entry| entry.split_at(ENTRY / 2))
            .map(|(path, value)| (half(path), half(value)));
        Ok(Self::new(entries.collect()))
    }
}

/// The entry of a path and its value. Keyed, since values of Secrets are among them.
pub(crate) fn entry(path: &FieldPath, value: &Value, key: &[u8; 32]) -> (u64, u64) {
    let hash = |text: &str| {
        let digest = blake3::keyed_hash(key, text.as_bytes());
        digest.as_bytes().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    };
    (hash(&path.to_string()), hash(&value.to_json()))
}
