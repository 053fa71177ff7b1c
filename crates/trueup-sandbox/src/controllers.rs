//! What kube-controller-manager and a kubelet write, under their manager names and subresources: replica sets, pods,
//! statuses, the default account and root certificate of a namespace, the end of protection finalizers.
//!
//! Follows the history of changes as a real controller follows watches, and changes things through the same door as
//! everybody else. What to do is decided by pure functions of the objects, one module for each kind; here is only who is
//! asked when, and the carrying out. Nothing takes longer than it must: a rollout's steps follow each other at once.

mod autoscaler;
mod budget;
mod daemon_set;
mod deployment;
mod job;
mod kubelet;
mod objects;
mod replica_set;
mod stateful_set;

use std::collections::BTreeSet;
use std::sync::Arc;

use trueup_object::{Timestamp, Value};

use crate::api::{Api, Change, DeleteOptions, Propagation, Target};
use crate::state::{self, Name, ResourceId, WatchCursor};
use crate::write::{FieldValidation, WriteVerb};
use objects::{Resource, Step, is_controlled_by, text};

/// What becomes of workloads and their pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workloads {
    /// There is a node; pods become Ready, rollouts finish.
    Ready,
    /// There is no node: pods stay pending and rollouts in progress.
    Pending,
    /// Nobody looks after them nor after namespaces, as on a control plane whose controller manager stands still.
    Untouched,
}

/// How the controllers of a sandbox behave.
#[derive(Debug, Clone)]
pub struct Controllers {
    pub workloads: Workloads,
    /// The certificate that every namespace gets as `kube-root-ca.crt`.
    pub root_certificate: String,
}

/// What an object is asked about: the stored resource and the object's name.
type Place = (ResourceId, Name);

/// Runs the controllers until it is dropped.
pub async fn run_controllers(api: Api, options: Controllers) {
    let mut controllers = Loop { cursor: api.store().watch(0), api, options, waiting: BTreeSet::new() };
    controllers.rebuild();
    loop {
        while let Some(place) = controllers.waiting.pop_first() {
            controllers.reconcile(&place);
            controllers.read_changes();
            // Requests get their turn between objects, however many there are to look at.
            tokio::task::yield_now().await;
        }
        controllers.cursor.changed().await;
        controllers.read_changes();
    }
}

struct Loop {
    api: Api,
    options: Controllers,
    cursor: WatchCursor,
    waiting: BTreeSet<Place>,
}

/// The resources that something here looks after.
const RESOURCES: [Resource; 12] = [
    objects::NAMESPACES,
    objects::NODES,
    objects::PODS,
    objects::CLAIMS,
    objects::VOLUMES,
    objects::DEPLOYMENTS,
    objects::REPLICA_SETS,
    objects::STATEFUL_SETS,
    objects::DAEMON_SETS,
    objects::JOBS,
    objects::BUDGETS,
    objects::AUTOSCALERS,
];

impl Loop {
    /// Looks at everything that there is.
    fn rebuild(&mut self) {
        let (all, revision) = self.api.store().snapshot();
        self.cursor = self.api.store().watch(revision);
        if self.ready() && !all.iter().any(|(resource, _, _)| objects::NODES.is(resource)) {
            self.perform(&kubelet::node(self.now()));
        }
        for (resource, name, _) in all {
            self.enqueue(resource, name);
        }
    }

    fn read_changes(&mut self) {
        match self.cursor.take(|_| true) {
            Ok(changes) => changes.iter().for_each(|change| self.follow(change)),
            Err(state::TooOld { .. }) => self.rebuild(),
        }
    }

    fn follow(&mut self, change: &state::Change) {
        let namespace = change.name.namespace.clone();
        for owner in change.object.list_at(&["metadata", "ownerReferences"]) {
            let kind = owner.str_at(&["kind"]).unwrap_or_default();
            if let Some(resource) = RESOURCES.iter().find(|resource| resource.kind == kind) {
                let name = Name::new(&namespace, owner.str_at(&["name"]).unwrap_or_default());
                self.enqueue(resource.id(), name);
            }
        }
        let belongs_to_namespace =
            objects::CONFIG_MAPS.is(&change.resource) || objects::SERVICE_ACCOUNTS.is(&change.resource);
        if belongs_to_namespace {
            self.enqueue(objects::NAMESPACES.id(), Name::new("", &namespace));
        }
        if objects::NODES.is(&change.resource) {
            self.enqueue_all(objects::DAEMON_SETS, "");
        }
        if objects::PODS.is(&change.resource) {
            self.enqueue_all(objects::BUDGETS, &namespace);
        }
        if autoscaler::may_be_target(&change.resource) {
            self.enqueue_all(objects::AUTOSCALERS, &namespace);
        }
        self.enqueue(change.resource.clone(), change.name.clone());
    }

    /// Every object of a resource, in one namespace or (empty) in all.
    fn enqueue_all(&mut self, resource: Resource, namespace: &str) {
        let (objects, _) = self.api.store().list(&resource.id(), namespace);
        for object in objects {
            let name = Name::new(text(&object, "namespace"), text(&object, "name"));
            self.enqueue(resource.id(), name);
        }
    }

    fn enqueue(&mut self, resource: ResourceId, name: Name) {
        if RESOURCES.iter().any(|known| known.is(&resource)) {
            self.waiting.insert((resource, name));
        }
    }

    fn ready(&self) -> bool {
        self.options.workloads == Workloads::Ready
    }

    fn now(&self) -> Timestamp {
        self.api.clock().now()
    }

    /// The objects of a resource that this one controls.
    fn controlled(&self, resource: Resource, owner: &Value) -> Vec<Arc<Value>> {
        let (all, _) = self.api.store().list(&resource.id(), text(owner, "namespace"));
        let uid = text(owner, "uid");
        all.into_iter().filter(|object| is_controlled_by(object, uid)).collect()
    }

    fn reconcile(&self, place: &Place) {
        let Some(object) = self.api.store().get(&place.0, &place.1) else { return };
        let is = |resource: Resource| resource.is(&place.0);
        let now = self.now();
        let steps = if objects::protection(&place.0).is_some() {
            objects::end_protection(&place.0, &object)
        } else if objects::is_deleting(&object) || self.options.workloads == Workloads::Untouched {
            Vec::new()
        } else if is(objects::NAMESPACES) {
            self.namespace_content(&object)
        } else if is(objects::PODS) {
            if self.ready() { kubelet::run(&object, now) } else { Vec::new() }
        } else if is(objects::DEPLOYMENTS) {
            let sets = self.controlled(objects::REPLICA_SETS, &object);
            deployment::reconcile(&object, &sets, now)
        } else if is(objects::REPLICA_SETS) {
            let pods = self.controlled(objects::PODS, &object);
            replica_set::reconcile(&object, &pods, self.ready())
        } else if is(objects::STATEFUL_SETS) {
            let pods = self.controlled(objects::PODS, &object);
            stateful_set::reconcile(&object, &pods, self.ready())
        } else if is(objects::DAEMON_SETS) {
            let pods = self.controlled(objects::PODS, &object);
            let (nodes, _) = self.api.store().list(&objects::NODES.id(), "");
            daemon_set::reconcile(&object, &pods, &nodes)
        } else if is(objects::BUDGETS) {
            let (pods, _) = self.api.store().list(&objects::PODS.id(), text(&object, "namespace"));
            budget::reconcile(&object, &pods, now)
        } else if is(objects::AUTOSCALERS) {
            let live = autoscaler::target(&object).and_then(|(resource, name)| {
                self.api.store().get(&resource.id(), &Name::new(text(&object, "namespace"), name))
            });
            autoscaler::reconcile(&object, live.as_ref(), now)
        } else if is(objects::JOBS) {
            let pods = self.controlled(objects::PODS, &object);
            job::reconcile(&object, &pods, now, self.ready())
        } else {
            Vec::new()
        };
        steps.iter().for_each(|step| self.perform(step));
    }

    /// The account and the certificate that every namespace has.
    fn namespace_content(&self, namespace: &Value) -> Vec<Step> {
        let name = text(namespace, "name");
        let exists = |resource: Resource, wanted: &str| {
            self.api.store().get(&resource.id(), &Name::new(name, wanted)).is_some()
        };
        let mut steps = Vec::new();
        if !exists(objects::SERVICE_ACCOUNTS, "default") {
            steps.push(objects::default_account(name));
        }
        if !exists(objects::CONFIG_MAPS, objects::ROOT_CERTIFICATE) {
            steps.push(objects::root_certificate(name, &self.options.root_certificate));
        }
        steps
    }

    /// Carries out a step. One that is refused was decided on an older state; the change that made it old asks again.
    fn perform(&self, step: &Step) {
        let kinds = self.api.registry().kinds();
        let resource = step.resource();
        let Some(served) = kinds.resource(resource.group, resource.version, resource.plural) else { return };
        let change = |target, verb, body: &[u8], manager: &str| {
            let change = Change {
                target,
                verb,
                body,
                content_type: "application/json",
                field_manager: Some(manager),
                user_agent: manager,
                force: false,
                field_validation: FieldValidation::Ignore,
                dry_run: false,
            };
            if let Err(status) = self.api.change(&change) {
                tracing::debug!(
                    resource = resource.plural,
                    message = status.message,
                    "a controller's write was refused"
                );
            }
        };
        match step {
            Step::Create { object, manager, .. } => {
                let target = Target::collection(served, text(object, "namespace"));
                change(target, WriteVerb::Create, object.to_json().as_bytes(), manager);
            }
            Step::Update { object, manager, subresource, .. } => {
                let target = Target {
                    served,
                    namespace: text(object, "namespace"),
                    name: Some(text(object, "name")),
                    subresource: *subresource,
                };
                change(target, WriteVerb::Update, object.to_json().as_bytes(), manager);
            }
            Step::Delete { object, .. } => {
                let options = DeleteOptions {
                    propagation: Some(Propagation::Background),
                    uid: Some(text(object, "uid").into()),
                    ..DeleteOptions::default()
                };
                let target = Target::object(served, text(object, "namespace"), text(object, "name"));
                // An object that is gone already is what was wanted.
                let _ = self.api.delete(target, &options);
            }
        }
    }
}
