//! One rule: a fault, and the requests it meets.

use std::time::Duration;

use trueup_object::Value;
use trueup_object::value::{Map, Text};

use super::Attributes;

/// A fault and the requests that it meets.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    pub fault: Fault,
    pub on: Match,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq)]
pub enum Fault {
    /// A share (0 to 1) of the requests is answered with this code, without being served.
    Status { code: u16, retry_after: Option<u32>, share: f64 },
    /// Watches end after so many events, or so much time.
    DropWatch { after: After },
    /// A listing breaks off after so many objects: the page after them fails.
    PartialList { keep: usize },
    /// The next so many changes of existing objects fail as if somebody else had been faster.
    Conflict { times: u64 },
    /// The effect happens, the answer is lost.
    Cut,
}

/// When a watch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    Events(u64),
    Time(Duration),
}

/// Which requests a rule meets; an empty list means any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Match {
    pub verb: Vec<Text>,
    pub group: Vec<Text>,
    pub version: Vec<Text>,
    pub kind: Vec<Text>,
    pub namespace: Vec<Text>,
    pub name: Vec<Text>,
    /// Beginnings of the client's user agent.
    pub user_agent: Vec<Text>,
}

impl Match {
    pub(super) fn matches(&self, request: Attributes<'_>) -> bool {
        let Self { verb, group, version, kind, namespace, name, user_agent } = self;
        let any = |wanted: &[Text], found: &str| wanted.is_empty() || wanted.iter().any(|text| text == found);
        let is_kind = kind.is_empty()
            || kind.iter().any(|text| *text == request.kind.gvk.kind || *text == request.kind.plural);
        let is_agent = user_agent.is_empty()
            || user_agent.iter().any(|text| request.user_agent.starts_with(text.as_str()));
        any(verb, request.verb)
            && any(group, &request.kind.gvk.group)
            && any(version, &request.kind.gvk.version)
            && is_kind
            && any(namespace, request.namespace)
            && any(name, request.name)
            && is_agent
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

impl Rule {
    /// In the form in which rules are set.
    pub fn to_value(&self) -> Value {
        let mut rule = Map::new();
        let kind = match &self.fault {
            Fault::Status { code, retry_after, share } => {
                rule.insert("code", i64::from(*code).into());
                if let Some(seconds) = retry_after {
                    rule.insert("retryAfter", i64::from(*seconds).into());
                }
                rule.insert("share", Value::Float(*share));
                "status"
            }
            Fault::DropWatch { after } => {
                rule.insert("after", after.to_value());
                "drop-watch"
            }
            Fault::PartialList { keep } => {
                rule.insert("keep", i64::try_from(*keep).unwrap_or(i64::MAX).into());
                "partial-list"
            }
            Fault::Conflict { times } => {
                rule.insert("times", i64::try_from(*times).unwrap_or(i64::MAX).into());
                "conflict"
            }
            Fault::Cut => "cut",
        };
        rule.insert("kind", kind.into());
        rule.insert("match", self.on.to_value());
        Value::Map(rule)
    }
}

impl After {
    fn to_value(self) -> Value {
        match self {
            Self::Events(count) => i64::try_from(count).unwrap_or(i64::MAX).into(),
            Self::Time(time) => format!("{}ms", time.as_millis()).into(),
        }
    }
}
