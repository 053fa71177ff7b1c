//! From the engine's findings to what is promised to outsiders: status, DriftReport, requested operations.

#[cfg(test)]
mod tests;

use trueup_engine::app::{App, DriftChoice, SyncRequest};
use trueup_engine::difference::{self as engine, masked_value};
use trueup_engine::ignore::{RuleCount, lint};
use trueup_engine::look::{Comparison, ObjectComparison, Presence};
use trueup_engine::operation::{self as running, Effect, StepOutcome, StepResult};
use trueup_engine::plan::{Held, HeldReason, Limit};
use trueup_engine::status::{Health, ObjectHealth};
use trueup_object::{Gvk, ManagedOperation, Map, Text, Timestamp, Value};

use crate::convert::{INFO_DRIFT, INFO_REMOVE_ADDITIONS};
use crate::difference::{Difference, IgnoredBy};
use crate::drift_report::{DriftReport, ReportedDifference, ReportedProblem, ReportedRule};
use crate::status::{
    ApplicationStatus, ComparedTo, HealthBlock, OperationState, ResourceResult, ResourceStatus, SyncResult,
    time_value,
};

impl From<&engine::Difference> for Difference {
    fn from(found: &engine::Difference) -> Self {
        let engine::Difference {
            id,
            key: _,
            gvk: _,
            channel,
            path,
            pointer,
            change,
            origin,
            target,
            live,
            base,
            predicted,
            unconfirmed,
            attribution,
            first_seen,
            inherited,
            sensitive: _,
            ignored_by,
            message,
        } = found;
        let engine::Attribution { class, confidence, manager, operation, subresource, time } = attribution;
        let value = |masked: &Option<_>| masked.as_ref().map(|masked| masked_value(Some(masked)));
        Self {
            id: Text::from(id.as_str()),
            channel: Text::from(channel.as_str()),
            path: path.as_ref().map(|path| Text::from(path.to_string())),
            pointer: pointer.as_deref().map(Text::from),
            change: Text::from(change.as_str()),
            origin: Some(Text::from(origin.as_str())),
            target: value(target),
            live: value(live),
            base: value(base),
            predicted: value(predicted),
            unconfirmed: *unconfirmed,
            // Whom audit names and what is advised are not known to this build.
            user: None,
            verdict: None,
            class: Some(Text::from(class.as_str())),
            manager: manager.clone(),
            operation: operation.map(ManagedOperation::as_str).map(Text::from),
            subresource: subresource.clone(),
            time: time.map(moment),
            first_seen: first_seen.map(moment),
            confidence: Some(Text::from(confidence.as_str())),
            inherited: Some(*inherited),
            ignored_by: ignored_by.as_ref().map(|ignored| IgnoredBy {
                rule: Text::from(ignored.rule.as_str()),
                source: Text::from(ignored.source.as_str()),
            }),
            message: message.as_deref().map(Text::from),
        }
    }
}

impl From<&engine::Difference> for ReportedDifference {
    fn from(found: &engine::Difference) -> Self {
        Self { object: found.key.clone(), difference: Difference::from(found) }
    }
}

/// Kubernetes writes no fractions of seconds.
fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).unwrap_or(time)
}

fn moment(time: Timestamp) -> Text {
    Text::from(time_value(time).as_str().unwrap_or_default())
}

impl DriftReport {
    /// The report of one look.
    pub fn new(app: &App, comparison: &Comparison, revisions: Vec<Text>, now: Timestamp) -> Self {
        let problems = comparison.objects.iter().filter_map(problem);
        Self {
            namespace: app.key.namespace.clone(),
            name: app.key.name.clone(),
            application_uid: app.uid.clone(),
            sync: Text::from(comparison.status.as_str()),
            origin: Text::from(comparison.origin.as_str()),
            revisions,
            compared_at: Some(now),
            differences: comparison.differences().map(ReportedDifference::from).collect(),
            notes: comparison.notes().map(ReportedDifference::from).collect(),
            problems: problems.collect(),
            rules: comparison.rules.iter().map(ReportedRule::from).collect(),
        }
    }
}

/// What keeps an object from being judged, or from being judged well.
fn problem(object: &ObjectComparison) -> Option<ReportedProblem> {
    let unknown = object.problem.as_ref().map(|problem| match problem.remedy.as_str() {
        "" => problem.message.clone(),
        remedy => format!("{}: {remedy}", problem.message),
    });
    let structural = object.structural.then(|| {
        format!(
            "{}: see that its API server publishes one (OpenAPI v3), as it does for every definition with a schema",
            trueup_engine::look::by_structure(&object.gvk)
        )
    });
    let said: Vec<String> = unknown.into_iter().chain(structural).collect();
    (!said.is_empty()).then(|| ReportedProblem {
        object: object.key.clone(),
        status: Text::from(object.status.as_str()),
        message: said.join("; "),
    })
}

impl From<&RuleCount> for ReportedRule {
    fn from(count: &RuleCount) -> Self {
        Self {
            rule: Text::from(count.describe()),
            source: Text::from(count.source.as_str()),
            objects: count.objects,
            matches: count.matches,
            message: lint::reported(count),
        }
    }
}

impl ApplicationStatus {
    /// Takes over what one look found. Conditions of the look are the caller's to set, together with its own.
    pub fn set_comparison(&mut self, comparison: &Comparison, compared_to: ComparedTo, revisions: Vec<Text>) {
        self.sync.status = Some(comparison.status);
        self.sync.compared_to = compared_to;
        self.sync.revisions = revisions;
        self.health.status = Text::from(comparison.health.status.as_str());
        self.health.message = comparison.health.message.clone();
        self.resources = comparison.objects.iter().map(ResourceStatus::from).collect();
    }
}

impl From<&ObjectComparison> for ResourceStatus {
    fn from(object: &ObjectComparison) -> Self {
        Self {
            gvk: object.gvk.clone(),
            namespace: object.key.namespace.clone(),
            name: object.key.name.clone(),
            status: Some(object.status),
            health: health(&object.health),
            hook: false,
            requires_pruning: object.presence == Presence::Extraneous,
            sync_wave: 0,
        }
    }
}

fn health(found: &ObjectHealth) -> Option<HealthBlock> {
    let (status, message) = match found {
        ObjectHealth::Missing => ("Missing", ""),
        ObjectHealth::Unjudged => return None,
        ObjectHealth::Judged(Health { status, message })
        | ObjectHealth::Exempt(Health { status, message }) => (status.as_str(), message.as_str()),
    };
    Some(HealthBlock { status: Text::from(status), message: message.to_owned(), last_transition: None })
}

impl OperationState {
    /// Progress of an operation. `written` is the operation as somebody wrote it; null for one of our own.
    pub fn new(state: &running::OperationState, written: &Value, compared_to: &ComparedTo) -> Self {
        let running::OperationState {
            request,
            phase,
            message,
            revisions,
            results,
            held,
            started_at,
            finished_at,
            retry_count,
        } = state;
        let mut resources: Vec<ResourceResult> = results.iter().map(ResourceResult::from).collect();
        resources.extend(held.iter().filter_map(skipped_prune));
        Self {
            operation: if written.is_null() { operation_value(request) } else { written.clone() },
            phase: Text::from(phase.as_str()),
            message: message.clone(),
            // As the status has them when it is read back, so that it is seen to tell of the operation.
            started_at: whole_seconds(*started_at),
            finished_at: finished_at.map(whole_seconds),
            retry_count: *retry_count,
            sync_result: Some(SyncResult {
                revisions: revisions.clone(),
                source: compared_to.source.clone(),
                sources: compared_to.sources.clone(),
                resources,
            }),
        }
    }
}

impl From<&StepResult> for ResourceResult {
    fn from(result: &StepResult) -> Self {
        let StepResult { key, gvk, outcome } = result;
        let (status, hook_phase, message) = match outcome {
            StepOutcome::Done(Effect::Created) => ("Synced", "Running", "created"),
            StepOutcome::Done(Effect::Changed) => ("Synced", "Running", "configured"),
            StepOutcome::Done(Effect::Unchanged) => ("Synced", "Running", "unchanged"),
            StepOutcome::Done(Effect::Pruned) => ("Pruned", "Succeeded", "pruned"),
            StepOutcome::Stale { why } => ("", "Running", why.as_str()),
            StepOutcome::Refused { message } => ("SyncFailed", "Failed", message.as_str()),
            StepOutcome::Unanswered { message } => ("", "Running", message.as_str()),
        };
        Self {
            gvk: gvk.clone(),
            namespace: key.namespace.clone(),
            name: key.name.clone(),
            status: Text::from(status),
            message: message.to_owned(),
            hook_phase: Text::from(hook_phase),
            sync_phase: Text::from("Sync"),
        }
    }
}

/// A prune that was left undone is a result in Argo CD's status; whatever else a plan leaves alone is not.
fn skipped_prune(held: &Held) -> Option<ResourceResult> {
    match &held.reason {
        HeldReason::PruneOff
        | HeldReason::PruneForbidden { .. }
        | HeldReason::TargetsIncomplete
        | HeldReason::WantedElsewhere { .. }
        | HeldReason::OthersUnread
        | HeldReason::WouldEmpty
        | HeldReason::Limit(Limit::Prunes { .. }) => {}
        HeldReason::ReadOnly
        | HeldReason::Unknown { .. }
        | HeldReason::ClusterMoved
        | HeldReason::BothMoved
        | HeldReason::Excused
        | HeldReason::Addition
        | HeldReason::Deleting
        | HeldReason::Shared { .. }
        | HeldReason::Fight { .. }
        | HeldReason::Limit(Limit::Restarts { .. } | Limit::RestartRate { .. }) => return None,
    }
    Some(ResourceResult {
        gvk: Gvk { group: held.key.group.clone(), version: Text::default(), kind: held.key.kind.clone() },
        namespace: held.key.namespace.clone(),
        name: held.key.name.clone(),
        status: Text::from("PruneSkipped"),
        message: held.reason.describe(),
        hook_phase: Text::default(),
        sync_phase: Text::from("Sync"),
    })
}

/// A sync request as `operation` of an Application. Reading it back gives the same request.
pub fn operation_value(request: &SyncRequest) -> Value {
    let SyncRequest {
        revision,
        prune,
        dry_run,
        resources,
        initiated_by,
        drift,
        remove_additions,
        retry,
        info,
    } = request;
    let mut operation = Value::Map(Map::new());
    operation.set_at(&["sync"], Value::Map(Map::new()));
    if let Some(revision) = revision {
        operation.set_at(&["sync", "revision"], revision.as_str().into());
    }
    for (name, flag) in [("prune", *prune), ("dryRun", *dry_run)] {
        if flag {
            operation.set_at(&["sync", name], true.into());
        }
    }
    if !resources.is_empty() {
        let resources = resources.iter().map(|wanted| {
            let parts = [
                ("group", &wanted.kind.group),
                ("kind", &wanted.kind.kind),
                ("namespace", &wanted.namespace),
                ("name", &wanted.name),
            ];
            let filled = parts.into_iter().filter(|(_, text)| !text.is_empty());
            Value::Map(filled.map(|(name, text)| (name, Value::Str(text.clone()))).collect())
        });
        operation.set_at(&["sync", "resources"], Value::List(resources.collect()));
    }
    if !initiated_by.username.is_empty() {
        operation.set_at(&["initiatedBy", "username"], initiated_by.username.clone().into());
    }
    if initiated_by.automated {
        operation.set_at(&["initiatedBy", "automated"], true.into());
    }
    let mut items: Vec<(Text, Text)> =
        info.iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    if *drift == DriftChoice::Keep {
        items.push((INFO_DRIFT.into(), "keep".into()));
    }
    if *remove_additions {
        items.push((INFO_REMOVE_ADDITIONS.into(), "true".into()));
    }
    if !items.is_empty() {
        let items = items.into_iter().map(|(name, value)| {
            Value::Map([("name", Value::Str(name)), ("value", Value::Str(value))].into_iter().collect())
        });
        operation.set_at(&["info"], Value::List(items.collect()));
    }
    if let Some(retry) = retry {
        let limit = retry.limit.map_or(-1, i64::from);
        operation.set_at(&["retry", "limit"], limit.into());
        operation.set_at(&["retry", "backoff", "duration"], format!("{}ms", retry.base_ms).into());
        operation.set_at(&["retry", "backoff", "factor"], i64::from(retry.factor).into());
        operation.set_at(&["retry", "backoff", "maxDuration"], format!("{}ms", retry.backoff_ms_max).into());
    }
    operation
}
