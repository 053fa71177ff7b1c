//! `trueup app explain`: each difference and note in words: what, where, who, since when, who moved, and what a sync
//! would do.

use clap::Args;
use trueup_api::difference::Difference;
use trueup_engine::autoscaler::short as short_name;
use trueup_engine::status::SyncStatus;
use trueup_object::ResourceKey;

use super::name::Within;
use super::words;
use crate::arguments::Globals;
use crate::diff::{Document, Extent, ObjectDocument};
use crate::failure::{Ending, Failure};
use crate::home::Home;
use crate::output;
use crate::scene::Scene;

#[derive(Debug, Args)]
pub struct ExplainArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME
    #[arg(value_name = "APP")]
    name: String,
}

pub async fn run(arguments: &ExplainArguments, globals: &Globals) -> Result<Ending, Failure> {
    let home = Home::open(globals).await?;
    let key = arguments.within.key(&arguments.name)?;
    let object = home.application(&key).await?;
    let report = home.report(&key).await;
    let scene = Scene::open(&home, globals, object, None).await.map_err(Failure::or_user)?;
    let seen = scene.look().await;
    let document = Document::new(&seen.view(&scene), report.as_ref(), Extent::default());
    let summary = match document.status {
        SyncStatus::Synced => format!("{key} is in sync with Git ({})", short(&scene.revision)),
        SyncStatus::OutOfSync => {
            format!("{key} differs from Git ({}); who moved: {}", short(&scene.revision), document.origin)
        }
        SyncStatus::Unknown => format!("{key} cannot be judged completely"),
    };
    output::line(&summary);
    if report.is_none() {
        output::line("No DriftReport is there: since when something differs is known only to a controller.");
    }
    let scalers = scene.autoscalers();
    for object in &document.objects {
        let replicas =
            seen.live.objects.get(&object.key).and_then(|live| live.object.int_at(&["spec", "replicas"]));
        let scaled: Vec<String> = scalers
            .of(&object.key, replicas)
            .map(|(what, scaler)| of_autoscaler(what, scaler, replicas))
            .collect();
        explain(object, &scaled);
    }
    for condition in &seen.comparison.conditions {
        output::line(&format!("\n{}: {}", condition.kind.as_str(), condition.message));
    }
    Ok(Ending::Done)
}

fn short(revision: &str) -> &str {
    revision.get(..7).unwrap_or(revision)
}

/// Whose a field is that is never compared.
fn of_autoscaler(what: &str, scaler: &ResourceKey, replicas: Option<i64>) -> String {
    let now = replicas
        .filter(|_| what == ".spec.replicas")
        .map(|count| format!(" (now {count})"))
        .unwrap_or_default();
    format!("{what}{now}: {} sets it; it is no difference, and no sync writes it", short_name(scaler))
}

fn explain(object: &ObjectDocument, scaled: &[String]) {
    let ObjectDocument { key, differences, notes, problem, .. } = object;
    if differences.is_empty() && notes.is_empty() && problem.is_none() && scaled.is_empty() {
        return;
    }
    output::line(&format!("\n{}/{} in {}", key.kind, key.name, place(&key.namespace)));
    if let Some((message, remedy)) = problem {
        output::line(&format!("  not known: {message}; {remedy}"));
    }
    for difference in differences {
        one(difference, "  ");
    }
    for words in scaled {
        output::line(&format!("  {words}"));
    }
    if !notes.is_empty() {
        output::line("  listed, and counted as no difference:");
    }
    for note in notes {
        one(note, "    ");
    }
}

fn place(namespace: &str) -> String {
    if namespace.is_empty() { "the cluster".to_owned() } else { format!("namespace {namespace}") }
}

fn one(difference: &Difference, indent: &str) {
    output::line(&format!("{indent}{}", words::what(difference)));
    if let Some(writer) = words::writer(difference) {
        let time =
            difference.time.as_deref().map(|time| format!(", last written {time}")).unwrap_or_default();
        output::line(&format!("{indent}  who: {writer}{time}"));
    }
    if let Some(seen) = &difference.first_seen {
        output::line(&format!("{indent}  seen since: {seen}"));
    }
    output::line(&format!("{indent}  who moved: {}", words::origin(difference)));
    if let Some(base) = &difference.base {
        output::line(&format!("{indent}  at the last sync: {}", words::shown(base)));
    }
    if difference.inherited == Some(true) {
        output::line(&format!("{indent}  it was there when the application was first synced"));
    }
    if let Some(message) = &difference.message {
        output::line(&format!("{indent}  {message}"));
    }
    output::line(&format!("{indent}  then: {}", words::on_sync(difference)));
}
