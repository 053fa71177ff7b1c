//! `trueup drift baseline`: decides in one go what is made of additions that were there before trueup came.

use clap::{Args, Subcommand};
use trueup_api::annotations::INHERITED;
use trueup_object::Value;

use crate::app::name::Within;
use crate::app::set::refuse_tracked;
use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::home::Home;
use crate::output;

#[derive(Debug, Subcommand)]
pub enum DriftCommand {
    /// Decide what additions are that were there when an object was first synced: drift, or notes
    Baseline(BaselineArguments),
}

#[derive(Debug, Args)]
pub struct BaselineArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME
    #[arg(value_name = "APP")]
    name: String,
    /// What they are from now on
    #[arg(long = "as", value_name = "WORD", value_parser = ["drift", "note"])]
    wanted: String,
}

pub async fn run(command: &DriftCommand, globals: &Globals) -> Result<Ending, Failure> {
    match command {
        DriftCommand::Baseline(arguments) => baseline(arguments, globals).await,
    }
}

/// The decision stands in an annotation, so that a controller and commands without one obey it alike.
async fn baseline(arguments: &BaselineArguments, globals: &Globals) -> Result<Ending, Failure> {
    let home = Home::open(globals).await?;
    let key = arguments.within.key(&arguments.name)?;
    let existing = home.application(&key).await?;
    let mut wanted = existing.clone();
    decide(&mut wanted, &arguments.wanted);
    refuse_tracked(&existing, &wanted)?;
    let Some(patch) = trueup_api::status::merge_patch(&existing, &wanted) else {
        output::tell(&format!("{key} is so already"));
        return Ok(Ending::Done);
    };
    home.merge(&key, &patch).await?;
    Ok(Ending::Done)
}

/// Notes are what they are without a decision, too; the annotation says that somebody has made one.
fn decide(application: &mut Value, word: &str) {
    application.set_at(&["metadata", "annotations", INHERITED], word.into());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_decision_is_seen() {
        let mut application = Value::default();
        decide(&mut application, "drift");
        assert_eq!(application.str_at(&["metadata", "annotations", INHERITED]), Some("drift"));
        decide(&mut application, "note");
        assert_eq!(application.str_at(&["metadata", "annotations", INHERITED]), Some("note"));
    }
}
