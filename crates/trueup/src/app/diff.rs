//! `trueup app diff`: computed from what the caller can read, with or without a controller.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use trueup_engine::confirm::ConfirmMode;
use trueup_engine::source::Revision;

use super::name::Within;
use super::refresh::{self, Depth};
use crate::arguments::{Globals, Persona};
use crate::diff::{Document, Form, of_any_revision, render_folder};
use crate::failure::{Ending, Failure};
use crate::home::Home;
use crate::output;
use crate::scene::{Scene, understand};

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
    /// Compare with a folder of manifests instead of Git
    #[arg(long, value_name = "PATH", conflicts_with = "revision")]
    local: Option<PathBuf>,
    /// Ask the API server about every object now what applying would change; =false: only where something differs.
    /// Without it as the Application says
    #[arg(long, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    server_side_diff: Option<bool>,
    #[command(flatten)]
    compat: Compat,
}

/// Flags of Argo CD's program that this one has no use for, or cannot honour.
#[derive(Debug, Args)]
struct Compat {
    #[arg(long, hide = true)]
    local_repo_root: Option<String>,
    #[arg(long, hide = true)]
    local_include: Vec<String>,
    #[arg(long, hide = true)]
    server_side_generate: bool,
    #[arg(long, hide = true)]
    server_side_diff_concurrency: Option<i32>,
    #[arg(long, hide = true)]
    server_side_diff_max_batch_kb: Option<i32>,
    #[arg(long, hide = true)]
    ignore_normalizer_jq_execution_timeout: Option<String>,
    #[arg(long, hide = true)]
    revisions: Vec<String>,
    #[arg(long, hide = true)]
    source_positions: Vec<u32>,
    #[arg(long, hide = true)]
    source_names: Vec<String>,
}

pub async fn run(arguments: &DiffArguments, globals: &Globals, persona: Persona) -> Result<Ending, Failure> {
    arguments.compat.judge()?;
    let revision = arguments.revision.as_deref().map(parse_revision).transpose()?;
    let home = Home::open(globals).await?;
    let key = arguments.within.key(&arguments.name)?;
    let object = match Depth::of(arguments.refresh, arguments.hard_refresh) {
        None => home.application(&key).await?,
        Some(depth) => refresh::refresh(&home, &key, depth, Some(Duration::from_secs(60))).await?,
    };
    let is_own = revision.is_none() && arguments.local.is_none();
    let report = home.report(&key).await;
    let report = if is_own { report } else { report.map(of_any_revision) };
    let mut scene = match &arguments.local {
        None => Scene::open(&home, globals, object, revision.as_ref()).await?,
        Some(folder) => {
            let (application, app) = understand(object)?;
            let sources = render_folder(folder, &app)?;
            Scene::with(&home, globals, &application, app, sources).await?
        }
    };
    if let Some(all) = arguments.server_side_diff {
        scene.app.confirm.mode = Some(if all { ConfirmMode::Always } else { ConfirmMode::Differs });
    }
    scene.is_alone = report.is_none();
    let seen = scene.look().await;
    let view = seen.view(&scene);
    let document = Document::new(&view, report.as_ref(), arguments.form.extent());
    let wanted = match &arguments.local {
        Some(folder) => format!("Git ({})", folder.display()),
        None => scene.revision.get(..7).map_or("Git".to_owned(), |short| format!("Git ({short})")),
    };
    arguments.form.show(&document, &view, &wanted, None, persona)?;
    let notes: usize = document.objects.iter().map(|object| object.notes.len()).sum();
    if notes > 0 && persona == Persona::Trueup && arguments.form.is_text() {
        output::tell(&format!(
            "{notes} more by others that do not count: trueup app explain {}",
            scene.app.key.name
        ));
    }
    Ok(arguments.form.ending(document.status))
}

impl Compat {
    fn judge(&self) -> Result<(), Failure> {
        let Self {
            local_repo_root,
            local_include,
            server_side_generate,
            server_side_diff_concurrency,
            server_side_diff_max_batch_kb,
            ignore_normalizer_jq_execution_timeout,
            revisions,
            source_positions,
            source_names,
        } = self;
        let refused = [
            ("--local-include", !local_include.is_empty()),
            ("--revisions", !revisions.is_empty()),
            ("--source-positions", !source_positions.is_empty()),
            ("--source-names", !source_names.is_empty()),
        ];
        if let Some((flag, _)) = refused.into_iter().find(|(_, given)| *given) {
            return Err(Failure::user(format!("{flag} is not supported by this build"))
                .hint("commit to a branch and use --revision BRANCH"));
        }
        let idle = [
            // Plain manifests need nothing of the rest of their repository.
            ("--local-repo-root", local_repo_root.is_some()),
            ("--server-side-generate", *server_side_generate),
            ("--server-side-diff-concurrency", server_side_diff_concurrency.is_some()),
            ("--server-side-diff-max-batch-kb", server_side_diff_max_batch_kb.is_some()),
            ("--ignore-normalizer-jq-execution-timeout", ignore_normalizer_jq_execution_timeout.is_some()),
        ];
        let named: Vec<_> = idle.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag).collect();
        if !named.is_empty() {
            output::tell(&format!("note: {} without effect", named.join(", ")));
        }
        Ok(())
    }
}

/// A revision that a person typed.
pub fn parse_revision(text: &str) -> Result<Revision, Failure> {
    Revision::parse(text).map_err(|error| {
        Failure::user(format!("failed to understand the revision {text:?}: {error}"))
            .hint("give a branch, a tag or a commit")
    })
}
