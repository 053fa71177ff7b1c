//! What was last reported, read again: a controller that begins, or leads again, knows no targets, and a remote may take half a
//! minute to answer. The commits that the Application was last compared with are in the mirrors as a rule. By them what is live is
//! looked at meanwhile, and nothing is done.

use std::sync::Arc;

use trueup_api::status::ComparedTo;
use trueup_engine::app::App;
use trueup_engine::status::SyncStatus;

use crate::applications::Seen;
use crate::inquiry;
use crate::installation::Installation;
use crate::site::Site;
use crate::sources::Read;
use crate::state::AppState;
use crate::turn::errand::{Errand, Via};
use crate::turn::{gather, restore};

/// What is to be read again now: once, as long as nothing else is known.
pub fn due(
    installation: &Arc<Installation>,
    state: &mut AppState,
    site: &Arc<Site>,
    seen: &Seen,
) -> Option<Errand> {
    if state.recalled || state.targets.is_some() || state.inquiry.is_under_way() {
        return None;
    }
    state.recalled = true;
    let parsed = seen.application()?;
    let (application, sync) = (&parsed.application, &parsed.status.sync);
    // What could not be said any more before, since the sources were unknown for too long, is not said again.
    if !matches!(sync.status, Some(SyncStatus::Synced | SyncStatus::OutOfSync)) {
        return None;
    }
    let now = ComparedTo::of(&application.spec, &application.object);
    // Of other sources nothing was reported.
    let same = (&now.source, &now.sources) == (&sync.compared_to.source, &sync.compared_to.sources);
    let reported = restore::at_revisions(&seen.app, &sync.revisions).filter(|_| same)?;
    Some(Errand {
        installation: installation.clone(),
        site: site.clone(),
        app: seen.app.clone(),
        asked: Arc::new(reported),
        via: Via::Mirrors,
        revision: None,
        may_stand: false,
        earlier: Vec::new(),
        lost: restore::what_was_lost(state, seen),
    })
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
