//! The validated Application: what its author asked for, in the words of the domain.
//!
//! `trueup-api` parses the wire object into this once, at the watch. What this build cannot honour is listed in
//! [`App::unsupported`]; such an application is looked at and never acted on.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use trueup_object::{GroupKind, ResourceKey, Text, Value};

use crate::confirm::ConfirmRules;
use crate::source::{RepoUrl, Revision, SourcePath};
use crate::tracking::Tracking;
use crate::weight::{CountRule, Level};

pub use crate::ignore::{IgnoreError, IgnoreRules, IgnoreSpec};

/// Namespace and name of an Application.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppKey {
    pub namespace: Text,
    pub name: Text,
}

impl AppKey {
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: Text::from(namespace), name: Text::from(name) }
    }

    /// The name that tracking marks carry: the bare name in the controller's namespace, else `<namespace>_<name>`.
    pub fn instance(&self, controller_namespace: &str) -> Text {
        if self.namespace == controller_namespace {
            self.name.clone()
        } else {
            Text::from(format!("{}_{}", self.namespace, self.name))
        }
    }
}

impl fmt::Display for AppKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.namespace, self.name)
    }
}

/// An Application that makes sense.
#[derive(Debug, Clone, PartialEq)]
pub struct App {
    pub key: AppKey,
    /// As tracking marks name it.
    pub instance: Text,
    /// How its objects are marked.
    pub tracking: Tracking,
    pub uid: Text,
    pub project: Text,
    /// At least one.
    pub sources: Vec<Source>,
    pub destination: Destination,
    /// `None`: nothing happens by itself.
    pub automated: Option<Automated>,
    pub options: SyncOptions,
    pub retry: Option<Retry>,
    pub ignore: IgnoreRules,
    /// What an undeclared addition means here; `None`: the table's default.
    pub undeclared: Option<Weight>,
    /// What additions at certain paths mean here, before the project's and the installation's rules.
    pub counts: Vec<CountRule>,
    /// What the project says of additions.
    pub project_counts: Level,
    /// What additions are worth that were there when an object was first synced; `None`: a note.
    pub inherited: Option<Weight>,
    pub on_commit: OnCommit,
    pub confirm: ConfirmRules,
    pub refresh: Option<RefreshLevel>,
    pub operation: Option<SyncRequest>,
    pub history_limit: usize,
    /// What this build cannot honour: the application is read-only, by name.
    pub unsupported: Vec<Unsupported>,
    pub deleting: bool,
}

impl App {
    /// Whether a live object carries this application's mark.
    pub fn tracks(&self, object: &Value, key: &ResourceKey) -> bool {
        self.tracking.owner(object, key).is_some_and(|name| name == self.instance)
    }

    /// Whether anything may be written to its objects.
    pub fn is_read_only(&self) -> bool {
        !self.unsupported.is_empty()
    }
}

/// Something in an Application or its objects that this build does not implement.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unsupported {
    /// Where it stands: `spec.source.helm`, or an object and its annotation.
    pub place: String,
    /// What it is, in words.
    pub what: String,
}

/// One place in Git where manifests are read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    pub repo: RepoUrl,
    pub revision: Revision,
    /// `None` for a source that renders nothing (`ref` only).
    pub path: Option<SourcePath>,
    /// The name under which another source's value files refer to this one.
    pub reference: Option<Text>,
    pub directory: Directory,
}

/// Options of a plain directory source (compat 1.1).
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Directory {
    pub recurse: bool,
    pub include: Option<Text>,
    pub exclude: Option<Text>,
    pub any_extension: bool,
    /// `directory` stands in the spec: the kind of source is not detected from its files.
    pub explicit: bool,
}

/// The cluster and default namespace of an application.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    pub cluster: ClusterName,
    /// Empty where the application names none.
    pub namespace: Text,
}

/// How a destination names its cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClusterName {
    /// The cluster in which the Application lives.
    InCluster,
    /// By the address of its API server.
    Server(Text),
    /// By name: a context of the kubeconfig.
    Name(Text),
}

/// `spec.syncPolicy.automated`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Automated {
    pub prune: bool,
    pub self_heal: bool,
    pub allow_empty: bool,
}

/// The sync options that this build honours (compat 1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncOptions {
    pub create_namespace: bool,
    /// Ignored paths keep their live values when applying. Default true; `RespectIgnoreDifferences=false` gives Argo CD's default.
    pub respect_ignore: bool,
    /// `Prune=false` for the whole application.
    pub never_prune: bool,
    pub propagation: Propagation,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            create_namespace: false,
            respect_ignore: true,
            never_prune: false,
            propagation: Propagation::Foreground,
        }
    }
}

/// What happens to the dependents of a deleted object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Propagation {
    Foreground,
    Background,
    Orphan,
}

/// `retry` of a sync: how often and how far apart failed operations are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retry {
    /// `None`: without limit.
    pub limit: Option<u32>,
    pub base_ms: u64,
    pub factor: u32,
    pub backoff_ms_max: u64,
}

impl Retry {
    /// What an automated sync without `retry` gets (compat 1.1: limit 5; 5, 10, 20, 40, 80 s).
    pub const AUTOMATED: Self = Self { limit: Some(5), base_ms: 5_000, factor: 2, backoff_ms_max: 180_000 };

    /// The wait before retry number `count`, the first being 0.
    pub fn wait_ms(&self, count: u32) -> u64 {
        let factor = u64::from(self.factor.max(1)).saturating_pow(count);
        self.base_ms.saturating_mul(factor).min(self.backoff_ms_max)
    }

    pub fn allows(&self, count: u32) -> bool {
        self.limit.is_none_or(|limit| count < limit)
    }
}

/// What an undeclared addition means (detection.md 2, "What counts").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Nothing: excused or known to be noise.
    Nothing,
    /// Listed, without a status.
    Note,
    /// Makes the object OutOfSync.
    Drift,
}

/// What an automated sync that a commit triggered does with paths that the cluster moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnCommit {
    /// They keep their live values (detection.md 9).
    #[default]
    KeepDrift,
    /// They are overwritten, as Argo CD does.
    Overwrite,
}

/// How deep a requested look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefreshLevel {
    /// Resolve Git again, use what was rendered before where the tree is the same.
    Normal,
    /// Render again too.
    Hard,
}

/// `operation.sync`: a sync that somebody asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SyncRequest {
    /// `None`: the revision that each source names.
    pub revision: Option<Revision>,
    pub prune: bool,
    pub dry_run: bool,
    /// Empty: all objects.
    pub resources: Vec<ResourceSelector>,
    pub initiated_by: Initiator,
    pub drift: DriftChoice,
    pub remove_additions: bool,
    pub retry: Option<Retry>,
    /// `operation.info` and what else is to be kept.
    pub info: BTreeMap<Text, Text>,
}

/// Who asked for an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Initiator {
    pub username: Text,
    pub automated: bool,
}

/// What a manual sync does with paths that the cluster moved.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DriftChoice {
    /// Overwrite, as Argo CD does; the evidence is kept first.
    #[default]
    Overwrite,
    /// They keep their live values.
    Keep,
}

/// What a selective sync is about. `*` is anything; so is an empty part, save the group, which is then the core group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceSelector {
    pub kind: GroupKind,
    pub namespace: Text,
    pub name: Text,
}

impl ResourceSelector {
    pub fn selects(&self, key: &ResourceKey) -> bool {
        let is_or_any = |wanted: &str, found: &str| wanted.is_empty() || wanted == "*" || wanted == found;
        (self.kind.group == "*" || self.kind.group == key.group)
            && is_or_any(&self.kind.kind, &key.kind)
            && is_or_any(&self.namespace, &key.namespace)
            && is_or_any(&self.name, &key.name)
    }
}

/// `GROUP:KIND:NAMESPACE/NAME`.
impl std::fmt::Display for ResourceSelector {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let slash = if self.namespace.is_empty() { "" } else { "/" };
        write!(out, "{}:{}:{}{slash}{}", self.kind.group, self.kind.kind, self.namespace, self.name)
    }
}

/// When something was first seen, by difference.
pub type FirstSeen = BTreeMap<crate::difference::DifferenceId, Timestamp>;
