//! Which script judges a kind, and which act on it.
//!
//! What the settings say goes before what a directory has, and an exact kind before a pattern.

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_engine::settings::{self, ARGOCD, KindPattern, Settings};
use trueup_object::{GroupKind, Text, Value};

/// One script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Script {
    pub lua: Arc<str>,
    /// Where it comes from: `argocd-cm`, or a file.
    pub source: Text,
    /// How its messages name it.
    pub chunk: &'static str,
    /// Whether it has `string` and `math` too. Argo CD withholds these from scripts of the settings that do not ask.
    pub open_libs: bool,
}

/// The actions of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ActionSet {
    pub discovery: Option<Script>,
    pub actions: BTreeMap<String, Script>,
    /// Whether the actions of the directory are offered beside these.
    pub is_merged: bool,
}

/// Something in the settings that is left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {message}")]
pub struct Problem {
    pub place: String,
    pub message: String,
}

/// The scripts in force.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Library {
    health: Vec<(KindPattern, Script)>,
    actions: Vec<(KindPattern, ActionSet)>,
    pub(crate) files: Files,
}

/// What a directory has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Files {
    pub health: ByKind<Script>,
    pub actions: ByKind<ActionSet>,
}

/// Things by group and kind, of which either may have `_` for any text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ByKind<T> {
    exact: BTreeMap<GroupKind, T>,
    /// In the order of their names.
    wildcard: BTreeMap<GroupKind, T>,
}

impl<T> Default for ByKind<T> {
    fn default() -> Self {
        Self { exact: BTreeMap::new(), wildcard: BTreeMap::new() }
    }
}

impl<T: Default> ByKind<T> {
    pub fn entry(&mut self, group: &str, kind: &str) -> &mut T {
        let key = GroupKind { group: Text::from(group), kind: Text::from(kind) };
        let map =
            if group.contains('_') || kind.contains('_') { &mut self.wildcard } else { &mut self.exact };
        map.entry(key).or_default()
    }
}

impl<T> ByKind<T> {
    pub fn insert(&mut self, group: &str, kind: &str, it: T) {
        let key = GroupKind { group: Text::from(group), kind: Text::from(kind) };
        let map =
            if group.contains('_') || kind.contains('_') { &mut self.wildcard } else { &mut self.exact };
        map.insert(key, it);
    }

    pub fn get(&self, kind: &GroupKind) -> Option<&T> {
        self.exact.get(kind).or_else(|| {
            let fits = |pattern: &GroupKind| {
                is_like(&pattern.group, &kind.group) && is_like(&pattern.kind, &kind.kind)
            };
            self.wildcard.iter().find(|(pattern, _)| fits(pattern)).map(|(_, it)| it)
        })
    }

    pub fn len(&self) -> usize {
        self.exact.len() + self.wildcard.len()
    }
}

/// Whether a name fits a pattern with `_` for any text.
fn is_like(pattern: &str, name: &str) -> bool {
    let Some((head, tail)) = pattern.split_once('_') else { return pattern == name };
    let Some(rest) = name.strip_prefix(head) else { return false };
    rest.char_indices()
        .map(|(at, _)| at)
        .chain([rest.len()])
        .any(|at| rest.get(at..).is_some_and(|rest| is_like(tail, rest)))
}

impl Library {
    /// The scripts of the settings; says what of them is left out.
    pub fn of_settings(settings: &Settings) -> (Self, Vec<Problem>) {
        let health = settings
            .health
            .iter()
            .filter(|(_, script)| !script.lua.trim().is_empty())
            .map(|(kinds, script)| (kinds.clone(), of_text(&script.lua, "health.lua", script.open_libs)))
            .collect();
        let mut problems = Vec::new();
        let mut actions = Vec::new();
        for (kinds, text) in settings.actions.iter().filter(|(_, text)| !text.trim().is_empty()) {
            match action_set(text) {
                Ok(set) => actions.push((kinds.clone(), set)),
                Err(message) => {
                    let place = format!("{ARGOCD} resource.customizations.actions of {kinds}");
                    problems.push(Problem { place, message });
                }
            }
        }
        (Self { health, actions, files: Files::default() }, problems)
    }

    /// The same with the files of another library.
    pub fn with_files_of(mut self, other: &Self) -> Self {
        self.files = other.files.clone();
        self
    }

    /// The script that judges a kind.
    pub(crate) fn health(&self, kind: &GroupKind) -> Option<&Script> {
        settings::about(&self.health, kind).or_else(|| self.files.health.get(kind))
    }

    /// The scripts that list the actions of a kind.
    pub(crate) fn discoveries(&self, kind: &GroupKind) -> Vec<&Script> {
        let (own, others) = (self.own_actions(kind), self.files.actions.get(kind));
        let others = others.filter(|_| own.is_none_or(|own| own.is_merged));
        own.into_iter().chain(others).filter_map(|set| set.discovery.as_ref()).collect()
    }

    /// The script of an action.
    pub(crate) fn action(&self, kind: &GroupKind, name: &str) -> Option<&Script> {
        self.own_actions(kind)
            .and_then(|own| own.actions.get(name))
            .or_else(|| self.files.actions.get(kind).and_then(|set| set.actions.get(name)))
    }

    /// Actions of the settings are for kinds by name: Argo CD knows no patterns here.
    fn own_actions(&self, kind: &GroupKind) -> Option<&ActionSet> {
        self.actions
            .iter()
            .find(|(pattern, _)| pattern.group == kind.group && pattern.kind == kind.kind)
            .map(|(_, set)| set)
    }

    /// How many kinds have a script that judges them.
    pub fn n_health(&self) -> usize {
        self.health.len() + self.files.health.len()
    }
}

fn of_text(lua: &str, chunk: &'static str, open_libs: bool) -> Script {
    Script { lua: Arc::from(lua), source: Text::from(ARGOCD), chunk, open_libs }
}

/// `discovery.lua`, `definitions` and `mergeBuiltinActions`, as YAML.
fn action_set(text: &str) -> Result<ActionSet, String> {
    let value = Value::from_yaml(text.as_bytes())
        .map_err(|error| format!("line {}: {}; correct the YAML", error.line, error.message))?;
    if value.as_map().is_none() {
        return Err(format!("found a {}; write discovery.lua and definitions", value.type_name()));
    }
    let mut set = ActionSet {
        discovery: value
            .str_at(&["discovery.lua"])
            .filter(|lua| !lua.trim().is_empty())
            .map(|lua| of_text(lua, "discovery.lua", false)),
        actions: BTreeMap::new(),
        is_merged: value.at(&["mergeBuiltinActions"]).and_then(Value::as_bool).unwrap_or_default(),
    };
    for definition in value.list_at(&["definitions"]) {
        match (definition.str_at(&["name"]), definition.str_at(&["action.lua"])) {
            (Some(name), Some(lua)) => {
                set.actions.insert(name.to_owned(), of_text(lua, "action.lua", false));
            }
            (_, _) => return Err("a definition without name or action.lua; write both".to_owned()),
        }
    }
    Ok(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_underscore_stands_for_any_text() {
        for (pattern, name, expected) in [
            ("_.upbound.io", "s3.aws.upbound.io", true),
            ("_.upbound.io", "upbound.io", false),
            ("_", "Anything", true),
            ("_", "", true),
            ("a_b_c", "aXbYc", true),
            ("a_b_c", "aXbY", false),
            ("Exact", "Exact", true),
            ("Exact", "Exacter", false),
            ("_ä", "öä", true),
        ] {
            assert_eq!(is_like(pattern, name), expected, "{pattern} {name}");
        }
    }
}
