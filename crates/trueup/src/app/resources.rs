//! `trueup app resources`.

use clap::Args;
use trueup_api::status::ApplicationStatus;
use trueup_object::Value;

use super::get::AppForm;
use super::name::Within;
use super::rows;
use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::home::Home;
use crate::output::Table;

#[derive(Debug, Args)]
pub struct ResourcesArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME
    #[arg(value_name = "APP")]
    name: String,
    /// Only objects that no application tracks
    #[arg(long)]
    orphaned: bool,
    #[arg(long, hide = true)]
    project: Option<String>,
    #[arg(short, long, default_value = "wide", value_parser = ["wide", "tree", "tree=detailed"])]
    output: String,
}

pub async fn run(arguments: &ResourcesArguments, globals: &Globals) -> Result<Ending, Failure> {
    if arguments.orphaned {
        return Err(Failure::user(
            "--orphaned is not supported by this build: orphaned objects are not looked for",
        )
        .hint("leave it out to see the objects of the application"));
    }
    let home = Home::open(globals).await?;
    let object = home.application(&arguments.within.key(&arguments.name)?).await?;
    let status = ApplicationStatus::of(object.get("status").unwrap_or(&Value::Null));
    match AppForm::of(&arguments.output) {
        form @ (AppForm::Tree | AppForm::TreeDetailed) => rows::tree(&status, form).print(),
        AppForm::Wide | AppForm::Json | AppForm::Yaml => {
            let mut table = Table::new(&["GROUP", "KIND", "NAMESPACE", "NAME", "ORPHANED"]);
            for resource in &status.resources {
                let [group, kind, namespace, name, ..] = rows::row(resource, "");
                table.row([group, kind, namespace, name, "No".to_owned()]);
            }
            table.print();
        }
    }
    Ok(Ending::Done)
}
