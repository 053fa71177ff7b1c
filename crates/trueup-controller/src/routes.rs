//! From an object to the applications that it concerns: those whose mark it carries and those that name it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use trueup_engine::app::AppKey;
use trueup_object::{GroupKind, ResourceKey, Text};

/// Which applications care about which objects. Shared between the router and the workers.
#[derive(Debug, Clone, Default)]
pub struct Routes {
    tables: Arc<RwLock<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    by_instance: BTreeMap<Text, AppKey>,
    by_target: BTreeMap<ResourceKey, BTreeSet<AppKey>>,
    targets_of: BTreeMap<AppKey, BTreeSet<ResourceKey>>,
}

impl Routes {
    /// Sets which objects an application names, and how marks name it.
    pub fn set(&self, app: &AppKey, instance: &Text, targets: BTreeSet<ResourceKey>) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.by_instance.insert(instance.clone(), app.clone());
        let before = tables.targets_of.insert(app.clone(), targets.clone()).unwrap_or_default();
        for gone in before.difference(&targets) {
            if let Some(apps) = tables.by_target.get_mut(gone) {
                apps.remove(app);
                if apps.is_empty() {
                    tables.by_target.remove(gone);
                }
            }
        }
        for key in targets {
            tables.by_target.entry(key).or_default().insert(app.clone());
        }
    }

    /// Forgets an application.
    pub fn forget(&self, app: &AppKey) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.by_instance.retain(|_, known| known != app);
        for key in tables.targets_of.remove(app).unwrap_or_default() {
            if let Some(apps) = tables.by_target.get_mut(&key) {
                apps.remove(app);
            }
        }
        tables.by_target.retain(|_, apps| !apps.is_empty());
    }

    /// Whether any application names the object.
    pub fn names(&self, key: &ResourceKey) -> bool {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).by_target.contains_key(key)
    }

    /// The application that a mark names.
    pub fn of_instance(&self, instance: &str) -> Option<AppKey> {
        self.tables.read().unwrap_or_else(PoisonError::into_inner).by_instance.get(instance).cloned()
    }

    /// The applications that name the object.
    pub fn of_target(&self, key: &ResourceKey) -> Vec<AppKey> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        tables.by_target.get(key).map(|apps| apps.iter().cloned().collect()).unwrap_or_default()
    }

    /// The applications that name any object of a kind.
    pub fn of_kind(&self, kind: &GroupKind) -> Vec<AppKey> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let concerned = tables.targets_of.iter().filter(|(_, targets)| {
            targets.iter().any(|key| key.group == kind.group && key.kind == kind.kind)
        });
        concerned.map(|(app, _)| app.clone()).collect()
    }

    /// The applications that name any object in a namespace.
    pub fn in_namespace(&self, namespace: &str) -> Vec<AppKey> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let concerned = tables
            .targets_of
            .iter()
            .filter(|(_, targets)| targets.iter().any(|key| key.namespace == namespace));
        concerned.map(|(app, _)| app.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_leads_to_those_that_name_it() {
        let routes = Routes::default();
        let (shop, other) = (AppKey::new("argocd", "shop"), AppKey::new("argocd", "other"));
        let key = |name| ResourceKey::new("", "ConfigMap", "web", name);
        routes.set(&shop, &Text::from("shop"), BTreeSet::from([key("a"), key("b")]));
        routes.set(&other, &Text::from("other"), BTreeSet::from([key("b")]));
        assert_eq!(routes.of_target(&key("b")), [other.clone(), shop.clone()]);
        assert_eq!(routes.of_instance("shop"), Some(shop.clone()));
        routes.set(&shop, &Text::from("shop"), BTreeSet::from([key("a")]));
        assert_eq!(routes.of_target(&key("b")), [other]);
        routes.forget(&shop);
        assert!(!routes.names(&key("a")));
        assert_eq!(routes.of_instance("shop"), None);
    }
}
