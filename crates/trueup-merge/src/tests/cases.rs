//! Runs the recorded cases in `testdata/`: what a real API server (1.36.3) had, was sent and answered, one write each.
//!
//! A case file is JSON with `op` (`apply`, `update`, `scale`), the writer (`manager`, `apiVersion`, `subresource`), `date`
//! (seconds, from the response), `live` (null: the write created the object), `applied` and `force` (of an apply) or
//! `replicas` (of a scale), `code`, and `want`: the stored object, or the status of a refusal.
#![expect(clippy::disallowed_methods, reason = "the recorded cases are files")]

use std::fs;
use std::path::{Path, PathBuf};

use trueup_object::{FieldPath, FieldSet, Gvk, ManagedFields, Timestamp, Value};

use crate::{
    ApplyError, SchemaSet, TypeRef, Writer, apply, compare, conflict_message, keep_times, scaled, update,
};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata")
}

fn read(path: &Path) -> Value {
    Value::from_json(&fs::read(path).unwrap()).unwrap()
}

pub(super) fn schemas() -> SchemaSet {
    let mut set = SchemaSet::new();
    for crd in ["widgets.crd.json", "gadgets.crd.json"] {
        assert_eq!(set.add_crd(&read(&testdata().join(crd))), Vec::<String>::new());
    }
    set
}

/// What a write through this endpoint cannot change.
fn reset(case: &Value, want: &Value) -> FieldSet {
    let top = |names: &[&str]| names.iter().map(|name| FieldPath::fields(&[name])).collect();
    match case.str_at(&["subresource"]).unwrap() {
        "status" if case.str_at(&["apiVersion"]) == Some("example.com/v1") => {
            let names: Vec<&str> = want.as_map().unwrap().keys().filter(|name| *name != "status").collect();
            top(&names)
        }
        "status" => {
            [FieldPath::fields(&["spec"]), FieldPath::fields(&["metadata", "labels"])].into_iter().collect()
        }
        _ => top(&["status"]),
    }
}

/// The second of the write: the response's date, unless the entry says that it was the one before.
fn second(case: &Value, want: &Value) -> Timestamp {
    let date = case.int_at(&["date"]).unwrap();
    let times = ManagedFields::of(want).entries.into_iter().filter_map(|entry| entry.time);
    times
        .filter(|time| (date - 1..=date).contains(&time.as_second()))
        .max()
        .unwrap_or_else(|| Timestamp::from_second(date).unwrap())
}

fn sorted_lines(text: &str) -> Vec<&str> {
    let mut lines: Vec<&str> = text.split('\n').collect();
    lines.sort_unstable();
    lines
}

/// The managed fields that the server stored, against those predicted.
fn check_owners(live: Option<&Value>, predicted: &Value, want: &Value) -> Result<(), String> {
    let mut stored = want.clone();
    stored.remove_at(&["metadata", "managedFields"]);
    if let Some(fields) = predicted.at(&["metadata", "managedFields"]) {
        stored.set_at(&["metadata", "managedFields"], fields.clone());
    }
    if let Some(live) = live {
        stored = keep_times(live, stored);
    }
    let (left, right) = (stored.at(&["metadata", "managedFields"]), want.at(&["metadata", "managedFields"]));
    if left == right {
        return Ok(());
    }
    let show = |fields: Option<&Value>| fields.map(Value::to_json_pretty).unwrap_or_default();
    Err(similar_lines(&show(left), &show(right)))
}

fn similar_lines(predicted: &str, want: &str) -> String {
    let only = |one: &str, other: &str, sign: &str| -> String {
        let other: Vec<&str> = other.lines().collect();
        one.lines().filter(|line| !other.contains(line)).map(|line| format!("{sign}{line}\n")).collect()
    };
    format!("{}{}", only(predicted, want, "predicted "), only(want, predicted, "server    "))
}

fn check_apply(case: &Value, writer: &Writer, ty: TypeRef<'_>) -> Result<(), String> {
    let live = case.get("live").filter(|live| !live.is_null());
    let (applied, want) = (case.get("applied").unwrap(), case.get("want").unwrap());
    let force = case.get("force").and_then(Value::as_bool).unwrap();
    let refused = case.int_at(&["code"]).unwrap() >= 400;
    match apply(live, applied, writer, force, ty) {
        Err(error) if refused => {
            let message = match &error {
                ApplyError::Conflicts(conflicts) => conflict_message(conflicts),
                ApplyError::Invalid(_)
                | ApplyError::LiveInvalid(_)
                | ApplyError::Inconvertible(_)
                | ApplyError::Undecodable(_)
                | ApplyError::ManagedFieldsGiven => error.to_string(),
            };
            // The server also names the object.
            let theirs = want.str_at(&["message"]).unwrap();
            let theirs = match (theirs.split_once(" ("), theirs.split_once("): ")) {
                (Some((before, _)), Some((_, after))) if theirs.starts_with("failed") => {
                    &format!("{before}: {after}")
                }
                _ => theirs,
            };
            if sorted_lines(&message) == sorted_lines(theirs) {
                return Ok(());
            }
            Err(format!("predicted: {message}\nserver:    {theirs}"))
        }
        Err(error) => Err(format!("predicted: {error}, but the server applied it")),
        Ok(_) if refused => {
            Err(format!("the server refused: {}", want.str_at(&["message"]).unwrap_or_default()))
        }
        Ok(result) => {
            check_owners(live, &result.object, want)?;
            check_object(&result.object, want, ty)
        }
    }
}

/// Everything that is predicted is stored, in one spelling or another, and everything that was there is kept or gone as
/// predicted; what else the server stores are its defaults.
fn check_object(predicted: &Value, want: &Value, ty: TypeRef<'_>) -> Result<(), String> {
    let changes = compare(predicted, want, ty);
    let lost: Vec<String> = changes
        .removed
        .leaves()
        .paths()
        .into_iter()
        // Only written: the server moves it into `data`.
        .filter(|path| !path.starts_with_fields(&["stringData"]))
        .filter(|path| !crate::get(predicted, path).is_none_or(is_zero))
        .map(|path| path.to_string())
        .collect();
    if lost.is_empty() { Ok(()) } else { Err(format!("predicted but not stored: {}", lost.join(", "))) }
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) | Value::Int(0) => true,
        Value::Str(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.iter().all(|(_, value)| is_zero(value)),
        Value::Bool(true) | Value::Int(_) | Value::Float(_) => false,
    }
}

fn check_scale(case: &Value, writer: &Writer) -> Result<(), String> {
    let (live, want) = (case.get("live").unwrap(), case.get("want").unwrap());
    let replicas = case.int_at(&["replicas"]).unwrap();
    let predicted = scaled(live, replicas, &FieldPath::fields(&["spec", "replicas"]), writer);
    assert_eq!(predicted.int_at(&["spec", "replicas"]), want.int_at(&["spec", "replicas"]));
    check_owners(Some(live), &predicted, want)
}

fn check(case: &Value, schemas: &SchemaSet) -> Result<(), String> {
    let want = case.get("want").unwrap();
    let manager = case.str_at(&["manager"]).unwrap();
    let api_version = case.str_at(&["apiVersion"]).unwrap();
    let object = case.get("applied").or(case.get("want")).unwrap();
    let gvk = Gvk::from_api_version(api_version, object.str_at(&["kind"]).unwrap());
    let ty = schemas.over(SchemaSet::builtin()).lookup(&gvk).unwrap();
    let writer = Writer::new(manager, api_version, Some(second(case, want)))
        .at(case.str_at(&["subresource"]).unwrap())
        .resetting(reset(case, want));
    match case.str_at(&["op"]).unwrap() {
        "apply" => check_apply(case, &writer, ty),
        "scale" => check_scale(case, &writer),
        _ => {
            let live = case.get("live").filter(|live| !live.is_null());
            let mut new = want.clone();
            new.remove_at(&["metadata", "managedFields"]);
            if let Some(given) = case.get("given") {
                new.set_at(&["metadata", "managedFields"], given.clone());
            }
            without_allocated(&mut new, live);
            check_owners(live, &update(live, &new, &writer, ty), want)
        }
    }
}

/// Takes from a Service what the server allocated with this write: that happens after the managed fields are worked out,
/// so nobody owns it.
fn without_allocated(new: &mut Value, live: Option<&Value>) {
    if new.str_at(&["kind"]) != Some("Service") {
        return;
    }
    for name in ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"] {
        if live.is_none_or(|live| live.at(&["spec", name]).is_none()) {
            new.remove_at(&["spec", name]);
        }
    }
    let ports = new.at(&["spec", "ports"]).and_then(Value::as_list).unwrap_or_default().to_vec();
    let had_ports: Vec<&Value> = live
        .map(|live| live.list_at(&["spec", "ports"]))
        .unwrap_or_default()
        .iter()
        .filter_map(|port| port.get("nodePort"))
        .collect();
    let ports: Vec<Value> = ports
        .into_iter()
        .map(|mut port| {
            if port.get("nodePort").is_some_and(|number| !had_ports.contains(&number)) {
                port.remove_at(&["nodePort"]);
            }
            port
        })
        .collect();
    new.set_at(&["spec", "ports"], Value::List(ports));
}

#[test]
fn every_recorded_write_is_predicted() {
    let schemas = schemas();
    let mut files: Vec<PathBuf> =
        fs::read_dir(testdata().join("writes")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut failures = Vec::new();
    for file in &files {
        if let Err(reason) = check(&read(file), &schemas) {
            failures.push(format!("{}:\n{reason}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{} of {} failed\n{}", failures.len(), files.len(), failures.join("\n"));
    assert!(files.len() >= 12, "only {} cases", files.len());
}
