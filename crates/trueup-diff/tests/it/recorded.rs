//! What a real API server left after applies and updates, compared with what was asked for.

#![expect(clippy::disallowed_methods, reason = "recorded writes are files")]

use std::fs;
use std::path::{Path, PathBuf};

use trueup_diff::{Channel, CompareInput, Finding, UnownedTable, compare, unowned_table};
use trueup_object::{FieldManager, ManagedFields, Value};

use super::cases::report;
use super::world::{KEY, type_of};

fn records(folder: &str) -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
        .into_iter()
        .map(|path| {
            let record = Value::from_json(&fs::read(&path).unwrap()).unwrap();
            (path, record)
        })
        .collect()
}

/// What is found without a base and without rules.
fn findings(target: &Value, live: &Value, manager: &str, unowned: Option<&UnownedTable>) -> Vec<Finding> {
    let (ty, schema_known) = type_of(target);
    let comparison = compare(&CompareInput {
        target,
        live,
        base: None,
        managed: &ManagedFields::of(live).into(),
        our_manager: &FieldManager::new(manager),
        ty,
        schema_known,
        ignore: &[],
        unowned,
        status: false,
        secrecy: (&KEY).into(),
    });
    comparison.findings
}

/// The findings of a channel as text.
fn found(target: &Value, live: &Value, manager: &str, channel: Option<Channel>) -> Vec<String> {
    let findings = findings(target, live, manager, None);
    let chosen = findings.iter().filter(|found| channel.is_none_or(|channel| found.channel == channel));
    chosen
        .map(|found| format!("{} {} {}", found.channel.as_str(), found.change.as_str(), found.path))
        .collect()
}

#[test]
fn what_a_server_has_just_applied_is_as_declared() {
    let mut applied_count = 0;
    for (path, record) in records("../trueup-merge/testdata/writes") {
        let succeeded = record.int_at(&["code"]).is_some_and(|code| code < 300);
        let whole = record.str_at(&["subresource"]) == Some("");
        let (Some(applied), Some(live)) = (record.get("applied"), record.get("want")) else { continue };
        if !succeeded || !whole {
            continue;
        }
        applied_count += 1;
        let manager = record.str_at(&["manager"]).unwrap();
        assert_eq!(found(applied, live, manager, Some(Channel::Declared)), Vec::<String>::new(), "{path:?}");
    }
    assert!(applied_count > 10, "only {applied_count} applies are recorded");
}

/// Objects of many kinds with every oddity that manifests have, as text, and what a server made of each: by a server-side
/// apply under our name, by a create and by a client-side apply.
#[test]
fn no_oddity_of_a_manifest_is_a_difference() {
    let records = include_str!("../../testdata/recorded.jsonl");
    let mut differences = Vec::new();
    for record in records.lines() {
        let record = Value::from_json(record.as_bytes()).unwrap();
        let name = record.str_at(&["name"]).unwrap();
        let target = Value::from_yaml(record.str_at(&["target"]).unwrap().as_bytes()).unwrap();
        for made in ["applied", "created", "csa"] {
            let Some(live) = record.get(made) else { continue };
            differences.extend(
                found(&target, live, FieldManager::TRUEUP, None)
                    .into_iter()
                    // The deployment controller's own: for whoever knows what controllers write to excuse.
                    .filter(|found| !found.contains("deployment.kubernetes.io/revision"))
                    .map(|found| format!("{name} {made}: {found}")),
            );
        }
    }
    assert_eq!(differences, Vec::<String>::new());
}

/// What a server fills in is known as such without any memory of the last sync: what nobody owns besides was changed without
/// a trace, as `kubectl scale` does it. Only of a Pod itself admission writes more, which nobody knows beforehand.
#[test]
fn nothing_that_a_server_fills_in_is_a_change_without_a_trace() {
    let unowned = |target: &Value, live: &Value| {
        let findings = findings(target, live, FieldManager::TRUEUP, Some(&UnownedTable::default()));
        let findings = findings.into_iter().filter(|it| it.channel == Channel::Unowned);
        findings.map(|finding| finding.path.to_string()).collect::<Vec<_>>()
    };
    for record in include_str!("../../testdata/recorded.jsonl").lines() {
        let record = Value::from_json(record.as_bytes()).unwrap();
        let target = Value::from_yaml(record.str_at(&["target"]).unwrap().as_bytes()).unwrap();
        for made in ["applied", "created", "csa"] {
            let Some(live) = record.get(made).filter(|_| target.str_at(&["kind"]) != Some("Pod")) else {
                continue;
            };
            assert_eq!(unowned(&target, live), Vec::<String>::new(), "{made}: {}", live.to_json());
        }
    }
    let mut without_a_trace = Vec::new();
    for record in include_str!("../../testdata/edits.jsonl").lines() {
        let record = Value::from_json(record.as_bytes()).unwrap();
        let target = Value::from_yaml(record.str_at(&["target"]).unwrap().as_bytes()).unwrap();
        assert_eq!(unowned(&target, record.get("synced").unwrap()), Vec::<String>::new());
        without_a_trace.extend(unowned(&target, record.get("live").unwrap()));
    }
    assert!(without_a_trace.iter().any(|path| path == ".spec.replicas"), "{without_a_trace:?}");
}

/// Everyday edits with `kubectl` of what we had applied, on a real server.
#[test]
fn everyday_edits_are_told_as_they_are() {
    let mut told = String::new();
    for record in include_str!("../../testdata/edits.jsonl").lines() {
        let record = Value::from_json(record.as_bytes()).unwrap();
        let target = Value::from_yaml(record.str_at(&["target"]).unwrap().as_bytes()).unwrap();
        let (synced, live) = (record.get("synced").unwrap(), record.get("live").unwrap());
        let (ty, schema_known) = type_of(&target);
        let unowned = unowned_table(synced, &target, &ManagedFields::of(synced).into(), ty, &KEY, &[]);
        let look = |live: &Value| {
            let mut comparison = compare(&CompareInput {
                target: &target,
                live,
                base: Some(&target),
                managed: &ManagedFields::of(live).into(),
                our_manager: &FieldManager::new(FieldManager::TRUEUP),
                ty,
                schema_known,
                ignore: &[],
                unowned: Some(&unowned),
                status: false,
                secrecy: (&KEY).into(),
            });
            let revision =
                |found: &Finding| found.path.to_string().contains("deployment.kubernetes.io/revision");
            comparison.findings.retain(|found| !revision(found));
            comparison
        };
        let title = record.str_at(&["title"]).unwrap();
        assert_eq!(look(synced).findings, vec![], "{title}, before the edit");
        told.push_str(&format!("== {title}\n{}", report(&look(live))));
    }
    let wanted = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/edits.want");
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&wanted, &told).unwrap();
    }
    assert_eq!(told, fs::read_to_string(&wanted).unwrap());
}
