//! What Git wants: targets, and whether they are all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_object::manifest::{Manifest, Origin};
use trueup_object::{Gvk, ResourceKey, Value};

use crate::app::{App, Unsupported};
use crate::condition::Condition;
use crate::source::{CommitFacts, CommitId};
use crate::tracking;

/// One object as Git wants it: namespace settled, tracking mark in place.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    pub key: ResourceKey,
    pub gvk: Gvk,
    pub object: Arc<Value>,
    pub origin: Origin,
}

/// Whether a set is everything there is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    /// Something could not be read: what is missing here may well be wanted.
    Partial {
        why: String,
    },
}

/// All targets of an application at one revision.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetSet {
    pub targets: BTreeMap<ResourceKey, Target>,
    pub completeness: Completeness,
    /// One for each source, in their order.
    pub revisions: Vec<ResolvedRevision>,
    /// Bad documents, duplicates, objects without a namespace ...: each spoils only itself.
    pub conditions: Vec<Condition>,
    /// Annotations and kinds among the objects that this build cannot honour.
    pub unsupported: Vec<Unsupported>,
}

/// The commit that a source was resolved to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResolvedRevision {
    pub id: CommitId,
    pub facts: Option<CommitFacts>,
}

/// Whether a kind has namespaces, as far as is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Namespaced,
    Cluster,
    /// Not served and not built in: taken as namespaced (compat 2.2).
    Unknown,
}

/// Rendered manifests of one source, before they become targets.
pub struct Rendered {
    pub revision: ResolvedRevision,
    pub manifests: Vec<Manifest>,
    pub problems: Vec<RenderProblem>,
}

/// Something in a source that is not as it should be, naming file and line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RenderProblem {
    pub message: String,
    /// Whether an object may be lost by it: the set is then incomplete.
    pub loses: bool,
}

/// Settles namespaces, stamps tracking marks and drops duplicates (the last wins, with a warning: compat 2.1.4).
pub fn settle(app: &App, rendered: Vec<Rendered>, scope_of: impl Fn(&Gvk) -> Scope) -> TargetSet {
    let mut set = TargetSet {
        targets: BTreeMap::new(),
        completeness: Completeness::Complete,
        revisions: Vec::new(),
        conditions: Vec::new(),
        unsupported: Vec::new(),
    };
    for source in rendered {
        set.revisions.push(source.revision);
        for problem in source.problems {
            if problem.loses {
                set.completeness = Completeness::Partial { why: problem.message.clone() };
            }
            set.conditions.push(Condition::comparison_error(problem.message));
        }
        for manifest in source.manifests {
            settle_one(app, &mut set, manifest, &scope_of);
        }
    }
    set
}

fn settle_one(app: &App, set: &mut TargetSet, manifest: Manifest, scope_of: &impl Fn(&Gvk) -> Scope) {
    let gvk = manifest.gvk().clone();
    let origin = manifest.origin.clone();
    let mut object = manifest.into_object();
    match scope_of(&gvk) {
        Scope::Cluster => {
            object.remove_at(&["metadata", "namespace"]);
        }
        Scope::Namespaced | Scope::Unknown => {
            let own = object.str_at(&["metadata", "namespace"]).unwrap_or_default();
            if own.is_empty() {
                object.set_at(&["metadata", "namespace"], app.destination.namespace.clone().into());
            }
        }
    }
    let Some(key) = ResourceKey::of(&object) else {
        let why = format!("{origin}: an object with generateName has no name to compare by; give it a name");
        set.conditions.push(Condition::comparison_error(why.clone()));
        set.completeness = Completeness::Partial { why };
        return;
    };
    if tracking::takes_mark(&key) {
        app.tracking.mark(&mut object, &app.instance, &key, &app.destination.namespace);
    }
    set.unsupported.extend(crate::unsupported::in_object(&object, &key));
    let target = Target { key: key.clone(), gvk, object: Arc::new(object), origin };
    if let Some(earlier) = set.targets.insert(key.clone(), target) {
        set.conditions.push(Condition::repeated_resource(&key, &earlier.origin));
    }
}
