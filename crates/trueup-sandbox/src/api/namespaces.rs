//! Namespaces: nothing is created in one that is missing or going, and one that goes takes its content along.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use trueup_object::Value;
use trueup_object::value::Text;

use super::change::{body_of, is_finished};
use super::{Api, Change, DeleteOptions, Propagation, Target};
use crate::clock::wire_time;
use crate::kind::KindInfo;
use crate::registry::ServedResource;
use crate::state::{Commit, Name, ResourceId, revision_of};
use crate::status::{ApiStatus, StatusCause};
use crate::write::{FieldValidation, WriteVerb};

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

/// What the namespace's own controller waits for.
const FINALIZER: &str = "kubernetes";

fn empty(api: &Api, namespace: &Value) {
    let name = namespace.str_at(&["metadata", "name"]).unwrap_or_default();
    let finalizers = namespace.list_at(&["spec", "finalizers"]);
    if !finalizers.iter().any(|item| item.as_str() == Some(FINALIZER)) {
        return;
    }
    delete_content(api, name);
    let left = Left::of(api, name);
    tell(api, namespace, &left);
    if left.objects.is_empty() {
        let mut body = namespace.clone();
        let rest: Vec<Value> =
            finalizers.iter().filter(|item| item.as_str() != Some(FINALIZER)).cloned().collect();
        body.set_at(&["spec", "finalizers"], Value::List(rest));
        // A namespace that changed meanwhile is met again at that change.
        let _ = api.finalize_namespace(name, &body);
    }
}

/// Asks for the deletion of everything in a namespace.
fn delete_content(api: &Api, namespace: &str) {
    let kinds = api.registry().kinds();
    for resource in api.store().resources_in(namespace) {
        let Some(served) = kinds.preferred(&resource) else { continue };
        delete_all(api, served, namespace);
    }
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

/// What is left in a namespace after everything in it was asked to go.
#[derive(Debug, Default)]
struct Left {
    /// By resource, as `deployments.apps`.
    objects: BTreeMap<String, usize>,
    finalizers: BTreeMap<String, usize>,
}

impl Left {
    fn of(api: &Api, namespace: &str) -> Self {
        let mut left = Self::default();
        for resource in api.store().resources_in(namespace) {
            let (objects, _) = api.store().list(&resource, namespace);
            left.objects.insert(format!("{}.{}", resource.plural, resource.group), objects.len());
            for finalizer in objects.iter().flat_map(|object| object.list_at(&["metadata", "finalizers"])) {
                *left.finalizers.entry(finalizer.as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
        left
    }

    /// The conditions of the namespace, in the words and the order of the real controller.
    fn conditions(&self) -> [(&'static str, &'static str, &'static str, String); 5] {
        let no = "False";
        let content = if self.objects.is_empty() {
            (no, "ContentRemoved", "All content successfully removed".to_owned())
        } else {
            let parts: Vec<String> = self
                .objects
                .iter()
                .map(|(name, count)| format!("{name} has {count} resource instances"))
                .collect();
            ("True", "SomeResourcesRemain", format!("Some resources are remaining: {}", parts.join(", ")))
        };
        let finalizers = if self.finalizers.is_empty() {
            (no, "ContentHasNoFinalizers", "All content-preserving finalizers finished".to_owned())
        } else {
            let parts: Vec<String> = self
                .finalizers
                .iter()
                .map(|(name, count)| format!("{name} in {count} resource instances"))
                .collect();
            let message =
                format!("Some content in the namespace has finalizers remaining: {}", parts.join(", "));
            ("True", "SomeFinalizersRemain", message)
        };
        let fine = |kind, reason, message: &str| (kind, no, reason, message.to_owned());
        [
            fine(
                "NamespaceDeletionDiscoveryFailure",
                "ResourcesDiscovered",
                "All resources successfully discovered",
            ),
            fine(
                "NamespaceDeletionGroupVersionParsingFailure",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            fine(
                "NamespaceDeletionContentFailure",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            ("NamespaceContentRemaining", content.0, content.1, content.2),
            ("NamespaceFinalizersRemaining", finalizers.0, finalizers.1, finalizers.2),
        ]
    }
}

/// Says in the namespace's status what is left.
fn tell(api: &Api, namespace: &Value, left: &Left) {
    let kinds = api.registry().kinds();
    let Some(served) = kinds.resource("", "v1", "namespaces") else { return };
    let before = namespace.list_at(&["status", "conditions"]);
    let conditions = left.conditions().into_iter().map(|(kind, status, reason, message)| {
        let old = before.iter().find(|old| old.str_at(&["type"]) == Some(kind));
        let same = old.filter(|old| old.str_at(&["status"]) == Some(status));
        let since = same.and_then(|old| old.get("lastTransitionTime")).cloned();
        let mut condition = Value::default();
        let mut set = |key: &str, value: Value| {
            condition.set_at(&[key], value);
        };
        set("type", kind.into());
        set("status", status.into());
        set("lastTransitionTime", since.unwrap_or_else(|| wire_time(api.clock().now()).into()));
        set("reason", reason.into());
        set("message", message.into());
        condition
    });
    let mut changed = namespace.clone();
    changed.set_at(&["status", "conditions"], Value::List(conditions.collect()));
    if changed == *namespace {
        return;
    }
    let name = namespace.str_at(&["metadata", "name"]).unwrap_or_default();
    let manager = "kube-controller-manager";
    // A namespace that changed meanwhile is met again at that change.
    let _ = api.change(&Change {
        target: Target { subresource: Some("status"), ..Target::object(served, "", name) },
        verb: WriteVerb::Update,
        body: &body_of(&changed),
        content_type: "application/json",
        field_manager: Some(manager),
        user_agent: manager,
        force: false,
        field_validation: Some(FieldValidation::Ignore),
        dry_run: false,
        user: None,
    });
}
