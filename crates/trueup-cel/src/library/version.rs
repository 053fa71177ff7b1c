//! Semantic versions (`github.com/blang/semver/v4`).

use std::cmp::Ordering;
use std::sync::Arc;

use crate::eval::{Evaluated, failed};
use crate::value::Val;

/// A version; what was built does not order it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    numbers: [u64; 3],
    before: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Number(u64),
    Text(String),
}

impl Version {
    pub(crate) fn cmp_precedence(&self, other: &Self) -> Ordering {
        let order = self.numbers.cmp(&other.numbers);
        if order.is_ne() {
            return order;
        }
        match (self.before.is_empty(), other.before.is_empty()) {
            (true, true) => return Ordering::Equal,
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) => {}
        }
        let parts = self.before.iter().zip(&other.before).map(|(left, right)| match (left, right) {
            (Part::Number(left), Part::Number(right)) => left.cmp(right),
            (Part::Text(left), Part::Text(right)) => left.cmp(right),
            (Part::Number(_), Part::Text(_)) => Ordering::Less,
            (Part::Text(_), Part::Number(_)) => Ordering::Greater,
        });
        parts.fold(Ordering::Equal, Ordering::then).then(self.before.len().cmp(&other.before.len()))
    }
}

pub(super) fn call(function: &str, args: &[Val]) -> Option<Evaluated> {
    let parsed = |text: &str, lenient: bool| if lenient { parse_lenient(text) } else { parse(text) };
    Some(match (function, args) {
        ("semver", [Val::String(text), rest @ ..]) => match parsed(text, is_lenient(rest)?) {
            Ok(version) => Ok(Val::Semver(Arc::new(version))),
            Err(words) => failed(words),
        },
        ("isSemver", [Val::String(text), rest @ ..]) => {
            Ok(Val::Bool(parsed(text, is_lenient(rest)?).is_ok()))
        }
        (_, [Val::Semver(it)]) => {
            let at = match function {
                "major" => 0,
                "minor" => 1,
                "patch" => 2,
                _ => return None,
            };
            Ok(Val::Int(i64::try_from(it.numbers[at]).unwrap_or(i64::MAX)))
        }
        (_, [Val::Semver(left), Val::Semver(right)]) => {
            let order = left.cmp_precedence(right);
            match function {
                "isGreaterThan" => Ok(Val::Bool(order.is_gt())),
                "isLessThan" => Ok(Val::Bool(order.is_lt())),
                "compareTo" => Ok(Val::Int(order as i64)),
                _ => return None,
            }
        }
        _ => return None,
    })
}

/// Without the `v` before it, with what is missing, without leading zeros.
fn parse_lenient(text: &str) -> Result<Version, String> {
    let text = text.strip_prefix('v').unwrap_or(text);
    let mut parts: Vec<String> = text.splitn(3, '.').map(str::to_owned).collect();
    for part in &mut parts {
        if part.len() > 1 {
            let stripped = part.trim_start_matches('0');
            *part = if stripped.starts_with(|it: char| it.is_ascii_digit()) {
                stripped.to_owned()
            } else {
                format!("0{stripped}")
            };
        }
    }
    if parts.len() < 3 {
        if parts.last().is_some_and(|part| part.contains(['+', '-'])) {
            return Err("short version cannot contain PreRelease/Build meta data".to_owned());
        }
        parts.resize(3, "0".to_owned());
    }
    parse(&parts.join("."))
}

fn parse(text: &str) -> Result<Version, String> {
    if text.is_empty() {
        return Err("Version string empty".to_owned());
    }
    let parts: Vec<&str> = text.splitn(3, '.').collect();
    let [major, minor, rest] = parts.as_slice() else {
        return Err("No Major.Minor.Patch elements found".to_owned());
    };
    let (rest, build) = rest.split_once('+').map_or((*rest, None), |(rest, build)| (rest, Some(build)));
    let (patch, before) = rest.split_once('-').map_or((rest, None), |(patch, before)| (patch, Some(before)));
    let numbers = [number(major, "major")?, number(minor, "minor")?, number(patch, "patch")?];
    let before = before.map_or(Ok(Vec::new()), |it| it.split('.').map(part).collect())?;
    for meta in build.into_iter().flat_map(|build| build.split('.')) {
        if meta.is_empty() {
            return Err("Build meta data is empty".to_owned());
        }
        if !is_plain(meta) {
            return Err(format!("Invalid character(s) found in build meta data {meta:?}"));
        }
    }
    Ok(Version { numbers, before })
}

fn number(text: &str, what: &str) -> Result<u64, String> {
    let name =
        format!("{}{}", what.get(..1).unwrap_or_default().to_uppercase(), what.get(1..).unwrap_or_default());
    if text.is_empty() || !text.bytes().all(|it| it.is_ascii_digit()) {
        return Err(format!("Invalid character(s) found in {what} number {text:?}"));
    }
    if text.len() > 1 && text.starts_with('0') {
        return Err(format!("{name} number must not contain leading zeroes {text:?}"));
    }
    text.parse().map_err(|_| format!("strconv.ParseUint: parsing {text:?}: value out of range"))
}

fn is_plain(text: &str) -> bool {
    text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}

fn part(text: &str) -> Result<Part, String> {
    if text.is_empty() {
        return Err("Prerelease is empty".to_owned());
    }
    if text.bytes().all(|it| it.is_ascii_digit()) {
        if text.len() > 1 && text.starts_with('0') {
            return Err(format!("Numeric PreRelease version must not contain leading zeroes {text:?}"));
        }
        return text
            .parse()
            .map(Part::Number)
            .map_err(|_| format!("strconv.ParseUint: parsing {text:?}: value out of range"));
    }
    if is_plain(text) {
        Ok(Part::Text(text.to_owned()))
    } else {
        Err(format!("Invalid character(s) found in prerelease {text:?}"))
    }
}

/// Whether the second argument asks for leniency; nothing where it is of another type.
fn is_lenient(rest: &[Val]) -> Option<bool> {
    match rest {
        [] => Some(false),
        [Val::Bool(lenient)] => Some(*lenient),
        _ => None,
    }
}
