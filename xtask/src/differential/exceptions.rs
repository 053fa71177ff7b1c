//! Where prediction and server are known to differ, and why: read from `exceptions.txt`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::judge::Mismatch;
use super::kinds::Kind;

const EXCEPTIONS: &str = include_str!("exceptions.txt");

/// The exceptions, and how often each was met.
#[derive(Clone)]
pub struct Exceptions {
    rules: Vec<Rule>,
    pub met: BTreeMap<usize, usize>,
}

#[derive(Clone)]
struct Rule {
    what: String,
    kind: String,
    path: String,
    reason: String,
}

impl Exceptions {
    /// One exception on each line: `what | kind | path | reason`; `*` stands for anything, lines with `#` for people.
    pub fn read() -> Result<Self> {
        let lines =
            EXCEPTIONS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let rules = lines.map(Rule::read).collect::<Result<_>>()?;
        Ok(Self { rules, met: BTreeMap::new() })
    }

    /// Whether a mismatch is known; counts it.
    pub fn excuse(&mut self, kind: &Kind, mismatch: &Mismatch) -> bool {
        let position = self.rules.iter().position(|rule| {
            rule.what == mismatch.what.as_str()
                && matches(&rule.kind, &kind.gvk.kind)
                && matches(&rule.path, &mismatch.place)
        });
        if let Some(position) = position {
            *self.met.entry(position).or_default() += 1;
        }
        position.is_some()
    }

    /// The exceptions that were met, with their reasons.
    pub fn report(&self) -> Vec<String> {
        let line = |(position, rule): (usize, &Rule)| {
            let met = self.met.get(&position)?;
            Some(format!("{met} x {} {} {}: {}", rule.what, rule.kind, rule.path, rule.reason))
        };
        self.rules.iter().enumerate().filter_map(line).collect()
    }
}

impl Rule {
    fn read(line: &str) -> Result<Self> {
        let parts: Vec<String> = line.splitn(4, " | ").map(|part| part.trim().to_owned()).collect();
        let [what, kind, path, reason] = <[String; 4]>::try_from(parts)
            .ok()
            .with_context(|| format!("an exception is no \"what | kind | path | reason\": {line}"))?;
        if reason.len() < 10 {
            bail!("an exception has no reason: {line}");
        }
        Ok(Self { what, kind, path, reason })
    }
}

/// Whether a text fits a pattern in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, rest)) => text.strip_prefix(head).is_some_and(|tail| {
            (0..=tail.len()).filter(|at| tail.is_char_boundary(*at)).any(|at| matches(rest, &tail[at..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn every_exception_has_its_reason() {
        Exceptions::read().unwrap();
    }

    #[test]
    fn a_star_stands_for_anything() {
        assert!(matches("*", "") && matches("a*c", "abbc") && matches("*.x[*].y", "a.x[name=\"b\"].y"));
        assert!(!matches("a*c", "abb") && !matches("a", "ab"));
    }
}
