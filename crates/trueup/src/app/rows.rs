//! Tables of an Application's objects.

use trueup_api::drift_report::DriftReport;
use trueup_api::status::{ApplicationStatus, ResourceResult, ResourceStatus};
use trueup_engine::status::SyncStatus;

use super::get::AppForm;
use crate::output::Table;

/// The objects with what the last sync said about each: those of the sync first, in its order, as Argo CD has it.
pub fn resources(status: &ApplicationStatus) -> Table {
    let mut table =
        Table::new(&["GROUP", "KIND", "NAMESPACE", "NAME", "STATUS", "HEALTH", "HOOK", "MESSAGE"]);
    for (row, _) in ordered(status) {
        table.row(row);
    }
    table
}

fn ordered(status: &ApplicationStatus) -> Vec<([String; 8], Option<&ResourceStatus>)> {
    let synced = status.operation_state.as_ref().and_then(|state| state.sync_result.as_ref());
    let results = synced.map(|result| result.resources.as_slice()).unwrap_or_default();
    let mut rows = Vec::new();
    for result in results {
        let found = status.resources.iter().find(|resource| is_same(resource, result));
        rows.push((row_of_result(result, found), found));
    }
    let others =
        status.resources.iter().filter(|resource| !results.iter().any(|result| is_same(resource, result)));
    rows.extend(others.map(|resource| (row(resource, ""), Some(resource))));
    rows
}

fn is_same(resource: &ResourceStatus, result: &ResourceResult) -> bool {
    (&resource.gvk.group, &resource.gvk.kind, &resource.namespace, &resource.name)
        == (&result.gvk.group, &result.gvk.kind, &result.namespace, &result.name)
}

fn row_of_result(result: &ResourceResult, found: Option<&ResourceStatus>) -> [String; 8] {
    match found {
        Some(resource) => row(resource, &result.message),
        None => [
            result.gvk.group.to_string(),
            result.gvk.kind.to_string(),
            result.namespace.to_string(),
            result.name.to_string(),
            result.status.to_string(),
            String::new(),
            String::new(),
            result.message.clone(),
        ],
    }
}

/// The row of one object.
pub fn row(resource: &ResourceStatus, message: &str) -> [String; 8] {
    [
        resource.gvk.group.to_string(),
        resource.gvk.kind.to_string(),
        resource.namespace.to_string(),
        resource.name.to_string(),
        resource.status.map(SyncStatus::as_str).unwrap_or_default().to_owned(),
        health(resource),
        String::new(),
        message.to_owned(),
    ]
}

/// The objects that could not be judged, or by their structure alone.
pub fn problems(report: &DriftReport) -> Table {
    let mut table = Table::new(&["OBJECT", "STATUS", "PROBLEM"]);
    for problem in &report.problems {
        table.row([problem.object.to_string(), problem.status.to_string(), problem.message.clone()]);
    }
    table
}

/// What each ignore rule did at the last look.
pub fn rules(report: &DriftReport) -> Table {
    let mut table = Table::new(&["IGNORE RULE", "FROM", "OBJECTS", "FIELDS", "MESSAGE"]);
    for rule in &report.rules {
        table.row([
            rule.rule.to_string(),
            rule.source.to_string(),
            rule.objects.to_string(),
            rule.matches.to_string(),
            rule.message.clone().unwrap_or_default(),
        ]);
    }
    table
}

fn health(resource: &ResourceStatus) -> String {
    resource.health.as_ref().map(|health| health.status.to_string()).unwrap_or_default()
}

/// The objects as a tree. What they own is not looked up: each is a root.
pub fn tree(status: &ApplicationStatus, form: AppForm) -> Table {
    let detailed = form == AppForm::TreeDetailed;
    let mut headings = vec!["KIND/NAME", "STATUS", "HEALTH"];
    headings.push(if detailed { "REASON" } else { "MESSAGE" });
    let mut table = Table::new(&headings);
    for (cells, resource) in ordered(status) {
        let [_, kind, _, name, status, health, _, message] = cells;
        let reason = resource.and_then(|it| it.health.as_ref()).map(|health| health.message.clone());
        let last = if detailed { reason.unwrap_or_default() } else { message };
        table.row([format!("{kind}/{name}"), status, health, last]);
    }
    table
}
