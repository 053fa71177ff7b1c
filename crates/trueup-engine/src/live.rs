//! What is live: objects as last observed, and which kinds that covers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use trueup_object::{GroupKind, Gvk, ResourceKey, Text, Value};

use crate::desired::TargetSet;

/// One object as last observed, with its managedFields.
#[derive(Debug, Clone, PartialEq)]
pub struct Live {
    pub key: ResourceKey,
    /// The version in which it was observed.
    pub gvk: Gvk,
    pub object: Arc<Value>,
    pub version: LiveVersion,
}

/// What pins one observation: another object of the same name has another uid.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct LiveVersion {
    pub uid: Text,
    pub resource_version: Text,
}

impl Live {
    /// From an object as the API server gives it. `None` where it lacks identity, uid or resourceVersion.
    pub fn of(object: Value) -> Option<Self> {
        let key = ResourceKey::of(&object)?;
        let gvk = Gvk::of(&object)?;
        let version = LiveVersion {
            uid: Text::from(object.str_at(&["metadata", "uid"])?),
            resource_version: Text::from(object.str_at(&["metadata", "resourceVersion"])?),
        };
        Some(Self { key, gvk, object: Arc::new(object), version })
    }

    pub fn is_deleting(&self) -> bool {
        self.object.str_at(&["metadata", "deletionTimestamp"]).is_some()
    }
}

/// How much is known about the objects of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KindCoverage {
    /// Listed to the end and watched since.
    Complete,
    /// A complete discovery does not serve it: there are no objects of it.
    NotServed,
    /// Not all is known. What was seen before may be stale; what was not seen may exist.
    Incomplete { cause: String, since: Option<Timestamp> },
    /// The kind may not be listed as a whole, so some namespaces are listed each for itself: nothing where that is known to
    /// the end, else why not. `cause` is why other namespaces are not known.
    Namespaces { cause: String, known: BTreeMap<Text, Option<String>> },
}

/// Which kinds a set covers. A kind that is not mentioned is not covered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage {
    pub kinds: BTreeMap<GroupKind, KindCoverage>,
}

impl Coverage {
    /// Whether absence of this object is known, not only unseen.
    pub fn is_certain(&self, key: &ResourceKey) -> bool {
        self.uncertainty(key).is_none()
    }

    /// Why absence of this object would not be known.
    pub fn uncertainty(&self, key: &ResourceKey) -> Option<String> {
        let kind = key.group_kind();
        match self.kinds.get(&kind) {
            Some(KindCoverage::Complete | KindCoverage::NotServed) => None,
            Some(KindCoverage::Incomplete { cause, since: _ }) => Some(cause.clone()),
            Some(KindCoverage::Namespaces { cause, known }) => match known.get(&key.namespace) {
                Some(why) => why.clone(),
                None => Some(cause.clone()),
            },
            None => Some(format!("{kind} is not watched yet")),
        }
    }

    /// Whether all that is asked for of a kind is known: all of it, or every namespace that is listed for itself.
    pub fn is_settled(&self, kind: &GroupKind) -> bool {
        match self.kinds.get(kind) {
            Some(KindCoverage::Complete | KindCoverage::NotServed) => true,
            Some(KindCoverage::Namespaces { cause: _, known }) => known.values().all(Option::is_none),
            Some(KindCoverage::Incomplete { .. }) | None => false,
        }
    }
}

/// The live objects that concern one application: those that its targets name and those that carry its mark.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LiveSet {
    pub objects: BTreeMap<ResourceKey, Live>,
    /// Objects that exist and whose content could not be had, and objects of the application of before of which nobody knows
    /// whether they still exist, with the reason.
    pub unread: BTreeMap<ResourceKey, String>,
    pub coverage: Coverage,
}

impl LiveSet {
    /// The kinds of the targets that the cluster does not serve, but for those whose definitions are among the targets.
    pub fn unserved(&self, targets: &TargetSet) -> BTreeSet<Gvk> {
        let definitions = targets.targets.values().filter(|it| it.gvk.kind == "CustomResourceDefinition");
        let defined: BTreeSet<GroupKind> = definitions
            .filter_map(|target| {
                let text = |path: &[&str]| target.object.str_at(path);
                Some(GroupKind::new(text(&["spec", "group"])?, text(&["spec", "names", "kind"])?))
            })
            .collect();
        let kinds = targets.targets.values().map(|target| &target.gvk);
        let is_unserved = |kind: GroupKind| {
            self.coverage.kinds.get(&kind) == Some(&KindCoverage::NotServed) && !defined.contains(&kind)
        };
        kinds.filter(|gvk| is_unserved(gvk.group_kind())).cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_that_is_listed_by_namespace_is_certain_there_only() {
        let known =
            BTreeMap::from([(Text::from("web"), None), (Text::from("shop"), Some("denied".to_owned()))]);
        let partly = KindCoverage::Namespaces { cause: "forbidden".to_owned(), known };
        let kind = GroupKind::new("", "ConfigMap");
        let coverage = Coverage { kinds: BTreeMap::from([(kind.clone(), partly)]) };
        let why = |namespace| coverage.uncertainty(&ResourceKey::new("", "ConfigMap", namespace, "a"));
        assert_eq!(why("web"), None);
        assert_eq!(why("shop").as_deref(), Some("denied"));
        assert_eq!(why("other").as_deref(), Some("forbidden"));
        assert!(!coverage.is_settled(&kind));
    }
}
