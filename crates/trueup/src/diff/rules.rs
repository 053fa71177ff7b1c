//! What is ignored: rules from a file, read as an Application's `ignoreDifferences` are.

use trueup_api::Application;
use trueup_engine::app::App;
use trueup_engine::ignore::{RuleSource, lint};
use trueup_engine::look::Comparison;
use trueup_object::{Text, Value};

use super::DiffArguments;
use super::files;
use crate::failure::Failure;
use crate::output;

/// The application that files are compared as: it is in no cluster, and only its rules matter.
pub fn application(arguments: &DiffArguments) -> Result<(Application, App), Failure> {
    let mut object = Value::default();
    for (path, value) in [
        (&["apiVersion"][..], "argoproj.io/v1alpha1"),
        (&["kind"], "Application"),
        (&["metadata", "name"], "files"),
        (&["spec", "project"], "default"),
        (&["spec", "source", "repoURL"], "file:///"),
        (&["spec", "source", "path"], "."),
        (&["spec", "destination", "name"], "in-cluster"),
    ] {
        object.set_at(path, value.into());
    }
    if let Some(place) = &arguments.ignore {
        object.set_at(&["spec", "ignoreDifferences"], rules(place)?);
    }
    let understood = trueup_api::read_app(object, "").map_err(|refusal| {
        let words: Vec<&str> = refusal.conditions.iter().map(|it| it.message.as_str()).collect();
        Failure::user(format!("failed to understand the rules of --ignore: {}", words.join("; ")))
            .hint("write a list as in spec.ignoreDifferences: group, kind, jsonPointers, jqPathExpressions, managedFieldsManagers")
    });
    let (application, mut app) = understood?;
    if let Some(unsupported) = app.unsupported.first() {
        return Err(Failure::unknown(format!(
            "{}: {} is not supported by this version",
            unsupported.place, unsupported.what
        ))
        .hint("correct the rule that is named"));
    }
    app.destination.namespace = arguments.namespace.as_deref().map(Text::from).unwrap_or_default();
    Ok((application, app))
}

/// Says which rules of --ignore hide nothing in what was compared, and which fail.
pub fn tell(comparison: &Comparison) {
    for count in comparison.rules.iter().filter(|count| count.source == RuleSource::Application) {
        if let Some(said) = lint::said_of(count, "that is compared") {
            output::tell(&format!("note: --ignore, {}: {said}", count.place));
        }
    }
}

/// The list, by itself, under `ignoreDifferences`, or in an Application.
fn rules(place: &std::path::Path) -> Result<Value, Failure> {
    let mut all = Vec::new();
    for (path, bytes) in files::contents(place)? {
        let unusable = |why: String| {
            Failure::user(format!("failed to read the rules {path}: {why}"))
                .hint("write a list as in spec.ignoreDifferences: group, kind, jsonPointers, jqPathExpressions, managedFieldsManagers")
        };
        for document in trueup_object::yaml::read_documents(&bytes) {
            let document = document.map_err(|error| unusable(error.to_string()))?.value;
            let inner =
                document.at(&["spec", "ignoreDifferences"]).or_else(|| document.get("ignoreDifferences"));
            match inner.unwrap_or(&document) {
                Value::Null => {}
                Value::List(items) => {
                    for (index, item) in items.iter().enumerate() {
                        if let Some(key) = unknown_key(item) {
                            return Err(unusable(format!("rule {} has the unknown key `{key}`", index + 1)));
                        }
                    }
                    all.extend(items.iter().cloned());
                }
                _ => return Err(unusable("it is no list".to_owned())),
            }
        }
    }
    Ok(Value::List(all))
}

/// A key that a rule cannot have. A cluster's schema would drop it, and the rule would silently hide less than its author
/// meant.
fn unknown_key(rule: &Value) -> Option<&str> {
    const KEYS: [&str; 7] =
        ["group", "kind", "name", "namespace", "jsonPointers", "jqPathExpressions", "managedFieldsManagers"];
    rule.as_map()?.iter().map(|(key, _)| key).find(|key| !KEYS.contains(key))
}
