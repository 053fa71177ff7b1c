//! What rules hide stays as it is live, however much of the object around it is applied.

use trueup_object::Value;

use super::World;
use super::tests::{DEPLOYMENT, container};
use crate::app::{IgnoreRules, IgnoreSpec};
use crate::autoscaler::Autoscalers;
use crate::settings::Settings;
use crate::status::SyncStatus;

/// A custom resource without schema: its lists are atomic.
const GATEWAY: &str = "
apiVersion: example.com/v1
kind: Gateway
metadata: {name: web}
spec:
  host: a.example.com
  filters: [{name: auth, mode: strict}, {name: limit, rate: 5}]
";

fn ignoring_spec(world: &mut World, spec: IgnoreSpec) {
    let spec = IgnoreSpec { group: "*".into(), kind: "*".into(), ..spec };
    world.app.ignore = IgnoreRules::new(vec![spec]).unwrap();
}

fn jq(expression: &str) -> IgnoreSpec {
    IgnoreSpec { jq_path_expressions: vec![expression.into()], ..IgnoreSpec::default() }
}

fn filters(world: &World) -> String {
    world.object().at(&["spec", "filters"]).unwrap().to_json()
}

#[test]
fn an_ignored_item_of_a_list_without_keys_is_not_lost_with_the_list() {
    let mut world = World::synced(GATEWAY).automated(true);
    ignoring_spec(&mut world, jq(r#".spec.filters[] | select(.name == "injected")"#));
    world.edit("injector", |object| {
        let injected = Value::from_json(br#"{"name":"injected","by":"mesh"}"#).unwrap();
        let filters = object.at(&["spec", "filters"]).and_then(Value::as_list).unwrap();
        let filters = std::iter::once(injected).chain(filters.iter().cloned()).collect();
        object.set_at(&["spec", "filters"], Value::List(filters));
    });
    assert_eq!(world.declared(), Vec::<String>::new());
    world.commit(&GATEWAY.replace("rate: 5", "rate: 6"));
    world.heal();
    assert_eq!(
        filters(&world),
        r#"[{"by":"mesh","name":"injected"},{"mode":"strict","name":"auth"},{"name":"limit","rate":6}]"#
    );
    assert_eq!(world.declared(), Vec::<String>::new());
}

#[test]
fn an_ignored_field_of_an_item_keeps_its_value_while_another_item_is_applied() {
    let mut world = World::synced(GATEWAY).automated(true);
    ignoring_spec(&mut world, jq(r#".spec.filters[] | select(.name == "auth") | .mode"#));
    world.edit("tuner", |object| {
        let text = br#"[{"name":"auth","mode":"open"},{"name":"limit","rate":5}]"#;
        object.set_at(&["spec", "filters"], Value::from_json(text).unwrap());
    });
    world.commit(&GATEWAY.replace("rate: 5", "rate: 6"));
    world.heal();
    assert_eq!(filters(&world), r#"[{"mode":"open","name":"auth"},{"name":"limit","rate":6}]"#);
}

#[test]
fn replicas_stay_an_autoscalers_under_a_rule_that_applying_does_not_respect() {
    let scaler = crate::fixture::value(
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: web},
          spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}",
    );
    for (scalers, replicas) in [(vec![&scaler], 5), (Vec::new(), 3)] {
        let mut world = World::synced(DEPLOYMENT).automated(true);
        world.app.options.respect_ignore = false;
        let pointers = IgnoreSpec { json_pointers: vec!["/spec/replicas".into()], ..IgnoreSpec::default() };
        ignoring_spec(&mut world, pointers);
        world.autoscalers = Autoscalers::new(scalers, Vec::new());
        world.edit("helper", |object| object.set_at(&["spec", "replicas"], Value::Int(5)));
        world.commit(&DEPLOYMENT.replace("web:1", "web:2"));
        world.heal();
        assert_eq!(world.object().int_at(&["spec", "replicas"]), Some(replicas));
        assert!(world.object().to_json().contains("web:2"), "the commit is applied");
    }
}

#[test]
fn without_respect_the_whole_list_is_applied() {
    let mut world = World::synced(GATEWAY).automated(true);
    world.app.options.respect_ignore = false;
    ignoring_spec(&mut world, jq(r#".spec.filters[] | select(.name == "auth") | .mode"#));
    world.edit("tuner", |object| {
        let text = br#"[{"name":"auth","mode":"open"},{"name":"limit","rate":5}]"#;
        object.set_at(&["spec", "filters"], Value::from_json(text).unwrap());
    });
    world.commit(&GATEWAY.replace("rate: 5", "rate: 6"));
    world.heal();
    assert_eq!(filters(&world), r#"[{"mode":"strict","name":"auth"},{"name":"limit","rate":6}]"#);
}

#[test]
fn a_nested_variable_that_a_rule_names_keeps_its_value() {
    let mut world = World::synced(DEPLOYMENT).automated(true);
    let rule = r#".spec.template.spec.containers[].env[]? | select(.name == "A") | .value"#;
    ignoring_spec(&mut world, jq(rule));
    world.edit("kubectl-edit", |object| {
        let containers = object.get_mut("spec").unwrap().get_mut("template").unwrap();
        let containers = containers.get_mut("spec").unwrap().get_mut("containers").unwrap();
        containers.as_list_mut().unwrap()[0].get_mut("env").unwrap().as_list_mut().unwrap()[0]
            .set_at(&["value"], "debug".into());
    });
    assert_eq!(world.declared(), Vec::<String>::new());
    world.commit(&DEPLOYMENT.replace("value: '2'", "value: '3'"));
    world.heal();
    assert_eq!(
        container(&world.object()).get("env").unwrap().to_json(),
        r#"[{"name":"A","value":"debug"},{"name":"B","value":"3"}]"#
    );
}

#[test]
fn what_a_manager_owns_is_ignored_and_left_alone() {
    let mut world = World::synced(DEPLOYMENT).automated(true);
    let manager = "replica-tuner".to_owned();
    ignoring_spec(&mut world, IgnoreSpec { managed_fields_managers: vec![manager], ..IgnoreSpec::default() });
    world.edit("replica-tuner", |object| object.set_at(&["spec", "replicas"], 7.into()));
    assert_eq!(world.declared(), Vec::<String>::new());
    world.commit(&DEPLOYMENT.replace("web:1", "web:2"));
    world.heal();
    assert_eq!(world.object().int_at(&["spec", "replicas"]), Some(7));
    world.edit("kubectl-edit", |object| object.set_at(&["spec", "replicas"], 8.into()));
    assert_eq!(world.declared().len(), 1);
}

#[test]
fn settings_and_annotations_ignore_too() {
    let mut world = World::synced(DEPLOYMENT);
    let key = "resource.customizations.ignoreDifferences.apps_Deployment".to_owned();
    let data = [(key, "jsonPointers: [/spec/replicas]".to_owned())].into_iter().collect();
    world.settings = Settings::read(&data, &std::collections::BTreeMap::new());
    world.edit("kubectl-edit", |object| object.set_at(&["spec", "replicas"], 7.into()));
    let found = world.look();
    assert_eq!(found.differences().count(), 0);
    let by = found.objects[0].ignored[0].ignored_by.clone().unwrap();
    assert_eq!(by.source, "argocd-cm");
    assert_eq!(found.rules.iter().map(|rule| (rule.objects, rule.matches)).collect::<Vec<_>>(), [(1, 1)]);

    world.settings = Settings::default();
    assert_eq!(world.look().differences().count(), 1);
    let annotated = |text: &str| {
        DEPLOYMENT.replace(
            "metadata: {name: web}\n",
            &format!("metadata:\n  name: web\n  annotations: {{trueup.dev/ignore-differences: '{text}'}}\n"),
        )
    };
    world.commit(&annotated("{jsonPointers: [/spec/replicas]}"));
    let ignored = |world: &World| world.look().objects[0].ignored.len();
    assert_eq!(ignored(&world), 1);
    // Its time was over long ago.
    world.commit(&annotated("{jsonPointers: [/spec/replicas], until: \"2020-01-01T00:00:00Z\"}"));
    assert_eq!(ignored(&world), 0);
    world.commit(&annotated("{jsonPointers: nonsense}"));
    let found = world.look();
    assert_eq!(found.objects[0].status, SyncStatus::Unknown);
    assert!(found.objects[0].problem.as_ref().unwrap().message.contains("trueup.dev/ignore-differences"));
}

#[test]
fn an_annotation_on_the_live_object_hides_nothing() {
    let mut world = World::synced(DEPLOYMENT);
    world.edit("kubectl-edit", |object| {
        object.set_at(&["spec", "replicas"], 7.into());
        let path = ["metadata", "annotations", crate::ignore::ANNOTATION];
        object.set_at(&path, "{jsonPointers: [/spec/replicas]}".into());
    });
    assert_eq!(world.declared().len(), 1);
}

#[test]
fn a_rule_that_is_given_up_makes_its_object_unknown_and_nothing_is_done() {
    let mut world = World::synced(DEPLOYMENT).automated(true);
    ignoring_spec(&mut world, jq("[range(1e12)] | .[0]"));
    world.edit("kubectl-edit", |object| object.set_at(&["spec", "replicas"], 7.into()));
    let found = world.look();
    assert_eq!(found.objects[0].status, SyncStatus::Unknown);
    assert!(found.objects[0].problem.as_ref().unwrap().message.contains("[range(1e12)]"));
    world.heal();
    assert_eq!(world.object().int_at(&["spec", "replicas"]), Some(7));
}

#[test]
fn a_rule_that_fails_hides_nothing_and_is_told() {
    let mut world = World::synced(DEPLOYMENT);
    ignoring_spec(&mut world, jq(".spec.nope[].x"));
    world.edit("kubectl-edit", |object| object.set_at(&["spec", "replicas"], 7.into()));
    let found = world.look();
    assert_eq!(found.differences().count(), 1);
    let (key, why) = found.rules[0].failure.clone().unwrap();
    assert_eq!((key.name.as_str(), why.as_str()), ("web", "cannot iterate over: null"));
}
