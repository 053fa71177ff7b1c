//! Where the sandbox is known not to answer like a control plane: read from the file beside the sandbox.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

use super::request::Request;
use super::same::Difference;
use super::shrink::plain;

const EXCEPTIONS: &str = include_str!("../../../crates/trueup-sandbox/exceptions.txt");

/// The exceptions, and which of them were met.
#[derive(Clone, Default)]
pub struct Exceptions {
    rules: Vec<Rule>,
    pub met: BTreeSet<usize>,
    /// That the sandbox does not compare the server's internal types, if the file says so.
    comparisons: bool,
}

/// The line about messages that end in a comparison of internal types.
const COMPARISONS: &str = "differential | comparisons | ";

/// As which that line counts among those that were met.
const COMPARISONS_MET: usize = usize::MAX;

#[derive(Clone)]
struct Rule {
    kind: String,
    flaw: String,
    path: String,
    /// Stands in what the control plane says.
    text: String,
    reason: String,
}

impl Exceptions {
    /// One exception on each line: `differential | KIND FLAW PATH TEXT | reason | what is noticed`. A `*` stands for any kind or
    /// flaw and for any end of a path; the text is part of what the control plane has there. The line
    /// `differential | comparisons | reason | what is noticed` puts out of sight what messages compare of internal types.
    pub fn read() -> Result<Self> {
        let lines = EXCEPTIONS.lines().filter(|line| line.starts_with("differential | "));
        let rules = lines.filter(|line| !line.starts_with(COMPARISONS)).map(Rule::read);
        let comparisons = EXCEPTIONS.lines().any(|line| line.starts_with(COMPARISONS));
        Ok(Self { rules: rules.collect::<Result<_>>()?, met: BTreeSet::new(), comparisons })
    }

    /// Whether a difference is known; notes that it was met.
    pub fn excuse(&mut self, kind: &str, request: &Request, difference: &Difference) -> bool {
        let position = self.rules.iter().position(|rule| rule.is_about(kind, &request.flaw, difference));
        self.met.extend(position);
        position.is_some()
    }

    /// Whether comparisons of internal types are put out of sight.
    pub fn hides_comparisons(&self) -> bool {
        self.comparisons
    }

    /// Notes that there was such a comparison.
    pub fn met_comparison(&mut self) {
        self.met.insert(COMPARISONS_MET);
    }

    /// The exceptions that nothing differed by.
    pub fn unmet(&self) -> Vec<&str> {
        let unmet = self.rules.iter().enumerate().filter(|(index, _)| !self.met.contains(index));
        let mut reasons: Vec<&str> = unmet.map(|(_, rule)| rule.reason.as_str()).collect();
        if self.comparisons && !self.met.contains(&COMPARISONS_MET) {
            reasons.push("messages compare internal types");
        }
        reasons
    }
}

impl Rule {
    fn read(line: &str) -> Result<Self> {
        let malformed = || {
            format!(
                "an exception is no \"differential | KIND FLAW PATH TEXT | reason | what is noticed\": {line}"
            )
        };
        let parts: Vec<&str> = line.split(" | ").map(str::trim).collect();
        let [_, case, reason, noticed] = parts.as_slice() else { bail!(malformed()) };
        let mut words = case.splitn(4, ' ').map(str::to_owned);
        let mut word = || words.next().with_context(malformed);
        let (kind, flaw, path) = (word()?, word()?, word()?);
        let text = words.next().unwrap_or_default();
        if reason.len() < 10 || noticed.len() < 10 {
            bail!("an exception does not say why, or what is noticed: {line}");
        }
        Ok(Self { kind, flaw, path, text, reason: (*reason).to_owned() })
    }

    fn is_about(&self, kind: &str, flaw: &str, difference: &Difference) -> bool {
        let path = plain(&difference.path);
        let fits_path = match self.path.strip_suffix('*') {
            Some(head) => path.starts_with(head),
            None => path == self.path,
        };
        (self.kind == "*" || self.kind == kind)
            && (self.flaw == "*" || self.flaw == flaw)
            && fits_path
            && difference.real.contains(&self.text)
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::super::request::Verb;
    use super::*;

    #[test]
    fn exceptions_are_read() {
        assert!(Exceptions::read().is_ok());
    }

    #[test]
    fn a_rule_is_about_a_place_and_a_text() {
        let rule = "differential | Pod immutable .body.message core.PodSpec | the server compares | a shorter message";
        let mut exceptions =
            Exceptions { rules: vec![Rule::read(rule).unwrap()], met: BTreeSet::new(), comparisons: false };
        let mut request = Request::new(Verb::Put, String::new());
        request.flaw = "immutable".to_owned();
        let path = ".body.message".to_owned();
        let difference =
            |real: &str| Difference { path: path.clone(), real: real.to_owned(), ours: String::new() };
        assert!(!exceptions.excuse("Pod", &request, &difference("other")));
        assert!(!exceptions.excuse("Job", &request, &difference("core.PodSpec")));
        assert_eq!(exceptions.unmet().len(), 1);
        assert!(exceptions.excuse("Pod", &request, &difference("a core.PodSpec b")));
        assert!(exceptions.unmet().is_empty());
    }
}
