//! What a sync is about to overwrite, and the question whether it may.

use std::io::IsTerminal as _;

use trueup_api::difference::Difference;
use trueup_engine::app::{AppKey, DriftChoice, SyncRequest};
use trueup_object::ResourceKey;

use crate::app::words;
use crate::failure::Failure;
use crate::home::Home;
use crate::output;

/// Asks about what the controller has reported.
pub async fn ask_from_report(home: &Home, key: &AppKey, request: &SyncRequest) -> Result<(), Failure> {
    let report = home.report(key).await;
    let differences = report.iter().flat_map(|report| &report.differences);
    let found: Vec<_> = differences.map(|reported| (&reported.object, &reported.difference)).collect();
    ask(key, &found, request)
}

/// Lists what was changed in the cluster and would be overwritten, and asks. Nobody is asked where nobody can answer.
pub fn ask(
    key: &AppKey,
    differences: &[(&ResourceKey, &Difference)],
    request: &SyncRequest,
) -> Result<(), Failure> {
    let lost: Vec<_> = differences.iter().filter(|(_, it)| is_overwritten(it, request)).collect();
    let is_watched = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    if lost.is_empty() || !is_watched {
        return Ok(());
    }
    output::tell(&format!("syncing {key} overwrites what was changed in the cluster:"));
    for (object, difference) in lost {
        output::tell(&format!("  {}/{} {}", object.kind, object.name, words::short(difference)));
    }
    if output::confirm("Overwrite it?")? {
        return Ok(());
    }
    Err(Failure::no(format!("{key} is not synced"))
        .hint("--keep-drift syncs and leaves these as they are; `trueup app explain` says more"))
}

fn is_overwritten(difference: &Difference, request: &SyncRequest) -> bool {
    let is_of_cluster = difference.origin.as_deref() != Some("git");
    match (difference.channel.as_str(), difference.change.as_str()) {
        ("undeclared" | "unowned", _) => request.remove_additions,
        (_, "extraneous") => request.prune,
        (_, "missing") => false,
        (_, _) => is_of_cluster && request.drift == DriftChoice::Overwrite,
    }
}
