//! A story as its file says it, checked: what is not known there is an error, never ignored.

use std::time::Duration;

use trueup_object::{FieldPath, Value};

use super::WorldName;

/// A story.
#[derive(Debug, Clone, PartialEq)]
pub struct Story {
    pub name: String,
    /// Workloads become Ready.
    pub ready: bool,
    /// Wants the audit feed.
    pub audit: bool,
    /// Needs what only this world has; `None`: is played in both.
    pub world: Option<WorldName>,
    /// Wants operators at work, which only the cluster has.
    pub operators: bool,
    /// Admission webhooks that the runner serves.
    pub webhooks: Vec<StoryWebhook>,
    pub applications: Vec<StoryApplication>,
    pub steps: Vec<Step>,
}

/// An Application that a story begins with.
#[derive(Debug, Clone, PartialEq)]
pub struct StoryApplication {
    pub name: String,
    pub namespace: String,
    /// Merged over the spec.
    pub spec: Value,
    pub annotations: Value,
}

/// An admission webhook that changes what it is asked about.
#[derive(Debug, Clone, PartialEq)]
pub struct StoryWebhook {
    pub name: String,
    /// What it wants to be there.
    pub inject: Value,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// As the file has it, for results.
    pub text: String,
    pub action: Action,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    Apply {
        path: String,
    },
    Sync {
        application: String,
        flags: Vec<String>,
    },
    Refresh {
        application: String,
        hard: bool,
    },
    Kubectl(Box<KubectlStep>),
    Client(Box<ClientStep>),
    Commit {
        message: String,
        edits: Vec<(String, Edit)>,
    },
    Wait(Duration),
    /// No rules: the end of all faults.
    Fault {
        rules: Vec<Value>,
    },
    RestartController,
    Expect(Box<Expectation>),
    /// A step of the format that this build cannot perform; of one application, or of all.
    Beyond {
        application: Option<String>,
    },
}

/// What a person does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KubectlStep {
    pub arguments: Vec<String>,
    pub user: Option<String>,
    /// For `-f -`.
    pub stdin: String,
    /// What `kubectl edit` calls with the file that it has made.
    pub editor: Option<String>,
    /// It is run again until its output has this text.
    pub until: Option<String>,
}

/// What another program does under its own field manager.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientStep {
    pub manager: Option<String>,
    pub apply: bool,
    pub subresource: Option<String>,
    pub target: Reference,
    pub change: ClientChange,
    pub force: bool,
    pub agent: Option<String>,
    pub user: Option<String>,
}

/// How a client changes its target.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientChange {
    MergePatch(Value),
    Apply(Value),
    ReorderFields,
}

/// An object, as `kind/name[.namespace]` names it: what follows the last dot is a namespace only where the kind has them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    pub kind: String,
    pub name: String,
}

/// A change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Edit {
    Replace { old: String, new: String },
    Content(String),
    Delete,
}

/// An object and what its fields must be; null is absent.
pub type LiveFields = (Reference, Vec<(FieldPath, Value)>);

/// What must hold.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Expectation {
    /// `None`: of all applications.
    pub application: Option<String>,
    pub sync: Option<String>,
    pub health: Option<String>,
    pub origin: Option<String>,
    pub conditions: Option<Vec<String>>,
    pub notified: Option<String>,
    pub drifts: Option<Vec<Wanted>>,
    pub pending: Option<Vec<Wanted>>,
    pub notes: Option<Vec<Wanted>>,
    pub quiet: bool,
    pub live: Vec<LiveFields>,
    pub git: Vec<(String, String)>,
    pub requests: Option<usize>,
    /// Keys that this build cannot judge.
    pub unjudged: Vec<&'static str>,
}

/// A difference that an expectation lists.
#[derive(Debug, Clone, PartialEq)]
pub struct Wanted {
    pub kind: String,
    pub name: String,
    /// `None`: an existence difference.
    pub path: Option<FieldPath>,
    /// Words: each a value or a list of acceptable ones.
    pub words: Vec<(&'static str, Vec<String>)>,
    /// `target`, `live`, `base`.
    pub values: Vec<(&'static str, Value)>,
}
