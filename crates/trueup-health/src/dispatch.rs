//! Which rule judges an object: deletion first, then a script, then the kind's own rule, then the generic one.

use std::fmt;

use trueup_object::{GroupKind, Text, Value};

use crate::{Health, ObjectHealth, generic, rules};

/// Which rule judged an object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Its deletion has been asked for.
    Deletion,
    /// The rule that its kind has built in.
    Builtin(GroupKind),
    /// A script, and where it comes from: `argocd-cm`, or a file.
    Script(Text),
    /// From what most kinds have in common.
    Generic,
}

impl fmt::Display for Rule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deletion => out.write_str("builtin:deletion"),
            Self::Builtin(kind) => write!(out, "builtin:{kind}"),
            Self::Script(source) => write!(out, "lua:{source}"),
            Self::Generic => out.write_str("generic"),
        }
    }
}

/// What a script for an object's kind said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scripted {
    /// Where the script comes from.
    pub source: Text,
    /// `None`: it had nothing to say.
    pub health: Option<Health>,
}

/// The scripts that judge kinds. They run outside of this crate; what they say depends on the object and the time alone.
pub trait Scripts: Send + Sync {
    /// Judges an object at a time (seconds since 1970). `None` where its kind has no script.
    fn judge(&self, live: &Value, unix_s: i64) -> Option<Scripted>;
}

/// No scripts at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoScripts;

impl Scripts for NoScripts {
    fn judge(&self, _live: &Value, _unix_s: i64) -> Option<Scripted> {
        None
    }
}

/// What becomes of a judgement by the generic rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GenericUse {
    /// It is shown, and counts for the application.
    #[default]
    Counted,
    /// It is shown.
    Shown,
    /// The rule is not used, as with Argo CD.
    Off,
}

impl GenericUse {
    /// From the word of the settings.
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "counted" => Some(Self::Counted),
            "shown" => Some(Self::Shown),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// The rules in force.
#[derive(Clone, Copy)]
pub struct HealthRules<'a> {
    pub scripts: &'a dyn Scripts,
    pub generic: GenericUse,
}

impl HealthRules<'static> {
    /// Without settings.
    pub const BUILTIN: Self = Self { scripts: &NoScripts, generic: GenericUse::Counted };
}

/// What was found out about one object.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judged {
    /// `None`: nothing speaks about its health.
    pub health: Option<Health>,
    /// The rule that said so; `None` where there is none for its kind.
    pub rule: Option<Rule>,
}

impl Judged {
    fn new(health: Health, rule: Rule) -> Self {
        Self { health: Some(health), rule: Some(rule) }
    }
}

impl HealthRules<'_> {
    /// Judges a live object.
    pub fn judge(&self, live: &Value, unix_s: i64) -> Judged {
        if rules::is_pending_deletion(live) {
            return Judged::new(Health::progressing("Pending deletion"), Rule::Deletion);
        }
        let mut silent = None;
        match self.scripts.judge(live, unix_s) {
            Some(Scripted { source, health: Some(health) }) => {
                return Judged::new(health, Rule::Script(source));
            }
            Some(Scripted { source, health: None }) => silent = Some(Rule::Script(source)),
            None => {}
        }
        if let Some((gvk, health)) = rules::builtin(live) {
            return Judged::new(health, Rule::Builtin(gvk.group_kind()));
        }
        // A script that says nothing about its kind means just that.
        if silent.is_none()
            && self.generic != GenericUse::Off
            && let Some(health) = generic::judge(live)
        {
            return Judged::new(health, Rule::Generic);
        }
        Judged { health: None, rule: silent }
    }

    /// Judges a live object as a part of an application.
    pub fn of_object(&self, live: &Value, unix_s: i64) -> ObjectHealth {
        let Judged { health, rule } = self.judge(live, unix_s);
        let is_counted = rule != Some(Rule::Generic) || self.generic == GenericUse::Counted;
        match health {
            None => ObjectHealth::Unjudged,
            Some(health) if is_counted && !is_exempt(live) => ObjectHealth::Judged(health),
            Some(health) => ObjectHealth::Exempt(health),
        }
    }
}

/// Whether an object's author took it out of the application's health.
fn is_exempt(live: &Value) -> bool {
    live.str_at(&["metadata", "annotations", "argocd.argoproj.io/ignore-healthcheck"]) == Some("true")
}
