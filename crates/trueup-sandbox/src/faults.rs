//! Faults on demand: rules that make requests fail the way real servers fail them.
//!
//! Rules are set at run time, over `/sandbox/faults` or through [`crate::Sandbox::faults`]. The layer stands between the
//! HTTP front and the API, so what it breaks is only what a client sees: the stored state is always whole.

mod parse;
mod rule;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use trueup_latest as latest;
use trueup_object::Value;

use crate::ids::IdSource;
use crate::kind::KindInfo;
use crate::status::{ApiStatus, StatusReason};

pub use parse::FaultError;
pub use rule::{After, Fault, Match, Rule};

/// What a request is, as far as rules can name it.
#[derive(Debug, Clone, Copy)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: &'a str,
    pub kind: &'a KindInfo,
    /// Empty where there is none.
    pub namespace: &'a str,
    /// Empty where the path names none.
    pub name: &'a str,
    pub user_agent: &'a str,
}

/// What the layer makes of a request before it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interference {
    /// Serve it.
    None,
    /// Answer so, without serving it.
    Refuse(ApiStatus),
    /// Serve it, then drop the connection instead of answering.
    Cut,
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
}

#[derive(Debug, Clone)]
struct Active {
    rule: Rule,
    since: Instant,
    /// How often a rule with a limit was applied.
    n_applied: u64,
}

impl Faults {
    /// No faults; the seed decides which requests a rule with a share meets.
    pub fn new(seed: u64) -> Self {
        let shared = Shared {
            rules: Mutex::new(Vec::new()),
            // Apart from the sequence of object ids, so that faults do not change those.
            ids: IdSource::new(seed ^ 0x6661_756c_7473),
            generation: latest::Sender::new(0),
        };
        Self { shared: Arc::new(shared) }
    }

    fn rules(&self) -> MutexGuard<'_, Vec<Active>> {
        self.shared.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a rule to those in force.
    pub fn add(&self, rule: Rule) {
        self.rules().push(Active { rule, since: Instant::now(), n_applied: 0 });
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// Adds the rules of a JSON document: one rule or a list of them. `"none"` removes all.
    pub fn add_json(&self, document: &Value) -> Result<(), FaultError> {
        if document.as_str() == Some("none") {
            self.clear();
            return Ok(());
        }
        let one = std::slice::from_ref(document);
        let rules =
            document.as_list().unwrap_or(one).iter().map(Rule::parse).collect::<Result<Vec<_>, _>>()?;
        rules.into_iter().for_each(|rule| self.add(rule));
        Ok(())
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.rules().clear();
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    /// The rules in force, as JSON documents of the same form in which they are set.
    pub fn to_value(&self) -> Value {
        Value::List(self.rules().iter().map(|active| active.rule.to_value()).collect())
    }

    /// Tells of every change of the rules.
    pub fn changes(&self) -> latest::Receiver<u64> {
        self.shared.generation.subscribe()
    }

    /// What to do with a request. Counts it for rules that apply a limited number of times.
    pub fn before(&self, request: Attributes<'_>) -> Interference {
        let mut cut = false;
        for active in self.rules().iter_mut().filter(|active| active.rule.on.matches(request)) {
            match &active.rule.fault {
                Fault::Status { code, retry_after, share } => {
                    if self.shared.ids.chance(*share) {
                        return Interference::Refuse(status_of(*code, *retry_after));
                    }
                }
                Fault::Conflict { times } => {
                    let writes_existing = matches!(request.verb, "update" | "patch" | "delete");
                    if writes_existing && active.n_applied < *times {
                        active.n_applied += 1;
                        return Interference::Refuse(ApiStatus::modified(request.kind, request.name));
                    }
                }
                Fault::Cut => cut |= is_write(request.verb),
                Fault::DropWatch { .. } | Fault::PartialList { .. } => {}
            }
        }
        if cut { Interference::Cut } else { Interference::None }
    }

    /// After how many objects a listing of this kind breaks off, if it does.
    pub fn list_limit(&self, request: Attributes<'_>) -> Option<usize> {
        let rules = self.rules();
        let limits = rules.iter().filter(|active| active.rule.on.matches(request)).filter_map(|active| {
            match active.rule.fault {
                Fault::PartialList { keep } => Some(keep),
                Fault::Status { .. } | Fault::Conflict { .. } | Fault::Cut | Fault::DropWatch { .. } => None,
            }
        });
        limits.min()
    }

    /// When a watch ends that has sent so many events and began at this time: `Some(Duration::ZERO)` is now.
    pub fn watch_ends_in(&self, request: Attributes<'_>, began: Instant, n_events: u64) -> Option<Duration> {
        let rules = self.rules();
        let ends = rules.iter().filter(|active| active.rule.on.matches(request)).filter_map(|active| {
            match active.rule.fault {
                Fault::DropWatch { after: After::Events(limit) } => {
                    (n_events >= limit).then_some(Duration::ZERO)
                }
                Fault::DropWatch { after: After::Time(time) } => {
                    Some((began.max(active.since) + time).saturating_duration_since(Instant::now()))
                }
                Fault::Status { .. } | Fault::Conflict { .. } | Fault::Cut | Fault::PartialList { .. } => {
                    None
                }
            }
        });
        ends.min()
    }
}

fn is_write(verb: &str) -> bool {
    matches!(verb, "create" | "update" | "patch" | "delete" | "deletecollection")
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
