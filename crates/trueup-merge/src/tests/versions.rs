//! Kinds in several versions with other fields, and what else an object may carry that a writer does not expect.

use serde_json::json;
use trueup_object::Map;

use super::*;
use crate::{Kind, apply_versioned, update_versioned};

const OLD: &str = "example.com/v1";
const NEW: &str = "example.com/v2";

/// A kind whose `spec.size` of the old version is `spec.replicas` in the new one.
fn show(object: &Value, version: &str) -> Option<(Value, TypeRef<'static>)> {
    let (from, to) = match version {
        OLD => ("replicas", "size"),
        NEW => ("size", "replicas"),
        _ => return None,
    };
    let mut shown = object.clone();
    if let Some(value) = shown.remove_at(&["spec", from]) {
        shown.set_at(&["spec", to], value);
    }
    shown.set_at(&["apiVersion"], version.into());
    Some((shown, TypeRef::untyped()))
}

fn thing(version: &str, spec: serde_json::Value) -> Value {
    value(json!({"apiVersion": version, "kind": "Thing", "metadata": {"name": "a"}, "spec": spec}))
}

fn applied(live: Option<&Value>, object: &Value, manager: &str, force: bool) -> Result<Value, ApplyError> {
    let version = object.str_at(&["apiVersion"]).unwrap();
    let live = live.map(|live| show(live, version).unwrap().0);
    let kind = Kind::versioned(TypeRef::untyped(), &show);
    let writer = writer(manager, version, 0);
    apply_versioned(live.as_ref(), object, &writer, force, kind).map(|applied| applied.object)
}

fn updated(live: &Value, manager: &str, version: &str, change: impl FnOnce(&mut Value)) -> Value {
    let live = show(live, version).unwrap().0;
    let mut object = live.clone();
    change(&mut object);
    let kind = Kind::versioned(TypeRef::untyped(), &show);
    update_versioned(Some(&live), &object, &writer(manager, version, 1), kind)
}

#[test]
fn who_changes_a_field_takes_it_from_owners_in_other_versions() {
    let live = applied(None, &thing(OLD, json!({"size": 1, "x": 1})), "git", false).unwrap();
    let live = updated(&live, "scaler", NEW, |object| object.set_at(&["spec", "replicas"], Value::Int(5)));
    assert_eq!(fields_of(&live, "git"), r#"{"f:spec":{".":{},"f:x":{}}}"#);
    assert_eq!(fields_of(&live, "scaler"), r#"{"f:spec":{"f:replicas":{}}}"#);
    let refused = applied(Some(&live), &thing(OLD, json!({"size": 1, "x": 1})), "git", false);
    let Err(ApplyError::Conflicts(conflicts)) = refused else { panic!("{refused:?}") };
    assert_eq!(
        conflict_message(&conflicts),
        "Apply failed with 1 conflict: conflict with \"scaler\" using example.com/v2: .spec.replicas"
    );
    let forced = applied(Some(&live), &thing(OLD, json!({"size": 1, "x": 1})), "git", true).unwrap();
    assert_eq!(fields_of(&forced, "scaler"), "");
}

#[test]
fn what_was_applied_in_the_old_version_goes_by_an_apply_in_the_new_one() {
    let live = applied(None, &thing(OLD, json!({"size": 1, "x": 1, "y": 1})), "git", false).unwrap();
    let live = applied(Some(&live), &thing(NEW, json!({"y": 1})), "other", false).unwrap();
    let live = applied(Some(&live), &thing(NEW, json!({"x": 1})), "git", false).unwrap();
    assert_eq!(live.get("spec").unwrap().to_json(), r#"{"x":1,"y":1}"#);
    let entries = ManagedFields::of(&live).entries;
    assert!(entries.iter().all(|entry| entry.api_version == NEW), "an applier has one entry");
    assert_eq!(entries.len(), 2);
}

#[test]
fn a_field_that_another_version_names_otherwise_is_kept_for_its_owner() {
    let live = applied(None, &thing(OLD, json!({"size": 1, "x": 1})), "git", false).unwrap();
    let live = applied(Some(&live), &thing(NEW, json!({"replicas": 1})), "other", false).unwrap();
    let live = applied(Some(&live), &thing(OLD, json!({"x": 1})), "git", false).unwrap();
    assert_eq!(live.get("spec").unwrap().to_json(), r#"{"size":1,"x":1}"#);
}

#[test]
fn entries_of_a_version_that_is_gone_go_with_the_next_write() {
    let mut live = applied(None, &thing(NEW, json!({"x": 1})), "git", false).unwrap();
    let gone = json!({"manager": "old", "operation": "Update", "apiVersion": "example.com/v1alpha1",
        "fieldsType": "FieldsV1", "fieldsV1": {"f:spec": {"f:y": {}}}});
    let mut entries = live.list_at(&["metadata", "managedFields"]).to_vec();
    entries.push(value(gone));
    live.set_at(&["metadata", "managedFields"], Value::List(entries));
    let live = updated(&live, "kubectl", NEW, |object| object.set_at(&["spec", "z"], Value::Int(1)));
    let managers: Vec<_> =
        ManagedFields::of(&live).entries.iter().map(|entry| entry.manager.to_string()).collect();
    assert_eq!(managers, ["git", "kubectl"]);
}

#[test]
fn an_object_that_does_not_fit_the_version_of_an_entry_loses_all_entries() {
    // The old version takes any ports; the new one tells them apart by their numbers.
    let service = SchemaSet::builtin().lookup(&Gvk::new("", "v1", "Service")).unwrap();
    let show = |object: &Value, version: &str| {
        let mut shown = object.clone();
        shown.set_at(&["apiVersion"], version.into());
        Some((shown, if version == "v1" { service } else { TypeRef::untyped() }))
    };
    let object = |version: &str, ports: serde_json::Value| {
        value(
            json!({"apiVersion": version, "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": ports}}),
        )
    };
    let made = object("v1", json!([{"port": 80, "protocol": "TCP"}]));
    let live = apply(None, &made, &writer("git", "v1", 0), false, service).unwrap().object;
    let (mut live, _) = show(&live, "v0").unwrap();
    live.set_at(&["metadata", "uid"], "u".into());
    let twice = object("v0", json!([{"port": 80, "protocol": "TCP"}, {"port": 80, "protocol": "TCP"}]));
    let mut patched = live.clone();
    patched.set_at(&["spec"], twice.get("spec").unwrap().clone());
    let kind = Kind::versioned(TypeRef::untyped(), &show);
    let stored = update_versioned(Some(&live), &patched, &writer("kubectl", "v0", 1), kind);
    assert_eq!(stored.at(&["metadata", "managedFields"]), None);
    let refused = apply_versioned(Some(&live), &twice, &writer("other", "v0", 1), true, kind).unwrap_err();
    assert_eq!(refused.to_string(), r#".spec.ports: duplicate entries for key [port=80,protocol="TCP"]"#);
}

#[test]
fn one_entry_that_cannot_be_read_makes_an_apply_fail_and_an_update_forget() {
    let mut live = applied(None, &thing(NEW, json!({"x": 1})), "git", false).unwrap();
    live.set_at(&["metadata", "uid"], "u".into());
    let odd = json!({"manager": "odd", "operation": "Update", "apiVersion": NEW, "fieldsType": "FieldsV2"});
    let mut entries = live.list_at(&["metadata", "managedFields"]).to_vec();
    entries.push(value(odd));
    live.set_at(&["metadata", "managedFields"], Value::List(entries));
    let refused = applied(Some(&live), &thing(NEW, json!({"x": 2})), "git", true).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "failed to decode managed fields: invalid fieldsType \"FieldsV2\" in managed fields entry 1"
    );
    let live = updated(&live, "kubectl", NEW, |object| object.set_at(&["spec", "z"], Value::Int(1)));
    assert_eq!(live.at(&["metadata", "managedFields"]), None);
}

#[test]
fn a_stored_object_that_does_not_fit_its_type_loses_its_owners_when_written_and_takes_no_apply() {
    let ty = ty("v1", "ConfigMap");
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "uid": "u"}, "data": {"a": "1"}});
    let mut live = apply(None, &value(config.clone()), &writer("git", "v1", 0), false, ty).unwrap().object;
    live.set_at(&["data", "a"], Value::Int(1));
    let mut patched = live.clone();
    patched.set_at(&["data", "b"], "2".into());
    let updated = update(Some(&live), &patched, &writer("kubectl", "v1", 1), ty);
    assert_eq!(updated.at(&["metadata", "managedFields"]), None);
    let refused = apply(Some(&live), &value(config), &writer("git", "v1", 2), true, ty).unwrap_err();
    assert!(refused.to_string().starts_with("failed to create typed live object: .data.a: "), "{refused}");
}

#[test]
fn items_that_share_a_key_in_a_stored_object_are_owned_together() {
    let ty = ty("v1", "Service");
    let port = |number: i64, target: i64| json!({"port": number, "protocol": "TCP", "targetPort": target, "name": format!("p{target}")});
    let service = |ports: Vec<serde_json::Value>| {
        value(
            json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"ports": ports}}),
        )
    };
    let created =
        update(None, &service(vec![port(80, 1), port(80, 2), port(90, 3)]), &writer("make", "v1", 0), ty);
    let twice = r#"k:{\"port\":80,\"protocol\":\"TCP\"}":{}"#;
    assert!(fields_of(&created, "make").contains(twice), "{}", fields_of(&created, "make"));
    let refused = apply(None, &service(vec![port(80, 1), port(80, 2)]), &writer("git", "v1", 1), true, ty);
    assert!(matches!(refused, Err(ApplyError::Invalid(_))), "an applied object may not have them");
    // What is applied takes the place of all of them.
    let live =
        apply(Some(&created), &service(vec![port(80, 4)]), &writer("git", "v1", 1), true, ty).unwrap().object;
    let ports: Vec<_> =
        live.list_at(&["spec", "ports"]).iter().map(|port| port.int_at(&["targetPort"])).collect();
    assert_eq!(ports, [Some(4), Some(3)]);
}

#[test]
fn of_two_entries_of_one_second_that_at_a_subresource_is_buried_first() {
    let ty = TypeRef::untyped();
    let mut live = Value::Map(Map::new());
    live.set_at(&["apiVersion"], "v1".into());
    live.set_at(&["metadata", "uid"], "u".into());
    let entry = |manager: &str, subresource: &str, field: &str| {
        value(
            json!({"manager": manager, "operation": "Update", "apiVersion": "v1", "subresource": subresource,
            "fieldsType": "FieldsV1", "fieldsV1": {format!("f:{field}"): {}}}),
        )
    };
    let mut entries: Vec<Value> =
        vec![entry("0", "", "first"), entry("a", "", "main"), entry("a", "status", "status")];
    entries.extend((0..7).map(|index| entry(&format!("b{index}"), "", &format!("f{index}"))));
    live.set_at(&["metadata", "managedFields"], Value::List(entries));
    let fields: Vec<String> = ManagedFields::of(&live)
        .entries
        .iter()
        .flat_map(|entry| entry.fields.paths())
        .map(|path| path.to_string().trim_start_matches('.').to_owned())
        .collect();
    for field in &fields {
        live.set_at(&[field], Value::Int(0));
    }
    let mut after = live.clone();
    after.set_at(&["x"], Value::Int(1));
    let after = update(Some(&live), &after, &writer("z", "v1", 0), ty);
    assert_eq!(fields_of(&after, "ancient-changes"), r#"{"f:first":{},"f:status":{}}"#);
    assert_eq!(fields_of(&after, "a"), r#"{"f:main":{}}"#);
}
