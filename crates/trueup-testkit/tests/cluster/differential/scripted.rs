//! Writes that chance does not find: kinds in several versions, items that share a key, what is embedded and what is kept
//! unknown, more writers than fit, and managed fields that somebody empties.

use serde_json::{Value, json};

use super::generate::Operation;

const GROUP: &str = "versions.example.com";

/// A definition in two versions: lists are atomic in the first, and the second tells items apart.
pub fn definition() -> Value {
    let spec = |parts: Value| {
        let kept = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
        let mut template = kept.clone();
        template["x-kubernetes-embedded-resource"] = json!(true);
        json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": {
            "size": {"type": "integer"}, "extra": {"type": "string"}, "free": kept, "template": template, "parts": parts,
        }}}}})
    };
    let texts = json!({"type": "array", "items": {"type": "string"}});
    let map = json!({"type": "object", "additionalProperties": {"type": "string"}});
    let atomic = json!({"type": "object", "x-kubernetes-map-type": "atomic", "additionalProperties": {"type": "string"}});
    let item = |labels: Value| {
        json!({"type": "object", "required": ["name"], "properties": {"name": {"type": "string"},
            "args": texts, "labels": labels, "size": {"type": "integer"}}})
    };
    let named = json!({"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
        "items": item(atomic)});
    let plain = json!({"type": "array", "items": item(map)});
    json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
    "metadata": {"name": format!("things.{GROUP}")},
    "spec": {"group": GROUP, "scope": "Namespaced",
        "names": {"kind": "Thing", "plural": "things", "singular": "thing", "listKind": "ThingList"},
        "versions": [
            {"name": "v1", "served": true, "storage": false, "schema": spec(plain)},
            {"name": "v2", "served": true, "storage": true, "schema": spec(named)},
        ]}})
}

fn operation(target: &str, arguments: &[&str], input: Option<Value>) -> Operation {
    Operation {
        target: target.to_owned(),
        arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
        input: input.map(|value| value.to_string()),
    }
}

fn applied(target: &str, manager: &str, object: Value) -> [Operation; 2] {
    let flags = ["apply", "--server-side", "--field-manager", manager, "-f", "-"];
    let forced = [flags.as_slice(), &["--force-conflicts"]].concat();
    [operation(target, &flags, Some(object.clone())), operation(target, &forced, Some(object))]
}

/// A patch through `at`, which may be another version of the target.
fn patched_at(at: &str, target: &str, manager: &str, form: &str, patch: Value) -> Operation {
    let patch = patch.to_string();
    operation(target, &["patch", at, "--type", form, "--field-manager", manager, "--patch", &patch], None)
}

fn patched(target: &str, manager: &str, form: &str, patch: Value) -> Operation {
    patched_at(target, target, manager, form, patch)
}

fn named(api_version: &str, kind: &str, name: &str, spec: Value) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": name, "namespace": super::NAMESPACE},
        "spec": spec})
}

pub fn operations() -> Vec<Operation> {
    [autoscalers(), things(), many_writers(), emptied()].into_iter().flatten().collect()
}

/// Written in v1 and in v2, which name the same things differently.
fn autoscalers() -> Vec<Operation> {
    let target = "horizontalpodautoscalers.v2.autoscaling/both";
    let first = "horizontalpodautoscalers.v1.autoscaling/both";
    let scaler = |version: &str, more: Value| {
        let mut spec = json!({"maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}});
        for (name, value) in more.as_object().unwrap() {
            spec[name] = value.clone();
        }
        named(&format!("autoscaling/{version}"), "HorizontalPodAutoscaler", "both", spec)
    };
    let metrics = |percent: i64| {
        json!([{"type": "Resource", "resource": {"name": "cpu",
            "target": {"type": "Utilization", "averageUtilization": percent}}}])
    };
    let behaviour = json!({"scaleDown": {"selectPolicy": "Min"}});
    let mut all = Vec::new();
    all.extend(applied(target, "git", scaler("v2", json!({"metrics": metrics(60)}))));
    all.extend(applied(target, "old", scaler("v1", json!({"targetCPUUtilizationPercentage": 50}))));
    all.extend(applied(target, "git", scaler("v2", json!({"metrics": metrics(60), "behavior": behaviour}))));
    all.push(patched_at(
        first,
        target,
        "person",
        "merge",
        json!({"spec": {"targetCPUUtilizationPercentage": 80}}),
    ));
    all.push(patched(target, "other", "merge", json!({"spec": {"metrics": metrics(70), "minReplicas": 2}})));
    all.extend(applied(target, "git", scaler("v1", json!({}))));
    all.extend(applied(target, "git", scaler("v2", json!({}))));
    all
}

fn things() -> Vec<Operation> {
    let target = "things.v2.versions.example.com/a";
    let first = "things.v1.versions.example.com/a";
    let thing = |version: &str, spec: Value| named(&format!("{GROUP}/{version}"), "Thing", "a", spec);
    let pod = json!({"apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "x", "labels": {"l": "1"}, "finalizers": ["f.example.com/a"]},
        "spec": {"x": 1, "list": [{"a": 1}]}});
    let free = json!({"a": {"b": [1, 2], "c": 1}});
    let x = json!({"name": "x", "args": ["a", "b"], "labels": {"k": "v"}, "size": 1});
    let mut all = Vec::new();
    let whole = json!({"size": 1, "parts": [x, {"name": "y"}], "free": free, "template": pod});
    all.extend(applied(target, "git", thing("v1", whole)));
    let edits = json!([
        {"op": "replace", "path": "/spec/parts/0/size", "value": 2},
        {"op": "add", "path": "/spec/parts/-", "value": {"name": "z", "labels": {"q": "w"}}},
        {"op": "add", "path": "/spec/template/metadata/finalizers/-", "value": "f.example.com/b"},
        {"op": "add", "path": "/spec/template/metadata/labels/m", "value": "2"},
        {"op": "add", "path": "/spec/free/a/d", "value": {}},
        {"op": "replace", "path": "/spec/free/a/b", "value": [1]},
    ]);
    all.push(patched(target, "person", "json", edits));
    all.extend(applied(target, "git", thing("v2", json!({"size": 1, "parts": [x], "free": free}))));
    all.extend(applied(target, "old", thing("v1", json!({"extra": "e", "parts": [{"name": "x"}]}))));
    let labelled = json!({"size": 1, "parts": [{"name": "x", "labels": {"k": "v2"}}]});
    all.extend(applied(target, "git", thing("v2", labelled.clone())));
    // Two items of one name fit the first version only: whoever stores them makes the server forget all owners.
    let twice = json!({"spec": {"parts": [{"name": "x", "args": ["c"]}, {"name": "x", "args": ["d"]}]}});
    all.push(patched_at(first, target, "person", "merge", twice));
    all.push(patched_at(first, target, "person", "merge", json!({"spec": {"size": 5}})));
    all.extend(applied(target, "git", thing("v2", labelled)));
    // A list that loses its last item while somebody owns the list itself is null, which a custom kind refuses.
    all.extend(applied(target, "git", thing("v2", json!({"size": 8}))));
    all
}

/// The oldest updates share an entry once there are more than ten.
fn many_writers() -> Vec<Operation> {
    let target = "configmap/many";
    let object = |data: Value| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "many", "namespace": super::NAMESPACE}, "data": data})
    };
    let mut all: Vec<Operation> = applied(target, "git", object(json!({"a": "1"}))).into();
    for number in 0..13 {
        let data = json!({"data": {format!("k{number}"): "1", "shared": number.to_string()}});
        all.push(patched(target, &format!("writer-{number:02}"), "merge", data));
    }
    all.push(patched(target, "writer-12", "merge", json!({"data": {"k12": null}})));
    all.extend(applied(target, "git", object(json!({"k0": "2"}))));
    all
}

/// Managed fields that somebody empties stay away until the next apply.
fn emptied() -> Vec<Operation> {
    let target = "configmap/emptied";
    let object = |value: &str| {
        json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "emptied", "namespace": super::NAMESPACE}, "data": {"z": value}})
    };
    let forget = json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]);
    let mut all: Vec<Operation> = applied(target, "git", object("1")).into();
    all.push(patched(target, "forgetful", "json", forget));
    all.push(patched(target, "person", "merge", json!({"data": {"y": "1"}})));
    all.extend(applied(target, "git", object("2")));
    all.push(operation(target, &["apply", "--field-manager", "client-side", "-f", "-"], Some(object("3"))));
    all.push(operation(target, &["apply", "--server-side", "-f", "-"], Some(object("4"))));
    all
}
