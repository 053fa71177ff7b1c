//! From an object to the applications that it concerns: those whose mark it carries and those that name it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use trueup_engine::app::{AppKey, ClusterName};
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
    wishes: BTreeMap<AppKey, Wishes>,
    readings: BTreeMap<AppKey, Reading>,
}

/// What an application declares, told apart from what it names for other reasons.
#[derive(Debug)]
struct Wishes {
    cluster: ClusterName,
    /// What it names and does not declare: what it tracks still, the namespace that it creates. Mostly nothing.
    beside: BTreeSet<ResourceKey>,
    /// All that it declares is known.
    complete: bool,
}

/// The objects that an application names.
pub struct Named {
    pub cluster: ClusterName,
    /// Those that its manifests declare.
    pub declared: BTreeSet<ResourceKey>,
    /// Those that it has to do with otherwise.
    pub beside: BTreeSet<ResourceKey>,
    /// All that it declares is known.
    pub complete: bool,
}

/// When an application last asked Git, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// Before it asked.
    pub at: Timestamp,
    /// Normalised; of an application that cannot be read none are known.
    pub repositories: BTreeSet<Text>,
    pub cluster: ClusterName,
}

impl Tables {
    fn set(&mut self, app: &AppKey, instance: &Text, targets: BTreeSet<ResourceKey>) {
        if self.by_instance.get(instance) != Some(app) {
            self.by_instance.insert(instance.clone(), app.clone());
        }
        let before = self.targets_of.remove(app).unwrap_or_default();
        if before.iter().map(|target| &**target).eq(&targets) {
            self.targets_of.insert(app.clone(), before);
            return;
        }
        for gone in before.iter().filter(|target| !targets.contains(&***target)) {
            self.unroute(app, gone);
        }
        let routed = targets.into_iter().map(|target| self.route(app, target)).collect();
        self.targets_of.insert(app.clone(), routed);
    }

    /// What an application declared so far, sorted.
    fn declared_by(&self, app: &AppKey) -> Vec<Arc<ResourceKey>> {
        let (Some(named), Some(wishes)) = (self.targets_of.get(app), self.wishes.get(app)) else {
            return Vec::new();
        };
        named.iter().filter(|key| !wishes.beside.contains(&***key)).cloned().collect()
    }

    /// The other applications that name one of these objects.
    fn naming<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k ResourceKey>,
        except: &AppKey,
    ) -> BTreeSet<AppKey> {
        let apps = keys.into_iter().filter_map(|key| self.by_target.get(key)).flatten();
        apps.filter(|app| *app != except).cloned().collect()
    }

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
    /// Sets which objects an application names, and how marks name it. Returns the other applications that name one which it
    /// declares from now on, or no longer.
    pub fn set(&self, app: &AppKey, instance: &Text, named: Named) -> BTreeSet<AppKey> {
        let Named { cluster, declared, beside, complete } = named;
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        let before = tables.declared_by(app);
        let changed: Vec<&ResourceKey> =
            before.iter().map(|key| &**key).filter(|key| !declared.contains(key)).collect();
        let mut concerned = tables.naming(changed, app);
        let is_new = |key: &&ResourceKey| before.binary_search_by(|known| (**known).cmp(key)).is_err();
        concerned.extend(tables.naming(declared.iter().filter(is_new), app));
        if tables.wishes.get(app).is_none_or(|known| known.complete != complete) {
            concerned.extend(tables.naming(declared.iter().chain(&beside), app));
        }
        let mut targets = declared;
        targets.extend(beside.iter().cloned());
        tables.wishes.insert(app.clone(), Wishes { cluster, beside, complete });
        tables.set(app, instance, targets);
        concerned
    }

    /// Of these objects those that another application declares in a cluster, and which.
    pub fn declared_elsewhere<'k>(
        &self,
        keys: impl Iterator<Item = &'k ResourceKey>,
        cluster: &ClusterName,
        except: &AppKey,
    ) -> BTreeMap<ResourceKey, AppKey> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let declares = |app: &&AppKey, key: &ResourceKey| {
            *app != except
                && tables
                    .wishes
                    .get(*app)
                    .is_some_and(|wishes| wishes.cluster == *cluster && !wishes.beside.contains(key))
        };
        let found = keys.filter_map(|key| {
            let app = tables.by_target.get(key)?.iter().find(|app| declares(app, key))?;
            Some((key.clone(), app.clone()))
        });
        found.collect()
    }

    /// Whether the application that marks name so is known to declare an object of a cluster no longer.
    pub fn has_given_up(&self, instance: &str, key: &ResourceKey, cluster: &ClusterName) -> bool {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let Some(app) = tables.by_instance.get(instance) else { return false };
        let Some(wishes) = tables.wishes.get(app) else { return false };
        let names = tables.by_target.get(key).is_some_and(|apps| apps.contains(app));
        wishes.cluster == *cluster && wishes.complete && (!names || wishes.beside.contains(key))
    }

    /// Takes note of when an application last asked Git.
    pub fn note_reading(&self, app: &AppKey, reading: Reading) {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        if tables.readings.get(app) != Some(&reading) {
            tables.readings.insert(app.clone(), reading);
        }
    }

    /// Of these applications those that may declare something of the same repositories and cluster, and have not asked Git
    /// since.
    pub fn unread_since(&self, since: Timestamp, own: &Reading, apps: Vec<AppKey>) -> Vec<AppKey> {
        let tables = self.tables.read().unwrap_or_else(PoisonError::into_inner);
        let is_unread = |app: &AppKey| {
            tables.readings.get(app).is_none_or(|reading| {
                reading.at < since
                    && reading.cluster == own.cluster
                    && !reading.repositories.is_disjoint(&own.repositories)
            })
        };
        apps.into_iter().filter(is_unread).collect()
    }

    /// Forgets an application. Returns those that name one of its objects too.
    pub fn forget(&self, app: &AppKey) -> BTreeSet<AppKey> {
        let mut tables = self.tables.write().unwrap_or_else(PoisonError::into_inner);
        tables.by_instance.retain(|_, known| known != app);
        tables.wishes.remove(app);
        tables.readings.remove(app);
        let targets = tables.targets_of.remove(app).unwrap_or_default();
        let concerned = tables.naming(targets.iter().map(|key| &**key), app);
        for target in targets {
            tables.unroute(app, &target);
        }
        concerned
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

    fn key(name: &str) -> ResourceKey {
        ResourceKey::new("", "ConfigMap", "web", name)
    }

    fn named(declared: &[&str], beside: &[&str]) -> Named {
        let keys = |names: &[&str]| names.iter().map(|name| key(name)).collect();
        let (declared, beside) = (keys(declared), keys(beside));
        Named { cluster: ClusterName::InCluster, declared, beside, complete: true }
    }

    fn reading(second: i64, repository: &str) -> Reading {
        Reading {
            at: Timestamp::from_second(second).unwrap_or_default(),
            repositories: BTreeSet::from([Text::from(repository)]),
            cluster: ClusterName::InCluster,
        }
    }

    #[test]
    fn what_moves_is_wanted_by_the_new_one_and_given_up_by_the_old_one() {
        let routes = Routes::default();
        let (old, new) = (AppKey::new("argocd", "old"), AppKey::new("argocd", "new"));
        let is_wanted = |cluster: &ClusterName| {
            let wanted = [key("a")];
            routes.declared_elsewhere(wanted.iter(), cluster, &old).remove(&key("a"))
        };
        let here = ClusterName::InCluster;
        routes.set(&old, &Text::from("old"), named(&["a"], &[]));
        assert!(!routes.has_given_up("old", &key("a"), &here));
        assert_eq!(is_wanted(&here), None, "its own wish does not count");
        assert_eq!(routes.set(&new, &Text::from("new"), named(&["a"], &[])), BTreeSet::from([old.clone()]));
        assert_eq!(is_wanted(&here), Some(new.clone()));
        assert_eq!(is_wanted(&ClusterName::Name(Text::from("far"))), None, "another cluster has its own");
        // It still tracks what it no longer declares.
        assert_eq!(routes.set(&old, &Text::from("old"), named(&[], &["a"])), BTreeSet::from([new.clone()]));
        assert!(routes.has_given_up("old", &key("a"), &here));
        let blind = Named { complete: false, ..named(&[], &["a"]) };
        routes.set(&old, &Text::from("old"), blind);
        assert!(!routes.has_given_up("old", &key("a"), &here), "not all that it declares is known");
        assert!(!routes.has_given_up("unknown", &key("a"), &here));
        assert_eq!(routes.forget(&new), BTreeSet::from([old.clone()]), "who waits for it is told");
        assert_eq!(is_wanted(&here), None);
    }

    #[test]
    fn those_of_the_same_repository_that_have_not_asked_since_are_unread() {
        let routes = Routes::default();
        let apps = ["early", "late", "elsewhere", "unheard"].map(|name| AppKey::new("argocd", name));
        let [early, late, elsewhere, unheard] = &apps;
        routes.note_reading(early, reading(10, "r"));
        routes.note_reading(late, reading(20, "r"));
        routes.note_reading(elsewhere, reading(10, "other"));
        let since = Timestamp::from_second(15).unwrap_or_default();
        let unread = routes.unread_since(since, &reading(15, "r"), apps.to_vec());
        assert_eq!(unread, [early.clone(), unheard.clone()]);
    }

    #[test]
    fn an_object_leads_to_those_that_name_it() {
        let routes = Routes::default();
        let (shop, other) = (AppKey::new("argocd", "shop"), AppKey::new("argocd", "other"));
        routes.set(&shop, &Text::from("shop"), named(&["a", "b"], &[]));
        routes.set(&other, &Text::from("other"), named(&["b"], &[]));
        assert_eq!(routes.of_target(&key("b")), [other.clone(), shop.clone()]);
        assert_eq!(routes.of_instance("shop"), Some(shop.clone()));
        routes.set(&shop, &Text::from("shop"), named(&["a"], &[]));
        assert_eq!(routes.of_target(&key("b")), [other]);
        routes.forget(&shop);
        assert!(!routes.names(&key("a")));
        assert_eq!(routes.of_instance("shop"), None);
    }
}
