//! How often things are told: the same again is counted, many alike are told together, and too much about one object is not told
//! at all.
//!
//! As `k8s.io/client-go/tools/record` correlates events, for the older of their two groups.

use std::collections::BTreeMap;
use std::time::Duration;

use trueup_object::Timestamp;

use super::Event;
use crate::controllers::objects::text;

/// From so many different messages on, those alike in everything else are told together.
const N_ALIKE_MAX: usize = 10;

/// After so long a silence messages count anew towards that.
const SILENCE: Duration = Duration::from_secs(600);

/// How many times one component may tell of one object at once, and how long it takes until it may once more.
const N_AT_ONCE: u32 = 25;
const ONE_MORE: Duration = Duration::from_secs(300);

/// How many objects are remembered, as the real recorder bounds it.
const N_SUBJECTS_MAX: usize = 4096;

/// How many messages of one kind are remembered after they stopped to count.
const N_MESSAGES_MAX: usize = 64;

/// What stands before a message that stands for others too.
const COMBINED: &str = "(combined from similar events): ";

/// What one component told of one object.
#[derive(Debug, Default)]
struct Subject {
    /// When all that was told of normal and of bad things is made up for.
    made_up: [Option<Timestamp>; 2],
    alike: BTreeMap<(bool, &'static str), Alike>,
    last: Option<Timestamp>,
}

/// Messages of one type and reason, with the names of their events.
#[derive(Debug, Default)]
struct Alike {
    messages: BTreeMap<String, (u64, bool)>,
    combined: Option<u64>,
    last: Option<Timestamp>,
}

/// What becomes of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// The number in the name of the event that there is already.
    pub known: Option<u64>,
    pub message: String,
}

/// Remembers what was told.
#[derive(Debug, Default)]
pub struct Recorder {
    subjects: BTreeMap<[String; 5], Subject>,
}

impl Recorder {
    /// What is to be told of an event, whose name would have this number; nothing where it was too much.
    pub fn hear(&mut self, event: &Event, number: u64, now: Timestamp) -> Option<Heard> {
        self.forget();
        let subject = self.subjects.entry(subject(event)).or_default();
        subject.last = Some(now);
        let alike = subject.alike.entry((event.is_warning, event.reason)).or_default();
        let heard = alike.hear(&event.message, number, now);
        // What was too much is remembered all the same.
        let made_up = &mut subject.made_up[usize::from(event.is_warning)];
        let from = made_up.map_or(now, |time| time.max(now));
        let room = ONE_MORE * (N_AT_ONCE - 1);
        if now.checked_add(room).is_ok_and(|latest| from > latest) {
            return None;
        }
        *made_up = from.checked_add(ONE_MORE).ok();
        Some(heard)
    }

    /// Whether the same was told before.
    pub fn has_told(&self, event: &Event) -> bool {
        let subject = self.subjects.get(&subject(event));
        let alike = subject.and_then(|it| it.alike.get(&(event.is_warning, event.reason)));
        alike.is_some_and(|alike| alike.messages.contains_key(&event.message))
    }

    fn forget(&mut self) {
        if self.subjects.len() < N_SUBJECTS_MAX {
            return;
        }
        let mut times: Vec<Option<Timestamp>> = self.subjects.values().map(|subject| subject.last).collect();
        times.sort_unstable();
        let middle = times.get(times.len() / 2).copied().flatten();
        self.subjects.retain(|_, subject| subject.last > middle);
    }
}

/// Which component tells of which object.
fn subject(event: &Event) -> [String; 5] {
    let about = &event.about;
    let kind = about.str_at(&["kind"]).unwrap_or_default();
    [event.component, kind, text(about, "namespace"), text(about, "name"), text(about, "uid")]
        .map(str::to_owned)
}

impl Alike {
    fn hear(&mut self, message: &str, number: u64, now: Timestamp) -> Heard {
        let silent = self.last.is_some_and(|last| last.checked_add(SILENCE).is_ok_and(|end| end < now));
        self.last = Some(now);
        if silent {
            self.messages.values_mut().for_each(|(_, counts)| *counts = false);
        }
        let n_counted = self.messages.values().filter(|(_, counts)| *counts).count();
        let known = self.messages.get(message).copied();
        if known.is_some_and(|(_, counts)| counts) || n_counted + 1 < N_ALIKE_MAX {
            if self.messages.len() >= N_MESSAGES_MAX {
                self.messages.retain(|_, (_, counts)| *counts);
            }
            let number = known.map_or(number, |(number, _)| number);
            self.messages.insert(message.to_owned(), (number, true));
            return Heard { known: known.map(|(number, _)| number), message: message.to_owned() };
        }
        let known = self.combined;
        self.combined = Some(known.unwrap_or(number));
        Heard { known, message: format!("{COMBINED}{message}") }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use trueup_object::Value;

    use super::*;
    use crate::controllers::objects::REPLICA_SETS;

    fn event(message: &str) -> Event {
        let set = Value::from_json(br#"{"metadata":{"name":"web","namespace":"shop","uid":"u"}}"#).unwrap();
        Event::told(&set, REPLICA_SETS, "replicaset-controller", "FailedCreate", message.to_owned(), true)
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    #[test]
    fn the_same_again_is_counted_and_many_alike_are_one() {
        let mut recorder = Recorder::default();
        let mut hear = |message: &str, number| recorder.hear(&event(message), number, at(0)).unwrap();
        assert_eq!(hear("a", 1), Heard { known: None, message: "a".to_owned() });
        assert_eq!(hear("a", 2).known, Some(1));
        for number in 3..=10 {
            assert_eq!(hear(&number.to_string(), number).known, None);
        }
        let combined = |known, message: &str| Heard { known, message: format!("{COMBINED}{message}") };
        assert_eq!(hear("b", 11), combined(None, "b"));
        assert_eq!(hear("c", 12), combined(Some(11), "c"));
        assert_eq!(hear("a", 13).known, Some(1));
    }

    #[test]
    fn after_a_silence_messages_stand_for_themselves_again() {
        let mut recorder = Recorder::default();
        for number in 0..12 {
            recorder.hear(&event(&number.to_string()), number, at(0)).unwrap();
        }
        let later = recorder.hear(&event("late"), 20, at(601)).unwrap();
        assert_eq!(later, Heard { known: None, message: "late".to_owned() });
        assert_eq!(recorder.hear(&event("0"), 21, at(602)).unwrap().known, Some(0));
    }

    #[test]
    fn too_much_at_once_is_not_told() {
        let mut recorder = Recorder::default();
        let mut told = |time| recorder.hear(&event("a"), 0, at(time)).is_some();
        assert_eq!((0..30).filter(|_| told(0)).count(), 25);
        assert!(!told(299));
        assert!(told(300));
        assert!(!told(300));
    }
}
