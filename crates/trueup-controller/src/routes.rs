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

/// Tens of thousands of objects are in here: each key is kept once, and nearly every object concerns one application.
#[derive(Debug, Default)]
struct Tables {
    by_instance: BTreeMap<Text, AppKey>,
    by_target: BTreeMap<Arc<ResourceKey>, Box<[AppKey]>>,
    /// Sorted.
    targets_of: BTreeMap<AppKey, Box<[Arc<ResourceKey>]>>,
}

impl Tables {
    fn unroute(&mut self, app: &AppKey, target: &ResourceKey) {
        let Some(apps) = self.by_target.get_mut(target) else { return };
        *apps = apps.iter().filter(|known| *known != app).cloned().collect();
        if apps.is_empty() {
            self.by_target.remove(target);
        }
    }

    /// Returns the key under which the route is kept.
    fn route(&mut self, app: &AppKey, target: ResourceKey) -> Arc<ResourceKey> {
        let Some((key, apps)) = self.by_target.get_key_value(&target) else {
            let key = Arc::new(target);
            self.by_target.insert(key.clone(), Box::from([app.clone()]));
            return key;
        };
        let key = key.clone();
        if !apps.contains(app) {
            let mut apps = apps.to_vec();
            apps.push(app.clone());
            apps.sort();
            self.by_target.insert(key.clone(), apps.into_boxed_slice());
        }
        key
    }
}

impl Routes {
    /// Sets which objects an application names, and how marks name it.
    pub fn set(&self, app: &AppKey, instance: &Text, targets: BTreeSet<ResourceKey>) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if tables.by_instance.get(instance) != Some(app) {
            tables.by_instance.insert(instance.clone(), app.clone());
        }
        let before = tables.targets_of.remove(app).unwrap_or_default();
        if before.iter().map(|target| &**target).eq(&targets) {
            tables.targets_of.insert(app.clone(), before);
            return;
        }
        for gone in before.iter().filter(|target| !targets.contains(&***target)) {
            tables.unroute(app, gone);
        }
        let routed = targets.into_iter().map(|target| tables.route(app, target)).collect();
        tables.targets_of.insert(app.clone(), routed);
    }

    /// Forgets an application.
    pub fn forget(&self, app: &AppKey) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.by_instance.retain(|_, known| known != app);
        for target in tables.targets_of.remove(app).unwrap_or_default() {
            tables.unroute(app, &target);
        }
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
        tables.by_target.get(key).map(|apps| apps.to_vec()).unwrap_or_default()
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
