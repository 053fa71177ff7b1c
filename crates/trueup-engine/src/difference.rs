//! A difference in the words of contracts.md: what is reported, stored and judged. Values in it are masked.

use std::fmt::{self, Write as _};

use jiff::Timestamp;
use trueup_diff::Masked;
use trueup_object::{FieldPath, Gvk, ManagedOperation, ResourceKey, Text, Value};

use crate::app::AppKey;

/// Room for the text that most differences are named by.
const TEXT_USUAL: usize = 256;

/// Names one difference of one application for as long as it lasts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DifferenceId(Text);

impl DifferenceId {
    /// The same application, object, channel and path give the same id.
    pub fn new(app: &AppKey, key: &ResourceKey, channel: Channel, path: Option<&FieldPath>) -> Self {
        let mut text = String::with_capacity(TEXT_USUAL);
        // Writing into a text does not fail.
        let _ = write!(text, "{app}\n{key}\n{}\n", channel.as_str());
        if let Some(path) = path {
            let _ = write!(text, "{path}");
        }
        Self(Text::from(&blake3::hash(text.as_bytes()).to_hex()[..12]))
    }

    /// An id as a person or a stored report gives it.
    pub fn from_text(text: &str) -> Self {
        Self(Text::from(text))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DifferenceId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// How a difference was found (detection.md 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    Declared,
    Undeclared,
    Unowned,
    Existence,
}

/// What happened from target to live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Change {
    Changed,
    Added,
    Removed,
    Missing,
    Extraneous,
}

/// Who moved: Git, the cluster, both, or nobody knows (detection.md 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    Git,
    Cluster,
    Both,
    Unknown,
}

/// What kind of writer made a difference (detection.md 7). `Noise` is a finding that the server says is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    Manual,
    Automation,
    Autoscaler,
    Controller,
    Injector,
    Gitops,
    PartialSync,
    Git,
    Noise,
    Unattributed,
}

/// How sure the attribution is (detection.md 6). `Proven` takes an audit event, and this build reads none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Confidence {
    Proven,
    Strong,
    Weak,
    None,
}

/// Which rule hides a difference, and where the rule stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct IgnoredBy {
    pub rule: String,
    pub source: String,
}

/// Who wrote the live value, as far as managedFields tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribution {
    pub class: Class,
    pub confidence: Confidence,
    pub manager: Option<Text>,
    pub operation: Option<ManagedOperation>,
    pub subresource: Option<Text>,
    /// When the manager's entry last changed: an upper bound for the field.
    pub time: Option<Timestamp>,
}

/// One difference between Git and the cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    pub id: DifferenceId,
    pub key: ResourceKey,
    pub gvk: Gvk,
    pub channel: Channel,
    /// `None` where the whole object is the difference.
    pub path: Option<FieldPath>,
    pub pointer: Option<String>,
    pub change: Change,
    pub origin: Origin,
    pub target: Option<Masked>,
    pub live: Option<Masked>,
    pub base: Option<Masked>,
    /// What applying would leave, where the server was asked.
    pub predicted: Option<Masked>,
    /// Whether the server could not confirm it; `None` where it was not asked.
    pub unconfirmed: Option<bool>,
    pub attribution: Attribution,
    pub first_seen: Option<Timestamp>,
    /// It was there when the application was first synced.
    pub inherited: bool,
    /// A value of it is masked.
    pub sensitive: bool,
    pub ignored_by: Option<IgnoredBy>,
    pub message: Option<String>,
}

impl Difference {
    /// Drift is what the cluster may have moved; what only Git moved is a pending change.
    pub fn is_pending(&self) -> bool {
        match self.origin {
            Origin::Git => true,
            Origin::Cluster | Origin::Both | Origin::Unknown => false,
        }
    }

    /// `Deployment/web .spec.replicas`, or the object alone.
    pub fn place(&self) -> String {
        match &self.path {
            Some(path) => format!("{}/{} {path}", self.key.kind, self.key.name),
            None => format!("{}/{}", self.key.kind, self.key.name),
        }
    }
}

/// A masked value, as data for a wire.
pub fn masked_value(masked: Option<&Masked>) -> Value {
    masked.map_or(Value::Null, |masked| masked.as_value().clone())
}

impl Channel {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Undeclared => "undeclared",
            Self::Unowned => "unowned",
            Self::Existence => "existence",
        }
    }
}

impl Change {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Missing => "missing",
            Self::Extraneous => "extraneous",
        }
    }
}

impl Origin {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Git => "git",
            Self::Cluster => "cluster",
            Self::Both => "both",
            Self::Unknown => "unknown",
        }
    }
}

impl Class {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Manual => "manual",
            Self::Automation => "automation",
            Self::Autoscaler => "autoscaler",
            Self::Controller => "controller",
            Self::Injector => "injector",
            Self::Gitops => "gitops",
            Self::PartialSync => "partial-sync",
            Self::Git => "git",
            Self::Noise => "noise",
            Self::Unattributed => "unattributed",
        }
    }
}

impl Confidence {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Proven => "proven",
            Self::Strong => "strong",
            Self::Weak => "weak",
            Self::None => "none",
        }
    }
}
