//! Deployments: a replica set for each template, and the rollout from one to the next.

mod progress;

use std::sync::Arc;

use trueup_object::{Map, Timestamp, Value};

use super::objects::{self, DEPLOYMENTS, REPLICA_SETS, Step, annotation, content_hash, int, set_count, text};
use progress::Counts;

pub use progress::due;

const REVISION: &str = "deployment.kubernetes.io/revision";
const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
const MAX: &str = "deployment.kubernetes.io/max-replicas";
const HASH: &str = "pod-template-hash";

/// Annotations of a deployment that its replica sets do not get.
const OWN_ANNOTATIONS: [&str; 5] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];

/// A deployment with its replica sets, sorted out.
struct Rollout<'v> {
    deployment: &'v Value,
    new: Option<&'v Value>,
    old: Vec<&'v Value>,
    replicas: i64,
    max_surge: i64,
    max_unavailable: i64,
    paused: bool,
}

pub fn reconcile(deployment: &Value, sets: &[Arc<Value>], now: Timestamp) -> Vec<Step> {
    let sets: Vec<&Value> = sets.iter().map(Arc::as_ref).filter(|set| !objects::is_deleting(set)).collect();
    let rollout = Rollout::new(deployment, &sets);
    let mut steps = rollout.next_steps();
    if steps.is_empty() {
        steps.extend(rollout.prune());
    }
    let mut status = rollout.status(now);
    // The revision is written together with the status, as the controller does.
    let revision = rollout.new.map(|set| annotation(set, REVISION)).filter(|revision| !revision.is_empty());
    if let Some(revision) = revision.filter(|revision| annotation(deployment, REVISION) != *revision) {
        status.set_at(&["metadata", "annotations", REVISION], revision.into());
    }
    if status != *deployment {
        steps.push(Step::Update {
            resource: DEPLOYMENTS,
            object: status,
            manager: objects::CONTROLLER_MANAGER,
            subresource: Some("status"),
        });
    }
    steps
}

/// The status of a deployment whose replica set was refused.
pub fn hindered(deployment: &Value, message: &str, now: Timestamp) -> Option<Step> {
    let conditions = progress::hindered(deployment, message, now)?;
    let mut status = deployment.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
    status.set_at(&["conditions"], Value::List(conditions));
    Step::status(DEPLOYMENTS, deployment, status)
}

impl<'v> Rollout<'v> {
    fn new(deployment: &'v Value, sets: &[&'v Value]) -> Self {
        let template = template_of(deployment);
        let is_new = |set: &&&Value| template_of(set) == template;
        let new = sets.iter().filter(is_new).min_by_key(|set| revision(set)).copied();
        let old = sets
            .iter()
            .filter(|set| new.is_none_or(|new| text(new, "uid") != text(set, "uid")))
            .copied()
            .collect();
        let replicas = int(deployment, &["spec", "replicas"]);
        let (max_surge, max_unavailable) = fence(deployment, replicas);
        let paused = deployment.at(&["spec", "paused"]).and_then(Value::as_bool) == Some(true);
        Self { deployment, new, old, replicas, max_surge, max_unavailable, paused }
    }

    fn all(&self) -> impl Iterator<Item = &'v Value> {
        self.new.into_iter().chain(self.old.iter().copied())
    }

    fn total(&self, path: &[&str]) -> i64 {
        self.all().map(|set| int(set, path)).sum()
    }

    fn next_revision(&self) -> i64 {
        self.old.iter().map(|set| revision(set)).max().unwrap_or_default() + 1
    }

    fn is_recreate(&self) -> bool {
        self.deployment.str_at(&["spec", "strategy", "type"]) == Some("Recreate")
    }

    /// The next step of the rollout, one at a time: each waits for what the one before brought about.
    fn next_steps(&self) -> Vec<Step> {
        if self.paused {
            return self.scale_only();
        }
        let old_pods: i64 = self.old.iter().map(|set| pods_of(set)).sum();
        if self.is_recreate() && old_pods > 0 {
            return self.old.iter().filter_map(|set| self.scaled(set, 0)).collect();
        }
        let Some(new) = self.new else { return vec![self.new_set()] };
        if let Some(step) = self.marked(new) {
            return vec![step];
        }
        if self.is_recreate() {
            return self.scaled(new, self.replicas).into_iter().collect();
        }
        let wanted = self.new_replicas(int(new, &["spec", "replicas"]));
        if let Some(step) = self.scaled(new, wanted) {
            return vec![step];
        }
        self.shrink_old(new)
    }

    fn new_replicas(&self, current: i64) -> i64 {
        if current >= self.replicas {
            return self.replicas;
        }
        let room = self.replicas + self.max_surge - self.total(&["spec", "replicas"]);
        current + room.clamp(0, self.replicas - current)
    }

    /// Takes away old pods as far as enough stay available.
    fn shrink_old(&self, new: &Value) -> Vec<Step> {
        let total = self.total(&["spec", "replicas"]);
        let least = self.replicas - self.max_unavailable;
        let new_missing = int(new, &["spec", "replicas"]) - int(new, &["status", "availableReplicas"]);
        let mut may_go = (total - least - new_missing).max(0);
        let mut steps = Vec::new();
        for set in &self.old {
            let current = int(set, &["spec", "replicas"]);
            let goes = current.min(may_go);
            if goes > 0 {
                may_go -= goes;
                steps.extend(self.scaled(set, current - goes));
            }
        }
        steps
    }

    /// A paused deployment rolls nothing out but still follows its replicas.
    fn scale_only(&self) -> Vec<Step> {
        let active: Vec<&Value> = self.all().filter(|set| int(set, &["spec", "replicas"]) > 0).collect();
        match active.as_slice() {
            [] => self.new.and_then(|set| self.scaled(set, self.replicas)).into_iter().collect(),
            [only] => self.scaled(only, self.replicas).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// Whether the next step makes the new replica set: where old pods go first, only after them.
    fn name_to_come(&self) -> Option<String> {
        let waits = self.is_recreate() && self.old.iter().any(|set| pods_of(set) > 0);
        let comes = self.new.is_none() && !self.paused && !waits;
        comes.then(|| self.new_name(&content_hash(&template_of(self.deployment))))
    }

    fn new_name(&self, hash: &str) -> String {
        format!("{}-{hash}", text(self.deployment, "name"))
    }

    fn new_set(&self) -> Step {
        let deployment = self.deployment;
        let template = template_of(deployment);
        let hash = content_hash(&template);
        let mut set = REPLICA_SETS.object(text(deployment, "namespace"));
        set.set_at(&["metadata", "name"], self.new_name(&hash).into());
        let owners = Value::List(vec![objects::owner_reference(DEPLOYMENTS, deployment)]);
        set.set_at(&["metadata", "ownerReferences"], owners);
        let mut template = template;
        template.set_at(&["metadata", "labels", HASH], hash.clone().into());
        let labels = template.at(&["metadata", "labels"]).cloned().unwrap_or_default();
        set.set_at(&["metadata", "labels"], labels);
        self.annotate(&mut set);
        let selector = deployment.at(&["spec", "selector"]).cloned().unwrap_or_default();
        set.set_at(&["spec", "selector"], selector);
        set.set_at(&["spec", "selector", "matchLabels", HASH], hash.into());
        set.set_at(&["spec", "template"], template);
        let replicas = if self.is_recreate() { self.replicas } else { self.new_replicas(0) };
        set.set_at(&["spec", "replicas"], replicas.into());
        if let Some(seconds) = deployment.at(&["spec", "minReadySeconds"]) {
            set.set_at(&["spec", "minReadySeconds"], seconds.clone());
        }
        Step::create(REPLICA_SETS, set)
    }

    /// The annotations that a replica set of the present template has.
    fn annotate(&self, set: &mut Value) {
        let own = self.deployment.at(&["metadata", "annotations"]).and_then(Value::as_map);
        for (key, value) in own.into_iter().flat_map(Map::iter) {
            if !OWN_ANNOTATIONS.contains(&key) {
                set.set_at(&["metadata", "annotations", key], value.clone());
            }
        }
        let revision = self.next_revision().max(revision(set));
        set.set_at(&["metadata", "annotations", REVISION], revision.to_string().into());
        self.annotate_sizes(set);
    }

    fn annotate_sizes(&self, set: &mut Value) {
        let most = self.replicas + if self.is_recreate() { 0 } else { self.max_surge };
        set.set_at(&["metadata", "annotations", DESIRED], self.replicas.to_string().into());
        set.set_at(&["metadata", "annotations", MAX], most.to_string().into());
    }

    /// Brings a replica set's annotations up to date: an old one that became the new one again gets a new revision.
    fn marked(&self, set: &Value) -> Option<Step> {
        let mut changed = set.clone();
        self.annotate(&mut changed);
        (changed != *set).then(|| Step::update(REPLICA_SETS, changed))
    }

    fn scaled(&self, set: &Value, replicas: i64) -> Option<Step> {
        if int(set, &["spec", "replicas"]) == replicas {
            return None;
        }
        let mut changed = set.clone();
        changed.set_at(&["spec", "replicas"], replicas.into());
        self.annotate_sizes(&mut changed);
        Some(Step::update(REPLICA_SETS, changed))
    }

    /// Old replica sets beyond the history that is to be kept, oldest first.
    fn prune(&self) -> Vec<Step> {
        let keep = self.deployment.int_at(&["spec", "revisionHistoryLimit"]).unwrap_or(10);
        let mut idle: Vec<&Value> = self
            .old
            .iter()
            .filter(|set| int(set, &["spec", "replicas"]) == 0 && pods_of(set) == 0)
            .copied()
            .collect();
        idle.sort_by_key(|set| revision(set));
        let excess = i64::try_from(idle.len()).unwrap_or_default() - keep.max(0);
        let excess = usize::try_from(excess).unwrap_or_default();
        idle.into_iter().take(excess).map(|set| Step::delete(REPLICA_SETS, set)).collect()
    }

    /// The deployment with the status that follows from its replica sets.
    fn status(&self, now: Timestamp) -> Value {
        let before = self.deployment.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
        let mut status = before.clone();
        let updated = self.new.map_or(0, pods_of);
        let all = self.total(&["status", "replicas"]);
        let ready = self.total(&["status", "readyReplicas"]);
        let available = self.total(&["status", "availableReplicas"]);
        let unavailable = (self.total(&["spec", "replicas"]) - available).max(0);
        let generation = int(self.deployment, &["metadata", "generation"]);
        status.set_at(&["observedGeneration"], generation.into());
        set_count(&mut status, "replicas", all);
        set_count(&mut status, "updatedReplicas", updated);
        set_count(&mut status, "readyReplicas", ready);
        set_count(&mut status, "availableReplicas", available);
        set_count(&mut status, "unavailableReplicas", unavailable);
        status.set_at(&["terminatingReplicas"], 0.into());
        let counts = Counts { all, updated, ready, available };
        status.set_at(&["conditions"], Value::List(progress::conditions(self, counts, now)));
        let mut object = self.deployment.clone();
        object.set_at(&["status"], status);
        object
    }
}

/// The template without the label that replica sets add.
fn template_of(object: &Value) -> Value {
    let mut template = object.at(&["spec", "template"]).cloned().unwrap_or_default();
    template.remove_at(&["metadata", "labels", HASH]);
    template
}

fn revision(set: &Value) -> i64 {
    annotation(set, REVISION).parse().unwrap_or_default()
}

fn pods_of(set: &Value) -> i64 {
    int(set, &["status", "replicas"])
}

/// How many pods may be there too many, and how many may be missing, during a rollout.
fn fence(deployment: &Value, replicas: i64) -> (i64, i64) {
    let rolling = ["spec", "strategy", "rollingUpdate"];
    let of = |key: &str, round_up: bool| match deployment.at(&rolling).and_then(|rolling| rolling.get(key)) {
        Some(Value::Int(number)) => *number,
        Some(Value::Str(text)) => {
            let percent: i64 =
                text.strip_suffix('%').and_then(|digits| digits.parse().ok()).unwrap_or_default();
            let scaled = percent.saturating_mul(replicas);
            if round_up { scaled.saturating_add(99) / 100 } else { scaled / 100 }
        }
        _ => 0,
    };
    let (surge, unavailable) = (of("maxSurge", true), of("maxUnavailable", false));
    // Something must be allowed to move.
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

#[cfg(test)]
#[path = "deployment_tests.rs"]
mod tests;
