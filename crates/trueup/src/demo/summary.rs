//! The end of the incident: a row for each application, and whether everything was judged as it should be.

use trueup_api::difference::Difference;
use trueup_api::drift_report::ReportedDifference;
use trueup_object::Value;

use super::files::APPLICATIONS;
use super::stage::Stage;
use crate::app::words;
use crate::failure::Failure;
use crate::output::Table;

/// What the incident came to.
pub struct Outcome {
    pub table: String,
    /// What is not as the story says.
    pub surprises: Vec<String>,
}

/// A drift that the story expects.
struct Expected {
    application: &'static str,
    object: &'static str,
    path: &'static str,
    change: &'static str,
    manager: &'static str,
}

const EXPECTED: [Expected; 3] = [
    Expected {
        application: "payment-service",
        object: "Deployment/payment-service",
        path: ".spec.replicas",
        change: "changed",
        manager: "kubectl",
    },
    Expected {
        application: "feature-flags",
        object: "ConfigMap/feature-flags-config",
        path: ".data.TEMP_FLAG_EMERGENCY_BYPASS",
        change: "added",
        manager: "kubectl-patch",
    },
    Expected {
        application: "logging-agent",
        object: "DaemonSet/logging-agent",
        path: ".spec.template.spec.containers[name=\"agent\"].image",
        change: "changed",
        manager: "kubectl-set",
    },
];

pub async fn of(stage: &Stage) -> Result<Outcome, Failure> {
    let mut table = Table::new(&["APPLICATION", "SYNC", "ORIGIN", "WHAT (GIT -> CLUSTER)", "BY"]);
    let mut surprises = Vec::new();
    for (name, _) in APPLICATIONS {
        let sync = stage.sync_status(name).await?;
        let report = stage.report(name).await;
        let origin = report.as_ref().map(|report| report.origin.to_string()).unwrap_or_default();
        let differences = report.map(|report| report.differences).unwrap_or_default();
        surprises.extend(surprise(name, &sync, &origin, &differences));
        let mut cells = [name.to_owned(), sync, origin];
        if differences.is_empty() {
            table.row(cells.into_iter().chain(["".to_owned(), String::new()]));
            continue;
        }
        for reported in &differences {
            let difference = &reported.difference;
            let object = format!("{}/{}", reported.object.kind, reported.object.name);
            let what = format!("{object} {}", in_brief(difference));
            let by = difference.manager.as_deref().unwrap_or("unknown").to_owned();
            table.row(cells.into_iter().chain([what, by]));
            cells = Default::default();
        }
    }
    Ok(Outcome { table: table.to_text(), surprises })
}

/// The longest value in the table; of a longer one the end, which tells an image's version.
const VALUE_MAX: usize = 24;

/// Path and both values.
fn in_brief(difference: &Difference) -> String {
    let value = |value: &Option<Value>| {
        let text =
            value.as_ref().map_or_else(|| "nothing".to_owned(), |value| words::shown(value).replace('"', ""));
        let excess = text.chars().count().saturating_sub(VALUE_MAX);
        if excess == 0 { text } else { format!("...{}", text.chars().skip(excess).collect::<String>()) }
    };
    let path = difference.path.as_deref().unwrap_or_default();
    let last = path.rsplit('.').next().unwrap_or(path);
    format!(".{last}: {} -> {}", value(&difference.target), value(&difference.live))
}

/// What of one application is not as the story says.
fn surprise(name: &str, sync: &str, origin: &str, found: &[ReportedDifference]) -> Option<String> {
    let expected = EXPECTED.iter().find(|expected| expected.application == name);
    let Some(expected) = expected else {
        let quiet = sync == "Synced" && origin == "none" && found.is_empty();
        return (!quiet).then(|| format!("{name} is {sync} with {} differences", found.len()));
    };
    let fits = |reported: &ReportedDifference| {
        let object = format!("{}/{}", reported.object.kind, reported.object.name);
        let difference = &reported.difference;
        object == expected.object
            && difference.path.as_deref() == Some(expected.path)
            && difference.change == expected.change
            && difference.class.as_deref() == Some("manual")
            && difference.manager.as_deref() == Some(expected.manager)
    };
    let [only] = found else {
        return Some(format!("{name} is {sync} with {} differences instead of one", found.len()));
    };
    let right = sync == "OutOfSync" && origin == "cluster" && fits(only);
    (!right).then(|| format!("{name} is {sync} ({origin}): {}", words::short(&only.difference)))
}
