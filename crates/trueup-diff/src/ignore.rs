//! Rules by which differences are ignored (`ignoreDifferences`).

use std::sync::Arc;

use globset::{Glob, GlobMatcher};
use trueup_merge::Managed;
use trueup_object::{JsonPointer, PointerError, ResourceKey, Text, Value};

use crate::jq::{JqError, Program};
use crate::place::{leads_to, onward};

/// A rule as people write it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IgnoreSpec {
    /// A glob; empty is the core group.
    pub group: String,
    /// A glob.
    pub kind: String,
    /// Empty: any.
    pub name: String,
    /// Empty: any.
    pub namespace: String,
    pub json_pointers: Vec<String>,
    /// Every path that one of these jq expressions names.
    pub jq_path_expressions: Vec<String>,
    /// What these field managers own.
    pub managed_fields_managers: Vec<String>,
}

impl IgnoreSpec {
    /// The same rule for each of its paths alone.
    pub fn each(&self) -> impl Iterator<Item = Self> {
        let Self { json_pointers, jq_path_expressions, managed_fields_managers, .. } = self;
        let bare = Self {
            json_pointers: Vec::new(),
            jq_path_expressions: Vec::new(),
            managed_fields_managers: Vec::new(),
            ..self.clone()
        };
        let one = |set: fn(&mut Self) -> &mut Vec<String>, path: &String| {
            let mut spec = bare.clone();
            set(&mut spec).push(path.clone());
            spec
        };
        let mut each = Vec::new();
        each.extend(json_pointers.iter().map(|path| one(|spec| &mut spec.json_pointers, path)));
        each.extend(jq_path_expressions.iter().map(|path| one(|spec| &mut spec.jq_path_expressions, path)));
        each.extend(
            managed_fields_managers.iter().map(|path| one(|spec| &mut spec.managed_fields_managers, path)),
        );
        each.into_iter()
    }

    /// Pointers, expressions and managers, as written.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        let Self { json_pointers, jq_path_expressions, managed_fields_managers, .. } = self;
        let all = json_pointers.iter().chain(jq_path_expressions).chain(managed_fields_managers);
        all.map(String::as_str)
    }
}

/// A rule, ready for use.
#[derive(Debug, Clone)]
pub struct IgnoreRule {
    group: Wanted,
    kind: Wanted,
    name: Option<Text>,
    namespace: Option<Text>,
    selectors: Vec<Selector>,
}

/// The groups or kinds that a rule is about.
#[derive(Debug, Clone)]
enum Wanted {
    /// What most rules say. To make a glob of it takes a hundred times as long as everything else that a rule needs.
    Exactly(Text),
    Alike(GlobMatcher),
}

impl Wanted {
    fn new(pattern: &str) -> Result<Self, IgnoreError> {
        if pattern.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')) {
            return Ok(Self::Exactly(Text::from(pattern)));
        }
        let glob = Glob::new(pattern);
        let glob = glob.map_err(|source| IgnoreError::Pattern { pattern: pattern.to_owned(), source })?;
        Ok(Self::Alike(glob.compile_matcher()))
    }

    fn is_match(&self, name: &str) -> bool {
        match self {
            Self::Exactly(wanted) => wanted == name,
            Self::Alike(glob) => glob.is_match(name),
        }
    }
}

/// What a rule hides.
#[derive(Debug, Clone)]
enum Selector {
    Pointer(JsonPointer),
    Jq(Arc<Program>),
    /// What a field manager owns.
    Manager(Text),
}

/// A rule that cannot be understood.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IgnoreError {
    #[error("not a pattern: {pattern:?}")]
    Pattern { pattern: String, source: globset::Error },
    #[error(transparent)]
    Pointer(#[from] PointerError),
    #[error(transparent)]
    Jq(#[from] JqError),
}

impl IgnoreError {
    /// What its author can do about it.
    pub fn remedy(&self) -> String {
        format!("write {}", self.expected())
    }

    /// What should stand there.
    pub fn expected(&self) -> &'static str {
        match self {
            Self::Pattern { .. } => "the name of the group or kind, with * as a wildcard",
            Self::Pointer(_) => "a pointer such as /spec/replicas, with ~1 for a slash in a name",
            Self::Jq(_) => "what `gojq 'del(EXPRESSION)'` accepts",
        }
    }
}

/// A rule that does not work on an object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleFailure {
    /// It fails there, and hides nothing of it, as in Argo CD.
    #[error("{0}")]
    Error(String),
    /// It needs more steps, depth or memory than a rule may have: what it hides is not known.
    #[error("{0}")]
    Exhausted(String),
}

/// Places that are hidden, in each side of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hidden {
    pub target: Vec<JsonPointer>,
    pub live: Vec<JsonPointer>,
}

/// What one rule hides of one object.
#[derive(Debug, Default)]
pub(crate) struct Hides {
    pub places: Hidden,
    managers: Vec<Text>,
    /// Fields that it hides, whether they differ or not.
    pub matches: usize,
    pub failure: Option<RuleFailure>,
}

impl IgnoreRule {
    pub fn new(spec: &IgnoreSpec) -> Result<Self, IgnoreError> {
        let IgnoreSpec {
            group,
            kind,
            name,
            namespace,
            json_pointers,
            jq_path_expressions,
            managed_fields_managers,
        } = spec;
        let some = |text: &str| (!text.is_empty()).then(|| Text::from(text));
        let mut selectors = Vec::new();
        for pointer in json_pointers {
            selectors.push(Selector::Pointer(JsonPointer::parse(pointer)?));
        }
        for expression in jq_path_expressions {
            selectors.push(Selector::Jq(Program::new(expression)?));
        }
        selectors.extend(managed_fields_managers.iter().map(|name| Selector::Manager(Text::from(name))));
        Ok(Self {
            group: Wanted::new(group)?,
            kind: Wanted::new(kind)?,
            name: some(name),
            namespace: some(namespace),
            selectors,
        })
    }

    /// Whether the rule is about an object.
    pub fn matches(&self, key: &ResourceKey) -> bool {
        self.group.is_match(key.group.as_str())
            && self.kind.is_match(key.kind.as_str())
            && self.name.as_ref().is_none_or(|name| *name == key.name)
            && self.namespace.as_ref().is_none_or(|namespace| *namespace == key.namespace)
    }

    /// The places that the rule names in an object; none where it fails.
    pub(crate) fn places(&self, object: &Value) -> Vec<JsonPointer> {
        let each = self.selectors.iter().flat_map(|selector| match selector {
            Selector::Pointer(pointer) => pointer.get(object).map(|_| pointer.clone()).into_iter().collect(),
            Selector::Jq(program) => program.places(object).unwrap_or_default(),
            Selector::Manager(_) => Vec::new(),
        });
        each.collect()
    }

    /// What the rule hides of an object.
    pub(crate) fn hides(&self, target: &Value, live: &Value, managed: &Managed<'_>) -> Hides {
        let mut hides = Hides::default();
        for selector in &self.selectors {
            match selector {
                Selector::Pointer(pointer) => {
                    let found = [(target, &mut hides.places.target), (live, &mut hides.places.live)];
                    let found = found.map(|(object, places)| {
                        let there = pointer.get(object).is_some();
                        places.extend(there.then(|| pointer.clone()));
                        there
                    });
                    hides.matches += usize::from(found.contains(&true));
                }
                Selector::Jq(program) => hides.add(program, target, live),
                Selector::Manager(name) => {
                    let entries =
                        managed.fields().entries.iter().filter(|entry| entry.manager.as_str() == name);
                    hides.matches += entries.map(|entry| entry.fields.paths().len()).sum::<usize>();
                    hides.managers.push(name.clone());
                }
            }
        }
        hides
    }
}

impl Hides {
    /// Each side by itself: an expression that fails on one may name something of the other.
    fn add(&mut self, program: &Program, target: &Value, live: &Value) {
        let (of_target, of_live) = (program.places(target), program.places(live));
        // What is not known weighs more than what is known to be nothing.
        let mut failures: Vec<&RuleFailure> =
            [&of_live, &of_target].into_iter().filter_map(|places| places.as_ref().err()).collect();
        failures.sort_by_key(|failure| !matches!(failure, RuleFailure::Exhausted(_)));
        self.failure = failures.first().map(|failure| (*failure).clone());
        let (of_target, of_live) = (of_target.unwrap_or_default(), of_live.unwrap_or_default());
        self.matches += of_target.len().max(of_live.len());
        self.places.target.extend(of_target);
        self.places.live.extend(of_live);
    }

    /// Whether a field that these managers own is hidden.
    pub fn owned_by<'a>(&self, mut managers: impl Iterator<Item = &'a str>) -> bool {
        !self.managers.is_empty() && managers.any(|owner| self.managers.iter().any(|name| name == owner))
    }
}

impl Hidden {
    pub fn is_empty(&self) -> bool {
        self.target.is_empty() && self.live.is_empty()
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.target.extend(other.target.iter().cloned());
        self.live.extend(other.live.iter().cloned());
    }

    /// Whether a place is hidden as a whole, in either side.
    pub(crate) fn covers(&self, target: &JsonPointer, live: &JsonPointer) -> bool {
        self.live.iter().any(|pointer| leads_to(pointer, live))
            || self.target.iter().any(|pointer| leads_to(pointer, target))
    }
}

/// A value at a place without what is hidden of it; `None` where nothing of it is.
pub(crate) fn without_hidden(value: &Value, place: &JsonPointer, hidden: &[JsonPointer]) -> Option<Value> {
    let mut inner: Vec<_> = hidden
        .iter()
        .filter_map(|pointer| onward(place, pointer))
        .filter(|inner| inner.get(value).is_some())
        .collect();
    if inner.is_empty() {
        return None;
    }
    remove_all(&mut inner, value)
}

/// An object without what rules name in it, wherever it is. Where a rule fails nothing is taken out.
pub fn without_ignored(object: &Value, rules: &[&IgnoreRule]) -> Value {
    let mut places: Vec<JsonPointer> = rules.iter().flat_map(|rule| rule.places(object)).collect();
    places.sort();
    places.dedup();
    remove_all(&mut places, object).unwrap_or_default()
}

/// Removes from the end, so that what is taken out of a list moves nothing that is still to be taken out.
fn remove_all(pointers: &mut [JsonPointer], value: &Value) -> Option<Value> {
    pointers.sort_by(|left, right| in_order(right, left));
    let mut rest = value.clone();
    for pointer in pointers {
        pointer.remove(&mut rest);
    }
    Some(rest)
}

/// Indexes by their numbers, names by their text.
pub(crate) fn in_order(left: &JsonPointer, right: &JsonPointer) -> std::cmp::Ordering {
    let token = |token: &Text| (token.parse::<usize>().ok(), token.clone());
    left.tokens().iter().map(token).cmp(right.tokens().iter().map(token))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn matches(spec: IgnoreSpec, key: &ResourceKey) -> bool {
        IgnoreRule::new(&spec).unwrap().matches(key)
    }

    #[test]
    fn rules_choose_objects_by_globs_and_names() {
        let spec = |group: &str, kind: &str, name: &str, namespace: &str| IgnoreSpec {
            group: group.into(),
            kind: kind.into(),
            name: name.into(),
            namespace: namespace.into(),
            ..IgnoreSpec::default()
        };
        let web = ResourceKey::new("apps", "Deployment", "shop", "web");
        let map = ResourceKey::new("", "ConfigMap", "shop", "flags");
        assert!(matches(spec("apps", "Deployment", "", ""), &web));
        assert!(matches(spec("*", "*", "", ""), &web));
        assert!(matches(spec("*", "*", "", ""), &map));
        assert!(matches(spec("", "ConfigMap", "flags", "shop"), &map));
        assert!(matches(spec("ap?s", "{Deployment,StatefulSet}", "", "shop"), &web));
        assert!(!matches(spec("", "Deployment", "", ""), &web));
        assert!(!matches(spec("apps/v1", "Deployment", "", ""), &web));
        assert!(!matches(spec("apps", "Deployment", "api", ""), &web));
        assert!(!matches(spec("apps", "Deployment", "", "prod"), &web));
    }

    #[test]
    fn what_cannot_be_understood_is_an_error() {
        let bad_pointer = IgnoreSpec { json_pointers: vec!["spec/replicas".into()], ..IgnoreSpec::default() };
        assert!(matches!(IgnoreRule::new(&bad_pointer), Err(IgnoreError::Pointer(_))));
        let bad_glob = IgnoreSpec { kind: "[".into(), ..IgnoreSpec::default() };
        assert!(matches!(IgnoreRule::new(&bad_glob), Err(IgnoreError::Pattern { .. })));
    }
}
