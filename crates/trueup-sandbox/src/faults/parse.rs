//! Rules read from JSON: `{"kind": "status", "code": 503, "match": {"kind": "Deployment"}}`, or with the fault as the key:
//! `{"partial-list": {"kind": "ConfigMap", "keep": 2}}`.

use std::time::Duration;

use trueup_object::Value;
use trueup_object::value::{Map, Text};

use crate::write::names;

use super::rule::{After, Fault, Match, Rule, Step};

/// The faults by name, each with its settings besides `match`.
const FAULTS: [(&str, &[&str]); 11] = [
    ("latency", &["ms"]),
    ("status", &["code", "retryAfter", "share"]),
    ("drop-watch", &["after"]),
    ("late-watch", &["ms"]),
    ("duplicate-events", &[]),
    ("partial-list", &["keep"]),
    ("stale-read", &["versions"]),
    ("gone", &["times"]),
    ("conflict", &["times"]),
    ("cut", &[]),
    ("kill-controller-at", &["step", "nth"]),
];

const VERBS: [&str; 8] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"];

const MATCHES: [&str; 7] = ["verb", "group", "version", "kind", "namespace", "name", "userAgent"];

/// A rule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    /// It is no object.
    #[error(
        "a fault must be an object such as {{\"kind\": \"status\", \"code\": 503}}, and this is none: {0}"
    )]
    NotARule(String),
    /// Nobody knows such a fault.
    #[error("unknown fault {name:?}; known are {}", FAULTS.map(|(fault, _)| fault).join(", "))]
    UnknownFault {
        /// What it is called.
        name: String,
    },
    /// A fault has no such setting.
    #[error("fault {fault} has no setting {key:?}; it has {}", .known.join(", "))]
    UnknownKey {
        /// The fault.
        fault: &'static str,
        /// The setting that it has not.
        key: String,
        /// Those that it has.
        known: Vec<&'static str>,
    },
    /// A setting has a value that it cannot have.
    #[error("fault {fault}: {key} must be {wanted}, not {found}")]
    BadValue {
        /// The fault.
        fault: &'static str,
        /// The setting.
        key: &'static str,
        /// What it may be, in words.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// One rule of a list is wrong.
    #[error("rule {index}: {error}")]
    InList {
        /// Its place, counted from 0.
        index: usize,
        /// What is wrong with it.
        error: Box<FaultError>,
    },
}

impl Rule {
    /// Reads one rule, or a list of them.
    pub fn parse_all(document: &Value) -> Result<Vec<Self>, FaultError> {
        let Some(list) = document.as_list() else { return Ok(vec![Self::parse(document)?]) };
        let rules = list.iter().enumerate().map(|(index, rule)| {
            Self::parse(rule).map_err(|error| FaultError::InList { index, error: Box::new(error) })
        });
        rules.collect()
    }

    /// Reads one rule.
    pub fn parse(document: &Value) -> Result<Self, FaultError> {
        let not_a_rule = || FaultError::NotARule(document.to_json());
        let outer = document.as_map().ok_or_else(not_a_rule)?;
        let is_fault = |key: &str| FAULTS.iter().any(|(fault, _)| *fault == key);
        let by_key = outer.iter().next().filter(|(key, _)| outer.len() == 1 && is_fault(key));
        let (name, body) = match by_key {
            Some((name, Value::Map(body))) => (name, body),
            Some((name, Value::Null)) => (name, &Map::new()),
            Some(_) => return Err(not_a_rule()),
            None => (outer.get("kind").and_then(Value::as_str).ok_or_else(not_a_rule)?, outer),
        };
        let Some((fault, settings)) = FAULTS.iter().find(|(fault, _)| *fault == name) else {
            return Err(FaultError::UnknownFault { name: name.to_owned() });
        };
        Body { fault, settings, body, names_itself: by_key.is_none() }.rule()
    }
}

struct Body<'a> {
    fault: &'static str,
    settings: &'static [&'static str],
    body: &'a Map,
    /// The key `kind` names the fault; else it may name the kind of object.
    names_itself: bool,
}

impl Body<'_> {
    fn rule(&self) -> Result<Rule, FaultError> {
        let mut known: Vec<&str> = self.settings.to_vec();
        known.extend(["kind", "match"]);
        if let Some(key) = self.body.keys().find(|key| !known.contains(key)) {
            return Err(FaultError::UnknownKey { fault: self.fault, key: key.to_owned(), known });
        }
        let mut on = match self.body.get("match") {
            None | Some(Value::Null) => Match::default(),
            Some(Value::Map(map)) => self.matcher(map)?,
            Some(_) => return Err(self.bad("match", "an object")),
        };
        if let (false, Some(kind)) = (self.names_itself, self.body.get("kind")) {
            on.kind = texts(kind).ok_or_else(|| self.bad("kind", "a text or a list of texts"))?;
        }
        Ok(Rule { fault: self.read()?, on })
    }

    fn read(&self) -> Result<Fault, FaultError> {
        let needed = |key: &'static str| {
            self.number(key)?.ok_or_else(|| self.bad(key, "a whole number, zero or more"))
        };
        Ok(match self.fault {
            "latency" => Fault::Latency { time: self.milliseconds()? },
            "status" => self.status()?,
            "drop-watch" => Fault::DropWatch { after: self.after()? },
            "late-watch" => Fault::LateWatch { time: self.milliseconds()? },
            "duplicate-events" => Fault::DuplicateEvents,
            "partial-list" => {
                Fault::PartialList { keep: usize::try_from(needed("keep")?).unwrap_or(usize::MAX) }
            }
            "stale-read" => Fault::StaleRead { versions: needed("versions")? },
            "gone" => Fault::Gone { times: self.number("times")? },
            "conflict" => Fault::Conflict { times: self.number("times")?.unwrap_or(1) },
            "kill-controller-at" => {
                let found = self.body.get("step").and_then(Value::as_str).unwrap_or_default();
                let step = Step::ALL.into_iter().find(|step| step.as_str() == found);
                let step = step.ok_or_else(|| self.bad("step", "intent, applied or recorded"))?;
                let nth = self.number("nth")?.unwrap_or(1);
                if nth == 0 {
                    return Err(self.bad("nth", "a whole number from 1"));
                }
                Fault::KillControllerAt { step, nth }
            }
            _ => Fault::Cut,
        })
    }

    fn milliseconds(&self) -> Result<Duration, FaultError> {
        let wanted = "a number of milliseconds, at most a day";
        let time = self.number("ms")?.map(Duration::from_millis).filter(|time| *time <= DURATION_MAX);
        time.ok_or_else(|| self.bad("ms", wanted))
    }

    fn status(&self) -> Result<Fault, FaultError> {
        let code = self.number("code")?.and_then(|code| u16::try_from(code).ok());
        let code = code.filter(|code| (400..600).contains(code));
        let code = code.ok_or_else(|| self.bad("code", "a status code from 400 to 599"))?;
        let retry_after = self.number("retryAfter")?.and_then(|seconds| u32::try_from(seconds).ok());
        let share = match self.body.get("share") {
            None => 1.0,
            Some(Value::Int(number)) => *number as f64,
            Some(Value::Float(number)) => *number,
            Some(_) => f64::NAN,
        };
        if !(0.0..=1.0).contains(&share) {
            return Err(self.bad("share", "a number from 0 to 1"));
        }
        Ok(Fault::Status { code, retry_after, share })
    }

    fn after(&self) -> Result<After, FaultError> {
        let wanted = "a number of events, or a time such as 500ms, 2s or 1m";
        match self.body.get("after") {
            None => Ok(After::Events(0)),
            Some(Value::Str(text)) => {
                duration(text).map(After::Time).ok_or_else(|| self.bad("after", wanted))
            }
            Some(value) => {
                let count = value.as_int().and_then(|count| u64::try_from(count).ok());
                count.map(After::Events).ok_or_else(|| self.bad("after", wanted))
            }
        }
    }

    fn number(&self, key: &'static str) -> Result<Option<u64>, FaultError> {
        let Some(value) = self.body.get(key) else { return Ok(None) };
        let number = value.as_int().and_then(|number| u64::try_from(number).ok());
        number.map(Some).ok_or_else(|| self.bad(key, "a whole number, zero or more"))
    }

    fn matcher(&self, map: &Map) -> Result<Match, FaultError> {
        let mut on = Match::default();
        for (key, value) in map.iter() {
            let part = match key {
                "verb" => &mut on.verb,
                "group" => &mut on.group,
                "version" => &mut on.version,
                "kind" => &mut on.kind,
                "namespace" => &mut on.namespace,
                "name" => &mut on.name,
                "userAgent" => &mut on.user_agent,
                _ => {
                    let key = format!("match.{key}");
                    return Err(FaultError::UnknownKey { fault: self.fault, key, known: MATCHES.to_vec() });
                }
            };
            *part = texts(value).ok_or_else(|| self.bad("match", "an object of texts or lists of texts"))?;
        }
        // Every object has a kind and every client a name: nothing would ever be met.
        let never = [("kind", &on.kind), ("version", &on.version), ("userAgent", &on.user_agent)];
        if never.iter().any(|(_, texts)| texts.iter().any(Text::is_empty)) {
            return Err(self.bad("match", "about a kind, a version and a user agent that are not empty"));
        }
        let is_name = |text: &&Text| !text.is_empty() && !names::dns_subdomain(text).is_empty();
        if on.namespace.iter().any(|text| is_name(&text)) {
            return Err(self.bad("match", "about namespaces as they can be called, in small letters"));
        }
        if on.verb.iter().any(|verb| !VERBS.contains(&verb.as_str())) {
            return Err(self.bad(
                "match",
                "about verbs get, list, watch, create, update, patch, delete or deletecollection",
            ));
        }
        Ok(on)
    }

    fn bad(&self, key: &'static str, wanted: &'static str) -> FaultError {
        let found = self.body.get(key).map_or_else(|| "missing".to_owned(), Value::to_json);
        FaultError::BadValue { fault: self.fault, key, wanted, found }
    }
}

/// One text or a list of them.
fn texts(value: &Value) -> Option<Vec<Text>> {
    match value {
        Value::Str(text) => Some(vec![text.clone()]),
        Value::List(items) => items.iter().map(|item| item.as_str().map(Text::from)).collect(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Map(_) => None,
    }
}

/// No fault waits longer: later than this is never.
const DURATION_MAX: Duration = Duration::from_secs(24 * 3600);

/// `500ms`, `2s`, `1m`.
fn duration(text: &str) -> Option<Duration> {
    let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let time = match unit {
        "ms" => Duration::from_millis(number),
        "s" => Duration::from_secs(number),
        "m" => Duration::from_secs(number.checked_mul(60)?),
        _ => return None,
    };
    Some(time).filter(|time| *time <= DURATION_MAX)
}
