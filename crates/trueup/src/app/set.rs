//! `trueup app set`: changes an Application, unless it is itself in Git; then it says what to change there.

use clap::Args;
use trueup_engine::tracking::{TRACKING_ANNOTATION, TrackingId};
use trueup_object::Value;

use super::create;
use super::name::Within;
use super::spec::SpecFlags;
use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::home::Home;
use crate::output;

#[derive(Debug, Args)]
pub struct SetArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME
    #[arg(value_name = "APP")]
    name: String,
    /// Refuse a change that makes no sense
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    validate: bool,
    #[command(flatten)]
    spec: SpecFlags,
}

pub async fn run(arguments: &SetArguments, globals: &Globals) -> Result<Ending, Failure> {
    if arguments.spec.is_empty() {
        return Err(Failure::user("nothing is to be set").hint("`trueup app set --help` lists what can be"));
    }
    let home = Home::open(globals).await?;
    let key = arguments.within.key(&arguments.name)?;
    let existing = home.application(&key).await?;
    let mut wanted = existing.clone();
    arguments.spec.apply(&mut wanted)?;
    if arguments.validate {
        create::validate(&wanted)?;
    }
    refuse_tracked(&existing, &wanted)?;
    let Some(patch) = trueup_api::status::merge_patch(&existing, &wanted) else {
        output::tell(&format!("{key} is so already"));
        return Ok(Ending::Done);
    };
    home.merge(&key, &patch).await?;
    Ok(Ending::Done)
}

/// An Application that another one tracks is changed in Git: here the change would be drift at once.
pub fn refuse_tracked(existing: &Value, wanted: &Value) -> Result<(), Failure> {
    let own = existing.str_at(&["metadata", "name"]).unwrap_or_default();
    let mark = existing.str_at(&["metadata", "annotations", TRACKING_ANNOTATION]).and_then(TrackingId::parse);
    let Some(mark) = mark.filter(|mark| mark.app != own && mark.key.kind == "Application") else {
        return Ok(());
    };
    let patch = trueup_api::status::merge_patch(existing, wanted);
    let Some(patch) = patch else { return Ok(()) };
    output::print(&patch.to_yaml());
    Err(Failure::user(format!(
        "the Application {own} is itself in Git: the application {} brings it from there",
        mark.app
    ))
    .hint("make the change printed above in its file, and commit it"))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn one_that_another_tracks_is_left_alone() {
        let application = |annotation: &str| {
            let text = format!(
                "metadata: {{name: web, namespace: argocd, annotations: {{{TRACKING_ANNOTATION}: '{annotation}'}}}}\nspec: {{project: a}}"
            );
            Value::from_yaml(text.as_bytes()).unwrap()
        };
        let tracked = application("root:argoproj.io/Application:argocd/web");
        let mut wanted = tracked.clone();
        wanted.set_at(&["spec", "project"], "b".into());
        let failure = refuse_tracked(&tracked, &wanted).unwrap_err();
        assert!(failure.message.contains("root"), "{failure:?}");
        assert!(refuse_tracked(&tracked, &tracked).is_ok(), "nothing changes");
        let own = application("web:argoproj.io/Application:argocd/web");
        let mut wanted = own.clone();
        wanted.set_at(&["spec", "project"], "b".into());
        assert!(refuse_tracked(&own, &wanted).is_ok());
    }
}
