//! One look at an application: everything that differs, who moved it, what counts, and what is not known.
//!
//! Pure and complete: every object of the application is in the answer, with its differences, its notes, or the reason
//! why nothing can be said about it. One object's failure spoils one object.

mod confirmed;
mod existence;
mod matched;
mod total;
mod unit;

use std::collections::BTreeMap;

use jiff::Timestamp;
use trueup_health::{Health, HealthRules, ObjectHealth};
use trueup_merge::Layered;
use trueup_object::{FieldManager, FieldPath, Gvk, ResourceKey, Text};

use trueup_diff::Secrecy;
pub use trueup_diff::{Hidden, Patience};

use crate::app::{App, FirstSeen};
use crate::autoscaler::Autoscalers;
use crate::condition::Condition;
use crate::confirm::{Answers, ConfirmKey};
use crate::desired::TargetSet;
use crate::difference::{Channel, Difference, Origin};
use crate::ignore::{RuleCount, RuleMatch};
use crate::live::LiveSet;
use crate::memory::Memory;
use crate::pair::{self, Pair};
use crate::policy::LastSync;
use crate::settings::Settings;
use crate::status::{AppOrigin, SyncStatus};

/// Everything that one look needs. All of it is passed in: the look reads nothing.
#[derive(Clone, Copy)]
pub struct LookInput<'a> {
    pub app: &'a App,
    /// Those of the installation.
    pub settings: &'a Settings,
    pub targets: &'a TargetSet,
    pub live: &'a LiveSet,
    pub memory: &'a BTreeMap<ResourceKey, Memory>,
    pub autoscalers: &'a Autoscalers,
    /// What the server has answered so far.
    pub answers: &'a Answers,
    /// The last sync, as far as it is remembered.
    pub last_sync: Option<&'a LastSync>,
    pub schemas: Layered<'a>,
    pub health: HealthRules<'a>,
    pub our_manager: &'a FieldManager,
    pub secret_key: &'a [u8; 32],
    pub first_seen: &'a FirstSeen,
    pub now: Timestamp,
}

/// Why a path that differs is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Excuse {
    /// It belongs to an autoscaler that targets the workload.
    Autoscaler(ResourceKey),
    /// Its writer's class plausibly owns it.
    Class,
    /// A rule ignores it.
    Ignored,
    /// It is worth a note or nothing.
    Weightless,
}

/// What was made of one differing path: the planner's raw material.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    pub path: FieldPath,
    pub pointer: String,
    /// What is applied or kept as one: the atomic value that the path lies in, else the path itself.
    pub unit: FieldPath,
    pub channel: Channel,
    pub origin: Origin,
    /// Git no longer declares it, and live still has it.
    pub pending_removal: bool,
    /// We own the live path.
    pub ours: bool,
    /// Another manager owns the live path.
    pub foreign: bool,
    /// The managers other than ours that own the live path.
    pub owners: Vec<Text>,
    /// The manager that a person would name.
    pub opponent: Option<Text>,
    pub excuse: Option<Excuse>,
}

/// Something that keeps one object from being judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectProblem {
    pub message: String,
    pub remedy: String,
}

/// Whether and where an object exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Presence {
    /// Git wants it and it does not exist.
    Missing,
    /// Both have it.
    Matched,
    /// It is tracked and Git does not want it.
    Extraneous,
    /// Too little is known.
    Unobserved,
}

/// What one look found about one object.
#[derive(Debug, Clone, PartialEq)]
pub struct ObjectComparison {
    pub key: ResourceKey,
    pub gvk: Gvk,
    pub presence: Presence,
    pub status: SyncStatus,
    pub health: ObjectHealth,
    /// Whether its health counts for the application's.
    pub health_counts: bool,
    /// Drift and pending changes.
    pub differences: Vec<Difference>,
    pub notes: Vec<Difference>,
    /// Hidden by a rule, to be shown on request.
    pub ignored: Vec<Difference>,
    pub judgements: Vec<Judgement>,
    /// What the ignore rules did that are about it.
    pub rules: Vec<RuleMatch>,
    /// The places that they hide, whether they differ or not.
    pub hidden: Hidden,
    pub problem: Option<ObjectProblem>,
    /// The server was asked what applying would change and has not confirmed it: why.
    pub unconfirmed: Option<String>,
    /// An answer of the server is wanted, under this key.
    pub asks: Option<ConfirmKey>,
    /// Whether it counts for the application's status.
    pub counts: bool,
    /// No schema of its kind is known: which of its lists have keys, and what is an amount, was guessed.
    pub structural: bool,
}

impl ObjectComparison {
    /// An object of which nothing was found yet.
    pub fn blank(key: &ResourceKey, gvk: &Gvk, presence: Presence, status: SyncStatus) -> Self {
        Self {
            key: key.clone(),
            gvk: gvk.clone(),
            presence,
            status,
            health: ObjectHealth::Unjudged,
            health_counts: true,
            differences: Vec::new(),
            notes: Vec::new(),
            ignored: Vec::new(),
            judgements: Vec::new(),
            rules: Vec::new(),
            hidden: Hidden::default(),
            problem: None,
            unconfirmed: None,
            asks: None,
            counts: true,
            structural: false,
        }
    }
}

/// What is said of an object that was compared without a schema.
pub fn by_structure(gvk: &Gvk) -> String {
    format!("no schema of {gvk} is known, so it is compared by structure alone")
}

/// Everything that one look at an application found.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    pub status: SyncStatus,
    pub origin: AppOrigin,
    pub health: Health,
    /// In the order of their keys.
    pub objects: Vec<ObjectComparison>,
    pub conditions: Vec<Condition>,
    /// What came of the ignore rules.
    pub rules: Vec<RuleCount>,
}

impl<'a> LookInput<'a> {
    /// What sensitive values are sealed with.
    pub fn secrecy(&self) -> Secrecy<'a> {
        self.settings.secrecy(self.secret_key)
    }
}

impl Comparison {
    pub fn object(&self, key: &ResourceKey) -> Option<&ObjectComparison> {
        let index = self.objects.binary_search_by(|object| object.key.cmp(key)).ok()?;
        self.objects.get(index)
    }

    /// Everything that makes an object OutOfSync, in order.
    pub fn differences(&self) -> impl Iterator<Item = &Difference> {
        self.objects.iter().flat_map(|object| &object.differences)
    }

    pub fn notes(&self) -> impl Iterator<Item = &Difference> {
        self.objects.iter().flat_map(|object| &object.notes)
    }
}

/// Looks at an application.
pub fn look(input: &LookInput<'_>) -> Comparison {
    let pairs = pair::pair(input.app, input.targets, input.live);
    let mut objects: Vec<ObjectComparison> = pairs
        .pairs
        .iter()
        .map(|(key, pair)| match pair {
            Pair::Missing { target } => existence::missing(input, key, target),
            Pair::Matched { target, live } => matched::matched(input, key, target, live),
            Pair::Extraneous { live } => existence::extraneous(input, key, live),
        })
        .collect();
    objects.extend(pairs.unobserved.iter().map(|unobserved| existence::unobserved(input, unobserved)));
    objects.sort_by(|left, right| left.key.cmp(&right.key));
    total::comparison(input, objects)
}

#[cfg(test)]
mod tests;
