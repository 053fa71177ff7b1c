//! `operation`: a sync that somebody asks for by writing it into the Application.

use trueup_object::{Map, Text, Value};

use super::spec::{InfoItem, RetryStrategy};
use crate::fields::Fields;

/// A requested operation.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Operation {
    pub sync: Option<SyncOperation>,
    pub username: Text,
    pub automated: bool,
    pub info: Vec<InfoItem>,
    pub retry: Option<RetryStrategy>,
    /// As it stands in the object: the status repeats it.
    pub written: Value,
}

/// `operation.sync`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SyncOperation {
    pub revision: Option<Text>,
    pub revisions: Vec<Text>,
    pub prune: bool,
    pub dry_run: bool,
    /// `syncStrategy.apply`: no hooks.
    pub apply_only: bool,
    /// `force` of either strategy: delete and create anew.
    pub force: bool,
    pub resources: Vec<SyncResource>,
    pub sync_options: Vec<Text>,
    /// `source` or `sources`: sync to another source than the spec's.
    pub has_source_override: bool,
    /// `manifests`: sync to manifests that are not in any source.
    pub has_manifests: bool,
    /// Fields that nobody here knows.
    pub unknown: Map,
}

/// One object of a selective sync.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyncResource {
    pub group: Text,
    pub kind: Text,
    pub name: Text,
    pub namespace: Text,
}

const KNOWN: [&str; 11] = [
    "revision",
    "revisions",
    "prune",
    "dryRun",
    "syncStrategy",
    "resources",
    "syncOptions",
    "source",
    "sources",
    "manifests",
    "autoHealAttemptsCount",
];

impl Operation {
    pub(super) fn read(object: &Fields<'_>) -> Option<Self> {
        let operation = object.within("operation")?;
        let initiated_by = operation.within("initiatedBy");
        Some(Self {
            sync: operation.within("sync").map(|sync| SyncOperation::read(&sync)),
            username: initiated_by.as_ref().map(|by| by.text_or_empty("username")).unwrap_or_default(),
            automated: initiated_by.as_ref().and_then(|by| by.flag("automated")).unwrap_or_default(),
            info: InfoItem::read_all(&operation, "info"),
            retry: operation.within("retry").map(|retry| RetryStrategy::read(&retry)),
            written: object.value("operation").cloned().unwrap_or_default(),
        })
    }
}

impl SyncOperation {
    fn read(fields: &Fields<'_>) -> Self {
        let strategy = fields.within("syncStrategy");
        let apply = strategy.as_ref().and_then(|strategy| strategy.within("apply"));
        let hook = strategy.as_ref().and_then(|strategy| strategy.within("hook"));
        let is_forced = |chosen: &Option<Fields<'_>>| {
            chosen.as_ref().and_then(|chosen| chosen.flag("force")).unwrap_or_default()
        };
        Self {
            revision: fields.text("revision").filter(|text| !text.is_empty()),
            revisions: fields.texts("revisions"),
            prune: fields.flag("prune").unwrap_or_default(),
            dry_run: fields.flag("dryRun").unwrap_or_default(),
            apply_only: apply.is_some(),
            force: is_forced(&apply) || is_forced(&hook),
            resources: fields.each("resources").iter().map(SyncResource::read).collect(),
            sync_options: fields.texts("syncOptions"),
            has_source_override: fields.has("source") || fields.has("sources"),
            has_manifests: fields.has("manifests"),
            unknown: fields.others(&KNOWN),
        }
    }
}

impl SyncResource {
    fn read(fields: &Fields<'_>) -> Self {
        for required in ["kind", "name"] {
            if !fields.has(required) {
                fields.refuse(required, "nothing", "a string");
            }
        }
        Self {
            group: fields.text_or_empty("group"),
            kind: fields.text_or_empty("kind"),
            name: fields.text_or_empty("name"),
            namespace: fields.text_or_empty("namespace"),
        }
    }
}
