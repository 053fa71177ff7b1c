//! The status in Argo CD's shape, there and back.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

const FULL: &str = r#"
sync:
  status: OutOfSync
  comparedTo:
    destination: {namespace: web, server: https://kubernetes.default.svc}
    source: {path: apps/web, repoURL: https://example.com/repo.git, targetRevision: main}
    ignoreDifferences: [{group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}]
  revision: 0123456789abcdef0123456789abcdef01234567
health: {status: Degraded, message: "Caused by Deployment.apps:web/web", lastTransitionTime: "2024-01-01T00:00:00Z"}
resources:
- {group: apps, version: v1, kind: Deployment, namespace: web, name: web, status: OutOfSync, health: {status: Degraded, message: slow}}
- {version: v1, kind: Service, namespace: web, name: web, status: Synced, requiresPruning: true}
conditions:
- {type: SyncError, message: it failed, lastTransitionTime: "2024-01-01T00:00:00Z"}
operationState:
  operation: {sync: {prune: true}}
  phase: Failed
  message: one object failed
  startedAt: "2024-01-01T00:00:00Z"
  finishedAt: "2024-01-01T00:00:05Z"
  retryCount: 2
  syncResult:
    revision: 0123456789abcdef0123456789abcdef01234567
    source: {path: apps/web, repoURL: https://example.com/repo.git}
    resources:
    - {group: apps, version: v1, kind: Deployment, namespace: web, name: web, status: SyncFailed, message: refused, hookPhase: Failed, syncPhase: Sync}
history:
- {id: 3, revision: 0123456789abcdef0123456789abcdef01234567, deployedAt: "2024-01-01T00:00:05Z", deployStartedAt: "2024-01-01T00:00:00Z",
   source: {path: apps/web, repoURL: https://example.com/repo.git}, initiatedBy: {username: alice}}
reconciledAt: "2024-01-01T00:00:00Z"
sourceType: Directory
summary: {images: ["example.com/web:1"]}
controllerNamespace: argocd
"#;

fn full() -> Value {
    Value::from_yaml(FULL.as_bytes()).unwrap()
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_704_067_200 + seconds).unwrap()
}

#[test]
fn what_is_read_is_written_again() {
    let status = ApplicationStatus::of(&full());
    assert_eq!(status.to_value().to_json_pretty(), full().to_json_pretty());
    assert_eq!(status.sync.status, Some(SyncStatus::OutOfSync));
    assert_eq!(status.history[0].id, 3);
}

#[test]
fn several_sources_have_lists() {
    let mut status = ApplicationStatus::of(&full());
    let sources = Value::from_json(br#"[{"repoURL":"a","path":"x"},{"repoURL":"b","path":"y"}]"#).unwrap();
    status.sync.compared_to.source = Value::Null;
    status.sync.compared_to.sources = sources.clone();
    status.sync.revisions = vec!["1".into(), "2".into()];
    status.source_types = vec!["Directory".into(), "Directory".into()];
    status.history[0] = HistoryEntry {
        source: Value::Null,
        sources,
        revisions: vec!["1".into(), "2".into()],
        ..status.history[0].clone()
    };
    let value = status.to_value();
    assert_eq!(value.at(&["sync", "revisions"]).unwrap().to_json(), r#"["1","2"]"#);
    assert_eq!(value.at(&["sync", "revision"]), None);
    assert_eq!(value.at(&["sourceTypes"]).unwrap().to_json(), r#"["Directory","Directory"]"#);
    assert_eq!(value.at(&["sourceType"]), None);
    assert_eq!(ApplicationStatus::of(&value), status);
}

#[test]
fn an_empty_status_says_little() {
    assert_eq!(ApplicationStatus::default().to_value().to_json(), r#"{"summary":{}}"#);
    assert_eq!(ApplicationStatus::of(&Value::Null), ApplicationStatus::default());
}

#[test]
fn times_move_only_with_what_they_are_about() {
    let previous = ApplicationStatus::of(&full());
    let mut next = previous.clone();
    next.set_conditions(&[
        Condition::new(ConditionType::SyncError, "it failed"),
        Condition::new(ConditionType::ComparisonError, "new"),
    ]);
    next.carry_over(&previous, at(60));
    let conditions: Vec<_> =
        next.conditions.iter().map(|found| (found.kind.as_str(), found.last_transition)).collect();
    assert_eq!(conditions, [("ComparisonError", Some(at(60))), ("SyncError", Some(at(0)))]);
    assert_eq!(next.health.last_transition, Some(at(0)));
    next.health.status = "Healthy".into();
    next.carry_over(&previous, at(60));
    assert_eq!(next.health.last_transition, Some(at(60)));
}

#[test]
fn resources_are_in_order() {
    let mut status = ApplicationStatus::of(&full());
    status.carry_over(&ApplicationStatus::default(), at(0));
    let kinds: Vec<_> = status.resources.iter().map(|resource| resource.gvk.kind.as_str()).collect();
    assert_eq!(kinds, ["Service", "Deployment"], "the core group comes first");
}

#[test]
fn history_counts_on_and_is_bounded() {
    let mut status = ApplicationStatus::of(&full());
    let entry = status.history[0].clone();
    for _ in 0..4 {
        status.push_history(entry.clone(), 3);
    }
    assert_eq!(status.history.iter().map(|entry| entry.id).collect::<Vec<_>>(), [5, 6, 7]);
    status.push_history(entry, 0);
    assert!(status.history.is_empty());
}

#[test]
fn a_patch_holds_what_changes() {
    let cases = [
        (r#"{"a":1}"#, r#"{"a":1}"#, None),
        (r#"{"a":{"b":1,"c":2}}"#, r#"{"a":{"b":1}}"#, Some(r#"{"a":{"c":null}}"#)),
        (r#"{"a":[1,2]}"#, r#"{"a":[1]}"#, Some(r#"{"a":[1]}"#)),
        (r#"null"#, r#"{"a":1}"#, Some(r#"{"a":1}"#)),
        (r#"{"a":{"b":1}}"#, r#"{"a":{"b":1,"d":{}}}"#, Some(r#"{"a":{"d":{}}}"#)),
    ];
    for (from, to, expected) in cases {
        let read = |text: &str| Value::from_json(text.as_bytes()).unwrap();
        let patch = merge_patch(&read(from), &read(to)).map(|patch| patch.to_json());
        assert_eq!(patch.as_deref(), expected, "{from} to {to}");
    }
}

#[test]
fn images_come_from_pods_and_templates() {
    let object = Value::from_yaml(
        b"spec: {template: {spec: {initContainers: [{image: a}], containers: [{image: b}, {name: none}]}}}",
    )
    .unwrap();
    assert_eq!(images(&object), ["a", "b"]);
    let cron = b"spec: {jobTemplate: {spec: {template: {spec: {containers: [{image: c}]}}}}}";
    assert_eq!(images(&Value::from_yaml(cron).unwrap()), ["c"]);
    assert!(images(&Value::Null).is_empty());
}
