//! Findings of the engine in the words that outsiders read.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use trueup_engine::app::{AppKey, Initiator, ResourceSelector, Retry};
use trueup_engine::difference::{Attribution, Change, Channel, Class, Confidence, DifferenceId, Origin};
use trueup_engine::look::ObjectProblem;
use trueup_engine::operation::OperationPhase;
use trueup_engine::source::Revision;
use trueup_engine::status::{AppOrigin, HealthStatus, SyncStatus};
use trueup_object::{FieldPath, GroupKind, ResourceKey};

use super::*;

fn key() -> ResourceKey {
    ResourceKey::new("apps", "Deployment", "web", "front")
}

fn found(path: Option<FieldPath>) -> engine::Difference {
    let app = AppKey::new("argocd", "web");
    engine::Difference {
        id: DifferenceId::new(&app, &key(), Channel::Declared, path.as_ref()),
        key: key(),
        gvk: Gvk::new("apps", "v1", "Deployment"),
        channel: if path.is_some() { Channel::Declared } else { Channel::Existence },
        pointer: path.as_ref().map(|_| "/spec/replicas".to_owned()),
        change: if path.is_some() { Change::Changed } else { Change::Missing },
        path,
        origin: Origin::Cluster,
        target: None,
        live: None,
        base: None,
        predicted: None,
        unconfirmed: None,
        attribution: Attribution {
            class: Class::Manual,
            confidence: Confidence::Strong,
            manager: Some("kubectl-edit".into()),
            operation: Some(ManagedOperation::Update),
            subresource: None,
            time: Timestamp::from_second(0).ok(),
        },
        first_seen: Timestamp::from_second(60).ok(),
        inherited: false,
        sensitive: false,
        ignored_by: None,
        message: None,
    }
}

fn comparison() -> Comparison {
    Comparison {
        status: SyncStatus::OutOfSync,
        origin: AppOrigin::Cluster,
        health: Health::new(HealthStatus::Progressing, "Caused by Deployment.apps:web/front"),
        objects: vec![
            ObjectComparison {
                health: ObjectHealth::Judged(Health::new(HealthStatus::Progressing, "waiting")),
                differences: vec![found(Some(FieldPath::fields(&["spec", "replicas"])))],
                notes: vec![found(None)],
                ..ObjectComparison::blank(
                    &key(),
                    &Gvk::new("apps", "v1", "Deployment"),
                    Presence::Matched,
                    SyncStatus::OutOfSync,
                )
            },
            ObjectComparison {
                problem: Some(ObjectProblem { message: "forbidden".into(), remedy: "grant list".into() }),
                ..ObjectComparison::blank(
                    &ResourceKey::new("", "ConfigMap", "web", "old"),
                    &Gvk::new("", "v1", "ConfigMap"),
                    Presence::Extraneous,
                    SyncStatus::OutOfSync,
                )
            },
        ],
        conditions: Vec::new(),
        rules: Vec::new(),
    }
}

#[test]
fn a_difference_is_told_in_the_words_of_the_contract() {
    let value = Difference::from(&found(Some(FieldPath::fields(&["spec", "replicas"])))).to_value();
    let expected = r#"{"base":null,"change":"changed","channel":"declared","class":"manual","confidence":"strong","firstSeen":"1970-01-01T00:01:00Z","id":"ID","ignoredBy":null,"inherited":false,"live":null,"manager":"kubectl-edit","message":null,"operation":"Update","origin":"cluster","path":".spec.replicas","pointer":"/spec/replicas","predicted":null,"subresource":null,"target":null,"time":"1970-01-01T00:00:00Z","unconfirmed":null,"user":null,"verdict":null}"#;
    let id = value.str_at(&["id"]).unwrap();
    assert_eq!(value.to_json().replace(id, "ID"), expected);
    let existence = Difference::from(&found(None)).to_value();
    assert_eq!(existence.get("path"), Some(&Value::Null));
    assert_eq!(existence.str_at(&["change"]), Some("missing"));
}

#[test]
fn a_look_becomes_a_status() {
    let mut status = ApplicationStatus::default();
    status.set_comparison(&comparison(), ComparedTo::default(), vec!["abc".into()]);
    status.carry_over(&ApplicationStatus::default(), Timestamp::from_second(0).unwrap());
    let value = status.to_value();
    assert_eq!(value.at(&["sync"]).unwrap().to_json(), r#"{"revision":"abc","status":"OutOfSync"}"#);
    assert_eq!(
        value.at(&["resources"]).unwrap().to_json(),
        r#"[{"kind":"ConfigMap","name":"old","namespace":"web","requiresPruning":true,"status":"OutOfSync","version":"v1"},{"group":"apps","health":{"message":"waiting","status":"Progressing"},"kind":"Deployment","name":"front","namespace":"web","status":"OutOfSync","version":"v1"}]"#
    );
    assert_eq!(value.str_at(&["health", "message"]), Some("Caused by Deployment.apps:web/front"));
}

fn an_app() -> App {
    let object = Value::from_yaml(
        b"metadata: {namespace: argocd, name: web, uid: u1}\nspec: {source: {repoURL: 'https://example.com/r', path: x}, destination: {name: in-cluster}}",
    )
    .unwrap();
    crate::read_app(object, "argocd").unwrap().1
}

#[test]
fn a_look_becomes_a_report() {
    let report =
        DriftReport::new(&an_app(), &comparison(), vec!["abc".into()], Timestamp::from_second(0).unwrap());
    assert_eq!(
        (report.name.as_str(), report.application_uid.as_str(), report.origin.as_str()),
        ("web", "u1", "cluster")
    );
    assert_eq!((report.differences.len(), report.notes.len()), (1, 1));
    assert_eq!(report.problems[0].message, "forbidden: grant list");
    let value = report.to_value();
    assert_eq!(
        value.at(&["status", "counts"]).unwrap().to_json(),
        r#"{"drifts":1,"idleRules":0,"notes":1,"pending":0,"problems":1,"rules":0}"#
    );
}

#[test]
fn what_no_schema_describes_is_told_beside_what_is_unknown() {
    let mut comparison = comparison();
    comparison.objects[0].structural = true;
    let report = DriftReport::new(&an_app(), &comparison, Vec::new(), Timestamp::from_second(0).unwrap());
    let [structural, unknown] = report.problems.as_slice() else { panic!("{:?}", report.problems) };
    assert_eq!(structural.status, "OutOfSync", "a mark is no verdict");
    assert!(structural.message.contains("is compared by structure alone"), "{}", structural.message);
    assert!(structural.message.contains("OpenAPI"), "what to do is told: {}", structural.message);
    assert_eq!(unknown.message, "forbidden: grant list");
}

#[test]
fn an_operation_is_told() {
    let request = SyncRequest { prune: true, ..SyncRequest::default() };
    let mut state = running::OperationState::begin(request, Timestamp::from_second(0).unwrap());
    state.revisions = vec!["abc".into()];
    let gvk = Gvk::new("apps", "v1", "Deployment");
    let result = |outcome| StepResult { key: key(), gvk: gvk.clone(), outcome };
    state.results = vec![
        result(StepOutcome::Done(Effect::Changed)),
        result(StepOutcome::Refused { message: "denied".into() }),
    ];
    state.held = vec![
        Held {
            key: ResourceKey::new("", "ConfigMap", "web", "old"),
            path: None,
            reason: HeldReason::PruneOff,
        },
        Held { key: key(), path: None, reason: HeldReason::ClusterMoved },
    ];
    state.finish(OperationPhase::Failed, "one object failed".into(), Timestamp::from_second(5).unwrap());
    let wire = OperationState::new(&state, &Value::Null, &ComparedTo::default());
    let status = ApplicationStatus { operation_state: Some(wire), ..ApplicationStatus::default() };
    let value = status.to_value();
    let told = value.get("operationState").unwrap();
    assert_eq!(told.at(&["operation"]).unwrap().to_json(), r#"{"sync":{"prune":true}}"#);
    assert_eq!(
        (told.str_at(&["phase"]), told.str_at(&["finishedAt"])),
        (Some("Failed"), Some("1970-01-01T00:00:05Z"))
    );
    let results: Vec<_> = told
        .list_at(&["syncResult", "resources"])
        .iter()
        .map(|result| (result.str_at(&["status"]).unwrap(), result.str_at(&["message"]).unwrap()))
        .collect();
    assert_eq!(
        results,
        [
            ("Synced", "configured"),
            ("SyncFailed", "denied"),
            ("PruneSkipped", "requires pruning; sync with --prune")
        ]
    );
    assert_eq!(ApplicationStatus::of(&value), status);
}

#[test]
fn a_request_reads_back_as_it_was_written() {
    let requests = [
        SyncRequest::default(),
        SyncRequest {
            revision: Some(Revision::Named("v1".into())),
            prune: true,
            dry_run: true,
            resources: vec![ResourceSelector {
                kind: GroupKind::new("", "Service"),
                namespace: "web".into(),
                name: "front".into(),
            }],
            initiated_by: Initiator { username: "alice".into(), automated: true },
            drift: DriftChoice::Keep,
            remove_additions: true,
            retry: Some(Retry { limit: None, ..Retry::AUTOMATED }),
            info: BTreeMap::from([("reason".into(), "why".into())]),
        },
    ];
    for request in requests {
        let mut object = Value::from_yaml(
            b"metadata: {namespace: argocd, name: web}\nspec: {source: {repoURL: 'https://example.com/r', path: x}, destination: {name: in-cluster}}",
        )
        .unwrap();
        object.set_at(&["operation"], operation_value(&request));
        let (_, app) = crate::read_app(object, "argocd").unwrap();
        assert_eq!(app.operation, Some(request));
        assert!(!app.is_read_only(), "{:?}", app.unsupported);
    }
}
