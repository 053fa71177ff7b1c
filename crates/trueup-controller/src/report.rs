//! What is told to the world after a turn: the Application's status, the DriftReport, Events; each only where it says
//! something new.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use trueup_api::Application;
use trueup_api::annotations::REFRESH;
use trueup_api::drift_report::DriftReport;
use trueup_api::status::{
    ApplicationStatus, ComparedTo, HealthBlock, HistoryEntry, OperationState, StatusCondition,
};
use trueup_cluster::act::{self, EventKind, Hand, Involved, Place, Refusal, ReportedEvent};
use trueup_cluster::{Content, Lookup, ObjectName};
use trueup_engine::app::{App, AppKey};
use trueup_engine::condition::{Condition, ConditionType};
use trueup_engine::desired::TargetSet;
use trueup_engine::live::LiveSet;
use trueup_engine::look::Comparison;
use trueup_engine::operation::{self as engine, OperationPhase};
use trueup_engine::status::SyncStatus;
use trueup_object::{Map, Text, Value};

use crate::applications::{self, Parsed};
use crate::board::AppCard;
use crate::complaints::Matter;
use crate::installation::Installation;
use crate::mailbox::Depth;
use crate::staff::{application_kind, report_kind};
use crate::state::{AppState, Finished, Told};
use crate::turn::act::Scene;

/// How many paths an Event names.
const NAMED_MAX: usize = 5;

/// What is to be written after a turn.
#[derive(Debug, Default)]
pub struct Report {
    key: Option<AppKey>,
    patch: Option<Value>,
    drift_report: DriftNews,
    events: Vec<ReportedEvent>,
    /// The Application tells of the last operation already.
    pub operation_is_told: bool,
    /// The request that was carried out is taken off the Application.
    pub clears_request: bool,
}

/// What there is to tell in a DriftReport.
#[derive(Debug, Default)]
enum DriftNews {
    /// The cluster takes no such reports, or none is to be made.
    #[default]
    None,
    /// The one in the cluster says it already.
    Known(Told),
    /// To be written; `told` is how it is known then, but for its version.
    New { object: Box<Value>, told: Told },
}

/// What came of writing a report.
#[derive(Debug, Default)]
pub struct Sent {
    /// All was written, but perhaps for the Events.
    pub is_whole: bool,
    /// The DriftReport as it was written.
    pub told: Option<Told>,
}

impl Report {
    /// The DriftReport in the cluster, where nothing new is to be written.
    pub fn told(&self) -> Option<Told> {
        match &self.drift_report {
            DriftNews::Known(told) => Some(told.clone()),
            DriftNews::None | DriftNews::New { .. } => None,
        }
    }

    /// A patch of the Application and Events about it.
    pub fn of(key: &AppKey, patch: Option<Value>, events: Vec<ReportedEvent>) -> Self {
        Self { key: Some(key.clone()), patch, events, ..Self::default() }
    }
}

/// Puts together what one turn has to tell.
pub fn prepare(scene: &Scene<'_>, state: &AppState, parsed: &Parsed, verdict: &Comparison) -> Report {
    let Scene { installation, app, targets, now, .. } = *scene;
    let Parsed { application, status: previous } = parsed;
    let compared_to = ComparedTo::of(&application.spec, &application.object);
    let revisions = revisions(targets);
    let mut next = previous.clone();
    next.set_comparison(verdict, compared_to.clone(), revisions.clone());
    let mut conditions = verdict.conditions.clone();
    conditions.extend(unserved(targets, scene.live));
    conditions.extend(state.policy_conditions.iter().cloned());
    conditions.extend(state.heal_condition.iter().cloned());
    next.set_conditions(&conditions);
    next.controller_namespace = Text::from(installation.settings.namespace.as_str());
    next.summary.images = images(targets);
    next.source_types = app.sources.iter().map(|_| Text::from("Directory")).collect();
    let mut events = transition_events(installation, application, previous, verdict, now);
    let (mut patch, mut clears_request) = (Value::default(), false);
    if let Some(operation) = told_operation(state) {
        next.operation_state = Some(operation_state(operation, application, &compared_to));
    }
    if let Some(Finished { operation: Some(operation), resource_version, .. }) = &state.finished
        && *resource_version == application.metadata.resource_version
    {
        push_history(&mut next, operation, &compared_to, app.history_limit);
        events.push(operation_event(installation, application, operation, now));
        if application.operation.is_some() && !operation.request.initiated_by.automated {
            patch.set_at(&["operation"], Value::Null);
            clears_request = true;
            // The request that was carried out is cleared, and none that came meanwhile.
            let version = application.metadata.resource_version.clone();
            patch.set_at(&["metadata", "resourceVersion"], version.into());
        }
    }
    next.carry_over(previous, now);
    let operation_is_told = next.operation_state == previous.operation_state;
    if app.refresh.is_some() && state.inquiry.refreshing() == Depth::Live {
        patch.set_at(&["metadata", "annotations", REFRESH], Value::Null);
    }
    if let Some(status) = next.patch_of(previous) {
        patch.set_at(&["status"], status);
    }
    if !patch.is_null() {
        // A time alone is no news: it is written with news only, so that an idle fleet writes nothing.
        let reconciled_at = ApplicationStatus { reconciled_at: Some(now), ..ApplicationStatus::default() };
        if let Some(time) = reconciled_at.to_value().get("reconciledAt") {
            patch.set_at(&["status", "reconciledAt"], time.clone());
        }
    }
    show(installation, state, &application.object, Some(app), &next);
    let drift_report = drift_report(installation, app, state, verdict, revisions, now);
    Report {
        key: Some(state.key.clone()),
        patch: (!patch.is_null()).then_some(patch),
        drift_report,
        events,
        operation_is_told,
        clears_request,
    }
}

/// Tells which kinds of the targets the cluster does not serve, unless their definitions are among the targets.
fn unserved(targets: &TargetSet, live: &LiveSet) -> Option<Condition> {
    let kinds: Vec<String> = live.unserved(targets).iter().map(ToString::to_string).collect();
    (!kinds.is_empty()).then(|| {
        Condition::new(
            ConditionType::SyncError,
            format!(
                "the cluster does not serve {}; install its definition, or add that to the application; it is \
                 looked for by itself",
                kinds.join(", ")
            ),
        )
    })
}

/// Writes what was prepared. What cannot be written is written by a later turn.
pub async fn send(installation: &Installation, report: Report) -> Sent {
    let Report { key: Some(key), patch, drift_report, events, .. } = report else {
        return Sent { is_whole: true, told: None };
    };
    let wire = &installation.sites.home.cluster.connection().wire;
    let status = async {
        let Some(patch) = patch else { return true };
        let kind = applications::served(installation, &application_kind());
        let place = Place { kind: &kind, namespace: &key.namespace, name: &key.name };
        let written = act::patch_merge(wire, place, &patch, &Hand::real()).await;
        written_or_told(installation, &key, Matter::Status, &written)
    };
    let drift = async {
        let DriftNews::New { object, told } = drift_report else { return (true, None) };
        let kind = applications::served(installation, &report_kind());
        let place = Place { kind: &kind, namespace: &key.namespace, name: &key.name };
        let written = act::apply_own(wire, place, &object, &Hand::real()).await;
        let is_done = written_or_told(installation, &key, Matter::DriftReport, &written);
        (is_done, written.ok().map(|it| Told { resource_version: it.version.resource_version, ..told }))
    };
    let announced = async {
        for event in &events {
            tracing::info!(application = %key, reason = event.reason, "{}", event.message);
            let written = act::report(wire, event).await;
            written_or_told(installation, &key, Matter::Event, &written);
        }
    };
    let (status, (drift, known), ()) = tokio::join!(status, drift, announced);
    Sent { is_whole: status && drift, told: known }
}

/// Whether something was written. Where it was not, that is logged once for each cause.
fn written_or_told<T>(
    installation: &Installation,
    key: &AppKey,
    matter: Matter,
    written: &Result<T, Refusal>,
) -> bool {
    let refusal = match written {
        Ok(_) => {
            if installation.complaints.ends(matter) {
                tracing::info!("{} can be written again", matter.words());
            }
            return true;
        }
        Err(refusal) => refusal,
    };
    let cause = match refusal {
        // An Application that is gone has no status.
        Refusal::NotFound { .. } if matter == Matter::Status => return true,
        // Somebody was quicker, which the watch shows: the next turn writes on what is there then.
        Refusal::Conflict { .. } | Refusal::PreconditionFailed { .. } => {
            tracing::debug!(application = %key, error = %format_args!("failed to {refusal}"), "overtaken while writing {}", matter.words());
            return false;
        }
        Refusal::NotFound { .. } => "not found",
        Refusal::Invalid { .. } => "invalid",
        Refusal::Denied { .. } => "denied",
        Refusal::Forbidden { .. } => "forbidden",
        Refusal::Unauthorized { .. } => "unauthorized",
        Refusal::Rejected { .. } => "rejected",
        Refusal::Busy { .. }
        | Refusal::Unreachable { .. }
        | Refusal::AnswerUnknown { .. }
        | Refusal::Server { .. } => "no answer",
    };
    if installation.complaints.begins(matter, cause) {
        let hint = refusal.hint().unwrap_or("it is tried again by itself");
        tracing::warn!(
            application = %key,
            error = %format_args!("failed to {refusal}"),
            hint,
            "{} cannot be written; said once until they can, and tried again",
            matter.words()
        );
    }
    false
}

/// Reports an Application that makes no sense, or whose sources cannot be had at all: Unknown, with the reason.
pub async fn unknown(
    installation: &Installation,
    state: &mut AppState,
    object: &Value,
    conditions: &[Condition],
    keeps_verdict: bool,
) -> bool {
    let now = installation.now();
    let previous = ApplicationStatus::of(object.get("status").unwrap_or(&Value::Null));
    let mut next = previous.clone();
    if !(keeps_verdict && previous.sync.status.is_some()) {
        next.sync.status = Some(SyncStatus::Unknown);
        next.health = HealthBlock { status: Text::from("Unknown"), ..HealthBlock::default() };
    }
    next.set_conditions(conditions);
    next.carry_over(&previous, now);
    let mut patch = Value::default();
    let is_refreshed = state.inquiry.refreshing() == Depth::Live;
    if is_refreshed && object.at(&["metadata", "annotations", REFRESH]).is_some() {
        patch.set_at(&["metadata", "annotations", REFRESH], Value::Null);
    }
    let asked = object.get("operation").filter(|operation| !operation.is_null());
    if let Some(finished) = asked.filter(|_| !state.inquiry.is_awaited()) {
        // Nothing can be synced: the request ends here, or it would wait for ever.
        let failed = failed_operation(finished, conditions, now);
        patch.set_at(&["operation"], Value::Null);
        next.operation_state = Some(failed);
    }
    if let Some(status) = next.patch_of(&previous) {
        patch.set_at(&["status"], status);
    }
    show(installation, state, object, state.app.as_deref(), &next);
    let report = Report::of(&state.key, (!patch.is_null()).then_some(patch), Vec::new());
    send(installation, report).await.is_whole
}

fn failed_operation(written: &Value, conditions: &[Condition], now: Timestamp) -> OperationState {
    let message = conditions.first().map(|condition| condition.message.clone()).unwrap_or_default();
    let mut state = engine::OperationState::begin(trueup_engine::app::SyncRequest::default(), now);
    state.finish(OperationPhase::Error, message, now);
    OperationState::new(&state, written, &ComparedTo::default())
}

/// The operation that the status tells of. One that runs goes before one that ended earlier, or a request would be
/// answered with the outcome of the request before it.
fn told_operation(state: &AppState) -> Option<&engine::OperationState> {
    let running = state.running.as_ref().map(|running| &running.operation);
    running.or_else(|| state.finished.as_ref().and_then(|finished| finished.operation.as_ref()))
}

fn operation_state(
    operation: &engine::OperationState,
    application: &Application,
    compared_to: &ComparedTo,
) -> OperationState {
    let automated = operation.request.initiated_by.automated;
    let written = application.object.get("operation").filter(|_| !automated).unwrap_or(&Value::Null);
    OperationState::new(operation, written, compared_to)
}

/// Argo CD keeps a history of what was really and wholly deployed (compat 1.3).
fn push_history(
    next: &mut ApplicationStatus,
    operation: &engine::OperationState,
    compared_to: &ComparedTo,
    limit: usize,
) {
    let request = &operation.request;
    let whole = request.resources.is_empty() && !request.dry_run;
    let (true, OperationPhase::Succeeded, Some(finished_at)) =
        (whole, operation.phase, operation.finished_at)
    else {
        return;
    };
    let entry = HistoryEntry {
        id: 0,
        revisions: operation.revisions.clone(),
        source: compared_to.source.clone(),
        sources: compared_to.sources.clone(),
        deployed_at: finished_at,
        deploy_started_at: Some(operation.started_at),
        username: request.initiated_by.username.clone(),
        automated: request.initiated_by.automated,
    };
    next.push_history(entry, limit);
}

/// Events for what changed since the last report: the status, and which drift is there.
fn transition_events(
    installation: &Installation,
    application: &Application,
    previous: &ApplicationStatus,
    verdict: &Comparison,
    now: Timestamp,
) -> Vec<ReportedEvent> {
    let before = previous.sync.status;
    if before == Some(verdict.status) {
        return Vec::new();
    }
    let event = |kind, reason: &str, message: String| ReportedEvent {
        kind,
        reason: reason.to_owned(),
        message,
        involved: involved(application),
        at: now,
        instance: installation.settings.instance.clone(),
    };
    let from = before.map_or("Unknown", SyncStatus::as_str);
    let mut events = vec![event(
        EventKind::Normal,
        "ResourceUpdated",
        format!("sync status: {from} -> {}", verdict.status),
    )];
    let drifts: Vec<String> = verdict
        .differences()
        .filter(|difference| !difference.is_pending())
        .map(|difference| {
            let by =
                difference.attribution.manager.as_ref().map(|name| format!(" by {name}")).unwrap_or_default();
            format!("{} {}{by}", difference.place(), difference.change.as_str())
        })
        .collect();
    if !drifts.is_empty() {
        let more = drifts.len().saturating_sub(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let named: Vec<String> = drifts.into_iter().take(NAMED_MAX).collect();
        events.push(event(EventKind::Warning, "DriftDetected", format!("{}{more}", named.join("; "))));
    }
    events
}

fn operation_event(
    installation: &Installation,
    application: &Application,
    operation: &engine::OperationState,
    now: Timestamp,
) -> ReportedEvent {
    let ok = operation.phase == OperationPhase::Succeeded;
    ReportedEvent {
        kind: if ok { EventKind::Normal } else { EventKind::Warning },
        reason: "OperationCompleted".to_owned(),
        message: format!("sync {}: {}", operation.phase.as_str(), operation.message),
        involved: involved(application),
        at: now,
        instance: installation.settings.instance.clone(),
    }
}

pub fn involved(application: &Application) -> Involved {
    Involved {
        api_version: application_kind().api_version().to_string(),
        kind: "Application".to_owned(),
        namespace: application.metadata.namespace.to_string(),
        name: application.metadata.name.to_string(),
        uid: application.metadata.uid.to_string(),
    }
}

fn revisions(targets: &TargetSet) -> Vec<Text> {
    targets.revisions.iter().map(|revision| Text::from(revision.id.to_string())).collect()
}

fn images(targets: &TargetSet) -> Vec<Text> {
    let objects = targets.targets.values();
    let mut images: Vec<Text> =
        objects.flat_map(|target| trueup_api::status::images(&target.object)).collect();
    images.sort();
    images.dedup();
    images
}

/// The report to write, where it says something new and the cluster takes such reports. Most looks find what was found before:
/// then it is neither put together nor is the one in the cluster read.
fn drift_report(
    installation: &Installation,
    app: &App,
    state: &AppState,
    verdict: &Comparison,
    revisions: Vec<Text>,
    now: Timestamp,
) -> DriftNews {
    let home = &installation.sites.home.cluster;
    let served =
        home.discovery().is_some_and(|known| matches!(known.find(&report_kind()), Lookup::Served(_)));
    if !served {
        return DriftNews::None;
    }
    let name = ObjectName { namespace: app.key.namespace.clone(), name: app.key.name.clone() };
    let observed = match home.get(&report_kind(), &name) {
        Some(Content::Whole(observed)) => Some(observed),
        Some(Content::Version(_)) | None => None,
    };
    let version = observed.as_ref().map(|observed| observed.resource_version.clone());
    let known = state.told.as_ref().filter(|told| Some(&told.resource_version) == version.as_ref());
    let is_as_before =
        |told: &&Told| told.revisions == revisions && state.comparison.as_ref() == Some(verdict);
    if let Some(told) = known.filter(is_as_before) {
        return DriftNews::Known(told.clone());
    }
    let report = DriftReport::new(app, verdict, revisions.clone(), now);
    let object = report.to_value();
    let digest = digest_of(&object);
    let told = Told { resource_version: version.unwrap_or_default(), digest, revisions };
    let is_known = match known {
        Some(known) => known.digest == digest,
        None => observed.and_then(|it| it.value().ok()).is_some_and(|written| digest_of(&written) == digest),
    };
    if is_known { DriftNews::Known(told) } else { DriftNews::New { object: Box::new(object), told } }
}

/// Of all that a DriftReport says but when.
fn digest_of(report: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    DriftReport::said(report).for_each(|said| said.hash(&mut hasher));
    hasher.finish()
}

/// Shows what was found; of an Application that makes no sense (`app` is nothing) as much as is known.
fn show(
    installation: &Installation,
    state: &AppState,
    object: &Value,
    app: Option<&App>,
    status: &ApplicationStatus,
) {
    let source = app.and_then(|app| app.sources.first());
    let labels = object.at(&["metadata", "labels"]).and_then(Value::as_map);
    let labels = labels.into_iter().flat_map(Map::iter);
    let labels = labels.filter_map(|(name, value)| Some((Text::from(name), Text::from(value.as_str()?))));
    let project = || object.str_at(&["spec", "project"]).filter(|name| !name.is_empty()).unwrap_or("default");
    let card = AppCard {
        project: app.map_or_else(|| project().to_owned(), |app| app.project.to_string()),
        repo: source.map(|source| source.repo.to_string()).unwrap_or_default(),
        dest_server: app.map(destination).unwrap_or_default(),
        dest_namespace: app.map(|app| app.destination.namespace.to_string()).unwrap_or_default(),
        sync_status: status.sync.status.map_or("Unknown", SyncStatus::as_str).to_owned(),
        health_status: status.health.status.to_string(),
        autosync: app.is_some_and(|app| app.automated.is_some()),
        operation: if state.running.is_some() { "sync".to_owned() } else { String::new() },
        labels: labels.collect(),
        conditions: counted(&status.conditions),
    };
    installation.board.update(|shown| {
        shown.cards.insert(state.key.clone(), card);
    });
}

fn counted(conditions: &[StatusCondition]) -> BTreeMap<Text, u64> {
    let mut counts = BTreeMap::new();
    for condition in conditions {
        *counts.entry(condition.kind.clone()).or_default() += 1;
    }
    counts
}

/// The destination as Argo CD's figures name it.
pub fn destination(app: &App) -> String {
    match &app.destination.cluster {
        trueup_engine::app::ClusterName::InCluster => "https://kubernetes.default.svc".to_owned(),
        trueup_engine::app::ClusterName::Server(server) => server.to_string(),
        trueup_engine::app::ClusterName::Name(name) => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use trueup_engine::app::SyncRequest;

    use super::*;
    use crate::state::Running;

    #[test]
    fn a_running_operation_is_told_before_one_that_ended_earlier() {
        let at = Timestamp::UNIX_EPOCH;
        let mut ended = engine::OperationState::begin(SyncRequest::default(), at);
        ended.finish(OperationPhase::Succeeded, "done".to_owned(), at);
        let mut state = AppState::new(AppKey::new("argocd", "web"));
        state.finished =
            Some(Finished { operation: Some(ended), resource_version: Text::from("1"), is_cleared: false });
        assert_eq!(told_operation(&state).map(|it| it.phase), Some(OperationPhase::Succeeded));
        state.running = Some(Running::new(SyncRequest::default(), at));
        assert_eq!(told_operation(&state).map(|it| it.phase), Some(OperationPhase::Running));
    }
}
