//! What kube-controller-manager and a kubelet write, under their manager names and subresources: replica sets, pods,
//! statuses, the default account and root certificate of a namespace, the end of protection finalizers.
//!
//! Follows the history of changes as a real controller follows watches, and changes things through the same door as
//! everybody else. What to do is decided by pure functions of the objects, one module for each kind; here is only who is
//! asked when, and the carrying out. Nothing takes longer than it must: a rollout's steps follow each other at once.

mod acting;
mod adoption;
mod aggregation;
mod autoscaler;
mod budget;
mod carry;
mod cron_job;
mod daemon_set;
mod deployment;
mod endpoints;
mod events;
mod follow;
mod job;
mod kubelet;
mod lack;
mod nodes;
mod objects;
mod pod_status;
mod pods;
mod quota;
mod refusal;
mod replica_set;
mod revision;
mod scheduler;
mod stateful_set;
mod tokens;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trueup_object::{Timestamp, Value};

use crate::api::Api;
use crate::fates::PodFates;
use crate::http::credentials::Credentials;
use crate::metrics::Metrics;
use crate::state::{self, Name, ResourceId, WatchCursor};
use crate::storage_class::storage_classes;
use crate::write::selector_matches;
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
    /// As untouched, and nobody collects garbage nor ends what protects claims and volumes either: no controller runs at all.
    Unattended,
}

/// How the controllers of a sandbox behave.
#[derive(Debug, Clone)]
pub struct Controllers {
    pub workloads: Workloads,
    /// Whose certificate every namespace gets as `kube-root-ca.crt`, and who issues tokens.
    pub credentials: Arc<Credentials>,
    /// What becomes of pods that are not left to run.
    pub fates: PodFates,
    /// What pods use.
    pub metrics: Metrics,
}

/// What an object is asked about: the stored resource and the object's name.
type Place = (ResourceId, Name);

/// Runs the controllers until it is dropped.
pub async fn run_controllers(api: Api, options: Controllers) {
    let (mut fates, mut metrics) = (options.fates.subscribe(), options.metrics.subscribe());
    let mut controllers = Loop {
        cursor: api.store().watch(0),
        api,
        options,
        waiting: BTreeSet::new(),
        due: BTreeMap::new(),
        scaling: BTreeMap::new(),
        refused: BTreeMap::new(),
        room: scheduler::Room::default(),
        unplaced: BTreeSet::new(),
        lacking: BTreeSet::new(),
        leaving: BTreeMap::new(),
        begun: false,
        recorder: events::Recorder::default(),
        told: 0,
    };
    controllers.rebuild().await;
    controllers.register_metrics();
    loop {
        while let Some(place) = controllers.waiting.pop_first() {
            controllers.reconcile(&place).await;
            controllers.read_changes().await;
            // Requests get their turn between objects, however many there are to look at.
            tokio::task::yield_now().await;
        }
        let due = controllers.due.values().min().copied();
        let clock = controllers.api.clock().clone();
        tokio::select! {
            biased;
            // The sender lives as long as the options here do.
            _ = fates.changed() => controllers.enqueue_all(objects::PODS, ""),
            _ = metrics.changed() => {
                controllers.register_metrics();
                // What is set by hand is looked at without delay.
                controllers.scaling.values_mut().for_each(|scaling| scaling.next = None);
                controllers.enqueue_all(objects::AUTOSCALERS, "");
            }
            () = clock.reached(due.unwrap_or(Timestamp::MAX)), if due.is_some() => controllers.enqueue_due(),
            () = controllers.cursor.changed() => {}
        }
        controllers.read_changes().await;
    }
}

/// What an autoscaler did before.
#[derive(Default)]
struct Scaling {
    history: autoscaler::History,
    /// When it is to look at its metrics again.
    next: Option<Timestamp>,
}

struct Loop {
    api: Api,
    options: Controllers,
    cursor: WatchCursor,
    waiting: BTreeSet<Place>,
    /// When objects are to be looked at although nothing changes.
    due: BTreeMap<Place, Timestamp>,
    /// What autoscalers made of their metrics before.
    scaling: BTreeMap<Name, Scaling>,
    /// Owners that something was refused to: how often in a row, and when it is tried again.
    refused: BTreeMap<Place, (u32, Timestamp)>,
    /// What is taken of the nodes.
    room: scheduler::Room,
    /// Pods that no node took.
    unplaced: BTreeSet<Name>,
    /// Pods that wait for a ConfigMap or Secret.
    lacking: BTreeSet<Name>,
    /// Pods that have to leave their nodes.
    leaving: BTreeMap<Name, pods::Leaving>,
    /// The node that there is from the start was made; it may be taken away since.
    begun: bool,
    recorder: events::Recorder,
    /// The number in the name of the last event.
    told: u64,
}

/// The resources that something here looks after.
const RESOURCES: [Resource; 17] = [
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
    objects::CRON_JOBS,
    objects::BUDGETS,
    objects::AUTOSCALERS,
    objects::SERVICES,
    objects::QUOTAS,
    objects::CLUSTER_ROLES,
    objects::SECRETS,
];

impl Loop {
    /// Looks at everything that there is.
    async fn rebuild(&mut self) {
        let (all, revision) = self.api.store().snapshot();
        self.cursor = self.api.store().watch(revision);
        let begins = !std::mem::replace(&mut self.begun, true);
        if begins && self.ready() && !all.iter().any(|(resource, _, _)| objects::NODES.is(resource)) {
            for step in kubelet::node(self.now(), self.api.registry().builtin().kubernetes()) {
                let _ = self.perform(&step).await;
            }
        }
        self.room.clear();
        for (resource, name, object) in all {
            if objects::PODS.is(&resource) {
                self.room.follow(None, Some(&object));
            }
            self.enqueue(resource, name);
        }
    }

    /// What is served besides is registered, for as long as there is something to serve.
    fn register_metrics(&self) {
        crate::api::register_metrics(&self.api, !self.options.metrics.is_empty());
    }

    async fn read_changes(&mut self) {
        match self.cursor.take(|_| true) {
            Ok(changes) => changes.iter().for_each(|change| self.follow(change)),
            Err(state::TooOld { .. }) => self.rebuild().await,
        }
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

    fn enqueue_due(&mut self) {
        let now = self.now();
        let come: Vec<Place> =
            self.due.iter().filter(|(_, time)| **time <= now).map(|(place, _)| place.clone()).collect();
        for place in come {
            self.due.remove(&place);
            self.waiting.insert(place);
        }
    }

    fn ready(&self) -> bool {
        self.options.workloads == Workloads::Ready
    }

    fn untouched(&self) -> bool {
        matches!(self.options.workloads, Workloads::Untouched | Workloads::Unattended)
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

    async fn reconcile(&mut self, place: &Place) {
        self.due.remove(place);
        let Some(object) = self.api.store().get(&place.0, &place.1) else {
            if objects::PODS.is(&place.0) {
                self.leaving.remove(&place.1);
                self.lacking.remove(&place.1);
            }
            if objects::AUTOSCALERS.is(&place.0) {
                self.scaling.remove(&place.1);
            }
            return self.clear_away(place).await;
        };
        self.act(place, &object).await;
        let live = self.api.store().get(&place.0, &place.1);
        let retry = self.refused.get(place).map(|(_, time)| *time);
        if let Some(time) = live.and_then(|live| self.next_look(place, &live)).into_iter().chain(retry).min()
        {
            self.due.insert(place.clone(), time);
        }
    }

    /// When an object is to be looked at again, where that follows from the clock.
    fn next_look(&self, place: &Place, object: &Value) -> Option<Timestamp> {
        if self.untouched() {
            return None;
        }
        let now = self.now();
        let paced = [objects::REPLICA_SETS, objects::STATEFUL_SETS, objects::DAEMON_SETS];
        if objects::CRON_JOBS.is(&place.0) {
            cron_job::due(object, now)
        } else if objects::DEPLOYMENTS.is(&place.0) {
            deployment::due(object).filter(|time| *time > now)
        } else if paced.into_iter().any(|resource| resource.is(&place.0)) {
            let counts = objects::int(object, &["spec", "minReadySeconds"]) > 0;
            let pods = if counts { self.controlled(objects::PODS, object) } else { Vec::new() };
            objects::next_available(object, &pods, now)
        } else if objects::JOBS.is(&place.0) {
            job::due(object, &self.controlled(objects::PODS, object), now).filter(|time| *time > now)
        } else if objects::PODS.is(&place.0) && self.ready() {
            let leaves = self.leaving.get(&place.1).map(|leaving| leaving.until);
            let status = pod_status::due(object, self.options.fates.of(object));
            status.into_iter().chain(leaves).filter(|time| *time > now).min()
        } else if objects::AUTOSCALERS.is(&place.0) && !self.options.metrics.is_empty() {
            self.scaling.get(&place.1).and_then(|scaling| scaling.next)
        } else {
            None
        }
    }

    async fn act(&mut self, place: &Place, object: &Arc<Value>) {
        let steps = if objects::CLAIMS.is(&place.0) || objects::VOLUMES.is(&place.0) {
            self.stored(place, object)
        } else if self.untouched() {
            Vec::new()
        } else if objects::PODS.is(&place.0) {
            let steps = self.pod(object);
            if self.ready() && scheduler::waits(object) {
                self.unplaced.insert(place.1.clone());
            }
            steps
        } else if objects::is_deleting(object) {
            Vec::new()
        } else {
            self.workload(place, object).unwrap_or_else(|| self.around(place, object))
        };
        self.perform_all(place, object, &steps).await;
    }

    /// What an object that is gone leaves behind and no owner names: the Endpoints of a service.
    async fn clear_away(&mut self, place: &Place) {
        self.refused.remove(place);
        if !objects::SERVICES.is(&place.0) || self.untouched() {
            return;
        }
        let left = self.api.store().get(&objects::ENDPOINTS.id(), &place.1);
        if let Some(left) = left.filter(|left| endpoints::is_ours(left)) {
            let _ = self.perform(&Step::delete(objects::ENDPOINTS, &left)).await;
        }
    }

    /// What the controllers of workloads do about an object; None where it is none of theirs.
    fn workload(&self, place: &Place, object: &Arc<Value>) -> Option<Vec<Step>> {
        let is = |resource: Resource| resource.is(&place.0);
        let now = self.now();
        let claimed = self.adopted(place, object);
        if !claimed.is_empty() {
            return Some(claimed);
        }
        let pods = || self.controlled(objects::PODS, object);
        Some(if is(objects::DEPLOYMENTS) {
            let sets = self.controlled(objects::REPLICA_SETS, object);
            deployment::reconcile(object, &sets, now)
        } else if is(objects::REPLICA_SETS) {
            replica_set::reconcile(object, &pods(), now)
        } else if is(objects::STATEFUL_SETS) {
            let (claims, _) = self.api.store().list(&objects::CLAIMS.id(), text(object, "namespace"));
            let revisions = self.controlled(objects::REVISIONS, object);
            let found = stateful_set::Found { pods: &pods(), revisions: &revisions, claims: &claims };
            stateful_set::reconcile(object, &found, now)
        } else if is(objects::DAEMON_SETS) {
            let (nodes, _) = self.api.store().list(&objects::NODES.id(), "");
            let revisions = self.controlled(objects::REVISIONS, object);
            daemon_set::reconcile(object, &pods(), &nodes, &revisions, now)
        } else if is(objects::JOBS) {
            job::reconcile(object, &pods(), now)
        } else if is(objects::CRON_JOBS) {
            cron_job::reconcile(object, &self.controlled(objects::JOBS, object), now)
        } else {
            return None;
        })
    }

    /// What an owner takes and lets go of before anything else.
    fn adopted(&self, place: &Place, owner: &Value) -> Vec<Step> {
        let kinds =
            [objects::DEPLOYMENTS, objects::REPLICA_SETS, objects::STATEFUL_SETS, objects::DAEMON_SETS];
        let Some(kind) = kinds.into_iter().find(|kind| kind.is(&place.0)) else { return Vec::new() };
        let child = if kind == objects::DEPLOYMENTS { objects::REPLICA_SETS } else { objects::PODS };
        let (all, _) = self.api.store().list(&child.id(), text(owner, "namespace"));
        let fits = |object: &Value| kind != objects::STATEFUL_SETS || stateful_set::is_member(owner, object);
        adoption::reconcile(kind, owner, child, &all, fits)
    }

    /// What is done about a claim or a volume. What ends their protection does so also where nothing else is looked after.
    fn stored(&self, place: &Place, object: &Value) -> Vec<Step> {
        let list = |resource: Resource, namespace: &str| self.api.store().list(&resource.id(), namespace).0;
        let namespace = text(object, "namespace");
        let pods = list(objects::PODS, namespace);
        let is_claim = objects::CLAIMS.is(&place.0);
        if is_claim && objects::is_deleting(object) {
            return volumes::end_of_claim(object, &pods).into_iter().collect();
        }
        let goes = objects::is_deleting(object) && object.str_at(&["status", "phase"]) != Some("Bound");
        if self.untouched() && !goes {
            return Vec::new();
        }
        let (volumes, claims) = (list(objects::VOLUMES, ""), list(objects::CLAIMS, ""));
        let (classes, _) = self.api.store().list(&storage_classes(), "");
        let found = volumes::Found {
            volumes: &volumes,
            claims: &claims,
            classes: &classes,
            pods: &pods,
            provisions: self.ready(),
        };
        if is_claim {
            volumes::claim(object, &found, self.now())
        } else {
            volumes::volume(object, &found, self.now())
        }
    }

    /// What the other controllers do: those of namespaces, services, budgets, autoscalers and quotas.
    fn around(&mut self, place: &Place, object: &Value) -> Vec<Step> {
        let is = |resource: Resource| resource.is(&place.0);
        let namespace = text(object, "namespace");
        if is(objects::AUTOSCALERS) {
            return self.autoscaled(place, object);
        }
        let listed = |resource: Resource| self.api.store().list(&resource.id(), namespace).0;
        if is(objects::NAMESPACES) {
            self.namespace_content(object)
        } else if is(objects::NODES) && self.ready() {
            nodes::reconcile(object, self.now(), self.api.registry().builtin().kubernetes())
        } else if is(objects::BUDGETS) {
            budget::reconcile(object, &listed(objects::PODS), self.now())
        } else if is(objects::SERVICES) {
            let name = Name::new(namespace, text(object, "name"));
            let found = endpoints::Found {
                pods: &listed(objects::PODS),
                slices: &listed(objects::ENDPOINT_SLICES),
                endpoints: self.api.store().get(&objects::ENDPOINTS.id(), &name),
            };
            endpoints::reconcile(object, &found, self.now())
        } else if is(objects::CLUSTER_ROLES) {
            aggregation::reconcile(object, &listed(objects::CLUSTER_ROLES))
        } else if is(objects::SECRETS) {
            let account = tokens::account_of(object).map(|account| Name::new(namespace, account));
            let account = account.and_then(|it| self.api.store().get(&objects::SERVICE_ACCOUNTS.id(), &it));
            let credentials = &self.options.credentials;
            tokens::reconcile(object, account.as_deref(), credentials, self.now()).into_iter().collect()
        } else if is(objects::QUOTAS) {
            quota::reconcile(object, self.api.store())
        } else {
            Vec::new()
        }
    }

    fn autoscaled(&mut self, place: &Place, scaler: &Value) -> Vec<Step> {
        let namespace = text(scaler, "namespace");
        let live = autoscaler::target(scaler)
            .and_then(|(resource, name)| self.api.store().get(&resource.id(), &Name::new(namespace, name)));
        let selector = live.as_ref().and_then(|live| live.at(&["spec", "selector"])).cloned();
        let (mut pods, _) = self.api.store().list(&objects::PODS.id(), namespace);
        pods.retain(|pod| {
            selector.as_ref().is_some_and(|it| selector_matches(it, pod.at(&["metadata", "labels"])))
        });
        let now = self.now();
        let scaling = self.scaling.entry(place.1.clone()).or_default();
        if !self.options.metrics.is_empty() {
            // Metrics are looked at in turn, however often the target changes.
            if scaling.next.is_some_and(|next| now < next) {
                return Vec::new();
            }
            scaling.next = now.checked_add(autoscaler::PERIOD).ok();
        }
        let history = &mut scaling.history;
        let measured = autoscaler::Measured { pods: &pods, usages: &self.options.metrics, history };
        autoscaler::reconcile(scaler, live.as_ref(), measured, now)
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
            steps.push(objects::root_certificate(name, self.options.credentials.authority_pem()));
        }
        steps
    }
}
