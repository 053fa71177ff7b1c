//! Resource quotas: what objects use of what a namespace may have, and whether there is enough left.
//!
//! As `k8s.io/apiserver/pkg/admission/plugin/resourcequota` and the evaluators of `k8s.io/kubernetes/pkg/quota` do it.

use std::collections::BTreeSet;

use trueup_object::{Map, Value};

use super::Written;
use crate::amount::{Amount, Amounts, add, amounts, listed, of_pod};
use crate::status::ApiStatus;

/// What a kind of object uses up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort<'a> {
    Pods,
    Services,
    Claims,
    /// Counted, and nothing else.
    Other {
        group: &'a str,
        plural: &'a str,
    },
}

impl<'a> Sort<'a> {
    pub(crate) fn of(group: &'a str, plural: &'a str) -> Self {
        match (group, plural) {
            ("", "pods") => Self::Pods,
            ("", "services") => Self::Services,
            ("", "persistentvolumeclaims") => Self::Claims,
            _ => Self::Other { group, plural },
        }
    }

    fn counted(self) -> String {
        match self {
            Self::Pods => "count/pods".to_owned(),
            Self::Services => "count/services".to_owned(),
            Self::Claims => "count/persistentvolumeclaims".to_owned(),
            Self::Other { group: "", plural } => format!("count/{plural}"),
            Self::Other { group, plural } => format!("count/{plural}.{group}"),
        }
    }

    /// Whether a name of a quota is about this sort.
    pub(crate) fn is_meant(self, name: &str) -> bool {
        if name == self.counted() {
            return true;
        }
        match self {
            Self::Pods => {
                matches!(name, "pods" | "cpu" | "memory" | "ephemeral-storage")
                    || name.starts_with("hugepages-")
                    || name.strip_prefix("limits.").is_some_and(is_compute)
                    || name
                        .strip_prefix("requests.")
                        .is_some_and(|it| is_compute(it) || it.starts_with("hugepages-") || it.contains('/'))
            }
            Self::Services => matches!(name, "services" | "services.nodeports" | "services.loadbalancers"),
            Self::Claims => {
                matches!(name, "persistentvolumeclaims" | "requests.storage")
                    || name.contains(".storageclass.storage.k8s.io/")
            }
            Self::Other { group: "", plural } => {
                name == plural
                    && matches!(
                        plural,
                        "configmaps" | "secrets" | "replicationcontrollers" | "resourcequotas"
                    )
            }
            Self::Other { .. } => false,
        }
    }

    /// What one object uses.
    pub(crate) fn usage(self, object: &Value) -> Amounts {
        let one = || Amount::count(1);
        let mut usage = Amounts::from([(self.counted(), one())]);
        match self {
            Self::Pods => {
                if !matches!(object.str_at(&["status", "phase"]), Some("Failed" | "Succeeded")) {
                    let compute = compute(&of_pod(object, "requests"), &of_pod(object, "limits"));
                    add(&mut usage, &compute);
                    add(&mut usage, &amounts(object.at(&["spec", "overhead"])));
                }
            }
            Self::Services => {
                usage.insert("services".to_owned(), one());
                let ports = object.list_at(&["spec", "ports"]);
                let node_ports = |only_given: bool| {
                    let with =
                        ports.iter().filter(|port| port.int_at(&["nodePort"]).unwrap_or_default() != 0);
                    Amount::count(if only_given { with.count() } else { ports.len() })
                };
                match object.str_at(&["spec", "type"]) {
                    Some("NodePort") => {
                        usage.insert("services.nodeports".to_owned(), node_ports(false));
                    }
                    Some("LoadBalancer") => {
                        let allocates = object.at(&["spec", "allocateLoadBalancerNodePorts"]);
                        let only_given = allocates.and_then(Value::as_bool) == Some(false);
                        usage.insert("services.nodeports".to_owned(), node_ports(only_given));
                        usage.insert("services.loadbalancers".to_owned(), one());
                    }
                    Some(_) | None => {}
                }
            }
            Self::Claims => {
                usage.insert("persistentvolumeclaims".to_owned(), one());
                let storage = object.at(&["spec", "resources", "requests", "storage"]).and_then(Amount::of);
                let class = object.str_at(&["spec", "storageClassName"]).filter(|class| !class.is_empty());
                if let Some(storage) = storage {
                    usage.insert("requests.storage".to_owned(), storage);
                }
                if let Some(class) = class {
                    let of_class = |what: &str| format!("{class}.storageclass.storage.k8s.io/{what}");
                    usage.insert(of_class("persistentvolumeclaims"), one());
                    usage.extend(storage.map(|storage| (of_class("requests.storage"), storage)));
                }
            }
            Self::Other { plural, .. } => {
                if self.is_meant(plural) {
                    usage.insert(plural.to_owned(), one());
                }
            }
        }
        usage
    }

    /// Whether a quota is about an object of this sort, by its scopes. Only pods are in any.
    pub(crate) fn is_in_scopes(self, quota: &Value, object: &Value) -> bool {
        let plain = quota.list_at(&["spec", "scopes"]).iter().filter_map(Value::as_str);
        let selected = quota.list_at(&["spec", "scopeSelector", "matchExpressions"]);
        let mut scopes = plain
            .map(|scope| (scope, None))
            .chain(selected.iter().map(|it| (it.str_at(&["scopeName"]).unwrap_or_default(), Some(it))));
        scopes.all(|(scope, selector)| self == Self::Pods && is_in_scope(scope, selector, object))
    }
}

fn is_compute(name: &str) -> bool {
    matches!(name, "cpu" | "memory" | "ephemeral-storage")
}

fn is_in_scope(scope: &str, selector: Option<&Value>, pod: &Value) -> bool {
    let ends = pod.int_at(&["spec", "activeDeadlineSeconds"]).is_some_and(|seconds| seconds >= 0);
    let asks_for_nothing = || {
        let none = |what: &str| of_pod(pod, what).values().all(Amount::is_zero);
        none("requests") && none("limits")
    };
    match scope {
        "Terminating" => ends,
        "NotTerminating" => !ends,
        "BestEffort" => asks_for_nothing(),
        "NotBestEffort" => !asks_for_nothing(),
        "PriorityClass" => {
            let class = pod.str_at(&["spec", "priorityClassName"]).unwrap_or_default();
            let values = selector.map(|it| it.list_at(&["values"])).unwrap_or_default();
            let is_listed = values.iter().any(|value| value.as_str() == Some(class));
            match selector.and_then(|it| it.str_at(&["operator"])) {
                Some("In") => !class.is_empty() && is_listed,
                Some("NotIn") => class.is_empty() || !is_listed,
                Some("DoesNotExist") => class.is_empty(),
                Some(_) | None => !class.is_empty(),
            }
        }
        "CrossNamespacePodAffinity" => ["podAffinity", "podAntiAffinity"].iter().any(|affinity| {
            let terms = |list: &str| pod.list_at(&["spec", "affinity", affinity, list]).to_vec();
            let preferred = terms("preferredDuringSchedulingIgnoredDuringExecution");
            let preferred = preferred.iter().filter_map(|term| term.get("podAffinityTerm").cloned());
            let required = terms("requiredDuringSchedulingIgnoredDuringExecution");
            required.into_iter().chain(preferred).any(|term| {
                !term.list_at(&["namespaces"]).is_empty() || term.get("namespaceSelector").is_some()
            })
        }),
        _ => false,
    }
}

/// What of requests and limits counts under which names.
fn compute(requests: &Amounts, limits: &Amounts) -> Amounts {
    let mut usage = Amounts::from([("pods".to_owned(), Amount::count(1))]);
    for (name, amount) in requests {
        if is_compute(name) || name.starts_with("hugepages-") {
            usage.insert(name.clone(), *amount);
        }
        usage.insert(format!("requests.{name}"), *amount);
    }
    for (name, amount) in limits.iter().filter(|(name, _)| is_compute(name)) {
        usage.insert(format!("limits.{name}"), *amount);
    }
    usage
}

/// What containers must say where it is limited, and do not.
fn unsaid(names: &BTreeSet<&str>, pod: &Value) -> Option<String> {
    if pod.at(&["spec", "resources"]).and_then(Value::as_map).is_some_and(|map| !map.is_empty()) {
        return None;
    }
    let mut told = Vec::new();
    let checked = ["cpu", "limits.cpu", "limits.memory", "memory", "requests.cpu", "requests.memory"];
    for name in checked.into_iter().filter(|name| names.contains(name)) {
        let lists = ["containers", "initContainers"].into_iter();
        let silent: BTreeSet<&str> = lists
            .flat_map(|list| pod.list_at(&["spec", list]))
            .filter(|container| {
                let of = |what: &str| amounts(container.at(&["resources", what]));
                !compute(&of("requests"), &of("limits")).contains_key(name)
            })
            .filter_map(|container| container.str_at(&["name"]))
            .collect();
        if !silent.is_empty() {
            let listed: Vec<&str> = silent.into_iter().collect();
            told.push(format!("{name} for: {}", listed.join(",")));
        }
    }
    (!told.is_empty()).then(|| format!("must specify {}", told.join("; ")))
}

/// Only creating uses something up, and updates of services and claims, which may grow.
fn handles(sort: Sort<'_>, written: &Written<'_>) -> bool {
    written.old.is_none() || matches!(sort, Sort::Services | Sort::Claims)
}

/// The quotas of the namespace as they are once the write is made, as far as they change; or why it may not be made.
pub(super) fn check(
    written: &Written<'_>,
    quotas: &[std::sync::Arc<Value>],
) -> Result<Vec<Value>, ApiStatus> {
    let kind = written.kind;
    let sort = Sort::of(&kind.gvk.group, &kind.plural);
    if !handles(sort, written) {
        return Ok(Vec::new());
    }
    let forbidden = |words: String| ApiStatus::forbidden(kind, written.name, &words);
    let usage = sort.usage(written.object);
    let before = written.old.map(|old| sort.usage(old));
    let (mut charged, mut relevant) = (Vec::new(), Vec::new());
    for quota in quotas {
        let hard = amounts(quota.at(&["status", "hard"]));
        let names: BTreeSet<&str> = hard.keys().map(String::as_str).filter(|it| sort.is_meant(it)).collect();
        if names.is_empty() || !sort.is_in_scopes(quota, written.object) {
            continue;
        }
        let name = quota.str_at(&["metadata", "name"]).unwrap_or_default();
        if let Some(words) = unsaid(&names, written.object).filter(|_| sort == Sort::Pods) {
            return Err(forbidden(format!("failed quota: {name}: {words}")));
        }
        let used = amounts(quota.at(&["status", "used"]));
        if names.iter().any(|name| !used.contains_key(*name)) {
            let listed: Vec<&str> = names.into_iter().collect();
            let words = format!("status unknown for quota: {name}, resources: {}", listed.join(","));
            return Err(forbidden(words));
        }
        relevant.push((quota, name, hard, used));
    }
    for (quota, name, hard, used) in relevant {
        let covered_before =
            before.as_ref().filter(|_| written.old.is_some_and(|old| sort.is_in_scopes(quota, old)));
        let mut asked = Amounts::new();
        for (name, amount) in usage.iter().filter(|(name, _)| hard.contains_key(*name)) {
            let had = covered_before.and_then(|before| before.get(name)).copied().unwrap_or_default();
            let more = amount.minus(&had);
            if !more.is_zero() {
                asked.insert(name.clone(), more);
            }
        }
        let of = |amounts: &Amounts, name: &str| amounts.get(name).copied().unwrap_or_default();
        let exceeded: Vec<&String> = asked
            .iter()
            .filter(|(name, more)| of(&used, name).plus(more).exceeds(&of(&hard, name)))
            .map(|(name, _)| name)
            .collect();
        let only = |amounts: &Amounts| -> String {
            listed(&exceeded.iter().map(|name| ((*name).clone(), of(amounts, name))).collect())
        };
        if !exceeded.is_empty() {
            return Err(forbidden(format!(
                "exceeded quota: {name}, requested: {}, used: {}, limited: {}",
                only(&asked),
                only(&used),
                only(&hard)
            )));
        }
        if !asked.is_empty() {
            let mut now = used.clone();
            add(&mut now, &asked);
            let used: Map = now.iter().map(|(name, it)| (name.as_str(), it.to_string().into())).collect();
            let mut quota = Value::clone(quota);
            quota.set_at(&["status", "used"], Value::Map(used));
            charged.push(quota);
        }
    }
    Ok(charged)
}
