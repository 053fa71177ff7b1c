//! What happens in one run, as data: the world at its beginning and the steps that follow.
//!
//! A story is made from a seed, or read from a file that an earlier failure left. Nothing else decides what happens in a run.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Everything that happens in one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Story {
    /// What the story was made from; the ids and the chance of the API server follow from it too.
    pub seed: u64,
    /// Why it is kept.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    pub apps: Vec<AppPlan>,
    /// Objects that nobody manages with trueup.
    pub bystanders: Vec<serde_json::Value>,
    /// Whether the API server's own controllers look after workloads.
    pub workloads: bool,
    /// Whether there is a second controller, which waits for the Lease.
    pub second: bool,
    pub steps: Vec<Step>,
}

/// An Application, and what Git says of it at the beginning.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AppPlan {
    pub name: String,
    pub namespace: String,
    pub policy: Policy,
    /// As `spec.ignoreDifferences` has them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<Ignored>,
    /// Whether ignored paths keep their live values when applying.
    pub respects_ignored: bool,
    /// The content of its folder, by name of file.
    pub files: BTreeMap<String, String>,
}

/// What an Application does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    Manual,
    Automated { heal: bool, prune: bool },
}

/// A path that is not compared, of all objects of a kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ignored {
    pub group: String,
    pub kind: String,
    pub pointer: String,
}

/// Something that happens, and how long nothing else does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    #[serde(flatten)]
    pub act: Act,
    /// Simulated milliseconds until the next step.
    pub then_ms: u64,
}

/// An object, as the steps name it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    pub api_version: String,
    pub kind: String,
    /// Empty for what is in no namespace.
    pub namespace: String,
    pub name: String,
}

/// What happens in a step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "kebab-case", rename_all_fields = "camelCase")]
pub enum Act {
    /// Somebody changes a live object.
    Edit { object: Place, edit: Edit, manager: String },
    /// A commit on the branch that the applications follow; no content: the file is removed.
    Commit { files: BTreeMap<String, Option<String>> },
    /// The branch is set back to what it said so many commits before, in a new commit.
    Revert { commits: usize },
    /// Somebody asks for a sync.
    Sync { app: String, prune: bool },
    /// Somebody asks for a look.
    Refresh { app: String, hard: bool },
    /// Somebody changes what an application does by itself.
    Policy { app: String, policy: Policy },
    /// Somebody puts an application on hold, for a while.
    Hold { app: String, seconds: u64 },
    /// A fault of the API server, in the words of its fault layer, for a while.
    Fault { rule: serde_json::Value, seconds: u64 },
    /// The API server is down for a while; what it remembers of changes may be gone afterwards.
    Restart { compacts: bool, down_ms: u64 },
    /// The Git server does not answer, or answers late, for a while.
    Git { fault: GitFault, seconds: u64 },
    /// Somebody looks so often and writes the same value where it is another, for a while.
    Rival { object: Place, pointer: String, value: serde_json::Value, every_s: u64, seconds: u64 },
    /// No request of a controller reaches the API server for a while, and no answer comes back.
    CutOff { replica: Replica, seconds: u64 },
    /// A controller ends in the middle of its n-th effect from now and begins anew after a while.
    Crash { replica: Replica, after_effects: u64, at: CrashPoint, down_ms: u64 },
    /// A controller is told to end, and begins anew after a while.
    Stop { replica: Replica, down_ms: u64 },
    /// An admission webhook refuses or delays what the controllers write of a kind, for a while.
    Admission { kind: String, fault: AdmissionFault, seconds: u64 },
    /// Nothing but time.
    Wait,
}

/// What somebody does to a live object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "edit", rename_all = "kebab-case")]
pub enum Edit {
    /// By a JSON patch that adds or replaces.
    Set { pointer: String, value: serde_json::Value },
    /// By a JSON patch.
    Remove { pointer: String },
    /// Through the `scale` subresource.
    Scale { replicas: u64 },
    /// By a forced server-side apply under a manager of their own.
    Apply { pointer: String, value: serde_json::Value },
    /// Deletes it.
    Delete,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GitFault {
    Unreachable,
    Slow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdmissionFault {
    Denies,
    Slow,
}

/// One of the two controllers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Replica {
    First,
    Second,
}

/// Where a controller ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CrashPoint {
    BeforeRequest,
    AfterRequest,
    BeforeRecord,
    AfterRecord,
}

impl Story {
    /// As a file of kept stories has it.
    pub fn to_json(&self) -> String {
        // Maps with text for keys and numbers that are finite can always be written.
        let text = serde_json::to_string_pretty(self).unwrap_or_default();
        text + "\n"
    }

    pub fn from_json(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }
}

impl Place {
    pub fn group(&self) -> &str {
        self.api_version.split_once('/').map_or("", |(group, _)| group)
    }
}

impl Policy {
    pub fn heals(self) -> bool {
        matches!(self, Self::Automated { heal: true, .. })
    }

    pub fn prunes(self) -> bool {
        matches!(self, Self::Automated { prune: true, .. })
    }
}

impl Replica {
    pub const ALL: [Self; 2] = [Self::First, Self::Second];

    pub fn name(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Second => "second",
        }
    }
}

impl Act {
    /// The word under which it is counted.
    pub fn word(&self) -> String {
        match self {
            Self::Edit { edit, .. } => match edit {
                Edit::Set { .. } => "edit: set",
                Edit::Remove { .. } => "edit: remove",
                Edit::Scale { .. } => "edit: scale",
                Edit::Apply { .. } => "edit: apply",
                Edit::Delete => "edit: delete",
            }
            .to_owned(),
            Self::Commit { .. } => "commit".to_owned(),
            Self::Revert { .. } => "revert".to_owned(),
            Self::Sync { .. } => "sync request".to_owned(),
            Self::Refresh { .. } => "refresh".to_owned(),
            Self::Policy { .. } => "change of policy".to_owned(),
            Self::Hold { .. } => "hold".to_owned(),
            Self::Fault { rule, .. } => format!("fault: {}", rule["kind"].as_str().unwrap_or("?")),
            Self::Restart { compacts: true, .. } => "API server restart with compaction".to_owned(),
            Self::Restart { compacts: false, .. } => "API server restart".to_owned(),
            Self::Git { fault: GitFault::Unreachable, .. } => "Git unreachable".to_owned(),
            Self::Git { fault: GitFault::Slow, .. } => "Git slow".to_owned(),
            Self::Rival { .. } => "rival".to_owned(),
            Self::CutOff { .. } => "replica cut off".to_owned(),
            Self::Crash { .. } => "crash planned".to_owned(),
            Self::Stop { .. } => "stop".to_owned(),
            Self::Admission { fault: AdmissionFault::Denies, .. } => "webhook denies".to_owned(),
            Self::Admission { fault: AdmissionFault::Slow, .. } => "webhook slow".to_owned(),
            Self::Wait => "wait".to_owned(),
        }
    }
}
