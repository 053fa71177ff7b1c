//! `status` of an Application, in the exact shape that Argo CD gives it: what its CRD has, no field of ours.
//!
//! A status is built whole from what is known now; [`ApplicationStatus::carry_over`] then takes the times of what did
//! not change from the previous one, and [`merge_patch`] says what has to be written, if anything.

mod json;
mod patch;
mod read;
#[cfg(test)]
mod tests;

use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::status::SyncStatus;
use trueup_object::{Gvk, Text, Timestamp, Value};

use crate::application::ApplicationSpec;

pub(crate) use json::time as time_value;
pub use patch::merge_patch;

/// `status`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApplicationStatus {
    pub sync: SyncBlock,
    pub health: HealthBlock,
    pub resources: Vec<ResourceStatus>,
    pub conditions: Vec<StatusCondition>,
    pub operation_state: Option<OperationState>,
    /// Oldest first.
    pub history: Vec<HistoryEntry>,
    /// When the source was last compared.
    pub reconciled_at: Option<Timestamp>,
    /// `Directory` and the like, one for each source.
    pub source_types: Vec<Text>,
    pub summary: Summary,
    pub controller_namespace: Text,
}

/// `status.sync`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SyncBlock {
    /// `None` before the first look.
    pub status: Option<SyncStatus>,
    /// What was compared, as the spec has it.
    pub compared_to: ComparedTo,
    /// The resolved commits, one for each source.
    pub revisions: Vec<Text>,
}

/// `status.sync.comparedTo`: copies of parts of the spec.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ComparedTo {
    pub source: Value,
    pub sources: Value,
    pub destination: Value,
    pub ignore_differences: Value,
}

/// `status.health`, and `health` of a resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HealthBlock {
    /// Empty where there is none.
    pub status: Text,
    pub message: String,
    pub last_transition: Option<Timestamp>,
}

/// One item of `status.resources`.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceStatus {
    pub gvk: Gvk,
    pub namespace: Text,
    pub name: Text,
    /// `None`: it does not count (a hook, a copy).
    pub status: Option<SyncStatus>,
    /// `None` where the kind has no rule.
    pub health: Option<HealthBlock>,
    pub hook: bool,
    pub requires_pruning: bool,
    pub sync_wave: i64,
}

/// One item of `status.conditions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusCondition {
    pub kind: Text,
    pub message: String,
    pub last_transition: Option<Timestamp>,
}

/// `status.operationState`.
#[derive(Debug, Clone, PartialEq)]
pub struct OperationState {
    /// The operation as it was written.
    pub operation: Value,
    /// `Running`, `Terminating`, `Succeeded`, `Failed`, `Error`.
    pub phase: Text,
    pub message: String,
    pub started_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    pub retry_count: u32,
    pub sync_result: Option<SyncResult>,
}

/// `status.operationState.syncResult`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SyncResult {
    pub revisions: Vec<Text>,
    pub source: Value,
    pub sources: Value,
    pub resources: Vec<ResourceResult>,
}

/// One item of `syncResult.resources`.
#[derive(Debug, Clone, PartialEq)]
pub struct ResourceResult {
    pub gvk: Gvk,
    pub namespace: Text,
    pub name: Text,
    /// `Synced`, `SyncFailed`, `Pruned`, `PruneSkipped`.
    pub status: Text,
    pub message: String,
    /// `Running`, `Succeeded`, `Failed`; for ordinary objects the phase of the operation on it.
    pub hook_phase: Text,
    /// `Sync`.
    pub sync_phase: Text,
}

/// One item of `status.history`.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryEntry {
    /// Counts from 0.
    pub id: i64,
    pub revisions: Vec<Text>,
    pub source: Value,
    pub sources: Value,
    pub deployed_at: Timestamp,
    pub deploy_started_at: Option<Timestamp>,
    pub username: Text,
    pub automated: bool,
}

/// `status.summary`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// Sorted, each once.
    pub images: Vec<Text>,
    pub external_urls: Vec<Text>,
}

impl ComparedTo {
    /// The parts of the spec that a comparison depends on.
    pub fn of(spec: &ApplicationSpec, object: &Value) -> Self {
        let part = |name: &str| object.at(&["spec", name]).cloned().unwrap_or_default();
        let is_multiple = spec.has_multiple_sources();
        Self {
            source: if is_multiple { Value::Null } else { part("source") },
            sources: if is_multiple { part("sources") } else { Value::Null },
            destination: part("destination"),
            ignore_differences: part("ignoreDifferences"),
        }
    }

    /// Whether revisions are written as a list.
    pub fn is_multiple(&self) -> bool {
        !self.sources.is_null()
    }
}

impl ApplicationStatus {
    /// Keeps the time of a condition of the same type and message and of an unchanged health, gives the others `now`,
    /// and puts resources and conditions in order.
    pub fn carry_over(&mut self, previous: &Self, now: Timestamp) {
        for condition in &mut self.conditions {
            let same = previous
                .conditions
                .iter()
                .find(|before| before.kind == condition.kind && before.message == condition.message);
            condition.last_transition = same.and_then(|before| before.last_transition).or(Some(now));
        }
        self.conditions
            .sort_by(|left, right| (&left.kind, &left.message).cmp(&(&right.kind, &right.message)));
        let is_same = self.health.status == previous.health.status;
        self.health.last_transition =
            if is_same { previous.health.last_transition.or(Some(now)) } else { Some(now) };
        self.resources.sort_by(|left, right| left.sort_key().cmp(&right.sort_key()));
    }

    /// Adds an entry to the history and drops the oldest beyond the limit.
    pub fn push_history(&mut self, mut entry: HistoryEntry, limit: usize) {
        entry.id = self.history.last().map_or(0, |last| last.id + 1);
        self.history.push(entry);
        let excess = self.history.len().saturating_sub(limit);
        self.history.drain(..excess);
    }

    /// Sets the conditions from what the engine found.
    pub fn set_conditions(&mut self, conditions: &[Condition]) {
        self.conditions = conditions
            .iter()
            .map(|Condition { kind, message }| StatusCondition {
                kind: Text::from(ConditionType::as_str(*kind)),
                message: message.clone(),
                last_transition: None,
            })
            .collect();
    }
}

impl ResourceStatus {
    fn sort_key(&self) -> (&str, &str, &str, &str) {
        (&self.gvk.group, &self.gvk.kind, &self.namespace, &self.name)
    }
}

/// The images of the pod templates and pods of an object, for [`Summary::images`].
pub fn images(object: &Value) -> Vec<Text> {
    let mut found = Vec::new();
    let templates: [&[&str]; 3] =
        [&["spec"], &["spec", "template", "spec"], &["spec", "jobTemplate", "spec", "template", "spec"]];
    for template in templates {
        let Some(spec) = object.at(template) else { continue };
        for list in ["initContainers", "containers"] {
            let containers = spec.list_at(&[list]);
            found.extend(
                containers.iter().filter_map(|container| container.str_at(&["image"])).map(Text::from),
            );
        }
    }
    found
}
