//! Faults on demand: rules that make requests fail the way real servers fail them.
//!
//! Rules are set at run time, over `/sandbox/faults` or through [`crate::Sandbox::faults`]. The layer stands between the
//! HTTP front and the API, so what it breaks is only what a client sees: the stored state is always whole. A proxy before a
//! real API server uses the same rules.

mod build;
mod parse;
mod request;
mod rule;

use std::borrow::Cow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use trueup_latest as latest;
use trueup_object::Value;

use crate::ids::IdSource;
use crate::status::{ApiStatus, StatusReason};

pub use parse::FaultError;
pub use request::{Attributes, Reading};
pub use rule::{After, Fault, Match, Rule, Step};

/// What the layer makes of a request before it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Wait so long first.
    pub delay: Duration,
    /// Then do this.
    pub then: Interference,
}

/// What happens instead of an answer, or to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interference {
    /// Serve it.
    None,
    /// Answer so, without serving it.
    Refuse(ApiStatus),
    /// Serve a list with at most so many objects on its page; one that asks for everything at once has no next page, and fails
    /// with [`broken_off`] where there are more.
    Limit(usize),
    /// Serve a read from the state so many resource versions ago.
    Stale(u64),
    /// Serve it, then drop the connection instead of answering.
    Cut,
    /// Serve it only if it says so, then leave the client waiting until the rules change.
    Hang {
        /// Whether it has its effect.
        serve: bool,
    },
}

/// What becomes of a running watch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WatchFate {
    /// It ends after so many events.
    pub events_max: Option<u64>,
    /// It ends in so much time.
    pub ends_in: Option<Duration>,
    /// Its events come so much later.
    pub late: Duration,
    /// Its events come twice.
    pub twice: bool,
    /// It ends with the news that its history is gone.
    pub gone: bool,
}

/// The rules in force, shared by all requests.
#[derive(Debug, Clone)]
pub struct Faults {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    rules: Mutex<Vec<Active>>,
    ids: IdSource,
    /// Counts changes of the rules, for watches that a new rule ends.
    generation: latest::Sender<u64>,
    /// Counts restarts of the API server.
    restarts: latest::Sender<u64>,
    /// Counts the moments at which a controller is to be killed.
    kills: latest::Sender<u64>,
}

#[derive(Debug, Clone)]
struct Active {
    rule: Rule,
    since: Instant,
    /// How often a rule with a limit was applied.
    n_applied: u64,
}

impl Active {
    /// Whether a rule that applies so often applies once more; counts it.
    fn once_more(&mut self, times: Option<u64>) -> bool {
        let applies = times.is_none_or(|times| self.n_applied < times);
        self.n_applied += u64::from(applies);
        applies
    }

    /// Whether this is the moment at which a controller is to be killed.
    fn kill(&mut self, step: Step, nth: u64, is_write: bool) -> Interference {
        let n_before = self.n_applied;
        let comes_after = step == Step::Recorded && n_before == nth;
        self.n_applied += u64::from(is_write || comes_after);
        match step {
            Step::Intent if is_write && n_before + 1 == nth => Interference::Hang { serve: false },
            Step::Applied if is_write && n_before + 1 == nth => Interference::Hang { serve: true },
            // The change is answered; whatever is asked for next finds the controller dead.
            Step::Recorded if comes_after => Interference::Hang { serve: false },
            Step::Intent | Step::Applied | Step::Recorded => Interference::None,
        }
    }

    /// Whether a rule is about a request: one that its match names, or what comes after one where that is waited for.
    fn is_about(&self, request: &Attributes<'_>) -> bool {
        if let Fault::KillControllerAt { step: Step::Recorded, nth } = self.rule.fault
            && self.n_applied == nth
        {
            // A Lease is renewed by the clock, whatever was recorded.
            return self.rule.on.is_client(request) && !request.is_of("Lease");
        }
        self.rule.on.matches(request)
    }
}

impl Faults {
    /// No faults; the seed decides which requests a rule with a share meets.
    pub fn new(seed: u64) -> Self {
        let shared = Shared {
            rules: Mutex::new(Vec::new()),
            // Apart from the sequence of object ids, so that faults do not change those.
            ids: IdSource::new(seed ^ 0x6661_756c_7473),
            generation: latest::Sender::new(0),
            restarts: latest::Sender::new(0),
            kills: latest::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Active>> {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// Adds a rule to those in force.
    pub fn add(&self, rule: Rule) {
        self.rules().push(Active { rule, since: Instant::now(), n_applied: 0 });
        self.changed();
    }

    /// Adds the rules of a JSON document: one rule or a list of them. `"none"` removes all.
    pub fn add_json(&self, document: &Value) -> Result<(), FaultError> {
        if document.as_str() == Some("none") {
            self.clear();
            return Ok(());
        }
        Rule::parse_all(document)?.into_iter().for_each(|rule| self.add(rule));
        Ok(())
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules().clear();
        self.changed();
    }

    /// Ends all watches, as a restart of the API server does.
    pub fn restart(&self) {
        self.shared.restarts.send_modify(|restarts| *restarts += 1);
    }

    /// The rules in force, as JSON documents of the same form in which they are set.
    pub fn to_value(&self) -> Value {
        Value::List(self.rules().iter().map(|active| active.rule.to_value()).collect())
    }

    /// Tells of every change of the rules.
    pub fn changes(&self) -> latest::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    /// Tells of every restart.
    pub fn restarts(&self) -> latest::Receiver<u64> {
        self.shared.restarts.subscribe()
    }

    /// Tells of every moment at which a controller is to be killed, see [`Fault::KillControllerAt`].
    pub fn kills(&self) -> latest::Receiver<u64> {
        self.shared.kills.subscribe()
    }

    /// What to do with a request. Counts it for rules that apply a limited number of times.
    pub fn before(&self, request: &Attributes<'_>) -> Plan {
        let mut plan = Plan { delay: Duration::ZERO, then: Interference::None };
        let mut rules = self.rules();
        for active in rules.iter_mut().filter(|active| active.is_about(request)) {
            if let Fault::Latency { time } = active.rule.fault {
                plan.delay += time;
            }
            let found = self.interference(active, request);
            match (&plan.then, &found) {
                // The first refusal counts; among the others a loss does.
                (Interference::Refuse(_) | Interference::Hang { .. }, _) | (_, Interference::None) => {}
                _ => plan.then = found,
            }
        }
        if matches!(plan.then, Interference::Hang { .. }) {
            self.shared.kills.send_modify(|kills| *kills += 1);
        }
        plan
    }

    fn interference(&self, active: &mut Active, request: &Attributes<'_>) -> Interference {
        let is_write = request.is_write();
        let read = request.read;
        match active.rule.fault.clone() {
            Fault::Status { code, retry_after, share } if self.shared.ids.chance(share) => {
                Interference::Refuse(status_of(code, retry_after))
            }
            Fault::Conflict { times }
                if matches!(request.verb, "update" | "patch" | "delete") && active.once_more(Some(times)) =>
            {
                Interference::Refuse(modified(request))
            }
            Fault::Cut if is_write => Interference::Cut,
            Fault::PartialList { keep } if request.verb == "list" => {
                if read.continues || keep == 0 {
                    Interference::Refuse(broken_off())
                } else {
                    Interference::Limit(keep)
                }
            }
            Fault::StaleRead { versions } if matches!(request.verb, "get" | "list") && !read.continues => {
                Interference::Stale(versions)
            }
            Fault::Gone { times } if request.verb == "list" && read.continues && active.once_more(times) => {
                Interference::Refuse(ApiStatus::expired(
                    "The provided continue parameter is too old to display a consistent list result. You must start a \
                     new list without the continue parameter.",
                ))
            }
            Fault::KillControllerAt { step, nth } => active.kill(step, nth, is_write),
            Fault::Latency { .. }
            | Fault::Status { .. }
            | Fault::DropWatch { .. }
            | Fault::LateWatch { .. }
            | Fault::DuplicateEvents
            | Fault::PartialList { .. }
            | Fault::StaleRead { .. }
            | Fault::Gone { .. }
            | Fault::Conflict { .. }
            | Fault::Cut => Interference::None,
        }
    }

    /// What becomes of a watch that began at this time. A watch from an old version is told that its history is gone where
    /// a rule says so, and counted once: ask when it begins, and when the rules change.
    pub fn watch_begins(&self, request: &Attributes<'_>) -> bool {
        let mut rules = self.rules();
        let mut matching = rules.iter_mut().filter(|active| active.rule.on.matches(request));
        matching.any(|active| match active.rule.fault {
            Fault::Gone { times } => request.read.revision > 0 && active.once_more(times),
            _ => false,
        })
    }

    /// What becomes of a running watch that began at this time.
    pub fn watch_fate(&self, request: &Attributes<'_>, began: Instant) -> WatchFate {
        let mut fate = WatchFate::default();
        let least = |known: Option<u64>, other: u64| Some(known.map_or(other, |known| known.min(other)));
        let mut rules = self.rules();
        for active in rules.iter_mut().filter(|active| active.rule.on.matches(request)) {
            match active.rule.fault {
                Fault::DropWatch { after: After::Events(most) } => {
                    fate.events_max = least(fate.events_max, most);
                }
                Fault::DropWatch { after: After::Time(time) } => {
                    let left = (began.max(active.since) + time).saturating_duration_since(Instant::now());
                    fate.ends_in = Some(fate.ends_in.map_or(left, |known| known.min(left)));
                }
                Fault::PartialList { keep } if request.read.is_initial => {
                    fate.events_max = least(fate.events_max, keep as u64);
                }
                Fault::LateWatch { time } => fate.late += time,
                Fault::DuplicateEvents => fate.twice = true,
                // A watch that ran before the rule learns it now.
                Fault::Gone { times } if began < active.since => fate.gone |= active.once_more(times),
                Fault::Latency { .. }
                | Fault::Status { .. }
                | Fault::PartialList { .. }
                | Fault::StaleRead { .. }
                | Fault::Gone { .. }
                | Fault::Conflict { .. }
                | Fault::Cut
                | Fault::KillControllerAt { .. } => {}
            }
        }
        fate
    }
}

impl WatchFate {
    /// A watch event, as a line with its end, as often as it is sent. Bookmarks and errors are not repeated.
    pub fn repeated<'l>(&self, line: &'l str) -> Cow<'l, str> {
        let is_event =
            !line.starts_with("{\"type\":\"BOOKMARK\"") && !line.starts_with("{\"type\":\"ERROR\"");
        if self.twice && is_event { Cow::Owned(line.repeat(2)) } else { Cow::Borrowed(line) }
    }
}

/// The failure of a list that breaks off.
pub fn broken_off() -> ApiStatus {
    ApiStatus::internal("etcdserver: leader changed")
}

/// The last event of a watch whose history is gone.
pub fn gone_event() -> String {
    let status = ApiStatus::expired("too old resource version: its history is gone by a fault");
    format!("{{\"type\":\"ERROR\",\"object\":{}}}\n", status.to_value().to_json())
}

/// The conflict of a write that carries an old resourceVersion.
fn modified(request: &Attributes<'_>) -> ApiStatus {
    let message = format!(
        "Operation cannot be fulfilled on {} {:?}: the object has been modified; please apply your changes to the latest \
         version and try again",
        request.qualified(),
        request.name
    );
    let mut status = ApiStatus::new(409, StatusReason::Conflict, message);
    status.details.name = request.name.into();
    status.details.group = request.group.into();
    status.details.kind = request.plural.into();
    status
}

/// A failure with the reason and words that the server uses for this code.
fn status_of(code: u16, retry_after: Option<u32>) -> ApiStatus {
    let (reason, message) = match code {
        400 => (StatusReason::BadRequest, "the request was refused by a fault"),
        401 => (StatusReason::Unauthorized, "Unauthorized"),
        403 => (StatusReason::Forbidden, "forbidden by a fault"),
        404 => (StatusReason::NotFound, "the server could not find the requested resource"),
        409 => (StatusReason::Conflict, "the request conflicts with another one"),
        410 => (StatusReason::Expired, "the resource version is too old"),
        429 => (
            StatusReason::TooManyRequests,
            "the server has received too many requests and has asked us to try again later",
        ),
        500 => (StatusReason::InternalError, "Internal error occurred: etcdserver: request timed out"),
        503 => (StatusReason::ServiceUnavailable, "the server is currently unable to handle the request"),
        504 => (StatusReason::Timeout, "Timeout: request did not complete within the allotted timeout"),
        _ => (StatusReason::Unknown, "the request was refused by a fault"),
    };
    ApiStatus::new(code, reason, message).with_retry_after(retry_after.unwrap_or_default())
}

#[cfg(test)]
mod tests;
