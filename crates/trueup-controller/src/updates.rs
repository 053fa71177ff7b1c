//! Which changes of live objects are news (`ignoreResourceUpdates`, compat 2.9): a change of nothing but what a rule names wakes
//! nobody.
//!
//! Only objects that a rule is about are remembered, each as one number.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use trueup_engine::settings::Settings;
use trueup_engine::status::{HealthRules, ObjectHealth};
use trueup_object::{ResourceKey, Value};

/// What was last seen of the objects of one cluster.
#[derive(Debug, Default)]
pub struct Updates {
    seen: Mutex<BTreeMap<ResourceKey, u64>>,
}

impl Updates {
    /// Whether a change of an object is a reason to look: always, unless a rule is about it and neither what the rules leave of
    /// it nor its health is another than before. `object` is nothing when it is gone or cannot be read.
    pub fn is_news(
        &self,
        key: &ResourceKey,
        object: Option<&Value>,
        settings: &Settings,
        health: HealthRules<'_>,
        now: Timestamp,
    ) -> bool {
        let newsworthy = object.and_then(|object| Some((object, settings.newsworthy(key, object, now)?)));
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((object, rest)) = newsworthy else {
            seen.remove(key);
            return true;
        };
        let mut hasher = DefaultHasher::new();
        rest.to_json().hash(&mut hasher);
        word(&health.of_object(object, now.as_second())).hash(&mut hasher);
        let digest = hasher.finish();
        seen.insert(key.clone(), digest) != Some(digest)
    }
}

/// How well it is doing, without the sentence that goes with it: of ten replicas one more is there with each event of a
/// rollout.
fn word(health: &ObjectHealth) -> &'static str {
    match health {
        ObjectHealth::Missing => "Missing",
        ObjectHealth::Unjudged => "",
        ObjectHealth::Judged(health) | ObjectHealth::Exempt(health) => health.status.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use trueup_engine::settings::ConfigData;

    use super::*;

    fn settings(rule: &str) -> Settings {
        let key = "resource.customizations.ignoreResourceUpdates.apps_Deployment".to_owned();
        Settings::read(&ConfigData::from([(key, rule.to_owned())]), &ConfigData::new())
    }

    /// A Deployment at its rollout, or with all of it done.
    fn deployment(version: i64, replicas: i64, available: i64) -> Value {
        let mut object = Value::default();
        object.set_at(&["apiVersion"], "apps/v1".into());
        object.set_at(&["kind"], "Deployment".into());
        object.set_at(&["metadata", "name"], "web".into());
        object.set_at(&["metadata", "resourceVersion"], version.to_string().into());
        object.set_at(&["spec", "replicas"], replicas.into());
        for field in ["replicas", "updatedReplicas"] {
            object.set_at(&["status", field], replicas.into());
        }
        object.set_at(&["status", "availableReplicas"], available.into());
        object
    }

    #[test]
    fn a_change_of_nothing_but_what_a_rule_names_is_no_news() {
        let (updates, key) = (Updates::default(), ResourceKey::new("apps", "Deployment", "web", "web"));
        let ruled = settings("jsonPointers: [/status]");
        let is_news = |object: Option<Value>| {
            let now = Timestamp::UNIX_EPOCH;
            updates.is_news(&key, object.as_ref(), &ruled, HealthRules::BUILTIN, now)
        };
        assert!(is_news(Some(deployment(1, 2, 0))), "it was not seen before");
        assert!(!is_news(Some(deployment(2, 2, 1))), "one more replica is there, and the rollout goes on");
        assert!(is_news(Some(deployment(3, 2, 2))), "it has become healthy");
        assert!(is_news(Some(deployment(4, 3, 3))), "somebody scaled it");
        assert!(is_news(None), "it is gone");
        assert!(is_news(Some(deployment(5, 3, 3))), "it is back");
    }

    #[test]
    fn where_no_rule_is_about_it_every_change_is_news() {
        let (updates, key) = (Updates::default(), ResourceKey::new("apps", "Deployment", "web", "web"));
        let object = deployment(1, 2, 2);
        for _ in 0..2 {
            let settings = Settings::default();
            assert!(updates.is_news(
                &key,
                Some(&object),
                &settings,
                HealthRules::BUILTIN,
                Timestamp::UNIX_EPOCH
            ));
        }
    }
}
