//! The status as it stands in an object: what the next one carries over. What cannot be read is as good as absent,
//! since it is written anew.

use trueup_engine::status::SyncStatus;
use trueup_object::{Gvk, Text, Timestamp, Value};

use super::{
    ApplicationStatus, ComparedTo, HealthBlock, HistoryEntry, OperationState, ResourceResult, ResourceStatus,
    StatusCondition, Summary, SyncBlock, SyncResult,
};

fn text(value: &Value, keys: &[&str]) -> Text {
    Text::from(value.str_at(keys).unwrap_or_default())
}

fn owned(value: &Value, keys: &[&str]) -> String {
    value.str_at(keys).unwrap_or_default().to_owned()
}

fn part(value: &Value, keys: &[&str]) -> Value {
    value.at(keys).cloned().unwrap_or_default()
}

fn time(value: &Value, keys: &[&str]) -> Option<Timestamp> {
    value.str_at(keys)?.parse().ok()
}

fn texts(value: &Value, keys: &[&str]) -> Vec<Text> {
    value.list_at(keys).iter().filter_map(Value::as_str).map(Text::from).collect()
}

fn flag(value: &Value, keys: &[&str]) -> bool {
    value.at(keys).and_then(Value::as_bool).unwrap_or_default()
}

/// `revisions`, or `revision` alone.
fn revisions(value: &Value) -> Vec<Text> {
    let found = texts(value, &["revisions"]);
    if !found.is_empty() {
        return found;
    }
    value.str_at(&["revision"]).filter(|one| !one.is_empty()).map(Text::from).into_iter().collect()
}

fn sync_status(word: &str) -> Option<SyncStatus> {
    [SyncStatus::Synced, SyncStatus::OutOfSync, SyncStatus::Unknown]
        .into_iter()
        .find(|status| status.as_str() == word)
}

fn gvk(value: &Value) -> Gvk {
    Gvk { group: text(value, &["group"]), version: text(value, &["version"]), kind: text(value, &["kind"]) }
}

impl ApplicationStatus {
    /// Reads `status` of an Application; a null gives an empty one.
    pub fn of(status: &Value) -> Self {
        let source_types = match status.str_at(&["sourceType"]) {
            Some(one) => vec![Text::from(one)],
            None => texts(status, &["sourceTypes"]),
        };
        Self {
            sync: SyncBlock::of(status.get("sync").unwrap_or(&Value::Null)),
            health: status.get("health").map(HealthBlock::of).unwrap_or_default(),
            resources: status.list_at(&["resources"]).iter().map(ResourceStatus::of).collect(),
            conditions: status.list_at(&["conditions"]).iter().map(StatusCondition::of).collect(),
            operation_state: status.get("operationState").and_then(OperationState::of),
            history: status.list_at(&["history"]).iter().filter_map(HistoryEntry::of).collect(),
            reconciled_at: time(status, &["reconciledAt"]),
            source_types,
            summary: Summary {
                images: texts(status, &["summary", "images"]),
                external_urls: texts(status, &["summary", "externalURLs"]),
            },
            controller_namespace: text(status, &["controllerNamespace"]),
        }
    }
}

impl SyncBlock {
    fn of(sync: &Value) -> Self {
        Self {
            status: sync.str_at(&["status"]).and_then(sync_status),
            compared_to: ComparedTo {
                source: part(sync, &["comparedTo", "source"]),
                sources: part(sync, &["comparedTo", "sources"]),
                destination: part(sync, &["comparedTo", "destination"]),
                ignore_differences: part(sync, &["comparedTo", "ignoreDifferences"]),
            },
            revisions: revisions(sync),
        }
    }
}

impl HealthBlock {
    fn of(health: &Value) -> Self {
        Self {
            status: text(health, &["status"]),
            message: owned(health, &["message"]),
            last_transition: time(health, &["lastTransitionTime"]),
        }
    }
}

impl ResourceStatus {
    fn of(resource: &Value) -> Self {
        Self {
            gvk: gvk(resource),
            namespace: text(resource, &["namespace"]),
            name: text(resource, &["name"]),
            status: resource.str_at(&["status"]).and_then(sync_status),
            health: resource.get("health").filter(|health| !health.is_null()).map(HealthBlock::of),
            hook: flag(resource, &["hook"]),
            requires_pruning: flag(resource, &["requiresPruning"]),
            sync_wave: resource.int_at(&["syncWave"]).unwrap_or_default(),
        }
    }
}

impl StatusCondition {
    fn of(condition: &Value) -> Self {
        Self {
            kind: text(condition, &["type"]),
            message: owned(condition, &["message"]),
            last_transition: time(condition, &["lastTransitionTime"]),
        }
    }
}

impl OperationState {
    fn of(state: &Value) -> Option<Self> {
        Some(Self {
            operation: part(state, &["operation"]),
            phase: text(state, &["phase"]),
            message: owned(state, &["message"]),
            started_at: time(state, &["startedAt"])?,
            finished_at: time(state, &["finishedAt"]),
            retry_count: state
                .int_at(&["retryCount"])
                .and_then(|count| u32::try_from(count).ok())
                .unwrap_or_default(),
            sync_result: state.get("syncResult").filter(|result| !result.is_null()).map(SyncResult::of),
        })
    }
}

impl SyncResult {
    fn of(result: &Value) -> Self {
        Self {
            revisions: revisions(result),
            source: part(result, &["source"]),
            sources: part(result, &["sources"]),
            resources: result.list_at(&["resources"]).iter().map(ResourceResult::of).collect(),
        }
    }
}

impl ResourceResult {
    fn of(result: &Value) -> Self {
        Self {
            gvk: gvk(result),
            namespace: text(result, &["namespace"]),
            name: text(result, &["name"]),
            status: text(result, &["status"]),
            message: owned(result, &["message"]),
            hook_phase: text(result, &["hookPhase"]),
            sync_phase: text(result, &["syncPhase"]),
        }
    }
}

impl HistoryEntry {
    fn of(entry: &Value) -> Option<Self> {
        Some(Self {
            id: entry.int_at(&["id"])?,
            revisions: revisions(entry),
            source: part(entry, &["source"]),
            sources: part(entry, &["sources"]),
            deployed_at: time(entry, &["deployedAt"])?,
            deploy_started_at: time(entry, &["deployStartedAt"]),
            username: text(entry, &["initiatedBy", "username"]),
            automated: flag(entry, &["initiatedBy", "automated"]),
        })
    }
}
