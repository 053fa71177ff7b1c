//! Which kinds are served: the built-in ones and those of CustomResourceDefinitions.
//!
//! A [`Kinds`] is an immutable picture; the registry swaps it when a definition changes, so that a request sees one
//! picture from beginning to end.

mod builtin;
mod definition;
mod version;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use trueup_latest as latest;
use trueup_object::value::Text;
use trueup_object::{Gvk, Value};

use crate::kind::{KindInfo, Scope};
use crate::state::ResourceId;

pub use builtin::Builtin;
pub use definition::Definition;

/// A resource in one version, with what discovery says of it.
#[derive(Debug, Clone)]
pub struct ServedResource {
    pub kind: Arc<KindInfo>,
    pub verbs: Vec<Text>,
    pub subresources: Vec<ServedSubresource>,
}

/// A subresource, with the kind that it speaks.
#[derive(Debug, Clone)]
pub struct ServedSubresource {
    pub name: Text,
    pub kind: Gvk,
    pub verbs: Vec<Text>,
}

/// A group with its versions, the preferred one first.
#[derive(Debug, Clone)]
pub struct Group {
    pub name: Text,
    pub preferred: Text,
    pub versions: Vec<Text>,
}

/// All kinds served at one moment.
#[derive(Debug, Clone, Default)]
pub struct Kinds {
    groups: Vec<Group>,
    /// By group and version, in discovery's order.
    resources: BTreeMap<(Text, Text), Vec<Arc<ServedResource>>>,
    by_kind: BTreeMap<Gvk, Arc<ServedResource>>,
}

/// The kinds served now.
#[derive(Debug)]
pub struct Registry {
    builtin: Arc<Builtin>,
    kinds: RwLock<Arc<Kinds>>,
    /// Counts changes of the kinds, for watches of kinds that vanish.
    generation: latest::Sender<u64>,
}

impl ServedResource {
    pub fn serves(&self, verb: &str) -> bool {
        self.verbs.iter().any(|served| served == verb)
    }

    pub fn subresource(&self, name: &str) -> Option<&ServedSubresource> {
        self.subresources.iter().find(|subresource| subresource.name == name)
    }

    /// Where objects of this kind are stored; all versions share it.
    pub fn storage(&self) -> ResourceId {
        storage_of(&self.kind)
    }
}

/// Where objects of a kind are stored. Events of both groups are the same objects.
pub fn storage_of(kind: &KindInfo) -> ResourceId {
    if kind.gvk.group == "events.k8s.io" && kind.plural == "events" {
        return ResourceId::new("", "events");
    }
    ResourceId { group: kind.gvk.group.clone(), plural: kind.plural.clone() }
}

impl Kinds {
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The resources of a group version; none where it is not served.
    pub fn resources(&self, group: &str, version: &str) -> Option<&[Arc<ServedResource>]> {
        self.resources.get(&(Text::from(group), Text::from(version))).map(Vec::as_slice)
    }

    pub fn resource(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<ServedResource>> {
        self.resources(group, version)?.iter().find(|served| served.kind.plural == plural)
    }

    pub fn by_kind(&self, gvk: &Gvk) -> Option<&Arc<ServedResource>> {
        self.by_kind.get(gvk)
    }

    /// The preferred version of a stored resource.
    pub fn preferred(&self, id: &ResourceId) -> Option<&Arc<ServedResource>> {
        let group = self.groups.iter().find(|group| group.name == id.group)?;
        let versions = std::iter::once(&group.preferred).chain(&group.versions);
        versions.filter_map(|version| self.resource(&group.name, version, &id.plural)).next()
    }

    /// The kind of an owner or subject named by group and kind, in whichever version is preferred.
    pub fn preferred_kind(&self, group: &str, kind: &str) -> Option<&Arc<ServedResource>> {
        let group = self.groups.iter().find(|served| served.name == group)?;
        let versions = std::iter::once(&group.preferred).chain(&group.versions);
        versions
            .filter_map(|version| {
                let gvk = Gvk { group: group.name.clone(), version: version.clone(), kind: Text::from(kind) };
                self.by_kind.get(&gvk)
            })
            .next()
    }

    /// Every resource once, in its preferred version.
    pub fn all_preferred(&self) -> impl Iterator<Item = &Arc<ServedResource>> {
        self.groups
            .iter()
            .flat_map(|group| self.resources(&group.name, &group.preferred).unwrap_or_default().iter())
    }

    fn add_group(&mut self, group: Group) {
        self.groups.push(group);
    }

    fn add(&mut self, served: ServedResource) {
        let served = Arc::new(served);
        let gvk = &served.kind.gvk;
        self.resources.entry((gvk.group.clone(), gvk.version.clone())).or_default().push(served.clone());
        self.by_kind.entry(gvk.clone()).or_insert(served);
    }
}

impl Registry {
    pub fn new(builtin: Arc<Builtin>) -> Self {
        let kinds = RwLock::new(builtin.kinds().clone());
        Self { builtin, kinds, generation: latest::Sender::new(0) }
    }

    /// The kinds served now.
    pub fn kinds(&self) -> Arc<Kinds> {
        self.kinds.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells of every change of the kinds.
    pub fn changes(&self) -> latest::Receiver<u64> {
        self.generation.subscribe()
    }

    pub fn builtin(&self) -> &Builtin {
        &self.builtin
    }

    /// Serves the built-in kinds and these definitions (all CustomResourceDefinitions of the cluster, in listing order).
    pub fn set_definitions(&self, definitions: &[Arc<Value>]) {
        let mut kinds = Kinds::clone(self.builtin.kinds());
        let parsed: Vec<Definition> =
            definitions.iter().filter_map(|object| Definition::parse(object).ok()).collect();
        let mut versions: BTreeMap<Text, Vec<Text>> = BTreeMap::new();
        for definition in &parsed {
            let served = versions.entry(definition.group.clone()).or_default();
            for resource in &definition.resources {
                if !served.contains(&resource.kind.gvk.version) {
                    served.push(resource.kind.gvk.version.clone());
                }
            }
        }
        for (name, mut versions) in versions {
            versions.sort_by_key(|version| std::cmp::Reverse(version::precedence(version)));
            if let Some(preferred) = versions.first().cloned() {
                // A definition cannot extend a built-in group here: the real server reserves those as well.
                if kinds.groups.iter().all(|group| group.name != name) {
                    kinds.add_group(Group { name, preferred, versions });
                }
            }
        }
        for resource in parsed.into_iter().flat_map(|definition| definition.resources) {
            kinds.add(resource);
        }
        *self.kinds.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(kinds);
        self.generation.send_modify(|generation| *generation += 1);
    }
}

/// Whether a resource is namespaced, as the table and definitions write it.
fn scope(namespaced: bool) -> Scope {
    if namespaced { Scope::Namespaced } else { Scope::Cluster }
}
