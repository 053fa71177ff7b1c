//! What is done about one pod: it gets a node, runs on it, and leaves it.

use std::sync::Arc;

use trueup_object::{Timestamp, Value};

use super::lack::{self, Lack};
use super::nodes::{self, Leave, Why};
use super::objects::{self, Resource, Step, is_controlled_by, text};
use super::{Loop, job, pod_status, scheduler, volumes};
use crate::state::Name;
use crate::storage_class::storage_classes;

/// A pod that has to leave its node.
#[derive(Debug, Clone, Copy)]
pub struct Leaving {
    why: Why,
    since: Timestamp,
    /// Until then it may stay.
    pub until: Timestamp,
}

impl Loop {
    /// Why a pod's claims keep it from a node.
    fn claims_first(&self, pod: &Value, node: Option<&str>) -> Option<volumes::Wait> {
        volumes::claims_of(pod).next()?;
        let list = |resource: Resource, namespace: &str| self.api.store().list(&resource.id(), namespace).0;
        let (volumes, claims) = (list(objects::VOLUMES, ""), list(objects::CLAIMS, text(pod, "namespace")));
        let (classes, _) = self.api.store().list(&storage_classes(), "");
        let found = volumes::Found {
            volumes: &volumes,
            claims: &claims,
            classes: &classes,
            pods: &[],
            provisions: self.ready(),
        };
        volumes::before_binding(pod, node, &found)
    }

    /// A pod is given a node first, and then runs on it.
    pub(super) fn pod(&mut self, pod: &Value) -> Vec<Step> {
        if let Some(step) = self.without_job(pod) {
            return vec![step];
        }
        if !self.ready() {
            return Vec::new();
        }
        let (nodes, _) = self.api.store().list(&objects::NODES.id(), "");
        if let Some(why) = self.leaves(pod, &nodes) {
            return nodes::removed(pod, why, self.now());
        }
        let fate = self.options.fates.of(pod);
        let claims = |node: Option<&str>| self.claims_first(pod, node);
        let store = self.api.store();
        let found = scheduler::Found {
            nodes: &nodes,
            room: &self.room,
            pods: &|| store.list(&objects::PODS.id(), "").0,
            lone: &|| self.room.lone().filter_map(|name| store.get(&objects::PODS.id(), name)).collect(),
            namespaces: &|name| store.get(&objects::NAMESPACES.id(), &Name::new("", name)),
        };
        let placed = scheduler::reconcile(pod, &found, fate, claims, self.now());
        placed.unwrap_or_else(|| {
            let node = pod.str_at(&["spec", "nodeName"]).unwrap_or_default();
            // Where there is no node there is no kubelet; what is to go goes all the same.
            let lives = objects::is_deleting(pod) || nodes.iter().any(|it| text(it, "name") == node);
            if !lives {
                return Vec::new();
            }
            let lack = self.lack(pod);
            pod_status::reconcile(pod, fate, &lack, self.now())
        })
    }

    /// What a pod needs before it begins, of what is not there. Whoever waits for such a thing is remembered.
    fn lack(&mut self, pod: &Value) -> Lack {
        let begins = pod.str_at(&["status", "phase"]).is_none_or(|phase| phase == "Pending");
        let name = Name::new(text(pod, "namespace"), text(pod, "name"));
        let lack = if begins && !objects::is_deleting(pod) {
            let store = self.api.store();
            let of = |resource: Resource, wanted: &str| {
                store.get(&resource.id(), &Name::new(&name.namespace, wanted))
            };
            lack::of_pod(pod, &of)
        } else {
            Lack::default()
        };
        if lack.is_none() {
            self.lacking.remove(&name);
        } else {
            self.lacking.insert(name);
        }
        lack
    }

    /// Why a pod has to leave its node by now; the time runs from when that was first seen.
    fn leaves(&mut self, pod: &Value, nodes: &[Arc<Value>]) -> Option<Why> {
        let name = Name::new(text(pod, "namespace"), text(pod, "name"));
        let Leave::After(delay, why) = nodes::leave(pod, nodes) else {
            self.leaving.remove(&name);
            return None;
        };
        let now = self.now();
        let known = self.leaving.get(&name).filter(|leaving| leaving.why == why);
        let since = known.map_or(now, |leaving| leaving.since);
        let until = since.checked_add(delay).unwrap_or(Timestamp::MAX);
        if until <= now {
            self.leaving.remove(&name);
            return Some(why);
        }
        self.leaving.insert(name, Leaving { why, since, until });
        None
    }

    /// Nobody counts the pods of a job that is gone.
    fn without_job(&self, pod: &Value) -> Option<Step> {
        let released = job::released(pod)?;
        let (jobs, _) = self.api.store().list(&objects::JOBS.id(), text(pod, "namespace"));
        let counted = jobs.iter().any(|job| is_controlled_by(pod, text(job, "uid")));
        (!counted).then_some(released)
    }
}
