//! What `argocd-cm` and `trueup-settings` say about comparing: the one reader of both.
//!
//! Pure: the data of the two ConfigMaps goes in, the settings and what is wrong with them come out. An entry that makes no
//! sense is a problem that names its key, line and remedy; everything else still holds. Kinds are named by patterns, of
//! which an exact one goes before those with wildcards.

mod compare;
mod customizations;
mod filter;
mod limits;
mod rule;
mod spelling;
#[cfg(test)]
mod tests;
mod tracking;
mod updates;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use globset::{Glob, GlobMatcher};
use trueup_diff::Secrecy;
use trueup_health::GenericUse;
use trueup_merge::SchemaSet;
use trueup_object::{GroupKind, Gvk, Text, Value};

pub use compare::{COMPARE_OPTIONS, CompareOptions, StatusField};
pub use filter::{FilterRule, KindFilter};
pub use limits::JqLimit;
pub use rule::{RuleDetail, read_rules};
pub(crate) use rule::{text, time};

use crate::app::Weight;
use crate::confirm::ConfirmMode;
use crate::ignore::Rule;
use crate::tracking::Tracking;
use crate::weight::{self, CountRule};

/// The ConfigMap with Argo CD's settings.
pub const ARGOCD: &str = "argocd-cm";
/// The ConfigMap with our own, beside it.
pub const TRUEUP: &str = "trueup-settings";

/// The data of one ConfigMap.
pub type ConfigData = BTreeMap<String, String>;

/// The data of a ConfigMap as an object.
pub fn data(config_map: &Value) -> ConfigData {
    let entries = config_map.get("data").and_then(Value::as_map);
    let entries = entries.into_iter().flat_map(|map| map.iter());
    entries.filter_map(|(key, value)| Some((key.to_owned(), value.as_str()?.to_owned()))).collect()
}

/// Everything that the two ConfigMaps say, and what is wrong with them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Settings {
    /// Ignore rules for the whole installation, in the order of their keys.
    pub ignore: Vec<Rule>,
    /// Paths whose changes alone are no reason to look again (`ignoreResourceUpdates`).
    pub ignore_updates: Vec<Rule>,
    /// Whether these, and what goes with them, hold at all.
    pub ignores_updates: bool,
    pub known_types: Vec<(KindPattern, KnownTypeField)>,
    pub health: Vec<(KindPattern, HealthScript)>,
    /// The YAML with `discovery.lua` and `definitions`, by kind.
    pub actions: Vec<(KindPattern, Text)>,
    pub compare: CompareOptions,
    pub filter: KindFilter,
    /// Annotations whose values are masked wherever an object is shown or kept (`resource.sensitive.mask.annotations`).
    pub masked_annotations: Vec<Text>,
    /// How objects are marked as an application's.
    pub tracking: Tracking,
    /// What an undeclared addition means where an application does not say.
    pub undeclared: Option<Weight>,
    /// What additions at certain paths mean, where neither an application nor its project says.
    pub counts: Vec<CountRule>,
    /// When a dry run confirms a finding, where an application does not say.
    pub confirm: Option<ConfirmMode>,
    /// What becomes of health by the generic rule.
    pub generic_health: GenericUse,
    /// How long one jq expression may take on one object, in milliseconds; beside it stands the budget of steps.
    pub jq_ms_max: JqLimit,
    pub problems: Vec<SettingsProblem>,
}

/// The type of a field of a custom resource (`knownTypeFields`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownTypeField {
    /// Dotted; lists on the way are walked.
    pub field: Text,
    /// As Argo CD names it: `core/v1/PodSpec`, `core/Quantity`, `meta/v1/Duration`.
    pub type_name: Text,
}

/// The known types that Argo CD has built in, by group, kind, field and type.
const KNOWN_TYPES: [(&str, &str, &str, &str); 1] =
    [("argoproj.io", "Rollout", "spec.template.spec", "core/v1/PodSpec")];

impl Settings {
    /// Refines the schemas of custom resources by the known types, so that amounts and durations in them are equal by what
    /// they stand for. Returns what says nothing, in words; a kind that the schemas do not know is passed over.
    pub fn refine(&self, schemas: &mut SchemaSet) -> Vec<String> {
        let mut problems = Vec::new();
        let kinds: BTreeSet<GroupKind> = schemas.kinds().map(Gvk::group_kind).collect();
        for (group, kind, field, type_name) in KNOWN_TYPES {
            let kind = GroupKind::new(group, kind);
            if kinds.contains(&kind) {
                // A definition that has the field no more needs no amounts in it.
                let _absent = schemas.set_known_type(&kind, field, type_name);
            }
        }
        for (pattern, known) in &self.known_types {
            for kind in kinds.iter().filter(|kind| pattern.matches(kind)) {
                if let Err(problem) = schemas.set_known_type(kind, &known.field, &known.type_name) {
                    problems.push(format!("knownTypeFields: {problem}"));
                }
            }
        }
        problems
    }

    /// Whether `refine` may change anything in these schemas.
    pub fn refines(&self, schemas: &SchemaSet) -> bool {
        let is_known = |kind: &GroupKind| KNOWN_TYPES.iter().any(|(group, name, ..)| kind.is(group, name));
        let is_named = |kind: &GroupKind| self.known_types.iter().any(|(pattern, _)| pattern.matches(kind));
        schemas.kinds().map(Gvk::group_kind).any(|kind| is_known(&kind) || is_named(&kind))
    }
}

/// The health check of a kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthScript {
    pub lua: Text,
    pub open_libs: bool,
}

/// An entry that is left out, or not honoured, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingsProblem {
    pub config_map: &'static str,
    pub key: String,
    /// Within the value of the key, from 1.
    pub line: Option<usize>,
    pub message: String,
    pub remedy: String,
    /// The kinds whose ignore rules cannot be understood: what differs in such an object may be meant to be hidden.
    pub hides: Option<KindPattern>,
}

impl fmt::Display for SettingsProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.config_map, self.key)?;
        if let Some(line) = self.line {
            write!(out, ", line {line}")?;
        }
        write!(out, ": {}; {}", self.message, self.remedy)
    }
}

/// Kinds by globs for group and kind.
#[derive(Debug, Clone)]
pub struct KindPattern {
    pub group: Text,
    pub kind: Text,
    matchers: (GlobMatcher, GlobMatcher),
}

impl KindPattern {
    pub fn new(group: &str, kind: &str) -> Result<Self, globset::Error> {
        let matchers = (matcher(group)?, matcher(kind)?);
        Ok(Self { group: Text::from(group), kind: Text::from(kind), matchers })
    }

    pub fn matches(&self, kind: &GroupKind) -> bool {
        self.matchers.0.is_match(kind.group.as_str()) && self.matchers.1.is_match(kind.kind.as_str())
    }

    fn is(&self, kind: &GroupKind) -> bool {
        self.group == kind.group && self.kind == kind.kind
    }
}

impl PartialEq for KindPattern {
    fn eq(&self, other: &Self) -> bool {
        (&self.group, &self.kind) == (&other.group, &other.kind)
    }
}

impl Eq for KindPattern {}

impl PartialOrd for KindPattern {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for KindPattern {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.group, &self.kind).cmp(&(&other.group, &other.kind))
    }
}

impl fmt::Display for KindPattern {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            write!(out, "{}", self.kind)
        } else {
            write!(out, "{}/{}", self.group, self.kind)
        }
    }
}

fn matcher(pattern: &str) -> Result<GlobMatcher, globset::Error> {
    Ok(Glob::new(pattern)?.compile_matcher())
}

/// What is said about a kind: by its name, else by the first pattern that fits.
pub fn about<'a, T>(said: &'a [(KindPattern, T)], kind: &GroupKind) -> Option<&'a T> {
    let exact = said.iter().find(|(pattern, _)| pattern.is(kind));
    exact.or_else(|| said.iter().find(|(pattern, _)| pattern.matches(kind))).map(|(_, it)| it)
}

impl Settings {
    /// What sensitive values are sealed with, and which annotations hold such.
    pub fn secrecy<'a>(&'a self, key: &'a [u8; 32]) -> Secrecy<'a> {
        Secrecy { key, annotations: &self.masked_annotations }
    }

    /// Reads both ConfigMaps; one that does not exist is empty.
    pub fn read(argocd: &ConfigData, trueup: &ConfigData) -> Self {
        let mut settings = Self { ignores_updates: true, ..Self::default() };
        customizations::read(argocd, &mut settings);
        compare::read(argocd, &mut settings);
        filter::read(argocd, &mut settings);
        updates::read(argocd, &mut settings);
        limits::read(argocd, &mut settings);
        spelling::read(argocd, &mut settings);
        settings.tracking = tracking::read(argocd, &mut settings);
        settings.masked_annotations = masked_annotations(argocd);
        own(trueup, &mut settings);
        settings.problems.sort();
        settings
    }

    /// The problem that keeps it unknown what is ignored of a kind.
    pub fn obscured(&self, kind: &GroupKind) -> Option<&SettingsProblem> {
        self.problems.iter().find(|problem| problem.hides.as_ref().is_some_and(|hides| hides.matches(kind)))
    }

    /// Takes note of a ConfigMap that may not be read: nothing of it is honoured.
    pub fn note_unreadable(&mut self, config_map: &'static str, why: &str) {
        let remedy = format!("give the right to get, list and watch the ConfigMap {config_map}");
        self.problem(config_map, "*", None, format!("it cannot be read: {why}"), remedy);
    }

    fn problem(
        &mut self,
        config_map: &'static str,
        key: &str,
        line: Option<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.problems.push(SettingsProblem {
            config_map,
            key: key.to_owned(),
            line,
            message: message.into(),
            remedy: remedy.into(),
            hides: None,
        });
    }
}

/// A list with commas between.
fn masked_annotations(argocd: &ConfigData) -> Vec<Text> {
    let text = argocd.get("resource.sensitive.mask.annotations").map(String::as_str).unwrap_or_default();
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(Text::from).collect()
}

fn own(trueup: &ConfigData, settings: &mut Settings) {
    for (key, value) in trueup {
        match (key.as_str(), value.trim()) {
            ("undeclared", "drift") => settings.undeclared = Some(Weight::Drift),
            ("undeclared", "note") => settings.undeclared = Some(Weight::Note),
            ("undeclared", "off") => settings.undeclared = Some(Weight::Nothing),
            ("undeclared.rules", text) => {
                let (rules, wrong) = weight::read_rules(text);
                settings.counts = rules;
                for (index, why) in wrong {
                    let message = format!("rule {index}: {why}");
                    settings.problem(TRUEUP, key, None, message, "correct it; the other rules hold");
                }
            }
            ("undeclared", other) => {
                let message = format!("found `{other}`");
                settings.problem(TRUEUP, key, None, message, "set it to drift, note or off");
            }
            ("confirm", "differs") => settings.confirm = Some(ConfirmMode::Differs),
            ("confirm", "always") => settings.confirm = Some(ConfirmMode::Always),
            ("confirm", "never") => settings.confirm = Some(ConfirmMode::Never),
            ("confirm", other) => {
                let message = format!("found `{other}`");
                settings.problem(TRUEUP, key, None, message, "set it to differs, always or never");
            }
            ("genericHealth", word) => match GenericUse::parse(word) {
                Some(used) => settings.generic_health = used,
                None => {
                    let message = format!("found `{word}`");
                    settings.problem(TRUEUP, key, None, message, "set it to counted, shown or off");
                }
            },
            (_, _) => {
                settings.problem(
                    TRUEUP,
                    key,
                    None,
                    "there is no such setting",
                    "remove it, or correct its name",
                );
            }
        }
    }
}
