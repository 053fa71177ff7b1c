//! `trueup app lint`: ignore rules that hide nothing or not what was meant, with the rule as it would be right.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use trueup_engine::ignore::IgnoreSpec;
use trueup_engine::ignore::lint::{self, LintFinding};
use trueup_object::{GroupKind, Map, ResourceKey, Value};

use super::name::Within;
use crate::arguments::Globals;
use crate::diff::files;
use crate::failure::{Ending, Failure};
use crate::home::{self, Home};
use crate::output::{self, Structure};
use crate::scene::Scene;

#[derive(Debug, Args)]
pub struct LintArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME
    #[arg(value_name = "APP", required_unless_present = "file", conflicts_with = "file")]
    name: Option<String>,
    /// Applications in a file or folder instead; whether a rule matches anything is then not looked at
    #[arg(short, long, value_name = "FILE")]
    file: Option<PathBuf>,
    #[arg(short, long, default_value = "text", value_parser = ["text", "json"])]
    output: String,
}

/// The findings about one Application.
struct Linted {
    name: String,
    findings: Vec<LintFinding>,
}

pub async fn run(arguments: &LintArguments, globals: &Globals) -> Result<Ending, Failure> {
    let linted = match (&arguments.file, &arguments.name) {
        (Some(file), _) => of_files(file)?,
        (None, Some(name)) => vec![of_application(arguments, globals, name).await?],
        (None, None) => Vec::new(),
    };
    if arguments.output == "json" {
        let all =
            linted.iter().flat_map(|linted| linted.findings.iter().map(|found| json(&linted.name, found)));
        output::document(&Value::List(all.collect()), Structure::Json);
    } else {
        for linted in &linted {
            text(linted);
        }
    }
    Ok(if linted.iter().all(|linted| linted.findings.is_empty()) { Ending::Done } else { Ending::Differs(1) })
}

/// The rules as they are written, whatever else the Application says.
fn specs(object: &Value) -> Vec<IgnoreSpec> {
    let rule = |rule: &Value| {
        let text = |name: &str| rule.str_at(&[name]).unwrap_or_default().to_owned();
        let texts =
            |name: &str| rule.list_at(&[name]).iter().filter_map(Value::as_str).map(str::to_owned).collect();
        IgnoreSpec {
            group: text("group"),
            kind: text("kind"),
            name: text("name"),
            namespace: text("namespace"),
            json_pointers: texts("jsonPointers"),
            jq_path_expressions: texts("jqPathExpressions"),
            managed_fields_managers: texts("managedFieldsManagers"),
        }
    };
    object.list_at(&["spec", "ignoreDifferences"]).iter().map(rule).collect()
}

fn of_files(file: &std::path::Path) -> Result<Vec<Linted>, Failure> {
    let mut linted = Vec::new();
    for (path, bytes) in files::contents(file)? {
        for document in trueup_object::yaml::read_documents(&bytes) {
            let unusable = |error| {
                Failure::user(format!("failed to read {path}: {error}"))
                    .hint("correct the syntax of the file")
            };
            let document = document.map_err(unusable)?.value;
            // `kubectl get applications -o yaml` prints a List.
            let items = document.list_at(&["items"]).iter();
            for application in
                items.chain([&document]).filter(|it| it.str_at(&["kind"]) == Some("Application"))
            {
                let findings = lint::written(&specs(application), &BTreeSet::new());
                linted.push(Linted { name: home::app_key(application).name.to_string(), findings });
            }
        }
    }
    if linted.is_empty() {
        return Err(Failure::user(format!("there is no Application in {}", file.display())).hint(
            "give a file or folder with Applications, such as `kubectl get applications -o yaml` prints",
        ));
    }
    Ok(linted)
}

async fn of_application(arguments: &LintArguments, globals: &Globals, name: &str) -> Result<Linted, Failure> {
    let home = Home::open(globals).await?;
    let object = home.application(&arguments.within.key(name)?).await?;
    let (name, specs) = (home::app_key(&object).name.to_string(), specs(&object));
    // What keeps the Application from being understood at all may be the rule that is wrong.
    let plain = lint::written(&specs, &BTreeSet::new());
    let scene = match Scene::open(&home, globals, object, None).await {
        Ok(scene) => scene,
        Err(_) if !plain.is_empty() => return Ok(Linted { name, findings: plain }),
        Err(failure) => return Err(failure.or_user()),
    };
    let kinds: BTreeSet<GroupKind> = scene.targets.targets.keys().map(ResourceKey::group_kind).collect();
    let mut findings = lint::written(&specs, &kinds);
    let known: BTreeSet<_> = findings.iter().map(|found| found.place.clone()).collect();
    let seen = scene.look().await;
    // A rule that is written wrongly hides nothing for that reason; it is told once.
    findings
        .extend(lint::used(&seen.comparison.rules).into_iter().filter(|found| !known.contains(&found.place)));
    for problem in &scene.settings.problems {
        findings.push(LintFinding {
            place: problem.config_map.into(),
            message: problem.to_string(),
            corrected: None,
        });
    }
    Ok(Linted { name, findings })
}

fn text(linted: &Linted) {
    if linted.findings.is_empty() {
        output::line(&format!("{}: every ignore rule is well", linted.name));
    }
    for found in &linted.findings {
        output::line(&format!("{} {}: {}", linted.name, found.place, found.message));
        if let Some(corrected) = &found.corrected {
            output::line("  write instead:");
            let rule = Value::List(vec![lint::to_value(corrected)]).to_yaml();
            for line in rule.lines() {
                output::line(&format!("  {line}"));
            }
        }
    }
}

fn json(name: &str, found: &LintFinding) -> Value {
    let entries = [
        ("application", Value::from(name)),
        ("rule", Value::Str(found.place.clone())),
        ("message", Value::from(found.message.as_str())),
        ("corrected", found.corrected.as_ref().map(lint::to_value).unwrap_or_default()),
    ];
    Value::Map(entries.into_iter().collect::<Map>())
}
