//! `trueup health`: how the objects of files are doing, and by which rule.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use trueup_health::{HealthRules, Judged};
use trueup_object::manifest::Manifest;
use trueup_object::{Map, Text, Value};

use crate::failure::{Ending, Failure};
use crate::output::{self, Structure, Table};
use crate::scripts::{self, ScriptArguments};

#[derive(Debug, Args)]
pub struct HealthArguments {
    /// The objects as the cluster has them: a file, a folder, or - for standard input; may be repeated
    #[arg(short, long = "filename", value_name = "FILE|DIR", required = true)]
    file: Vec<PathBuf>,
    #[command(flatten)]
    scripts: ScriptArguments,
    /// Form of the result
    #[arg(short, long, default_value = "text", value_parser = ["text", "json", "yaml"])]
    output: String,
}

/// Judges every object. What is unhealthy is no failure: it is the answer.
pub fn run(arguments: &HealthArguments) -> Result<Ending, Failure> {
    let (settings, scripts) = arguments.scripts.read()?;
    let rules = HealthRules { scripts: &scripts, generic: settings.generic_health };
    let (objects, failure) = scripts::objects(&arguments.file)?;
    let now = Timestamp::now().as_second();
    let judged: Vec<(Manifest, Judged)> = objects
        .into_iter()
        .map(|manifest| {
            let judged = rules.judge(manifest.object(), now);
            (manifest, judged)
        })
        .collect();
    match arguments.output.as_str() {
        "json" => output::document(&document(&judged), Structure::Json),
        "yaml" => output::document(&document(&judged), Structure::Yaml),
        _ => table(&judged),
    }
    failure.map_or(Ok(Ending::Done), Err)
}

fn document(judged: &[(Manifest, Judged)]) -> Value {
    let text = |text: &str| Value::Str(Text::from(text));
    let rows = judged.iter().map(|(manifest, judged)| {
        let key = manifest.key();
        let status = judged.health.as_ref().map(|health| text(health.status.as_str()));
        let message = judged.health.as_ref().map(|health| health.message.as_str()).unwrap_or_default();
        let rule = judged.rule.as_ref().map(|rule| text(&rule.to_string()));
        let fields = [
            ("group", text(&key.group)),
            ("kind", text(&key.kind)),
            ("namespace", text(&key.namespace)),
            ("name", text(&key.name)),
            ("status", status.unwrap_or_default()),
            ("message", text(message)),
            ("rule", rule.unwrap_or_default()),
        ];
        Value::Map(fields.into_iter().collect::<Map>())
    });
    Value::List(rows.collect())
}

fn table(judged: &[(Manifest, Judged)]) {
    let mut table = Table::new(&["GROUP", "KIND", "NAMESPACE", "NAME", "HEALTH", "RULE", "MESSAGE"]);
    for (manifest, judged) in judged {
        let key = manifest.key();
        let (status, message) = judged
            .health
            .as_ref()
            .map(|health| (health.status.to_string(), health.message.replace('\n', " ")))
            .unwrap_or_default();
        let rule = judged.rule.as_ref().map(ToString::to_string).unwrap_or_default();
        let names = [&key.group, &key.kind, &key.namespace, &key.name].map(ToString::to_string);
        table.row(names.into_iter().chain([status, rule, message]));
    }
    table.print();
}
