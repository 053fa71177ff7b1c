//! `trueup app ignore`: writes an ignore rule to an Application; to its file, where the Application is itself in Git.

mod file;

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use trueup_engine::ignore::{self, IgnoreSpec, lint, path};
use trueup_engine::tracking::{TRACKING_ANNOTATION, TrackingId};
use trueup_object::{FieldPath, Map, Value};

use super::create;
use super::name::Within;
use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::home::Home;
use crate::output;

#[derive(Debug, Args)]
pub struct IgnoreArguments {
    #[command(flatten)]
    within: Within,
    /// NAME or NAMESPACE/NAME
    #[arg(value_name = "APP")]
    name: String,
    /// The path of a difference, as it is printed: .spec.replicas
    #[arg(long, required_unless_present = "from_drift", requires = "kind")]
    path: Vec<String>,
    /// The id of a difference, or its beginning: its object and path are ignored
    #[arg(long, value_name = "ID", conflicts_with = "path")]
    from_drift: Option<String>,
    /// The API group of the objects; without it the core group, or the group of the drift
    #[arg(long, value_name = "GROUP")]
    group: Option<String>,
    #[arg(long)]
    kind: Option<String>,
    /// Only the object of this name; without it all of the kind, or that of the drift
    #[arg(long = "name", value_name = "NAME")]
    object: Option<String>,
    #[arg(long)]
    reason: Option<String>,
    #[arg(long)]
    owner: Option<String>,
    /// From then on it hides nothing: 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
    /// Change the file in the Git checkout that this folder (or the one given) is in, where the Application is in Git
    #[arg(long, value_name = "DIR", num_args = 0..=1, default_missing_value = ".", require_equals = true)]
    write: Option<PathBuf>,
}

pub async fn run(arguments: &IgnoreArguments, globals: &Globals) -> Result<Ending, Failure> {
    if let Some(until) = arguments.until.filter(|until| *until <= Timestamp::now()) {
        return Err(Failure::user(format!("--until={until} is over: the rule would hide nothing"))
            .hint("give a time to come, such as 2099-01-31T00:00:00Z"));
    }
    let home = Home::open(globals).await?;
    let key = arguments.within.key(&arguments.name)?;
    let existing = home.application(&key).await?;
    let spec = match &arguments.from_drift {
        Some(id) => {
            let report = home.report(&key).await.ok_or_else(|| {
                Failure::user(format!("there is no DriftReport of {key}"))
                    .hint("give --kind and --path instead")
            })?;
            let found = report.differences.iter().chain(&report.notes);
            let mut found = found.filter(|found| found.difference.id.starts_with(id.as_str()));
            let (Some(drift), None) = (found.next(), found.next()) else {
                return Err(Failure::user(format!("{id} is not the id of exactly one difference of {key}"))
                    .hint("`trueup app diff -o json` has the ids"));
            };
            let Some(path) = drift.difference.path.as_deref() else {
                return Err(Failure::user("the whole object is missing or left over, which no rule ignores")
                    .hint("exclude its kind with resource.exclusions, or annotate it IgnoreExtraneous"));
            };
            rule(arguments, &[path.to_owned()], Some(&drift.object))?
        }
        None => rule(arguments, &arguments.path, None)?,
    };
    let details = details(arguments, &spec);
    let mut wanted = existing.clone();
    add(&mut wanted, &spec, &details)?;
    if wanted == existing {
        output::tell(&format!("{key} ignores that already"));
        return Ok(Ending::Done);
    }
    create::validate(&wanted)?;
    if let Some(parent) = tracked_by(&existing) {
        return in_git(arguments, &existing, &parent, &spec, &details);
    }
    if let Some(patch) = trueup_api::status::merge_patch(&existing, &wanted) {
        home.merge(&key, &patch).await?;
        output::print(&Value::List(vec![lint::to_value(&spec)]).to_yaml());
    }
    Ok(Ending::Done)
}

fn rule(
    arguments: &IgnoreArguments,
    paths: &[String],
    object: Option<&trueup_object::ResourceKey>,
) -> Result<IgnoreSpec, Failure> {
    let text = |given: &Option<String>, found: Option<&str>| given.clone().or(found.map(str::to_owned));
    let mut spec = IgnoreSpec {
        group: text(&arguments.group, object.map(|key| key.group.as_str())).unwrap_or_default(),
        kind: text(&arguments.kind, object.map(|key| key.kind.as_str())).unwrap_or_default(),
        name: text(&arguments.object, object.map(|key| key.name.as_str())).unwrap_or_default(),
        namespace: object.map(|key| key.namespace.to_string()).unwrap_or_default(),
        ..IgnoreSpec::default()
    };
    for text in paths {
        // A pointer is as clear.
        if text.starts_with('/') {
            spec.json_pointers.push(text.clone());
            continue;
        }
        let parsed = match FieldPath::parse(text) {
            Ok(path) if path.is_root() => Err("it names the whole object".to_owned()),
            Ok(path) => Ok(path),
            Err(why) => Err(why.to_string()),
        };
        let parsed = parsed.map_err(|why| {
            Failure::user(format!("{text:?} is no path: {why}"))
                .hint("give it as `trueup app diff` prints it: .spec.replicas")
        })?;
        path::add(&mut spec, &parsed);
    }
    if let Some(found) =
        lint::written(std::slice::from_ref(&spec), &std::collections::BTreeSet::new()).first()
    {
        let failure = Failure::user(format!("such a rule would hide nothing: {}", found.message));
        return Err(match &found.corrected {
            Some(right) => failure.hint(format!("give --group '{}' --kind {}", right.group, right.kind)),
            None => failure,
        });
    }
    Ok(spec)
}

/// Who wanted the rule, as the annotation keeps it: one entry for each path.
fn details(arguments: &IgnoreArguments, spec: &IgnoreSpec) -> Vec<Value> {
    let IgnoreArguments { owner, reason, until, .. } = arguments;
    if owner.is_none() && reason.is_none() && until.is_none() {
        return Vec::new();
    }
    let entry = |path: &str| {
        let mut map: Map =
            [("path", Value::from(path)), ("kind", Value::from(spec.kind.as_str()))].into_iter().collect();
        let until = until.map(|until| until.to_string());
        for (name, text) in [("owner", owner), ("reason", reason), ("until", &until)] {
            if let Some(text) = text {
                map.insert(name, Value::from(text.as_str()));
            }
        }
        Value::Map(map)
    };
    spec.paths().map(entry).collect()
}

/// Adds the rule and what is known of it.
fn add(application: &mut Value, spec: &IgnoreSpec, details: &[Value]) -> Result<(), Failure> {
    let mut rules = application.list_at(&["spec", "ignoreDifferences"]).to_vec();
    let rule = lint::to_value(spec);
    if !rules.contains(&rule) {
        rules.push(rule);
        application.set_at(&["spec", "ignoreDifferences"], Value::List(rules));
    }
    if details.is_empty() {
        return Ok(());
    }
    let place = ["metadata", "annotations", trueup_api::annotations::IGNORE_REASONS];
    let before = application.str_at(&place).unwrap_or_default().to_owned();
    ignore::path_details(if before.is_empty() { "[]" } else { &before })
        .map_err(|why| Failure::user(format!("the annotation {} makes no sense: {why}", place[2])))?;
    let known = Value::from_yaml(before.as_bytes()).unwrap_or_default();
    let mut all = known.as_list().unwrap_or_default().to_vec();
    let is_same = |known: &Value, new: &Value| {
        known.get("path") == new.get("path") && known.get("kind") == new.get("kind")
    };
    all.retain(|known| !details.iter().any(|new| is_same(known, new)));
    all.extend(details.iter().cloned());
    application.set_at(&place, Value::from(Value::List(all).to_yaml().as_str()));
    Ok(())
}

/// The application that brings this one from Git.
fn tracked_by(application: &Value) -> Option<String> {
    let own = application.str_at(&["metadata", "name"]).unwrap_or_default();
    let mark =
        application.str_at(&["metadata", "annotations", TRACKING_ANNOTATION]).and_then(TrackingId::parse)?;
    (mark.app != own && mark.key.kind == "Application").then(|| mark.app.to_string())
}

/// What the file of an Application has to have in addition: the rule; and, where they are given, the annotation that says
/// whose it is and why.
fn addition(application: &Value, spec: &IgnoreSpec, details: &[Value]) -> Result<Value, Failure> {
    let rules = Value::List(vec![lint::to_value(spec)]);
    if details.is_empty() {
        return Ok(rules);
    }
    let mut wanted = application.clone();
    add(&mut wanted, spec, details)?;
    let mut addition = Value::default();
    let place = ["metadata", "annotations", trueup_api::annotations::IGNORE_REASONS];
    addition.set_at(&place, wanted.at(&place).cloned().unwrap_or_default());
    addition.set_at(&["spec", "ignoreDifferences"], rules);
    Ok(addition)
}

fn in_git(
    arguments: &IgnoreArguments,
    application: &Value,
    parent: &str,
    spec: &IgnoreSpec,
    details: &[Value],
) -> Result<Ending, Failure> {
    let name = application.str_at(&["metadata", "name"]).unwrap_or_default();
    let place = arguments.write.clone().unwrap_or_else(|| PathBuf::from("."));
    let change = file::find(&place, application)
        .and_then(|found| file::change(found, |document| add(document, spec, details)));
    match (change, &arguments.write) {
        (Ok(change), Some(_)) => {
            change.write()?;
            output::line(&format!("{}: changed; commit it", change.path.display()));
            Ok(Ending::Done)
        }
        (Err(failure), Some(_)) => Err(failure),
        (change, None) => {
            match &change {
                Ok(change) => output::print(&change.patch()),
                // Its file is not here: what is to be added to it can be told all the same.
                Err(_) => output::print(&addition(application, spec, details)?.to_yaml()),
            }
            Err(Failure::user(format!("the Application {name} is itself in Git: the application {parent} brings it from there"))
                .hint(match change {
                    Ok(_) => "--write makes the change printed above; commit it then",
                    Err(_) => "add what is printed above to its file, the rule to spec.ignoreDifferences, or give its checkout: --write=DIR",
                }))
        }
    }
}
