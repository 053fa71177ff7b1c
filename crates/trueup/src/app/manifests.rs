//! `trueup app manifests`: what Git wants, or what is live, as YAML. Values of Secrets are masked.

use clap::Args;
use trueup_diff::mask;
use trueup_merge::TypeRef;
use trueup_object::Value;

use super::diff::parse_revision;
use super::name::Within;
use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::home::Home;
use crate::output;
use crate::scene::{RUN_KEY, Scene};

#[derive(Debug, Args)]
pub struct ManifestsArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME
    #[arg(value_name = "APP")]
    name: String,
    #[arg(long, default_value = "git", value_parser = ["git", "live"])]
    source: String,
    /// This revision instead of the Application's
    #[arg(long)]
    revision: Option<String>,
    #[arg(long, hide = true)]
    local: Option<String>,
    #[arg(long, hide = true)]
    revisions: Vec<String>,
}

pub async fn run(arguments: &ManifestsArguments, globals: &Globals) -> Result<Ending, Failure> {
    if arguments.local.is_some() || !arguments.revisions.is_empty() {
        return Err(Failure::user("--local and --revisions are not supported by this build")
            .hint("use --revision with a branch"));
    }
    let revision = arguments.revision.as_deref().map(parse_revision).transpose()?;
    let home = Home::open(globals).await?;
    let object = home.application(&arguments.within.key(&arguments.name)?).await?;
    let scene = Scene::open(&home, globals, object, revision.as_ref()).await.map_err(Failure::or_user)?;
    if arguments.source == "git" {
        for target in scene.targets.targets.values() {
            print(&scene, &target.gvk, &target.object);
        }
    } else {
        let seen = scene.look().await;
        for live in seen.live.objects.values() {
            let mut object = (*live.object).clone();
            object.remove_at(&["metadata", "managedFields"]);
            print(&scene, &live.gvk, &object);
        }
    }
    for condition in &scene.targets.conditions {
        output::tell(&format!("{}: {}", condition.kind.as_str(), condition.message));
    }
    Ok(Ending::Done)
}

fn print(scene: &Scene, gvk: &trueup_object::Gvk, object: &Value) {
    let ty = scene.schemas().lookup(gvk).unwrap_or(TypeRef::untyped());
    for masked in mask([object], ty, scene.settings.secrecy(&RUN_KEY)) {
        output::print(&format!("---\n{}", masked.to_yaml()));
    }
}
