//! What is remembered of an application's objects between syncs.

use std::collections::BTreeMap;

use trueup_object::{ResourceKey, Text, Timestamp, Value};

/// What is remembered of an application.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AppMemory {
    pub objects: BTreeMap<ResourceKey, ObjectMemory>,
    /// When each difference that was there at the last look was first seen, by its id.
    pub first_seen: BTreeMap<Text, Timestamp>,
    /// What could not be read, with the reason: the object then counts as never synced.
    pub unreadable: Vec<(String, String)>,
}

/// What is remembered of one object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ObjectMemory {
    pub base: Option<Base>,
    pub unowned: Option<Unowned>,
    /// Path and value digests of what others had added when the application was first synced.
    pub inherited: BTreeMap<String, String>,
}

/// The normalised target that was last applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Sealed: sensitive values are keyed digests.
    pub target: Value,
    /// The commit that it came from.
    pub revision: Option<Text>,
    /// When it was applied.
    pub time: Timestamp,
}

/// What nobody declared and nobody owned right after the last sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unowned {
    /// What the table is valid for: the server's version and the kind's schema.
    pub context: Text,
    /// Hashes of paths and values, as their owner packs them.
    pub table: Vec<u8>,
}
