//! Finds paths in a commit's tree, through symbolic links, never out of the repository.

use std::collections::VecDeque;

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::object::Kind;
use gix::objs::TreeRefIter;
use gix::objs::tree::EntryKind;
use trueup_engine::source::{BlobId, ReadId, ReadSet, TreeId};
use trueup_object::Text;

use super::{Objects, TreeError, bytes_of, damaged};

/// As many links as Linux follows for one path.
const LINKS_MAX: usize = 40;

/// A longer target of a link is not a path on any system.
const LINK_TARGET_BYTES_MAX: u64 = 4096;

/// What is at the end of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    Tree(ObjectId),
    Blob(ObjectId),
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkFailure {
    Missing,
    /// Something on the way is a file.
    NotADirectory,
    Outside,
    Loop,
    Submodule,
}

/// Looks things up below the root of one commit.
pub struct Walker<'a> {
    objects: &'a dyn Objects,
    root: ObjectId,
}

impl<'a> Walker<'a> {
    pub fn new(objects: &'a dyn Objects, root: ObjectId) -> Self {
        Self { objects, root }
    }

    /// The entries of a directory, in git's order.
    pub fn entries(&self, tree: ObjectId) -> Result<Vec<(Text, EntryKind, ObjectId)>, TreeError> {
        let data = self.objects.content(tree, Kind::Tree)?;
        let entries = TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha1);
        entries
            .map(|entry| {
                let entry = entry.map_err(damaged)?;
                Ok((Text::from(entry.filename.to_str_lossy()), entry.mode.kind(), entry.oid.to_owned()))
            })
            .collect()
    }

    pub fn size(&self, blob: ObjectId) -> Result<u64, TreeError> {
        let header = self.objects.header(blob)?;
        header.map(|(_, size)| size).ok_or_else(|| damaged(format!("{blob} is not there")))
    }

    pub fn content(&self, blob: ObjectId) -> Result<Vec<u8>, TreeError> {
        self.objects.content(blob, Kind::Blob)
    }

    /// Where a link points to, as it is written.
    pub fn link_target(&self, link: ObjectId) -> Result<Text, TreeError> {
        if self.size(link)? > LINK_TARGET_BYTES_MAX {
            return Ok(Text::from("a target longer than any path"));
        }
        Ok(Text::from(self.content(link)?.to_str_lossy()))
    }

    /// What is literally at a path, links not followed.
    pub fn identity(&self, path: &str) -> Result<ReadId, TreeError> {
        let parts: Vec<String> = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        if parts.is_empty() {
            return Ok(ReadId::Tree(TreeId::from_bytes(bytes_of(self.root)?)));
        }
        Ok(match self.entry_at(&parts)? {
            Some((EntryKind::Tree, id)) => ReadId::Tree(TreeId::from_bytes(bytes_of(id)?)),
            Some((EntryKind::Blob | EntryKind::BlobExecutable | EntryKind::Link, id)) => {
                ReadId::Blob(BlobId::from_bytes(bytes_of(id)?))
            }
            Some((EntryKind::Commit, _)) | None => ReadId::Absent,
        })
    }

    /// Follows a path from the root through links. Notes every link and every absence that the answer depends on.
    pub fn find(
        &self,
        path: &str,
        read_set: &mut ReadSet,
    ) -> Result<Result<(String, Found), LinkFailure>, TreeError> {
        let mut pending: VecDeque<String> = path.split('/').map(str::to_owned).collect();
        let mut done: Vec<String> = Vec::new();
        let mut found = Found::Tree(self.root);
        let mut n_links = 0;
        while let Some(part) = pending.pop_front() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    if done.pop().is_none() {
                        return Ok(Err(LinkFailure::Outside));
                    }
                    // Only directories are left behind on the way, so what remains is one.
                    found = match self.entry_at(&done)? {
                        Some((_, id)) => Found::Tree(id),
                        None => Found::Tree(self.root),
                    };
                    continue;
                }
                _ => {}
            }
            if matches!(found, Found::Blob(_)) {
                return Ok(Err(LinkFailure::NotADirectory));
            }
            done.push(part);
            let at = done.join("/");
            match self.entry_at(&done)? {
                None => {
                    read_set.insert(at, ReadId::Absent);
                    return Ok(Err(LinkFailure::Missing));
                }
                Some((EntryKind::Tree, id)) => found = Found::Tree(id),
                Some((EntryKind::Blob | EntryKind::BlobExecutable, id)) => found = Found::Blob(id),
                Some((EntryKind::Commit, _)) => return Ok(Err(LinkFailure::Submodule)),
                Some((EntryKind::Link, id)) => {
                    read_set.insert(at, ReadId::Blob(BlobId::from_bytes(bytes_of(id)?)));
                    n_links += 1;
                    if n_links > LINKS_MAX {
                        return Ok(Err(LinkFailure::Loop));
                    }
                    let target = self.link_target(id)?;
                    if target.starts_with('/') {
                        return Ok(Err(LinkFailure::Outside));
                    }
                    done.pop();
                    for part in target.split('/').rev() {
                        pending.push_front(part.to_owned());
                    }
                }
            }
        }
        Ok(Ok((done.join("/"), found)))
    }

    fn entry_at(&self, parts: &[String]) -> Result<Option<(EntryKind, ObjectId)>, TreeError> {
        let mut tree = self.root;
        let Some((last, above)) = parts.split_last() else { return Ok(None) };
        for part in above {
            match self.entry_in(tree, part)? {
                Some((EntryKind::Tree, id)) => tree = id,
                _ => return Ok(None),
            }
        }
        self.entry_in(tree, last)
    }

    fn entry_in(&self, tree: ObjectId, name: &str) -> Result<Option<(EntryKind, ObjectId)>, TreeError> {
        let data = self.objects.content(tree, Kind::Tree)?;
        for entry in TreeRefIter::from_bytes(&data, gix::hash::Kind::Sha1) {
            let entry = entry.map_err(damaged)?;
            if entry.filename == name {
                return Ok(Some((entry.mode.kind(), entry.oid.to_owned())));
            }
        }
        Ok(None)
    }
}
