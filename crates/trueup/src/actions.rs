//! `trueup actions`: which actions an object offers, and what one of them would make of the cluster. Nothing is changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use jiff::Timestamp;
use trueup_lua::{Action, Effect, ScriptError};
use trueup_object::manifest::Manifest;
use trueup_object::{Map, Text, Value};

use crate::diff::files;
use crate::failure::{Ending, Failure};
use crate::output::{self, Structure, Table};
use crate::scripts::ScriptArguments;

#[derive(Debug, Subcommand)]
pub enum ActionsCommand {
    /// List the actions that an object offers
    List(ListArguments),
    /// Print what an action makes of an object; nothing is changed in any cluster
    Run(RunArguments),
}

/// The object, and the scripts for it.
#[derive(Debug, Args)]
struct Subject {
    /// The object as the cluster has it: a file with it alone, or - for standard input
    #[arg(short, long = "filename", value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    scripts: ScriptArguments,
    /// Form of the result
    #[arg(short, long, default_value = "text", value_parser = ["text", "json", "yaml"])]
    output: String,
}

#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    subject: Subject,
}

#[derive(Debug, Args)]
pub struct RunArguments {
    /// The name of the action
    #[arg(value_name = "ACTION")]
    action: String,
    #[command(flatten)]
    subject: Subject,
    /// A parameter of the action; may be repeated
    #[arg(long = "param", value_name = "NAME=VALUE", value_parser = parameter)]
    params: Vec<(String, String)>,
}

fn parameter(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        Some(_) | None => Err("write NAME=VALUE".to_owned()),
    }
}

pub fn run(command: &ActionsCommand) -> Result<Ending, Failure> {
    match command {
        ActionsCommand::List(arguments) => list(&arguments.subject),
        ActionsCommand::Run(arguments) => act(arguments),
    }
}

fn list(subject: &Subject) -> Result<Ending, Failure> {
    let (_, rules) = subject.scripts.read()?;
    let object = the_object(&subject.file)?;
    let now = Timestamp::now().as_second();
    let actions = rules.actions(object.object(), now).map_err(|error| failed("list the actions", &error))?;
    subject.show(&Value::List(actions.iter().map(listed).collect()), || {
        let mut table = Table::new(&["ACTION", "DISABLED", "DISPLAY NAME", "PARAMETERS"]);
        for action in &actions {
            let disabled = action.disabled.to_string();
            table.row([&action.name, &disabled, &action.display_name, &action.params.join(", ")]);
        }
        table.to_text()
    });
    Ok(Ending::Done)
}

fn act(arguments: &RunArguments) -> Result<Ending, Failure> {
    let RunArguments { action, subject, params } = arguments;
    let (_, rules) = subject.scripts.read()?;
    let object = the_object(&subject.file)?;
    let parameters: BTreeMap<String, String> = params.iter().cloned().collect();
    let now = Timestamp::now().as_second();
    let effects = rules
        .run_action(object.object(), action, &parameters, now)
        .map_err(|error| failed(&format!("run the action {action}"), &error))?;
    subject.show(&Value::List(effects.iter().map(made).collect()), || {
        let parts: Vec<String> = effects.iter().map(described).collect();
        parts.join("---\n")
    });
    Ok(Ending::Done)
}

impl Subject {
    fn show(&self, value: &Value, text: impl FnOnce() -> String) {
        match self.output.as_str() {
            "json" => output::document(value, Structure::Json),
            "yaml" => output::document(value, Structure::Yaml),
            _ => output::print(&text()),
        }
    }
}

/// The one object of a file: an action is on one.
fn the_object(place: &Path) -> Result<Manifest, Failure> {
    let read = files::read(place)?;
    if let Some(loss) = read.loss() {
        return Err(Failure::user(format!("failed to read the object: {loss}")).hint("correct the file"));
    }
    let count = read.manifests.len();
    let mut manifests = read.manifests.into_iter();
    match (manifests.next(), count) {
        (Some(object), 1) => Ok(object),
        _ => Err(Failure::user(format!("{} has {count} objects", place.display()))
            .hint("an action is on one object: give a file with it alone")),
    }
}

fn failed(doing: &str, error: &ScriptError) -> Failure {
    let hint = match error {
        ScriptError::NoAction { .. } => {
            "`trueup actions list` shows which there are; scripts come from --customizations and --settings"
        }
        ScriptError::Syntax(_)
        | ScriptError::Raised(_)
        | ScriptError::Instructions { .. }
        | ScriptError::Memory { .. }
        | ScriptError::Result(_) => "correct the script, its parameters, or the object",
    };
    Failure::user(format!("failed to {doing}: {error}")).hint(hint)
}

fn text(text: &str) -> Value {
    Value::Str(Text::from(text))
}

fn listed(action: &Action) -> Value {
    let params =
        action.params.iter().map(|name| Value::Map([("name", text(name))].into_iter().collect::<Map>()));
    let fields = [
        ("name", text(&action.name)),
        ("disabled", Value::Bool(action.disabled)),
        ("displayName", text(&action.display_name)),
        ("iconClass", text(&action.icon_class)),
        ("params", Value::List(params.collect())),
    ];
    Value::Map(fields.into_iter().collect())
}

fn made(effect: &Effect) -> Value {
    let fields = [("operation", text(effect.operation.as_str())), ("resource", effect.resource.clone())];
    Value::Map(fields.into_iter().collect())
}

fn described(effect: &Effect) -> String {
    let part = |path: &[&str]| effect.resource.str_at(path).unwrap_or_default().to_owned();
    let names = [part(&["metadata", "namespace"]), part(&["metadata", "name"])];
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.is_empty()).collect();
    let operation = effect.operation.as_str();
    let heading = format!("# {operation} {} {}", part(&["kind"]), names.join("/"));
    format!("{}\n{}", heading.trim_end(), effect.resource.to_yaml())
}
