//! From an application's sources to its targets: commits resolved, trees read, manifests rendered, each only when it has
//! to be.
//!
//! A commit that touches nothing of what a source reads costs one comparison of identities: the rendered manifests stand
//! (performance: key by what is read, never by commit).

use std::sync::Arc;

use trueup_engine::app::{App, Source, Unsupported};
use trueup_engine::desired::{Rendered, ResolvedRevision};
use trueup_engine::source::{CommitId, Fault, Revision, SourceErrorKind};
use trueup_render::{RenderError, Rendering};
use trueup_repo::{Freshness, Repositories, SourceError};

use crate::mailbox::Depth;

/// What one source gave last time, and for what.
#[derive(Debug, Clone)]
pub struct SourceCache {
    source: Source,
    pub commit: CommitId,
    rendering: Arc<Rendering>,
    facts: Option<trueup_engine::source::CommitFacts>,
}

/// Why an application has no (new) targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourcesFailure {
    /// A source of a kind that this build cannot render: the application is read-only, by name.
    Unsupported(Unsupported),
    /// Cause and remedy. What was known before stands for a while.
    Failed { message: String, fault: Fault },
}

/// Resolves and renders every source. `cache` holds one entry for each source of the last time and is replaced.
pub async fn render(
    repositories: &Repositories,
    app: &App,
    revision: Option<&Revision>,
    depth: Depth,
    freshness: Freshness,
    cache: &mut Vec<SourceCache>,
) -> Result<(Vec<Rendered>, Vec<Unsupported>), SourcesFailure> {
    let mut fresh = Vec::with_capacity(app.sources.len());
    for source in &app.sources {
        let earlier = cache.iter().find(|earlier| earlier.source == *source && depth < Depth::Hard);
        fresh.push(one(repositories, app, source, revision, freshness, earlier).await?);
    }
    let (rendered, unsupported): (Vec<Rendered>, Vec<Vec<Unsupported>>) = fresh.iter().map(rendered).unzip();
    *cache = fresh;
    Ok((rendered, unsupported.concat()))
}

async fn one(
    repositories: &Repositories,
    app: &App,
    source: &Source,
    revision: Option<&Revision>,
    freshness: Freshness,
    earlier: Option<&SourceCache>,
) -> Result<SourceCache, SourcesFailure> {
    let wanted = revision.unwrap_or(&source.revision);
    let commit = repositories
        .resolve(&source.repo, wanted, freshness)
        .await
        .map_err(|error| failed(source, &error))?;
    if let Some(earlier) = earlier {
        if earlier.commit == commit {
            return Ok(earlier.clone());
        }
        let now = repositories
            .identify(&source.repo, commit, &earlier.rendering.read_set)
            .await
            .map_err(|error| failed(source, &error))?;
        if now == earlier.rendering.read_set {
            let facts = repositories.commit_facts(&source.repo, commit).await.ok();
            return Ok(SourceCache { commit, facts, ..earlier.clone() });
        }
    }
    let Some(path) = &source.path else {
        let rendering = Rendering {
            manifests: Vec::new(),
            problems: Vec::new(),
            unsupported: Vec::new(),
            read_set: trueup_engine::source::ReadSet::new(),
        };
        return Ok(SourceCache {
            source: source.clone(),
            commit,
            rendering: Arc::new(rendering),
            facts: None,
        });
    };
    let filter = trueup_render::read_filter(&source.directory).map_err(|error| unrendered(&error))?;
    let tree = repositories
        .read(&source.repo, commit, path, &filter)
        .await
        .map_err(|error| failed(source, &error))?;
    let rendering =
        trueup_render::render(&tree, &source.directory, &app.key.name).map_err(|error| unrendered(&error))?;
    let facts = repositories.commit_facts(&source.repo, commit).await.ok();
    Ok(SourceCache { source: source.clone(), commit, rendering: Arc::new(rendering), facts })
}

/// The rendered manifests, and what among them makes the application read-only.
fn rendered(cached: &SourceCache) -> (Rendered, Vec<Unsupported>) {
    let revision = ResolvedRevision { id: cached.commit, facts: cached.facts.clone() };
    Rendering::clone(&cached.rendering).into_rendered(revision)
}

fn failed(source: &Source, error: &SourceError) -> SourcesFailure {
    let fault = match error.kind() {
        SourceErrorKind::Internal => Fault::Ours,
        kind => kind.fault(),
    };
    SourcesFailure::Failed {
        message: format!("failed to {error} ({}); {}", source.repo, error.hint()),
        fault,
    }
}

fn unrendered(error: &RenderError) -> SourcesFailure {
    match error {
        RenderError::Unsupported(unsupported) => SourcesFailure::Unsupported(unsupported.clone()),
        RenderError::Pattern { .. } | RenderError::TooLarge { .. } => SourcesFailure::Failed {
            message: format!("failed to {error}; {}", error.hint()),
            fault: error.fault(),
        },
    }
}
