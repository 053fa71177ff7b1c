//! What the options of an installation change in a look.

use trueup_diff::Masked;

use super::*;
use crate::memory::{MemoryContext, remember};
use crate::settings::{ConfigData, StatusField};

fn settings(entries: &[(&str, &str)]) -> Settings {
    let data = entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Settings::read(&data, &ConfigData::new())
}

fn paths(comparison: &Comparison) -> Vec<String> {
    comparison.differences().filter_map(|it| it.path.as_ref().map(ToString::to_string)).collect()
}

/// A custom resource without a status subresource keeps what is applied there.
const WIDGET: &str = "
apiVersion: example.com/v1
kind: Widget
metadata: {name: one}
spec: {size: 1}
status: {phase: Ready, parts: {a: 1}}
";

#[test]
fn a_declared_status_is_compared_where_it_is_not_ignored() {
    let mut world = World::in_sync(WIDGET);
    world.change_live(|object| {
        object.set_at(&["status", "phase"], "Broken".into());
        object.set_at(&["status", "added"], true.into());
        owned(object, "widget-operator", "", r#"{"f:status":{"f:phase":{},"f:added":{}}}"#);
    });
    for (ignored, found) in [
        (StatusField::All, vec![]),
        (StatusField::Crd, vec![".status.phase"]),
        (StatusField::None, vec![".status.phase"]),
    ] {
        world.settings.compare.ignore_status = ignored;
        let comparison = world.look();
        assert_eq!(paths(&comparison), found, "{ignored:?}");
        assert!(comparison.differences().all(|it| it.origin == Origin::Cluster), "{ignored:?}");
        assert_eq!(comparison.notes().count(), 0, "what Git does not declare there is a controller's");
    }
}

#[test]
fn a_status_that_git_does_not_declare_is_never_compared() {
    let mut world = World::in_sync(DEPLOYMENT);
    world.settings.compare.ignore_status = StatusField::None;
    world.change_live(|object| {
        object.set_at(&["status", "replicas"], Value::Int(3));
        owned(object, "widget-operator", "status", r#"{"f:status":{"f:replicas":{}}}"#);
    });
    assert_eq!(world.look().status, SyncStatus::Synced);
}

const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: all}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {part: 'yes'}}]}
rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: plain}
rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]
";

#[test]
fn rules_of_aggregated_roles_are_left_alone_where_the_option_says_so() {
    let mut world = World::in_sync(ROLE);
    world.change_live(|object| {
        let rules = r#"[{"apiGroups":["apps"],"resources":["deployments"],"verbs":["list"]}]"#;
        object.set_at(&["rules"], Value::from_json(rules.as_bytes()).unwrap());
    });
    let differing = |comparison: &Comparison| -> Vec<String> {
        let differing = comparison.objects.iter().filter(|it| it.status == SyncStatus::OutOfSync);
        differing.map(|it| it.key.name.to_string()).collect()
    };
    assert_eq!(differing(&world.look()), ["all", "plain"]);
    world.settings = settings(&[("resource.compareoptions", "ignoreAggregatedRoles: true")]);
    let comparison = world.look();
    assert_eq!(differing(&comparison), ["plain"]);
    let [count] = comparison.rules.as_slice() else { panic!("{:?}", comparison.rules) };
    assert_eq!((count.place.as_str(), count.objects, count.matches), ("resource.compareoptions", 2, 1));
    // An option that finds nothing to hide is no dead rule.
    let idle = RuleCount { matches: 0, ..count.clone() };
    assert_eq!(crate::ignore::lint::said(&idle), None);
}

#[test]
fn annotations_that_the_installation_calls_sensitive_are_seen_to_differ_and_never_told() {
    let yaml = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {example.com/pin: quagga-1}}\ndata: {a: b}\n";
    let mut world = World::in_sync(yaml);
    world.settings = settings(&[("resource.sensitive.mask.annotations", "example.com/pin")]);
    let agreed = world.look();
    assert_eq!(agreed.status, SyncStatus::Synced);
    world.change_live(|object| {
        object.set_at(&["metadata", "annotations", "example.com/pin"], "quagga-2".into())
    });
    let comparison = world.look();
    assert_eq!(paths(&comparison), [r#".metadata.annotations["example.com/pin"]"#]);
    let difference = comparison.differences().next().unwrap();
    let shown = |it: &Option<Masked>| it.as_ref().and_then(|it| it.as_value().as_str().map(str::to_owned));
    assert_eq!(shown(&difference.target).as_deref(), Some("++++++++"));
    assert_eq!(shown(&difference.live).as_deref(), Some("++++++++++++"));
    let schemas = SchemaSet::builtin().over(SchemaSet::builtin());
    let context = MemoryContext { schemas, secrecy: world.settings.secrecy(&[7; 32]), now: now() };
    let (key, target) = world.targets.targets.first_key_value().unwrap();
    let found = world.live.objects.get(key).unwrap();
    let object = comparison.object(key).unwrap();
    let secrecy = world.settings.secrecy(&[7; 32]);
    let kept = format!(
        "{comparison:?}{:?}{:?}",
        remember(&context, target, found, object, None),
        crate::evidence::evidence(found, &object.differences, schemas, secrecy)
    );
    assert!(!kept.contains("quagga"), "{kept}");
}

#[test]
fn what_no_schema_describes_is_marked() {
    let comparison = World::in_sync(&format!("{WIDGET}---{DEPLOYMENT}")).look();
    let marked: Vec<(&str, bool)> =
        comparison.objects.iter().map(|it| (it.key.kind.as_str(), it.structural)).collect();
    assert_eq!(marked, [("Deployment", false), ("Widget", true)]);
    assert_eq!(comparison.status, SyncStatus::Synced, "a mark is no verdict");
}
