//! Changes of live objects that are no reason to look again: `ignoreResourceUpdates` and what goes with it (compat 2.9).

use jiff::Timestamp;
use trueup_diff::{IgnoreRule, without_ignored};
use trueup_object::{ResourceKey, Value};

use super::{ARGOCD, ConfigData, Settings};
use crate::ignore::{self, Rule};

const ENABLED: &str = "resource.ignoreResourceUpdatesEnabled";

/// What every write changes.
const ALWAYS: [&str; 3] = ["resourceVersion", "generation", "managedFields"];

pub(super) fn read(argocd: &ConfigData, settings: &mut Settings) {
    match argocd.get(ENABLED).map(|text| text.trim()) {
        None | Some("" | "true") => {}
        Some("false") => settings.ignores_updates = false,
        Some(other) => {
            settings.problem(ARGOCD, ENABLED, None, format!("found `{other}`"), "write true or false");
        }
    }
}

impl Settings {
    /// Whether a rule may be about objects of a key, so that a change of one may be no news.
    pub fn may_be_no_news(&self, key: &ResourceKey) -> bool {
        self.ignores_updates && self.update_rules().any(|rule| rule.compiled().matches(key))
    }

    fn update_rules(&self) -> impl Iterator<Item = &Rule> {
        let hidden = self.ignore.iter().filter(|_| self.compare.ignore_differences_on_updates);
        self.ignore_updates.iter().chain(hidden)
    }

    /// What of a live object is worth a look when it changes; nothing where every change of it is, because no rule says
    /// otherwise.
    pub fn newsworthy(&self, key: &ResourceKey, object: &Value, now: Timestamp) -> Option<Value> {
        if !self.ignores_updates {
            return None;
        }
        let rules = ignore::about(self.update_rules(), key, now);
        if rules.is_empty() {
            return None;
        }
        let compiled: Vec<&IgnoreRule> = rules.iter().map(|rule| rule.compiled()).collect();
        let mut rest = without_ignored(object, &compiled);
        for name in ALWAYS {
            rest.remove_at(&["metadata", name]);
        }
        Some(rest)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::fixture::{now, value};

    fn settings(entries: &[(&str, &str)]) -> Settings {
        let data = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Settings::read(&data, &ConfigData::new())
    }

    fn map(version: u32, beat: u32, mode: &str) -> Value {
        value(&format!(
            "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: a, namespace: web, resourceVersion: '{version}'}}, \
             data: {{beat: '{beat}', mode: {mode}}}}}"
        ))
    }

    fn same(settings: &Settings, one: &Value, other: &Value) -> Option<bool> {
        let key = ResourceKey::of(one).unwrap();
        let of = |object| settings.newsworthy(&key, object, now());
        Some(of(one)? == of(other)?)
    }

    const RULE: (&str, &str) =
        ("resource.customizations.ignoreResourceUpdates.ConfigMap", "jsonPointers: [/data/beat]");

    #[test]
    fn what_a_rule_names_and_what_every_write_changes_is_no_news() {
        let ruled = settings(&[RULE]);
        assert_eq!(same(&ruled, &map(1, 1, "a"), &map(2, 2, "a")), Some(true));
        assert_eq!(same(&ruled, &map(1, 1, "a"), &map(2, 2, "b")), Some(false));
        assert_eq!(same(&settings(&[]), &map(1, 1, "a"), &map(2, 2, "a")), None, "no rule is about it");
        let other =
            settings(&[("resource.customizations.ignoreResourceUpdates.Secret", "jsonPointers: [/data]")]);
        assert_eq!(same(&other, &map(1, 1, "a"), &map(2, 2, "a")), None);
    }

    #[test]
    fn what_is_never_compared_is_no_news_either_unless_an_option_says_so() {
        let hidden = ("resource.customizations.ignoreDifferences.ConfigMap", "jsonPointers: [/data/beat]");
        assert_eq!(same(&settings(&[hidden]), &map(1, 1, "a"), &map(2, 2, "a")), Some(true));
        let off = ("resource.compareoptions", "ignoreDifferencesOnResourceUpdates: false");
        assert_eq!(same(&settings(&[hidden, off]), &map(1, 1, "a"), &map(2, 2, "a")), None);
    }

    #[test]
    fn the_switch_makes_every_change_news() {
        let off = settings(&[RULE, (ENABLED, "false")]);
        assert_eq!(same(&off, &map(1, 1, "a"), &map(2, 2, "a")), None);
        assert_eq!(settings(&[(ENABLED, "perhaps")]).problems.len(), 1);
    }
}
