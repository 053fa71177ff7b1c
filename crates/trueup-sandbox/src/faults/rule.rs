//! One rule: a fault, and the requests it meets.

use std::time::Duration;

use trueup_object::Value;
use trueup_object::value::{Map, Text};

use super::Attributes;

/// A fault and the requests that it meets.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// What goes wrong.
    pub fault: Fault,
    /// For which requests.
    pub on: Match,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// Requests are served so much later.
    Latency {
        /// How much later.
        time: Duration,
    },
    /// A share (0 to 1) of the requests is answered with this code, without being served.
    Status {
        /// The code of the answer.
        code: u16,
        /// The seconds after which the client is asked to try again.
        retry_after: Option<u32>,
        /// Of the requests, from 0 to 1.
        share: f64,
    },
    /// Watches end after so many events, or so much time.
    DropWatch {
        /// When they end.
        after: After,
    },
    /// The events of watches come so much later.
    LateWatch {
        /// How much later.
        time: Duration,
    },
    /// The events of watches come twice.
    DuplicateEvents,
    /// A listing breaks off after so many objects: the page after them fails.
    PartialList {
        /// How many objects are served.
        keep: usize,
    },
    /// What is read is as it was so many resource versions ago.
    StaleRead {
        /// How many resource versions ago.
        versions: u64,
    },
    /// Whoever goes on from a resource version, by a watch or the next page of a list, learns that it is too old; so do the
    /// watches that run. As often as `times` says, or always.
    Gone {
        /// How often; always where it is not said.
        times: Option<u64>,
    },
    /// The next so many changes of existing objects fail as if somebody else had been faster.
    Conflict {
        /// How often.
        times: u64,
    },
    /// The effect happens, the answer is lost.
    Cut,
    /// The moment comes at which a controller is to be killed: the request hangs until the rules change, and
    /// [`super::Faults::kills`] tells. It comes once, at the change with this number among those that match.
    KillControllerAt {
        /// How far the controller gets.
        step: Step,
        /// At which of the changes that match, counted from 1.
        nth: u64,
    },
}

/// How far a controller got when it is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It intends a change: its request arrives and has no effect.
    Intent,
    /// The change is made, its answer never comes.
    Applied,
    /// It knows the answer, and asks for the next thing.
    Recorded,
}

/// When a watch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// After so many events.
    Events(u64),
    /// After so much time.
    Time(Duration),
}

/// Which requests a rule meets; an empty list means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    /// What is done: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`.
    pub verb: Vec<Text>,
    /// Groups of the API; empty for the core group.
    pub group: Vec<Text>,
    /// Versions of the API.
    pub version: Vec<Text>,
    /// Kinds (`ConfigMap`) or resources (`configmaps`).
    pub kind: Vec<Text>,
    /// Namespaces of objects; empty for objects in none.
    pub namespace: Vec<Text>,
    /// Names of objects.
    pub name: Vec<Text>,
    /// Beginnings of the client's user agent.
    pub user_agent: Vec<Text>,
}

impl Match {
    pub(super) fn matches(&self, request: &Attributes<'_>) -> bool {
        let Self { verb, group, version, kind, namespace, name, user_agent: _ } = self;
        let any = |wanted: &[Text], found: &str| wanted.is_empty() || wanted.iter().any(|text| text == found);
        let is_kind = kind.is_empty() || kind.iter().any(|word| request.is_of(word));
        any(verb, request.verb)
            && any(group, request.group)
            && any(version, request.version)
            && is_kind
            && any(namespace, request.namespace)
            && any(name, request.name)
            && self.is_client(request)
    }

    /// Whether it is about this client.
    pub(super) fn is_client(&self, request: &Attributes<'_>) -> bool {
        let mut agents = self.user_agent.iter();
        self.user_agent.is_empty() || agents.any(|text| request.user_agent.starts_with(text.as_str()))
    }

    fn to_value(&self) -> Value {
        let Self { verb, group, version, kind, namespace, name, user_agent } = self;
        let parts = [
            ("verb", verb),
            ("group", group),
            ("version", version),
            ("kind", kind),
            ("namespace", namespace),
            ("name", name),
            ("userAgent", user_agent),
        ];
        let given = parts.into_iter().filter(|(_, texts)| !texts.is_empty()).map(|(key, texts)| {
            (key, Value::List(texts.iter().map(|text| Value::Str(text.clone())).collect()))
        });
        Value::Map(given.collect())
    }
}

fn number(count: u64) -> Value {
    i64::try_from(count).unwrap_or(i64::MAX).into()
}

fn milliseconds(time: Duration) -> Value {
    number(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

impl Fault {
    /// The fault's name in a rule.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Latency { .. } => "latency",
            Self::Status { .. } => "status",
            Self::DropWatch { .. } => "drop-watch",
            Self::LateWatch { .. } => "late-watch",
            Self::DuplicateEvents => "duplicate-events",
            Self::PartialList { .. } => "partial-list",
            Self::StaleRead { .. } => "stale-read",
            Self::Gone { .. } => "gone",
            Self::Conflict { .. } => "conflict",
            Self::Cut => "cut",
            Self::KillControllerAt { .. } => "kill-controller-at",
        }
    }

    fn settings(&self) -> Vec<(&'static str, Value)> {
        match self {
            Self::Latency { time } | Self::LateWatch { time } => vec![("ms", milliseconds(*time))],
            Self::Status { code, retry_after, share } => {
                let mut settings = vec![("code", i64::from(*code).into()), ("share", Value::Float(*share))];
                settings.extend(retry_after.map(|seconds| ("retryAfter", i64::from(seconds).into())));
                settings
            }
            Self::DropWatch { after } => vec![("after", after.to_value())],
            Self::PartialList { keep } => vec![("keep", number(*keep as u64))],
            Self::StaleRead { versions } => vec![("versions", number(*versions))],
            Self::Gone { times } => times.iter().map(|times| ("times", number(*times))).collect(),
            Self::Conflict { times } => vec![("times", number(*times))],
            Self::KillControllerAt { step, nth } => {
                vec![("nth", number(*nth)), ("step", step.as_str().into())]
            }
            Self::DuplicateEvents | Self::Cut => Vec::new(),
        }
    }
}

impl Step {
    pub(super) const ALL: [Self; 3] = [Self::Intent, Self::Applied, Self::Recorded];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Intent => "intent",
            Self::Applied => "applied",
            Self::Recorded => "recorded",
        }
    }
}

impl Rule {
    /// In the form in which rules are set.
    pub fn to_value(&self) -> Value {
        let mut rule: Map = self.fault.settings().into_iter().collect();
        rule.insert("kind", self.fault.name().into());
        rule.insert("match", self.on.to_value());
        Value::Map(rule)
    }
}

impl After {
    fn to_value(self) -> Value {
        match self {
            Self::Events(count) => number(count),
            Self::Time(time) => format!("{}ms", time.as_millis()).into(),
        }
    }
}
