//! `trueup app diff`: computed from what the caller can read, with or without a controller.

use std::time::Duration;

use anstyle::AnsiColor;
use clap::Args;
use similar::{ChangeTag, TextDiff};
use trueup_engine::source::Revision;
use trueup_engine::status::SyncStatus;

use super::document::{Document, ObjectDocument};
use super::external;
use super::name::Within;
use super::refresh::{self, Depth};
use super::sides;
use crate::arguments::{Globals, Persona};
use crate::failure::{Ending, Failure};
use crate::home::Home;
use crate::output::{self, Structure, paint};
use crate::scene::{Scene, Seen};

#[derive(Debug, Args)]
pub struct DiffArguments {
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
    /// Compare with this revision instead of the Application's
    #[arg(long)]
    revision: Option<String>,
    /// Form of the result: text or json
    #[arg(short, long, default_value = "text", value_parser = ["text", "json", "yaml"])]
    output: String,
    /// End with a code that tells whether anything differs
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    exit_code: bool,
    /// The code for differences
    #[arg(long, default_value_t = 1)]
    diff_exit_code: u8,
    /// Compare with a folder instead of Git
    #[arg(long, hide = true)]
    local: Option<String>,
    #[arg(long, hide = true)]
    local_repo_root: Option<String>,
    #[arg(long, hide = true)]
    server_side_generate: bool,
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    server_side_diff: Option<bool>,
    #[arg(long, hide = true)]
    revisions: Vec<String>,
    #[arg(long, hide = true)]
    source_positions: Vec<u32>,
    #[arg(long, hide = true)]
    source_names: Vec<String>,
}

pub async fn run(arguments: &DiffArguments, globals: &Globals, persona: Persona) -> Result<Ending, Failure> {
    refuse_unsupported(arguments)?;
    let revision = arguments.revision.as_deref().map(parse_revision).transpose()?;
    let home = Home::open(globals).await?;
    let key = arguments.within.key(&arguments.name)?;
    let object = match Depth::of(arguments.refresh, arguments.hard_refresh) {
        None => home.application(&key).await?,
        Some(depth) => refresh::refresh(&home, &key, depth, Some(Duration::from_secs(60))).await?,
    };
    // What was found against the Application's own revision says nothing about another one.
    let report = if revision.is_none() { home.report(&key).await } else { None };
    let scene = Scene::open(&home, globals, object, revision.as_ref()).await?;
    let seen = scene.look().await;
    let document = Document::new(&seen, report.as_ref());
    match arguments.output.as_str() {
        "json" => output::document(&document.to_value(), Structure::Json),
        "yaml" => output::document(&document.to_value(), Structure::Yaml),
        _ => print_text(&document, &scene, &seen, persona)?,
    }
    for condition in &seen.comparison.conditions {
        output::tell(&format!("{}: {}", condition.kind.as_str(), condition.message));
    }
    Ok(match document.status {
        SyncStatus::Synced => Ending::Done,
        _ if !arguments.exit_code => Ending::Done,
        SyncStatus::OutOfSync => Ending::Differs(arguments.diff_exit_code),
        SyncStatus::Unknown => Ending::Unknown,
    })
}

fn refuse_unsupported(arguments: &DiffArguments) -> Result<(), Failure> {
    let refused = [
        ("--local", arguments.local.is_some()),
        ("--local-repo-root", arguments.local_repo_root.is_some()),
        ("--revisions", !arguments.revisions.is_empty()),
        ("--source-positions", !arguments.source_positions.is_empty()),
        ("--source-names", !arguments.source_names.is_empty()),
    ];
    if let Some((flag, _)) = refused.into_iter().find(|(_, given)| *given) {
        return Err(Failure::user(format!("{flag} is not supported by this build"))
            .hint("commit to a branch and use --revision BRANCH"));
    }
    if arguments.server_side_diff == Some(true) || arguments.server_side_generate {
        output::tell(
            "note: --server-side-diff and --server-side-generate without effect: schemas tell what the server would say",
        );
    }
    Ok(())
}

/// A revision that a person typed.
pub fn parse_revision(text: &str) -> Result<Revision, Failure> {
    Revision::parse(text).map_err(|error| {
        Failure::user(format!("failed to understand the revision {text:?}: {error}"))
            .hint("give a branch, a tag or a commit")
    })
}

/// Argo CD's headings; below each who moved what, and both sides as text.
fn print_text(document: &Document, scene: &Scene, seen: &Seen, persona: Persona) -> Result<(), Failure> {
    let external = external::program();
    let git = scene.revision.get(..7).map_or("Git".to_owned(), |short| format!("Git ({short})"));
    for object in document.differing() {
        let ObjectDocument { key, .. } = object;
        let heading = format!("\n===== {}/{} {}/{} ======", key.group, key.kind, key.namespace, key.name);
        output::line(&paint(&heading, AnsiColor::Cyan));
        if let Some((message, remedy)) = &object.problem {
            output::line(&format!("# not known: {message}; {remedy}"));
            continue;
        }
        if persona == Persona::Trueup {
            for difference in &object.differences {
                output::line(&format!("# {}", super::words::short(difference)));
            }
        }
        let (cluster, wanted) = sides::of(object, scene, seen);
        match &external {
            Some(program) => external::show(program, &key.name, &cluster, &wanted)?,
            None => print_unified(&cluster, &wanted, &git),
        }
    }
    let notes: usize = document.objects.iter().map(|object| object.notes.len()).sum();
    if notes > 0 && persona == Persona::Trueup {
        output::tell(&format!(
            "{notes} more by others that do not count: trueup app explain {}",
            scene.app.key.name
        ));
    }
    Ok(())
}

fn print_unified(cluster: &str, wanted: &str, git: &str) {
    let diff = TextDiff::from_lines(cluster, wanted);
    let mut unified = diff.unified_diff();
    unified.context_radius(3).header("the cluster (live)", git);
    let mut text = String::new();
    if diff.ratio() < 1.0 {
        text += &format!("--- the cluster (live)\n+++ {git}\n");
    }
    for hunk in unified.iter_hunks() {
        text += &paint(&hunk.header().to_string(), AnsiColor::Magenta);
        text.push('\n');
        for change in hunk.iter_changes() {
            let line = change.to_string_lossy();
            let line = line.trim_end_matches('\n');
            text += &match change.tag() {
                ChangeTag::Delete => paint(&format!("-{line}"), AnsiColor::Red),
                ChangeTag::Insert => paint(&format!("+{line}"), AnsiColor::Green),
                ChangeTag::Equal => format!(" {line}"),
            };
            text.push('\n');
        }
    }
    output::print(&text);
}
