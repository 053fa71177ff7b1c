//! Everything that asking Git takes, in one task beside the turns: what was lost is rebuilt, and the sources are read and settled.

use std::sync::Arc;

use trueup_engine::app::App;
use trueup_engine::source::Revision;
use trueup_repo::Freshness;

use crate::inquiry;
use crate::installation::Installation;
use crate::site::Site;
use crate::sources::{self, Answer, Question, Read, SourceRead, SourcesFailure};
use crate::turn::gather;
use crate::turn::restore::{self, Lost, Restored};

/// What an application wants to know of Git.
pub struct Errand {
    pub installation: Arc<Installation>,
    pub site: Arc<Site>,
    pub app: Arc<App>,
    /// The application with the sources that are read: its own, or its own at certain commits.
    pub asked: Arc<App>,
    pub via: Via,
    /// Another revision than the sources name.
    pub revision: Option<Revision>,
    /// Whether what was read last time may stand.
    pub may_stand: bool,
    pub earlier: Vec<SourceRead>,
    pub lost: Option<Lost>,
}

/// Where commits come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    Remote(Freshness),
    /// The mirrors alone, whatever the remotes are doing.
    Mirrors,
}

impl Errand {
    pub async fn run(mut self) -> inquiry::Answer {
        let begun = tokio::time::Instant::now();
        let mut reads = std::mem::take(&mut self.earlier);
        let (restored, read) = match self.restore().await {
            Ok(restored) => (Some(restored), self.read(&mut reads).await),
            // Without its past nothing of the application is to be decided: it is asked for again.
            Err(failure) => (None, Err(failure)),
        };
        let is_restored = restored.is_some();
        let Self { app, revision, .. } = self;
        let (restored, took) = (restored.flatten(), begun.elapsed());
        inquiry::Answer { app, revision, reads, read, restored, is_restored, took }
    }

    async fn restore(&self) -> Result<Option<Restored>, SourcesFailure> {
        if self.via == Via::Mirrors {
            self.all_here().await?;
        }
        match &self.lost {
            Some(lost) => restore::restore(&self.installation, &self.site, &self.app.key, lost).await,
            None => Ok(None),
        }
    }

    /// Whether the mirrors have everything that is to be read.
    async fn all_here(&self) -> Result<(), SourcesFailure> {
        for source in self.asked.sources.iter().chain(self.lost.iter().flat_map(Lost::sources)) {
            if !self.installation.repositories.has(&source.repo, &source.revision).await {
                let message = format!("failed to read {} without asking its remote", source.repo);
                return Err(SourcesFailure::Failed { message, is_answer: false });
            }
        }
        Ok(())
    }

    async fn read(&self, reads: &mut Vec<SourceRead>) -> Result<Read, SourcesFailure> {
        let question = Question {
            repositories: &self.installation.repositories,
            renders: &self.installation.renders,
            app: &self.asked,
            revision: self.revision.as_ref(),
            freshness: match self.via {
                Via::Remote(freshness) => freshness,
                Via::Mirrors => Freshness::Now,
            },
            may_stand: self.may_stand,
        };
        let fresh = match sources::ask(&question, reads).await? {
            Answer::Same(revisions) => return Ok(Read::Same(revisions)),
            Answer::Fresh(fresh) => fresh,
        };
        // Certain commits are what the sources of the application said.
        for (read, source) in reads.iter_mut().zip(&self.app.sources) {
            read.source = source.clone();
        }
        Ok(Read::Fresh(Box::new(fresh.settle(&self.app, |gvk| gather::scope(&self.site, gvk)))))
    }
}
