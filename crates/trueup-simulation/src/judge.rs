//! Properties: what must hold in every run, whatever happens, and what is known of a run to judge that.
//!
//! The judge hears of everything that happens (effects of controllers, edits of others, commits, requests) and looks at the
//! cluster between the steps. It knows the story's side of things only: nothing that the controller says of itself is
//! believed, save where that is what is judged.

mod effects;
mod moments;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use trueup_object::{ResourceKey, Value};

use crate::oracle::{self, Known, Live, Targets};
use crate::story::{AppPlan, Ignored, Policy, Replica};

pub use effects::{Effect, Intent, Verb};

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Property {
    /// Once edits stop and faults end, every application is as Git wants it, or says why not.
    Converges,
    /// And stays: nothing is written while nothing differs.
    Quiet,
    /// What is not tracked is neither changed nor pruned.
    UntrackedUntouched,
    /// What is ignored, excused, not known, or not covered by a policy or a request is left alone.
    OnlyWhatIsAllowed,
    /// The status does not say Synced for long while something differs.
    TruthfulStatus,
    /// Intent and evidence of a change are in the ledger before it.
    RecordedBefore,
    /// Every intent has an outcome in the end.
    NoIntentLost,
    /// Who undoes a change again and again is named, and the controller backs off.
    FightsNamed,
    /// Only the holder of the Lease acts.
    OneActs,
    /// No part of a controller panics.
    NoPanic,
}

impl Property {
    pub const ALL: [Self; 10] = [
        Self::Converges,
        Self::Quiet,
        Self::UntrackedUntouched,
        Self::OnlyWhatIsAllowed,
        Self::TruthfulStatus,
        Self::RecordedBefore,
        Self::NoIntentLost,
        Self::FightsNamed,
        Self::OneActs,
        Self::NoPanic,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::Converges => "converges",
            Self::Quiet => "quiet",
            Self::UntrackedUntouched => "untracked-untouched",
            Self::OnlyWhatIsAllowed => "only-what-is-allowed",
            Self::TruthfulStatus => "truthful-status",
            Self::RecordedBefore => "recorded-before",
            Self::NoIntentLost => "no-intent-lost",
            Self::FightsNamed => "fights-named",
            Self::OneActs => "one-acts",
            Self::NoPanic => "no-panic",
        }
    }
}

/// A property that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub property: Property,
    /// Simulated milliseconds since the beginning.
    pub at_ms: u64,
    pub message: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { property, at_ms, message } = self;
        write!(out, "{} at {}.{:03} s: {message}", property.name(), at_ms / 1000, at_ms % 1000)
    }
}

/// Git is asked this often.
pub const POLL_MS: u64 = 60_000;

/// How long after a change, or after the last fault, everything must be known again.
const MOMENT_MS: u64 = 5_000;

/// How long a verdict may stand while faults last (contracts: "Limits").
const STALE_MS: u64 = 180_000;

/// A commit, as far as one application is concerned with it.
#[derive(Debug, Clone)]
struct Commit {
    at_ms: u64,
    id: String,
    targets: BTreeMap<String, Arc<Targets>>,
}

/// What is known of an application.
#[derive(Debug, Clone)]
struct AppFacts {
    ignored: Vec<Ignored>,
    respects_ignored: bool,
    namespace: String,
    /// What it was told to do by itself, and since when.
    policies: Vec<(u64, Policy)>,
    /// Since when it is on hold.
    held_since: Option<u64>,
    /// When a sync that somebody asked for was last under way.
    asked_ms: Option<u64>,
    /// Since when it says Synced while something differs.
    untrue_since: Option<u64>,
    /// Since when it says Synced of a commit that is not the newest.
    outdated_since: Option<u64>,
    /// When a fight over an object was last named.
    named: BTreeMap<String, u64>,
}

/// Others changed something, and no controller has changed it since.
#[derive(Debug, Clone, PartialEq)]
struct Edited {
    /// When the first of them did, and when the last.
    since_ms: u64,
    at_ms: u64,
    /// What was there before the first of them.
    before: Option<Value>,
}

/// A controller changed back what others had changed.
#[derive(Debug, Clone, Copy)]
struct Correction {
    at_ms: u64,
    /// Whose disk remembers it.
    replica: Replica,
    incarnation: u64,
    /// A person asked for it: that waits for no back-off.
    is_asked: bool,
}

/// All that decides which objects are as Git wants them: while it is the same, so are they.
#[derive(Debug)]
struct AgreedOn {
    targets: Arc<Targets>,
    live_changes: u64,
    is_disturbed: bool,
    leader: Option<Replica>,
}

/// Judges one run.
#[derive(Debug)]
pub struct Judge {
    apps: BTreeMap<String, AppFacts>,
    commits: Vec<Commit>,
    /// Which application declares, or declared, an object.
    declared_by: BTreeMap<ResourceKey, String>,
    /// What somebody changed; no pointer: that it is there.
    edits: BTreeMap<(ResourceKey, Option<String>), Edited>,
    /// Workloads that an autoscaler has targeted at some time.
    scaled: BTreeSet<ResourceKey>,
    /// What somebody added to an object that a controller had seen as Git wants it, by controller, and what was added at other
    /// times. Each has a disk of its own: one that has not seen the object before finds the addition there, and cannot know that
    /// it is one.
    added: BTreeMap<Replica, BTreeSet<(ResourceKey, String)>>,
    maybe_added: BTreeSet<(ResourceKey, String)>,
    /// What differs, by application, for as long as nothing changes.
    known: BTreeMap<String, Known>,
    /// Since when an object has been seen to be as Git wants it, undisturbed, and by which controller.
    agreed_since: BTreeMap<ResourceKey, BTreeMap<Replica, u64>>,
    /// For which state of things that was last noted for an application.
    agreed_on: BTreeMap<String, AgreedOn>,
    /// When a controller changed back what others had changed.
    corrections: BTreeMap<(ResourceKey, String), Vec<Correction>>,
    /// Since when nothing fails; none while something does.
    calm_since: Option<u64>,
    /// Since when faults have gone on without a calm time between them.
    faulty_since: Option<u64>,
    /// Since when statuses can be written without a pause.
    writable_since: Option<u64>,
    violations: Vec<Violation>,
    told: BTreeSet<(Property, String)>,
    pub coverage: BTreeMap<String, u64>,
}

/// The cluster at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    pub now_ms: u64,
    pub live: &'a Live,
    /// Counts the changes of them.
    pub live_changes: u64,
    /// The Applications by name.
    pub applications: &'a BTreeMap<String, Arc<Value>>,
    /// Whether a fault is in force, or no controller leads.
    pub is_disturbed: bool,
    /// Whether the acting controller can write statuses.
    pub is_writable: bool,
    /// Which controller acts.
    pub leader: Option<Replica>,
}

impl Judge {
    pub fn new(apps: &[AppPlan]) -> Self {
        let facts = |plan: &AppPlan| AppFacts {
            ignored: plan.ignored.clone(),
            respects_ignored: plan.respects_ignored,
            namespace: plan.namespace.clone(),
            policies: vec![(0, plan.policy)],
            held_since: None,
            asked_ms: None,
            untrue_since: None,
            outdated_since: None,
            named: BTreeMap::new(),
        };
        Self {
            apps: apps.iter().map(|plan| (plan.name.clone(), facts(plan))).collect(),
            commits: Vec::new(),
            declared_by: BTreeMap::new(),
            edits: BTreeMap::new(),
            scaled: BTreeSet::new(),
            added: BTreeMap::new(),
            maybe_added: BTreeSet::new(),
            known: BTreeMap::new(),
            agreed_since: BTreeMap::new(),
            agreed_on: BTreeMap::new(),
            corrections: BTreeMap::new(),
            calm_since: None,
            faulty_since: Some(0),
            writable_since: None,
            violations: Vec::new(),
            told: BTreeSet::new(),
            coverage: BTreeMap::new(),
        }
    }

    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    pub fn count(&mut self, word: &str) {
        match self.coverage.get_mut(word) {
            Some(count) => *count += 1,
            None => drop(self.coverage.insert(word.to_owned(), 1)),
        }
    }

    /// Tells of a violation, once for each thing that it is about.
    pub fn violate(&mut self, property: Property, at_ms: u64, about: &str, message: String) {
        if self.told.insert((property, about.to_owned())) {
            self.violations.push(Violation { property, at_ms, message });
        }
    }

    /// A commit was made; `files` is everything in it.
    pub fn committed(&mut self, at_ms: u64, id: &str, files: &BTreeMap<String, String>) {
        let mut all = BTreeMap::new();
        for (app, facts) in &self.apps {
            let folder = crate::generate::path(app, "");
            let own = files.iter().filter(|(path, _)| path.starts_with(&folder)).map(|(_, text)| text);
            let targets = oracle::targets(own, &facts.namespace);
            for key in targets.objects.keys() {
                self.declared_by.insert(key.clone(), app.clone());
            }
            all.insert(app.clone(), Arc::new(targets));
        }
        self.commits.push(Commit { at_ms, id: id.to_owned(), targets: all });
    }

    /// An Application was told to do something else by itself.
    pub fn policy_set(&mut self, at_ms: u64, app: &str, policy: Policy) {
        if let Some(facts) = self.apps.get_mut(app) {
            facts.policies.push((at_ms, policy));
        }
    }

    /// An Application was put on hold, or let go.
    pub fn hold_set(&mut self, at_ms: u64, app: &str, is_held: bool) {
        if let Some(facts) = self.apps.get_mut(app) {
            facts.held_since = is_held.then(|| facts.held_since.unwrap_or(at_ms));
        }
    }

    /// Somebody changed an object; no pointers: it was created or deleted.
    pub fn edited(&mut self, at_ms: u64, key: &ResourceKey, before: Option<&Value>, after: Option<&Value>) {
        match (before, after) {
            (Some(before), Some(after)) => {
                for pointer in oracle::changed(before, after) {
                    self.note_addition(at_ms, key, &pointer, before, after);
                    let was = oracle::at(before, &pointer).cloned();
                    let edited = self.edits.entry((key.clone(), Some(pointer)));
                    edited.or_insert(Edited { since_ms: at_ms, at_ms, before: was }).at_ms = at_ms;
                }
            }
            (Some(_), None) | (None, Some(_)) => {
                self.edits.retain(|(edited, _), _| edited != key);
                self.edits.insert((key.clone(), None), Edited { since_ms: at_ms, at_ms, before: None });
            }
            (None, None) => {}
        }
    }

    fn note_addition(&mut self, at_ms: u64, key: &ResourceKey, pointer: &str, before: &Value, after: &Value) {
        let is_added = oracle::at(before, pointer).is_none() && oracle::at(after, pointer).is_some();
        let app = self.declared_by.get(key);
        let target = app.and_then(|app| self.tip(app)).and_then(|targets| targets.objects.get(key));
        if !is_added || target.is_none_or(|target| oracle::at(target, pointer).is_some()) {
            return;
        }
        let entry = (key.clone(), pointer.to_owned());
        self.maybe_added.insert(entry.clone());
        // Labels and annotations of the object itself count by rules of their own.
        if pointer.starts_with("/metadata/") {
            return;
        }
        for replica in Replica::ALL {
            if self.has_seen(replica, key, at_ms) {
                self.added.entry(replica).or_default().insert(entry.clone());
            }
        }
    }

    /// Whether a controller must know what an object was like when it was as Git wants it.
    fn has_seen(&self, replica: Replica, key: &ResourceKey, at_ms: u64) -> bool {
        let since = self.agreed_since.get(key).and_then(|seen| seen.get(&replica));
        since.is_some_and(|since| at_ms.saturating_sub(*since) >= MOMENT_MS)
    }

    /// Whether one of them must.
    fn is_established(&self, key: &ResourceKey, at_ms: u64) -> bool {
        Replica::ALL.into_iter().any(|replica| self.has_seen(replica, key, at_ms))
    }

    /// What the newest commit says of an application.
    fn tip(&self, app: &str) -> Option<&Arc<Targets>> {
        self.commits.last()?.targets.get(app)
    }

    /// Since when a controller may still act on what was true then: a moment ago, or since before faults kept it from knowing.
    fn known_since(&self, now_ms: u64) -> u64 {
        let recent = now_ms.saturating_sub(MOMENT_MS);
        let calm = self.calm_since.unwrap_or(u64::MAX);
        if calm <= recent { recent } else { self.faulty_since.unwrap_or(recent).saturating_sub(MOMENT_MS) }
    }

    /// What an application was told to do by itself, as far as a controller may believe it now.
    fn policies(&self, facts: &AppFacts, now_ms: u64) -> Vec<Policy> {
        let since = self.known_since(now_ms);
        let before = facts.policies.iter().rev().find(|(at, _)| *at <= since);
        let later = facts.policies.iter().filter(|(at, _)| *at > since);
        before.into_iter().chain(later).map(|(_, policy)| *policy).collect()
    }

    fn is_asked(facts: &AppFacts, now_ms: u64) -> bool {
        facts.asked_ms.is_some_and(|at| now_ms.saturating_sub(at) <= MOMENT_MS)
    }
}

/// Whether somebody has asked for a sync of an Application that is not over.
fn is_operating(application: &Value) -> bool {
    let asked = application.get("operation").is_some_and(|operation| !operation.is_null());
    let state = application.at(&["status", "operationState"]);
    let running = state.is_some_and(|state| {
        let automated = state.at(&["operation", "initiatedBy", "automated"]).and_then(Value::as_bool);
        state.str_at(&["phase"]) == Some("Running") && automated != Some(true)
    });
    asked || running
}

/// The name of a controller in its Lease begins with the name of the replica.
pub fn is_held_by(holder: &str, replica: Replica) -> bool {
    holder.strip_prefix(replica.name()).is_some_and(|rest| rest.starts_with('_'))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests;
