//! Confirming: what a look leaves open is asked of the API server; what it answers is kept for the looks to come.
//!
//! A turn waits for the answers a few milliseconds, which is what a server takes that has nothing better to do. Whatever
//! comes later goes into a later turn, so that a slow webhook holds up no verdict (docs/design/0010).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use trueup_cluster::Lookup;
use trueup_cluster::act::{self, Asked};
use trueup_engine::confirm::{Answer, Answered, Answers, ConfirmKey, Question, questions};
use trueup_engine::look::Comparison;
use trueup_object::ResourceKey;

use crate::packed::Packed;
use crate::state::AppState;
use crate::turn::act::Scene;

/// How long a verdict waits for answers.
const WAIT_MAX: Duration = Duration::from_millis(20);

/// Questions of one application that are under way at the same time; what is left over is asked in the next turns.
const ASKED_MAX: usize = 64;

/// How soon it is looked after answers that have not come: a tenth of the time that was waited already.
const LATE_MIN: SignedDuration = SignedDuration::from_millis(50);
const LATE_MAX: SignedDuration = SignedDuration::from_secs(2);

/// The wait before what could not be asked is asked again, doubled each time.
const RETRY_MIN: SignedDuration = SignedDuration::from_secs(1);
const RETRY_MAX: SignedDuration = SignedDuration::from_secs(60);

/// A question that so often in a row got no answer cannot be asked: the object is Unknown.
const UNANSWERED_MAX: u32 = 4;

/// An object that changes all the time is not asked about more often than this, once an answer about it is known.
const PACE: SignedDuration = SignedDuration::from_secs(2);

/// What is known and what is being asked.
#[derive(Default)]
pub struct Confirmations {
    known: BTreeMap<ResourceKey, Known>,
    asking: BTreeMap<ResourceKey, Timestamp>,
    tasks: JoinSet<(ResourceKey, ConfirmKey, Asked)>,
    /// When something may be asked that could not be asked yet.
    ask_at: Option<Timestamp>,
}

struct Known {
    key: ConfirmKey,
    answer: PackedAnswer,
    at: Timestamp,
    /// How often in a row it could not be asked.
    failures: u32,
}

enum PackedAnswer {
    Leaves(Packed),
    Other(Answer),
}

impl PackedAnswer {
    fn new(answer: Answer) -> Self {
        match answer {
            Answer::Leaves(object) => Self::Leaves(Packed::new(&object)),
            other @ (Answer::Refused { .. } | Answer::Unanswered { .. } | Answer::Unavailable { .. }) => {
                Self::Other(other)
            }
        }
    }

    fn unpack(&self) -> Answer {
        match self {
            Self::Leaves(packed) => Answer::Leaves(packed.value()),
            Self::Other(answer) => answer.clone(),
        }
    }
}

impl Known {
    /// When it may be asked about again.
    fn again_at(&self) -> Timestamp {
        let factor = 2_i32.saturating_pow(self.failures.saturating_sub(1));
        let wait = match self.failures {
            0 => PACE,
            _ => RETRY_MIN.checked_mul(factor).unwrap_or(RETRY_MAX).min(RETRY_MAX),
        };
        self.at + wait
    }
}

impl Confirmations {
    /// The answers so far, for a look.
    pub fn answers(&mut self, now: Timestamp) -> Answers {
        self.collect(now);
        let answered = self.known.iter().map(|(object, known)| {
            (object.clone(), Answered { key: known.key.clone(), answer: known.answer.unpack() })
        });
        answered.collect()
    }

    /// Takes the answers that have come.
    fn collect(&mut self, now: Timestamp) {
        while let Some(ended) = self.tasks.try_join_next() {
            self.take(ended, now);
        }
    }

    fn take(
        &mut self,
        ended: Result<(ResourceKey, ConfirmKey, Asked), tokio::task::JoinError>,
        now: Timestamp,
    ) {
        let (object, key, asked) = match ended {
            Ok(ended) => ended,
            Err(error) => {
                tracing::error!(%error, "a question to the API server ended unexpectedly");
                return;
            }
        };
        self.asking.remove(&object);
        let Asked::Answered(answer) = asked else {
            // The news of what overtook it may be slow; where there is none, it is asked again.
            self.wake(now + RETRY_MIN);
            return;
        };
        let failed = match &answer {
            Answer::Unanswered { .. } | Answer::Unavailable { .. } => true,
            Answer::Leaves(_) | Answer::Refused { .. } => false,
        };
        let failures = match (failed, self.known.get(&object)) {
            (true, Some(known)) => known.failures.saturating_add(1),
            (true, None) => 1,
            (false, _) => 0,
        };
        let answer = match answer {
            Answer::Unanswered { message } if failures >= UNANSWERED_MAX => Answer::Unavailable {
                message,
                remedy:
                    "see that the API server and its admission webhooks answer; it is asked again by itself"
                        .to_owned(),
            },
            other => other,
        };
        self.known.insert(object, Known { key, answer: PackedAnswer::new(answer), at: now, failures });
    }

    /// Forgets what is known of objects about which nothing is asked any more.
    fn forget(&mut self, comparison: &Comparison) {
        self.known.retain(|key, _| comparison.object(key).is_some());
    }

    /// Of the open questions those that may be asked now; notes when the others may.
    fn due(&mut self, open: Vec<Question>, now: Timestamp) -> Vec<Question> {
        let mut due = Vec::new();
        for question in open {
            if self.asking.contains_key(&question.object) {
                continue;
            }
            let known = self.known.get(&question.object);
            let known = known.filter(|known| known.failures > 0 || known.key.is_of_same(&question.key));
            let again_at = known.map(Known::again_at).filter(|at| *at > now);
            let full = self.asking.len() + due.len() >= ASKED_MAX;
            match again_at.or_else(|| full.then_some(now + LATE_MIN)) {
                Some(at) => self.wake(at),
                None => due.push(question),
            }
        }
        due
    }

    fn wake(&mut self, at: Timestamp) {
        self.ask_at = Some(self.ask_at.map_or(at, |known| known.min(at)));
    }

    /// When a turn is to look after answers or to ask again.
    pub fn wake_at(&self, now: Timestamp) -> Option<Timestamp> {
        let late = self.asking.values().min().map(|since| {
            let tenth = SignedDuration::from_millis(
                i64::try_from(now.duration_since(*since).as_millis() / 10).unwrap_or(i64::MAX),
            );
            now + tenth.clamp(LATE_MIN, LATE_MAX)
        });
        self.ask_at.filter(|at| *at > now).into_iter().chain(late).min()
    }
}

/// Asks what a look leaves open, as far as it may be asked now. Says whether anything was asked.
pub fn ask(scene: &Scene<'_>, state: &mut AppState, comparison: &Comparison) -> bool {
    let confirm = &mut state.confirmations;
    confirm.ask_at = None;
    confirm.forget(comparison);
    let is_applying = state.running.is_some() || scene.app.automated.is_some();
    let open = questions(comparison, &scene.targets.targets, &scene.live.objects, is_applying);
    let due = confirm.due(open, scene.now);
    let mut any = false;
    for question in due {
        any |= put(scene, confirm, question);
    }
    any
}

/// Waits a little for answers.
pub async fn wait(state: &mut AppState, now: Timestamp) {
    let confirm = &mut state.confirmations;
    let until = Instant::now() + WAIT_MAX;
    while !confirm.asking.is_empty() {
        match timeout_at(until, confirm.tasks.join_next()).await {
            Ok(Some(ended)) => confirm.take(ended, now),
            // What has no task is asked no more.
            Ok(None) => confirm.asking.clear(),
            Err(_) => break,
        }
    }
}

/// Puts a question to the API server; says whether there is a way to.
fn put(scene: &Scene<'_>, confirm: &mut Confirmations, question: Question) -> bool {
    let cluster = &scene.site.cluster;
    let discovery = cluster.discovery();
    // A kind that is not served has no objects that could be matched: discovery is behind, and a turn follows it.
    let Some(Lookup::Served(kind)) = discovery.as_ref().map(|known| known.find(&question.gvk)) else {
        return false;
    };
    let (wire, kind, places) = (cluster.connection().wire.clone(), kind.clone(), scene.site.questions());
    let live = scene.live.objects.get(&question.object).map(|live| live.object.clone());
    confirm.asking.insert(question.object.clone(), scene.now);
    confirm.tasks.spawn(async move {
        let _place = places.acquire_owned().await;
        let asked = act::confirm(&wire, &kind, &question, live.as_deref()).await;
        (question.object, question.key, asked)
    });
    true
}

/// Whether the server still has to say something about what a look found. Until it has, nothing is healed.
pub fn is_open(state: &AppState) -> bool {
    !state.confirmations.asking.is_empty()
}
