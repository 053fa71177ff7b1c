//! Resolves revisions and reads trees of Git repositories.
//!
//! The `git` program talks to remotes; trees are read straight from one bare mirror for each repository, which all
//! applications share, without a checkout. Requests for one repository share their trips to the remote. Nothing is
//! polled here: when to look again is the caller's decision. Credentials reach `git` through its environment only and
//! appear neither on a command line nor in an error, a log or the mirror.

mod cause;
mod error;
mod git;
mod mirror;
mod refs;
mod repositories;
mod tree;

pub use error::SourceError;
pub use git::GitProgram;
pub use repositories::{Freshness, Repositories, RepositoriesOptions};

#[cfg(test)]
mod tests;
