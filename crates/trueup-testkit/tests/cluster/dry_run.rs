//! Holds the round trip that facts are learnt from to what the API server really creates.
//!
//! `samples.jsonl` has a full object of each common kind, with declared zero values of both sorts. A server-side dry run of each may
//! differ from its round trip only in the paths listed here: what admission, allocators and the registry's strategies write.

use std::{collections::BTreeSet, process::Command};

use serde_json::Value;

use crate::world::{plane, with_stdin};

const SAMPLES: &str = include_str!("samples.jsonl");

/// Kind, and the paths below which a created object has more than its round trip.
const BEYOND_DEFAULTING: [(&str, &[&str]); 6] = [
    (
        "Service",
        &[
            "spec.clusterIP",
            "spec.clusterIPs",
            "spec.ipFamilies",
            "spec.ipFamilyPolicy",
            "spec.ports[0].nodePort",
        ],
    ),
    (
        "Pod",
        &[
            "spec.containers[0].volumeMounts",
            "spec.preemptionPolicy",
            "spec.priority",
            "spec.serviceAccount",
            "spec.serviceAccountName",
            "spec.tolerations",
            "spec.volumes",
        ],
    ),
    ("Namespace", &["spec.finalizers"]),
    ("PersistentVolumeClaim", &["metadata.finalizers"]),
    ("DaemonSet", &["metadata.annotations.deprecated.daemonset.template.generation"]),
    ("Job", &["metadata.labels", "spec.selector", "spec.template.metadata.labels"]),
];

/// Written for every object, and status by controllers.
const BOOKKEEPING: [&str; 6] = [
    "metadata.uid",
    "metadata.resourceVersion",
    "metadata.generation",
    "metadata.creationTimestamp",
    "metadata.managedFields",
    "status",
];

#[test]
fn a_created_object_is_its_round_trip_and_what_admission_adds() {
    let mut round_trip = Command::new(&plane().programs().controlplane);
    let answers = with_stdin(round_trip.arg("roundtrip"), SAMPLES);
    let mut n_samples = 0;
    for (sample, answer) in SAMPLES.lines().zip(answers.lines()) {
        let mut create = plane().kubectl();
        create.args(["create", "--dry-run=server", "--validate=ignore", "-o", "json", "-f", "-"]);
        let created: Value = serde_json::from_str(&with_stdin(&mut create, sample)).unwrap();
        let predicted: Value = serde_json::from_str(answer).unwrap();
        let kind = created["kind"].as_str().unwrap();
        let known = BEYOND_DEFAULTING
            .iter()
            .find(|(known, _)| *known == kind)
            .map_or(&[] as &[&str], |(_, paths)| paths);
        let mut differing = BTreeSet::new();
        compare("", &predicted, &created, &mut differing);
        differing.retain(|path| !known.contains(&path.as_str()));
        assert!(differing.is_empty(), "{sample}\nis created with differences at {differing:?}");
        n_samples += 1;
    }
    assert_eq!(n_samples, SAMPLES.lines().count());
}

/// Collects the paths at which two values differ, each at the highest place that one of them lacks.
fn compare(path: &str, predicted: &Value, created: &Value, differing: &mut BTreeSet<String>) {
    if BOOKKEEPING.contains(&path) {
        return;
    }
    match (predicted, created) {
        (Value::Object(left), Value::Object(right)) => {
            let names: BTreeSet<&String> = left.keys().chain(right.keys()).collect();
            for name in names {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                compare(&inner, &predicted[name], &created[name], differing);
            }
        }
        (Value::Array(left), Value::Array(right)) if left.len() == right.len() => {
            for (index, (left, right)) in left.iter().zip(right).enumerate() {
                compare(&format!("{path}[{index}]"), left, right, differing);
            }
        }
        _ if predicted != created => {
            differing.insert(path.to_owned());
        }
        _ => {}
    }
}
