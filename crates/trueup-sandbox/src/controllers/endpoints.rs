//! Where a service's traffic would go: an EndpointSlice and the older Endpoints for each service that selects pods.

use std::sync::Arc;

use trueup_object::{Map, Timestamp, Value};

use super::objects::{
    self, ENDPOINT_SLICES, ENDPOINTS, SERVICES, Step, is_controlled_by, is_deleting, is_ready, text,
};
use super::replica_set::is_active;
use crate::clock::wire_time;

const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";
const SERVICE_NAME: &str = "kubernetes.io/service-name";
const HEADLESS: &str = "service.kubernetes.io/headless";
const OLDER_MANAGED_BY: &str = "endpoints.kubernetes.io/managed-by";

const OLDER_CONTROLLER: &str = "endpoint-controller";

/// Whether Endpoints were made here, and not by hand for a service without a selector.
pub fn is_ours(endpoints: &Value) -> bool {
    endpoints.str_at(&["metadata", "labels", OLDER_MANAGED_BY]) == Some(OLDER_CONTROLLER)
}

/// What there is about one service.
pub struct Found<'a> {
    pub pods: &'a [Arc<Value>],
    pub slices: &'a [Arc<Value>],
    pub endpoints: Option<Arc<Value>>,
}

pub fn reconcile(service: &Value, found: &Found<'_>, now: Timestamp) -> Vec<Step> {
    let selector = service.at(&["spec", "selector"]).and_then(Value::as_map).filter(|map| !map.is_empty());
    let external = service.str_at(&["spec", "type"]) == Some("ExternalName");
    let Some(selector) = selector.filter(|_| !external && !is_deleting(service)) else { return Vec::new() };
    let selected = |pod: &&Value| {
        selector.iter().all(|(key, value)| pod.at(&["metadata", "labels", key]) == Some(value))
            && pod.str_at(&["status", "podIP"]).is_some_and(|address| !address.is_empty())
            && !matches!(pod.str_at(&["status", "phase"]), Some("Succeeded" | "Failed"))
    };
    let mut pods: Vec<&Value> = found.pods.iter().map(Arc::as_ref).filter(selected).collect();
    pods.sort_by_key(|pod| text(pod, "name"));
    let ports = ports(service, pods.first().copied());
    let mut steps = Vec::new();
    steps.extend(slice(service, found.slices, &pods, &ports));
    // The older kind says nothing of pods that end, unless all addresses are to be published.
    pods.retain(|pod| is_active(pod) || publishes(service));
    let ports = if pods.is_empty() { Vec::new() } else { ports };
    steps.extend(endpoints(service, found.endpoints.as_deref(), &pods, &ports));
    steps.into_iter().map(|step| timed(step, now)).collect()
}

/// Whether traffic goes to pods whether they are ready or not.
fn publishes(service: &Value) -> bool {
    service.at(&["spec", "publishNotReadyAddresses"]).and_then(Value::as_bool) == Some(true)
}

/// The name that a pod has within a service that gives its pods names.
fn hostname<'p>(service: &Value, pod: &'p Value) -> Option<&'p str> {
    let own = pod.str_at(&["spec", "subdomain"]) == Some(text(service, "name"));
    pod.str_at(&["spec", "hostname"]).filter(|name| own && !name.is_empty())
}

const TRIGGERED: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What changes says when that was brought about.
fn timed(step: Step, now: Timestamp) -> Step {
    let time = || Value::from(wire_time(now));
    match step {
        Step::Create { resource, mut object, manager } => {
            object.set_at(&["metadata", "annotations", TRIGGERED], time());
            Step::Create { resource, object, manager }
        }
        Step::Update { resource, mut object, manager, subresource } => {
            object.set_at(&["metadata", "annotations", TRIGGERED], time());
            Step::Update { resource, object, manager, subresource }
        }
        other @ (Step::Apply { .. }
        | Step::Delete { .. }
        | Step::Bind { .. }
        | Step::Tell(_)
        | Step::End { .. }) => other,
    }
}

/// A service's ports as its pods have them. A port that is named is looked up in a pod.
fn ports(service: &Value, pod: Option<&Value>) -> Vec<Value> {
    let Some(pod) = pod else { return Vec::new() };
    let listed = service.list_at(&["spec", "ports"]).iter();
    listed
        .filter_map(|port| {
            let number = match port.get("targetPort") {
                Some(Value::Int(number)) => *number,
                Some(Value::Str(name)) => named_port(pod, name)?,
                _ => port.int_at(&["port"])?,
            };
            let mut shown = Map::new();
            // A single port without a name has an empty one in a slice.
            shown.insert("name", port.get("name").cloned().unwrap_or_else(|| "".into()));
            shown.insert("port", number.into());
            shown.insert("protocol", port.get("protocol").cloned().unwrap_or_else(|| "TCP".into()));
            if let Some(protocol) = port.get("appProtocol") {
                shown.insert("appProtocol", protocol.clone());
            }
            Some(Value::Map(shown))
        })
        .collect()
}

fn named_port(pod: &Value, name: &str) -> Option<i64> {
    let containers = pod.list_at(&["spec", "containers"]).iter();
    let mut ports = containers.flat_map(|container| container.list_at(&["ports"]));
    ports.find(|port| port.str_at(&["name"]) == Some(name))?.int_at(&["containerPort"])
}

fn reference(pod: &Value) -> Value {
    let mut reference = Value::Map(Map::new());
    reference.set_at(&["kind"], "Pod".into());
    for key in ["name", "namespace", "uid"] {
        reference.set_at(&[key], text(pod, key).into());
    }
    reference
}

fn labels(service: &Value, own: &[(&str, &str)]) -> Value {
    let mut labels = service.at(&["metadata", "labels"]).cloned().unwrap_or_else(|| Value::Map(Map::new()));
    for (key, value) in own {
        labels.set_at(&[key], (*value).into());
    }
    if service.str_at(&["spec", "clusterIP"]) == Some("None") {
        labels.set_at(&[HEADLESS], "".into());
    }
    labels
}

fn slice(service: &Value, slices: &[Arc<Value>], pods: &[&Value], ports: &[Value]) -> Option<Step> {
    let listed = pods.iter().map(|pod| {
        let mut endpoint = Value::Map(Map::new());
        endpoint.set_at(&["addresses"], Value::List(vec![address(pod)]));
        let (serves, ends) = (is_ready(pod), is_deleting(pod));
        endpoint.set_at(&["conditions", "ready"], (publishes(service) || (serves && !ends)).into());
        endpoint.set_at(&["conditions", "serving"], serves.into());
        endpoint.set_at(&["conditions", "terminating"], ends.into());
        if let Some(name) = hostname(service, pod) {
            endpoint.set_at(&["hostname"], name.into());
        }
        if let Some(node) = pod.at(&["spec", "nodeName"]) {
            endpoint.set_at(&["nodeName"], node.clone());
        }
        endpoint.set_at(&["targetRef"], reference(pod));
        endpoint
    });
    let listed: Vec<Value> = listed.collect();
    let own = [(MANAGED_BY, CONTROLLER), (SERVICE_NAME, text(service, "name"))];
    let labels = labels(service, &own);
    let ports = if ports.is_empty() { Value::Null } else { Value::List(ports.to_vec()) };
    let listed = if listed.is_empty() { Value::Null } else { Value::List(listed) };
    let set = |slice: &mut Value| {
        slice.set_at(&["metadata", "labels"], labels.clone());
        slice.set_at(&["addressType"], "IPv4".into());
        slice.set_at(&["endpoints"], listed.clone());
        slice.set_at(&["ports"], ports.clone());
    };
    let present = slices.iter().find(|slice| {
        is_controlled_by(slice, text(service, "uid"))
            && slice.str_at(&["metadata", "labels", MANAGED_BY]) == Some(CONTROLLER)
    });
    let Some(present) = present else {
        let mut slice = ENDPOINT_SLICES.object(text(service, "namespace"));
        slice.set_at(&["metadata", "generateName"], format!("{}-", text(service, "name")).into());
        let owner = objects::owner_reference(SERVICES, service);
        slice.set_at(&["metadata", "ownerReferences"], Value::List(vec![owner]));
        set(&mut slice);
        return Some(Step::create(ENDPOINT_SLICES, slice));
    };
    let mut changed = Value::clone(present);
    set(&mut changed);
    (changed != **present).then(|| Step::update(ENDPOINT_SLICES, changed))
}

fn address(pod: &Value) -> Value {
    pod.at(&["status", "podIP"]).cloned().unwrap_or_default()
}

fn endpoints(service: &Value, present: Option<&Value>, pods: &[&Value], ports: &[Value]) -> Option<Step> {
    let of = |ready: bool| -> Vec<Value> {
        let fitting = pods.iter().filter(|pod| (publishes(service) || is_ready(pod)) == ready);
        let listed = fitting.map(|pod| {
            let mut listed = Value::Map(Map::new());
            listed.set_at(&["ip"], address(pod));
            if let Some(name) = hostname(service, pod) {
                listed.set_at(&["hostname"], name.into());
            }
            if let Some(node) = pod.at(&["spec", "nodeName"]) {
                listed.set_at(&["nodeName"], node.clone());
            }
            listed.set_at(&["targetRef"], reference(pod));
            listed
        });
        listed.collect()
    };
    let mut subset = Value::Map(Map::new());
    for (key, list) in [("addresses", of(true)), ("notReadyAddresses", of(false))] {
        if !list.is_empty() {
            subset.set_at(&[key], Value::List(list));
        }
    }
    let named = |port: &Value| {
        let mut port = port.clone();
        if port.str_at(&["name"]) == Some("") {
            port.remove_at(&["name"]);
        }
        port
    };
    if !ports.is_empty() {
        subset.set_at(&["ports"], Value::List(ports.iter().map(named).collect()));
    }
    let mut object = match present {
        Some(present) => present.clone(),
        None => {
            let mut object = ENDPOINTS.object(text(service, "namespace"));
            object.set_at(&["metadata", "name"], text(service, "name").into());
            object
        }
    };
    object.set_at(&["metadata", "labels"], labels(service, &[(OLDER_MANAGED_BY, OLDER_CONTROLLER)]));
    if pods.is_empty() {
        object.remove_at(&["subsets"]);
    } else {
        object.set_at(&["subsets"], Value::List(vec![subset]));
    }
    match present {
        None => Some(Step::create(ENDPOINTS, object)),
        Some(present) => (object != *present).then(|| Step::update(ENDPOINTS, object)),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    /// The conditions of the slice's endpoint, and which list of the older kind it is in.
    fn told(publishes: bool, ready: bool, ends: bool) -> (String, String) {
        let service = value(&format!(
            r#"{{"metadata":{{"name":"s"}},"spec":{{"selector":{{"app":"a"}},"publishNotReadyAddresses":{publishes},"ports":[{{"port":80}}]}}}}"#
        ));
        let (status, end) =
            (if ready { "True" } else { "False" }, if ends { r#""2026-01-01T00:00:00Z""# } else { "null" });
        let pod = value(&format!(
            r#"{{"metadata":{{"name":"p","labels":{{"app":"a"}},"deletionTimestamp":{end}}},"spec":{{"hostname":"h","subdomain":"s"}},
                "status":{{"phase":"Running","podIP":"10.0.0.1","conditions":[{{"type":"Ready","status":"{status}"}}]}}}}"#
        ));
        let found = Found { pods: &[Arc::new(pod)], slices: &[], endpoints: None };
        let steps = reconcile(&service, &found, Timestamp::UNIX_EPOCH);
        let [Step::Create { object: slice, .. }, Step::Create { object: older, .. }] = steps.as_slice()
        else {
            panic!("{steps:?}")
        };
        let endpoint = slice.list_at(&["endpoints"]).first().unwrap();
        assert_eq!(endpoint.str_at(&["hostname"]), Some("h"));
        let flags = ["ready", "serving", "terminating"].map(|key| {
            endpoint.at(&["conditions", key]).unwrap().to_json().chars().next().unwrap().to_string()
        });
        let subset = older.list_at(&["subsets"]).first();
        let lists =
            subset.and_then(Value::as_map).map(|subset| subset.keys().next().unwrap_or_default().to_owned());
        (flags.concat(), lists.unwrap_or_default())
    }

    #[test]
    fn pods_that_are_not_ready_and_pods_that_end_are_told_as_such() {
        let of = |publishes, ready, ends, flags: &str, list: &str| {
            assert_eq!(told(publishes, ready, ends), (flags.to_owned(), list.to_owned()));
        };
        of(false, true, false, "ttf", "addresses");
        of(false, false, false, "fff", "notReadyAddresses");
        of(false, true, true, "ftt", "");
        of(true, false, false, "tff", "addresses");
        of(true, false, true, "tft", "addresses");
    }
}
