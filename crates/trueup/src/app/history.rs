//! `trueup app history`.

use clap::Args;
use trueup_api::status::ApplicationStatus;

use super::name::Within;
use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::home::{self, Home};
use crate::output::{self, Table};

#[derive(Debug, Args)]
pub struct HistoryArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME
    #[arg(value_name = "APP")]
    name: String,
    #[arg(short, long, default_value = "wide", value_parser = ["wide", "id"])]
    output: String,
}

pub async fn run(arguments: &HistoryArguments, globals: &Globals) -> Result<Ending, Failure> {
    let home = Home::open(globals).await?;
    let object = home.application(&arguments.within.key(&arguments.name)?).await?;
    let application = home::read(object)?;
    let status = ApplicationStatus::of(application.status());
    if arguments.output == "id" {
        for entry in &status.history {
            output::line(&entry.id.to_string());
        }
        return Ok(Ending::Done);
    }
    // A table for each source, as Argo CD prints it.
    let spec = &application.spec;
    for (index, source) in spec.effective_sources().iter().enumerate() {
        if index > 0 {
            output::line("");
        }
        output::line(&format!("SOURCE  {}", source.repo_url));
        let mut table = Table::new(&["ID", "DATE", "REVISION"]);
        for entry in &status.history {
            let target = if entry.sources.is_null() {
                entry.source.str_at(&["targetRevision"])
            } else {
                entry
                    .sources
                    .as_list()
                    .and_then(|list| list.get(index))
                    .and_then(|it| it.str_at(&["targetRevision"]))
            };
            let revision =
                entry.revisions.get(index).and_then(|revision| revision.get(..7)).unwrap_or_default();
            let target = target.unwrap_or_default();
            table.row([
                entry.id.to_string(),
                entry.deployed_at.to_string(),
                format!("{target} ({revision})"),
            ]);
        }
        table.print();
    }
    Ok(Ending::Done)
}
