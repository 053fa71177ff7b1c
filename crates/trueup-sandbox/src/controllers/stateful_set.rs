//! Stateful sets: numbered pods, one after the other, with claims of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use trueup_object::{Map, Timestamp, Value};

use super::events::Event;
use super::objects::{
    self, CLAIMS, N_PODS_MAX, PODS, STATEFUL_SETS, Step, content_hash, count, int, is_available, is_ready,
    set_count, text,
};
use super::replica_set::{N_AT_ONCE, is_active};
use super::revision::{self, Style};

const HASH: &str = "controller-revision-hash";
const STYLE: Style = Style { resource: STATEFUL_SETS, hash_label: "controller.kubernetes.io/hash" };

/// What there is of a stateful set.
pub struct Found<'a> {
    pub pods: &'a [Arc<Value>],
    pub revisions: &'a [Arc<Value>],
    /// All claims of the namespace.
    pub claims: &'a [Arc<Value>],
}

/// A stateful set with its pods, sorted out.
struct Numbered<'v> {
    set: &'v Value,
    pods: Vec<&'v Value>,
    by_name: BTreeMap<&'v str, &'v Value>,
    claims: BTreeMap<&'v str, &'v Value>,
    /// The name of the revision of the present template.
    update: String,
    /// The revision that pods below the partition have, and its template.
    current: (String, Value),
    start: i64,
    end: i64,
    parallel: bool,
    now: Timestamp,
}

pub fn reconcile(set: &Value, found: &Found<'_>, now: Timestamp) -> Vec<Step> {
    let template = set.at(&["spec", "template"]).cloned().unwrap_or_default();
    let hash = content_hash(&template);
    let update = format!("{}-{hash}", text(set, "name"));
    let start = int(set, &["spec", "ordinals", "start"]);
    let pods: Vec<&Value> = found.pods.iter().map(Arc::as_ref).filter(|pod| is_active(pod)).collect();
    let numbered = Numbered {
        set,
        by_name: pods.iter().map(|pod| (text(pod, "name"), *pod)).collect(),
        pods,
        claims: found.claims.iter().map(|claim| (text(claim, "name"), claim.as_ref())).collect(),
        current: current(set, found.revisions).unwrap_or_else(|| (update.clone(), template)),
        update,
        start,
        end: start.saturating_add(int(set, &["spec", "replicas"]).min(N_PODS_MAX + 1)),
        parallel: set.str_at(&["spec", "podManagementPolicy"]) == Some("Parallel"),
        now,
    };
    let mut steps = revision::reconcile(set, found.revisions, &hash, &STYLE);
    steps.extend(numbered.kept_claims());
    steps.extend(numbered.next_steps());
    steps.extend(Step::status(STATEFUL_SETS, set, numbered.status()));
    steps
}

/// The revision that the status names, as long as it is there.
fn current(set: &Value, revisions: &[Arc<Value>]) -> Option<(String, Value)> {
    let name = set.str_at(&["status", "currentRevision"])?;
    let revision = revisions.iter().find(|revision| text(revision, "name") == name)?;
    let mut template = revision.at(&["data", "spec", "template"])?.clone();
    template.remove_at(&["$patch"]);
    Some((name.to_owned(), template))
}

/// The name by which a pod of a stateful set is known as one.
pub fn is_member(set: &Value, pod: &Value) -> bool {
    let number = text(pod, "name").strip_prefix(text(set, "name")).and_then(|rest| rest.strip_prefix('-'));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

fn ordinal_of(pod: &Value) -> i64 {
    text(pod, "name").rsplit('-').next().and_then(|digits| digits.parse().ok()).unwrap_or(-1)
}

fn is_of(pod: &Value, revision: &str) -> bool {
    pod.str_at(&["metadata", "labels", HASH]) == Some(revision)
}

impl<'v> Numbered<'v> {
    fn name(&self, ordinal: i64) -> String {
        format!("{}-{ordinal}", text(self.set, "name"))
    }

    fn pod(&self, ordinal: i64) -> Option<&'v Value> {
        self.by_name.get(self.name(ordinal).as_str()).copied()
    }

    fn is_well(&self, pod: &Value) -> bool {
        is_available(pod, int(self.set, &["spec", "minReadySeconds"]), self.now)
    }

    fn next_steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for ordinal in self.start..self.end {
            match self.pod(ordinal) {
                None => {
                    steps.extend(self.create(ordinal));
                    if !self.parallel || steps.len() >= N_AT_ONCE {
                        return steps;
                    }
                }
                Some(pod) if !self.parallel && !self.is_well(pod) => return steps,
                Some(_) => {}
            }
        }
        if !steps.is_empty() {
            return steps;
        }
        let mut surplus: Vec<&Value> = self
            .pods
            .iter()
            .filter(|pod| !(self.start..self.end).contains(&ordinal_of(pod)))
            .copied()
            .collect();
        surplus.sort_by_key(|pod| std::cmp::Reverse(ordinal_of(pod)));
        if !surplus.is_empty() {
            let n_at_once = if self.parallel { surplus.len() } else { 1 };
            return surplus.into_iter().take(n_at_once).flat_map(|pod| self.condemned(pod)).collect();
        }
        self.outdated().map(|pod| Step::delete(PODS, pod)).into_iter().collect()
    }

    fn is_rolling(&self) -> bool {
        self.set.str_at(&["spec", "updateStrategy", "type"]) != Some("OnDelete")
    }

    /// Where a rolling update ends, counted from the highest number.
    fn least_updated(&self) -> i64 {
        self.start.saturating_add(int(self.set, &["spec", "updateStrategy", "rollingUpdate", "partition"]))
    }

    /// The next pod to be replaced by one of the present template: the one with the highest number, once those above are well.
    fn outdated(&self) -> Option<&'v Value> {
        if !self.is_rolling() {
            return None;
        }
        for ordinal in (self.least_updated()..self.end).rev() {
            let pod = self.pod(ordinal)?;
            if !is_of(pod, &self.update) {
                return Some(pod);
            }
            if !is_ready(pod) {
                return None;
            }
        }
        None
    }

    /// The pod and the claims that it mounts. A claim that is there already is kept.
    fn create(&self, ordinal: i64) -> Vec<Step> {
        let (set, name) = (self.set, self.name(ordinal));
        let of_current = self.is_rolling() && ordinal < self.least_updated();
        let mut model = set.clone();
        if of_current {
            model.set_at(&["spec", "template"], self.current.1.clone());
        }
        let revision = if of_current { &self.current.0 } else { &self.update };
        let mut pod = objects::pod(STATEFUL_SETS, &model, None);
        pod.set_at(&["metadata", "name"], name.clone().into());
        pod.set_at(&["metadata", "labels", HASH], revision.clone().into());
        pod.set_at(&["metadata", "labels", "statefulset.kubernetes.io/pod-name"], name.clone().into());
        pod.set_at(&["metadata", "labels", "apps.kubernetes.io/pod-index"], ordinal.to_string().into());
        pod.set_at(&["spec", "hostname"], name.clone().into());
        if let Some(service) = set.str_at(&["spec", "serviceName"]).filter(|service| !service.is_empty()) {
            pod.set_at(&["spec", "subdomain"], service.into());
        }
        let mut steps = Vec::new();
        let mut volumes = pod.list_at(&["spec", "volumes"]).to_vec();
        for template in set.list_at(&["spec", "volumeClaimTemplates"]) {
            let volume_name = text(template, "name");
            let claim_name = format!("{volume_name}-{name}");
            if self.claim(&claim_name).is_none() {
                steps.extend(self.new_claim(template, &claim_name, &name));
            }
            let mut volume = Value::Map(Map::new());
            volume.set_at(&["name"], volume_name.into());
            volume.set_at(&["persistentVolumeClaim", "claimName"], claim_name.into());
            volumes.retain(|other| other.str_at(&["name"]) != Some(volume_name));
            volumes.push(volume);
        }
        if !volumes.is_empty() {
            pod.set_at(&["spec", "volumes"], Value::List(volumes));
        }
        steps.push(Step::create(PODS, pod));
        steps
    }

    fn claim(&self, name: &str) -> Option<&'v Value> {
        self.claims.get(name).copied()
    }

    fn new_claim(&self, template: &Value, name: &str, pod: &str) -> [Step; 2] {
        let set = self.set;
        let mut claim = template.clone();
        claim.remove_at(&["status"]);
        claim.set_at(&["metadata", "name"], name.into());
        claim.set_at(&["metadata", "namespace"], text(set, "namespace").into());
        if let Some(labels) = set.at(&["spec", "selector", "matchLabels"]) {
            claim.set_at(&["metadata", "labels"], labels.clone());
        }
        if self.deletes("whenDeleted") {
            let owner = objects::owner_reference(STATEFUL_SETS, set);
            claim.set_at(&["metadata", "ownerReferences"], Value::List(vec![owner]));
        }
        let message = format!("Create Claim {name} Pod {pod} in StatefulSet {} success", text(set, "name"));
        let component = "statefulset-controller";
        let told = Event::told(set, STATEFUL_SETS, component, "SuccessfulCreate", message, false);
        [Step::create(CLAIMS, claim), Step::Tell(told)]
    }

    /// Whether the claims go too, `whenDeleted` or `whenScaled`.
    fn deletes(&self, when: &str) -> bool {
        self.set.str_at(&["spec", "persistentVolumeClaimRetentionPolicy", when]) == Some("Delete")
    }

    /// The claims of a pod by their templates, as far as they are there.
    fn claims_of(&self, ordinal: i64) -> impl Iterator<Item = &'v Value> {
        let templates = self.set.list_at(&["spec", "volumeClaimTemplates"]).iter();
        templates.filter_map(move |it| self.claim(&format!("{}-{}", text(it, "name"), self.name(ordinal))))
    }

    /// Claims belong to the set where they go with it.
    fn kept_claims(&self) -> Vec<Step> {
        let owner = objects::owner_reference(STATEFUL_SETS, self.set);
        let wanted = self.deletes("whenDeleted").then_some(owner);
        (self.start..self.end)
            .flat_map(|ordinal| self.claims_of(ordinal))
            .filter_map(|claim| owned(claim, wanted.as_ref(), &self.owners()))
            .collect()
    }

    /// Those by which a claim may be owned from here.
    fn owners(&self) -> Vec<&str> {
        std::iter::once(self.set).chain(self.pods.iter().copied()).map(|owner| text(owner, "uid")).collect()
    }

    /// A pod beyond the number goes, and its claims with it where the policy says so: they belong to it then.
    fn condemned(&self, pod: &'v Value) -> Vec<Step> {
        let mut steps = Vec::new();
        if self.deletes("whenScaled") {
            let owner = objects::owner_reference(PODS, pod);
            let claims = self.claims_of(ordinal_of(pod));
            steps.extend(claims.filter_map(|claim| owned(claim, Some(&owner), &self.owners())));
        }
        steps.push(Step::delete(PODS, pod));
        steps
    }

    fn status(&self) -> Value {
        let set = self.set;
        let mut status = set.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
        let pods = || self.pods.iter().copied();
        let all = i64::try_from(self.pods.len()).unwrap_or(i64::MAX);
        let ready = count(pods(), is_ready);
        let updated = count(pods(), |pod| is_of(pod, &self.update));
        // The update becomes the current revision once every pod has it and is ready, unless pods are replaced by hand.
        let is_done = self.is_rolling() && updated == all && ready == all;
        let current = if is_done { &self.update } else { &self.current.0 };
        status.set_at(&["replicas"], all.into());
        set_count(&mut status, "readyReplicas", ready);
        status.set_at(&["availableReplicas"], count(pods(), |pod| self.is_well(pod)).into());
        set_count(&mut status, "currentReplicas", count(pods(), |pod| is_of(pod, current)));
        set_count(&mut status, "updatedReplicas", updated);
        status.set_at(&["currentRevision"], current.clone().into());
        status.set_at(&["updateRevision"], self.update.clone().into());
        status.set_at(&["collisionCount"], 0.into());
        status.set_at(&["observedGeneration"], int(set, &["metadata", "generation"]).into());
        status
    }
}

/// A claim with one owner of ours or none; nothing where it is so already.
fn owned(claim: &Value, wanted: Option<&Value>, ours: &[&str]) -> Option<Step> {
    let owners = claim.list_at(&["metadata", "ownerReferences"]);
    let foreign =
        owners.iter().filter(|owner| !ours.contains(&owner.str_at(&["uid"]).unwrap_or_default())).cloned();
    let all: Vec<Value> = foreign.chain(wanted.cloned()).collect();
    if all == owners {
        return None;
    }
    let mut changed = claim.clone();
    if all.is_empty() {
        changed.remove_at(&["metadata", "ownerReferences"]);
    } else {
        changed.set_at(&["metadata", "ownerReferences"], Value::List(all));
    }
    Some(Step::update(CLAIMS, changed))
}

#[cfg(test)]
#[path = "stateful_set_tests.rs"]
mod tests;
