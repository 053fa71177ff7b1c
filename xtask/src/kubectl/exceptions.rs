//! Where the sandbox is known not to be like a real control plane: read from the file beside the sandbox.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};

const EXCEPTIONS: &str = include_str!("../../../crates/trueup-sandbox/exceptions.txt");

/// The exceptions for kubectl, and which of them were met.
pub struct Exceptions {
    rules: Vec<Rule>,
    met: BTreeSet<usize>,
    /// That the sandbox describes no built-in kind, if the file says so.
    words: Option<Rule>,
}

struct Rule {
    command: String,
    reason: String,
    noticed: String,
}

impl Exceptions {
    /// One exception on each line: `kubectl | COMMAND | reason | what is noticed`; a `*` at the end of the command stands for
    /// anything. Of `kubectl explain` a line `words | explain | ...` puts only the words out of sight.
    pub fn read() -> Result<Self> {
        let lines = EXCEPTIONS.lines().filter(|line| line.starts_with("kubectl | "));
        let rules = lines.map(|line| Rule::read(line, "kubectl")).collect::<Result<_>>()?;
        let words = EXCEPTIONS.lines().find(|line| line.starts_with("words | explain | "));
        let words = words.map(|line| Rule::read(line, "words")).transpose()?;
        Ok(Self { rules, met: BTreeSet::new(), words })
    }

    /// Whether descriptions that the sandbox does not have are put out of sight.
    pub fn hide_words(&self) -> bool {
        self.words.is_some()
    }

    fn find(&self, command: &str) -> Option<(usize, &Rule)> {
        self.rules.iter().enumerate().find(|(_, rule)| rule.is_about(command))
    }

    /// Whether a command is expected to differ.
    pub fn knows(&self, command: &str) -> bool {
        self.find(command).is_some()
    }

    /// Why a command may differ; notes that it did.
    pub fn excuse(&mut self, command: &str) -> Option<String> {
        let (index, rule) = self.find(command)?;
        let why = format!("{}; noticed: {}", rule.reason, rule.noticed);
        self.met.insert(index);
        Some(why)
    }

    /// The exceptions that nothing differed by.
    pub fn unmet(&self) -> Vec<String> {
        let unmet = self.rules.iter().enumerate().filter(|(index, _)| !self.met.contains(index));
        unmet.map(|(_, rule)| rule.command.clone()).collect()
    }
}

impl Rule {
    fn read(line: &str, proof: &str) -> Result<Self> {
        let mut parts = line.rsplitn(3, " | ").map(|part| part.trim().to_owned());
        let (noticed, reason, rest) = (parts.next(), parts.next(), parts.next());
        let malformed =
            || format!("an exception is no \"{proof} | COMMAND | reason | what is noticed\": {line}");
        let (noticed, reason) = (noticed.with_context(malformed)?, reason.with_context(malformed)?);
        let command = rest
            .and_then(|rest| Some(rest.strip_prefix(proof)?.strip_prefix(" | ")?.to_owned()))
            .with_context(malformed)?;
        if reason.len() < 10 || noticed.len() < 10 {
            bail!("an exception does not say why, or what is noticed: {line}");
        }
        Ok(Self { command, reason, noticed })
    }

    fn is_about(&self, command: &str) -> bool {
        match self.command.strip_suffix('*') {
            Some(head) => command.starts_with(head),
            None => self.command == command,
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::script::{Line, parse};
    use super::*;

    /// More would say that the sandbox is another thing than what it stands for.
    const N_EXCEPTIONS_MAX: usize = 25;

    #[test]
    fn exceptions_are_few_and_have_their_reasons() {
        let exceptions = Exceptions::read().unwrap();
        assert!(exceptions.rules.len() <= N_EXCEPTIONS_MAX, "{} exceptions", exceptions.rules.len());
        let lines = EXCEPTIONS.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let n_words = usize::from(exceptions.words.is_some());
        // The sandbox's own tests read those about wrong requests.
        let n_requests = EXCEPTIONS.lines().filter(|line| line.starts_with("requests | ")).count();
        // Judged by `cargo xtask sandbox-differential`.
        let n_differential = EXCEPTIONS.lines().filter(|line| line.starts_with("differential | ")).count();
        let n_lines = lines.count();
        assert_eq!(
            n_lines,
            exceptions.rules.len() + n_words + n_requests + n_differential,
            "a line is of no kind that is known"
        );
        assert!(n_lines <= N_EXCEPTIONS_MAX, "{n_lines} exceptions");
    }

    #[test]
    fn every_exception_is_about_a_command_of_the_script() {
        let script = parse(super::super::SCRIPT).unwrap();
        for rule in Exceptions::read().unwrap().rules {
            let met =
                script.iter().any(|line| matches!(line, Line::Judge(command) if rule.is_about(command)));
            assert!(met, "no command is {}", rule.command);
        }
    }

    #[test]
    fn an_exception_needs_a_reason() {
        assert!(Rule::read("kubectl | get pods | because it is so | pods are missing", "kubectl").is_ok());
        assert!(Rule::read("kubectl | get pods | so | pods are missing", "kubectl").is_err());
        assert!(Rule::read("kubectl | get pods", "kubectl").is_err());
    }
}
