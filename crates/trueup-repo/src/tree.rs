//! Reads commits, directories and files straight from a mirror, without a checkout. Blocking.

use std::path::Path;
use std::sync::Arc;

use gix::bstr::ByteSlice;
use gix::object::Kind;
use gix::objs::CommitRefIter;
use gix::objs::commit::MessageRef;
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

/// Objects as Git stores them, wherever they are kept.
pub trait Objects {
    /// Kind and size of an object, if it is there.
    fn header(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, TreeError>;

    /// What an object holds. It is of the kind that its place promises, or something is damaged.
    fn content(&self, id: ObjectId, kind: Kind) -> Result<Vec<u8>, TreeError>;

    /// The one object whose id starts with these digits.
    fn starting_with(&self, digits: &str) -> Result<Option<ObjectId>, TreeError>;
}

impl Objects for Repository {
    fn header(&self, id: ObjectId) -> Result<Option<(Kind, u64)>, TreeError> {
        let header = self.try_find_header(id).map_err(damaged)?;
        Ok(header.map(|header| (header.kind(), header.size())))
    }

    fn content(&self, id: ObjectId, kind: Kind) -> Result<Vec<u8>, TreeError> {
        let object = self.find_object(id).map_err(damaged)?.detach();
        if object.kind == kind { Ok(object.data) } else { Err(not_of_kind(id, kind)) }
    }

    fn starting_with(&self, digits: &str) -> Result<Option<ObjectId>, TreeError> {
        let Ok(prefix) = gix::hash::Prefix::from_hex(digits) else {
            return Ok(None);
        };
        let found = self.objects.lookup_prefix(prefix, None).map_err(damaged)?;
        Ok(found.and_then(Result::ok))
    }
}

pub fn not_of_kind(id: ObjectId, kind: Kind) -> TreeError {
    TreeError::Damaged(format!("{id} is no {kind}"))
}

/// Opens a mirror, without any configuration but its own.
pub fn open(directory: &Path) -> Result<Repository, TreeError> {
    if !directory.join("HEAD").exists() {
        return Err(TreeError::NoCommit);
    }
    gix::open_opts(directory, gix::open::Options::isolated()).map_err(damaged)
}

/// Whether the mirror has a commit.
pub fn has_commit(objects: &dyn Objects, commit: CommitId) -> Result<bool, TreeError> {
    let header = objects.header(object_id(commit))?;
    Ok(header.is_some_and(|(kind, _)| kind == Kind::Commit))
}

/// The one commit whose id starts with these digits.
pub fn find_abbreviation(objects: &dyn Objects, digits: &str) -> Result<Option<CommitId>, TreeError> {
    let Some(id) = objects.starting_with(digits)? else {
        return Ok(None);
    };
    let commit = CommitId::from_bytes(bytes_of(id)?);
    Ok(has_commit(objects, commit)?.then_some(commit))
}

/// What is shown of a commit.
pub fn commit_facts(objects: &dyn Objects, id: CommitId) -> Result<CommitFacts, TreeError> {
    let data = find_commit(objects, id)?;
    let commit = || CommitRefIter::from_bytes(&data, gix::hash::Kind::Sha1);
    let author = commit().author().map_err(damaged)?.trim();
    let seconds = commit().committer().map_err(damaged)?.time().map_err(damaged)?.seconds;
    // Years outside of what a timestamp can hold come from broken tools; the epoch shows that.
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
    let message = MessageRef::from_bytes(commit().message().map_err(damaged)?);
    Ok(CommitFacts {
        id,
        author: Text::from(format!("{} <{}>", author.name.to_str_lossy(), author.email.to_str_lossy())),
        time,
        subject: Text::from(message.summary().to_str_lossy()),
    })
}

/// The identity of a directory, following symbolic links on the way to it.
pub fn tree_id(objects: &dyn Objects, id: CommitId, path: &SourcePath) -> Result<TreeId, TreeError> {
    let walker = Walker::new(objects, find_root(objects, id)?);
    let (_, tree) = find_directory(&walker, path, &mut ReadSet::new())?;
    Ok(TreeId::from_bytes(bytes_of(tree)?))
}

/// What is now at the paths of an earlier reading.
pub fn identify(objects: &dyn Objects, id: CommitId, earlier: &ReadSet) -> Result<ReadSet, TreeError> {
    let walker = Walker::new(objects, find_root(objects, id)?);
    let mut now = ReadSet::new();
    for path in earlier.paths() {
        now.insert(path, walker.identity(path)?);
    }
    Ok(now)
}

/// Reads the files of a directory that a filter asks for.
pub fn read(
    objects: &dyn Objects,
    repo: &RepoUrl,
    id: CommitId,
    path: &SourcePath,
    filter: &ReadFilter,
) -> Result<SourceTree, TreeError> {
    let walker = Walker::new(objects, find_root(objects, id)?);
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

fn find_commit(objects: &dyn Objects, id: CommitId) -> Result<Vec<u8>, TreeError> {
    if !has_commit(objects, id)? {
        return Err(TreeError::NoCommit);
    }
    objects.content(object_id(id), Kind::Commit)
}

fn find_root(objects: &dyn Objects, id: CommitId) -> Result<ObjectId, TreeError> {
    let data = find_commit(objects, id)?;
    CommitRefIter::from_bytes(&data, gix::hash::Kind::Sha1).tree_id().map_err(damaged)
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

pub fn object_id(id: CommitId) -> ObjectId {
    ObjectId::Sha1(*id.as_bytes())
}

pub fn bytes_of(id: ObjectId) -> Result<[u8; 20], TreeError> {
    id.as_bytes().try_into().map_err(|_| TreeError::Unsupported("the repository does not use SHA-1"))
}

pub fn damaged(error: impl std::fmt::Display) -> TreeError {
    TreeError::Damaged(error.to_string())
}
