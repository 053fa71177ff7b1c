//! All repositories of an installation: resolving, reading, and sharing trips to remotes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use gix::Repository;
use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::time::Instant;
use trueup_engine::source::{
    CommitFacts, CommitId, ReadFilter, ReadSet, RepoUrl, Revision, SourcePath, SourceTree, TreeId,
};

use crate::error::SourceError;
use crate::git::GitProgram;
use crate::mirror::Mirror;
use crate::refs::{Listing, Meaning, full_commit};
use crate::tree::{self, TreeError};

/// Runs of git at one time: enough to hide slow remotes, few enough to spare the machine and the host.
const RUNS_MAX: usize = 8;

/// Readings at one time: each may hold as many bytes as its filter allows.
const READINGS_MAX: usize = 8;

/// A commit may be missing and then turn out damaged; a third failure is an answer.
const REPAIRS_MAX: usize = 2;

/// What the installation decides.
#[derive(Debug, Clone)]
pub struct RepositoriesOptions {
    /// Where mirrors are kept; made when absent.
    pub mirrors: PathBuf,
    /// Found on the PATH when it is only a name.
    pub git_program: PathBuf,
    /// What git runs for ssh addresses. It must not ask anything.
    pub ssh_command: OsString,
    /// For one listing of references.
    pub list_timeout: Duration,
    /// For one fetch, which at first brings the whole history.
    pub fetch_timeout: Duration,
}

impl RepositoriesOptions {
    pub fn new(mirrors: PathBuf) -> Self {
        Self {
            mirrors,
            git_program: PathBuf::from("git"),
            ssh_command: ssh_command(None),
            list_timeout: Duration::from_secs(30),
            fetch_timeout: Duration::from_secs(300),
        }
    }

    /// Uses the command that a person has set for ssh (`GIT_SSH_COMMAND`), if there is one.
    #[must_use]
    pub fn ssh(mut self, command: Option<OsString>) -> Self {
        self.ssh_command = ssh_command(command);
        self
    }
}

/// OpenSSH is told not to ask anything and to give up in time; of another program nobody knows how to say that.
fn ssh_command(given: Option<OsString>) -> OsString {
    let mut command = given.filter(|text| !text.is_empty()).unwrap_or_else(|| OsString::from("ssh"));
    let program = command.to_string_lossy().split_whitespace().next().map(PathBuf::from);
    if program.is_some_and(|program| program.file_name().is_some_and(|name| name == "ssh")) {
        command.push(" -o BatchMode=yes -o ConnectTimeout=15 -o ServerAliveInterval=15");
    }
    command
}

/// How old an answer of the remote may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Asked after the request was made. Requests that wait at the same time share one question.
    Now,
    /// Asked at most this long before the request.
    Within(Duration),
}

/// All repositories of an installation.
#[derive(Debug)]
pub struct Repositories {
    git: GitProgram,
    options: RepositoriesOptions,
    /// By address and credentials: what one lets see, another must not.
    remotes: Mutex<BTreeMap<RepoUrl, Arc<Remote>>>,
    runs: Semaphore,
    readings: Arc<Semaphore>,
}

/// One address with its credentials, and its last answers.
///
/// The locks are held during the trip to the remote on purpose: who waits for one gets the answer of the trip that began
/// after it asked.
#[derive(Debug)]
struct Remote {
    mirror: Mirror,
    listing: AsyncMutex<Option<Attempt<Arc<Listing>>>>,
    fetch: AsyncMutex<Option<Attempt<()>>>,
}

/// The last trip to a remote.
#[derive(Debug, Clone)]
struct Attempt<T> {
    started: Instant,
    outcome: Result<T, SourceError>,
}

/// What to do at the remote.
#[derive(Debug, Clone, Copy)]
enum Trip {
    Fetch,
    Rebuild,
}

impl Repositories {
    /// Checks the git program. Touches no network.
    pub async fn open(options: RepositoriesOptions) -> Result<Self, SourceError> {
        let git = GitProgram::find(options.git_program.clone(), options.ssh_command.clone()).await?;
        Ok(Self {
            git,
            options,
            remotes: Mutex::new(BTreeMap::new()),
            runs: Semaphore::new(RUNS_MAX),
            readings: Arc::new(Semaphore::new(READINGS_MAX)),
        })
    }

    pub fn git(&self) -> &GitProgram {
        &self.git
    }

    /// The commit that a revision means at the remote.
    pub async fn resolve(
        &self,
        repo: &RepoUrl,
        revision: &Revision,
        freshness: Freshness,
    ) -> Result<CommitId, SourceError> {
        let remote = self.remote(repo);
        if let Some(commit) = full_commit(revision) {
            self.ensure_commit(repo, &remote, commit).await?;
            return Ok(commit);
        }
        let listing = self.listing(repo, &remote, freshness).await?;
        let unknown = || SourceError::UnknownRevision { repo: repo.clone(), revision: revision.clone() };
        match listing.find(revision) {
            Meaning::Commit(commit) => Ok(commit),
            Meaning::Nothing => Err(unknown()),
            Meaning::Abbreviation(digits) => {
                if let Some(commit) = self.abbreviated(repo, &remote, &digits).await? {
                    return Ok(commit);
                }
                let asked = Instant::now();
                let mut last = remote.fetch.lock().await;
                self.travel(repo, &remote, &mut last, asked, Trip::Fetch).await?;
                drop(last);
                self.abbreviated(repo, &remote, &digits).await?.ok_or_else(unknown)
            }
        }
    }

    /// The identity of a directory of a commit: equal identities have equal content, so nothing need be read.
    pub async fn tree_id(
        &self,
        repo: &RepoUrl,
        commit: CommitId,
        path: &SourcePath,
    ) -> Result<TreeId, SourceError> {
        let wanted = path.clone();
        self.on_commit(repo, commit, path, move |repository| tree::tree_id(repository, commit, &wanted)).await
    }

    /// What a commit has at the paths of an earlier reading: when equal to it, the reading stands.
    pub async fn identify(
        &self,
        repo: &RepoUrl,
        commit: CommitId,
        earlier: &ReadSet,
    ) -> Result<ReadSet, SourceError> {
        let earlier = earlier.clone();
        let root = SourcePath::default();
        self.on_commit(repo, commit, &root, move |repository| tree::identify(repository, commit, &earlier))
            .await
    }

    /// Reads the files of a directory of a commit that a filter asks for.
    pub async fn read(
        &self,
        repo: &RepoUrl,
        commit: CommitId,
        path: &SourcePath,
        filter: &ReadFilter,
    ) -> Result<SourceTree, SourceError> {
        let (address, wanted, filter) = (repo.clone(), path.clone(), filter.clone());
        self.on_commit(repo, commit, path, move |repository| {
            tree::read(repository, &address, commit, &wanted, &filter)
        })
        .await
    }

    /// Author, time and subject of a commit.
    pub async fn commit_facts(&self, repo: &RepoUrl, commit: CommitId) -> Result<CommitFacts, SourceError> {
        let root = SourcePath::default();
        self.on_commit(repo, commit, &root, move |repository| tree::commit_facts(repository, commit)).await
    }

    fn remote(&self, repo: &RepoUrl) -> Arc<Remote> {
        // A panic while the map was held cannot leave it half changed: it is only ever added to.
        let mut remotes = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        let remote = remotes.entry(repo.clone()).or_insert_with(|| {
            Arc::new(Remote {
                mirror: Mirror::of(repo, &self.options.mirrors),
                listing: AsyncMutex::new(None),
                fetch: AsyncMutex::new(None),
            })
        });
        Arc::clone(remote)
    }

    async fn listing(
        &self,
        repo: &RepoUrl,
        remote: &Remote,
        freshness: Freshness,
    ) -> Result<Arc<Listing>, SourceError> {
        let asked = Instant::now();
        let oldest = match freshness {
            Freshness::Now => asked,
            Freshness::Within(age) => asked.checked_sub(age).unwrap_or(asked),
        };
        let mut last = remote.listing.lock().await;
        if let Some(attempt) = last.as_ref().filter(|attempt| attempt.started >= oldest) {
            return attempt.outcome.clone();
        }
        let _run = self.runs.acquire().await;
        let started = Instant::now();
        let outcome = self.git.list_references(repo, self.options.list_timeout).await;
        let outcome = outcome.map(|stdout| Arc::new(Listing::new(stdout)));
        *last = Some(Attempt { started, outcome: outcome.clone() });
        outcome
    }

    /// Goes to the remote, unless a trip that began after `asked` has ended meanwhile.
    async fn travel(
        &self,
        repo: &RepoUrl,
        remote: &Remote,
        last: &mut Option<Attempt<()>>,
        asked: Instant,
        trip: Trip,
    ) -> Result<(), SourceError> {
        if let Some(attempt) = last.as_ref().filter(|attempt| attempt.started >= asked) {
            return attempt.outcome.clone();
        }
        let _run = self.runs.acquire().await;
        let started = Instant::now();
        let timeout = self.options.fetch_timeout;
        let outcome = match trip {
            Trip::Fetch => remote.mirror.fetch(&self.git, repo, timeout).await,
            Trip::Rebuild => remote.mirror.rebuild(&self.git, repo, timeout).await,
        };
        *last = Some(Attempt { started, outcome: outcome.clone() });
        outcome
    }

    async fn rebuild(&self, repo: &RepoUrl, remote: &Remote, asked: Instant) -> Result<(), SourceError> {
        let mut last = remote.fetch.lock().await;
        self.travel(repo, remote, &mut last, asked, Trip::Rebuild).await
    }

    /// Brings a commit into the mirror.
    async fn ensure_commit(
        &self,
        repo: &RepoUrl,
        remote: &Remote,
        commit: CommitId,
    ) -> Result<(), SourceError> {
        let asked = Instant::now();
        if self.has_commit(repo, remote, commit).await? {
            return Ok(());
        }
        let mut last = remote.fetch.lock().await;
        // Whoever held the lock until now may have brought it.
        let is_here =
            self.on_mirror(repo, remote, move |repository| tree::has_commit(repository, commit)).await?;
        if !matches!(is_here, Ok(true)) {
            self.travel(repo, remote, &mut last, asked, Trip::Fetch).await?;
        }
        drop(last);
        if self.has_commit(repo, remote, commit).await? {
            return Ok(());
        }
        let unknown = || SourceError::UnknownRevision {
            repo: repo.clone(),
            revision: Revision::Named(commit.to_string().into()),
        };
        // On no branch and no tag: a pull request's, or one that a force push left behind.
        let run = self.runs.acquire().await;
        remote.mirror.fetch_commit(&self.git, repo, commit, self.options.fetch_timeout).await?;
        drop(run);
        if self.has_commit(repo, remote, commit).await? { Ok(()) } else { Err(unknown()) }
    }

    async fn has_commit(
        &self,
        repo: &RepoUrl,
        remote: &Remote,
        commit: CommitId,
    ) -> Result<bool, SourceError> {
        let asked = Instant::now();
        match self.on_mirror(repo, remote, move |repository| tree::has_commit(repository, commit)).await? {
            Ok(has) => Ok(has),
            Err(TreeError::Damaged(detail)) => {
                tracing::warn!(%repo, detail, "the mirror is damaged and is made anew");
                self.rebuild(repo, remote, asked).await?;
                Ok(false)
            }
            Err(_) => Ok(false),
        }
    }

    async fn abbreviated(
        &self,
        repo: &RepoUrl,
        remote: &Remote,
        digits: &str,
    ) -> Result<Option<CommitId>, SourceError> {
        let digits = digits.to_owned();
        let found =
            self.on_mirror(repo, remote, move |repository| tree::find_abbreviation(repository, &digits));
        Ok(found.await?.unwrap_or_default())
    }

    /// Reads from the mirror, fetching the commit where it is missing and making the mirror anew where it is damaged.
    async fn on_commit<T, F>(
        &self,
        repo: &RepoUrl,
        commit: CommitId,
        path: &SourcePath,
        read: F,
    ) -> Result<T, SourceError>
    where
        T: Send + 'static,
        F: Fn(&Repository) -> Result<T, TreeError> + Clone + Send + 'static,
    {
        let remote = self.remote(repo);
        let mut n_repairs = 0;
        loop {
            let asked = Instant::now();
            let error = match self.on_mirror(repo, &remote, read.clone()).await? {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            n_repairs += 1;
            match error {
                TreeError::NoCommit if n_repairs <= REPAIRS_MAX => {
                    self.ensure_commit(repo, &remote, commit).await?;
                }
                TreeError::Damaged(detail) if n_repairs <= REPAIRS_MAX => {
                    tracing::warn!(%repo, detail, "the mirror is damaged and is made anew");
                    self.rebuild(repo, &remote, asked).await?;
                }
                other => return Err(source_error(other, repo, commit, path)),
            }
        }
    }

    /// Runs blocking work on the mirror, on the pool for such work.
    async fn on_mirror<T, F>(
        &self,
        repo: &RepoUrl,
        remote: &Remote,
        work: F,
    ) -> Result<Result<T, TreeError>, SourceError>
    where
        T: Send + 'static,
        F: FnOnce(&Repository) -> Result<T, TreeError> + Send + 'static,
    {
        let permit = Arc::clone(&self.readings).acquire_owned().await;
        let directory = remote.mirror.directory().to_owned();
        let reading = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            work(&tree::open(&directory)?)
        });
        reading.await.map_err(|error| SourceError::Internal {
            repo: repo.clone(),
            detail: format!("the reading ended early: {error}"),
        })
    }
}

fn source_error(error: TreeError, repo: &RepoUrl, commit: CommitId, path: &SourcePath) -> SourceError {
    let (repo, path) = (repo.clone(), path.clone());
    match error {
        TreeError::NoCommit => {
            SourceError::UnknownRevision { repo, revision: Revision::Named(commit.to_string().into()) }
        }
        TreeError::Damaged(detail) => SourceError::Storage { repo, detail },
        TreeError::MissingPath => SourceError::MissingPath { repo, commit, path },
        TreeError::NotADirectory => SourceError::NotADirectory { repo, commit, path },
        TreeError::TooLarge { what, limit } => SourceError::TooLarge { repo, path, what, limit },
        TreeError::Unsupported(what) => SourceError::Unsupported { repo, path, what },
    }
}
