//! What a run showed: how much was played, by kind and flaw, and where the two worlds parted.

use std::{collections::BTreeMap, path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, Result};

use super::cases::{Case, called, print};
use super::exceptions::Exceptions;
use super::play::{Chance, Failure, Ground, Outcome};
use super::shrink::{shrink, signature};
use crate::differential::kinds::Kind;

/// Enough to know what goes wrong.
const FAILURES_SHOWN: usize = 100;

/// Longer values say no more to a reader.
const VALUE_SHOWN: usize = 600;

/// How much of what long values share is shown before they differ.
const CONTEXT_SHOWN: usize = 80;

pub struct Report<'k> {
    seed: u64,
    n_sequences: usize,
    n_cases: usize,
    n_requests: usize,
    n_refused: usize,
    n_events: usize,
    by_kind: BTreeMap<String, usize>,
    by_flaw: BTreeMap<String, usize>,
    failures: Vec<(String, Option<&'k Kind>, Failure)>,
    small: Vec<Case>,
    kept: Vec<Case>,
    chances: Vec<Chance>,
    exceptions: Exceptions,
}

impl<'k> Report<'k> {
    pub fn new(seed: u64) -> Result<Self> {
        Ok(Self {
            seed,
            n_sequences: 0,
            n_cases: 0,
            n_requests: 0,
            n_refused: 0,
            n_events: 0,
            by_kind: BTreeMap::new(),
            by_flaw: BTreeMap::new(),
            failures: Vec::new(),
            small: Vec::new(),
            kept: Vec::new(),
            chances: Vec::new(),
            exceptions: Exceptions::read()?,
        })
    }

    fn count(&mut self, outcome: &Outcome) {
        self.n_requests += outcome.requests.len();
        self.n_refused += outcome.refused;
        self.n_events += outcome.n_events;
        for request in outcome.requests.iter().filter(|request| !request.flaw.is_empty()) {
            *self.by_flaw.entry(request.flaw.clone()).or_default() += 1;
        }
        self.exceptions.met.extend(&outcome.exceptions.met);
        self.chances.extend(outcome.chances.iter().cloned());
    }

    pub fn add_case(&mut self, number: usize, case: &Case, outcome: Outcome) {
        self.n_cases += 1;
        self.count(&outcome);
        let agreed: Vec<String> = outcome.agreed.iter().map(print).collect();
        self.kept.push(Case { agreed, ..case.clone() });
        if let Some(failure) = outcome.failure {
            self.failures.push((format!("kept case {number} ({})", case.kind), None, failure));
        }
    }

    pub fn add(&mut self, number: usize, kind: &'k Kind, outcome: Outcome) {
        self.n_sequences += 1;
        self.count(&outcome);
        *self.by_kind.entry(called(kind)).or_default() += 1;
        if let Some(failure) = outcome.failure {
            self.failures.push((format!("q{number}x"), Some(kind), failure));
        }
    }

    /// Makes one failure of each sort small.
    pub async fn shrink(&mut self, ground: &Ground, wanted: usize) -> Result<()> {
        let mut seen = std::collections::BTreeSet::new();
        for (name, kind, failure) in &mut self.failures {
            let Some(kind) = *kind else { continue };
            if self.small.len() >= wanted || !seen.insert((called(kind), signature(failure))) {
                continue;
            }
            *failure = shrink(ground, kind, name, failure.clone(), &self.exceptions).await?;
            let why =
                failure.differences.first().map(|difference| difference.path.clone()).unwrap_or_default();
            self.small.push(Case {
                kind: called(kind),
                why,
                requests: failure.requests.clone(),
                agreed: Vec::new(),
            });
        }
        Ok(())
    }

    pub fn record(&self, path: &Path) -> Result<()> {
        write_cases(path, &self.small)
    }

    pub fn print_cases(&self, path: &Path) -> Result<()> {
        write_cases(path, &self.kept)
    }

    pub fn conclude(&self, took: Duration, chances: bool) -> ExitCode {
        for (name, kind, failure) in self.failures.iter().take(FAILURES_SHOWN) {
            show(name, *kind, failure);
        }
        self.summarize();
        if chances {
            self.show_chances();
        }
        let alike = self.chances.iter().filter(|chance| chance.real == chance.ours).count();
        let refused = self.chances.iter().filter(|chance| !chance.ours.starts_with('2')).count();
        println!(
            "{} requests were invalid by chance and are not judged: the sandbox refuses {refused} of them, {alike} in the same words",
            self.chances.len()
        );
        let outlived = self.exceptions.unmet();
        for reason in &outlived {
            println!("FAILED: an exception no longer applies: {reason}");
        }
        println!(
            "seed {}: {} sequences of {} kinds and {} kept cases, {} requests ({} refused, {} flaws), {} watch events; {:.0} s",
            self.seed,
            self.n_sequences,
            self.by_kind.len(),
            self.n_cases,
            self.n_requests,
            self.n_refused,
            self.by_flaw.len(),
            self.n_events,
            took.as_secs_f64()
        );
        let failed = self.failures.len() + outlived.len();
        println!("{} passed; {failed} failed", self.n_sequences + self.n_cases - self.failures.len());
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    /// Which sorts of failures there are, the most frequent first.
    fn summarize(&self) {
        let mut sorts: BTreeMap<String, usize> = BTreeMap::new();
        for (_, kind, failure) in &self.failures {
            let last = failure.requests.last();
            let flaw = last.map_or("", |request| request.flaw.as_str());
            let verb =
                last.map(|request| format!("{:?}/{}", request.verb, request.subresource)).unwrap_or_default();
            let kind = kind.map_or("kept", |kind| kind.gvk.kind.as_str());
            *sorts.entry(format!("{kind} {verb} [{flaw}] {}", signature(failure))).or_default() += 1;
        }
        let mut sorts: Vec<(String, usize)> = sorts.into_iter().collect();
        sorts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (sort, count) in sorts {
            println!("{count:4} x {sort}");
        }
    }

    fn show_chances(&self) {
        let mut sorts: BTreeMap<String, usize> = BTreeMap::new();
        for chance in self.chances.iter().filter(|chance| chance.real != chance.ours) {
            let text = format!("{}\n        {}", cut(&chance.real), cut(&chance.ours));
            *sorts.entry(text).or_default() += 1;
        }
        let mut sorts: Vec<(String, usize)> = sorts.into_iter().collect();
        sorts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (sort, count) in sorts {
            println!("chance {count:4} x {sort}");
        }
    }
}

fn write_cases(path: &Path, cases: &[Case]) -> Result<()> {
    let mut text = String::new();
    for case in cases {
        text.push_str(&serde_json::to_string(case)?);
        text.push('\n');
    }
    std::fs::write(path, text).with_context(|| format!("write {}", path.display()))
}

fn cut(text: &str) -> String {
    if text.len() <= VALUE_SHOWN {
        return text.to_owned();
    }
    let end = (0..=VALUE_SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    format!("{}...", &text[..end])
}

/// A long text from where it begins to differ from another one.
fn around(text: &str, other: &str) -> String {
    let same = text.bytes().zip(other.bytes()).take_while(|(one, other)| one == other).count();
    let before = same.saturating_sub(CONTEXT_SHOWN);
    let start = (0..=before).rev().find(|at| text.is_char_boundary(*at)).unwrap_or_default();
    if text.len() <= VALUE_SHOWN || start == 0 { cut(text) } else { format!("...{}", cut(&text[start..])) }
}

fn show(name: &str, kind: Option<&Kind>, failure: &Failure) {
    println!("\nFAILED {name} {}", kind.map(called).unwrap_or_default());
    for request in &failure.requests {
        println!("  {}", cut(&request.shown()));
    }
    println!("  control plane: {}", cut(&failure.real));
    println!("  sandbox:       {}", cut(&failure.ours));
    for difference in failure.differences.iter().take(6) {
        println!(
            "  {}\n      control plane {}\n      sandbox       {}",
            difference.path,
            around(&difference.real, &difference.ours),
            around(&difference.ours, &difference.real)
        );
    }
}
