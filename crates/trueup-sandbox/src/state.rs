//! The stored objects and the history of their changes.
//!
//! One counter numbers all changes, as etcd's revision does. A change is kept in a bounded log with the object before and
//! after it, so that watches are read from the log, and a listing of the recent past is the present with changes undone.

mod log;
mod store;

pub use log::{Change, ChangeKind};
pub use store::{Commit, CommitError, Name, ResourceId, Store, TooOld, WatchCursor, revision_of};
