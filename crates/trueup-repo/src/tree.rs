//! Reads commits, directories and files straight from a mirror, without a checkout. Blocking.

use std::path::Path;
use std::sync::Arc;

use gix::bstr::ByteSlice;
use gix::object::Kind;
use gix::objs::tree::EntryKind;
use gix::{ObjectId, Repository};
use trueup_engine::source::{
    BlobId, CommitFacts, CommitId, Interest, ReadFilter, ReadId, ReadSet, RepoUrl, SkipReason, SkippedEntry,
    SourceFile, SourcePath, SourceTree, TreeId,
};
use trueup_object::{Text, Timestamp};

mod link;

use link::{Found, LinkFailure, Walker};

/// The largest directory that is walked: ten times the biggest monorepo of manifests known to us.
const ENTRIES_MAX: usize = 500_000;

/// Deeper nesting than any path that an operating system takes.
const DEPTH_MAX: usize = 200;

/// Why something was not read.
#[derive(Debug)]
pub enum TreeError {
    /// The mirror has not got the commit, or there is no mirror yet.
    NoCommit,
    /// Objects that must be there are not, or cannot be decoded.
    Damaged(String),
    MissingPath,
    NotADirectory,
    TooLarge {
        what: String,
        limit: String,
    },
    Unsupported(&'static str),
}

/// Opens a mirror, without any configuration but its own.
pub fn open(directory: &Path) -> Result<Repository, TreeError> {
    if !directory.join("HEAD").exists() {
        return Err(TreeError::NoCommit);
    }
    gix::open_opts(directory, gix::open::Options::isolated()).map_err(damaged)
}

/// Whether the mirror has a commit.
pub fn has_commit(repository: &Repository, commit: CommitId) -> Result<bool, TreeError> {
    let header = repository.try_find_header(object_id(commit)).map_err(damaged)?;
    Ok(header.is_some_and(|header| header.kind() == Kind::Commit))
}

/// The one commit whose id starts with these digits.
pub fn find_abbreviation(repository: &Repository, digits: &str) -> Result<Option<CommitId>, TreeError> {
    let Ok(prefix) = gix::hash::Prefix::from_hex(digits) else {
        return Ok(None);
    };
    let found = repository.objects.lookup_prefix(prefix, None).map_err(damaged)?;
    let Some(Ok(id)) = found else {
        return Ok(None);
    };
    let commit = CommitId::from_bytes(bytes_of(id)?);
    Ok(has_commit(repository, commit)?.then_some(commit))
}

/// What is shown of a commit.
pub fn commit_facts(repository: &Repository, id: CommitId) -> Result<CommitFacts, TreeError> {
    let commit = find_commit(repository, id)?;
    let author = commit.author().map_err(damaged)?;
    let seconds = commit.time().map_err(damaged)?.seconds;
    // Years outside of what a timestamp can hold come from broken tools; the epoch shows that.
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let message = commit.message().map_err(damaged)?;
    Ok(CommitFacts {
        id,
        author: Text::from(format!("{} <{}>", author.name.to_str_lossy(), author.email.to_str_lossy())),
        time,
        subject: Text::from(message.summary().to_str_lossy()),
    })
}

/// The identity of a directory, following symbolic links on the way to it.
pub fn tree_id(repository: &Repository, id: CommitId, path: &SourcePath) -> Result<TreeId, TreeError> {
    let walker = Walker::new(repository, find_root(repository, id)?);
    let (_, tree) = find_directory(&walker, path, &mut ReadSet::new())?;
    Ok(TreeId::from_bytes(bytes_of(tree)?))
}

/// What is now at the paths of an earlier reading.
pub fn identify(repository: &Repository, id: CommitId, earlier: &ReadSet) -> Result<ReadSet, TreeError> {
    let walker = Walker::new(repository, find_root(repository, id)?);
    let mut now = ReadSet::new();
    for path in earlier.paths() {
        now.insert(path, walker.identity(path)?);
    }
    Ok(now)
}

/// Reads the files of a directory that a filter asks for.
pub fn read(
    repository: &Repository,
    repo: &RepoUrl,
    id: CommitId,
    path: &SourcePath,
    filter: &ReadFilter,
) -> Result<SourceTree, TreeError> {
    let walker = Walker::new(repository, find_root(repository, id)?);
    let mut read_set = ReadSet::new();
    let (directory, tree) = find_directory(&walker, path, &mut read_set)?;
    let mut reading = Reading {
        walker,
        filter,
        directory,
        read_set,
        wanted: Vec::new(),
        named: Vec::new(),
        skipped: Vec::new(),
        root_names: Vec::new(),
        n_entries: 0,
        n_bytes: 0,
    };
    reading.walk(tree, "", 0)?;
    let files = reading.load()?;
    let Reading { read_set, mut named, mut skipped, mut root_names, .. } = reading;
    named.sort_by(|left, right| walk_order(left).cmp(walk_order(right)));
    skipped.sort_by(|left, right| walk_order(&left.path).cmp(walk_order(&right.path)));
    root_names.sort();
    Ok(SourceTree {
        repo: repo.clone(),
        commit: id,
        path: path.clone(),
        tree: TreeId::from_bytes(bytes_of(tree)?),
        root_names,
        files,
        named,
        skipped,
        read_set,
    })
}

/// One reading of a directory on its way.
struct Reading<'a> {
    walker: Walker<'a>,
    filter: &'a ReadFilter,
    /// The directory's own path, links resolved.
    directory: String,
    read_set: ReadSet,
    wanted: Vec<(Text, ObjectId)>,
    named: Vec<Text>,
    skipped: Vec<SkippedEntry>,
    root_names: Vec<Text>,
    n_entries: usize,
    n_bytes: u64,
}

impl Reading<'_> {
    fn walk(&mut self, tree: ObjectId, below: &str, depth: usize) -> Result<(), TreeError> {
        if depth > DEPTH_MAX {
            let what = format!("directories nested deeper than {DEPTH_MAX}");
            return Err(TreeError::TooLarge { what, limit: DEPTH_MAX.to_string() });
        }
        for (name, kind, id) in self.walker.entries(tree)? {
            self.n_entries += 1;
            if self.n_entries > ENTRIES_MAX {
                let what = format!("more than {ENTRIES_MAX} files");
                return Err(TreeError::TooLarge { what, limit: ENTRIES_MAX.to_string() });
            }
            if below.is_empty() {
                self.root_names.push(name.clone());
            }
            let path = if below.is_empty() { name } else { Text::from(format!("{below}/{name}")) };
            match kind {
                EntryKind::Tree if self.filter.recurse => self.walk(id, &path, depth + 1)?,
                EntryKind::Tree => {}
                EntryKind::Commit if self.filter.recurse => {
                    self.skipped.push(SkippedEntry { path, reason: SkipReason::Submodule });
                }
                EntryKind::Commit => {}
                EntryKind::Blob | EntryKind::BlobExecutable => {
                    let interest = (self.filter.interest)(&path);
                    self.take(path, id, interest)?;
                }
                EntryKind::Link => self.take_link(path, id)?,
            }
        }
        Ok(())
    }

    fn take(&mut self, path: Text, id: ObjectId, interest: Interest) -> Result<(), TreeError> {
        match interest {
            Interest::Nothing => {}
            Interest::Name => self.named.push(path),
            Interest::Content => {
                // Sizes are summed up before anything is loaded, so that a huge directory costs no memory.
                self.n_bytes += self.walker.size(id)?;
                if self.n_bytes > self.filter.bytes_max {
                    let what = format!("manifests of more than {} bytes", self.filter.bytes_max);
                    let limit = format!("{} MiB", self.filter.bytes_max >> 20);
                    return Err(TreeError::TooLarge { what, limit });
                }
                self.wanted.push((path, id));
            }
        }
        Ok(())
    }

    fn take_link(&mut self, path: Text, id: ObjectId) -> Result<(), TreeError> {
        let interest = (self.filter.interest)(&path);
        if interest == Interest::Nothing {
            return Ok(());
        }
        let from_root = if self.directory.is_empty() {
            path.clone()
        } else {
            Text::from(format!("{}/{path}", self.directory))
        };
        let reason = match self.walker.find(&from_root, &mut self.read_set)? {
            Ok((at, Found::Blob(target))) => {
                self.read_set.insert(at, ReadId::Blob(BlobId::from_bytes(bytes_of(target)?)));
                return self.take(path, target, interest);
            }
            Ok((_, Found::Tree(_))) => SkipReason::LinkNotAFile { target: self.walker.link_target(id)? },
            Err(LinkFailure::Outside) => SkipReason::LinkOutside { target: self.walker.link_target(id)? },
            Err(LinkFailure::Missing | LinkFailure::NotADirectory | LinkFailure::Loop) => {
                SkipReason::LinkBroken { target: self.walker.link_target(id)? }
            }
            Err(LinkFailure::Submodule) => SkipReason::Submodule,
        };
        self.skipped.push(SkippedEntry { path, reason });
        Ok(())
    }

    fn load(&mut self) -> Result<Vec<SourceFile>, TreeError> {
        self.wanted.sort_by(|(left, _), (right, _)| walk_order(left).cmp(walk_order(right)));
        let wanted = std::mem::take(&mut self.wanted);
        wanted
            .into_iter()
            .map(|(path, id)| Ok(SourceFile { path, bytes: Arc::from(self.walker.content(id)?) }))
            .collect()
    }
}

/// Names compared directory by directory, as a walk over sorted directories meets them.
fn walk_order(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
}

fn find_commit(repository: &Repository, id: CommitId) -> Result<gix::Commit<'_>, TreeError> {
    if !has_commit(repository, id)? {
        return Err(TreeError::NoCommit);
    }
    repository.find_commit(object_id(id)).map_err(damaged)
}

fn find_root(repository: &Repository, id: CommitId) -> Result<ObjectId, TreeError> {
    Ok(find_commit(repository, id)?.tree_id().map_err(damaged)?.detach())
}

/// A source's directory: its path with links resolved, and its tree.
fn find_directory(
    walker: &Walker<'_>,
    path: &SourcePath,
    read_set: &mut ReadSet,
) -> Result<(String, ObjectId), TreeError> {
    match walker.find(path.as_str(), read_set)? {
        Ok((at, Found::Tree(tree))) => {
            read_set.insert(at.as_str(), ReadId::Tree(TreeId::from_bytes(bytes_of(tree)?)));
            Ok((at, tree))
        }
        Ok((_, Found::Blob(_))) => Err(TreeError::NotADirectory),
        Err(LinkFailure::Missing | LinkFailure::NotADirectory | LinkFailure::Loop) => {
            Err(TreeError::MissingPath)
        }
        Err(LinkFailure::Outside) => {
            Err(TreeError::Unsupported("a symbolic link leads out of the repository"))
        }
        Err(LinkFailure::Submodule) => {
            Err(TreeError::Unsupported("it is inside a submodule, which is not read"))
        }
    }
}

fn object_id(id: CommitId) -> ObjectId {
    ObjectId::Sha1(*id.as_bytes())
}

fn bytes_of(id: ObjectId) -> Result<[u8; 20], TreeError> {
    id.as_bytes().try_into().map_err(|_| TreeError::Unsupported("the repository does not use SHA-1"))
}

fn damaged(error: impl std::fmt::Display) -> TreeError {
    TreeError::Damaged(error.to_string())
}
