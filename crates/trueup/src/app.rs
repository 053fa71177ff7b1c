//! `trueup app`: the commands about Applications, with Argo CD's flags, columns and shapes.

mod create;
mod delete;
pub mod diff;
mod explain;
mod get;
mod history;
mod ignore;
mod lint;
mod list;
mod manifests;
pub mod name;
mod refresh;
mod resources;
mod rows;
pub(crate) mod set;
mod spec;
mod sync;
mod wait;
pub mod words;

use clap::Subcommand;

use crate::arguments::{Globals, Persona};
use crate::failure::{Ending, Failure};

use sync::selector as sync_selector;

#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// List Applications
    List(list::ListArguments),
    /// Show one Application
    Get(get::GetArguments),
    /// Show what differs between Git and the cluster
    Diff(diff::DiffArguments),
    /// Say in words what differs, who made it so, and what a sync would do
    Explain(explain::ExplainArguments),
    /// Bring the cluster in line with Git
    Sync(Box<sync::SyncArguments>),
    /// Wait until an Application is as wanted
    Wait(wait::WaitArguments),
    /// Make an Application
    Create(Box<create::CreateArguments>),
    /// Change an Application
    Set(Box<set::SetArguments>),
    /// Delete an Application, with its objects or without
    Delete(delete::DeleteArguments),
    /// Write an ignore rule to an Application
    Ignore(Box<ignore::IgnoreArguments>),
    /// Find ignore rules that hide nothing, with the rule as it would be right
    Lint(lint::LintArguments),
    /// List what was synced before
    History(history::HistoryArguments),
    /// Print the manifests of an Application
    Manifests(manifests::ManifestsArguments),
    /// List the objects of an Application
    Resources(resources::ResourcesArguments),
}

pub async fn run(command: AppCommand, globals: &Globals, persona: Persona) -> Result<Ending, Failure> {
    match command {
        AppCommand::List(arguments) => list::run(&arguments, globals).await,
        AppCommand::Get(arguments) => get::run(&arguments, globals, persona).await,
        AppCommand::Diff(arguments) => diff::run(&arguments, globals, persona).await,
        AppCommand::Explain(arguments) => explain::run(&arguments, globals).await,
        AppCommand::Sync(arguments) => sync::run(&arguments, globals, persona).await,
        AppCommand::Wait(arguments) => wait::run(&arguments, globals).await,
        AppCommand::Create(arguments) => create::run(&arguments, globals).await,
        AppCommand::Set(arguments) => set::run(&arguments, globals).await,
        AppCommand::Delete(arguments) => delete::run(&arguments, globals).await,
        AppCommand::Ignore(arguments) => ignore::run(&arguments, globals).await,
        AppCommand::Lint(arguments) => lint::run(&arguments, globals).await,
        AppCommand::History(arguments) => history::run(&arguments, globals).await,
        AppCommand::Manifests(arguments) => manifests::run(&arguments, globals).await,
        AppCommand::Resources(arguments) => resources::run(&arguments, globals).await,
    }
}
