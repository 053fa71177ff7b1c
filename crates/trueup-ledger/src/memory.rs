//! What is remembered of an application between syncs, and beside that of its objects' memory.

use std::collections::BTreeMap;

use trueup_engine::app::FirstSeen;
use trueup_engine::memory::Memory;
use trueup_object::{ResourceKey, Text};

/// What is remembered of an application.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AppMemory {
    pub objects: BTreeMap<ResourceKey, Memory>,
    /// How each memory came about.
    pub circumstances: BTreeMap<ResourceKey, Circumstances>,
    /// When each difference that was there at the last look was first seen.
    pub first_seen: FirstSeen,
    /// What could not be read, with the reason: the object then counts as never synced.
    pub unreadable: Vec<(String, String)>,
}

/// How an object's memory came about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Circumstances {
    /// The commit that the base came from.
    pub revision: Option<Text>,
    /// The server's version and the kind's schema, as the writer names them: the table of what nobody owned is taken
    /// anew when they change.
    pub context: Text,
}
