//! `metrics.k8s.io/v1beta1`: what nodes and pods use, as a metrics server answers. Served once something was set.

use std::sync::Arc;

use trueup_object::Value;
use trueup_object::value::Map;

use super::path::ResourcePath;
use super::reply::{JSON, Reply};
use super::serve::Front;
use crate::clock::wire_time;
use crate::metrics::{Metrics, cpu, memory};
use crate::selector::Selector;
use crate::state::{Name, ResourceId};
use crate::status::{ApiStatus, StatusReason};

const GROUP: &str = "metrics.k8s.io";
const VERSION: &str = "v1beta1";
/// The group and its version.
const API_VERSION: &str = "metrics.k8s.io/v1beta1";

/// How long the usage was looked at; a metrics server says so.
const WINDOW: &str = "15s";

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(Map::from_iter(entries))
}

fn texts(items: &[&str]) -> Value {
    Value::List(items.iter().map(|item| Value::from(*item)).collect())
}

fn group() -> Value {
    let version = || map([("groupVersion", API_VERSION.into()), ("version", VERSION.into())]);
    map([("name", GROUP.into()), ("preferredVersion", version()), ("versions", Value::List(vec![version()]))])
}

/// The two resources: name, kind, whether it is in a namespace.
const RESOURCES: [(&str, &str, bool); 2] = [("nodes", "NodeMetrics", false), ("pods", "PodMetrics", true)];

/// The document of a path below `/apis/metrics.k8s.io`, where there is one.
pub(super) fn discovery(metrics: &Metrics, words: &[&str]) -> Option<Value> {
    if metrics.is_empty() {
        return None;
    }
    match words {
        ["apis", GROUP] => {
            let mut document = group();
            document.set_at(&["apiVersion"], "v1".into());
            document.set_at(&["kind"], "APIGroup".into());
            Some(document)
        }
        ["apis", GROUP, VERSION] => {
            let resources = RESOURCES.map(|(name, kind, namespaced)| {
                map([
                    ("kind", kind.into()),
                    ("name", name.into()),
                    ("namespaced", namespaced.into()),
                    ("singularName", "".into()),
                    ("verbs", texts(&["get", "list"])),
                ])
            });
            Some(map([
                ("apiVersion", "v1".into()),
                ("groupVersion", API_VERSION.into()),
                ("kind", "APIResourceList".into()),
                ("resources", Value::List(resources.into())),
            ]))
        }
        _ => None,
    }
}

/// Names the group in the list of groups.
pub(super) fn add_group(metrics: &Metrics, list: &mut Value) {
    if !metrics.is_empty() {
        let mut groups = list.list_at(&["groups"]).to_vec();
        groups.push(group());
        list.set_at(&["groups"], Value::List(groups));
    }
}

/// Names the group and its resources in the aggregated discovery.
pub(super) fn add_aggregated(metrics: &Metrics, document: &mut Value) {
    if metrics.is_empty() {
        return;
    }
    let resources = RESOURCES.map(|(name, kind, namespaced)| {
        let kind = map([("group", GROUP.into()), ("kind", kind.into()), ("version", VERSION.into())]);
        map([
            ("resource", name.into()),
            ("responseKind", kind),
            ("scope", if namespaced { "Namespaced" } else { "Cluster" }.into()),
            ("singularResource", "".into()),
            ("verbs", texts(&["get", "list"])),
        ])
    });
    let version = map([
        ("freshness", "Current".into()),
        ("resources", Value::List(resources.into())),
        ("version", VERSION.into()),
    ]);
    let mut group = Value::Map(Map::new());
    group.set_at(&["metadata", "name"], GROUP.into());
    group.set_at(&["metadata", "creationTimestamp"], Value::Null);
    group.set_at(&["versions"], Value::List(vec![version]));
    let mut items = document.list_at(&["items"]).to_vec();
    items.push(group);
    document.set_at(&["items"], Value::List(items));
}

/// Whether a path is about what this API serves now.
pub(super) fn serves(metrics: &Metrics, path: &ResourcePath) -> bool {
    path.group == GROUP && path.version == VERSION && !metrics.is_empty()
}

/// Answers a request that was found allowed.
pub(super) fn answer(
    front: &Front,
    reads: bool,
    selector: Option<&str>,
    path: &ResourcePath,
) -> Result<Reply, ApiStatus> {
    if !reads || path.subresource.is_some() {
        return Err(ApiStatus::new(
            405,
            StatusReason::MethodNotAllowed,
            "the server does not allow this method",
        ));
    }
    let items = match path.resource.as_str() {
        "pods" => pods(front, path, selector),
        "nodes" => nodes(front, path),
        _ => return Err(ApiStatus::no_such_resource()),
    };
    let kind = if path.resource == "pods" { "PodMetrics" } else { "NodeMetrics" };
    let Some(name) = &path.name else {
        let list = map([
            ("apiVersion", API_VERSION.into()),
            ("items", Value::List(items)),
            ("kind", format!("{kind}List").into()),
            ("metadata", Value::Map(Map::new())),
        ]);
        return Ok(Reply::text(200, JSON, list.to_json()));
    };
    let Some(item) = items.into_iter().next() else {
        let message = format!("{}.{GROUP} {name:?} not found", path.resource);
        return Err(ApiStatus::new(404, StatusReason::NotFound, message));
    };
    Ok(Reply::text(200, JSON, item.to_json()))
}

fn listed(front: &Front, plural: &str, path: &ResourcePath) -> Vec<Arc<Value>> {
    let id = ResourceId::new("", plural);
    let store = front.api.store();
    match &path.name {
        Some(name) => store.get(&id, &Name::new(&path.namespace, name)).into_iter().collect(),
        None => store.list(&id, &path.namespace).0,
    }
}

fn measured(front: &Front, object: &Value, kind: &str) -> Value {
    let mut item = Value::Map(Map::new());
    item.set_at(&["apiVersion"], API_VERSION.into());
    item.set_at(&["kind"], kind.into());
    for key in ["name", "namespace", "labels", "creationTimestamp"] {
        if let Some(value) = object.at(&["metadata", key]) {
            item.set_at(&["metadata", key], value.clone());
        }
    }
    item.set_at(&["timestamp"], wire_time(front.api.clock().now()).into());
    item.set_at(&["window"], WINDOW.into());
    item
}

fn usage(cpu_milli: i64, memory_bytes: i64) -> Value {
    map([("cpu", cpu(cpu_milli)), ("memory", memory(memory_bytes))])
}

fn pods(front: &Front, path: &ResourcePath, selector: Option<&str>) -> Vec<Value> {
    let kinds = front.api.registry().kinds();
    let selector = kinds
        .resource("", "v1", "pods")
        .and_then(|served| Selector::parse(&served.kind, selector, None).ok());
    let wanted = |pod: &Value| selector.as_ref().is_none_or(|selector| selector.matches(pod));
    let all = listed(front, "pods", path);
    let items = all.iter().filter(|pod| wanted(pod)).filter_map(|pod| {
        let used = front.metrics.of(pod)?;
        let containers = pod.list_at(&["spec", "containers"]);
        let count = i64::try_from(containers.len()).unwrap_or(1).max(1);
        // The containers of a pod share what it uses; the first has what does not divide.
        let share = |all: i64, first: bool| all / count + if first { all % count } else { 0 };
        let parts = containers.iter().enumerate().map(|(index, container)| {
            let mut part = Value::Map(Map::new());
            part.set_at(&["name"], container.get("name").cloned().unwrap_or_default());
            let first = index == 0;
            part.set_at(&["usage"], usage(share(used.cpu_milli, first), share(used.memory_bytes, first)));
            part
        });
        let mut item = measured(front, pod, "PodMetrics");
        item.set_at(&["containers"], Value::List(parts.collect()));
        Some(item)
    });
    items.collect()
}

fn nodes(front: &Front, path: &ResourcePath) -> Vec<Value> {
    let (all, _) = front.api.store().list(&ResourceId::new("", "pods"), "");
    let items = listed(front, "nodes", path).into_iter().map(|node| {
        let name = node.at(&["metadata", "name"]);
        let mut item = measured(front, &node, "NodeMetrics");
        if let Some(own) = front.metrics.of_node(name.and_then(Value::as_str).unwrap_or_default()) {
            item.set_at(&["usage"], usage(own.cpu_milli, own.memory_bytes));
            return item;
        }
        let here = all.iter().filter(|pod| pod.at(&["spec", "nodeName"]) == name);
        let used = here.filter_map(|pod| front.metrics.of(pod));
        let (cpu, memory) =
            used.fold((0, 0), |(cpu, memory), it| (cpu + it.cpu_milli, memory + it.memory_bytes));
        item.set_at(&["usage"], usage(cpu, memory));
        item
    });
    items.collect()
}
