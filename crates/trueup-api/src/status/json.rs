//! The status as JSON: the names and the omissions of Argo CD's Go types.

use trueup_engine::status::SyncStatus;
use trueup_object::{Map, Text, Timestamp, Value};

use super::{
    ApplicationStatus, ComparedTo, HealthBlock, HistoryEntry, OperationState, ResourceResult, ResourceStatus,
    StatusCondition, Summary, SyncBlock, SyncResult, merge_patch,
};

/// A map that leaves out what is empty, as Go's `omitempty` does.
#[derive(Default)]
struct Fields(Map);

impl Fields {
    /// Written also where it is empty.
    fn always(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.0.insert(name, value.into());
        self
    }

    fn filled(self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        let is_empty = match &value {
            Value::Null | Value::Bool(false) | Value::Int(0) => true,
            Value::Str(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(map) => map.is_empty(),
            Value::Bool(true) | Value::Int(_) | Value::Float(_) => false,
        };
        if is_empty { self } else { self.always(name, value) }
    }

    fn done(self) -> Value {
        Value::Map(self.0)
    }
}

/// As Kubernetes writes times: whole seconds, UTC.
pub(crate) fn time(time: Timestamp) -> Value {
    Value::Str(trueup_object::time::to_seconds(time))
}

fn maybe_time(moment: Option<Timestamp>) -> Value {
    moment.map(time).unwrap_or_default()
}

fn texts(items: &[Text]) -> Value {
    Value::List(items.iter().map(|text| Value::Str(text.clone())).collect())
}

fn each<T>(items: &[T], write: impl Fn(&T) -> Value) -> Value {
    Value::List(items.iter().map(write).collect())
}

/// `revision` for one source, `revisions` for several.
fn revisions(fields: Fields, found: &[Text], is_multiple: bool) -> Fields {
    if is_multiple {
        fields.filled("revisions", texts(found))
    } else {
        fields.filled("revision", found.first().cloned().unwrap_or_default())
    }
}

fn sync_word(status: Option<SyncStatus>) -> &'static str {
    status.map(SyncStatus::as_str).unwrap_or_default()
}

impl ApplicationStatus {
    /// As the object carries it.
    pub fn to_value(&self) -> Value {
        self.parts(&|_, write| write())
    }

    /// The merge patch that makes this status of an earlier one; `None` where there is nothing to change.
    pub fn patch_of(&self, earlier: &Self) -> Option<Value> {
        // Most looks find what was found before.
        if self == earlier {
            return None;
        }
        // Most of a long status is what it was: that is written on neither side.
        let changed = |part: Part, write: &dyn Fn() -> Value| {
            let same = match part {
                Part::Resources => self.resources == earlier.resources,
                Part::History => self.history == earlier.history,
                Part::OperationState => self.operation_state == earlier.operation_state,
                Part::Sync => self.sync == earlier.sync,
            };
            if same { Value::Null } else { write() }
        };
        merge_patch(&earlier.parts(&changed), &self.parts(&changed))
    }

    fn parts(&self, part: &dyn Fn(Part, &dyn Fn() -> Value) -> Value) -> Value {
        let Self {
            sync,
            health,
            resources,
            conditions,
            operation_state,
            history,
            reconciled_at,
            source_types,
            summary,
            controller_namespace,
        } = self;
        let is_multiple = sync.compared_to.is_multiple();
        let operation = || operation_state.as_ref().map(OperationState::to_value).unwrap_or_default();
        let fields = Fields::default()
            .filled("sync", part(Part::Sync, &|| sync.to_value()))
            .filled("health", health.to_value())
            .filled("resources", part(Part::Resources, &|| each(resources, ResourceStatus::to_value)))
            .filled("conditions", each(conditions, StatusCondition::to_value))
            .filled("operationState", part(Part::OperationState, &operation))
            .filled("history", part(Part::History, &|| each(history, HistoryEntry::to_value)))
            .filled("reconciledAt", maybe_time(*reconciled_at))
            .always("summary", summary.to_value())
            .filled("controllerNamespace", controller_namespace.clone());
        let fields = if is_multiple {
            fields.filled("sourceTypes", texts(source_types))
        } else {
            fields.filled("sourceType", source_types.first().cloned().unwrap_or_default())
        };
        fields.done()
    }
}

/// What of a status can be long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Sync,
    Resources,
    OperationState,
    History,
}

impl SyncBlock {
    fn to_value(&self) -> Value {
        let Self { status, compared_to, revisions: found } = self;
        if status.is_none() {
            return Value::Null;
        }
        let fields = Fields::default()
            .always("status", sync_word(*status))
            .filled("comparedTo", compared_to.to_value());
        revisions(fields, found, compared_to.is_multiple()).done()
    }
}

impl ComparedTo {
    fn to_value(&self) -> Value {
        let Self { source, sources, destination, ignore_differences } = self;
        if destination.is_null() {
            return Value::Null;
        }
        Fields::default()
            .always("destination", destination.clone())
            .filled("source", source.clone())
            .filled("sources", sources.clone())
            .filled("ignoreDifferences", ignore_differences.clone())
            .done()
    }
}

impl HealthBlock {
    fn to_value(&self) -> Value {
        let Self { status, message, last_transition } = self;
        if status.is_empty() {
            return Value::Null;
        }
        Fields::default()
            .filled("status", status.clone())
            .filled("message", message.clone())
            .filled("lastTransitionTime", maybe_time(*last_transition))
            .done()
    }
}

impl ResourceStatus {
    fn to_value(&self) -> Value {
        let Self { gvk, namespace, name, status, health, hook, requires_pruning, sync_wave } = self;
        Fields::default()
            .filled("group", gvk.group.clone())
            .filled("version", gvk.version.clone())
            .filled("kind", gvk.kind.clone())
            .filled("namespace", namespace.clone())
            .filled("name", name.clone())
            .filled("status", sync_word(*status))
            .filled("health", health.as_ref().map(HealthBlock::to_value).unwrap_or_default())
            .filled("hook", *hook)
            .filled("requiresPruning", *requires_pruning)
            .filled("syncWave", *sync_wave)
            .done()
    }
}

impl StatusCondition {
    fn to_value(&self) -> Value {
        let Self { kind, message, last_transition } = self;
        Fields::default()
            .always("type", kind.clone())
            .always("message", message.clone())
            .filled("lastTransitionTime", maybe_time(*last_transition))
            .done()
    }
}

impl OperationState {
    fn to_value(&self) -> Value {
        let Self { operation, phase, message, started_at, finished_at, retry_count, sync_result } = self;
        let operation = if operation.is_null() { Value::Map(Map::new()) } else { operation.clone() };
        Fields::default()
            .always("operation", operation)
            .always("phase", phase.clone())
            .filled("message", message.clone())
            .always("startedAt", time(*started_at))
            .filled("finishedAt", maybe_time(*finished_at))
            .filled("retryCount", i64::from(*retry_count))
            .filled("syncResult", sync_result.as_ref().map(SyncResult::to_value).unwrap_or_default())
            .done()
    }
}

impl SyncResult {
    fn to_value(&self) -> Value {
        let Self { revisions: found, source, sources, resources } = self;
        let is_multiple = !sources.is_null();
        let fields = Fields::default()
            // Argo CD's CRD requires the key also where there are several revisions.
            .always(
                "revision",
                if is_multiple { Text::default() } else { found.first().cloned().unwrap_or_default() },
            )
            .filled("source", source.clone())
            .filled("sources", sources.clone())
            .filled("resources", each(resources, ResourceResult::to_value));
        if is_multiple { fields.filled("revisions", texts(found)).done() } else { fields.done() }
    }
}

impl ResourceResult {
    fn to_value(&self) -> Value {
        let Self { gvk, namespace, name, status, message, hook_phase, sync_phase } = self;
        Fields::default()
            .always("group", gvk.group.clone())
            .always("version", gvk.version.clone())
            .always("kind", gvk.kind.clone())
            .always("namespace", namespace.clone())
            .always("name", name.clone())
            .filled("status", status.clone())
            .filled("message", message.clone())
            .filled("hookPhase", hook_phase.clone())
            .filled("syncPhase", sync_phase.clone())
            .done()
    }
}

impl HistoryEntry {
    fn to_value(&self) -> Value {
        let Self {
            id,
            revisions: found,
            source,
            sources,
            deployed_at,
            deploy_started_at,
            username,
            automated,
        } = self;
        let initiated_by =
            Fields::default().filled("username", username.clone()).filled("automated", *automated).done();
        let fields = Fields::default()
            .always("id", *id)
            .always("deployedAt", time(*deployed_at))
            .filled("deployStartedAt", maybe_time(*deploy_started_at))
            .filled("source", source.clone())
            .filled("sources", sources.clone())
            .always("initiatedBy", initiated_by);
        revisions(fields, found, !sources.is_null()).done()
    }
}

impl Summary {
    fn to_value(&self) -> Value {
        let Self { images, external_urls } = self;
        Fields::default().filled("images", texts(images)).filled("externalURLs", texts(external_urls)).done()
    }
}
