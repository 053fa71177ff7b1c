//! Sources: what can be read as a plain directory, and what cannot be rendered.

use trueup_engine::app::{Directory, Source};
use trueup_engine::source::{RepoUrl, RepoUrlError, Revision, RevisionError, SourcePath};

use super::Found;
use crate::application::{ApplicationSource, ApplicationSpec};

pub(super) fn sources(spec: &ApplicationSpec, found: &mut Found) -> Vec<Source> {
    if spec.source_hydrator.is_some() {
        found.cannot_render("spec.sourceHydrator", "a source hydrator");
        return Vec::new();
    }
    let wanted = spec.effective_sources();
    if wanted.is_empty() {
        found.refuse("spec.source", "nothing", "a source with repoURL and path");
    }
    wanted.into_iter().filter_map(|wanted| source(wanted, spec.has_multiple_sources(), found)).collect()
}

fn source(wanted: &ApplicationSource, is_multiple: bool, found: &mut Found) -> Option<Source> {
    let place = &wanted.place;
    name_unsupported(wanted, found);
    let repo = repo(wanted, found);
    let revision = revision(wanted, found);
    let path = match wanted.path.as_deref() {
        None => None,
        Some(text) => match SourcePath::parse(text) {
            Ok(path) => Some(path),
            Err(error) => {
                found.refuse(format!("{place}.path"), error.to_string(), "a path within the repository");
                None
            }
        },
    };
    let renders_nothing = wanted.reference.is_some() && is_multiple;
    if wanted.path.is_none() && wanted.chart.is_none() && !renders_nothing {
        let expected = if is_multiple { "a path, or a ref" } else { "a path; `.` is the root" };
        found.refuse(format!("{place}.path"), "nothing", expected);
    }
    Some(Source {
        repo: repo?,
        revision: revision?,
        path,
        reference: wanted.reference.clone(),
        directory: directory(wanted),
    })
}

fn directory(wanted: &ApplicationSource) -> Directory {
    let Some(directory) = &wanted.directory else { return Directory::default() };
    Directory {
        recurse: directory.recurse,
        include: directory.include.clone(),
        exclude: directory.exclude.clone(),
        any_extension: directory.disable_extension_filter,
        explicit: true,
    }
}

fn name_unsupported(wanted: &ApplicationSource, found: &mut Found) {
    let place = &wanted.place;
    if let Some(chart) = &wanted.chart {
        found.cannot_render(format!("{place}.chart"), format!("the Helm chart {chart}"));
    }
    let blocks = [
        ("helm", wanted.helm.is_some(), "Helm"),
        ("kustomize", wanted.kustomize.is_some(), "Kustomize"),
        ("plugin", wanted.plugin.is_some(), "a config management plugin"),
    ];
    for (name, is_there, what) in blocks {
        if is_there {
            found.cannot_render(format!("{place}.{name}"), what);
        }
    }
    if wanted.directory.as_ref().is_some_and(|directory| directory.jsonnet.is_some()) {
        found.cannot_render(format!("{place}.directory.jsonnet"), "Jsonnet");
    }
    if let Some(prefix) = &wanted.tag_prefix {
        found.cannot_render(format!("{place}.tagPrefix"), format!("the tag prefix {prefix}"));
    }
}

fn repo(wanted: &ApplicationSource, found: &mut Found) -> Option<RepoUrl> {
    let path = format!("{}.repoURL", wanted.place);
    match RepoUrl::parse(&wanted.repo_url) {
        Ok(repo) => Some(repo),
        Err(RepoUrlError::UnsupportedScheme { scheme }) => {
            found.cannot_render(path, format!("a repository of scheme {scheme}"));
            None
        }
        // A chart's repository need not be an address that Git reads; the chart has been named.
        Err(_) if wanted.chart.is_some() => None,
        // The address itself may hold credentials, so it is not repeated.
        Err(error) => {
            found.refuse(path, error.to_string(), "the address of a Git repository");
            None
        }
    }
}

fn revision(wanted: &ApplicationSource, found: &mut Found) -> Option<Revision> {
    let path = format!("{}.targetRevision", wanted.place);
    match Revision::parse(wanted.target_revision.as_deref().unwrap_or_default()) {
        Ok(revision) => Some(revision),
        Err(RevisionError::Constraint(text)) => {
            found.cannot_render(path, format!("the version constraint {text}"));
            None
        }
        Err(error @ RevisionError::NotAName(_)) => {
            found.refuse(path, error.to_string(), "a branch, a tag, a commit or HEAD");
            None
        }
    }
}
