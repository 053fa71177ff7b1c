//! Ignore rules: those of an Application, of the installation and of a single object, and what came of each.
//!
//! A rule as written may name many paths; here each path is a rule of its own, so that each can tell what it hid, who wanted
//! it and until when.

pub mod lint;
pub mod path;

use jiff::Timestamp;
use trueup_diff::{IgnoreRule, RuleFailure};
use trueup_object::{ResourceKey, Text, Value};

pub use trueup_diff::{IgnoreError, IgnoreSpec};

use crate::settings::{RuleDetail, read_rules, text, time};

/// On an object in Git: what of it is not compared. On the live object it means nothing, or whoever changes an object could
/// hide that as well.
pub const ANNOTATION: &str = "trueup.dev/ignore-differences";

/// Who said what is to be ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RuleSource {
    Application,
    Settings,
    Annotation,
}

impl RuleSource {
    /// As people and programs read it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Application => "Application",
            Self::Settings => "argocd-cm",
            Self::Annotation => "annotation",
        }
    }
}

/// One path that is ignored in some objects.
#[derive(Debug, Clone)]
pub struct Rule {
    pub source: RuleSource,
    /// `ignoreDifferences[0]`, the key of a setting, or the annotation.
    pub place: Text,
    /// With exactly one path.
    pub spec: IgnoreSpec,
    pub detail: RuleDetail,
    rule: IgnoreRule,
}

/// Rules are the same when they are written the same.
impl PartialEq for Rule {
    fn eq(&self, other: &Self) -> bool {
        let written = |rule: &Self| (rule.source, rule.place.clone(), rule.spec.clone(), rule.detail.clone());
        written(self) == written(other)
    }
}

impl Rule {
    /// A rule for each path of a spec.
    pub fn each(
        source: RuleSource,
        place: &str,
        spec: &IgnoreSpec,
        detail: &RuleDetail,
    ) -> Result<Vec<Self>, IgnoreError> {
        let one = |spec: IgnoreSpec| {
            let rule = IgnoreRule::new(&spec)?;
            Ok(Self { source, place: Text::from(place), spec, detail: detail.clone(), rule })
        };
        spec.each().map(one).collect()
    }

    /// The rule as comparing takes it.
    pub fn compiled(&self) -> &IgnoreRule {
        &self.rule
    }

    /// The pointer, jq expression or manager.
    pub fn path(&self) -> &str {
        self.spec.paths().next().unwrap_or_default()
    }

    /// The kinds that it is for.
    pub fn kinds(&self) -> String {
        let IgnoreSpec { group, kind, .. } = &self.spec;
        if group.is_empty() { kind.clone() } else { format!("{group}/{kind}") }
    }

    /// In words: where it stands, its kinds and what it hides.
    pub fn describe(&self) -> String {
        format!("{} {} {}", self.place, self.kinds(), self.path())
    }

    fn is_about(&self, key: &ResourceKey, now: Timestamp) -> bool {
        self.rule.matches(key) && !self.detail.is_over(now)
    }
}

/// The rules of an Application's `ignoreDifferences`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct IgnoreRules {
    rules: Vec<Rule>,
}

/// Who wanted a path of `ignoreDifferences` ignored, why and until when. Argo CD's definition of an Application keeps no
/// such field in the rule itself.
#[derive(Debug, Clone, PartialEq)]
pub struct PathDetail {
    /// As the rule has it.
    pub path: Text,
    /// The kind that the rule names; any, where absent.
    pub kind: Option<Text>,
    pub detail: RuleDetail,
}

impl IgnoreRules {
    /// Prepares the rules; says which one, by its place, cannot be understood.
    pub fn new(specs: Vec<IgnoreSpec>) -> Result<Self, (usize, IgnoreError)> {
        let mut rules = Vec::new();
        for (index, spec) in specs.iter().enumerate() {
            let place = format!("ignoreDifferences[{index}]");
            let each = Rule::each(RuleSource::Application, &place, spec, &RuleDetail::default());
            rules.extend(each.map_err(|error| (index, error))?);
        }
        Ok(Self { rules })
    }

    /// The same rules with what is known of them.
    pub fn with_details(mut self, details: &[PathDetail]) -> Self {
        for rule in &mut self.rules {
            let fits = |it: &&PathDetail| {
                it.path == rule.path() && it.kind.as_ref().is_none_or(|kind| *kind == rule.spec.kind)
            };
            if let Some(known) = details.iter().find(fits) {
                rule.detail = known.detail.clone();
            }
        }
        self
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
}

/// Reads what an annotation of an Application knows of its rules; in words, what is wrong with it.
pub fn path_details(text: &str) -> Result<Vec<PathDetail>, String> {
    let value = Value::from_yaml(text.as_bytes()).map_err(|error| error.to_string())?;
    let Some(items) = value.as_list() else { return Err(format!("a {}", value.type_name())) };
    items.iter().map(path_detail).collect()
}

fn path_detail(item: &Value) -> Result<PathDetail, String> {
    let Some(map) = item.as_map() else { return Err(format!("a {} in the list", item.type_name())) };
    let mut found = PathDetail { path: Text::default(), kind: None, detail: RuleDetail::default() };
    for (name, value) in map.iter() {
        match name {
            "path" => found.path = text(name, value)?,
            "kind" => found.kind = Some(text(name, value)?),
            "owner" => found.detail.owner = text(name, value)?,
            "reason" => found.detail.reason = text(name, value)?,
            "until" => found.detail.until = Some(time(value)?),
            other => return Err(format!("the field {other}")),
        }
    }
    if found.path.is_empty() { Err("an item without path".to_owned()) } else { Ok(found) }
}

/// The rules that an object in Git carries itself; in words, what is wrong with them.
pub fn of_object(target: &Value, key: &ResourceKey) -> Result<Vec<Rule>, String> {
    let Some(text) = target.str_at(&["metadata", "annotations", ANNOTATION]) else { return Ok(Vec::new()) };
    let wrong = |why: String| format!("the annotation {ANNOTATION} makes no sense: {why}");
    let value = Value::from_yaml(text.as_bytes()).map_err(|error| wrong(error.to_string()))?;
    let mut rules = Vec::new();
    for (spec, detail) in read_rules(&value, &key.group, &key.kind).map_err(wrong)? {
        let spec = IgnoreSpec { name: key.name.to_string(), namespace: key.namespace.to_string(), ..spec };
        let each = Rule::each(RuleSource::Annotation, &format!("{}/{}", key.kind, key.name), &spec, &detail);
        rules.extend(each.map_err(|error| wrong(error.to_string()))?);
    }
    Ok(rules)
}

/// The rules that are about an object now, the Application's first.
pub fn about<'a>(
    rules: impl IntoIterator<Item = &'a Rule>,
    key: &ResourceKey,
    now: Timestamp,
) -> Vec<&'a Rule> {
    rules.into_iter().filter(|rule| rule.is_about(key, now)).collect()
}

/// What one rule did in one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleMatch {
    pub source: RuleSource,
    pub place: Text,
    pub kinds: Text,
    pub path: Text,
    /// Fields that it hides, whether they differ or not.
    pub matches: usize,
    pub failure: Option<RuleFailure>,
}

impl RuleMatch {
    pub fn of(rule: &Rule, matches: usize, failure: Option<RuleFailure>) -> Self {
        Self {
            source: rule.source,
            place: rule.place.clone(),
            kinds: Text::from(rule.kinds()),
            path: Text::from(rule.path()),
            matches,
            failure,
        }
    }

    fn is(&self, count: &RuleCount) -> bool {
        (self.source, &self.place, &self.kinds, &self.path)
            == (count.source, &count.place, &count.kinds, &count.path)
    }
}

/// What one rule did in a whole application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleCount {
    pub source: RuleSource,
    pub place: Text,
    pub kinds: Text,
    pub path: Text,
    /// The objects that it is about.
    pub objects: usize,
    /// Fields that it hides in them, whether they differ or not.
    pub matches: usize,
    /// The first object in which it failed, and how.
    pub failure: Option<(ResourceKey, String)>,
    /// Its time is over: it hides nothing.
    pub over: bool,
}

impl RuleCount {
    /// As [`Rule::describe`] has it.
    pub fn describe(&self) -> String {
        format!("{} {} {}", self.place, self.kinds, self.path)
    }
}

/// What came of the rules of an application: all of its own, and those of others that are about its objects.
pub fn count<'a>(
    own: &IgnoreRules,
    objects: impl IntoIterator<Item = (&'a ResourceKey, &'a [RuleMatch])>,
    now: Timestamp,
) -> Vec<RuleCount> {
    let blank = |matched: &RuleMatch| RuleCount {
        source: matched.source,
        place: matched.place.clone(),
        kinds: matched.kinds.clone(),
        path: matched.path.clone(),
        objects: 0,
        matches: 0,
        failure: None,
        over: false,
    };
    let mut counts: Vec<RuleCount> = own
        .rules
        .iter()
        .map(|rule| RuleCount { over: rule.detail.is_over(now), ..blank(&RuleMatch::of(rule, 0, None)) })
        .collect();
    for (key, matches) in objects {
        for matched in matches {
            let known = counts.iter().position(|count| matched.is(count)).unwrap_or_else(|| {
                counts.push(blank(matched));
                counts.len() - 1
            });
            let Some(count) = counts.get_mut(known) else { continue };
            count.objects += 1;
            count.matches += matched.matches;
            if let (None, Some(failure)) = (&count.failure, &matched.failure) {
                count.failure = Some((key.clone(), failure.to_string()));
            }
        }
    }
    counts
}
