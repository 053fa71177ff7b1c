//! Where manifests come from: repository addresses, revisions, commits, and the files that were read of one.
//!
//! The shell that speaks Git produces these values and the shell that renders consumes them, so that the two need
//! not meet. Nothing here reads anything. A [`RepoUrl`] never prints the credentials that it was written with.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;
use trueup_object::{Text, Timestamp};

mod id;
mod url;

pub use id::{BlobId, CommitId, IdError, TreeId};
pub use url::{Credentials, RepoUrl, RepoUrlError, SecretText, Transport};

/// Whose fault an error is. Decides exit code, condition reason, retry and log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A manifest, a policy or a flag must be changed.
    User,
    /// The cluster, Git or the network did not do its part.
    World,
    /// A bug of trueup.
    Ours,
}

/// What went wrong with a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceErrorKind {
    /// The address is not one that can be read.
    InvalidAddress,
    /// No connection, no such host, or the connection broke.
    Unreachable,
    /// The remote did not answer in time.
    TimedOut,
    /// The remote wants credentials, or refuses those it was given.
    Authentication,
    /// There is no repository at the address, or none that these credentials may see.
    NotARepository,
    /// The repository has no such branch, tag or commit.
    UnknownRevision,
    /// The commit has no such path.
    MissingPath,
    /// The path is a file.
    NotADirectory,
    /// More bytes than the limit for one source.
    TooLarge,
    /// Something that this build does not know how to read; nothing may be applied from it.
    Unsupported,
    /// The `git` program is missing or cannot be started.
    ToolMissing,
    /// The local copy cannot be used (disk full, permissions), even after it was made anew.
    Storage,
    /// A rule of our own code was broken.
    Internal,
}

/// A revision as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Revision {
    /// The remote's default branch.
    Head,
    /// A branch, a tag, a full reference or a commit.
    Named(Text),
}

/// Why a text is not a revision.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RevisionError {
    /// Git forbids these characters in names; Argo CD reads such a text as a version constraint.
    #[error("read the revision {0:?}: version constraints are not supported")]
    Constraint(Text),
    #[error("read the revision {0:?}: it is not a name that Git allows")]
    NotAName(Text),
}

/// A directory inside a repository: relative, without `.` and `..`; empty for the root.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourcePath(Text);

/// Why a text is not a path inside a repository.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourcePathError {
    #[error("read the path {0:?}: it is absolute, and must be relative to the repository's root")]
    Absolute(Text),
    #[error("read the path {0:?}: it leaves the repository")]
    Outside(Text),
}

/// One file of a source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// Relative to the source's path, with `/` between names.
    pub path: Text,
    pub bytes: Arc<[u8]>,
}

/// Why an entry of a source was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SkipReason {
    /// A symbolic link that leaves the repository.
    LinkOutside { target: Text },
    /// A symbolic link to nothing, or to itself.
    LinkBroken { target: Text },
    /// A symbolic link to a directory or to something else that is not a file.
    LinkNotAFile { target: Text },
    /// A submodule: another repository, which is not read.
    Submodule,
}

/// An entry that was asked for and not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SkippedEntry {
    /// Relative to the source's path.
    pub path: Text,
    pub reason: SkipReason,
}

/// What was at a path when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadId {
    Tree(TreeId),
    Blob(BlobId),
    /// Looked for and not found: the read changes when something appears here.
    Absent,
}

/// Everything that a reading of a repository depended on: paths from the repository's root, and what was there.
///
/// A commit in which every path has the same identity gives the same files, so it needs no new render.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReadSet {
    entries: BTreeMap<Text, ReadId>,
}

/// The files of one directory of one commit, as far as they were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceTree {
    pub repo: RepoUrl,
    pub commit: CommitId,
    pub path: SourcePath,
    /// The identity of the directory: equal identities have equal content.
    pub tree: TreeId,
    /// Names of everything directly in the directory, whether asked for or not, sorted.
    pub root_names: Vec<Text>,
    /// Files whose content was asked for, in the order in which a walk finds them: names sorted in every directory.
    pub files: Vec<SourceFile>,
    /// Files of which only the name was asked for, in the same order.
    pub named: Vec<Text>,
    /// Entries that were asked for and could not be read, in the same order. The source is incomplete without them.
    pub skipped: Vec<SkippedEntry>,
    pub read_set: ReadSet,
}

/// How much of a file a reader wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interest {
    /// The bytes, counted against the limit.
    Content,
    /// That it is there.
    Name,
    Nothing,
}

/// Which files of a directory are wanted.
#[derive(Clone)]
pub struct ReadFilter {
    /// Whether files of directories below are asked about.
    pub recurse: bool,
    /// Asked for every file with its path relative to the source's path.
    pub interest: Arc<dyn Fn(&str) -> Interest + Send + Sync>,
    /// The largest sum of the sizes of the files whose content is wanted.
    pub bytes_max: u64,
}

/// What is shown of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitFacts {
    pub id: CommitId,
    /// `Name <address>`.
    pub author: Text,
    /// When it was committed, which after a rebase is later than when it was written.
    pub time: Timestamp,
    /// The first line of the message.
    pub subject: Text,
}

impl SourceErrorKind {
    pub fn fault(self) -> Fault {
        match self {
            Self::InvalidAddress
            | Self::Authentication
            | Self::NotARepository
            | Self::UnknownRevision
            | Self::MissingPath
            | Self::NotADirectory
            | Self::TooLarge
            | Self::Unsupported => Fault::User,
            Self::Unreachable | Self::TimedOut | Self::ToolMissing | Self::Storage => Fault::World,
            Self::Internal => Fault::Ours,
        }
    }

    /// Whether the same request may succeed later with nobody changing the Application.
    pub fn is_retryable(self) -> bool {
        match self {
            Self::Unreachable
            | Self::TimedOut
            | Self::Authentication
            | Self::NotARepository
            | Self::UnknownRevision
            | Self::MissingPath
            | Self::NotADirectory
            | Self::TooLarge
            | Self::ToolMissing
            | Self::Storage => true,
            Self::InvalidAddress | Self::Unsupported | Self::Internal => false,
        }
    }
}

impl Revision {
    /// Reads a target revision; empty means the default branch.
    pub fn parse(text: &str) -> Result<Self, RevisionError> {
        let text = text.trim();
        if text.is_empty() || text == "HEAD" {
            return Ok(Self::Head);
        }
        if text.contains(['*', '^', '~', '>', '<', '=', ' ', ',']) {
            return Err(RevisionError::Constraint(Text::from(text)));
        }
        // The rules of git-check-ref-format, and no leading dash, which a program could take for an option.
        let is_name = !text.starts_with(['-', '/'])
            && !text.ends_with(['/', '.'])
            && !text.contains("..")
            && !text.contains("@{")
            && !text.contains("//")
            && !text.chars().any(|letter| letter.is_control() || matches!(letter, '?' | '[' | ':' | '\\'))
            && !text.split('/').any(|part| part.starts_with('.') || part.ends_with(".lock"));
        if is_name {
            Ok(Self::Named(Text::from(text)))
        } else {
            Err(RevisionError::NotAName(Text::from(text)))
        }
    }

    pub fn as_str(&self) -> &str {
        match self {
            Self::Head => "HEAD",
            Self::Named(name) => name,
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl SourcePath {
    /// Reads a path as an Application has it; empty and `.` mean the root.
    pub fn parse(text: &str) -> Result<Self, SourcePathError> {
        if text.starts_with('/') {
            return Err(SourcePathError::Absolute(Text::from(text)));
        }
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    if parts.pop().is_none() {
                        return Err(SourcePathError::Outside(Text::from(text)));
                    }
                }
                name => parts.push(name),
            }
        }
        Ok(Self(Text::from(parts.join("/"))))
    }

    /// Without slashes at either end; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The path from the repository's root of something relative to this directory.
    pub fn join(&self, relative: &str) -> Text {
        if self.is_root() { Text::from(relative) } else { Text::from(format!("{}/{relative}", self.0)) }
    }
}

/// The root prints as `.`.
impl fmt::Display for SourcePath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.is_root() { "." } else { &self.0 })
    }
}

impl fmt::Display for SkippedEntry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.reason {
            SkipReason::LinkOutside { target } => {
                write!(out, "{path}: a symbolic link to {target}, outside the repository, is not followed")
            }
            SkipReason::LinkBroken { target } => {
                write!(out, "{path}: a symbolic link to {target}, which is not there")
            }
            SkipReason::LinkNotAFile { target } => {
                write!(out, "{path}: a symbolic link to {target}, which is not a file")
            }
            SkipReason::Submodule => write!(out, "{path}: a submodule, which is not read"),
        }
    }
}

impl ReadSet {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn insert(&mut self, path: impl Into<Text>, id: ReadId) {
        self.entries.insert(path.into(), id);
    }

    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, ReadId)> {
        self.entries.iter().map(|(path, id)| (path.as_str(), *id))
    }

    pub fn paths(&self) -> impl ExactSizeIterator<Item = &str> {
        self.entries.keys().map(Text::as_str)
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl fmt::Debug for ReadFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { recurse, interest: _, bytes_max } = self;
        out.debug_struct("ReadFilter")
            .field("recurse", recurse)
            .field("bytes_max", bytes_max)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
