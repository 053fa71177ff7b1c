//! Rows of what a cluster is made of: nodes, addresses, admission, flow control, registered APIs, requests for certificates.

use trueup_object::value::Map;
use trueup_object::{Timestamp, Value};

use super::age;
use super::cell::{
    age_of, containers, int, is_marked_default, label_selector, labels, name, or_none, scalar_or, text,
};
use crate::kind::KindInfo;

fn count(items: &[Value]) -> Value {
    Value::Int(i64::try_from(items.len()).unwrap_or(i64::MAX))
}

pub(super) fn node(object: &Value, now: Timestamp) -> Vec<Value> {
    let conditions = object.list_at(&["status", "conditions"]);
    let ready = conditions.iter().find(|condition| text(condition, &["type"]) == "Ready");
    let mut status = match ready.map(|condition| text(condition, &["status"])) {
        None => "Unknown",
        Some("True") => "Ready",
        Some(_) => "NotReady",
    }
    .to_owned();
    if object.at(&["spec", "unschedulable"]).and_then(Value::as_bool) == Some(true) {
        status.push_str(",SchedulingDisabled");
    }
    let labels = object.at(&["metadata", "labels"]).and_then(Value::as_map);
    let roles: Vec<&str> = labels
        .into_iter()
        .flat_map(Map::iter)
        .filter_map(|(key, _)| key.strip_prefix("node-role.kubernetes.io/"))
        .collect();
    let info = |key: &str| text(object, &["status", "nodeInfo", key]);
    let known = |key: &str| match info(key) {
        "" => "<unknown>".to_owned(),
        text => text.to_owned(),
    };
    let architecture = info("architecture");
    let mut kernel = known("kernelVersion");
    if !architecture.is_empty() {
        kernel.push_str(&format!(" ({architecture})"));
    }
    let address = |kind: &str| {
        let addresses = object.list_at(&["status", "addresses"]).iter();
        let mut found = addresses.filter(|address| text(address, &["type"]) == kind);
        or_none(found.next().map(|address| text(address, &["address"])).unwrap_or_default())
    };
    vec![
        name(object),
        status.into(),
        or_none(&roles.join(",")).into(),
        age_of(object, now),
        info("kubeletVersion").into(),
        address("InternalIP").into(),
        address("ExternalIP").into(),
        known("osImage").into(),
        kernel.into(),
        known("containerRuntimeVersion").into(),
    ]
}

/// Up to three texts, and how many more there are.
fn first_three(all: &[String], none: &str) -> String {
    const N_MAX: usize = 3;
    match all {
        [] => none.to_owned(),
        few if few.len() <= N_MAX => few.join(","),
        many => format!("{} + {} more...", many[..N_MAX].join(","), many.len() - N_MAX),
    }
}

pub(super) fn endpoint_slice(object: &Value, now: Timestamp) -> Vec<Value> {
    let ports: Vec<String> = object
        .list_at(&["ports"])
        .iter()
        .map(|port| match port.int_at(&["port"]) {
            Some(number) => number.to_string(),
            None => scalar_or(port, &["name"], "*"),
        })
        .collect();
    let endpoints = object.list_at(&["endpoints"]).iter();
    let addresses: Vec<String> = endpoints
        .flat_map(|endpoint| endpoint.list_at(&["addresses"]))
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    vec![
        name(object),
        text(object, &["addressType"]).into(),
        first_three(&ports, "<unset>").into(),
        first_three(&addresses, "<unset>").into(),
        age_of(object, now),
    ]
}

pub(super) fn endpoints(object: &Value, now: Timestamp) -> Vec<Value> {
    let mut shown = Vec::new();
    for subset in object.list_at(&["subsets"]) {
        let addresses = || subset.list_at(&["addresses"]).iter().map(|address| text(address, &["ip"]));
        let ports = subset.list_at(&["ports"]);
        if ports.is_empty() {
            shown.extend(addresses().map(str::to_owned));
        }
        for port in ports {
            shown.extend(addresses().map(|address| format!("{address}:{}", int(port, &["port"]))));
        }
    }
    vec![name(object), first_three(&shown, "<none>").into(), age_of(object, now)]
}

pub(super) fn ingress_class(object: &Value, now: Timestamp) -> Vec<Value> {
    let parameters = object.at(&["spec", "parameters"]).filter(|parameters| !parameters.is_null());
    let parameters = parameters.map_or_else(
        || "<none>".to_owned(),
        |parameters| {
            let group = text(parameters, &["apiGroup"]);
            let dot = if group.is_empty() { "" } else { "." };
            format!("{}{dot}{group}/{}", text(parameters, &["kind"]), text(parameters, &["name"]))
        },
    );
    vec![
        is_marked_default(object, &["ingressclass.kubernetes.io/is-default-class"]),
        text(object, &["spec", "controller"]).into(),
        parameters.into(),
        age_of(object, now),
    ]
}

pub(super) fn address(object: &Value, now: Timestamp) -> Vec<Value> {
    let part = |key: &str| text(object, &["spec", "parentRef", key]);
    let reference = if object.at(&["spec", "parentRef"]).is_none() {
        "<none>".to_owned()
    } else {
        let dot = if part("group").is_empty() { "" } else { "." };
        let namespace = part("namespace");
        let slash = if namespace.is_empty() { "" } else { "/" };
        let resource = format!("{}{dot}{}", part("resource"), part("group")).to_lowercase();
        format!("{resource}{slash}{namespace}/{}", part("name"))
    };
    vec![name(object), reference.into(), age_of(object, now)]
}

pub(super) fn service_range(object: &Value, now: Timestamp) -> Vec<Value> {
    let ranges: Vec<&str> = object.list_at(&["spec", "cidrs"]).iter().filter_map(Value::as_str).collect();
    vec![name(object), ranges.join(",").into(), age_of(object, now)]
}

pub(super) fn runtime_class(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), text(object, &["handler"]).into(), age_of(object, now)]
}

pub(super) fn pod_template(object: &Value, _now: Timestamp) -> Vec<Value> {
    let [names, images] = containers(object.at(&["template", "spec"]));
    vec![name(object), names, images, labels(object.at(&["template", "metadata", "labels"])).into()]
}

pub(super) fn role_binding(object: &Value, now: Timestamp) -> Vec<Value> {
    let role = format!("{}/{}", text(object, &["roleRef", "kind"]), text(object, &["roleRef", "name"]));
    let subjects = |kind: &str| {
        let subjects = object.list_at(&["subjects"]).iter();
        let named = subjects.filter(|subject| text(subject, &["kind"]) == kind).map(|subject| {
            let namespace = text(subject, &["namespace"]);
            let slash = if kind == "ServiceAccount" { "/" } else { "" };
            format!("{}{slash}{}", if slash.is_empty() { "" } else { namespace }, text(subject, &["name"]))
        });
        Value::from(named.collect::<Vec<_>>().join(", "))
    };
    vec![
        name(object),
        role.into(),
        age_of(object, now),
        subjects("User"),
        subjects("Group"),
        subjects("ServiceAccount"),
    ]
}

pub(super) fn webhooks(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![name(object), count(object.list_at(&["webhooks"])), age_of(object, now)]
}

fn policy(object: &Value, list: &str, now: Timestamp) -> Vec<Value> {
    let kind = object.at(&["spec", "paramKind"]).filter(|kind| !kind.is_null());
    let kind = kind.map_or_else(
        || "<unset>".to_owned(),
        |kind| format!("{}/{}", text(kind, &["apiVersion"]), text(kind, &["kind"])),
    );
    vec![name(object), count(object.list_at(&["spec", list])), kind.into(), age_of(object, now)]
}

pub(super) fn validating_policy(object: &Value, now: Timestamp) -> Vec<Value> {
    policy(object, "validations", now)
}

pub(super) fn mutating_policy(object: &Value, now: Timestamp) -> Vec<Value> {
    policy(object, "mutations", now)
}

pub(super) fn policy_binding(object: &Value, now: Timestamp) -> Vec<Value> {
    let reference = ["spec", "paramRef"];
    let (parameter, namespace) = match object.at(&reference) {
        Some(found) => (text(found, &["name"]), text(found, &["namespace"])),
        None => ("", ""),
    };
    let shown = match (parameter, namespace) {
        ("", _) => match object.at(&reference).and_then(|found| found.get("selector")) {
            Some(selector) => label_selector(Some(selector)),
            None => "<unset>".to_owned(),
        },
        (parameter, "") => format!("*/{parameter}"),
        (parameter, namespace) => format!("{namespace}/{parameter}"),
    };
    vec![name(object), text(object, &["spec", "policyName"]).into(), shown.into(), age_of(object, now)]
}

pub(super) fn api_service(object: &Value, now: Timestamp) -> Vec<Value> {
    let service = object.at(&["spec", "service"]).filter(|service| !service.is_null());
    let service = service.map_or_else(
        || "Local".to_owned(),
        |service| format!("{}/{}", text(service, &["namespace"]), text(service, &["name"])),
    );
    let conditions = object.list_at(&["status", "conditions"]).iter();
    let mut available = conditions.filter(|condition| text(condition, &["type"]) == "Available");
    let available = available.next().map_or_else(
        || "Unknown".to_owned(),
        |condition| match text(condition, &["status"]) {
            "True" => "True".to_owned(),
            status => format!("{status} ({})", text(condition, &["reason"])),
        },
    );
    vec![name(object), service.into(), available.into(), age_of(object, now)]
}

pub(super) fn component_status(object: &Value, _now: Timestamp) -> Vec<Value> {
    let conditions = object.list_at(&["conditions"]).iter();
    let mut health = conditions.filter(|condition| text(condition, &["type"]) == "Healthy");
    let health = health.next();
    let part = |key: &str| health.map(|condition| text(condition, &[key])).unwrap_or_default();
    let status = match part("status") {
        "True" => "Healthy",
        "False" => "Unhealthy",
        _ => "Unknown",
    };
    vec![name(object), status.into(), part("message").into(), part("error").into()]
}

/// What the rows of a kind are sorted by, where that is not the name.
pub(super) fn rank(kind: &KindInfo, object: &Value) -> i64 {
    if kind.gvk.kind == "FlowSchema" { int(object, &["spec", "matchingPrecedence"]) } else { 0 }
}

pub(super) fn flow_schema(object: &Value, now: Timestamp) -> Vec<Value> {
    let conditions = object.list_at(&["status", "conditions"]).iter();
    let mut dangling = conditions.filter(|condition| text(condition, &["type"]) == "Dangling");
    vec![
        name(object),
        text(object, &["spec", "priorityLevelConfiguration", "name"]).into(),
        int(object, &["spec", "matchingPrecedence"]).into(),
        scalar_or(object, &["spec", "distinguisherMethod", "type"], "<none>").into(),
        age_of(object, now),
        dangling.next().map_or("?", |condition| text(condition, &["status"])).into(),
    ]
}

pub(super) fn priority_level(object: &Value, now: Timestamp) -> Vec<Value> {
    let number = |keys: &[&str]| match object.at(keys) {
        Some(Value::Int(number)) => Value::Int(*number),
        _ => "<none>".into(),
    };
    let queuing = |key: &str| number(&["spec", "limited", "limitResponse", "queuing", key]);
    vec![
        name(object),
        text(object, &["spec", "type"]).into(),
        number(&["spec", "limited", "nominalConcurrencyShares"]),
        queuing("queues"),
        queuing("handSize"),
        queuing("queueLengthLimit"),
        age_of(object, now),
    ]
}

pub(super) fn signing_request(object: &Value, now: Timestamp) -> Vec<Value> {
    let conditions = object.list_at(&["status", "conditions"]);
    let has = |kind: &str| conditions.iter().any(|condition| text(condition, &["type"]) == kind);
    let mut status = match () {
        () if has("Denied") => "Denied",
        () if has("Approved") => "Approved",
        () => "Pending",
    }
    .to_owned();
    if has("Failed") {
        status.push_str(",Failed");
    }
    if !text(object, &["status", "certificate"]).is_empty() {
        status.push_str(",Issued");
    }
    let duration = object.int_at(&["spec", "expirationSeconds"]);
    vec![
        name(object),
        age_of(object, now),
        or_none(text(object, &["spec", "signerName"])).into(),
        text(object, &["spec", "username"]).into(),
        duration.map_or_else(|| "<none>".to_owned(), age::human).into(),
        status.into(),
    ]
}

pub(super) fn scale(object: &Value, now: Timestamp) -> Vec<Value> {
    vec![
        name(object),
        int(object, &["spec", "replicas"]).into(),
        int(object, &["status", "replicas"]).into(),
        age_of(object, now),
    ]
}
