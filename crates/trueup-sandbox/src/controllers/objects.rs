//! Steps that controllers take, and what their objects have in common.

use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use trueup_object::{Map, Timestamp, Value};

use super::events::Event;
use crate::clock::wire_time;
use crate::state::ResourceId;

pub const CONTROLLER_MANAGER: &str = "kube-controller-manager";
pub const KUBELET: &str = "kubelet";

/// How many pods of one owner there are at most: whoever asks for millions gets a refusal, as from a quota, and no end of memory.
pub const N_PODS_MAX: i64 = 5000;

/// A resource in the version in which it is written here, and the kind of its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resource {
    pub group: &'static str,
    pub version: &'static str,
    pub plural: &'static str,
    pub kind: &'static str,
}

const fn resource(group: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    Resource { group, version: "v1", plural, kind }
}

pub const NAMESPACES: Resource = resource("", "namespaces", "Namespace");
pub const NODES: Resource = resource("", "nodes", "Node");
pub const PODS: Resource = resource("", "pods", "Pod");
pub const CONFIG_MAPS: Resource = resource("", "configmaps", "ConfigMap");
pub const SECRETS: Resource = resource("", "secrets", "Secret");
pub const SERVICE_ACCOUNTS: Resource = resource("", "serviceaccounts", "ServiceAccount");
pub const CLAIMS: Resource = resource("", "persistentvolumeclaims", "PersistentVolumeClaim");
pub const VOLUMES: Resource = resource("", "persistentvolumes", "PersistentVolume");
pub const DEPLOYMENTS: Resource = resource("apps", "deployments", "Deployment");
pub const REPLICA_SETS: Resource = resource("apps", "replicasets", "ReplicaSet");
pub const STATEFUL_SETS: Resource = resource("apps", "statefulsets", "StatefulSet");
pub const DAEMON_SETS: Resource = resource("apps", "daemonsets", "DaemonSet");
pub const BUDGETS: Resource = resource("policy", "poddisruptionbudgets", "PodDisruptionBudget");
pub const CRON_JOBS: Resource = resource("batch", "cronjobs", "CronJob");
pub const JOBS: Resource = resource("batch", "jobs", "Job");
pub const AUTOSCALERS: Resource = Resource {
    version: "v2",
    ..resource("autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler")
};

pub const SERVICES: Resource = resource("", "services", "Service");
pub const ENDPOINTS: Resource = resource("", "endpoints", "Endpoints");
pub const EVENTS: Resource = resource("", "events", "Event");
pub const QUOTAS: Resource = resource("", "resourcequotas", "ResourceQuota");
pub const ENDPOINT_SLICES: Resource = resource("discovery.k8s.io", "endpointslices", "EndpointSlice");
pub const REVISIONS: Resource = resource("apps", "controllerrevisions", "ControllerRevision");
pub const CLUSTER_ROLES: Resource = resource("rbac.authorization.k8s.io", "clusterroles", "ClusterRole");

impl Resource {
    pub fn id(self) -> ResourceId {
        ResourceId::new(self.group, self.plural)
    }

    pub fn is(self, id: &ResourceId) -> bool {
        id.group == self.group && id.plural == self.plural
    }

    pub fn api_version(self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// A new object of the resource.
    pub fn object(self, namespace: &str) -> Value {
        let mut object = Value::Map(Map::new());
        object.set_at(&["apiVersion"], self.api_version().into());
        object.set_at(&["kind"], self.kind.into());
        if !namespace.is_empty() {
            object.set_at(&["metadata", "namespace"], namespace.into());
        }
        object
    }
}

/// Something a controller does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Create {
        resource: Resource,
        object: Value,
        manager: &'static str,
    },
    /// The whole object, which must still be at its resourceVersion.
    Update {
        resource: Resource,
        object: Value,
        manager: &'static str,
        subresource: Option<&'static str>,
    },
    /// Server-side, forced.
    Apply {
        resource: Resource,
        object: Value,
        manager: &'static str,
    },
    Delete {
        resource: Resource,
        object: Value,
    },
    /// A pod that is being deleted has ended.
    End {
        pod: Value,
    },
    /// A pod gets its node.
    Bind {
        pod: Value,
        node: String,
    },
    /// Nothing is done, and it is told why.
    Tell(Event),
}

impl Step {
    pub fn create(resource: Resource, object: Value) -> Self {
        Self::Create { resource, object, manager: CONTROLLER_MANAGER }
    }

    pub fn update(resource: Resource, object: Value) -> Self {
        Self::Update { resource, object, manager: CONTROLLER_MANAGER, subresource: None }
    }

    pub fn delete(resource: Resource, object: &Value) -> Self {
        Self::Delete { resource, object: object.clone() }
    }

    pub fn end(pod: &Value) -> Self {
        Self::End { pod: pod.clone() }
    }

    /// Writes a status, if it is not there already.
    pub fn status(resource: Resource, object: &Value, status: Value) -> Option<Self> {
        let mut changed = object.clone();
        changed.set_at(&["status"], status);
        (changed != *object).then_some(Self::Update {
            resource,
            object: changed,
            manager: CONTROLLER_MANAGER,
            subresource: Some("status"),
        })
    }

    /// What it is done to.
    pub fn resource(&self) -> Option<Resource> {
        Some(match self {
            Self::Create { resource, .. }
            | Self::Update { resource, .. }
            | Self::Apply { resource, .. }
            | Self::Delete { resource, .. } => *resource,
            Self::Bind { .. } | Self::End { .. } => PODS,
            Self::Tell(_) => return None,
        })
    }
}

/// A text of an object's metadata; empty where it has none.
pub fn text<'v>(object: &'v Value, key: &str) -> &'v str {
    object.str_at(&["metadata", key]).unwrap_or_default()
}

/// An annotation's value; empty where there is none.
pub fn annotation<'v>(object: &'v Value, key: &str) -> &'v str {
    object.str_at(&["metadata", "annotations", key]).unwrap_or_default()
}

pub fn is_deleting(object: &Value) -> bool {
    object.at(&["metadata", "deletionTimestamp"]).is_some_and(|time| !time.is_null())
}

/// An integer; 0 where there is none.
pub fn int(object: &Value, path: &[&str]) -> i64 {
    object.int_at(path).unwrap_or_default()
}

/// Sets an integer, or leaves it out where it is 0, as most counts of statuses are.
pub fn set_count(status: &mut Value, key: &str, count: i64) {
    if count == 0 {
        status.remove_at(&[key]);
    } else {
        status.set_at(&[key], count.into());
    }
}

pub fn count<'v>(items: impl IntoIterator<Item = &'v Value>, is: impl Fn(&Value) -> bool) -> i64 {
    i64::try_from(items.into_iter().filter(|item| is(item)).count()).unwrap_or(i64::MAX)
}

pub fn owner_reference(resource: Resource, owner: &Value) -> Value {
    let mut reference = Value::Map(Map::new());
    reference.set_at(&["apiVersion"], resource.api_version().into());
    reference.set_at(&["kind"], resource.kind.into());
    reference.set_at(&["name"], text(owner, "name").into());
    reference.set_at(&["uid"], text(owner, "uid").into());
    reference.set_at(&["controller"], true.into());
    reference.set_at(&["blockOwnerDeletion"], true.into());
    reference
}

/// Whether the object's controller has this uid.
pub fn is_controlled_by(object: &Value, uid: &str) -> bool {
    object.list_at(&["metadata", "ownerReferences"]).iter().any(|owner| {
        owner.str_at(&["uid"]) == Some(uid) && owner.get("controller").and_then(Value::as_bool) == Some(true)
    })
}

/// A pod from the template of its owner, without a name.
pub fn pod(owner_resource: Resource, owner: &Value, on_node: Option<&str>) -> Value {
    let mut pod = PODS.object(text(owner, "namespace"));
    for field in ["labels", "annotations"] {
        if let Some(value) = owner.at(&["spec", "template", "metadata", field]) {
            pod.set_at(&["metadata", field], value.clone());
        }
    }
    let owners = Value::List(vec![owner_reference(owner_resource, owner)]);
    pod.set_at(&["metadata", "ownerReferences"], owners);
    let spec = owner.at(&["spec", "template", "spec"]).cloned().unwrap_or_default();
    pod.set_at(&["spec"], spec);
    if let Some(node) = on_node {
        pod.set_at(&["spec", "nodeName"], node.into());
    }
    pod
}

pub fn is_ready(pod: &Value) -> bool {
    pod.list_at(&["status", "conditions"]).iter().any(|condition| {
        condition.str_at(&["type"]) == Some("Ready") && condition.str_at(&["status"]) == Some("True")
    })
}

/// When a pod counts as available: it has to have been ready for so long.
fn available_time(pod: &Value, min_ready_seconds: i64) -> Option<Timestamp> {
    let ready = condition(pod.list_at(&["status", "conditions"]), "Ready")?;
    let since = ready.str_at(&["lastTransitionTime"])?.parse::<Timestamp>().ok()?;
    let wait = Duration::from_secs(u64::try_from(min_ready_seconds).unwrap_or_default());
    since.checked_add(wait).ok()
}

pub fn is_available(pod: &Value, min_ready_seconds: i64, now: Timestamp) -> bool {
    is_ready(pod)
        && (min_ready_seconds == 0 || available_time(pod, min_ready_seconds).is_some_and(|time| time <= now))
}

/// When the next of a workload's pods that are ready becomes available.
pub fn next_available(workload: &Value, pods: &[Arc<Value>], now: Timestamp) -> Option<Timestamp> {
    let seconds = int(workload, &["spec", "minReadySeconds"]);
    let ready = pods.iter().filter(|pod| is_ready(pod));
    ready.filter_map(|pod| available_time(pod, seconds)).filter(|time| *time > now).min()
}

/// Letters that are safe in names, from what a value is: the same value gives the same letters.
pub fn content_hash(value: &Value) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let digest = Sha256::digest(value.to_json().as_bytes());
    let letter = |byte: &u8| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
    digest.iter().take(10).map(letter).collect()
}

/// A condition of a status.
pub struct Condition<'a> {
    pub kind: &'a str,
    pub status: &'a str,
    pub reason: &'a str,
    pub message: &'a str,
}

impl Condition<'_> {
    pub fn to_value(&self, now: Timestamp) -> Value {
        let mut condition = Value::Map(Map::new());
        condition.set_at(&["type"], self.kind.into());
        condition.set_at(&["status"], self.status.into());
        condition.set_at(&["lastTransitionTime"], wire_time(now).into());
        for (key, text) in [("reason", self.reason), ("message", self.message)] {
            if !text.is_empty() {
                condition.set_at(&[key], text.into());
            }
        }
        condition
    }
}

/// Puts a condition in the place of the one of its type.
pub fn put_condition(conditions: &mut Vec<Value>, value: Value) {
    conditions.retain(|condition| condition.get("type") != value.get("type"));
    conditions.push(value);
}

pub fn condition<'v>(conditions: &'v [Value], kind: &str) -> Option<&'v Value> {
    conditions.iter().find(|condition| condition.str_at(&["type"]) == Some(kind))
}

pub const ROOT_CERTIFICATE: &str = "kube-root-ca.crt";

pub fn default_account(namespace: &str) -> Step {
    let mut account = SERVICE_ACCOUNTS.object(namespace);
    account.set_at(&["metadata", "name"], "default".into());
    Step::create(SERVICE_ACCOUNTS, account)
}

pub fn root_certificate(namespace: &str, certificate: &str) -> Step {
    let mut map = CONFIG_MAPS.object(namespace);
    map.set_at(&["metadata", "name"], ROOT_CERTIFICATE.into());
    map.set_at(
        &["metadata", "annotations", "kubernetes.io/description"],
        "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the \
         internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of \
         Kubernetes clusters."
            .into(),
    );
    map.set_at(&["data", "ca.crt"], certificate.into());
    Step::create(CONFIG_MAPS, map)
}
