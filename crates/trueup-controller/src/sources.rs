//! From an application's sources to its manifests: commits resolved, trees read, manifests rendered, each only when it
//! has to be.
//!
//! A commit that touches nothing of what the sources read costs one comparison of identities: what was rendered stands
//! (performance: key by what is read, never by commit).

use std::collections::BTreeMap;

use tokio::sync::{Semaphore, SemaphorePermit};
use trueup_engine::app::{App, Source, Unsupported};
use trueup_engine::desired::{self, Rendered, ResolvedRevision, Scope};
use trueup_engine::source::{CommitFacts, CommitId, ReadSet, Revision, SourceErrorKind};
use trueup_engine::tracking::Tracking;
use trueup_object::Gvk;
use trueup_render::{RenderError, Rendering};
use trueup_repo::{Freshness, Repositories, SourceError};

use crate::packed::PackedTargets;

/// What one source was read from last time.
#[derive(Debug, Clone)]
pub struct SourceRead {
    pub source: Source,
    commit: CommitId,
    read_set: ReadSet,
    facts: Option<CommitFacts>,
}

/// What asking Git gave.
pub enum Answer<'a> {
    /// Every source reads the same as last time, perhaps at other commits.
    Same(Vec<ResolvedRevision>),
    /// Manifests of every source, and what among them makes the application read-only.
    Fresh(Fresh<'a>),
}

/// The same, ready to be kept.
#[derive(Debug)]
pub enum Read {
    Same(Vec<ResolvedRevision>),
    Fresh(Box<Settled>),
}

/// Targets as they are kept, and under which circumstances they were settled.
#[derive(Debug)]
pub struct Settled {
    pub targets: PackedTargets,
    pub scopes: BTreeMap<Gvk, Scope>,
    pub marked_by: Tracking,
}

/// Manifests as rendered. They keep their place until they are packed or dropped.
pub struct Fresh<'a> {
    pub rendered: Vec<Rendered>,
    pub unsupported: Vec<Unsupported>,
    _place: Option<SemaphorePermit<'a>>,
}

impl Fresh<'_> {
    /// Settles and packs what was rendered, and gives its place free. `scope_of` is as the cluster has it now.
    pub fn settle(self, app: &App, scope_of: impl Fn(&Gvk) -> Scope) -> Settled {
        let mut scopes = BTreeMap::new();
        for manifest in self.rendered.iter().flat_map(|rendered| &rendered.manifests) {
            scopes.entry(manifest.gvk().clone()).or_insert_with(|| scope_of(manifest.gvk()));
        }
        let known = |gvk: &Gvk| scopes.get(gvk).copied().unwrap_or(Scope::Unknown);
        let mut targets = desired::settle(app, self.rendered, known);
        targets.unsupported.extend(self.unsupported);
        Settled { targets: PackedTargets::new(&targets), scopes, marked_by: app.tracking.clone() }
    }
}

/// Places for reading and rendering. Parsed manifests cost ten times what they cost packed, and at a start every application
/// is rendered: without a limit all of them would lie in memory at the same time. Nothing that needs a network is done in a
/// place.
#[derive(Debug)]
pub struct Renders {
    places: Semaphore,
}

/// Reading and rendering take the processor; more at the same time than there are cores of a usual machine is not faster.
const RENDERS_MAX: usize = 8;

impl Default for Renders {
    fn default() -> Self {
        Self { places: Semaphore::new(RENDERS_MAX) }
    }
}

/// Why an application has no (new) targets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourcesFailure {
    /// A source of a kind that this build cannot render: the application is read-only, by name.
    Unsupported(Unsupported),
    /// Cause and remedy. What was known before stands for a while.
    Failed {
        message: String,
        /// Git has answered, and will say the same of the same commit.
        is_answer: bool,
    },
}

/// How Git is asked.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    pub repositories: &'a Repositories,
    pub renders: &'a Renders,
    pub app: &'a App,
    /// Another revision than the sources name.
    pub revision: Option<&'a Revision>,
    pub freshness: Freshness,
    /// Whether what was read last time may stand.
    pub may_stand: bool,
}

/// Resolves every source, and renders them unless all read the same as in `earlier`, which is replaced.
pub async fn ask<'a>(
    question: &Question<'a>,
    earlier: &mut Vec<SourceRead>,
) -> Result<Answer<'a>, SourcesFailure> {
    let mut commits = Vec::with_capacity(question.app.sources.len());
    for source in &question.app.sources {
        let wanted = question.revision.unwrap_or(&source.revision);
        let resolved = question.repositories.resolve(&source.repo, wanted, question.freshness).await;
        commits.push(resolved.map_err(|error| failed(source, &error))?);
    }
    if question.may_stand
        && let Some(standing) = standing(question, earlier, &commits).await?
    {
        *earlier = standing;
        return Ok(Answer::Same(earlier.iter().map(revision).collect()));
    }
    // It is never closed.
    let place = question.renders.places.acquire().await.ok();
    let (mut reads, mut rendered, mut unsupported) = (Vec::new(), Vec::new(), Vec::new());
    for (source, commit) in question.app.sources.iter().zip(commits) {
        let (read, rendering) = render(question, source, commit).await?;
        let (manifests, found) = rendering.into_rendered(revision(&read));
        rendered.push(manifests);
        unsupported.extend(found);
        reads.push(read);
    }
    *earlier = reads;
    Ok(Answer::Fresh(Fresh { rendered, unsupported, _place: place }))
}

/// The reads of last time at the commits of now, where every source still reads the same.
async fn standing(
    question: &Question<'_>,
    earlier: &[SourceRead],
    commits: &[CommitId],
) -> Result<Option<Vec<SourceRead>>, SourcesFailure> {
    let sources = &question.app.sources;
    if earlier.len() != sources.len()
        || earlier.iter().zip(sources).any(|(read, source)| read.source != *source)
    {
        return Ok(None);
    }
    let mut standing = Vec::with_capacity(earlier.len());
    for (read, commit) in earlier.iter().zip(commits) {
        if read.commit == *commit {
            standing.push(read.clone());
            continue;
        }
        let identified = question.repositories.identify(&read.source.repo, *commit, &read.read_set).await;
        if identified.map_err(|error| failed(&read.source, &error))? != read.read_set {
            return Ok(None);
        }
        let facts = question.repositories.commit_facts(&read.source.repo, *commit).await.ok();
        standing.push(SourceRead { commit: *commit, facts, ..read.clone() });
    }
    Ok(Some(standing))
}

async fn render(
    question: &Question<'_>,
    source: &Source,
    commit: CommitId,
) -> Result<(SourceRead, Rendering), SourcesFailure> {
    let repositories = question.repositories;
    let rendering = match &source.path {
        Some(path) => {
            let filter = trueup_render::read_filter(&source.directory).map_err(|error| unrendered(&error))?;
            let tree = repositories.read(&source.repo, commit, path, &filter).await;
            let tree = tree.map_err(|error| failed(source, &error))?;
            trueup_render::render(&tree, &source.directory, &question.app.key.name)
                .map_err(|error| unrendered(&error))?
        }
        // A source that others refer to and that renders nothing itself.
        None => Rendering {
            manifests: Vec::new(),
            problems: Vec::new(),
            unsupported: Vec::new(),
            read_set: ReadSet::new(),
        },
    };
    let facts = repositories.commit_facts(&source.repo, commit).await.ok();
    let read = SourceRead { source: source.clone(), commit, read_set: rendering.read_set.clone(), facts };
    Ok((read, rendering))
}

fn revision(read: &SourceRead) -> ResolvedRevision {
    ResolvedRevision { id: read.commit, facts: read.facts.clone() }
}

fn failed(source: &Source, error: &SourceError) -> SourcesFailure {
    let message = format!("failed to {}; {}", error.naming(&source.repo), error.hint());
    let is_answer = match error.kind() {
        SourceErrorKind::UnknownRevision
        | SourceErrorKind::MissingPath
        | SourceErrorKind::NotADirectory
        | SourceErrorKind::TooLarge
        | SourceErrorKind::Unsupported
        | SourceErrorKind::InvalidAddress => true,
        SourceErrorKind::Unreachable
        | SourceErrorKind::TimedOut
        | SourceErrorKind::Authentication
        | SourceErrorKind::NotARepository
        | SourceErrorKind::ToolMissing
        | SourceErrorKind::Storage
        | SourceErrorKind::Internal => false,
    };
    SourcesFailure::Failed { message, is_answer }
}

fn unrendered(error: &RenderError) -> SourcesFailure {
    match error {
        RenderError::Unsupported(unsupported) => SourcesFailure::Unsupported(unsupported.clone()),
        RenderError::Pattern { .. } | RenderError::TooLarge { .. } => {
            let message = format!("failed to {error}; {}", error.hint());
            SourcesFailure::Failed { message, is_answer: true }
        }
    }
}
