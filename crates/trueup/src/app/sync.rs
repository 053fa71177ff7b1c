//! `trueup app sync`: through the controller where one acts, else by the same plan with the caller's rights.

mod direct;
mod preview;
mod remote;
mod request;

pub use request::selector;

use std::time::Duration;

use clap::Args;
use trueup_engine::app::{AppKey, SyncRequest};
use trueup_object::Value;

use super::name::Within;
use crate::arguments::{Globals, Persona};
use crate::failure::{Ending, Failure};
use crate::home::{self, Home};
use crate::output;

/// What to do when `--resource` names an object that the application has not.
const NAME_ONE: &str = "give --resource one of these; the group of the core kinds is empty";

#[derive(Debug, Args)]
pub struct SyncArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME; several are possible
    #[arg(value_name = "APP")]
    names: Vec<String>,
    /// Every Application with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Every Application of these projects
    #[arg(long)]
    project: Vec<String>,
    #[command(flatten)]
    request: request::RequestArguments,
    /// Do not wait for the end
    #[arg(long = "async")]
    detached: bool,
    /// Seconds to wait for the end; 0 waits without limit
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    timeout: u64,
    /// Do not ask before overwriting what was changed in the cluster
    #[arg(short = 'y', long = "assumeYes", visible_alias = "yes")]
    assume_yes: bool,
    /// Show what would be overwritten and ask, also where nothing asks by itself
    #[arg(long)]
    preview_changes: bool,
    #[arg(short, long, default_value = "wide", value_parser = ["wide", "json", "yaml", "tree", "tree=detailed"])]
    output: String,
}

pub async fn run(arguments: &SyncArguments, globals: &Globals, persona: Persona) -> Result<Ending, Failure> {
    let mut request = arguments.request.to_request()?;
    let home = Home::open(globals).await?;
    request.initiated_by.username = home.user().await.into();
    let chosen = chosen(arguments, &home).await?;
    for (key, object) in chosen {
        one(arguments, globals, persona, &home, &key, object, &request).await?;
    }
    Ok(Ending::Done)
}

/// The Applications that the line names.
async fn chosen(arguments: &SyncArguments, home: &Home) -> Result<Vec<(AppKey, Value)>, Failure> {
    let by_rule = arguments.selector.is_some() || !arguments.project.is_empty();
    if arguments.names.is_empty() != by_rule {
        return Err(Failure::user("it is not clear what to sync")
            .hint("give names, or -l LABELS, or --project PROJECT; not names and a rule together"));
    }
    let mut chosen = Vec::new();
    for name in &arguments.names {
        let key = arguments.within.key(name)?;
        let object = home.application(&key).await?;
        chosen.push((key, object));
    }
    if by_rule {
        let selector = arguments.selector.as_deref().unwrap_or_default();
        for object in home.applications(arguments.within.namespace(), selector).await? {
            let project = object.str_at(&["spec", "project"]).unwrap_or("default").to_owned();
            if arguments.project.is_empty() || arguments.project.contains(&project) {
                chosen.push((home::app_key(&object), object));
            }
        }
        if chosen.is_empty() {
            return Err(
                Failure::user("no Application matches").hint("`trueup app list` takes the same -l and -p")
            );
        }
    }
    Ok(chosen)
}

async fn one(
    arguments: &SyncArguments,
    globals: &Globals,
    persona: Persona,
    home: &Home,
    key: &AppKey,
    object: Value,
    request: &SyncRequest,
) -> Result<(), Failure> {
    let asks = arguments.preview_changes || (!arguments.assume_yes && !request.dry_run);
    let limit = (arguments.timeout > 0).then(|| Duration::from_secs(arguments.timeout));
    let namespace = home::controller_namespace(&object);
    let Some(controller) = home.controller(&namespace).await? else {
        output::tell(&format!(
            "no controller acts on the Applications of namespace {namespace}: {key} is synced by this command, with your rights"
        ));
        return direct::sync(home, globals, object, request, asks, limit).await;
    };
    if asks {
        preview::ask_from_report(home, key, request).await?;
    }
    let id = remote::begin(home, key, request).await?;
    if arguments.detached {
        output::tell(&format!(
            "asked the controller ({controller}) to sync {key}; `trueup app wait` waits for it"
        ));
        return Ok(());
    }
    remote::finish(home, key, &id, limit, &arguments.output, persona, request).await
}
