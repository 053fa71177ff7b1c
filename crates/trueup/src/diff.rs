//! `trueup diff`: files with files, or a folder of manifests with a cluster. For pipelines, pull requests, and whoever
//! wants to check what a controller says.

mod against;
mod document;
mod external;
pub mod files;
mod markdown;
mod offline;
mod places;
mod rules;
pub mod schemas;
mod sides;
mod text;
mod view;

use std::path::PathBuf;

use clap::Args;
use trueup_engine::status::SyncStatus;
use trueup_object::FieldManager;

use crate::app::name::Within;
use crate::arguments::{Globals, Persona};
use crate::failure::{Ending, Failure};
use crate::output::{self, Structure};

pub use against::render_folder;
pub use document::{Document, Extent, ObjectDocument, of_any_revision};
pub use view::View;

#[derive(Debug, Args)]
pub struct DiffArguments {
    /// A folder of plain manifests, compared with the cluster of --against as an application's source would be
    #[arg(value_name = "PATH", requires = "against")]
    path: Option<PathBuf>,
    /// The context of the kubeconfig whose cluster PATH is compared with
    #[arg(long, value_name = "CONTEXT", requires = "path", conflicts_with_all = ["target", "live"])]
    against: Option<String>,
    /// The Application whose source PATH stands for: its rules and namespace hold, and what only the cluster has is found
    #[arg(long, value_name = "APP", requires = "against", conflicts_with_all = ["ignore", "target", "live"])]
    app: Option<String>,
    #[command(flatten)]
    within: Within,
    /// Read the folders below PATH, too
    #[arg(long, requires = "against", conflicts_with_all = ["target", "live"])]
    directory_recurse: bool,
    /// What Git wants: a file, a folder, or - for standard input
    #[arg(long, value_name = "FILE|DIR", requires = "live", conflicts_with = "path")]
    target: Option<PathBuf>,
    /// What is live, as `kubectl get -o yaml --show-managed-fields` prints it
    #[arg(long, value_name = "FILE|DIR", requires = "target")]
    live: Option<PathBuf>,
    /// What was applied last
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    last_applied: Option<PathBuf>,
    /// What Git wanted at the last sync: tells who moved
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    base: Option<PathBuf>,
    /// OpenAPI documents or definitions of the kinds; without it --kubeconfig names a cluster to ask
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "path")]
    schema: Option<PathBuf>,
    /// Rules in the form of ignoreDifferences
    #[arg(long, value_name = "FILE")]
    ignore: Option<PathBuf>,
    /// The settings of an installation: argocd-cm
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    settings: Option<PathBuf>,
    /// What a server's dry run says it would leave
    #[arg(long, value_name = "FILE", conflicts_with = "path")]
    predicted: Option<PathBuf>,
    /// The field manager under which Git's values are applied
    #[arg(long, value_name = "NAME", default_value = FieldManager::TRUEUP)]
    manager: String,
    /// The namespace of manifests that name none; without it what is live tells
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,
    #[command(flatten)]
    form: Form,
}

/// How a comparison is told and how it ends, the same for every command that compares.
#[derive(Debug, Args)]
pub struct Form {
    /// Form of the result
    #[arg(short, long, default_value = "text", value_parser = ["text", "json", "yaml", "markdown"])]
    output: String,
    /// List what rules hide, too
    #[arg(long)]
    show_ignored: bool,
    /// Both sides of every object as a whole (json, yaml)
    #[arg(long)]
    full: bool,
    /// Both sides next to each other (text)
    #[arg(long)]
    side_by_side: bool,
    /// End with a code that tells whether anything differs
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    exit_code: bool,
    /// The code for differences
    #[arg(long, default_value_t = 1)]
    diff_exit_code: u8,
}

impl Form {
    pub fn is_text(&self) -> bool {
        self.output == "text"
    }

    pub fn extent(&self) -> Extent {
        Extent { full: self.full, ignored: self.show_ignored }
    }

    /// Shows a comparison. `wanted`: what Git's side is called; `remark`: what must be known to read it.
    pub fn show(
        &self,
        document: &Document,
        view: &View<'_>,
        wanted: &str,
        remark: Option<&str>,
        persona: Persona,
    ) -> Result<(), Failure> {
        match self.output.as_str() {
            "json" => output::document(&document.to_value(), Structure::Json),
            "yaml" => output::document(&document.to_value(), Structure::Yaml),
            "markdown" => output::print(&markdown::render(document, view, wanted, remark)),
            _ => {
                let remarks = persona == Persona::Trueup;
                let look = text::Look { wanted: wanted.to_owned(), remarks, side_by_side: self.side_by_side };
                text::print(document, view, &look)?;
            }
        }
        if self.full && !matches!(self.output.as_str(), "json" | "yaml") {
            output::tell("note: --full is about -o json and -o yaml");
        }
        for condition in &view.comparison.conditions {
            output::tell(&format!("{}: {}", condition.kind.as_str(), condition.message));
        }
        if let (Some(remark), true) = (remark, self.output != "markdown") {
            output::tell(&format!("note: {remark}"));
        }
        Ok(())
    }

    /// Says how much there is that does not count, where the result has no place for it.
    fn tell_of_notes(&self, document: &Document) {
        let notes: usize = document.objects.iter().map(|object| object.notes.len()).sum();
        if notes > 0 && self.is_text() && !self.show_ignored {
            output::tell(&format!("{notes} more by others that do not count: -o json lists them"));
        }
    }

    pub fn ending(&self, status: SyncStatus) -> Ending {
        match status {
            SyncStatus::Synced => Ending::Done,
            _ if !self.exit_code => Ending::Done,
            SyncStatus::OutOfSync => Ending::Differs(self.diff_exit_code),
            SyncStatus::Unknown => Ending::Unknown,
        }
    }
}

pub async fn run(arguments: &DiffArguments, globals: &Globals, persona: Persona) -> Result<Ending, Failure> {
    if let (Some(folder), Some(context)) = (&arguments.path, &arguments.against) {
        return against::run(arguments, globals, folder, context, persona).await;
    }
    let (Some(target), Some(live)) = (&arguments.target, &arguments.live) else {
        return Err(
            Failure::user("nothing to compare").hint("give --target and --live, or PATH and --against")
        );
    };
    let compared = offline::compare(arguments, globals, target, live).await?;
    let view = compared.view();
    let document = Document::new(&view, None, arguments.form.extent());
    if document.objects.is_empty() {
        output::tell(&format!("note: there is no object in {} nor in {}", target.display(), live.display()));
    }
    let wanted = format!("Git ({})", target.display());
    arguments.form.show(&document, &view, &wanted, None, persona)?;
    rules::tell(view.comparison);
    arguments.form.tell_of_notes(&document);
    Ok(arguments.form.ending(document.status))
}
