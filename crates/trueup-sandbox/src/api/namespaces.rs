//! Namespaces: nothing is created in one that is missing or going, and one that goes takes its content along.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use trueup_object::Value;
use trueup_object::value::Text;

use super::change::is_finished;
use super::{Api, DeleteOptions, Propagation, Target};
use crate::kind::KindInfo;
use crate::registry::ServedResource;
use crate::state::{Commit, Name, ResourceId, revision_of};
use crate::status::{ApiStatus, StatusCause};
use crate::write::WriteVerb;

/// The namespaces that every cluster has.
pub const SYSTEM_NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The namespaces that may not be deleted.
const PROTECTED: [&str; 3] = ["default", "kube-public", "kube-system"];

fn namespaces() -> ResourceId {
    ResourceId::new("", "namespaces")
}

/// Makes the namespaces that every cluster has.
pub fn create_system_namespaces(api: &Api) -> Result<(), ApiStatus> {
    let kinds = api.registry().kinds();
    let served =
        kinds.resource("", "v1", "namespaces").ok_or_else(|| ApiStatus::internal("no namespaces"))?;
    for name in SYSTEM_NAMESPACES {
        let mut object = Value::default();
        object.set_at(&["apiVersion"], "v1".into());
        object.set_at(&["kind"], "Namespace".into());
        object.set_at(&["metadata", "name"], name.into());
        api.change_as_server(Target::collection(served, ""), WriteVerb::Create, &object)?;
    }
    Ok(())
}

impl Api {
    /// Refuses to create in a namespace that is missing or going.
    pub(super) fn refuse_missing_namespace(&self, target: Target<'_>, name: &str) -> Result<(), ApiStatus> {
        if !target.served.kind.is_namespaced() {
            return Ok(());
        }
        let namespace = target.namespace;
        let Some(object) = self.store().get(&namespaces(), &Name::new("", namespace)) else {
            let kinds = self.registry().kinds();
            let served = kinds.resource("", "v1", "namespaces");
            return Err(served.map_or_else(
                || ApiStatus::internal("no namespaces"),
                |served| ApiStatus::not_found(&served.kind, namespace),
            ));
        };
        if object.str_at(&["metadata", "deletionTimestamp"]).is_none() {
            return Ok(());
        }
        let detail =
            format!("unable to create new content in namespace {namespace} because it is being terminated");
        let cause = StatusCause::new(
            "NamespaceTerminating",
            "metadata.namespace",
            format!("namespace {namespace} is being terminated"),
        );
        Err(ApiStatus::forbidden(&target.served.kind, name, &detail).with_causes(vec![cause]))
    }

    /// Refuses to delete what a cluster cannot be without.
    pub(super) fn refuse_protected(&self, kind: &KindInfo, name: &str) -> Result<(), ApiStatus> {
        if kind.group_kind().is("", "Namespace") && PROTECTED.contains(&name) {
            return Err(ApiStatus::forbidden(kind, name, "this namespace may not be deleted"));
        }
        Ok(())
    }

    /// `PUT .../namespaces/NAME/finalize`: replaces the namespace's own finalizers.
    pub fn finalize_namespace(&self, name: &str, body: &Value) -> Result<Value, ApiStatus> {
        let kinds = self.registry().kinds();
        let served =
            kinds.resource("", "v1", "namespaces").ok_or_else(|| ApiStatus::internal("no namespaces"))?;
        let key = Name::new("", name);
        let live = self.get(Target::object(served, "", name))?;
        let mut object = Value::clone(&live);
        let finalizers = body.at(&["spec", "finalizers"]).cloned().unwrap_or(Value::List(Vec::new()));
        object.set_at(&["spec", "finalizers"], finalizers);
        let finished = is_finished(&object);
        let revision = revision_of(&live);
        // Without anything left to wait for it goes, and is not stored once more.
        let commit = if finished {
            Commit::Delete { revision }
        } else {
            Commit::Replace { revision, object: object.clone() }
        };
        let committed = self.store().commit(&namespaces(), &key, commit);
        let committed = committed.map_err(|_| ApiStatus::modified(&served.kind, name))?;
        Ok(if finished { object } else { Value::clone(&committed) })
    }
}

/// How long the content of a namespace that is being deleted stays. The real controller waits five seconds, so that what is
/// deleted by name along with its namespace is still found; a fifth of that is enough here.
const GRACE: Duration = Duration::from_secs(1);

/// Namespaces that are being deleted, and when their content follows.
#[derive(Debug, Default)]
pub(super) struct Terminating {
    due: BTreeMap<Text, Instant>,
}

impl Terminating {
    /// Deletes the content of namespaces whose time has come, and the namespaces once they are empty.
    pub(super) fn sweep(&mut self, api: &Api) {
        let (all, _) = api.store().list(&namespaces(), "");
        let mut due = BTreeMap::new();
        for namespace in all.iter().filter(|object| is_deleting(object)) {
            let uid = Text::from(namespace.str_at(&["metadata", "uid"]).unwrap_or_default());
            let at = self.due.get(&uid).copied().unwrap_or_else(|| Instant::now() + GRACE);
            if at <= Instant::now() {
                empty(api, namespace);
            }
            due.insert(uid, at);
        }
        self.due = due;
    }

    /// When there is something to do that no change announces.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let now = Instant::now();
        self.due.values().copied().filter(|at| *at > now).min()
    }
}

fn is_deleting(object: &Value) -> bool {
    object.str_at(&["metadata", "deletionTimestamp"]).is_some()
}

fn empty(api: &Api, namespace: &Value) {
    let name = namespace.str_at(&["metadata", "name"]).unwrap_or_default();
    if delete_content(api, name) {
        let mut body = namespace.clone();
        body.set_at(&["spec", "finalizers"], Value::List(Vec::new()));
        // A namespace that changed meanwhile is met again at that change.
        let _ = api.finalize_namespace(name, &body);
    }
}

/// Asks for the deletion of everything in a namespace; true when nothing is left.
fn delete_content(api: &Api, namespace: &str) -> bool {
    let kinds = api.registry().kinds();
    for resource in api.store().resources_in(namespace) {
        let Some(served) = kinds.preferred(&resource) else { continue };
        delete_all(api, served, namespace);
    }
    api.store().resources_in(namespace).is_empty()
}

fn delete_all(api: &Api, served: &ServedResource, namespace: &str) {
    let (objects, _) = api.store().list(&served.storage(), namespace);
    let options = DeleteOptions { propagation: Some(Propagation::Background), ..DeleteOptions::default() };
    for object in objects.iter().filter(|object| object.str_at(&["metadata", "deletionTimestamp"]).is_none())
    {
        let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
        // An object that somebody else deletes at this moment is gone as well.
        let _ = api.delete(Target::object(served, namespace, name), &options);
    }
}
