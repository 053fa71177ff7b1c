//! One bare repository on disk for each remote: made, fetched into, and made anew where it is damaged.
//!
//! Writers hold a lock on a file beside it, which also keeps out another process with the same state directory.
//! Readers take no lock: objects are only added, and a mirror that is made anew is moved into place whole.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use trueup_engine::source::{CommitId, RepoUrl, Revision};

use crate::error::SourceError;
use crate::git::GitProgram;
use crate::tree;

/// Branches and tags; other references are fetched by commit when one is asked for.
const REFSPECS: &[&str] = &["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"];

/// How long to wait between two tries at a lock that another holds: far below what a fetch takes.
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// This many letters of a repository's name are kept in its mirror's, for people who look into the directory.
const NAME_LETTERS_MAX: usize = 40;

/// Where the mirror of one repository is.
#[derive(Debug, Clone)]
pub struct Mirror {
    directory: PathBuf,
}

/// Holds the lock until dropped: closing the file releases it, also when the process dies.
struct MirrorLock {
    _file: File,
}

impl Mirror {
    /// The mirror of a repository under a directory for mirrors. Spellings of one address share a mirror.
    pub fn of(repo: &RepoUrl, mirrors: &Path) -> Self {
        let digest = Sha256::digest(repo.normalised().as_bytes());
        let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let name: String = repo
            .normalised()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .trim_end_matches(".git")
            .chars()
            .filter(|letter| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_'))
            .take(NAME_LETTERS_MAX)
            .collect();
        Self { directory: mirrors.join(format!("{name}-{digest}.git")) }
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Fetches all branches and tags. A mirror that is absent or damaged is made anew.
    pub async fn fetch(
        &self,
        git: &GitProgram,
        repo: &RepoUrl,
        timeout: Duration,
    ) -> Result<(), SourceError> {
        let _lock = self.lock(repo, timeout).await?;
        if !self.opens().await {
            return self.build(git, repo, timeout).await;
        }
        match git.fetch(repo, &self.directory, REFSPECS, None, timeout).await {
            Err(error) if error.blames_mirror() => {
                tracing::warn!(%repo, %error, "the mirror is damaged and is made anew");
                self.build(git, repo, timeout).await
            }
            outcome => outcome,
        }
    }

    /// Fetches one commit, which may be on no branch. Many hosts allow that, not all.
    pub async fn fetch_commit(
        &self,
        git: &GitProgram,
        repo: &RepoUrl,
        commit: CommitId,
        timeout: Duration,
    ) -> Result<(), SourceError> {
        let _lock = self.lock(repo, timeout).await?;
        // A reference of our own keeps git from dropping the commit as unreachable.
        let refspec = format!("+{commit}:refs/trueup/{commit}");
        let revision = Revision::Named(commit.to_string().into());
        git.fetch(repo, &self.directory, &[&refspec], Some(&revision), timeout).await
    }

    /// Makes the mirror anew from the remote.
    pub async fn rebuild(
        &self,
        git: &GitProgram,
        repo: &RepoUrl,
        timeout: Duration,
    ) -> Result<(), SourceError> {
        let _lock = self.lock(repo, timeout).await?;
        self.build(git, repo, timeout).await
    }

    /// The old mirror stays until the new one is complete.
    async fn build(&self, git: &GitProgram, repo: &RepoUrl, timeout: Duration) -> Result<(), SourceError> {
        let fresh = self.directory.with_extension("new");
        let stale = self.directory.with_extension("old");
        self.remove(repo, &fresh).await?;
        self.remove(repo, &stale).await?;
        git.init_bare(repo, &fresh).await?;
        git.fetch(repo, &fresh, REFSPECS, None, timeout).await?;
        if tokio::fs::try_exists(&self.directory).await.unwrap_or(false) {
            rename(repo, &self.directory, &stale).await?;
        }
        rename(repo, &fresh, &self.directory).await?;
        self.remove(repo, &stale).await
    }

    async fn opens(&self) -> bool {
        let directory = self.directory.clone();
        tokio::task::spawn_blocking(move || tree::open(&directory).is_ok()).await.unwrap_or(false)
    }

    async fn remove(&self, repo: &RepoUrl, directory: &Path) -> Result<(), SourceError> {
        match tokio::fs::remove_dir_all(directory).await {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(storage(repo, directory, &error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    async fn lock(&self, repo: &RepoUrl, timeout: Duration) -> Result<MirrorLock, SourceError> {
        let path = self.directory.with_extension("lock");
        if let Some(parent) = path.parent() {
            tokio::fs::create_dir_all(parent).await.map_err(|error| storage(repo, parent, &error))?;
        }
        let file = tokio::fs::OpenOptions::new().create(true).truncate(false).write(true).open(&path).await;
        let file = file.map_err(|error| storage(repo, &path, &error))?.into_std().await;
        let deadline = tokio::time::Instant::now() + timeout;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(MirrorLock { _file: file }),
                Err(TryLockError::Error(error)) => return Err(storage(repo, &path, &error)),
                Err(TryLockError::WouldBlock) if tokio::time::Instant::now() >= deadline => {
                    let detail =
                        format!("another process has held {} for {} s", path.display(), timeout.as_secs());
                    return Err(SourceError::Storage { repo: repo.clone(), detail });
                }
                Err(TryLockError::WouldBlock) => tokio::time::sleep(LOCK_PAUSE).await,
            }
        }
    }
}

async fn rename(repo: &RepoUrl, from: &Path, to: &Path) -> Result<(), SourceError> {
    tokio::fs::rename(from, to).await.map_err(|error| storage(repo, to, &error))
}

fn storage(repo: &RepoUrl, path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::Storage { repo: repo.clone(), detail: format!("{}: {error}", path.display()) }
}
