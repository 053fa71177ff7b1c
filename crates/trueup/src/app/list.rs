//! `trueup app list`.

use std::collections::BTreeMap;

use clap::{Args, ValueEnum};
use trueup_api::application::{ApplicationSource, ApplicationSpec};
use trueup_object::Value;

use super::name::Within;
use crate::arguments::Globals;
use crate::failure::{Ending, Failure};
use crate::home::{self, Home};
use crate::output::{self, Structure, Table};

#[derive(Debug, Args)]
pub struct ListArguments {
    #[command(flatten)]
    within: Within,
    /// Only Applications of these projects
    #[arg(short, long)]
    project: Vec<String>,
    /// Only Applications of this repository
    #[arg(short, long)]
    repo: Option<String>,
    /// Only Applications of this path
    #[arg(short = 'P', long)]
    path: Option<String>,
    /// Only Applications of this destination cluster, by name or address
    #[arg(short, long)]
    cluster: Option<String>,
    /// Only Applications with these labels
    #[arg(short = 'l', long, default_value = "", hide_default_value = true)]
    selector: String,
    #[arg(short, long, value_enum, default_value_t = ListForm::Wide)]
    output: ListForm,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ListForm {
    Wide,
    Name,
    Json,
    Yaml,
}

pub async fn run(arguments: &ListArguments, globals: &Globals) -> Result<Ending, Failure> {
    let home = Home::open(globals).await?;
    let listed = home.applications(arguments.within.namespace(), &arguments.selector).await?;
    let mut found: Vec<Listed> = listed.into_iter().map(Listed::of).collect();
    found.retain(|listed| listed.is_wanted(arguments));
    found.sort_by(|left, right| left.name.cmp(&right.name));
    match arguments.output {
        ListForm::Wide => table(&found).print(),
        ListForm::Name => {
            for listed in &found {
                output::line(&listed.name);
            }
        }
        ListForm::Json => output::document(&objects(found), Structure::Json),
        ListForm::Yaml => output::document(&objects(found), Structure::Yaml),
    }
    Ok(Ending::Done)
}

/// An Application in the list. One whose spec makes no sense is listed too, with what can be read of it.
struct Listed {
    name: String,
    spec: ApplicationSpec,
    object: Value,
}

impl Listed {
    fn of(mut object: Value) -> Self {
        object.remove_at(&["metadata", "managedFields"]);
        let spec = home::read(object.clone()).map(|application| application.spec).unwrap_or_default();
        Self { name: home::app_key(&object).to_string(), spec, object }
    }

    fn is_wanted(&self, arguments: &ListArguments) -> bool {
        let destination = &self.spec.destination;
        let sources = self.spec.effective_sources();
        let of_source = |wanted: &Option<String>, part: fn(&ApplicationSource) -> &str| {
            wanted.as_ref().is_none_or(|wanted| sources.iter().any(|source| same(part(source), wanted)))
        };
        let of_cluster = arguments
            .cluster
            .as_ref()
            .is_none_or(|wanted| same(&destination.server, wanted) || destination.name == *wanted);
        let of_project = arguments.project.is_empty() || arguments.project.contains(&self.project());
        of_project
            && of_cluster
            && of_source(&arguments.repo, |source| source.repo_url.as_str())
            && of_source(&arguments.path, |source| source.path.as_deref().unwrap_or_default())
    }

    fn project(&self) -> String {
        if self.spec.project.is_empty() { "default".to_owned() } else { self.spec.project.to_string() }
    }
}

/// Addresses are the same with and without a slash or `.git` at the end.
fn same(left: &str, right: &str) -> bool {
    fn bare(text: &str) -> &str {
        let text = text.trim_end_matches('/');
        text.strip_suffix(".git").unwrap_or(text)
    }
    bare(left) == bare(right)
}

fn objects(found: Vec<Listed>) -> Value {
    Value::List(found.into_iter().map(|listed| listed.object).collect())
}

fn table(found: &[Listed]) -> Table {
    let mut table = Table::new(&[
        "NAME",
        "CLUSTER",
        "NAMESPACE",
        "PROJECT",
        "STATUS",
        "HEALTH",
        "SYNCPOLICY",
        "CONDITIONS",
        "REPO",
        "PATH",
        "TARGET",
    ]);
    for listed in found {
        let Listed { name, spec, object } = listed;
        let source = spec.effective_sources().first().copied().cloned().unwrap_or_default();
        let state = |path: &[&str]| {
            object.str_at(path).filter(|word| !word.is_empty()).unwrap_or("Unknown").to_owned()
        };
        table.row([
            name.clone(),
            cluster(spec),
            spec.destination.namespace.to_string(),
            listed.project(),
            state(&["status", "sync", "status"]),
            state(&["status", "health", "status"]),
            policy(spec).to_owned(),
            conditions(object),
            source.repo_url.to_string(),
            source.path.unwrap_or_default().to_string(),
            source.target_revision.unwrap_or_default().to_string(),
        ]);
    }
    table
}

/// The destination as it is written.
pub fn cluster(spec: &ApplicationSpec) -> String {
    let destination = &spec.destination;
    if destination.server.is_empty() { destination.name.to_string() } else { destination.server.to_string() }
}

fn policy(spec: &ApplicationSpec) -> &'static str {
    let automated = spec.sync_policy.as_ref().and_then(|policy| policy.automated);
    match automated {
        Some(automated) if automated.enabled && automated.prune => "Auto-Prune",
        Some(automated) if automated.enabled => "Auto",
        Some(_) | None => "Manual",
    }
}

/// The types in order, with how often each stands there.
fn conditions(object: &Value) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for condition in object.list_at(&["status", "conditions"]) {
        if let Some(kind) = condition.str_at(&["type"]) {
            *counts.entry(kind).or_default() += 1;
        }
    }
    if counts.is_empty() {
        return "<none>".to_owned();
    }
    let named = counts.iter().map(|(kind, count)| match count {
        1 => (*kind).to_owned(),
        _ => format!("{kind}({count})"),
    });
    named.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn listed(text: &str) -> Listed {
        Listed::of(Value::from_yaml(text.as_bytes()).unwrap())
    }

    #[test]
    fn a_row_has_argo_cds_columns() {
        let table = table(&[listed(
            "
metadata: {namespace: argocd, name: web}
spec:
  project: shop
  source: {repoURL: https://example.com/r.git, path: apps/web, targetRevision: main}
  destination: {server: https://kubernetes.default.svc, namespace: web}
  syncPolicy: {automated: {prune: true}}
status:
  sync: {status: OutOfSync}
  health: {status: Healthy}
  conditions: [{type: SyncError}, {type: ComparisonError}, {type: SyncError}]
",
        )]);
        let text = table.to_text();
        let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0].len(), 11);
        assert_eq!(
            rows[1],
            [
                "argocd/web",
                "https://kubernetes.default.svc",
                "web",
                "shop",
                "OutOfSync",
                "Healthy",
                "Auto-Prune",
                "ComparisonError,SyncError(2)",
                "https://example.com/r.git",
                "apps/web",
                "main"
            ]
        );
    }

    #[test]
    fn one_that_makes_no_sense_is_listed_too() {
        let text = table(&[listed("{metadata: {namespace: argocd, name: odd}, spec: 5}")]).to_text();
        assert!(text.contains("argocd/odd") && text.contains("Unknown"), "{text}");
    }

    #[test]
    fn addresses_with_and_without_their_ends_are_the_same() {
        assert!(same("https://example.com/r.git", "https://example.com/r/"));
        assert!(!same("https://example.com/r", "https://example.com/s"));
    }
}
