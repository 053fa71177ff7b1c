//! What was last reported, read again: a controller that begins, or leads again, knows no targets, and a remote may take half a
//! minute to answer. The commits that the Application was last compared with are in the mirrors as a rule. By them what is live is
//! looked at meanwhile, and nothing is done.

use std::sync::Arc;

use trueup_api::status::{ApplicationStatus, ComparedTo};
use trueup_engine::app::App;
use trueup_repo::Freshness;

use crate::applications::Seen;
use crate::inquiry;
use crate::installation::Installation;
use crate::site::Site;
use crate::sources::{self, Answer, Question, Read, SourcesFailure};
use crate::state::AppState;
use crate::turn::gather;
use crate::turn::restore::{self, Lost};

/// What is to be read again, without asking a remote.
pub struct Recall {
    installation: Arc<Installation>,
    site: Arc<Site>,
    app: Arc<App>,
    /// The application with its sources at the commits of the last report.
    reported: App,
    lost: Option<Lost>,
}

/// What is to be read again now: once, as long as nothing else is known.
pub fn due(
    installation: &Arc<Installation>,
    state: &mut AppState,
    site: &Arc<Site>,
    seen: &Seen,
) -> Option<Recall> {
    if state.recalled || state.targets.is_some() || state.inquiry.is_under_way() {
        return None;
    }
    state.recalled = true;
    let application = seen.application()?;
    let sync = ApplicationStatus::of(application.status()).sync;
    let now = ComparedTo::of(&application.spec, &application.object);
    // Of other sources nothing was reported.
    let same = (&now.source, &now.sources) == (&sync.compared_to.source, &sync.compared_to.sources);
    let reported = restore::at_revisions(&seen.app, &sync.revisions).filter(|_| same)?;
    let lost = restore::what_was_lost(state, seen);
    let (installation, site, app) = (installation.clone(), site.clone(), seen.app.clone());
    Some(Recall { installation, site, app, reported, lost })
}

/// Goes by what was read again; where it could not be, the remote is asked all the same.
pub fn take_over(state: &mut AppState, app: &App, answer: Option<inquiry::Answer>) {
    let Some(answer) = answer.filter(|answer| answer.app.sources == app.sources) else { return };
    let Ok(Read::Fresh(settled)) = answer.read else { return };
    state.restored |= answer.is_restored;
    if let Some(restored) = answer.restored {
        restore::take_over(state, restored);
    }
    state.asking += answer.took;
    state.sources = answer.reads;
    gather::keep(state, *settled);
}

impl Recall {
    pub async fn run(self) -> inquiry::Answer {
        let begun = tokio::time::Instant::now();
        let (mut reads, mut restored) = (Vec::new(), None);
        let read = self.read(&mut reads, &mut restored).await;
        let is_restored = read.is_ok();
        let (app, took) = (self.app, begun.elapsed());
        inquiry::Answer { app, revision: None, reads, read, restored, is_restored, took }
    }

    async fn read(
        &self,
        reads: &mut Vec<sources::SourceRead>,
        restored: &mut Option<crate::packed::PackedMemory>,
    ) -> Result<Read, SourcesFailure> {
        let Self { installation, site, app, reported, lost } = self;
        let wanted = reported.sources.iter().chain(lost.iter().flat_map(Lost::sources));
        for source in wanted {
            if !installation.repositories.has(&source.repo, &source.revision).await {
                return Err(SourcesFailure::Failed {
                    message: format!("failed to read {}: not in the mirror", source.repo),
                    is_answer: false,
                });
            }
        }
        if let Some(lost) = lost {
            *restored = restore::restore(installation, site, &app.key, lost).await?;
        }
        let question = Question {
            repositories: &installation.repositories,
            renders: &installation.renders,
            app: reported,
            revision: None,
            freshness: Freshness::Now,
            may_stand: false,
        };
        let fresh = match sources::ask(&question, reads).await? {
            Answer::Same(revisions) => return Ok(Read::Same(revisions)),
            Answer::Fresh(fresh) => fresh,
        };
        // They are what the sources of now said.
        for (read, source) in reads.iter_mut().zip(&app.sources) {
            read.source = source.clone();
        }
        Ok(Read::Fresh(Box::new(fresh.settle(app, |gvk| gather::scope(site, gvk)))))
    }
}
