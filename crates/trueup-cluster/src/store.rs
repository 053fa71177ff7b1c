//! What is known of one kind in one version: its objects, and whether they are all of them.
//!
//! A synchronous fold over what list and watch deliver. Two invariants: a kind is `Complete` only after a listing that
//! ended without an error, and an object leaves the store only by its own deletion event or by a listing that ended
//! without it. A listing that breaks off keeps what was known before.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trueup_object::value::Text;
use trueup_object::{Gvk, ResourceKey, Timestamp};

use crate::observed::{Head, Interest, Observed, Uid};

/// How far the store can be believed about a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindState {
    /// Asked for, nothing known yet.
    Unlisted,
    /// A listing runs. With an earlier complete listing its content stands, though it may be outdated.
    Listing { since: Timestamp, before: Option<Timestamp> },
    /// Listed completely, and watched since.
    Complete { at: Timestamp },
    /// A listing or the watch failed; what was known before stands, and may be outdated.
    Incomplete { since: Timestamp, before: Option<Timestamp>, cause: Cause },
    /// A complete discovery does not have the kind: it has no objects.
    NotServed { since: Timestamp },
}

/// Why a kind is not known completely.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The cluster could not be reached, or did not answer.
    Unreachable(String),
    /// Our credentials are not accepted.
    Unauthorized(String),
    /// We may not list or watch the kind.
    Forbidden(String),
    /// The group of the kind does not answer, so nobody knows whether it is served.
    Undiscovered(String),
    /// The kind is served in other versions only.
    VersionNotServed(String),
    /// The kind cannot be listed or watched by anybody.
    Unwatchable(String),
    /// The server failed, in its own words.
    Server(String),
    /// The answer could not be read.
    Unreadable(String),
}

impl Cause {
    /// The remedy in words, with the server's message.
    pub fn message(&self) -> &str {
        match self {
            Self::Unreachable(message)
            | Self::Unauthorized(message)
            | Self::Forbidden(message)
            | Self::Undiscovered(message)
            | Self::VersionNotServed(message)
            | Self::Unwatchable(message)
            | Self::Server(message)
            | Self::Unreadable(message) => message,
        }
    }
}

impl KindState {
    pub fn is_complete(&self) -> bool {
        matches!(self, Self::Complete { .. } | Self::NotServed { .. })
    }

    /// Whether we may not list or watch the kind.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Incomplete { cause: Cause::Forbidden(_), .. })
    }

    /// Whether it is listed, or was asked for and the listing has not begun.
    pub fn is_under_way(&self) -> bool {
        matches!(self, Self::Unlisted | Self::Listing { .. })
    }

    /// Since when nothing newer than a complete view has been had; nothing while the view is complete.
    pub fn incomplete_since(&self) -> Option<Timestamp> {
        match self {
            Self::Listing { since, .. } | Self::Incomplete { since, .. } => Some(*since),
            Self::Unlisted | Self::Complete { .. } | Self::NotServed { .. } => None,
        }
    }

    /// When the last complete listing ended that the content still rests on.
    fn complete_before(&self) -> Option<Timestamp> {
        match self {
            Self::Complete { at } => Some(*at),
            Self::Listing { before, .. } | Self::Incomplete { before, .. } => *before,
            Self::Unlisted | Self::NotServed { .. } => None,
        }
    }
}

/// Where an object is within its kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ObjectName {
    pub namespace: Text,
    pub name: Text,
}

/// What list and watch deliver.
#[derive(Debug, Clone)]
pub enum Delivery {
    ListStarted,
    Listed(Vec<Delivered>),
    ListCompleted,
    Written(Delivered),
    Deleted { name: ObjectName, resource_version: Text },
    Failed(Cause),
    NotServed,
}

/// One object, with content where it matters.
#[derive(Debug, Clone)]
pub struct Delivered {
    pub name: ObjectName,
    pub content: Content,
}

/// What is kept of an object.
#[derive(Debug, Clone)]
pub enum Content {
    /// Nobody tracks or names it: its version only.
    Version(Text),
    Whole(Arc<Observed>),
}

impl Content {
    /// Decides by its interest what is kept of an object.
    pub fn of(gvk: &Arc<Gvk>, head: Head, interest: &Interest, bytes: &[u8]) -> Self {
        match interest {
            Interest::None => Self::Version(head.resource_version),
            Interest::Named | Interest::Tracked(_) => {
                Self::Whole(Arc::new(Observed::keep(gvk, head, interest, bytes)))
            }
        }
    }

    pub fn resource_version(&self) -> &Text {
        match self {
            Self::Version(version) => version,
            Self::Whole(observed) => &observed.resource_version,
        }
    }

    fn uid(&self) -> Option<&Uid> {
        match self {
            Self::Version(_) => None,
            Self::Whole(observed) => Some(&observed.uid),
        }
    }

    fn tracked_by(&self) -> Option<&Text> {
        match self {
            Self::Version(_) => None,
            Self::Whole(observed) => observed.tracked_by.as_ref(),
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self, Self::Whole(_))
    }
}

/// What a delivery changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folded {
    /// Objects with content that appeared, changed or went.
    pub objects: Vec<ResourceKey>,
    /// Whether the kind's state is another one now.
    pub state: bool,
    /// Whether any object, also one without content, appeared, changed or went.
    pub any: bool,
}

struct Entry {
    content: Content,
    /// The listing that saw it last.
    listing: u32,
}

/// The objects of one kind in one version.
pub struct KindStore {
    gvk: Arc<Gvk>,
    state: KindState,
    entries: BTreeMap<ObjectName, Entry>,
    tracked: BTreeMap<Text, BTreeSet<ObjectName>>,
    listing: u32,
}

impl KindStore {
    pub fn new(gvk: Gvk) -> Self {
        Self {
            gvk: Arc::new(gvk),
            state: KindState::Unlisted,
            entries: BTreeMap::new(),
            tracked: BTreeMap::new(),
            listing: 0,
        }
    }

    pub fn gvk(&self) -> &Arc<Gvk> {
        &self.gvk
    }

    pub fn state(&self) -> &KindState {
        &self.state
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is known of an object.
    pub fn get(&self, name: &ObjectName) -> Option<&Content> {
        self.entries.get(name).map(|entry| &entry.content)
    }

    /// The objects that carry a tracking mark of somebody.
    pub fn tracked_by(&self, owner: &str) -> impl Iterator<Item = (&ObjectName, &Arc<Observed>)> {
        self.tracked.get(owner).into_iter().flatten().filter_map(|name| match self.get(name) {
            Some(Content::Whole(observed)) => Some((name, observed)),
            Some(Content::Version(_)) | None => None,
        })
    }

    /// Every object with content.
    pub fn whole(&self) -> impl Iterator<Item = (&ObjectName, &Arc<Observed>)> {
        self.entries.iter().filter_map(|(name, entry)| match &entry.content {
            Content::Whole(observed) => Some((name, observed)),
            Content::Version(_) => None,
        })
    }

    /// Takes in what was delivered.
    pub fn fold(&mut self, delivery: Delivery, now: Timestamp) -> Folded {
        let mut folded = Folded::default();
        match delivery {
            Delivery::ListStarted => {
                self.listing = self.listing.wrapping_add(1);
                // A kind that stays without a complete view has been so since the first failure.
                let since = self.state.incomplete_since().unwrap_or(now);
                let before = self.state.complete_before();
                self.become_state(KindState::Listing { since, before }, &mut folded);
            }
            Delivery::Listed(page) => page.into_iter().for_each(|object| self.put(object, &mut folded)),
            Delivery::ListCompleted => {
                self.drop_unlisted(&mut folded);
                self.close_ranks();
                self.become_state(KindState::Complete { at: now }, &mut folded);
            }
            Delivery::Written(object) => {
                if !self.is_older_than_known(&object) {
                    self.put(object, &mut folded);
                }
            }
            Delivery::Deleted { name, resource_version } => {
                self.delete(&name, &resource_version, &mut folded)
            }
            Delivery::Failed(cause) => {
                let since = self.state.incomplete_since().unwrap_or(now);
                let before = self.state.complete_before();
                self.become_state(KindState::Incomplete { since, before, cause }, &mut folded);
            }
            Delivery::NotServed => {
                self.listing = self.listing.wrapping_add(1);
                self.drop_unlisted(&mut folded);
                if !matches!(self.state, KindState::NotServed { .. }) {
                    self.become_state(KindState::NotServed { since: now }, &mut folded);
                }
            }
        }
        folded
    }

    /// Puts the content of an object that was known by its version alone. Nothing happens when the object is gone or
    /// known newer by now: then list and watch have said what is right.
    pub fn complete(&mut self, object: Delivered) -> Folded {
        let mut folded = Folded::default();
        let older = self.is_older_than_known(&object);
        if let Some(entry) = self.entries.get(&object.name)
            && !entry.content.is_whole()
            && !older
        {
            self.put(object, &mut folded);
        }
        folded
    }

    fn become_state(&mut self, state: KindState, folded: &mut Folded) {
        folded.state |= self.state != state;
        self.state = state;
    }

    fn put(&mut self, object: Delivered, folded: &mut Folded) {
        let Delivered { name, content } = object;
        let listing = self.listing;
        let previous = self.entries.get_mut(&name);
        let unchanged = previous.as_ref().is_some_and(|entry| {
            entry.content.resource_version() == content.resource_version()
                && entry.content.uid() == content.uid()
                && entry.content.tracked_by() == content.tracked_by()
        });
        if unchanged {
            if let Some(entry) = previous {
                entry.listing = listing;
            }
            return;
        }
        let tracked_by = content.tracked_by().cloned();
        let whole = content.is_whole();
        let previous = self.entries.insert(name.clone(), Entry { content, listing });
        self.untrack(&name, previous.as_ref());
        if let Some(owner) = tracked_by {
            self.tracked.entry(owner).or_default().insert(name.clone());
        }
        folded.any = true;
        if whole || previous.is_some_and(|entry| entry.content.is_whole()) {
            folded.objects.push(self.key(&name));
        }
    }

    fn delete(&mut self, name: &ObjectName, resource_version: &str, folded: &mut Folded) {
        let known = self.entries.get(name).map(|entry| entry.content.resource_version());
        if known.is_some_and(|known| is_older(resource_version, known)) {
            return;
        }
        self.remove(name, folded);
    }

    fn remove(&mut self, name: &ObjectName, folded: &mut Folded) {
        let Some(entry) = self.entries.remove(name) else { return };
        self.untrack(name, Some(&entry));
        folded.any = true;
        if entry.content.is_whole() {
            folded.objects.push(self.key(name));
        }
    }

    fn drop_unlisted(&mut self, folded: &mut Folded) {
        let listing = self.listing;
        let gone: Vec<ObjectName> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.listing != listing)
            .map(|(name, _)| name.clone())
            .collect();
        for name in gone {
            self.remove(&name, folded);
        }
    }

    /// Lists come sorted, and a tree that grows at its end stays half empty: built anew it is full.
    fn close_ranks(&mut self) {
        self.entries = std::mem::take(&mut self.entries).into_iter().collect();
        for names in self.tracked.values_mut() {
            *names = std::mem::take(names).into_iter().collect();
        }
    }

    fn untrack(&mut self, name: &ObjectName, entry: Option<&Entry>) {
        let Some(owner) = entry.and_then(|entry| entry.content.tracked_by()) else { return };
        if let Some(names) = self.tracked.get_mut(owner) {
            names.remove(name);
            if names.is_empty() {
                self.tracked.remove(owner);
            }
        }
    }

    /// A watch that resumes, and a read beside it, can deliver what is already known newer.
    fn is_older_than_known(&self, object: &Delivered) -> bool {
        let Some(entry) = self.entries.get(&object.name) else { return false };
        let same_object = match (entry.content.uid(), object.content.uid()) {
            (Some(known), Some(new)) => known == new,
            (Some(_) | None, _) => true,
        };
        same_object && is_older(object.content.resource_version(), entry.content.resource_version())
    }

    fn key(&self, name: &ObjectName) -> ResourceKey {
        ResourceKey {
            group: self.gvk.group.clone(),
            kind: self.gvk.kind.clone(),
            namespace: name.namespace.clone(),
            name: name.name.clone(),
        }
    }
}

impl ObjectName {
    pub fn of(key: &ResourceKey) -> Self {
        Self { namespace: key.namespace.clone(), name: key.name.clone() }
    }
}

/// Whether a resource version is older. Versions are numbers that grow (so the API promises since 1.35, and so etcd has
/// always made them); versions that are not numbers cannot be ordered, and then nothing is older.
fn is_older(version: &str, than: &str) -> bool {
    match (version.parse::<u64>(), than.parse::<u64>()) {
        (Ok(version), Ok(than)) => version < than,
        (Ok(_) | Err(_), Ok(_) | Err(_)) => false,
    }
}

#[cfg(test)]
#[path = "store/tests.rs"]
mod tests;
