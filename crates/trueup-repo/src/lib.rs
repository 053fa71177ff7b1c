//! Resolves revisions and reads trees of Git repositories.
//!
//! The `git` program talks to remotes; trees are read straight from one bare mirror for each repository, which all
//! applications share, without a checkout. Requests for one repository share their trips to the remote. Nothing is
//! polled here: when to look again is the caller's decision. Credentials reach `git` through its environment only and
//! appear neither on a command line nor in an error, a log or the mirror. For simulations there are remotes in memory, which
//! the same reading goes through.

mod cause;
mod error;
mod git;
mod host;
mod memory;
mod mirror;
mod refs;
mod repositories;
mod tree;

pub use error::SourceError;
pub use memory::{Conduct, Edit, MemoryMirrors, MemoryRemotes, NewCommit, Outage};
pub use repositories::{Freshness, Repositories, RepositoriesOptions};

#[cfg(test)]
mod tests;
