//! `spec`: sources, destination, sync policy, ignore rules.

use std::collections::BTreeMap;

use trueup_object::{Map, Text, Value};

use super::source::ApplicationSource;
use crate::fields::Fields;

/// `spec` of an Application.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApplicationSpec {
    pub project: Text,
    pub source: Option<ApplicationSource>,
    pub sources: Vec<ApplicationSource>,
    /// Present: it wins over the sources.
    pub source_hydrator: Option<Value>,
    pub destination: Destination,
    pub sync_policy: Option<SyncPolicy>,
    pub ignore_differences: Vec<IgnoreDifferences>,
    pub info: Vec<InfoItem>,
    pub revision_history_limit: Option<i64>,
    /// Fields that nobody here knows.
    pub unknown: Map,
}

/// `spec.destination`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Destination {
    pub server: Text,
    pub name: Text,
    pub namespace: Text,
}

/// `spec.syncPolicy`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SyncPolicy {
    pub automated: Option<SyncPolicyAutomated>,
    pub sync_options: Vec<Text>,
    pub retry: Option<RetryStrategy>,
    pub managed_namespace_metadata: Option<Value>,
    /// Fields that nobody here knows.
    pub unknown: Map,
}

/// `spec.syncPolicy.automated`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SyncPolicyAutomated {
    pub prune: bool,
    pub self_heal: bool,
    pub allow_empty: bool,
    /// Absent means true.
    pub enabled: bool,
}

/// `retry` of a policy or an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RetryStrategy {
    /// 0: none; negative: without limit.
    pub limit: i64,
    pub backoff: Backoff,
    pub refresh: bool,
}

/// `retry.backoff`. Durations as written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Backoff {
    pub duration: Option<Text>,
    pub factor: Option<i64>,
    pub max_duration: Option<Text>,
}

/// One item of `spec.ignoreDifferences`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreDifferences {
    /// Where it stands: `spec.ignoreDifferences[0]`.
    pub place: String,
    pub group: Text,
    pub kind: Text,
    pub namespace: Text,
    pub name: Text,
    pub json_pointers: Vec<Text>,
    pub jq_path_expressions: Vec<Text>,
    pub managed_fields_managers: Vec<Text>,
}

/// One item of `spec.info` or `operation.info`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InfoItem {
    pub name: Text,
    pub value: Text,
}

const KNOWN: [&str; 9] = [
    "project",
    "source",
    "sources",
    "sourceHydrator",
    "destination",
    "syncPolicy",
    "ignoreDifferences",
    "info",
    "revisionHistoryLimit",
];

impl ApplicationSpec {
    pub(super) fn read(object: &Fields<'_>) -> Self {
        let Some(spec) = object.within("spec") else {
            if !object.has("spec") {
                object.refuse("spec", "nothing", "an object");
            }
            return Self::default();
        };
        Self {
            project: spec.text_or_empty("project"),
            source: spec.within("source").map(|source| ApplicationSource::read(&source)),
            sources: spec.each("sources").iter().map(ApplicationSource::read).collect(),
            source_hydrator: spec.value("sourceHydrator").cloned(),
            destination: spec
                .within("destination")
                .map(|found| Destination::read(&found))
                .unwrap_or_default(),
            sync_policy: spec.within("syncPolicy").map(|policy| SyncPolicy::read(&policy)),
            ignore_differences: spec.each("ignoreDifferences").iter().map(IgnoreDifferences::read).collect(),
            info: InfoItem::read_all(&spec, "info"),
            revision_history_limit: spec.int("revisionHistoryLimit"),
            unknown: spec.others(&KNOWN),
        }
    }

    /// The sources that count: `sources` where there are any, else `source`.
    pub fn effective_sources(&self) -> Vec<&ApplicationSource> {
        if self.sources.is_empty() { self.source.iter().collect() } else { self.sources.iter().collect() }
    }

    /// Whether revisions and sources are written as lists in the status.
    pub fn has_multiple_sources(&self) -> bool {
        !self.sources.is_empty()
    }
}

impl Destination {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            server: fields.text_or_empty("server"),
            name: fields.text_or_empty("name"),
            namespace: fields.text_or_empty("namespace"),
        }
    }
}

impl SyncPolicy {
    fn read(fields: &Fields<'_>) -> Self {
        const KNOWN: [&str; 4] = ["automated", "syncOptions", "retry", "managedNamespaceMetadata"];
        Self {
            automated: fields.within("automated").map(|automated| SyncPolicyAutomated::read(&automated)),
            sync_options: fields.texts("syncOptions"),
            retry: fields.within("retry").map(|retry| RetryStrategy::read(&retry)),
            managed_namespace_metadata: fields.value("managedNamespaceMetadata").cloned(),
            unknown: fields.others(&KNOWN),
        }
    }
}

impl SyncPolicyAutomated {
    fn read(fields: &Fields<'_>) -> Self {
        Self {
            prune: fields.flag("prune").unwrap_or_default(),
            self_heal: fields.flag("selfHeal").unwrap_or_default(),
            allow_empty: fields.flag("allowEmpty").unwrap_or_default(),
            enabled: fields.flag("enabled").unwrap_or(true),
        }
    }
}

impl RetryStrategy {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let backoff = fields.within("backoff").map(|backoff| Backoff {
            duration: backoff.text("duration").filter(|text| !text.is_empty()),
            factor: backoff.int("factor"),
            max_duration: backoff.text("maxDuration").filter(|text| !text.is_empty()),
        });
        Self {
            limit: fields.int("limit").unwrap_or_default(),
            backoff: backoff.unwrap_or_default(),
            refresh: fields.flag("refresh").unwrap_or_default(),
        }
    }
}

impl IgnoreDifferences {
    fn read(fields: &Fields<'_>) -> Self {
        let kind = fields.text_or_empty("kind");
        if kind.is_empty() {
            fields.refuse("kind", "nothing", "the kind that the rule is for");
        }
        Self {
            place: fields.path().to_owned(),
            group: fields.text_or_empty("group"),
            kind,
            namespace: fields.text_or_empty("namespace"),
            name: fields.text_or_empty("name"),
            json_pointers: fields.texts("jsonPointers"),
            jq_path_expressions: fields.texts("jqPathExpressions"),
            managed_fields_managers: fields.texts("managedFieldsManagers"),
        }
    }
}

impl InfoItem {
    pub(super) fn read_all(fields: &Fields<'_>, name: &str) -> Vec<Self> {
        let read =
            |item: &Fields<'_>| Self { name: item.text_or_empty("name"), value: item.text_or_empty("value") };
        fields.each(name).iter().map(read).collect()
    }

    /// The items as a map; the last of a name wins.
    pub fn to_map(items: &[Self]) -> BTreeMap<Text, Text> {
        items.iter().map(|item| (item.name.clone(), item.value.clone())).collect()
    }
}
