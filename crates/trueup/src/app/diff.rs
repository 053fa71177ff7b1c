//! `trueup app diff`: computed from what the caller can read, with or without a controller.

use std::time::Duration;

use clap::Args;
use trueup_engine::source::Revision;

use super::name::Within;
use super::refresh::{self, Depth};
use crate::arguments::{Globals, Persona};
use crate::diff::{Document, Form};
use crate::failure::{Ending, Failure};
use crate::home::Home;
use crate::output;
use crate::scene::Scene;

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
    #[command(flatten)]
    form: Form,
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
    let view = seen.view(&scene);
    let document = Document::new(&view, report.as_ref(), arguments.form.extent());
    let wanted = scene.revision.get(..7).map_or("Git".to_owned(), |short| format!("Git ({short})"));
    arguments.form.show(&document, &view, &wanted, persona)?;
    let notes: usize = document.objects.iter().map(|object| object.notes.len()).sum();
    if notes > 0 && persona == Persona::Trueup && arguments.form.is_text() {
        output::tell(&format!(
            "{notes} more by others that do not count: trueup app explain {}",
            scene.app.key.name
        ));
    }
    Ok(arguments.form.ending(document.status))
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
