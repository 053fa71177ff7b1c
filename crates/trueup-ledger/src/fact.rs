//! What the ledger records: facts about an application or one of its objects, in order.

use std::fmt;

use trueup_engine::app::AppKey;
use trueup_engine::evidence::Evidence;
use trueup_object::{ResourceKey, Text, Timestamp, Value};

/// The place of an entry. Later entries have higher ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Seq(i64);

/// A fact to be recorded.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEntry {
    pub time: Timestamp,
    pub app: AppKey,
    /// `None` where the fact concerns the application as a whole.
    pub object: Option<ResourceKey>,
    pub fact: Fact,
    /// What an effect is about to overwrite.
    pub evidence: Option<Evidence>,
}

/// A fact as recorded. The evidence is read apart, since it is large and seldom wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub seq: Seq,
    pub time: Timestamp,
    pub app: AppKey,
    pub object: Option<ResourceKey>,
    pub fact: Fact,
    pub has_evidence: bool,
}

/// What happened. Texts in it hold paths, names and reasons, never values of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Something was found: ids of differences, or a change of status, in words.
    Observed { differences: Vec<Text>, message: String },
    /// A change is about to be made.
    Intended {
        action: IntendedAction,
        /// Why: a commit, self-heal, an operation and who asked for it.
        reason: String,
        /// Whether the application's policy does it, and nobody asked for it.
        by_policy: bool,
        /// What of the cluster's doing it undoes.
        corrects: Vec<Corrected>,
        /// The commit whose target is applied.
        revision: Option<Text>,
        /// What the object must still be.
        uid: Option<Text>,
        resource_version: Option<Text>,
    },
    /// The server accepted the change.
    Done { intent: Seq, uid: Option<Text>, resource_version: Option<Text> },
    /// The change was not made.
    Refused { intent: Seq, reason: String },
    /// The object's own watch event showed the change, which alone proves it.
    Confirmed { intent: Seq, resource_version: Option<Text> },
}

/// A path that a change puts back to what Git says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Corrected {
    /// `None`: that the object is there.
    pub path: Option<String>,
    /// Whose value goes, where that is known.
    pub opponent: Option<Text>,
}

/// What an intent will do to its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IntendedAction {
    Create,
    Apply,
    /// Moves other tools' entries in managedFields to ours before the first apply.
    TakeOver,
    Delete,
}

/// Evidence as it was kept: the shape of a version may have had other fields than today's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredEvidence {
    /// The live object, managedFields included, masked.
    pub live: Value,
    /// The differences that the change was to correct, as contracts name their fields.
    pub differences: Value,
}

impl Seq {
    pub(crate) fn new(number: i64) -> Self {
        Self(number)
    }

    pub fn number(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl Fact {
    /// The word for what happened.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Observed { .. } => "observed",
            Self::Intended { .. } => "intended",
            Self::Done { .. } => "done",
            Self::Refused { .. } => "refused",
            Self::Confirmed { .. } => "confirmed",
        }
    }

    /// The intent that this is the outcome of.
    pub fn intent(&self) -> Option<Seq> {
        match self {
            Self::Observed { .. } | Self::Intended { .. } => None,
            Self::Done { intent, .. } | Self::Refused { intent, .. } | Self::Confirmed { intent, .. } => {
                Some(*intent)
            }
        }
    }
}

impl IntendedAction {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Apply => "apply",
            Self::TakeOver => "take-over",
            Self::Delete => "delete",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Create, Self::Apply, Self::TakeOver, Self::Delete]
            .into_iter()
            .find(|action| action.as_str() == text)
    }
}
