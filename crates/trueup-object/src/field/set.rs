//! Sets of field paths, as a trie.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use super::path::{FieldPath, PathElement};

/// A set of paths. A path can be a member itself and also have members below it, as in fieldsV1 (`"."`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldSet {
    members: BTreeSet<PathElement>,
    children: BTreeMap<PathElement, FieldSet>,
}

impl FieldSet {
    pub fn new() -> Self {
        Self::default()
    }

    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.children.values().all(Self::is_empty)
    }

    /// The elements that are members at this level.
    pub fn members(&self) -> &BTreeSet<PathElement> {
        &self.members
    }

    /// The sets below elements of this level.
    pub fn children(&self) -> &BTreeMap<PathElement, FieldSet> {
        &self.children
    }

    /// Adds a path. The root is not a member of any set.
    pub fn insert(&mut self, path: &[PathElement]) {
        match path {
            [] => {}
            [last] => {
                self.members.insert(last.clone());
            }
            [first, rest @ ..] => self.children.entry(first.clone()).or_default().insert(rest),
        }
    }

    /// Removes a path itself; what is below it stays.
    pub fn remove(&mut self, path: &[PathElement]) {
        match path {
            [] => {}
            [last] => {
                self.members.remove(last);
            }
            [first, rest @ ..] => {
                if let Some(child) = self.children.get_mut(first) {
                    child.remove(rest);
                    if child.is_empty() {
                        self.children.remove(first);
                    }
                }
            }
        }
    }

    /// Whether the path itself is a member.
    pub fn contains(&self, path: &[PathElement]) -> bool {
        match path {
            [] => false,
            [last] => self.members.contains(last),
            [first, rest @ ..] => self.children.get(first).is_some_and(|child| child.contains(rest)),
        }
    }

    /// Whether the path or anything below it is a member.
    pub fn touches(&self, path: &[PathElement]) -> bool {
        match path {
            [] => !self.is_empty(),
            [last] if self.members.contains(last) => true,
            [first, rest @ ..] => self.children.get(first).is_some_and(|child| child.touches(rest)),
        }
    }

    /// The set below an element, where there is one.
    pub fn child(&self, element: &PathElement) -> Option<&FieldSet> {
        self.children.get(element)
    }

    pub fn child_mut(&mut self, element: &PathElement) -> &mut FieldSet {
        self.children.entry(element.clone()).or_default()
    }

    pub fn union(&self, other: &Self) -> Self {
        let mut result = self.clone();
        result.extend(other);
        result
    }

    fn extend(&mut self, other: &Self) {
        self.members.extend(other.members.iter().cloned());
        for (element, below) in &other.children {
            self.children.entry(element.clone()).or_default().extend(below);
        }
    }

    pub fn intersection(&self, other: &Self) -> Self {
        let members = self.members.intersection(&other.members).cloned().collect();
        let children = self
            .children
            .iter()
            .filter_map(|(element, below)| {
                let both = below.intersection(other.children.get(element)?);
                (!both.is_empty()).then(|| (element.clone(), both))
            })
            .collect();
        Self { members, children }
    }

    /// The members of this set that are not members of the other.
    pub fn difference(&self, other: &Self) -> Self {
        let members = self.members.difference(&other.members).cloned().collect();
        let children = self
            .children
            .iter()
            .filter_map(|(element, below)| {
                let rest = other
                    .children
                    .get(element)
                    .map_or_else(|| below.clone(), |theirs| below.difference(theirs));
                (!rest.is_empty()).then(|| (element.clone(), rest))
            })
            .collect();
        Self { members, children }
    }

    /// The members of this set that are neither members of the other nor below one.
    pub fn recursive_difference(&self, other: &Self) -> Self {
        let members: BTreeSet<_> = self.members.difference(&other.members).cloned().collect();
        let children = self
            .children
            .iter()
            .filter(|(element, _)| !other.members.contains(element))
            .filter_map(|(element, below)| {
                let rest = other
                    .children
                    .get(element)
                    .map_or_else(|| below.clone(), |theirs| below.recursive_difference(theirs));
                (!rest.is_empty()).then(|| (element.clone(), rest))
            })
            .collect();
        Self { members, children }
    }

    /// Members that have no member below them.
    pub fn leaves(&self) -> Self {
        let members = self
            .members
            .iter()
            .filter(|element| self.children.get(element).is_none_or(Self::is_empty))
            .cloned()
            .collect();
        let children = self
            .children
            .iter()
            .map(|(element, below)| (element.clone(), below.leaves()))
            .filter(|(_, below)| !below.is_empty())
            .collect();
        Self { members, children }
    }

    /// Every member as a path, parents before what is below them.
    pub fn paths(&self) -> Vec<FieldPath> {
        let mut result = Vec::new();
        self.visit(&mut FieldPath::root(), &mut |path| result.push(path.clone()));
        result
    }

    fn visit(&self, prefix: &mut FieldPath, each: &mut impl FnMut(&FieldPath)) {
        let elements: BTreeSet<_> = self.members.iter().chain(self.children.keys()).collect();
        for element in elements {
            prefix.push(element.clone());
            if self.members.contains(element) {
                each(prefix);
            }
            if let Some(below) = self.children.get(element) {
                below.visit(prefix, each);
            }
            prefix.pop();
        }
    }
}

impl FromIterator<FieldPath> for FieldSet {
    fn from_iter<I: IntoIterator<Item = FieldPath>>(paths: I) -> Self {
        let mut set = Self::new();
        for path in paths {
            set.insert(path.elements());
        }
        set
    }
}
