//! Tests of apply and update on whole objects, by what a real API server answered.
#![expect(clippy::unwrap_used, reason = "tests")]

mod cases;
mod laws;
mod versions;

use trueup_object::{FieldSet, Gvk, ManagedFields, Timestamp, Value};

use crate::{ApplyError, SchemaSet, TypeRef, Writer, apply, conflict_message, get, update};

fn value(json: serde_json::Value) -> Value {
    Value::from_json(json.to_string().as_bytes()).unwrap()
}

fn ty(api_version: &str, kind: &str) -> TypeRef<'static> {
    SchemaSet::builtin().lookup(&Gvk::from_api_version(api_version, kind)).unwrap()
}

fn at(second: i64) -> Option<Timestamp> {
    Some(Timestamp::from_second(1_700_000_000 + second).unwrap())
}

fn writer(manager: &str, api_version: &str, second: i64) -> Writer {
    Writer::new(manager, api_version, at(second))
}

/// The set of one entry, as JSON.
fn fields_of(object: &Value, manager: &str) -> String {
    let fields = ManagedFields::of(object);
    let entry = fields.entries.iter().find(|entry| entry.manager.as_str() == manager);
    entry.map(|entry| entry.fields.to_fields_v1().to_json()).unwrap_or_default()
}

fn deployment(replicas: i64, image: &str) -> serde_json::Value {
    serde_json::json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "shop", "labels": {"app": "web"}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": image, "ports": [{"containerPort": 80}]}]},
            },
        },
    })
}

#[test]
fn an_applier_owns_what_it_declares() {
    let ty = ty("apps/v1", "Deployment");
    let applied =
        apply(None, &value(deployment(2, "web:1")), &writer("trueup", "apps/v1", 0), false, ty).unwrap();
    assert!(applied.changed);
    assert_eq!(
        fields_of(&applied.object, "trueup"),
        r#"{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}}}}}}}}"#
    );
}

#[test]
fn a_creator_owns_parents_that_the_servers_empty_object_lacks() {
    let ty = ty("apps/v1", "Deployment");
    let created = update(None, &value(deployment(2, "web:1")), &writer("kubectl-create", "apps/v1", 0), ty);
    assert_eq!(
        fields_of(&created, "kubectl-create"),
        r#"{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:replicas":{},"f:selector":{},"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:image":{},"f:name":{},"f:ports":{".":{},"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:containerPort":{}}},"f:resources":{}}}}}}}"#
    );
}

#[test]
fn a_changed_field_of_another_is_a_conflict_and_an_equal_one_is_shared() {
    let ty = ty("apps/v1", "Deployment");
    let live =
        apply(None, &value(deployment(2, "web:1")), &writer("a", "apps/v1", 0), false, ty).unwrap().object;
    let refused = apply(Some(&live), &value(deployment(3, "web:1")), &writer("b", "apps/v1", 5), false, ty);
    let Err(ApplyError::Conflicts(conflicts)) = refused else { panic!("{refused:?}") };
    assert_eq!(
        conflict_message(&conflicts),
        "Apply failed with 1 conflict: conflict with \"a\": .spec.replicas"
    );

    let shared = apply(Some(&live), &value(deployment(2, "web:1")), &writer("b", "apps/v1", 5), false, ty)
        .unwrap()
        .object;
    assert_eq!(fields_of(&shared, "a"), fields_of(&shared, "b"));
    let second =
        ManagedFields::of(&shared).entries.into_iter().find(|entry| entry.manager.as_str() == "b").unwrap();
    assert_eq!(second.time, None, "a co-owner that changed nothing has no time");

    let forced = apply(Some(&live), &value(deployment(3, "web:1")), &writer("b", "apps/v1", 5), true, ty)
        .unwrap()
        .object;
    assert_eq!(forced.int_at(&["spec", "replicas"]), Some(3));
    assert!(!fields_of(&forced, "a").contains("replicas"));
}

#[test]
fn what_is_applied_no_longer_goes_unless_somebody_owns_it() {
    let ty = ty("v1", "ConfigMap");
    let config = |data: serde_json::Value| {
        value(
            serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": data}),
        )
    };
    let first = config(serde_json::json!({"a": "1", "b": "2", "c": "3"}));
    let live = apply(None, &first, &writer("git", "v1", 0), false, ty).unwrap().object;
    let shared = config(serde_json::json!({"c": "3"}));
    let live = apply(Some(&live), &shared, &writer("other", "v1", 1), false, ty).unwrap().object;
    let second = config(serde_json::json!({"a": "1"}));
    let live = apply(Some(&live), &second, &writer("git", "v1", 2), false, ty).unwrap().object;
    assert_eq!(live.get("data").unwrap().to_json(), r#"{"a":"1","c":"3"}"#);
    let none = value(serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}));
    let live = apply(Some(&live), &none, &writer("other", "v1", 3), false, ty).unwrap().object;
    assert_eq!(live.get("data").unwrap().to_json(), r#"{"a":"1"}"#);
    let live = apply(Some(&live), &none, &writer("git", "v1", 4), false, ty).unwrap().object;
    assert_eq!(live.get("data"), None);
    assert_eq!(ManagedFields::of(&live).entries, []);
}

#[test]
fn an_update_takes_what_it_changes_and_a_removal_leaves_no_entry() {
    let ty = ty("apps/v1", "Deployment");
    let live =
        apply(None, &value(deployment(2, "web:1")), &writer("git", "apps/v1", 0), false, ty).unwrap().object;
    let mut scaled = live.clone();
    scaled.set_at(&["spec", "replicas"], Value::Int(5));
    let scaled = update(Some(&live), &scaled, &writer("kubectl-edit", "apps/v1", 9), ty);
    assert_eq!(fields_of(&scaled, "kubectl-edit"), r#"{"f:spec":{"f:replicas":{}}}"#);
    assert!(!fields_of(&scaled, "git").contains("replicas"));

    let mut removed = scaled.clone();
    removed.remove_at(&["metadata", "labels"]);
    let removed = update(Some(&scaled), &removed, &writer("kubectl-label", "apps/v1", 12), ty);
    assert_eq!(fields_of(&removed, "kubectl-label"), "");
    assert!(
        !fields_of(&removed, "git")
            .contains("f:metadata\":{\"f:labels\":{\"f:app\":{}}},\"f:spec\":{\"f:sel")
    );
}

#[test]
fn the_eleventh_updater_buries_the_oldest() {
    let ty = ty("v1", "ConfigMap");
    let mut live =
        value(serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}));
    live = update(None, &live, &writer("creator", "v1", 0), ty);
    for index in 0..12 {
        let mut next = live.clone();
        next.set_at(&["data", &format!("key{index:02}")], Value::from("x"));
        live = update(Some(&live), &next, &writer(&format!("m{index:02}"), "v1", index), ty);
    }
    let names: Vec<String> =
        ManagedFields::of(&live).entries.iter().map(|entry| entry.manager.as_str().to_owned()).collect();
    assert_eq!(names, ["ancient-changes", "m03", "m04", "m05", "m06", "m07", "m08", "m09", "m10", "m11"]);
    assert_eq!(
        fields_of(&live, "ancient-changes"),
        r#"{"f:data":{".":{},"f:key00":{},"f:key01":{},"f:key02":{}}}"#
    );
}

#[test]
fn the_first_apply_on_an_untracked_object_records_what_was_there() {
    let ty = ty("v1", "ConfigMap");
    let live = value(serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "uid": "u"}, "data": {"a": "1"},
    }));
    let same = update(Some(&live), &live, &writer("kubectl", "v1", 0), ty);
    assert_eq!(ManagedFields::of(&same).entries, [], "tracking stays off until somebody applies");
    let config = value(serde_json::json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"b": "2"},
    }));
    let applied = apply(Some(&live), &config, &writer("git", "v1", 1), false, ty).unwrap().object;
    assert_eq!(fields_of(&applied, "before-first-apply"), r#"{"f:data":{".":{},"f:a":{}}}"#);
    assert_eq!(fields_of(&applied, "git"), r#"{"f:data":{"f:b":{}}}"#);
}

#[test]
fn a_status_writer_owns_only_status() {
    let ty = ty("apps/v1", "Deployment");
    let live = update(None, &value(deployment(2, "web:1")), &writer("kubectl-create", "apps/v1", 0), ty);
    let mut next = live.clone();
    next.set_at(&["status", "replicas"], Value::Int(2));
    next.set_at(&["spec", "paused"], Value::Bool(true));
    let spec: FieldSet = [trueup_object::FieldPath::fields(&["spec"])].into_iter().collect();
    let status = writer("kube-controller-manager", "apps/v1", 3).at("status").resetting(spec);
    let next = update(Some(&live), &next, &status, ty);
    assert_eq!(fields_of(&next, "kube-controller-manager"), r#"{"f:status":{"f:replicas":{}}}"#);
}

#[test]
fn a_path_finds_an_item_whose_key_is_a_default() {
    let object = value(deployment(1, "web:1"));
    let mut path = trueup_object::FieldPath::fields(&["spec", "template", "spec", "containers"]);
    let ty = ty("apps/v1", "Deployment");
    let containers = ty
        .field("spec")
        .unwrap()
        .ty
        .field("template")
        .unwrap()
        .ty
        .field("spec")
        .unwrap()
        .ty
        .field("containers")
        .unwrap()
        .ty;
    let container = object.list_at(&["spec", "template", "spec", "containers"]).first().unwrap();
    path.push(crate::element_path(container, 0, containers));
    let mut path = path.field("ports");
    let ports = containers.element().field("ports").unwrap().ty;
    path.push(crate::element_path(container.list_at(&["ports"]).first().unwrap(), 0, ports));
    assert_eq!(
        path.to_string(),
        r#".spec.template.spec.containers[name="app"].ports[containerPort=80,protocol="TCP"]"#
    );
    assert_eq!(get(&object, &path).unwrap().to_json(), r#"{"containerPort":80}"#);
}
