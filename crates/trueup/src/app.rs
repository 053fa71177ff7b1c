//! `trueup app`: the commands about Applications, with Argo CD's flags, columns and shapes.

mod diff;
mod document;
mod get;
mod list;
mod name;
mod refresh;
mod rows;
mod sides;
mod sync;
mod words;

use clap::Subcommand;

use crate::arguments::{Globals, Persona};
use crate::failure::{Ending, Failure};

#[derive(Debug, Subcommand)]
pub enum AppCommand {
    /// List Applications
    List(list::ListArguments),
    /// Show one Application
    Get(get::GetArguments),
    /// Show what differs between Git and the cluster
    Diff(diff::DiffArguments),
    /// Bring the cluster in line with Git
    Sync(sync::SyncArguments),
}

pub async fn run(command: AppCommand, globals: &Globals, persona: Persona) -> Result<Ending, Failure> {
    match command {
        AppCommand::List(arguments) => list::run(&arguments, globals).await,
        AppCommand::Get(arguments) => get::run(&arguments, globals, persona).await,
        AppCommand::Diff(arguments) => diff::run(&arguments, globals, persona).await,
        AppCommand::Sync(arguments) => sync::run(&arguments, globals, persona).await,
    }
}
