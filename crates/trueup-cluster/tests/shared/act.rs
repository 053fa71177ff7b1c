//! Changes and their outcomes, as a real API server answers them.

use trueup_cluster::act::{
    self, Change, Deleted, Effect, EventKind, Executed, Hand, Involved, OlderEntries, Part, Place, Refusal,
    ReportedEvent,
};
use trueup_engine::app::Propagation;
use trueup_engine::live::Live;
use trueup_engine::plan::{Action, Held, HeldReason, Precondition, Removal, Step};
use trueup_object::{FieldPath, Gvk, KeyFields, ManagedFields, PathElement, ResourceKey, Timestamp, Value};

use super::{Bench, config_map, value};
use crate::World;

async fn bench(namespace: &'static str, gvk: Gvk) -> (World, Bench) {
    let world = crate::world().await;
    let wire = world.connection().await.wire;
    (world, Bench::new(wire, namespace, gvk).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_makes_an_apply_entry_and_tells_who_was_quicker() {
    let (_world, bench) = bench("create", config_map()).await;
    let place = bench.place("a");
    let object = bench.config_map("a", r#"{"x":"1"}"#);
    let dry = act::create(&bench.wire, place, &object, &Hand::dry_run()).await.unwrap();
    assert_eq!(dry.effect, Effect::Created);
    assert_eq!(act::read(&bench.wire, place).await.unwrap(), None);

    let made = act::create(&bench.wire, place, &object, &Hand::real()).await.unwrap();
    assert_eq!(made.effect, Effect::Created);
    let managed = ManagedFields::of(&made.object);
    assert_eq!(managed.entries.len(), 1);
    assert_eq!(managed.entries.first().unwrap().operation.as_str(), "Apply");

    let again = act::create(&bench.wire, place, &object, &Hand::real()).await.unwrap();
    assert_eq!((again.effect, &again.version), (Effect::Joined, &made.version));

    bench.create_as("kubectl-create", &bench.config_map("theirs", r#"{"x":"2"}"#)).await;
    let theirs = bench.config_map("theirs", r#"{"x":"1"}"#);
    let refusal = act::create(&bench.wire, bench.place("theirs"), &theirs, &Hand::real()).await.unwrap_err();
    let Refusal::Conflict { conflicts, .. } = refusal else { panic!("{refusal:?}") };
    assert_eq!(conflicts.first().unwrap().field, ".data.x");
    assert_eq!(conflicts.first().unwrap().manager, "kubectl-create");

    let nowhere = Place { namespace: "no-such-namespace", ..place };
    let mut object = object;
    object.set_at(&["metadata", "namespace"], "no-such-namespace".into());
    let refusal = act::create(&bench.wire, nowhere, &object, &Hand::real()).await.unwrap_err();
    assert!(matches!(refusal, Refusal::NotFound { .. }), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_apply_is_pinned_to_what_was_observed() {
    let (_world, bench) = bench("apply", config_map()).await;
    let place = bench.place("a");
    let hand = Hand::real();
    act::create(&bench.wire, place, &bench.config_map("a", r#"{"x":"1"}"#), &hand).await.unwrap();
    let observed = bench.live("a").await.version;
    let target = bench.config_map("a", r#"{"x":"2"}"#);
    let dry = act::apply(&bench.wire, place, &target, &observed, &Hand::dry_run()).await.unwrap();
    assert_eq!(dry.object.str_at(&["data", "x"]), Some("2"));
    let changed = act::apply(&bench.wire, place, &target, &observed, &hand).await.unwrap();
    assert_eq!(changed.effect, Effect::Changed);
    let same = act::apply(&bench.wire, place, &target, &changed.version, &hand).await.unwrap();
    assert_eq!(same.effect, Effect::Unchanged);

    let refusal = act::apply(&bench.wire, place, &target, &observed, &hand).await.unwrap_err();
    assert!(matches!(refusal, Refusal::PreconditionFailed { .. }), "an older version: {refusal:?}");

    bench.delete("a").await;
    let refusal = act::apply(&bench.wire, place, &target, &changed.version, &hand).await.unwrap_err();
    assert!(matches!(refusal, Refusal::PreconditionFailed { .. }), "a deleted object: {refusal:?}");
    assert_eq!(act::read(&bench.wire, place).await.unwrap(), None, "it was not made anew");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_ours_alone_is_written_whatever_it_is() {
    let (_world, bench) = bench("own", config_map()).await;
    let place = bench.place("a");
    let hand = Hand::real();
    let first = bench.config_map("a", r#"{"x":"1","y":"1"}"#);
    assert_eq!(act::apply_own(&bench.wire, place, &first, &hand).await.unwrap().effect, Effect::Created);
    bench.patch_as("somebody", "a", r#"{"data":{"x":"9"}}"#).await;
    let second =
        act::apply_own(&bench.wire, place, &bench.config_map("a", r#"{"x":"2"}"#), &hand).await.unwrap();
    assert_eq!(second.object.get("data").unwrap().to_json(), r#"{"x":"2"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_names_who_holds_a_field() {
    let (_world, bench) = bench("probe", config_map()).await;
    let place = bench.place("a");
    act::create(&bench.wire, place, &bench.config_map("a", r#"{"x":"1"}"#), &Hand::real()).await.unwrap();
    bench.patch_as("kubectl-patch", "a", r#"{"data":{"x":"9"}}"#).await;
    let observed = bench.live("a").await.version;
    let refusal =
        act::probe(&bench.wire, place, &bench.config_map("a", r#"{"x":"1"}"#), &observed).await.unwrap_err();
    let Refusal::Conflict { conflicts, .. } = refusal else { panic!("{refusal:?}") };
    assert_eq!(conflicts.first().unwrap().manager, "kubectl-patch");
}

/// As `kubectl apply` makes an object.
async fn apply_client_side(bench: &Bench, name: &str, data: &str) {
    let mut object = bench.config_map(name, data);
    let applied = object.to_json();
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    object.set_at(&["metadata", "annotations", annotation], applied.into());
    bench.create_as("kubectl-client-side-apply", &object).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn taking_over_lets_dropped_fields_go() {
    let (_world, bench) = bench("take-over", config_map()).await;
    apply_client_side(&bench, "a", r#"{"kept":"1","dropped":"1"}"#).await;
    let observed = bench.live("a").await;
    let target = bench.config_map("a", r#"{"kept":"1"}"#);
    let entries = OlderEntries::TakeOver { left_alone: &[] };
    let change = Change { object: &target, observed: &observed, entries, removals: &[], beside: &[] };
    let done = act::change(&bench.wire, bench.place("a"), &change, &Hand::real()).await.unwrap();
    assert_eq!(done.parts, [Part::TakeOver, Part::Apply]);
    assert_eq!(done.object.at(&["data", "dropped"]), None);
    assert_eq!(done.object.str_at(&["data", "kept"]), Some("1"));
    let managed = ManagedFields::of(&done.object);
    let ours = managed.entries.iter().find(|entry| entry.manager.as_str() == "trueup").unwrap();
    assert!(ours.fields.contains(FieldPath::fields(&["data", "kept"]).elements()));
    // What client-side apply keeps its own books in stays its own.
    let annotation = "kubectl.kubernetes.io/last-applied-configuration";
    assert!(done.object.at(&["metadata", "annotations", annotation]).is_some());

    // Done once, the next change is one request.
    let observed = bench.live("a").await;
    let change = Change { object: &target, observed: &observed, entries, removals: &[], beside: &[] };
    let done = act::change(&bench.wire, bench.place("a"), &change, &Hand::real()).await.unwrap();
    assert_eq!((done.parts.as_slice(), done.effect), ([Part::Apply].as_slice(), Effect::Unchanged));
}

fn service(name: &str, namespace: &str, ports: &str) -> Value {
    value(&format!(
        r#"{{"apiVersion":"v1","kind":"Service","metadata":{{"name":"{name}","namespace":"{namespace}"}},"spec":{{"ports":{ports}}}}}"#
    ))
}

fn port(number: i64) -> FieldPath {
    let keys = vec![("port".into(), number.into()), ("protocol".into(), "TCP".into())];
    let mut path = FieldPath::fields(&["spec", "ports"]);
    path.push(PathElement::Key(KeyFields::new(keys)));
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_stand_beside_the_apply_goes_with_it_and_nothing_else() {
    let (_world, bench) = bench("beside", Gvk::new("", "v1", "Service")).await;
    let target = service("a", "beside", r#"[{"name":"http","port":80,"targetPort":8080}]"#);
    act::create(&bench.wire, bench.place("a"), &target, &Hand::real()).await.unwrap();
    let theirs =
        r#"{"spec":{"ports":[{"name":"http","port":81,"targetPort":8080},{"name":"metrics","port":9090}]}}"#;
    bench.patch_as("kubectl-edit", "a", theirs).await;
    let beside = [port(81), port(9090)];
    let change = |object, observed| Change {
        object,
        observed,
        entries: OlderEntries::Leave,
        removals: &[],
        beside: &beside,
    };

    // They are not the cause: nothing has changed.
    let before = bench.live("a").await;
    let wrong = service("a", "beside", r#"[{"name":"http","port":80,"targetPort":80800}]"#);
    let stopped = act::change(&bench.wire, bench.place("a"), &change(&wrong, &before), &Hand::real())
        .await
        .unwrap_err();
    let Refusal::Invalid { causes, .. } = &stopped.refusal else { panic!("{stopped:?}") };
    assert!(causes.iter().any(|cause| cause.field.ends_with(".targetPort")), "{causes:?}");
    assert_eq!(stopped.done, []);
    let after = bench.live("a").await;
    let entries = |live: &Live| ManagedFields::of(&live.object);
    assert_eq!(entries(&after), entries(&before));
    assert_eq!(after.object.get("spec"), before.object.get("spec"));

    let done =
        act::change(&bench.wire, bench.place("a"), &change(&target, &after), &Hand::real()).await.unwrap();
    assert_eq!(done.parts, [Part::TakeOver, Part::Apply]);
    let mut ports: Vec<_> =
        done.object.list_at(&["spec", "ports"]).iter().map(|port| port.int_at(&["port"])).collect();
    ports.sort_unstable();
    assert_eq!(ports, [Some(80), Some(9090)]);
    let others = ManagedFields::of(&done.object);
    let theirs = others.entries.iter().find(|entry| entry.manager.as_str() == "kubectl-edit").unwrap();
    assert!(theirs.fields.touches(port(9090).elements()) && !theirs.fields.touches(port(81).elements()));
}

#[tokio::test(flavor = "multi_thread")]
async fn additions_are_removed_only_with_the_value_observed() {
    let (_world, bench) = bench("removals", config_map()).await;
    let target = bench.config_map("a", r#"{"x":"1"}"#);
    act::create(&bench.wire, bench.place("a"), &target, &Hand::real()).await.unwrap();
    bench.patch_as("kubectl-patch", "a", r#"{"data":{"added":"1"}}"#).await;
    let observed = bench.live("a").await;
    let removal = |value: &str| Removal {
        path: FieldPath::fields(&["data", "added"]),
        pointer: "/data/added".into(),
        observed: value.into(),
    };

    let other = [removal("2")];
    let change = Change {
        object: &target,
        observed: &observed,
        entries: OlderEntries::Leave,
        removals: &other,
        beside: &[],
    };
    let stopped = act::change(&bench.wire, bench.place("a"), &change, &Hand::real()).await.unwrap_err();
    assert_eq!((stopped.at, stopped.done.as_slice()), (Part::Remove, [Part::Apply].as_slice()));
    assert!(matches!(stopped.refusal, Refusal::PreconditionFailed { .. }), "{stopped:?}");

    let observed = bench.live("a").await;
    let same = [removal("1")];
    let change = Change {
        object: &target,
        observed: &observed,
        entries: OlderEntries::Leave,
        removals: &same,
        beside: &[],
    };
    let done = act::change(&bench.wire, bench.place("a"), &change, &Hand::real()).await.unwrap();
    assert_eq!(done.object.at(&["data", "added"]), None);
    assert_eq!(done.effect, Effect::Changed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_is_pinned_too() {
    let (_world, bench) = bench("deletions", config_map()).await;
    let place = bench.place("a");
    act::create(&bench.wire, place, &bench.config_map("a", r#"{"x":"1"}"#), &Hand::real()).await.unwrap();
    let old = bench.live("a").await.version;
    bench.patch_as("kubectl-patch", "a", r#"{"data":{"x":"2"}}"#).await;
    let refusal =
        act::delete(&bench.wire, place, &old, Propagation::Background, &Hand::real()).await.unwrap_err();
    assert!(matches!(refusal, Refusal::PreconditionFailed { .. }), "{refusal:?}");
    let version = bench.live("a").await.version;
    act::delete(&bench.wire, place, &version, Propagation::Background, &Hand::dry_run()).await.unwrap();
    assert_eq!(bench.live("a").await.version, version);
    let deleted = act::delete(&bench.wire, place, &version, Propagation::Background, &Hand::real()).await;
    assert_eq!(deleted, Ok(Deleted::Gone));
    let refusal =
        act::delete(&bench.wire, place, &version, Propagation::Background, &Hand::real()).await.unwrap_err();
    assert!(matches!(refusal, Refusal::NotFound { .. }), "{refusal:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_finds_invalid_is_told_by_field() {
    let (_world, bench) = bench("invalid", Gvk::new("apps", "v1", "Deployment")).await;
    let json = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","namespace":"invalid"},
        "spec":{"replicas":-1,"selector":{"matchLabels":{"a":"b"}},"template":{"metadata":{"labels":{"a":"b"}},
        "spec":{"containers":[{"name":"a","image":"a"}]}}}}"#;
    let object = value(json);
    let refusal = act::create(&bench.wire, bench.place("a"), &object, &Hand::real()).await.unwrap_err();
    let Refusal::Invalid { causes, .. } = refusal else { panic!("{refusal:?}") };
    assert_eq!(causes.first().unwrap().field, "spec.replicas");
}

#[tokio::test(flavor = "multi_thread")]
async fn repeated_news_is_one_event() {
    let (_world, bench) = bench("events", config_map()).await;
    let event = ReportedEvent {
        kind: EventKind::Warning,
        reason: "DriftFound".into(),
        message: "data.x changed".into(),
        involved: Involved {
            api_version: "v1".into(),
            kind: "ConfigMap".into(),
            namespace: "events".into(),
            name: "a".into(),
            uid: "00000000-0000-0000-0000-000000000001".into(),
        },
        at: Timestamp::from_second(1_800_000_000).unwrap(),
        instance: "test".into(),
    };
    act::report(&bench.wire, &event).await.unwrap();
    act::report(&bench.wire, &event).await.unwrap();
    let events = bench.wire.get("/api/v1/namespaces/events/events").await.unwrap();
    let events = Value::from_json(&events.body).unwrap();
    let counts: Vec<_> = events
        .list_at(&["items"])
        .iter()
        .filter(|event| event.str_at(&["reason"]) == Some("DriftFound"))
        .map(|event| event.int_at(&["count"]))
        .collect();
    assert_eq!(counts, [Some(2)]);
}

/// The steps of a plan, one after the other: what is left alone stays, what went stale is refused.
#[tokio::test(flavor = "multi_thread")]
async fn the_steps_of_a_plan_are_carried_out() {
    let (_world, bench) = bench("steps", config_map()).await;
    let hand = Hand::real();
    let key = ResourceKey::new("", "ConfigMap", "steps", "a");
    let step = |action: Action, precondition: Precondition| Step {
        key: key.clone(),
        gvk: config_map(),
        action,
        precondition,
        corrects: Vec::new(),
    };
    apply_client_side(&bench, "a", r#"{"held":"1","x":"1","gone":"1"}"#).await;
    let live = bench.live("a").await;
    let held = [Held {
        key: key.clone(),
        path: Some(FieldPath::fields(&["data", "held"])),
        reason: HeldReason::Excused,
    }];
    let object = bench.config_map("a", r#"{"x":"2"}"#);
    let apply = Action::Apply { object, take_over: true, removals: Vec::new(), beside: Vec::new() };
    let unchanged = Precondition::Unchanged(live.version.clone());
    let apply = step(apply, unchanged);
    let executed = act::execute(&bench.wire, &bench.kind, &apply, &held, Some(&live), &hand).await.unwrap();
    let Executed::Applied(done) = executed else { panic!("{executed:?}") };
    let data = done.object.get("data").unwrap().to_json();
    assert_eq!(data, r#"{"held":"1","x":"2"}"#);

    let stopped =
        act::execute(&bench.wire, &bench.kind, &apply, &held, Some(&live), &hand).await.unwrap_err();
    assert!(matches!(stopped.refusal, Refusal::PreconditionFailed { .. }), "{stopped:?}");
    let stopped = act::execute(&bench.wire, &bench.kind, &apply, &held, None, &hand).await.unwrap_err();
    assert!(stopped.done.is_empty() && matches!(stopped.refusal, Refusal::PreconditionFailed { .. }));

    let live = bench.live("a").await;
    let delete = Action::Delete { propagation: Propagation::Foreground };
    let delete = step(delete, Precondition::Unchanged(live.version.clone()));
    let executed = act::execute(&bench.wire, &bench.kind, &delete, &[], Some(&live), &hand).await.unwrap();
    assert!(matches!(executed, Executed::Deleted(_)));
}
