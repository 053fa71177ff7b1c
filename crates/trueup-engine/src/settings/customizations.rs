//! `resource.customizations`, as one map and as split keys.

use trueup_object::{Text, Value};

use super::rule::read_rules;
use super::{ARGOCD, ConfigData, HealthScript, KindPattern, KnownTypeField, Settings, SettingsProblem};
use crate::ignore::{Rule, RuleSource};

const WHOLE: &str = "resource.customizations";

/// The types of customization, as split keys name them.
const TYPES: [&str; 6] =
    ["ignoreDifferences", "ignoreResourceUpdates", "knownTypeFields", "health", "useOpenLibs", "actions"];

/// Where an entry stands.
struct Place<'a> {
    key: &'a str,
    kinds: KindPattern,
}

pub(super) fn read(argocd: &ConfigData, settings: &mut Settings) {
    if let Some(text) = argocd.get(WHOLE) {
        whole(text, settings);
    }
    for (key, text) in argocd {
        let Some(rest) = key.strip_prefix("resource.customizations.") else { continue };
        let Some((name, kinds)) = rest.split_once('.') else {
            settings.problem(
                ARGOCD,
                key,
                None,
                "no kind is named",
                "write resource.customizations.TYPE.GROUP_KIND",
            );
            continue;
        };
        let (group, kind) = match kinds.split_once('_') {
            _ if kinds == "all" => ("*", "*"),
            Some((group, kind)) => (group, kind),
            None => ("", kinds),
        };
        let Some(kinds) = pattern(group, kind, key, settings) else { continue };
        split(&Place { key, kinds }, name, text, settings);
    }
    libraries(argocd, settings);
}

fn pattern(group: &str, kind: &str, key: &str, settings: &mut Settings) -> Option<KindPattern> {
    match KindPattern::new(group, kind) {
        Ok(kinds) => Some(kinds),
        Err(error) => {
            settings.problem(ARGOCD, key, None, error.to_string(), "name the kind, or use * as a wildcard");
            None
        }
    }
}

/// The one map: `group/Kind` to its customizations.
fn whole(text: &str, settings: &mut Settings) {
    let everything = || KindPattern::new("*", "*").ok();
    let value = match Value::from_yaml(text.as_bytes()) {
        Ok(value) => value,
        Err(error) => {
            let remedy = "correct the YAML; until then none of it holds";
            settings.problems.push(SettingsProblem {
                hides: text.contains("ignoreDifferences").then(everything).flatten(),
                ..problem(WHOLE, Some(error.line), error.message, remedy)
            });
            return;
        }
    };
    let Some(map) = value.as_map() else {
        if !value.is_null() {
            settings.problem(
                ARGOCD,
                WHOLE,
                None,
                format!("found a {}", value.type_name()),
                "write a map of kinds",
            );
        }
        return;
    };
    for (name, customizations) in map.iter() {
        let (group, kind) = name.split_once('/').unwrap_or(("", name));
        let key = format!("{WHOLE} {name}");
        let Some(kinds) = pattern(group, kind, &key, settings) else { continue };
        let place = Place { key: &key, kinds };
        for (field, value) in customizations.as_map().into_iter().flat_map(|map| map.iter()) {
            in_map(&place, field, value, customizations, settings);
        }
    }
}

fn in_map(place: &Place<'_>, field: &str, value: &Value, all: &Value, settings: &mut Settings) {
    match (field, value.as_str()) {
        ("health.lua", Some(lua)) => {
            let open_libs = all.get("health.lua.useOpenLibs").and_then(Value::as_bool).unwrap_or_default();
            settings.health.push((place.kinds.clone(), HealthScript { lua: Text::from(lua), open_libs }));
        }
        ("health.lua.useOpenLibs", _) => {}
        ("actions", Some(text)) => settings.actions.push((place.kinds.clone(), Text::from(text))),
        // Argo CD has YAML as text here; YAML itself is as clear.
        ("ignoreDifferences" | "ignoreResourceUpdates" | "knownTypeFields", Some(text)) => {
            split(place, field, text, settings);
        }
        ("ignoreDifferences" | "ignoreResourceUpdates" | "knownTypeFields", None) => {
            parsed(place, field, value, settings);
        }
        (_, _) => settings.problem(
            ARGOCD,
            place.key,
            None,
            format!("{field} is not known, or is no text"),
            "write health.lua, actions, ignoreDifferences, ignoreResourceUpdates or knownTypeFields",
        ),
    }
}

fn split(place: &Place<'_>, name: &str, text: &str, settings: &mut Settings) {
    match name {
        "health" => {
            let script = HealthScript { lua: Text::from(text), open_libs: false };
            settings.health.push((place.kinds.clone(), script));
        }
        "actions" => settings.actions.push((place.kinds.clone(), Text::from(text))),
        "useOpenLibs" => {}
        "ignoreDifferences" | "ignoreResourceUpdates" | "knownTypeFields" => {
            match Value::from_yaml(text.as_bytes()) {
                Ok(value) => parsed(place, name, &value, settings),
                Err(error) => settings.problems.push(SettingsProblem {
                    hides: (name == "ignoreDifferences").then(|| place.kinds.clone()),
                    ..problem(place.key, Some(error.line), error.message, "correct the YAML")
                }),
            }
        }
        other => {
            let message = format!("there is no customization {other}");
            settings.problem(ARGOCD, place.key, None, message, format!("use one of {}", TYPES.join(", ")));
        }
    }
}

fn parsed(place: &Place<'_>, name: &str, value: &Value, settings: &mut Settings) {
    if name == "knownTypeFields" {
        return known_types(place, value, settings);
    }
    let Place { key, kinds } = place;
    let hides = (name == "ignoreDifferences").then(|| kinds.clone());
    let rules = match read_rules(value, &kinds.group, &kinds.kind) {
        Ok(rules) => rules,
        Err(message) => {
            let remedy = "write lists named jsonPointers, jqPathExpressions and managedFieldsManagers";
            settings.problems.push(SettingsProblem { hides, ..problem(key, None, message, remedy) });
            return;
        }
    };
    for (spec, detail) in rules {
        match Rule::each(RuleSource::Settings, key, &spec, &detail) {
            Ok(rules) if name == "ignoreDifferences" => settings.ignore.extend(rules),
            Ok(rules) => settings.ignore_updates.extend(rules),
            Err(error) => {
                let found = problem(key, None, error.to_string(), &error.remedy());
                settings.problems.push(SettingsProblem { hides: hides.clone(), ..found });
            }
        }
    }
}

fn known_types(place: &Place<'_>, value: &Value, settings: &mut Settings) {
    for item in value.as_list().unwrap_or_default() {
        match (item.str_at(&["field"]), item.str_at(&["type"])) {
            (Some(field), Some(type_name)) => {
                let known = KnownTypeField { field: Text::from(field), type_name: Text::from(type_name) };
                settings.known_types.push((place.kinds.clone(), known));
            }
            (_, _) => {
                let message = format!("found {}", item.to_json());
                settings.problem(ARGOCD, place.key, None, message, "write items of {field, type}");
            }
        }
    }
}

/// `useOpenLibs` belongs to the health check of the same kind, whichever key comes first.
fn libraries(argocd: &ConfigData, settings: &mut Settings) {
    for (key, value) in argocd {
        let Some(kinds) = key.strip_prefix("resource.customizations.useOpenLibs.") else { continue };
        let (group, kind) = match kinds.split_once('_') {
            _ if kinds == "all" => ("*", "*"),
            Some((group, kind)) => (group, kind),
            None => ("", kinds),
        };
        let Ok(open_libs) = value.trim().parse::<bool>() else {
            settings.problem(ARGOCD, key, None, format!("found `{value}`"), "write true or false");
            continue;
        };
        for (pattern, script) in &mut settings.health {
            if pattern.group == group && pattern.kind == kind {
                script.open_libs = open_libs;
            }
        }
    }
}

fn problem(key: &str, line: Option<usize>, message: String, remedy: &str) -> SettingsProblem {
    SettingsProblem {
        config_map: ARGOCD,
        key: key.to_owned(),
        line,
        message,
        remedy: remedy.to_owned(),
        hides: None,
    }
}
