//! Why a source could not be read, with what to do about it.

use std::time::Duration;

use thiserror::Error;
use trueup_engine::source::{CommitId, Fault, RepoUrl, Revision, SourceErrorKind, SourcePath};

/// Why a source could not be read.
///
/// Cheap to clone, since all requests that shared a trip to the remote get the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SourceError {
    #[error("reach {repo}: {detail}")]
    Unreachable { repo: RepoUrl, detail: String },
    #[error("read {repo}: no answer within {} s", .after.as_secs())]
    TimedOut { repo: RepoUrl, after: Duration },
    #[error("be let in by {repo}: {detail}")]
    Authentication { repo: RepoUrl, detail: String, hint: &'static str },
    #[error("find a repository at {repo}: {detail}")]
    NotARepository { repo: RepoUrl, detail: String },
    #[error("find the revision {revision} in {repo}")]
    UnknownRevision { repo: RepoUrl, revision: Revision },
    #[error("find the path {path} in {repo} at {}", .commit.short())]
    MissingPath { repo: RepoUrl, commit: CommitId, path: SourcePath },
    #[error("read the directory {path} in {repo} at {}: it is a file", .commit.short())]
    NotADirectory { repo: RepoUrl, commit: CommitId, path: SourcePath },
    #[error("read the directory {path} in {repo}: {what}, more than the limit of {limit}")]
    TooLarge { repo: RepoUrl, path: SourcePath, what: String, limit: String },
    #[error("read {path} in {repo}: {what}")]
    Unsupported { repo: RepoUrl, path: SourcePath, what: &'static str },
    #[error("run git: {detail}")]
    ToolMissing { detail: String },
    #[error("keep the mirror of {repo}: {detail}")]
    Storage { repo: RepoUrl, detail: String },
    #[error("read {repo}: {detail}")]
    Internal { repo: RepoUrl, detail: String },
}

impl SourceError {
    pub fn kind(&self) -> SourceErrorKind {
        match self {
            Self::Unreachable { .. } => SourceErrorKind::Unreachable,
            Self::TimedOut { .. } => SourceErrorKind::TimedOut,
            Self::Authentication { .. } => SourceErrorKind::Authentication,
            Self::NotARepository { .. } => SourceErrorKind::NotARepository,
            Self::UnknownRevision { .. } => SourceErrorKind::UnknownRevision,
            Self::MissingPath { .. } => SourceErrorKind::MissingPath,
            Self::NotADirectory { .. } => SourceErrorKind::NotADirectory,
            Self::TooLarge { .. } => SourceErrorKind::TooLarge,
            Self::Unsupported { .. } => SourceErrorKind::Unsupported,
            Self::ToolMissing { .. } => SourceErrorKind::ToolMissing,
            Self::Storage { .. } => SourceErrorKind::Storage,
            Self::Internal { .. } => SourceErrorKind::Internal,
        }
    }

    pub fn fault(&self) -> Fault {
        self.kind().fault()
    }

    pub fn is_retryable(&self) -> bool {
        self.kind().is_retryable()
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "check the host's name, the network and any proxy; it is tried again by itself"
            }
            Self::TimedOut { .. } => {
                "check whether the host is slow or a firewall drops its answers; it is tried again by itself"
            }
            Self::Authentication { hint, .. } => hint,
            Self::NotARepository { .. } => {
                "check spec.source.repoURL; many hosts answer `not found` for a private repository without credentials"
            }
            Self::UnknownRevision { .. } => {
                "check spec.source.targetRevision: it must be a branch, a tag or a commit that was pushed"
            }
            Self::MissingPath { .. } => {
                "check spec.source.path at that revision; paths are relative to the repository's root"
            }
            Self::NotADirectory { .. } => {
                "set spec.source.path to the directory that holds the file, and name the file in directory.include"
            }
            Self::TooLarge { .. } => "narrow spec.source.path, or leave files out with directory.exclude",
            Self::Unsupported { .. } => {
                "choose a path that this build can read; nothing is applied from this one"
            }
            Self::ToolMissing { .. } => "install git 2.31 or newer and make sure that it is on the PATH",
            Self::Storage { .. } => "check free space and permissions of the state directory",
            Self::Internal { .. } => "this is a bug of trueup; please report it with the log around it",
        }
    }

    /// The message with the repository that was asked for, once: most messages name it.
    pub fn naming(&self, repo: &RepoUrl) -> String {
        let (message, repo) = (self.to_string(), repo.to_string());
        if message.contains(&repo) { message } else { format!("{message} ({repo})") }
    }

    /// Whether the mirror itself is what failed, so that making it anew may help.
    pub(crate) fn blames_mirror(&self) -> bool {
        matches!(self, Self::Storage { .. })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_named_once() {
        let repo = RepoUrl::parse("https://example.com/shop.git").unwrap();
        let revision = Revision::parse("nowhere").unwrap();
        let unknown = SourceError::UnknownRevision { repo: repo.clone(), revision };
        assert_eq!(unknown.naming(&repo), "find the revision nowhere in https://example.com/shop.git");
        let missing = SourceError::ToolMissing { detail: "not found".to_owned() };
        assert_eq!(missing.naming(&repo), "run git: not found (https://example.com/shop.git)");
    }
}
