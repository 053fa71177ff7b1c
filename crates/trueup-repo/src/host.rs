//! Where remotes and mirrors are: behind the `git` program and on the disk, or in memory.

use std::time::Duration;

use trueup_engine::source::{CommitId, RepoUrl, Revision};

use crate::error::SourceError;
use crate::git::GitProgram;
use crate::memory::{MemoryMirrors, MemoryRemotes};
use crate::mirror::Mirror;
use crate::repositories::RepositoriesOptions;
use crate::tree::{self, Objects, TreeError};

/// As long as the git program may take by default, so that a slow remote is told in the same way.
const LIST_TIMEOUT: Duration = Duration::from_secs(30);

/// See [`LIST_TIMEOUT`].
const FETCH_TIMEOUT: Duration = Duration::from_secs(300);

/// Who goes to the remotes, and keeps the mirrors.
#[derive(Debug)]
pub enum Host {
    Git { git: GitProgram, options: Box<RepositoriesOptions> },
    Memory { remotes: MemoryRemotes, mirrors: MemoryMirrors },
}

impl Host {
    /// Every reference of a remote, as `git ls-remote` prints them.
    pub async fn list_references(&self, repo: &RepoUrl) -> Result<Vec<u8>, SourceError> {
        match self {
            Self::Git { git, options } => git.list_references(repo, options.list_timeout).await,
            Self::Memory { remotes, mirrors: _ } => {
                Ok(remotes.trip(repo, LIST_TIMEOUT).await?.listing.into_bytes())
            }
        }
    }

    /// Brings all branches and tags into the mirror.
    pub async fn fetch(&self, repo: &RepoUrl) -> Result<(), SourceError> {
        match self {
            Self::Git { git, options } => {
                Mirror::of(repo, &options.mirrors).fetch(git, repo, options.fetch_timeout).await
            }
            Self::Memory { remotes, mirrors } => {
                let arrived = remotes.trip(repo, FETCH_TIMEOUT).await?.commits;
                mirrors.add(repo, arrived);
                Ok(())
            }
        }
    }

    /// Makes the mirror anew.
    pub async fn rebuild(&self, repo: &RepoUrl) -> Result<(), SourceError> {
        match self {
            Self::Git { git, options } => {
                Mirror::of(repo, &options.mirrors).rebuild(git, repo, options.fetch_timeout).await
            }
            // Nothing in memory is ever damaged.
            Self::Memory { .. } => self.fetch(repo).await,
        }
    }

    /// Brings one commit into the mirror, which may be on no branch.
    pub async fn fetch_commit(&self, repo: &RepoUrl, commit: CommitId) -> Result<(), SourceError> {
        match self {
            Self::Git { git, options } => {
                let mirror = Mirror::of(repo, &options.mirrors);
                mirror.fetch_commit(git, repo, commit, options.fetch_timeout).await
            }
            Self::Memory { remotes, mirrors } => {
                remotes.trip(repo, FETCH_TIMEOUT).await?;
                let Some(history) = remotes.history(repo, commit) else {
                    let revision = Revision::Named(commit.to_string().into());
                    return Err(SourceError::UnknownRevision { repo: repo.clone(), revision });
                };
                mirrors.add(repo, history);
                Ok(())
            }
        }
    }

    /// Runs work on the mirror: on the pool for blocking work where it is on the disk. The permit is held so long.
    pub async fn on_mirror<T, F, P>(
        &self,
        repo: &RepoUrl,
        permit: P,
        work: F,
    ) -> Result<Result<T, TreeError>, SourceError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Objects) -> Result<T, TreeError> + Send + 'static,
        P: Send + 'static,
    {
        match self {
            Self::Git { options, git: _ } => {
                let directory = Mirror::of(repo, &options.mirrors).directory().to_owned();
                let reading = tokio::task::spawn_blocking(move || {
                    let _permit = permit;
                    work(&tree::open(&directory)?)
                });
                reading.await.map_err(|error| SourceError::Internal {
                    repo: repo.clone(),
                    detail: format!("the reading ended early: {error}"),
                })
            }
            Self::Memory { remotes, mirrors } => {
                let outcome = mirrors.read(remotes, repo, |objects| work(objects));
                drop(permit);
                Ok(outcome)
            }
        }
    }
}
