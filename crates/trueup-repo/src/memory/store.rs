//! Objects in memory with the bytes and identities that Git gives them, and how a commit is made of edits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::object::Kind;
use gix::objs::tree::{Entry, EntryKind};
use gix::objs::{CommitRefIter, Tree, TreeRefIter, WriteTo};

use super::{Edit, NewCommit};
use crate::tree::{TreeError, damaged, not_of_kind};

/// Every object of every repository: equal content is kept once.
#[derive(Debug, Default)]
pub struct Store {
    objects: BTreeMap<ObjectId, (Kind, Arc<[u8]>)>,
}

/// The files of a commit by their paths from the root.
type Files = BTreeMap<String, (EntryKind, ObjectId)>;

impl Store {
    pub fn header(&self, id: ObjectId) -> Option<(Kind, u64)> {
        self.objects.get(&id).map(|(kind, data)| (*kind, data.len() as u64))
    }

    pub fn content(&self, id: ObjectId, kind: Kind) -> Result<Vec<u8>, TreeError> {
        match self.objects.get(&id) {
            Some((found, data)) if *found == kind => Ok(data.to_vec()),
            Some(_) => Err(not_of_kind(id, kind)),
            None => Err(damaged(format!("{id} is not there"))),
        }
    }

    /// Makes a commit upon others, from the files of the first of them.
    pub fn commit(&mut self, parents: &[ObjectId], commit: &NewCommit) -> ObjectId {
        let NewCommit { author, time, message, edits } = commit;
        let mut files = parents.first().map(|parent| self.files_of(*parent)).unwrap_or_default();
        for (path, edit) in edits {
            self.edit(&mut files, path.trim_matches('/'), edit);
        }
        let tree = self.write_tree(&files, "");
        let parents: String = parents.iter().map(|parent| format!("parent {parent}\n")).collect();
        let signature = format!("{author} {} +0000", time.as_second());
        let end = if message.ends_with('\n') { "" } else { "\n" };
        let text =
            format!("tree {tree}\n{parents}author {signature}\ncommitter {signature}\n\n{message}{end}");
        self.write(Kind::Commit, text.into_bytes())
    }

    /// Commits with everything before them.
    pub fn history(&self, from: impl IntoIterator<Item = ObjectId>) -> BTreeSet<ObjectId> {
        let mut history = BTreeSet::new();
        let mut pending: Vec<ObjectId> = from.into_iter().collect();
        while let Some(id) = pending.pop() {
            if let Some((Kind::Commit, data)) = self.objects.get(&id)
                && history.insert(id)
            {
                pending.extend(CommitRefIter::from_bytes(data, gix::hash::Kind::Sha1).parent_ids());
            }
        }
        history
    }

    /// The files of a commit with what they hold.
    pub fn files(&self, commit: ObjectId) -> BTreeMap<String, Vec<u8>> {
        let files = self.files_of(commit).into_iter();
        files.map(|(path, (_, id))| (path, self.content(id, Kind::Blob).unwrap_or_default())).collect()
    }

    fn files_of(&self, commit: ObjectId) -> Files {
        let mut files = Files::new();
        if let Some((Kind::Commit, data)) = self.objects.get(&commit)
            && let Ok(tree) = CommitRefIter::from_bytes(data, gix::hash::Kind::Sha1).tree_id()
        {
            self.collect(tree, "", &mut files);
        }
        files
    }

    fn collect(&self, tree: ObjectId, below: &str, files: &mut Files) {
        let Some((Kind::Tree, data)) = self.objects.get(&tree) else { return };
        for entry in TreeRefIter::from_bytes(data, gix::hash::Kind::Sha1).flatten() {
            let path = format!("{below}{}", entry.filename.to_str_lossy());
            match entry.mode.kind() {
                EntryKind::Tree => self.collect(entry.oid.to_owned(), &format!("{path}/"), files),
                kind => {
                    files.insert(path, (kind, entry.oid.to_owned()));
                }
            }
        }
    }

    fn edit(&mut self, files: &mut Files, path: &str, edit: &Edit) {
        // What was a directory becomes a file, or goes with everything in it.
        files.retain(|file, _| !(file.starts_with(path) && file[path.len()..].starts_with('/')));
        let (kind, bytes) = match edit {
            Edit::Remove => {
                files.remove(path);
                return;
            }
            Edit::Write(bytes) => (EntryKind::Blob, bytes.clone()),
            Edit::Link(target) => (EntryKind::Link, target.clone().into_bytes()),
        };
        // What was a file becomes a directory.
        for (at, _) in path.match_indices('/') {
            files.remove(&path[..at]);
        }
        let blob = self.write(Kind::Blob, bytes);
        files.insert(path.to_owned(), (kind, blob));
    }

    /// Writes the tree of the files below a directory, whose name ends with a slash; empty for the root.
    fn write_tree(&mut self, files: &Files, below: &str) -> ObjectId {
        let mut entries: Vec<Entry> = Vec::new();
        let mut inside =
            files.range(below.to_owned()..).take_while(|(path, _)| path.starts_with(below)).peekable();
        while let Some((path, (kind, id))) = inside.next() {
            let rest = &path[below.len()..];
            let (name, kind, id) = match rest.split_once('/') {
                None => (rest, *kind, *id),
                Some((name, _)) => {
                    let directory = format!("{below}{name}/");
                    while inside.next_if(|(path, _)| path.starts_with(&directory)).is_some() {}
                    (name, EntryKind::Tree, self.write_tree(files, &directory))
                }
            };
            entries.push(Entry { mode: kind.into(), filename: name.into(), oid: id });
        }
        entries.sort();
        let mut bytes = Vec::new();
        // Writing to memory fails for names that Git forbids alone, which paths cannot spell.
        let written = Tree { entries }.write_to(&mut bytes);
        debug_assert!(written.is_ok(), "{written:?}");
        self.write(Kind::Tree, bytes)
    }

    fn write(&mut self, kind: Kind, bytes: Vec<u8>) -> ObjectId {
        let id = gix::objs::compute_hash(gix::hash::Kind::Sha1, kind, &bytes)
            .expect("no two contents that collide on purpose are committed here");
        self.objects.insert(id, (kind, bytes.into()));
        id
    }
}
