//! What the API server does to an object of a kind between decoding and storing it: fields that a write may not touch,
//! fields that the server allocates, `metadata.generation`.

mod gated;
mod partial;
mod pod;
mod service;

pub use pod::quality_of_service;
pub use service::{doubled_node_port, is_headless};

use trueup_object::{FieldPath, FieldSet, Map, Value};

use super::fields::{copy_field, fill, is_unset};
use super::{WriteRequest, identity};
use crate::kind::KindInfo;

/// Which part of an object a request writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The object itself, without its status where that is a subresource.
    Main,
    Status,
    /// A namespace's `/finalize`: `spec.finalizers` and nothing else.
    Finalize,
    /// A signing request's `/approval`: the conditions that decide about it.
    Approval,
    /// A pod's `/ephemeralcontainers`.
    EphemeralContainers,
    /// A pod's `/resize`: what its containers may use.
    Resize,
}

impl Part {
    /// The part that a subresource writes; None where it writes none.
    pub fn of(subresource: Option<&str>) -> Option<Self> {
        Some(match subresource.unwrap_or_default() {
            "" => Self::Main,
            "status" => Self::Status,
            "finalize" => Self::Finalize,
            "approval" => Self::Approval,
            "ephemeralcontainers" => Self::EphemeralContainers,
            "resize" => Self::Resize,
            _ => return None,
        })
    }
}

const CERTIFICATES: &str = "certificates.k8s.io";

/// Fields of the top level that identify an object: no write changes them.
const IDENTITY: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Takes back what this part may not write. `before` is the live object, or the kind's empty one on create.
///
/// Runs after ownership is computed: [`reset_fields`] keeps these fields out of it.
pub fn reset(kind: &KindInfo, part: Part, object: &mut Value, before: &Value) {
    match part {
        Part::Main => {
            if kind.has_status {
                copy_field(object, before, &["status"]);
            }
        }
        Part::Status => {
            reset_for_status(kind, object, before);
        }
        Part::Finalize => {
            copy_field(object, before, &["status"]);
            copy_field(object, before, &["metadata", "labels"]);
            copy_field(object, before, &["metadata", "annotations"]);
        }
        Part::Approval | Part::EphemeralContainers | Part::Resize => partial::reset(part, object, before),
    }
}

fn reset_for_status(kind: &KindInfo, object: &mut Value, before: &Value) {
    let status = object.remove_at(&["status"]);
    let managers = object.remove_at(&["metadata", "managedFields"]);
    let mut result = without_status(before);
    if kind.is_builtin() {
        for field in ["labels", "annotations", "finalizers", "ownerReferences", "resourceVersion", "uid"] {
            copy_field(&mut result, object, &["metadata", field]);
        }
        if kind.group_kind().is("apps", "Deployment") {
            copy_field(&mut result, before, &["metadata", "labels"]);
        }
        if kind.group_kind().is("", "Pod") {
            copy_field(&mut result, before, &["metadata", "ownerReferences"]);
        }
    } else {
        copy_field(&mut result, object, &["metadata", "resourceVersion"]);
        copy_field(&mut result, object, &["metadata", "uid"]);
    }
    for field in ["name", "namespace"] {
        copy_field(&mut result, object, &["metadata", field]);
    }
    if let Some(managers) = managers {
        result.set_at(&["metadata", "managedFields"], managers);
    }
    if let Some(status) = status {
        result.set_at(&["status"], status);
    }
    *object = result;
}

/// An object without its status and its managers, which are often the most of it and not copied first.
fn without_status(object: &Value) -> Value {
    let keep = |(name, value): (&str, &Value)| match (name, value) {
        ("status", _) => None,
        ("metadata", Value::Map(metadata)) => {
            let rest = metadata.iter().filter(|(name, _)| *name != "managedFields");
            Some((name.to_owned(), Value::Map(rest.map(|(name, value)| (name, value.clone())).collect())))
        }
        (_, value) => Some((name.to_owned(), value.clone())),
    };
    Value::Map(object.as_map().into_iter().flat_map(Map::iter).filter_map(keep).collect())
}

/// The fields that nobody comes to own by writing this part.
pub fn reset_fields(kind: &KindInfo, part: Part) -> FieldSet {
    let paths: &[&[&str]] = match part {
        Part::Main if kind.group_kind().is(CERTIFICATES, "CertificateSigningRequest") => {
            &[&["spec"], &["status"]]
        }
        Part::Main if kind.has_status => &[&["status"]],
        Part::Main => &[],
        Part::Finalize => &[&["status"]],
        Part::Approval => &[&["spec"], &["status", "certificate"]],
        Part::EphemeralContainers | Part::Resize => &[&["metadata"], &["status"]],
        Part::Status if kind.group_kind().is(CERTIFICATES, "CertificateSigningRequest") => {
            &[&["spec"], &["status", "conditions"]]
        }
        Part::Status if !kind.is_builtin() => &[&["metadata"], &["spec"]],
        Part::Status if kind.group_kind().is("apps", "Deployment") => &[&["spec"], &["metadata", "labels"]],
        Part::Status if kind.group_kind().is("", "Pod") => {
            &[&["spec"], &["metadata", "deletionTimestamp"], &["metadata", "ownerReferences"]]
        }
        Part::Status => &[&["spec"]],
    };
    paths.iter().map(|path| FieldPath::fields(path)).collect()
}

/// Whether a PUT without a resourceVersion is taken as "whatever is there now".
pub fn allows_unconditional_update(kind: &KindInfo) -> bool {
    if !kind.is_builtin() {
        return false;
    }
    !matches!(
        (kind.gvk.group.as_str(), kind.gvk.kind.as_str()),
        ("admissionregistration.k8s.io", _)
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("apiregistration.k8s.io", "APIService")
            | ("coordination.k8s.io", _)
            | ("node.k8s.io", "RuntimeClass")
            | ("policy", "PodDisruptionBudget")
            | ("storage.k8s.io", "CSIDriver" | "CSINode" | "CSIStorageCapacity" | "VolumeAttachment")
    )
}

/// Whether a PUT creates what is not there.
pub fn allows_create_on_update(kind: &KindInfo) -> bool {
    kind.is_builtin()
        && matches!(
            (kind.gvk.group.as_str(), kind.gvk.kind.as_str()),
            ("rbac.authorization.k8s.io" | "coordination.k8s.io", _)
                | ("node.k8s.io", "RuntimeClass")
                | ("", "LimitRange" | "Event" | "Service" | "Endpoints")
        )
}

/// Prepares a new object for storage.
pub fn prepare_create(request: &WriteRequest<'_>, object: &mut Value) {
    let kind = request.kind;
    if has_generation(kind) {
        object.set_at(&["metadata", "generation"], 1.into());
    } else {
        object.remove_at(&["metadata", "generation"]);
    }
    if kind.is_builtin() {
        gated::drop_gated(&kind.group_kind(), object);
    }
    match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("", "LimitRange") if object.str_at(&["metadata", "name"]).is_none_or(str::is_empty) => {
            object.set_at(&["metadata", "name"], identity::other_uid(request.uid).into());
        }
        ("", "ServiceAccount") => bare_references(object),
        ("certificates.k8s.io", "CertificateSigningRequest") => {
            requester(request, object);
            object.set_at(&["status"], Value::Map(Map::new()));
        }
        ("", "Namespace") => {
            object.set_at(&["status", "phase"], "Active".into());
            let mut finalizers = object.list_at(&["spec", "finalizers"]).to_vec();
            if !finalizers.contains(&"kubernetes".into()) {
                finalizers.push("kubernetes".into());
            }
            object.set_at(&["spec", "finalizers"], Value::List(finalizers));
        }
        ("", "Pod") => pod::prepare_create(object, request.now),
        ("", "Service") => service::allocate(object, None, request),
        ("", "PersistentVolumeClaim") => {
            claim_sources(object, None);
            object.set_at(&["status", "phase"], "Pending".into());
            protect(object, "kubernetes.io/pvc-protection");
        }
        ("", "PersistentVolume") => {
            let now = trueup_object::time::to_seconds(request.now);
            object.set_at(&["status", "phase"], "Pending".into());
            object.set_at(&["status", "lastPhaseTransitionTime"], now.into());
            protect(object, "kubernetes.io/pv-protection");
        }
        ("apps", "DaemonSet") => set_template_generation(object, 1),
        ("batch", "Job") => job_selector(object, request.uid),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => stored_versions(object),
        _ => {}
    }
}

/// What a new object is read back with, and what nobody judges.
pub fn finish_create(kind: &KindInfo, object: &mut Value) {
    if !kind.is_builtin() || !kind.group_kind().is("batch", "Job") {
        return;
    }
    // A job without labels of its own has those of its pods.
    let labels = object.at(&["spec", "template", "metadata", "labels"]).and_then(Value::as_map).cloned();
    let own = object.at(&["metadata", "labels"]).and_then(Value::as_map);
    if let Some(labels) = labels.filter(|_| own.is_none_or(Map::is_empty)) {
        object.set_at(&["metadata", "labels"], Value::Map(labels));
    }
}

/// Prepares a changed object for storage.
pub fn prepare_update(request: &WriteRequest<'_>, part: Part, object: &mut Value, live: &Value) {
    let kind = request.kind;
    copy_field(object, live, &["metadata", "generation"]);
    if matches!(part, Part::Approval | Part::Status)
        && kind.group_kind().is(CERTIFICATES, "CertificateSigningRequest")
    {
        partial::decide(object, live, part, request.now);
    }
    if matches!(part, Part::EphemeralContainers | Part::Resize) && body_changed(kind, object, live) {
        let generation = live.int_at(&["metadata", "generation"]).unwrap_or_default();
        object.set_at(&["metadata", "generation"], (generation + 1).into());
    }
    if part != Part::Main {
        // The class of a pod's service is the server's.
        if kind.group_kind().is("", "Pod") && object.at(&["status", "qosClass"]).is_none() {
            copy_field(object, live, &["status", "qosClass"]);
        }
        if part == Part::Status && kind.group_kind().is("", "PersistentVolume") {
            let now = trueup_object::time::to_seconds(request.now);
            volume_phase(object, live, &now);
        }
        return;
    }
    if kind.is_builtin() {
        gated::drop_gated(&kind.group_kind(), object);
    }
    match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("", "Namespace") => copy_field(object, live, &["spec", "finalizers"]),
        ("", "Service") => service::allocate(object, Some(live), request),
        ("", "Secret") if is_unset(object, "type") => copy_field(object, live, &["type"]),
        ("", "PersistentVolumeClaim") => claim_sources(object, Some(live)),
        ("", "ServiceAccount") => bare_references(object),
        ("certificates.k8s.io", "CertificateSigningRequest") => copy_field(object, live, &["spec"]),
        ("apps", "DaemonSet") => daemon_set_update(object, live),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => stored_versions(object),
        _ => {}
    }
    let counts = has_generation(kind) || kind.group_kind().is("storage.k8s.io", "CSIDriver");
    if counts && body_changed(kind, object, live) {
        let generation = live.int_at(&["metadata", "generation"]).unwrap_or_default();
        object.set_at(&["metadata", "generation"], (generation + 1).into());
    }
}

/// Whether the server counts generations of a kind.
fn has_generation(kind: &KindInfo) -> bool {
    if !kind.is_builtin() {
        return true;
    }
    matches!(
        (kind.gvk.group.as_str(), kind.gvk.kind.as_str()),
        ("", "Pod" | "PodTemplate" | "ReplicationController")
            | ("apps", "Deployment" | "DaemonSet" | "ReplicaSet" | "StatefulSet")
            | ("batch", "Job" | "CronJob")
            | ("networking.k8s.io", "Ingress" | "IngressClass" | "NetworkPolicy")
            | ("policy", "PodDisruptionBudget")
            | ("discovery.k8s.io", "EndpointSlice")
            | ("scheduling.k8s.io", "PriorityClass")
            | ("flowcontrol.apiserver.k8s.io" | "admissionregistration.k8s.io", _)
            | ("apiextensions.k8s.io", "CustomResourceDefinition")
            | ("resource.k8s.io", "ResourceSlice" | "DeviceClass")
    )
}

/// Whether what generations count has changed: everything but metadata and, where that is apart, status. For deployments
/// the annotations count too, since they are copied to replica sets.
fn body_changed(kind: &KindInfo, object: &Value, live: &Value) -> bool {
    if kind.group_kind().is("scheduling.k8s.io", "PriorityClass") {
        return false;
    }
    let empty = Map::new();
    let also = match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        ("discovery.k8s.io", "EndpointSlice") => Some("labels"),
        ("apps", "Deployment") => Some("annotations"),
        _ => None,
    };
    let also_changed = also.is_some_and(|name| {
        let of = |value: &'_ Value| value.at(&["metadata", name]).and_then(Value::as_map).cloned();
        of(object).unwrap_or_default() != of(live).unwrap_or_default()
    });
    if also_changed {
        return true;
    }
    let (object, live) = (object.as_map().unwrap_or(&empty), live.as_map().unwrap_or(&empty));
    let counts = |name: &str| !(IDENTITY.contains(&name) || kind.has_status && name == "status");
    if !kind.is_builtin() {
        // Custom objects have no types that would make an empty list of an absent one.
        let is_same = |one: &Map, other: &Map| {
            one.iter().filter(|(name, _)| counts(name)).all(|(name, value)| other.get(name) == Some(value))
        };
        return !(is_same(object, live) && is_same(live, object));
    }
    let null = Value::Null;
    let names = object.keys().chain(live.keys().filter(|name| !object.contains(name)));
    let mut names = names.filter(|name| counts(name));
    names.any(|name| !same_meaning(object.get(name).unwrap_or(&null), live.get(name).unwrap_or(&null)))
}

/// Go's semantic equality: an empty list equals an absent one.
pub fn same_meaning(left: &Value, right: &Value) -> bool {
    // An object that is there is not nothing, even without fields; maps of texts that are empty were taken out before.
    let is_nothing = |value: &Value| match value {
        Value::Null => true,
        Value::List(items) => items.is_empty(),
        Value::Map(_) | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => false,
    };
    match (left, right) {
        (Value::Map(one), Value::Map(other)) => {
            one.iter().all(|(key, value)| same_meaning(value, other.get(key).unwrap_or(&Value::Null)))
                && other.iter().all(|(key, value)| one.contains(key) || is_nothing(value))
        }
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same_meaning(one, other))
        }
        (one, other) => one == other || (is_nothing(one) && is_nothing(other)),
    }
}

/// When a volume came into its phase, unless whoever writes it says so.
fn volume_phase(object: &mut Value, live: &Value, now: &str) {
    let of = |volume: &Value, key: &str| volume.at(&["status", key]).cloned();
    let time = of(object, "lastPhaseTransitionTime");
    let is_told = time.is_some() && time != of(live, "lastPhaseTransitionTime");
    if of(object, "phase") != of(live, "phase") && !is_told {
        object.set_at(&["status", "lastPhaseTransitionTime"], now.into());
    }
}

/// A finalizer that admission gives to new volumes and claims.
fn protect(object: &mut Value, finalizer: &str) {
    let mut finalizers = object.list_at(&["metadata", "finalizers"]).to_vec();
    if !finalizers.contains(&finalizer.into()) {
        finalizers.push(finalizer.into());
        object.set_at(&["metadata", "finalizers"], Value::List(finalizers));
    }
}

pub const TEMPLATE_GENERATION: &str = "deprecated.daemonset.template.generation";

pub fn template_generation(object: &Value) -> i64 {
    object
        .str_at(&["metadata", "annotations", TEMPLATE_GENERATION])
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

fn set_template_generation(object: &mut Value, at_least: i64) {
    let generation = template_generation(object).max(at_least);
    object.set_at(&["metadata", "annotations", TEMPLATE_GENERATION], generation.to_string().into());
}

fn daemon_set_update(object: &mut Value, live: &Value) {
    let before = template_generation(live);
    let template = |value: &Value| value.at(&["spec", "template"]).cloned().unwrap_or_default();
    let changed = !same_meaning(&template(object), &template(live));
    let generation = if changed { before + 1 } else { before };
    object.set_at(&["metadata", "annotations", TEMPLATE_GENERATION], generation.to_string().into());
}

/// Who asks for a certificate is written into the request, whatever it says.
fn requester(request: &WriteRequest<'_>, object: &mut Value) {
    for field in ["username", "uid", "groups", "extra"] {
        object.remove_at(&["spec", field]);
    }
    let Some(user) = request.user else { return };
    object.set_at(&["spec", "username"], user.name.clone().into());
    if !user.uid.is_empty() {
        object.set_at(&["spec", "uid"], user.uid.clone().into());
    }
    if !user.groups.is_empty() {
        let groups = user.groups.iter().map(|group| Value::from(group.clone())).collect();
        object.set_at(&["spec", "groups"], Value::List(groups));
    }
    for (key, values) in &user.extra {
        let values = values.iter().map(|value| Value::from(value.clone())).collect();
        object.set_at(&["spec", "extra", key], Value::List(values));
    }
}

/// Of the secrets that an account names only the names are kept.
fn bare_references(account: &mut Value) {
    super::fields::each(account, "secrets", |secret| {
        let name = secret.get("name").cloned();
        *secret = Value::Map(Map::new());
        if let Some(name) = name {
            secret.set_at(&["name"], name);
        }
    });
}

/// A claim's two ways to name a data source are kept equal. The older one is for claims and snapshots; from another
/// namespace nothing is taken.
fn claim_sources(object: &mut Value, live: Option<&Value>) {
    let in_use = |claim: &Value, key: &str| claim.at(&["spec", key]).is_some();
    let keeps = live.is_some_and(|live| in_use(live, "dataSource") || in_use(live, "dataSourceRef"));
    let Some(spec) = object.get_mut("spec") else { return };
    let text = |source: &Value, key: &str| source.str_at(&[key]).unwrap_or_default().to_owned();
    let is_known = |source: &Value| {
        matches!(
            (text(source, "apiGroup").as_str(), text(source, "kind").as_str()),
            ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
        )
    };
    if !keeps && spec.get("dataSource").is_some_and(|source| !is_known(source)) {
        spec.remove_at(&["dataSource"]);
    }
    if !keeps && spec.str_at(&["dataSourceRef", "namespace"]).is_some_and(|namespace| !namespace.is_empty()) {
        spec.remove_at(&["dataSourceRef"]);
    }
    match (spec.get("dataSource").cloned(), spec.get("dataSourceRef").cloned()) {
        (Some(source), None) => fill(spec, "dataSourceRef", source),
        (None, Some(source)) if source.get("namespace").is_none() => fill(spec, "dataSource", source),
        _ => {}
    }
}

/// A job without a selector of its own selects its pods by its uid.
fn job_selector(object: &mut Value, uid: &str) {
    if object.at(&["spec", "manualSelector"]).and_then(Value::as_bool) == Some(true) {
        return;
    }
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default().to_owned();
    let labels = ["spec", "template", "metadata", "labels"];
    let wanted = [
        ("controller-uid", uid),
        ("job-name", name.as_str()),
        ("batch.kubernetes.io/controller-uid", uid),
        ("batch.kubernetes.io/job-name", name.as_str()),
    ];
    let mut map = object.at(&labels).and_then(Value::as_map).cloned().unwrap_or_default();
    for (label, value) in wanted {
        if !map.contains(label) {
            map.insert(label, value.into());
        }
    }
    // Labels that are those of the pods are the same map to the server.
    let own = object.at(&["metadata", "labels"]).and_then(Value::as_map);
    if own.is_some_and(|own| !own.is_empty() && Some(own) == object.at(&labels).and_then(Value::as_map)) {
        object.set_at(&["metadata", "labels"], Value::Map(map.clone()));
    }
    object.set_at(&labels, Value::Map(map));
    let selector = ["spec", "selector", "matchLabels", "batch.kubernetes.io/controller-uid"];
    if object.at(&selector).is_none() {
        object.set_at(&selector, uid.into());
    }
}

fn stored_versions(object: &mut Value) {
    let storage = object
        .list_at(&["spec", "versions"])
        .iter()
        .find(|version| version.get("storage").and_then(Value::as_bool) == Some(true))
        .and_then(|version| version.get("name").cloned());
    let mut stored = object.list_at(&["status", "storedVersions"]).to_vec();
    if let Some(version) = storage
        && !stored.contains(&version)
    {
        stored.push(version);
        object.set_at(&["status", "storedVersions"], Value::List(stored));
    }
}
