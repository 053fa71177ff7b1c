//! Rules by which differences are ignored (`ignoreDifferences`).

use globset::{Glob, GlobMatcher};
use trueup_object::{JsonPointer, PointerError, ResourceKey, Text, Value};

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

/// A rule, ready for use.
#[derive(Debug, Clone)]
pub struct IgnoreRule {
    group: GlobMatcher,
    kind: GlobMatcher,
    name: Option<Text>,
    namespace: Option<Text>,
    selectors: Vec<Selector>,
}

/// What a rule hides.
#[derive(Debug, Clone)]
enum Selector {
    Pointer(JsonPointer),
}

/// A rule that cannot be understood.
#[derive(Debug, Clone, thiserror::Error)]
pub enum IgnoreError {
    #[error("not a pattern: {pattern:?}")]
    Pattern { pattern: String, source: globset::Error },
    #[error(transparent)]
    Pointer(#[from] PointerError),
}

impl IgnoreError {
    /// What its author can do about it.
    pub fn remedy(&self) -> String {
        match self {
            Self::Pattern { .. } => "write the name of the group or kind, or use * as a wildcard".to_owned(),
            Self::Pointer(_) => {
                "write a pointer such as /spec/replicas, with ~1 for a slash in a name".to_owned()
            }
        }
    }
}

impl IgnoreRule {
    pub fn new(spec: &IgnoreSpec) -> Result<Self, IgnoreError> {
        let IgnoreSpec {
            group,
            kind,
            name,
            namespace,
            json_pointers,
            jq_path_expressions: _,
            managed_fields_managers: _,
        } = spec;
        let some = |text: &str| (!text.is_empty()).then(|| Text::from(text));
        let selectors = json_pointers
            .iter()
            .map(|pointer| Ok(Selector::Pointer(JsonPointer::parse(pointer)?)))
            .collect::<Result<_, PointerError>>()?;
        Ok(Self {
            group: glob(group)?,
            kind: glob(kind)?,
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

    /// How many fields of an object, as Git wants it or as it is, the rule hides.
    pub(crate) fn count(&self, target: &Value, live: &Value) -> usize {
        self.pointers().filter(|pointer| pointer.get(target).or_else(|| pointer.get(live)).is_some()).count()
    }

    /// Whether the rule hides a place as a whole.
    pub(crate) fn hides(&self, place: &JsonPointer) -> bool {
        self.pointers().any(|pointer| leads_to(pointer, place))
    }

    /// A value at a place without what the rule hides of it; `None` where it hides nothing of it.
    pub(crate) fn without_hidden(&self, value: &Value, place: &JsonPointer) -> Option<Value> {
        let hidden: Vec<_> = self
            .pointers()
            .filter_map(|pointer| onward(place, pointer))
            .filter(|inner| inner.get(value).is_some())
            .collect();
        if hidden.is_empty() {
            return None;
        }
        let mut rest = value.clone();
        for inner in &hidden {
            inner.remove(&mut rest);
        }
        Some(rest)
    }

    fn pointers(&self) -> impl Iterator<Item = &JsonPointer> {
        self.selectors.iter().map(|selector| match selector {
            Selector::Pointer(pointer) => pointer,
        })
    }
}

fn glob(pattern: &str) -> Result<GlobMatcher, IgnoreError> {
    Glob::new(pattern)
        .map(|glob| glob.compile_matcher())
        .map_err(|source| IgnoreError::Pattern { pattern: pattern.to_owned(), source })
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
