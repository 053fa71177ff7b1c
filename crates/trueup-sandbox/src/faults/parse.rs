//! Rules read from JSON: `{"kind": "status", "code": 503, "match": {"kind": "Deployment"}}`, or with the fault as the key:
//! `{"partial-list": {"kind": "ConfigMap", "keep": 2}}`.

use std::time::Duration;

use trueup_object::Value;
use trueup_object::value::{Map, Text};

use super::rule::{After, Fault, Match, Rule};

/// The faults by name.
const FAULTS: [&str; 5] = ["status", "drop-watch", "partial-list", "conflict", "cut"];

/// A rule that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultError {
    #[error("a fault must be an object with a kind: {0}")]
    NotARule(String),
    #[error("unknown fault {name:?}; known are {}", FAULTS.join(", "))]
    UnknownFault { name: String },
    #[error("fault {fault} has no key {key:?}")]
    UnknownKey { fault: &'static str, key: String },
    #[error("fault {fault}: {key} is missing or of the wrong type")]
    BadValue { fault: &'static str, key: &'static str },
}

impl Rule {
    /// Reads one rule.
    pub fn parse(document: &Value) -> Result<Self, FaultError> {
        let not_a_rule = || FaultError::NotARule(document.to_json());
        let outer = document.as_map().ok_or_else(not_a_rule)?;
        let by_key = outer.iter().next().filter(|(key, _)| outer.len() == 1 && FAULTS.contains(key));
        let (name, body) = match by_key {
            Some((name, Value::Map(body))) => (name, body),
            Some((name, Value::Null)) => (name, &Map::new()),
            Some(_) => return Err(not_a_rule()),
            None => (outer.get("kind").and_then(Value::as_str).ok_or_else(not_a_rule)?, outer),
        };
        let Some(fault) = FAULTS.iter().find(|fault| **fault == name) else {
            return Err(FaultError::UnknownFault { name: name.to_owned() });
        };
        Body { fault, body, names_itself: by_key.is_none() }.rule()
    }
}

struct Body<'a> {
    fault: &'static str,
    body: &'a Map,
    /// The key `kind` names the fault; else it may name the kind of object.
    names_itself: bool,
}

impl Body<'_> {
    fn rule(&self) -> Result<Rule, FaultError> {
        let mut on = match self.body.get("match") {
            None | Some(Value::Null) => Match::default(),
            Some(Value::Map(map)) => self.matcher(map)?,
            Some(_) => return Err(self.bad("match")),
        };
        let (fault, keys): (Fault, &[&str]) = match self.fault {
            "status" => (self.status()?, &["code", "retryAfter", "share"]),
            "drop-watch" => (Fault::DropWatch { after: self.after()? }, &["after"]),
            "partial-list" => {
                if let (false, Some(kind)) = (self.names_itself, self.body.get("kind")) {
                    on.kind = texts(kind).ok_or_else(|| self.bad("kind"))?;
                }
                let keep = self.number("keep")?.ok_or_else(|| self.bad("keep"))?;
                (Fault::PartialList { keep: usize::try_from(keep).unwrap_or(usize::MAX) }, &["kind", "keep"])
            }
            "conflict" => (Fault::Conflict { times: self.number("times")?.unwrap_or(1) }, &["times"]),
            _ => (Fault::Cut, &[]),
        };
        let known = |key: &str| key == "match" || keys.contains(&key) || (self.names_itself && key == "kind");
        match self.body.keys().find(|key| !known(key)) {
            Some(key) => Err(FaultError::UnknownKey { fault: self.fault, key: key.to_owned() }),
            None => Ok(Rule { fault, on }),
        }
    }

    fn status(&self) -> Result<Fault, FaultError> {
        let code = self.number("code")?.and_then(|code| u16::try_from(code).ok());
        let code = code.filter(|code| (400..600).contains(code)).ok_or_else(|| self.bad("code"))?;
        let retry_after = self.number("retryAfter")?.and_then(|seconds| u32::try_from(seconds).ok());
        let share = match self.body.get("share") {
            None => 1.0,
            Some(Value::Int(number)) => *number as f64,
            Some(Value::Float(number)) => *number,
            Some(_) => return Err(self.bad("share")),
        };
        Ok(Fault::Status { code, retry_after, share })
    }

    fn after(&self) -> Result<After, FaultError> {
        match self.body.get("after") {
            None => Ok(After::Events(0)),
            Some(Value::Str(text)) => duration(text).map(After::Time).ok_or_else(|| self.bad("after")),
            Some(_) => Ok(After::Events(self.number("after")?.ok_or_else(|| self.bad("after"))?)),
        }
    }

    fn number(&self, key: &'static str) -> Result<Option<u64>, FaultError> {
        let Some(value) = self.body.get(key) else { return Ok(None) };
        value.as_int().and_then(|number| u64::try_from(number).ok()).map(Some).ok_or_else(|| self.bad(key))
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
                _ => return Err(FaultError::UnknownKey { fault: self.fault, key: format!("match.{key}") }),
            };
            *part = texts(value).ok_or_else(|| self.bad("match"))?;
        }
        Ok(on)
    }

    fn bad(&self, key: &'static str) -> FaultError {
        FaultError::BadValue { fault: self.fault, key }
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
