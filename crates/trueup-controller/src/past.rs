//! What was done to each application of late, read from the ledger: a controller that begins anew, or holds the Lease again, still
//! knows whom it has corrected how often.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use trueup_engine::app::AppKey;
use trueup_engine::fight::Fights;
use trueup_engine::plan::Pace;
use trueup_ledger::{Corrected, Entry, Fact, IntendedAction, Ledger, LedgerError};
use trueup_object::{FieldPath, ResourceKey, Text};

/// What is older settles itself: an hour of quiet ends a fight.
pub const PAST: SignedDuration = SignedDuration::from_hours(1);

/// Corrections that count for a while, by application.
#[derive(Default)]
pub struct Past {
    by_app: Mutex<BTreeMap<AppKey, (Fights, Pace)>>,
}

/// What was done to one object.
struct Deed {
    at: Timestamp,
    app: AppKey,
    object: ResourceKey,
    is_prune: bool,
    by_policy: bool,
    /// No path: that the object is there.
    corrected: Vec<(Option<FieldPath>, Option<Text>)>,
}

impl Past {
    /// Reads it anew, before anybody does anything.
    pub async fn read(&self, ledger: &Ledger, now: Timestamp) -> Result<(), LedgerError> {
        let mut deeds = Vec::new();
        let mut before = None;
        loop {
            let entries = ledger.carried_out(before).await?;
            let Some(last) = entries.last().map(|entry| (entry.seq, entry.time)) else { break };
            deeds.extend(
                entries.into_iter().filter_map(deed).filter(|deed| now.duration_since(deed.at) < PAST),
            );
            if now.duration_since(last.1) >= PAST {
                break;
            }
            before = Some(last.0);
        }
        let mut by_app: BTreeMap<AppKey, (Fights, Pace)> = BTreeMap::new();
        for deed in deeds.into_iter().rev() {
            let (fights, pace) = by_app.entry(deed.app).or_default();
            if deed.by_policy {
                let paths = deed.corrected.iter().map(|(path, _)| path.as_ref());
                pace.remember(&deed.object, deed.is_prune, paths, deed.at);
            }
            for (path, opponent) in deed.corrected {
                fights.correct((deed.object.clone(), path), opponent, deed.at);
            }
        }
        *self.by_app.lock().unwrap_or_else(PoisonError::into_inner) = by_app;
        Ok(())
    }

    /// Hands out what is known of an application, once.
    pub fn take(&self, app: &AppKey) -> Option<(Fights, Pace)> {
        self.by_app.lock().unwrap_or_else(PoisonError::into_inner).remove(app)
    }
}

fn deed(entry: Entry) -> Option<Deed> {
    let Fact::Intended { action, by_policy, corrects, .. } = entry.fact else { return None };
    Some(Deed {
        at: entry.time,
        app: entry.app,
        object: entry.object?,
        is_prune: action == IntendedAction::Delete,
        by_policy,
        corrected: corrected(corrects).collect(),
    })
}

/// What was corrected, and whose value went. A path that cannot be read is no path that this build could hold.
pub fn corrected(recorded: Vec<Corrected>) -> impl Iterator<Item = (Option<FieldPath>, Option<Text>)> {
    recorded.into_iter().filter_map(|Corrected { path, opponent }| match path {
        Some(path) => Some((Some(FieldPath::parse(&path).ok()?), opponent)),
        None => Some((None, opponent)),
    })
}
