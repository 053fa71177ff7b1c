//! Plain directories: every YAML and JSON file that the options do not leave out (compat 1.1).

use std::fmt;
use std::sync::{Arc, LazyLock};

use regex::bytes::Regex;
use thiserror::Error;
use trueup_engine::app::{Directory, Unsupported};
use trueup_engine::desired::{RenderProblem, Rendered, ResolvedRevision};
use trueup_engine::source::{Fault, Interest, ReadFilter, ReadSet, SkippedEntry, SourceTree};
use trueup_object::manifest::{FileOrigin, Manifest, ManifestProblem, Severity, read_manifests};

use crate::glob::{Glob, GlobError};
use crate::kind;

/// The largest sum of the sizes of the manifests of one source: Argo CD's `--max-combined-directory-manifests-size`.
pub const BYTES_MAX: u64 = 10 << 20;

/// A file that holds this anywhere is not rendered.
const SKIP_MARKER: &str = "+argocd:skip-file-rendering";

static SKIP_MARKER_FINDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(&regex::escape(SKIP_MARKER)).expect("an escaped text is a valid expression"));

/// The names of files that may hold manifests.
const EXTENSIONS: [&str; 4] = [".yaml", ".yml", ".json", JSONNET];

const JSONNET: &str = ".jsonnet";

/// What a source renders to.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendering {
    /// In the order of the files, and in each file of its documents.
    pub manifests: Vec<Manifest>,
    pub problems: Vec<Problem>,
    /// Files that this build cannot render: the application is read-only.
    pub unsupported: Vec<Unsupported>,
    /// What the result depends on: a commit that leaves it alone needs no new render.
    pub read_set: ReadSet,
}

/// Something in a source that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Problem {
    /// In a document.
    Manifest(ManifestProblem),
    /// An entry that could not be read.
    Skipped(SkippedEntry),
}

/// Why a source is not rendered at all.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RenderError {
    #[error("render {}: {}, which this build does not support", .0.place, .0.what)]
    Unsupported(Unsupported),
    #[error("{error} of {option}")]
    Pattern { option: &'static str, error: GlobError },
    #[error("render {path}: manifests of {bytes} bytes, more than the limit of 10 MiB")]
    TooLarge { path: String, bytes: u64 },
}

impl RenderError {
    pub fn fault(&self) -> Fault {
        match self {
            Self::Unsupported(_) | Self::Pattern { .. } | Self::TooLarge { .. } => Fault::User,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unsupported(_) => {
                "nothing is applied from it; render it to plain manifests, or set spec.source.directory if these are"
            }
            Self::Pattern { .. } => {
                "correct the pattern: `*` crosses slashes, `{a,b}` means either, a backslash takes a character as it is"
            }
            Self::TooLarge { .. } => "narrow spec.source.path, or leave files out with directory.exclude",
        }
    }
}

impl Rendering {
    /// Why manifests may be missing: then nothing may be pruned, since what is absent here may well be wanted.
    pub fn loss(&self) -> Option<String> {
        let lost = self.problems.iter().find(|problem| problem.loses()).map(Problem::to_string);
        lost.or_else(|| self.unsupported.first().map(named))
    }

    /// The same in the engine's words, for one source of an application: what is unsupported loses objects there, and
    /// beside it makes the application read-only.
    pub fn into_rendered(self, revision: ResolvedRevision) -> (Rendered, Vec<Unsupported>) {
        let Self { manifests, problems, unsupported, read_set: _ } = self;
        let told = problems
            .iter()
            .map(|problem| RenderProblem { message: problem.to_string(), loses: problem.loses() });
        let lost = unsupported.iter().map(|found| RenderProblem { message: named(found), loses: true });
        let problems = told.chain(lost).collect();
        (Rendered { revision, manifests, problems }, unsupported)
    }
}

fn named(unsupported: &Unsupported) -> String {
    let Unsupported { place, what } = unsupported;
    format!("{place}: {what}, which this build does not support")
}

impl Problem {
    /// Whether an object may be lost by it: then the set is incomplete, and nothing may be pruned.
    pub fn loses(&self) -> bool {
        match self {
            Self::Manifest(problem) => match problem.severity {
                Severity::Error => true,
                Severity::Warning => false,
            },
            Self::Skipped(_) => true,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(problem) => problem.fmt(out),
            Self::Skipped(entry) => entry.fmt(out),
        }
    }
}

/// Include and exclude, compiled.
#[derive(Debug, Clone)]
struct Choice {
    include: Option<Glob>,
    exclude: Option<Glob>,
    any_extension: bool,
}

impl Choice {
    fn of(directory: &Directory) -> Result<Self, RenderError> {
        let Directory { recurse: _, include, exclude, any_extension, explicit: _ } = directory;
        let compile = |pattern: &Option<_>, option| {
            let pattern = pattern.as_ref().filter(|pattern: &&trueup_object::Text| !pattern.is_empty());
            pattern
                .map(|pattern| Glob::parse(pattern))
                .transpose()
                .map_err(|error| RenderError::Pattern { option, error })
        };
        Ok(Self {
            include: compile(include, "directory.include")?,
            exclude: compile(exclude, "directory.exclude")?,
            any_extension: *any_extension,
        })
    }

    fn takes(&self, path: &str) -> bool {
        (self.any_extension || EXTENSIONS.iter().any(|extension| path.ends_with(extension)))
            && !kind::is_override(path)
            && !self.exclude.as_ref().is_some_and(|exclude| exclude.matches(path))
            && self.include.as_ref().is_none_or(|include| include.matches(path))
    }

    fn interest(&self, path: &str) -> Interest {
        if !self.takes(path) {
            Interest::Nothing
        } else if path.ends_with(JSONNET) {
            Interest::Name
        } else {
            Interest::Content
        }
    }
}

/// Which files of a source [`render`] wants to see.
pub fn read_filter(directory: &Directory) -> Result<ReadFilter, RenderError> {
    let choice = Choice::of(directory)?;
    Ok(ReadFilter {
        recurse: directory.recurse,
        interest: Arc::new(move |path| choice.interest(path)),
        bytes_max: BYTES_MAX,
    })
}

/// Renders a source that was read with [`read_filter`] of the same options. `app_name` selects the application's own
/// override file.
pub fn render(tree: &SourceTree, directory: &Directory, app_name: &str) -> Result<Rendering, RenderError> {
    if let Some(unsupported) = kind::unsupported(tree, directory, app_name) {
        return Err(RenderError::Unsupported(unsupported));
    }
    let choice = Choice::of(directory)?;
    let is_wanted = |path: &str| (directory.recurse || !path.contains('/')) && choice.takes(path);
    let files: Vec<_> = tree.files.iter().filter(|file| is_wanted(&file.path)).collect();
    let bytes: u64 = files.iter().map(|file| file.bytes.len() as u64).sum();
    if bytes > BYTES_MAX {
        return Err(RenderError::TooLarge { path: tree.path.to_string(), bytes });
    }
    let skipped =
        tree.skipped.iter().map(|entry| SkippedEntry { path: tree.path.join(&entry.path), ..entry.clone() });
    let mut rendering = Rendering {
        manifests: Vec::new(),
        problems: skipped.map(Problem::Skipped).collect(),
        unsupported: Vec::new(),
        read_set: tree.read_set.clone(),
    };
    let repo: Arc<str> = tree.repo.as_str().into();
    let revision: Arc<str> = tree.commit.to_string().into();
    for file in files.into_iter().filter(|file| !SKIP_MARKER_FINDER.is_match(&file.bytes)) {
        let path = Arc::from(tree.path.join(&file.path).as_str());
        let origin = FileOrigin { repo: Arc::clone(&repo), revision: Arc::clone(&revision), path };
        let (manifests, problems) = read_manifests(&file.bytes, &origin);
        rendering.manifests.extend(manifests);
        rendering.problems.extend(problems.into_iter().map(Problem::Manifest));
    }
    for path in tree.named.iter().filter(|path| is_wanted(path)) {
        let place = tree.path.join(path).to_string();
        rendering.unsupported.push(Unsupported { place, what: "a Jsonnet file".to_owned() });
    }
    Ok(rendering)
}

#[cfg(test)]
mod tests;
