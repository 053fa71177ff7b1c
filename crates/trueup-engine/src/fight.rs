//! Fights: two owners of one field, each undoing the other (contracts: "Limits").
//!
//! A repeated drift is healed at once until it is a fight: five effective corrections of one path within ten minutes.
//! From then on healing of that path backs off, and its opponent is named; an hour of quiet clears it.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use trueup_object::{FieldPath, ResourceKey, Text};

/// Corrections of one path within [`WINDOW`] that make a fight.
const CORRECTIONS_MAX: usize = 5;
const WINDOW: SignedDuration = SignedDuration::from_mins(10);
const BACKOFF_BASE: SignedDuration = SignedDuration::from_secs(2);
const BACKOFF_FACTOR: i32 = 3;
const BACKOFF_MAX: SignedDuration = SignedDuration::from_secs(300);
const QUIET: SignedDuration = SignedDuration::from_hours(1);

/// A path of an object; no path is the object's existence.
pub type Place = (ResourceKey, Option<FieldPath>);

/// What is remembered of the corrections of one path.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Bout {
    recent: Vec<Timestamp>,
    /// Corrections made since it became a fight.
    rounds: u32,
    last: Option<Timestamp>,
    opponent: Option<Text>,
}

/// The corrections that one application has made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fights {
    bouts: BTreeMap<Place, Bout>,
}

/// A fight as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fight {
    pub place: Place,
    pub opponent: Option<Text>,
    /// Not healed before.
    pub until: Timestamp,
}

impl Fights {
    /// Remembers an effective correction, and whose value it undid.
    pub fn correct(&mut self, place: Place, opponent: Option<Text>, now: Timestamp) {
        let bout = self.bouts.entry(place).or_default();
        if bout.last.is_some_and(|last| now.duration_since(last) >= QUIET) {
            *bout = Bout::default();
        }
        let was_fight = bout.recent.len() >= CORRECTIONS_MAX;
        if was_fight {
            bout.rounds = bout.rounds.saturating_add(1);
        } else {
            bout.recent.retain(|time| now.duration_since(*time) < WINDOW);
            bout.recent.push(now);
        }
        // One of which nobody knew whether it had come about may be told of late.
        bout.last = bout.last.max(Some(now));
        bout.opponent = opponent;
    }

    /// The fight over a path, where there is one.
    pub fn fight(&self, place: &Place, now: Timestamp) -> Option<Fight> {
        let bout = self.bouts.get(place)?;
        let last = bout.last?;
        if bout.recent.len() < CORRECTIONS_MAX || now.duration_since(last) >= QUIET {
            return None;
        }
        let factor = BACKOFF_FACTOR.checked_pow(bout.rounds).unwrap_or(i32::MAX);
        let wait = BACKOFF_BASE.checked_mul(factor).unwrap_or(BACKOFF_MAX).min(BACKOFF_MAX);
        Some(Fight { place: place.clone(), opponent: bout.opponent.clone(), until: last + wait })
    }

    /// Every fight that is going on.
    pub fn all(&self, now: Timestamp) -> Vec<Fight> {
        self.bouts.keys().filter_map(|place| self.fight(place, now)).collect()
    }

    /// Forgets what an hour of quiet has settled.
    pub fn forget_settled(&mut self, now: Timestamp) {
        self.bouts.retain(|_, bout| bout.last.is_some_and(|last| now.duration_since(last) < QUIET));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn place() -> Place {
        (ResourceKey::new("apps", "Deployment", "web", "a"), Some(FieldPath::fields(&["spec", "replicas"])))
    }

    fn corrected(times: impl IntoIterator<Item = i64>) -> Fights {
        let mut fights = Fights::default();
        for time in times {
            fights.correct(place(), Some(Text::from("kubectl-edit")), at(time));
        }
        fights
    }

    #[test]
    fn four_corrections_are_no_fight() {
        assert_eq!(corrected([0, 1, 2, 3]).fight(&place(), at(4)), None);
    }

    #[test]
    fn five_within_ten_minutes_are_one_and_name_the_opponent() {
        let fight = corrected([0, 1, 2, 3, 4]).fight(&place(), at(4)).unwrap();
        assert_eq!(fight.until, at(6));
        assert_eq!(fight.opponent.as_deref(), Some("kubectl-edit"));
    }

    #[test]
    fn five_over_a_longer_time_are_none() {
        assert_eq!(corrected([0, 200, 400, 600, 800]).fight(&place(), at(801)), None);
    }

    #[test]
    fn it_backs_off_by_three_up_to_five_minutes() {
        let waits: Vec<i64> = (5..11)
            .map(|rounds| {
                let last = i64::from(rounds) - 1;
                corrected(0..i64::from(rounds))
                    .fight(&place(), at(last))
                    .unwrap()
                    .until
                    .duration_since(at(last))
                    .as_secs()
            })
            .collect();
        assert_eq!(waits, [2, 6, 18, 54, 162, 300]);
    }

    #[test]
    fn one_that_is_told_of_late_ends_no_back_off() {
        let fight = corrected([0, 1, 2, 3, 9, 4]).fight(&place(), at(9)).unwrap();
        assert_eq!(fight.until, at(9 + 6));
    }

    #[test]
    fn an_hour_of_quiet_clears_it() {
        let mut fights = corrected(0..7);
        assert_eq!(fights.fight(&place(), at(6 + 3600)), None);
        fights.correct(place(), None, at(6 + 3600));
        assert_eq!(fights.fight(&place(), at(6 + 3601)), None);
    }
}
