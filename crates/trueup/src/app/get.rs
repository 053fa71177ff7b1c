//! `trueup app get`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use trueup_api::application::{ApplicationSource, ApplicationSpec};
use trueup_api::drift_report::DriftReport;
use trueup_api::status::{ApplicationStatus, OperationState};
use trueup_engine::status::SyncStatus;
use trueup_object::{Timestamp, Value};

use super::list::cluster;
use super::name::Within;
use super::refresh::{self, Depth};
use super::rows;
use crate::arguments::{Globals, Persona};
use crate::failure::{Ending, Failure};
use crate::home::{self, Home};
use crate::output::{self, Structure, Table};

#[derive(Debug, Args)]
pub struct GetArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME
    #[arg(value_name = "APP")]
    name: String,
    /// Have the controller ask Git and look again first
    #[arg(long)]
    refresh: bool,
    /// Have everything rendered anew too
    #[arg(long)]
    hard_refresh: bool,
    /// Show the last operation
    #[arg(long)]
    show_operation: bool,
    /// Accepted for Argo CD's sake: plain directories have no parameters
    #[arg(long, hide = true)]
    show_params: bool,
    /// Seconds to wait for a look
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    #[arg(short, long, default_value = "wide", value_parser = ["wide", "json", "yaml", "tree", "tree=detailed"])]
    output: String,
}

/// How an Application is shown, in all commands that end with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AppForm {
    Wide,
    Json,
    Yaml,
    Tree,
    TreeDetailed,
}

impl AppForm {
    pub fn of(word: &str) -> Self {
        match word {
            "json" => Self::Json,
            "yaml" => Self::Yaml,
            "tree" => Self::Tree,
            "tree=detailed" => Self::TreeDetailed,
            _ => Self::Wide,
        }
    }
}

pub async fn run(arguments: &GetArguments, globals: &Globals, persona: Persona) -> Result<Ending, Failure> {
    let home = Home::open(globals).await?;
    let key = arguments.within.key(&arguments.name)?;
    let limit = arguments.timeout.map(Duration::from_secs);
    let object = match Depth::of(arguments.refresh, arguments.hard_refresh) {
        None => home.application(&key).await?,
        Some(depth) => refresh::refresh(&home, &key, depth, limit).await?,
    };
    let report = match persona {
        Persona::Trueup => home.report_object(&key).await,
        Persona::ArgoCd => None,
    };
    show(&object, report.as_ref(), AppForm::of(&arguments.output), arguments.show_operation);
    Ok(Ending::Done)
}

/// Shows an Application, with its DriftReport where there is one.
pub fn show(object: &Value, written: Option<&Value>, form: AppForm, operation: bool) {
    let report = written.and_then(DriftReport::of);
    let report = report.as_ref();
    let mut bare = object.clone();
    bare.remove_at(&["metadata", "managedFields"]);
    match form {
        AppForm::Json => output::document(&with_report(bare, written), Structure::Json),
        AppForm::Yaml => output::document(&with_report(bare, written), Structure::Yaml),
        AppForm::Wide => wide(object, report, operation),
        AppForm::Tree | AppForm::TreeDetailed => {
            summary(object, report);
            output::line("");
            rows::tree(&ApplicationStatus::of(object.get("status").unwrap_or(&Value::Null)), form).print();
        }
    }
}

/// The Application as scripts read it, and beside its own fields what its DriftReport says: `driftReport`.
fn with_report(mut object: Value, written: Option<&Value>) -> Value {
    if let Some(status) = written.and_then(|report| report.get("status")) {
        object.set_at(&["driftReport"], status.clone());
    }
    object
}

fn wide(object: &Value, report: Option<&DriftReport>, operation: bool) {
    summary(object, report);
    let status = ApplicationStatus::of(object.get("status").unwrap_or(&Value::Null));
    if !status.conditions.is_empty() {
        let mut table = Table::new(&["CONDITION", "MESSAGE", "LAST TRANSITION"]);
        for condition in &status.conditions {
            let time = condition.last_transition.map(|time| time.to_string()).unwrap_or_default();
            table.row([condition.kind.to_string(), condition.message.clone(), time]);
        }
        output::line("");
        table.print();
    }
    if operation && let Some(state) = &status.operation_state {
        output::line("");
        print_operation(state);
    }
    let table = rows::resources(&status);
    if !table.is_empty() {
        output::line("");
        table.print();
    }
    for table in report.map(|report| [rows::problems(report), rows::rules(report)]).into_iter().flatten() {
        if !table.is_empty() {
            output::line("");
            table.print();
        }
    }
}

/// A line of the summary, its label as wide as Argo CD's.
pub fn labelled(label: &str, value: &str) {
    output::line(format!("{label:<20}{value}").trim_end());
}

fn summary(object: &Value, report: Option<&DriftReport>) {
    labelled("Name:", &home::app_key(object).to_string());
    let application = match home::read(object.clone()) {
        Ok(application) => application,
        Err(failure) => {
            // One that makes no sense is shown as far as it goes; its conditions say the rest.
            labelled("Problem:", &failure.message);
            return;
        }
    };
    let spec = &application.spec;
    let status = ApplicationStatus::of(application.status());
    labelled("Project:", if spec.project.is_empty() { "default" } else { &spec.project });
    labelled("Server:", &cluster(spec));
    labelled("Namespace:", &spec.destination.namespace);
    labelled("URL:", "<none>");
    output::line(if spec.has_multiple_sources() { "Sources:" } else { "Source:" });
    for source in spec.effective_sources() {
        print_source(source);
    }
    labelled("SyncWindow:", "Sync Allowed");
    labelled("Sync Policy:", sync_policy(spec));
    labelled("Sync Status:", &sync_line(spec, &status));
    let health = if status.health.status.is_empty() { "Unknown" } else { &status.health.status };
    match status.health.message.as_str() {
        "" => labelled("Health Status:", health),
        message => labelled("Health Status:", &format!("{health} ({message})")),
    }
    if let Some(report) = report {
        labelled("Drift:", &drift_line(report, &application.metadata.name));
    }
}

fn print_source(source: &ApplicationSource) {
    labelled("- Repo:", &source.repo_url);
    labelled("  Target:", source.target_revision.as_deref().unwrap_or_default());
    if let Some(path) = &source.path {
        labelled("  Path:", path);
    }
    if let Some(reference) = &source.reference {
        labelled("  Ref:", reference);
    }
}

fn sync_policy(spec: &ApplicationSpec) -> &'static str {
    let automated = spec.sync_policy.as_ref().and_then(|policy| policy.automated);
    match automated {
        Some(automated) if automated.enabled && automated.prune => "Automated (Prune)",
        Some(automated) if automated.enabled => "Automated",
        Some(_) | None => "Manual",
    }
}

fn sync_line(spec: &ApplicationSpec, status: &ApplicationStatus) -> String {
    let target = spec.effective_sources().first().and_then(|source| source.target_revision.clone());
    let target = target.unwrap_or_default();
    let mut line = match status.sync.status {
        Some(SyncStatus::Synced) => format!("Synced to {target}"),
        Some(SyncStatus::OutOfSync) => format!("OutOfSync from {target}"),
        Some(SyncStatus::Unknown) | None => "Unknown".to_owned(),
    };
    let is_commit = target.len() >= 7 && target.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(short) = status.sync.revisions.first().and_then(|revision| revision.get(..7))
        && !is_commit
    {
        line += &format!(" ({short})");
    }
    line
}

/// How much differs and who moved it.
fn drift_line(report: &DriftReport, name: &str) -> String {
    let pending = report
        .differences
        .iter()
        .filter(|reported| reported.difference.origin.as_deref() == Some("git"))
        .count();
    let drifts = report.differences.len() - pending;
    let mut parts = Vec::new();
    for (count, one, many) in [
        (drifts, "drift", "drifts"),
        (pending, "pending change", "pending changes"),
        (report.notes.len(), "note", "notes"),
    ] {
        if count > 0 {
            parts.push(format!("{count} {}", if count == 1 { one } else { many }));
        }
    }
    if parts.is_empty() {
        return "none".to_owned();
    }
    format!("{}; origin {} (see: trueup app explain {name})", parts.join(", "), report.origin)
}

/// The last operation, in Argo CD's lines.
pub fn print_operation(state: &OperationState) {
    let revision = state.sync_result.as_ref().map(|result| result.revisions.join(", ")).unwrap_or_default();
    labelled("Operation:", "Sync");
    labelled("Sync Revision:", &revision);
    labelled("Phase:", &state.phase);
    labelled("Start:", &state.started_at.to_string());
    let finished = state.finished_at.map(|time| time.to_string()).unwrap_or_default();
    labelled("Finished:", &finished);
    let until = state.finished_at.unwrap_or_else(Timestamp::now);
    labelled("Duration:", &format!("{}s", until.duration_since(state.started_at).as_secs().max(0)));
    if !state.message.is_empty() {
        labelled("Message:", &state.message);
    }
}
