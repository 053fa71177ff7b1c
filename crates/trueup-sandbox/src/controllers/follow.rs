//! Who looks at what after a change: the object itself, whoever owns it, and whoever waits for such a thing.

use std::sync::Arc;

use trueup_object::Value;

use super::objects::{self, Resource, text};
use super::{Loop, RESOURCES, adoption, autoscaler, scheduler, volumes};
use crate::state::{self, Name};
use crate::storage_class::storage_classes;

impl Loop {
    /// Lets those look again whom a change concerns.
    pub(super) fn follow(&mut self, change: &state::Change) {
        let namespace = change.name.namespace.clone();
        self.follow_owners(change);
        let belongs_to_namespace =
            objects::CONFIG_MAPS.is(&change.resource) || objects::SERVICE_ACCOUNTS.is(&change.resource);
        if belongs_to_namespace {
            self.enqueue(objects::NAMESPACES.id(), Name::new("", &namespace));
        }
        if objects::SERVICE_ACCOUNTS.is(&change.resource) && change.kind != state::ChangeKind::Modified {
            self.enqueue_all(objects::SECRETS, &namespace);
        }
        if objects::NODES.is(&change.resource) {
            self.enqueue_all(objects::DAEMON_SETS, "");
            // A node that takes pods again is what some may wait for.
            self.enqueue_all(objects::PODS, "");
        }
        self.follow_volumes(change);
        if objects::CONFIG_MAPS.is(&change.resource) || objects::SECRETS.is(&change.resource) {
            let lacking: Vec<Name> =
                self.lacking.iter().filter(|name| name.namespace == namespace).cloned().collect();
            lacking.into_iter().for_each(|name| self.enqueue(objects::PODS.id(), name));
        }
        if objects::PODS.is(&change.resource) {
            self.follow_room(change);
            self.enqueue_all(objects::BUDGETS, &namespace);
            self.enqueue_all(objects::SERVICES, &namespace);
        }
        let comes_or_goes = change.kind != state::ChangeKind::Modified || objects::PODS.is(&change.resource);
        if comes_or_goes && !namespace.is_empty() {
            self.enqueue_all(objects::QUOTAS, &namespace);
        }
        if objects::CLUSTER_ROLES.is(&change.resource) {
            self.enqueue_all(objects::CLUSTER_ROLES, "");
        }
        if autoscaler::may_be_target(&change.resource) {
            self.enqueue_all(objects::AUTOSCALERS, &namespace);
        }
        self.enqueue(change.resource.clone(), change.name.clone());
    }

    /// Whoever owns an object looks at it, and whoever owned it before; one that nobody controls may get an owner.
    fn follow_owners(&mut self, change: &state::Change) {
        let namespace = &change.name.namespace;
        let owners = |object: &Value| object.list_at(&["metadata", "ownerReferences"]).to_vec();
        let before = change.previous.as_deref().map(owners).unwrap_or_default();
        for owner in before.into_iter().chain(owners(&change.object)) {
            let kind = owner.str_at(&["kind"]).unwrap_or_default();
            if let Some(resource) = RESOURCES.iter().find(|resource| resource.kind == kind) {
                let name = Name::new(namespace, owner.str_at(&["name"]).unwrap_or_default());
                self.enqueue(resource.id(), name);
            }
        }
        let takers: &[Resource] = if objects::PODS.is(&change.resource) {
            &[objects::REPLICA_SETS, objects::STATEFUL_SETS, objects::DAEMON_SETS]
        } else if objects::REPLICA_SETS.is(&change.resource) {
            &[objects::DEPLOYMENTS]
        } else {
            return;
        };
        let part = |key: &str| {
            let before = change.previous.as_ref().and_then(|before| before.at(&["metadata", key]));
            change.object.at(&["metadata", key]) != before
        };
        if !adoption::is_controlled(&change.object) && (part("labels") || part("ownerReferences")) {
            takers.iter().for_each(|resource| self.enqueue_all(*resource, namespace));
        }
    }

    /// What a pod leaves is for those that wait; who comes or changes may be company for them.
    fn follow_room(&mut self, change: &state::Change) {
        let before = change.previous.as_deref();
        let after = (change.kind != state::ChangeKind::Deleted).then_some(change.object.as_ref());
        let frees = self.room.follow(before, after);
        let changes = |path: &[&str]| part(before, path) != part(after, path);
        let comes = changes(&["spec", "nodeName"]) || changes(&["metadata", "labels"]);
        if !self.ready() || !(frees || comes) {
            return;
        }
        let mut waiting = std::mem::take(&mut self.unplaced);
        waiting.retain(|name| {
            let pod = self.api.store().get(&objects::PODS.id(), name);
            let Some(pod) = pod.filter(|pod| scheduler::waits(pod)) else { return false };
            if frees || scheduler::is_choosy(&pod) {
                self.enqueue(objects::PODS.id(), name.clone());
            }
            true
        });
        self.unplaced = waiting;
    }

    /// Claims wait for volumes and classes, volumes for claims, pods for claims, and claims that go for pods.
    fn follow_volumes(&mut self, change: &state::Change) {
        let namespace = &change.name.namespace;
        if objects::VOLUMES.is(&change.resource) || change.resource == storage_classes() {
            self.enqueue_all(objects::CLAIMS, "");
            // Pods may wait for a volume that no claim has yet.
            let (pods, _) = self.api.store().list(&objects::PODS.id(), "");
            let waits = |pod: &&Arc<Value>| {
                volumes::claims_of(pod).next().is_some()
                    && pod.str_at(&["spec", "nodeName"]).is_none_or(str::is_empty)
            };
            for pod in pods.iter().filter(waits) {
                self.enqueue(objects::PODS.id(), Name::new(text(pod, "namespace"), text(pod, "name")));
            }
        } else if objects::CLAIMS.is(&change.resource) {
            self.enqueue_all(objects::VOLUMES, "");
            self.enqueue_all(objects::PODS, namespace);
        } else if objects::PODS.is(&change.resource) {
            for claim in volumes::claims_of(&change.object) {
                self.enqueue(objects::CLAIMS.id(), Name::new(namespace, claim));
            }
        }
    }
}

fn part<'v>(pod: Option<&'v Value>, path: &[&str]) -> Option<&'v Value> {
    pod.and_then(|pod| pod.at(path))
}
