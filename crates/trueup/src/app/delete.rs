//! `trueup app delete`.

use std::time::Duration;

use clap::{Args, ValueEnum};
use trueup_engine::app::AppKey;
use trueup_object::Value;

use super::name::Within;
use super::refresh::STEP;
use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::home::{self, Home};
use crate::output::{self, patiently};

/// Has the controller delete an Application's objects before the Application goes.
pub const CASCADE: &str = "resources-finalizer.argocd.argoproj.io";
const CASCADE_BACKGROUND: &str = "resources-finalizer.argocd.argoproj.io/background";

/// All forms of it.
pub const FINALIZER_PREFIX: &str = "resources-finalizer.argocd.argoproj.io";

/// Deleting workloads takes as long as their Pods take to end.
const WAIT_MAX: Duration = Duration::from_secs(300);

#[derive(Debug, Args)]
pub struct DeleteArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME; several are possible
    #[arg(value_name = "APP")]
    names: Vec<String>,
    /// Every Application with these labels
    #[arg(short = 'l', long)]
    selector: Option<String>,
    /// Delete its objects too
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    cascade: bool,
    /// How what the objects own is deleted
    #[arg(short, long, value_enum, default_value_t = Policy::Foreground)]
    propagation_policy: Policy,
    /// Wait until it is gone
    #[arg(long)]
    wait: bool,
    /// Do not ask
    #[arg(short = 'y', long)]
    yes: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Policy {
    Foreground,
    Background,
}

pub async fn run(arguments: &DeleteArguments, globals: &Globals) -> Result<Ending, Failure> {
    let home = Home::open(globals).await?;
    let mut objects = Vec::new();
    for name in &arguments.names {
        objects.push(home.application(&arguments.within.key(name)?).await?);
    }
    if let Some(selector) = &arguments.selector {
        objects.extend(home.applications(arguments.within.namespace(), selector).await?);
    }
    if objects.is_empty() {
        return Err(Failure::user("nothing is to be deleted").hint("give names, or -l LABELS"));
    }
    for object in objects {
        one(&home, &object, arguments).await?;
    }
    Ok(Ending::Done)
}

async fn one(home: &Home, object: &Value, arguments: &DeleteArguments) -> Result<(), Failure> {
    let key = home::app_key(object);
    let namespace = home::controller_namespace(object);
    if arguments.cascade && home.controller(&namespace).await?.is_none() {
        return Err(Failure::no(format!("no controller acts that could delete the objects of {key}"))
            .hint("start `trueup controller`, or delete the Application alone with --cascade=false"));
    }
    if !arguments.yes {
        let what = if arguments.cascade { "and all of its objects" } else { "and leave its objects" };
        if !output::confirm(&format!("Delete the Application {key} {what}?"))? {
            return Err(Failure::no(format!("{key} is not deleted")).hint("-y deletes without asking"));
        }
    }
    let finalizers = finalizers(object, arguments);
    if finalizers != object.list_at(&["metadata", "finalizers"]) {
        let mut patch = Value::default();
        patch.set_at(&["metadata", "finalizers"], Value::List(finalizers));
        home.merge(&key, &patch).await?;
    }
    home.delete(&key).await?;
    output::line(&format!("application '{}' deleted", key.name));
    if arguments.wait {
        let gone = patiently("waiting until everything is gone", gone(home, &key));
        return tokio::time::timeout(WAIT_MAX, gone).await.unwrap_or_else(|_| {
            Err(Failure::timed_out(format!("{key} is not gone after {} s", WAIT_MAX.as_secs()))
                .hint(format!("`trueup app get {key}` shows which objects are left")))
        });
    }
    Ok(())
}

/// The finalizers that ask for what the flags ask for; those of others stay.
fn finalizers(object: &Value, arguments: &DeleteArguments) -> Vec<Value> {
    let others = object.list_at(&["metadata", "finalizers"]).iter().filter(|finalizer| {
        finalizer.as_str().is_none_or(|finalizer| !finalizer.starts_with(FINALIZER_PREFIX))
    });
    let mut finalizers: Vec<Value> = others.cloned().collect();
    match (arguments.cascade, arguments.propagation_policy) {
        (false, _) => {}
        (true, Policy::Foreground) => finalizers.push(CASCADE.into()),
        (true, Policy::Background) => finalizers.push(CASCADE_BACKGROUND.into()),
    }
    finalizers
}

async fn gone(home: &Home, key: &AppKey) -> Result<(), Failure> {
    while home.find(key).await?.is_some() {
        tokio::time::sleep(STEP).await;
    }
    Ok(())
}
