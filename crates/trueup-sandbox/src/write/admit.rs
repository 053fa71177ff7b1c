//! What the server's own admission asks of other objects: the account, the classes of priority and runtime of a new pod; and
//! the taint of a new node.

use std::sync::Arc;

use trueup_object::{Map, Value};

use super::{WriteRequest, defaults, identity};
use crate::status::ApiStatus;

/// The other objects, for those who judge one by another.
#[derive(Clone, Copy)]
pub struct Others<'a> {
    pub one: &'a dyn Fn(Other<'_>) -> Option<Arc<Value>>,
    /// All of a resource, by its group and plural.
    pub all: &'a dyn Fn(&str, &str) -> Vec<Arc<Value>>,
}

/// Which other object.
#[derive(Debug, Clone, Copy)]
pub struct Other<'a> {
    pub group: &'a str,
    pub plural: &'a str,
    /// Empty for what is in none.
    pub namespace: &'a str,
    pub name: &'a str,
}

impl std::fmt::Debug for Others<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Others")
    }
}

/// Classes of priority that every server has from its start.
const SYSTEM_CLASSES: [(&str, i64); 2] =
    [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)];

/// What admission makes of a new object, in the order of the server's plugins.
pub fn admit_new(request: &WriteRequest<'_>, object: &mut Value) -> Result<(), ApiStatus> {
    let kind = request.kind.group_kind();
    if !request.kind.is_builtin() || request.subresource.is_some() {
        return Ok(());
    }
    // The nodes of the sandbox's own kubelet are ready from the start; no controller would take the taint away.
    if kind.is("", "Node") && request.field_manager != Some("kubelet") {
        taint(object);
    }
    if kind.is("", "Pod") {
        account(request, object)?;
        priority(request, object)?;
        defaults::admit_pod(object, request.uid);
        runtime(request, object)?;
    }
    Ok(())
}

/// What admission makes of a changed object.
pub fn admit_changed(request: &WriteRequest<'_>, object: &mut Value, live: &Value) {
    let is_pod = request.kind.is_builtin() && request.kind.group_kind().is("", "Pod");
    if !is_pod || request.subresource.is_some() {
        return;
    }
    for field in ["priority", "preemptionPolicy"] {
        if object.at(&["spec", field]).is_none()
            && let Some(before) = live.at(&["spec", field])
        {
            object.set_at(&["spec", field], before.clone());
        }
    }
    defaults::tolerate(object);
}

fn refused(request: &WriteRequest<'_>, object: &Value, why: &str) -> ApiStatus {
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
    let prefix = object.str_at(&["metadata", "generateName"]).unwrap_or_default();
    // Those who are asked first see an object that has no name yet.
    let is_made_up = !prefix.is_empty() && name == identity::generated_name(prefix, request.uid);
    ApiStatus::forbidden(request.kind, if is_made_up { prefix } else { name }, why)
}

/// An account that is named must be there. The one that every namespace has need not: a controller makes it.
fn account(request: &WriteRequest<'_>, pod: &Value) -> Result<(), ApiStatus> {
    let named = pod.str_at(&["spec", "serviceAccountName"]).filter(|name| !matches!(*name, "" | "default"));
    let Some(name) = named else { return Ok(()) };
    let namespace = request.namespace;
    let account = Other { group: "", plural: "serviceaccounts", namespace, name };
    if (request.others.one)(account).is_some() {
        return Ok(());
    }
    let why =
        format!("error looking up service account {namespace}/{name}: serviceaccount {name:?} not found");
    Err(refused(request, pod, &why))
}

/// The number and the policy of a class; those of nobody's class without one.
fn priority(request: &WriteRequest<'_>, pod: &mut Value) -> Result<(), ApiStatus> {
    let named = pod.str_at(&["spec", "priorityClassName"]).filter(|name| !name.is_empty());
    let mut policy = "PreemptLowerPriority".to_owned();
    let mut number = 0;
    if let Some(name) = named {
        let class = Other { group: "scheduling.k8s.io", plural: "priorityclasses", namespace: "", name };
        match ((request.others.one)(class), SYSTEM_CLASSES.iter().find(|(system, _)| *system == name)) {
            (Some(class), _) => (number, policy) = standing(&class),
            (None, Some((_, value))) => number = *value,
            (None, None) => {
                return Err(refused(request, pod, &format!("no PriorityClass with name {name} was found")));
            }
        }
    } else if let Some(class) = default_class(request) {
        (number, policy) = standing(&class);
        pod.set_at(
            &["spec", "priorityClassName"],
            class.str_at(&["metadata", "name"]).unwrap_or_default().into(),
        );
    }
    let given = pod.int_at(&["spec", "priority"]);
    if let Some(given) = given.filter(|given| *given != number) {
        let why = format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller \
             computed {number} from the given PriorityClass name"
        );
        return Err(refused(request, pod, &why));
    }
    let given = pod.str_at(&["spec", "preemptionPolicy"]).filter(|given| *given != policy);
    if let Some(given) = given {
        let why = format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission \
             controller computed {policy} from the given PriorityClass name"
        );
        return Err(refused(request, pod, &why));
    }
    pod.set_at(&["spec", "priority"], number.into());
    pod.set_at(&["spec", "preemptionPolicy"], policy.into());
    Ok(())
}

/// The number of a class, and whom its pods may drive away.
fn standing(class: &Value) -> (i64, String) {
    let policy = class.str_at(&["preemptionPolicy"]).unwrap_or("PreemptLowerPriority");
    (class.int_at(&["value"]).unwrap_or_default(), policy.to_owned())
}

/// The class of pods that name none: of several the lowest.
fn default_class(request: &WriteRequest<'_>) -> Option<Arc<Value>> {
    let mut classes = (request.others.all)("scheduling.k8s.io", "priorityclasses");
    classes.retain(|class| class.get("globalDefault").and_then(Value::as_bool) == Some(true));
    classes.into_iter().min_by_key(|class| class.int_at(&["value"]))
}

/// What a runtime adds to what its pods need, and where they run; a pod may not say the first itself.
fn runtime(request: &WriteRequest<'_>, pod: &mut Value) -> Result<(), ApiStatus> {
    let own = pod.at(&["spec", "overhead"]).and_then(Value::as_map).filter(|map| !map.is_empty()).cloned();
    let Some(name) = pod.str_at(&["spec", "runtimeClassName"]).map(str::to_owned) else {
        let why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
        return if own.is_some() { Err(refused(request, pod, why)) } else { Ok(()) };
    };
    let class = Other { group: "node.k8s.io", plural: "runtimeclasses", namespace: "", name: &name };
    let Some(class) = (request.others.one)(class) else {
        return Err(refused(request, pod, &format!("pod rejected: RuntimeClass {name:?} not found")));
    };
    let overhead = class.at(&["overhead", "podFixed"]).and_then(Value::as_map).cloned();
    match (own, overhead) {
        (Some(own), Some(overhead)) if own != overhead => {
            let why = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";
            return Err(refused(request, pod, why));
        }
        (Some(_), None) => {
            let why = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead";
            return Err(refused(request, pod, why));
        }
        (_, Some(overhead)) => pod.set_at(&["spec", "overhead"], Value::Map(overhead)),
        (None, None) => {}
    }
    schedule(request, &class, pod)
}

/// A runtime's nodes are chosen beside a pod's own choice, and its tolerations added.
fn schedule(request: &WriteRequest<'_>, class: &Value, pod: &mut Value) -> Result<(), ApiStatus> {
    let wanted = class.at(&["scheduling", "nodeSelector"]).and_then(Value::as_map);
    for (label, value) in wanted.into_iter().flat_map(Map::iter) {
        match pod.at(&["spec", "nodeSelector", label]) {
            Some(own) if own != value => {
                let show = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let why = format!(
                    "conflict: runtimeClass.scheduling.nodeSelector[{label}] = {}; pod.spec.nodeSelector[{label}] = {}",
                    show(value),
                    show(own)
                );
                return Err(refused(request, pod, &why));
            }
            Some(_) => {}
            None => pod.set_at(&["spec", "nodeSelector", label], value.clone()),
        }
    }
    let mut tolerations = pod.list_at(&["spec", "tolerations"]).to_vec();
    for toleration in class.list_at(&["scheduling", "tolerations"]) {
        if !tolerations.contains(toleration) {
            tolerations.push(toleration.clone());
        }
    }
    pod.set_at(&["spec", "tolerations"], Value::List(tolerations));
    Ok(())
}

/// A new node is not ready until its kubelet says so.
fn taint(node: &mut Value) {
    let key = "node.kubernetes.io/not-ready";
    let mut taints = node.list_at(&["spec", "taints"]).to_vec();
    let is_tainted = taints
        .iter()
        .any(|taint| taint.str_at(&["key"]) == Some(key) && taint.str_at(&["effect"]) == Some("NoSchedule"));
    if !is_tainted {
        let mut taint = Value::Map(Map::new());
        taint.set_at(&["effect"], "NoSchedule".into());
        taint.set_at(&["key"], key.into());
        taints.push(taint);
        node.set_at(&["spec", "taints"], Value::List(taints));
    }
}
