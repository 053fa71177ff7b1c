//! Remotes in memory: repositories that a simulation commits to, and that are slow, unreachable or behind when told to.
//!
//! Commits, trees and blobs have the bytes and so the identities that Git gives them, and are read by the same code as
//! those on the disk. Nothing here has a thread; a slow remote takes tokio's time.

mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use gix::ObjectId;
use gix::object::Kind;
use trueup_engine::source::{CommitId, RepoUrl};
use trueup_object::{Text, Timestamp};

use crate::cause::classify;
use crate::error::SourceError;
use crate::tree::{Objects, TreeError, object_id};

use store::Store;

/// The branch that HEAD names.
const DEFAULT_BRANCH: &str = "refs/heads/main";

/// Repositories in memory, by their addresses. Clones are the same repositories.
#[derive(Clone, Default)]
pub struct MemoryRemotes {
    remotes: Arc<Mutex<Remotes>>,
}

/// What a state directory keeps of remotes in memory: what was fetched. Clones are the same mirrors.
#[derive(Debug, Clone, Default)]
pub struct MemoryMirrors {
    commits: Arc<Mutex<BTreeMap<String, BTreeSet<ObjectId>>>>,
}

/// A commit to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// `Name <address>`.
    pub author: Text,
    pub time: Timestamp,
    /// Its first line is the subject.
    pub message: String,
    /// What becomes of paths from the repository's root, in order.
    pub edits: Vec<(String, Edit)>,
}

/// What a commit does at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    Write(Vec<u8>),
    /// A symbolic link with this target.
    Link(String),
    /// Removes a file, or a directory with everything in it.
    Remove,
}

/// How a remote behaves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Conduct {
    /// Before the answer arrives, which shows what was there when it was asked for.
    pub delay: Duration,
    pub outage: Option<Outage>,
    /// Its answers show what was there when this was set: a replica that has fallen behind.
    pub is_stale: bool,
}

/// Why a remote gives no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outage {
    Unreachable,
    /// It wants other credentials.
    Refused,
    /// It says that there is no such repository.
    NotFound,
}

/// What a trip to a remote brings home.
#[derive(Debug)]
pub struct Brought {
    pub listing: String,
    /// Everything that its references reach.
    pub commits: BTreeSet<ObjectId>,
}

#[derive(Default)]
struct Remotes {
    store: Store,
    by_address: BTreeMap<String, Remote>,
    /// Slow answers that somebody waits for.
    n_under_way: usize,
}

/// A slow answer that somebody waits for, until dropped.
struct UnderWay<'a>(&'a MemoryRemotes);

impl<'a> UnderWay<'a> {
    fn begin(remotes: &'a MemoryRemotes) -> Self {
        remotes.held().n_under_way += 1;
        Self(remotes)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.held().n_under_way -= 1;
    }
}

/// References by their full names.
type References = BTreeMap<String, ObjectId>;

#[derive(Debug, Clone, Default)]
struct Remote {
    references: References,
    /// Every commit that was ever pushed, as hosts keep them.
    commits: BTreeSet<ObjectId>,
    conduct: Conduct,
    /// The references when it fell behind.
    stale: Option<References>,
    n_trips: u64,
}

impl MemoryRemotes {
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty repository, unless there is one.
    pub fn create(&self, repo: &RepoUrl) {
        self.held().remote(repo);
    }

    /// Commits to a branch, upon what it has; makes the branch and the repository where they are not there.
    pub fn commit(&self, repo: &RepoUrl, branch: &str, commit: &NewCommit) -> CommitId {
        let parent = self.branch(repo, branch);
        let made = self.commit_upon(repo, parent.as_slice(), commit);
        self.point(repo, &format!("refs/heads/{branch}"), made);
        made
    }

    /// Makes a commit upon others, with the files of the first of them, that no reference leads to yet. Parents that the
    /// repository has not got count as empty.
    pub fn commit_upon(&self, repo: &RepoUrl, parents: &[CommitId], commit: &NewCommit) -> CommitId {
        let mut held = self.held();
        let parents: Vec<ObjectId> = parents.iter().map(|parent| object_id(*parent)).collect();
        let made = held.store.commit(&parents, commit);
        held.remote(repo).commits.insert(made);
        commit_id(made)
    }

    /// Lets a reference, by its full name, mean a commit, whatever it meant before: a push by force, a tag, a pull request.
    pub fn point(&self, repo: &RepoUrl, reference: &str, commit: CommitId) {
        let mut held = self.held();
        let remote = held.remote(repo);
        remote.commits.insert(object_id(commit));
        remote.references.insert(reference.to_owned(), object_id(commit));
    }

    /// Removes a reference, by its full name.
    pub fn remove(&self, repo: &RepoUrl, reference: &str) {
        self.held().remote(repo).references.remove(reference);
    }

    /// The commit of a branch, whatever the remote's conduct is.
    pub fn branch(&self, repo: &RepoUrl, branch: &str) -> Option<CommitId> {
        let held = self.held();
        let remote = held.by_address.get(repo.normalised())?;
        remote.references.get(&format!("refs/heads/{branch}")).copied().map(commit_id)
    }

    /// The files of a commit with what they hold; of a link, where it points to.
    pub fn files(&self, commit: CommitId) -> BTreeMap<String, Vec<u8>> {
        self.held().store.files(object_id(commit))
    }

    pub fn set_conduct(&self, repo: &RepoUrl, conduct: Conduct) {
        let mut held = self.held();
        let remote = held.remote(repo);
        remote.stale = match (conduct.is_stale, remote.stale.take()) {
            (false, _) => None,
            (true, Some(stale)) => Some(stale),
            (true, None) => Some(remote.references.clone()),
        };
        remote.conduct = conduct;
    }

    pub fn conduct(&self, repo: &RepoUrl) -> Conduct {
        self.held().remote(repo).conduct.clone()
    }

    /// How often a remote was asked, answered or not.
    pub fn n_trips(&self, repo: &RepoUrl) -> u64 {
        self.held().by_address.get(repo.normalised()).map_or(0, |remote| remote.n_trips)
    }

    /// Whether somebody still waits for a slow answer: one that was asked for stays slow when its remote is quick again.
    pub fn is_answering(&self) -> bool {
        self.held().n_under_way > 0
    }

    /// Goes to a remote and back.
    pub(crate) async fn trip(&self, repo: &RepoUrl, timeout: Duration) -> Result<Brought, SourceError> {
        let (delay, answer) = self.held().answer(repo);
        let _under_way = (!delay.is_zero()).then(|| UnderWay::begin(self));
        if delay >= timeout {
            tokio::time::sleep(timeout).await;
            return Err(SourceError::TimedOut { repo: repo.clone(), after: timeout });
        }
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        answer.map_err(|outage| classify(repo, None, &outage.words(repo)))
    }

    /// A commit with everything before it, if the remote was ever sent it.
    pub(crate) fn history(&self, repo: &RepoUrl, commit: CommitId) -> Option<BTreeSet<ObjectId>> {
        let mut held = self.held();
        let is_here = held.remote(repo).commits.contains(&object_id(commit));
        is_here.then(|| held.store.history([object_id(commit)]))
    }

    fn held(&self) -> MutexGuard<'_, Remotes> {
        held(&self.remotes)
    }
}

impl fmt::Debug for MemoryRemotes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.held();
        out.debug_set().entries(held.by_address.keys()).finish()
    }
}

impl Remotes {
    fn remote(&mut self, repo: &RepoUrl) -> &mut Remote {
        self.by_address.entry(repo.normalised().to_string()).or_default()
    }

    fn answer(&mut self, repo: &RepoUrl) -> (Duration, Result<Brought, Outage>) {
        let Some(remote) = self.by_address.get_mut(repo.normalised()) else {
            return (Duration::ZERO, Err(Outage::NotFound));
        };
        remote.n_trips += 1;
        let delay = remote.conduct.delay;
        if let Some(outage) = remote.conduct.outage {
            return (delay, Err(outage));
        }
        let references = remote.stale.as_ref().unwrap_or(&remote.references);
        let commits = self.store.history(references.values().copied());
        (delay, Ok(Brought { listing: listing(references), commits }))
    }
}

/// As `git ls-remote --symref` prints references.
fn listing(references: &References) -> String {
    let head = references.get(DEFAULT_BRANCH);
    let head = head.map(|head| format!("ref: {DEFAULT_BRANCH}\tHEAD\n{head}\tHEAD\n"));
    let lines = references.iter().map(|(name, commit)| format!("{commit}\t{name}\n"));
    head.into_iter().chain(lines).collect()
}

impl Outage {
    /// What git says then.
    fn words(self, repo: &RepoUrl) -> String {
        match self {
            Self::Unreachable => {
                format!("fatal: unable to access '{repo}': Failed to connect to the host: Connection refused")
            }
            Self::Refused => format!("fatal: Authentication failed for '{repo}'"),
            Self::NotFound => format!("fatal: repository '{repo}' not found"),
        }
    }
}

impl MemoryMirrors {
    pub fn new() -> Self {
        Self::default()
    }

    pub(crate) fn add(&self, repo: &RepoUrl, commits: BTreeSet<ObjectId>) {
        held(&self.commits).entry(repo.normalised().to_string()).or_default().extend(commits);
    }

    /// Runs work on what was fetched of a repository.
    pub(crate) fn read<T>(
        &self,
        remotes: &MemoryRemotes,
        repo: &RepoUrl,
        work: impl FnOnce(&dyn Objects) -> T,
    ) -> T {
        let fetched = held(&self.commits);
        let remotes = remotes.held();
        let nothing = BTreeSet::new();
        let fetched = fetched.get(repo.normalised()).unwrap_or(&nothing);
        work(&Mirrored { store: &remotes.store, fetched })
    }
}

/// The objects of a mirror: those of the commits that were fetched.
struct Mirrored<'a> {
    store: &'a Store,
    fetched: &'a BTreeSet<ObjectId>,
}

impl Objects for Mirrored<'_> {
    fn header(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, TreeError> {
        let header = self.store.header(id);
        Ok(header.filter(|(kind, _)| *kind != Kind::Commit || self.fetched.contains(&id)))
    }

    fn content(&self, id: ObjectId, kind: Kind) -> Result<Vec<u8>, TreeError> {
        self.store.content(id, kind)
    }

    fn starting_with(&self, digits: &str) -> Result<Option<ObjectId>, TreeError> {
        let mut found = self.fetched.iter().filter(|id| id.to_string().starts_with(digits));
        // Two are as good as none: the digits do not say which.
        Ok(found.next().copied().filter(|_| found.next().is_none()))
    }
}

fn commit_id(id: ObjectId) -> CommitId {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(id.as_bytes());
    CommitId::from_bytes(bytes)
}

/// A panic elsewhere cannot leave half a change: every change is made while its lock is held.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
