//! `trueup app create`.

use std::io::Read as _;

use clap::Args;
use trueup_api::application::{GROUP, KIND, VERSION};
use trueup_object::{Map, Value};

use super::delete::{CASCADE, FINALIZER_PREFIX};
use super::name::Within;
use super::spec::SpecFlags;
use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::home::{self, Home, NAMESPACE};
use crate::output;
use crate::scene;

#[derive(Debug, Args)]
pub struct CreateArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME
    #[arg(value_name = "APP")]
    name: Option<String>,
    /// File with an Application; - for standard input
    #[arg(short, long, value_name = "FILE")]
    file: Option<String>,
    /// The name, instead of the argument
    #[arg(long = "name", value_name = "NAME")]
    name_flag: Option<String>,
    /// Change it where it exists already
    #[arg(long)]
    upsert: bool,
    /// Have its objects deleted with it
    #[arg(long)]
    set_finalizer: bool,
    /// NAME=VALUE
    #[arg(short, long, value_name = "NAME=VALUE")]
    label: Vec<String>,
    /// NAME=VALUE
    #[arg(long, value_name = "NAME=VALUE")]
    annotations: Vec<String>,
    /// Refuse one that makes no sense
    #[arg(long, default_value_t = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
    validate: bool,
    #[command(flatten)]
    spec: SpecFlags,
}

pub async fn run(arguments: &CreateArguments, globals: &Globals) -> Result<Ending, Failure> {
    let object = object(arguments)?;
    if arguments.validate {
        validate(&object)?;
    }
    let home = Home::open(globals).await?;
    let key = home::app_key(&object);
    let Some(existing) = home.find(&key).await? else {
        home.create(&object).await?;
        output::line(&format!("application '{}' created", key.name));
        return Ok(Ending::Done);
    };
    if is_same(&existing, &object) {
        output::line(&format!("application '{}' unchanged", key.name));
        return Ok(Ending::Done);
    }
    if !arguments.upsert {
        return Err(Failure::user(format!("there is an Application {key} already, and its spec is another"))
            .hint("--upsert changes it"));
    }
    super::set::refuse_tracked(&existing, &object)?;
    let mut patch = Value::default();
    if let Some(spec) = trueup_api::status::merge_patch(
        existing.get("spec").unwrap_or(&Value::Null),
        object.get("spec").unwrap_or(&Value::Null),
    ) {
        patch.set_at(&["spec"], spec);
    }
    for part in ["labels", "annotations"] {
        if let Some(value) = object.at(&["metadata", part]) {
            patch.set_at(&["metadata", part], value.clone());
        }
    }
    if let Some(finalizers) = object.at(&["metadata", "finalizers"]) {
        patch.set_at(&["metadata", "finalizers"], finalizers.clone());
    }
    home.merge(&key, &patch).await?;
    output::line(&format!("application '{}' updated", key.name));
    Ok(Ending::Done)
}

/// The Application of the file and the flags.
fn object(arguments: &CreateArguments) -> Result<Value, Failure> {
    let mut object = match &arguments.file {
        Some(file) => read(file)?,
        None => Value::Map(Map::new()),
    };
    object.set_at(&["apiVersion"], format!("{GROUP}/{VERSION}").into());
    object.set_at(&["kind"], KIND.into());
    if let Some(name) = arguments.name.as_ref().or(arguments.name_flag.as_ref()) {
        let key = arguments.within.key(name)?;
        let of_file = object.str_at(&["metadata", "name"]);
        if of_file.is_some_and(|of_file| *of_file != *key.name) {
            return Err(Failure::user(format!(
                "the file names {}, the line {}",
                of_file.unwrap_or_default(),
                key.name
            ))
            .hint("leave one of the names out"));
        }
        object.set_at(&["metadata", "name"], key.name.into());
        object.set_at(&["metadata", "namespace"], key.namespace.into());
    }
    if object.str_at(&["metadata", "name"]).is_none() {
        return Err(Failure::user("the Application has no name").hint("give one as argument or in the file"));
    }
    if object.str_at(&["metadata", "namespace"]).is_none() {
        let namespace = arguments.within.app_namespace.as_deref().unwrap_or(NAMESPACE);
        object.set_at(&["metadata", "namespace"], namespace.into());
    }
    arguments.spec.apply(&mut object)?;
    if object.str_at(&["spec", "project"]).is_none_or(str::is_empty) {
        object.set_at(&["spec", "project"], "default".into());
    }
    if object.at(&["spec", "destination", "server"]).or(object.at(&["spec", "destination", "name"])).is_none()
    {
        object.set_at(&["spec", "destination", "name"], "in-cluster".into());
    }
    for (part, pairs) in [("labels", &arguments.label), ("annotations", &arguments.annotations)] {
        for pair in pairs {
            let (name, value) = pair
                .split_once('=')
                .ok_or_else(|| Failure::user(format!("{pair:?} is no pair")).hint("give NAME=VALUE"))?;
            object.set_at(&["metadata", part, name], value.into());
        }
    }
    if arguments.set_finalizer {
        object.set_at(&["metadata", "finalizers"], Value::List(vec![CASCADE.into()]));
    }
    Ok(object)
}

fn read(file: &str) -> Result<Value, Failure> {
    let failed = |error: std::io::Error| {
        Failure::user(format!("failed to read {file}: {error}"))
            .hint("give the path of a file with one Application, or - for standard input")
    };
    let mut bytes = Vec::new();
    if file == "-" {
        std::io::stdin().read_to_end(&mut bytes).map_err(failed)?;
    } else {
        bytes = std::fs::read(file).map_err(failed)?;
    }
    let object = Value::from_yaml(&bytes).map_err(|error| {
        Failure::user(format!("failed to read {file}: {error}"))
            .hint("correct the line; the file is the YAML or JSON of one Application")
    })?;
    let kind = object.str_at(&["kind"]);
    if kind.is_some_and(|kind| kind != KIND) || object.as_map().is_none() {
        return Err(Failure::user(format!("{file} holds no Application"))
            .hint("give a file with one Application; `kubectl apply -f` takes any number"));
    }
    Ok(object)
}

/// Refuses what makes no sense, and names what this build cannot honour.
pub fn validate(object: &Value) -> Result<(), Failure> {
    let (_, app) = scene::understand(object.clone()).map_err(Failure::or_user)?;
    for unsupported in &app.unsupported {
        output::tell(&format!(
            "note: {}: {}, which this build does not support: the application is compared and never written to",
            unsupported.place, unsupported.what
        ));
    }
    Ok(())
}

/// Whether what is asked for is there already; status and bookkeeping apart.
fn is_same(existing: &Value, wanted: &Value) -> bool {
    let covers = |path: &[&str]| {
        let map = wanted.at(path).and_then(Value::as_map);
        map.is_none_or(|map| {
            map.iter().all(|(name, value)| existing.at(path).and_then(|it| it.get(name)) == Some(value))
        })
    };
    let finalizers = wanted.list_at(&["metadata", "finalizers"]);
    existing.get("spec") == wanted.get("spec")
        && covers(&["metadata", "labels"])
        && covers(&["metadata", "annotations"])
        && finalizers
            .iter()
            .filter(|it| it.as_str().is_some_and(|it| it.starts_with(FINALIZER_PREFIX)))
            .all(|it| existing.list_at(&["metadata", "finalizers"]).contains(it))
}
