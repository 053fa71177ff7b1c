//! All repositories of an installation: resolving, reading, and sharing trips to remotes.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, Semaphore};
use tokio::time::Instant;
use trueup_engine::source::{
    CommitFacts, CommitId, ReadFilter, ReadSet, RepoUrl, Revision, SourcePath, SourceTree, TreeId,
};

use crate::error::SourceError;
use crate::git::GitProgram;
use crate::host::Host;
use crate::memory::{MemoryMirrors, MemoryRemotes};
use crate::refs::{Listing, Meaning, full_commit};
use crate::tree::{self, Objects, TreeError};

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
    host: Host,
    /// By address and credentials: what one lets see, another must not.
    remotes: Mutex<BTreeMap<RepoUrl, Arc<Remote>>>,
    runs: Semaphore,
    readings: Arc<Semaphore>,
    /// Requests and trips so far.
    n_moments: AtomicU64,
}

/// When something was asked or begun. A clock alone does not tell which of two came first: it may stand still between them.
#[derive(Debug, Clone, Copy)]
struct Moment {
    number: u64,
    time: Instant,
}

/// One address with its credentials, and its last answers.
///
/// The locks are held during the trip to the remote on purpose: who waits for one gets the answer of the trip that began
/// after it asked.
#[derive(Debug, Default)]
struct Remote {
    listing: AsyncMutex<Option<Attempt<Arc<Listing>>>>,
    fetch: AsyncMutex<Option<Attempt<()>>>,
}

/// The last trip to a remote.
#[derive(Debug, Clone)]
struct Attempt<T> {
    started: Moment,
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
        Ok(Self::of(Host::Git { git, options: Box::new(options) }))
    }

    /// Repositories in memory: without a process, a file or a thread, and so in the same way at every run. The mirrors are
    /// what a state directory keeps while a controller is down.
    pub fn in_memory(remotes: MemoryRemotes, mirrors: MemoryMirrors) -> Self {
        Self::of(Host::Memory { remotes, mirrors })
    }

    fn of(host: Host) -> Self {
        Self {
            host,
            remotes: Mutex::new(BTreeMap::new()),
            runs: Semaphore::new(RUNS_MAX),
            readings: Arc::new(Semaphore::new(READINGS_MAX)),
            n_moments: AtomicU64::new(0),
        }
    }

    fn moment(&self) -> Moment {
        Moment { number: self.n_moments.fetch_add(1, Ordering::Relaxed), time: Instant::now() }
    }

    /// Such as `2.39.5`; none where no program is used.
    pub fn git_version(&self) -> Option<&str> {
        match &self.host {
            Host::Git { git, .. } => Some(git.version()),
            Host::Memory { .. } => None,
        }
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
                if let Some(commit) = self.abbreviated(repo, &digits).await? {
                    return Ok(commit);
                }
                let asked = self.moment();
                let mut last = remote.fetch.lock().await;
                self.travel(repo, &mut last, asked, Trip::Fetch).await?;
                drop(last);
                self.abbreviated(repo, &digits).await?.ok_or_else(unknown)
            }
        }
    }

    /// Whether a revision names a commit in full, and that can be read without asking the remote.
    pub async fn has(&self, repo: &RepoUrl, revision: &Revision) -> bool {
        let Some(commit) = full_commit(revision) else { return false };
        let found = self.on_mirror(repo, move |objects| tree::has_commit(objects, commit)).await;
        matches!(found, Ok(Ok(true)))
    }

    /// The identity of a directory of a commit: equal identities have equal content, so nothing need be read.
    pub async fn tree_id(
        &self,
        repo: &RepoUrl,
        commit: CommitId,
        path: &SourcePath,
    ) -> Result<TreeId, SourceError> {
        let wanted = path.clone();
        self.on_commit(repo, commit, path, move |objects| tree::tree_id(objects, commit, &wanted)).await
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
        self.on_commit(repo, commit, &root, move |objects| tree::identify(objects, commit, &earlier)).await
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
        self.on_commit(repo, commit, path, move |objects| {
            tree::read(objects, &address, commit, &wanted, &filter)
        })
        .await
    }

    /// Author, time and subject of a commit.
    pub async fn commit_facts(&self, repo: &RepoUrl, commit: CommitId) -> Result<CommitFacts, SourceError> {
        let root = SourcePath::default();
        self.on_commit(repo, commit, &root, move |objects| tree::commit_facts(objects, commit)).await
    }

    fn remote(&self, repo: &RepoUrl) -> Arc<Remote> {
        // A panic while the map was held cannot leave it half changed: it is only ever added to.
        let mut remotes = self.remotes.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(remotes.entry(repo.clone()).or_default())
    }

    async fn listing(
        &self,
        repo: &RepoUrl,
        remote: &Remote,
        freshness: Freshness,
    ) -> Result<Arc<Listing>, SourceError> {
        let asked = self.moment();
        let is_fresh = |attempt: &&Attempt<_>| match freshness {
            Freshness::Now => attempt.started.number > asked.number,
            Freshness::Within(age) => asked.time.saturating_duration_since(attempt.started.time) <= age,
        };
        let mut last = remote.listing.lock().await;
        if let Some(attempt) = last.as_ref().filter(is_fresh) {
            return attempt.outcome.clone();
        }
        let _run = self.runs.acquire().await;
        let started = self.moment();
        let outcome = self.host.list_references(repo).await;
        let outcome = outcome.map(|stdout| Arc::new(Listing::new(stdout)));
        *last = Some(Attempt { started, outcome: outcome.clone() });
        outcome
    }

    /// Goes to the remote, unless a trip that began after `asked` has ended meanwhile.
    async fn travel(
        &self,
        repo: &RepoUrl,
        last: &mut Option<Attempt<()>>,
        asked: Moment,
        trip: Trip,
    ) -> Result<(), SourceError> {
        if let Some(attempt) = last.as_ref().filter(|attempt| attempt.started.number > asked.number) {
            return attempt.outcome.clone();
        }
        let _run = self.runs.acquire().await;
        let started = self.moment();
        let outcome = match trip {
            Trip::Fetch => self.host.fetch(repo).await,
            Trip::Rebuild => self.host.rebuild(repo).await,
        };
        *last = Some(Attempt { started, outcome: outcome.clone() });
        outcome
    }

    async fn rebuild(&self, repo: &RepoUrl, remote: &Remote, asked: Moment) -> Result<(), SourceError> {
        let mut last = remote.fetch.lock().await;
        self.travel(repo, &mut last, asked, Trip::Rebuild).await
    }

    /// Brings a commit into the mirror.
    async fn ensure_commit(
        &self,
        repo: &RepoUrl,
        remote: &Remote,
        commit: CommitId,
    ) -> Result<(), SourceError> {
        let asked = self.moment();
        if self.has_commit(repo, remote, commit).await? {
            return Ok(());
        }
        let mut last = remote.fetch.lock().await;
        // Whoever held the lock until now may have brought it.
        let is_here = self.on_mirror(repo, move |objects| tree::has_commit(objects, commit)).await?;
        if !matches!(is_here, Ok(true)) {
            self.travel(repo, &mut last, asked, Trip::Fetch).await?;
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
        self.host.fetch_commit(repo, commit).await?;
        drop(run);
        if self.has_commit(repo, remote, commit).await? { Ok(()) } else { Err(unknown()) }
    }

    async fn has_commit(
        &self,
        repo: &RepoUrl,
        remote: &Remote,
        commit: CommitId,
    ) -> Result<bool, SourceError> {
        let asked = self.moment();
        match self.on_mirror(repo, move |objects| tree::has_commit(objects, commit)).await? {
            Ok(has) => Ok(has),
            Err(TreeError::Damaged(detail)) => {
                tracing::warn!(%repo, detail, "the mirror is damaged and is made anew");
                self.rebuild(repo, remote, asked).await?;
                Ok(false)
            }
            Err(_) => Ok(false),
        }
    }

    async fn abbreviated(&self, repo: &RepoUrl, digits: &str) -> Result<Option<CommitId>, SourceError> {
        let digits = digits.to_owned();
        let found = self.on_mirror(repo, move |objects| tree::find_abbreviation(objects, &digits));
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
        F: Fn(&dyn Objects) -> Result<T, TreeError> + Clone + Send + 'static,
    {
        let remote = self.remote(repo);
        let mut n_repairs = 0;
        loop {
            let asked = self.moment();
            let error = match self.on_mirror(repo, read.clone()).await? {
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

    /// Runs work on the mirror.
    async fn on_mirror<T, F>(&self, repo: &RepoUrl, work: F) -> Result<Result<T, TreeError>, SourceError>
    where
        T: Send + 'static,
        F: FnOnce(&dyn Objects) -> Result<T, TreeError> + Send + 'static,
    {
        let permit = Arc::clone(&self.readings).acquire_owned().await;
        self.host.on_mirror(repo, permit, work).await
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
