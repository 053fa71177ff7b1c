//! Corrections of which nobody knows whether they came about: no answer came, or the controller was interrupted.

use jiff::Timestamp;
use trueup_engine::look::{Comparison, Presence};
use trueup_engine::plan::Step;
use trueup_object::{ResourceKey, Text};

use crate::state::{AppState, Unanswered};
use crate::turn::act::Scene;

/// What is remembered of a step without an answer.
pub fn unanswered(scene: &Scene<'_>, step: &Step, now: Timestamp) -> impl Iterator<Item = Unanswered> {
    let version = version(scene, &step.key);
    step.corrects.iter().map(move |correction| Unanswered {
        place: (step.key.clone(), correction.path.clone()),
        opponent: correction.opponent.clone(),
        at: now,
        version: version.clone(),
    })
}

/// The version of an object; nothing where it is not there.
pub fn version(scene: &Scene<'_>, key: &ResourceKey) -> Option<Text> {
    scene.live.objects.get(key).map(|live| live.version.resource_version.clone())
}

/// A correction without an answer counts once its object has become another: the answer may be lost and the effect be there, and
/// who writes the field back may do so before anybody has looked. So does one that was interrupted.
pub fn count_unanswered(scene: &Scene<'_>, state: &mut AppState, comparison: &Comparison) {
    let is_open = |Unanswered { place: (key, _), version: then, .. }: &Unanswered| {
        let is_unseen = comparison.object(key).is_some_and(|it| it.presence == Presence::Unobserved);
        is_unseen || version(scene, key) == *then
    };
    let (open, changed): (Vec<_>, Vec<_>) =
        std::mem::take(&mut state.unanswered).into_iter().partition(is_open);
    state.unanswered = open;
    for Unanswered { place, opponent, at, version: _ } in changed {
        state.fights.correct(place, opponent, at);
    }
}
