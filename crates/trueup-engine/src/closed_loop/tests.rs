//! What a kept path does to the object, and to who owns it.

use jiff::SignedDuration;
use trueup_object::{GroupKind, ResourceKey, Value};

use super::World;
use crate::app::{DriftChoice, IgnoreRules, IgnoreSpec, OnCommit, ResourceSelector, SyncRequest};
use crate::condition::ConditionType;
use crate::difference::{Class, Origin};
use crate::fixture::now;
use crate::live::KindCoverage;
use crate::operation::unmatched;
use crate::plan::HeldReason;
use crate::policy::{Authority, LastSync};

pub(super) const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      nodeSelector: {disk: ssd, zone: a}
      containers:
      - name: web
        image: 'web:1'
        env: [{name: A, value: '1'}, {name: B, value: '2'}]
";

fn text<'a>(object: &'a Value, path: &[&str]) -> Option<&'a str> {
    object.str_at(path)
}

fn pod(object: &Value) -> Value {
    object.at(&["spec", "template", "spec"]).unwrap().clone()
}

pub(super) fn container(object: &Value) -> Value {
    pod(object).list_at(&["containers"])[0].clone()
}

fn ignoring(world: &mut World, pointer: &str) {
    let spec = IgnoreSpec {
        group: "*".into(),
        kind: "*".into(),
        json_pointers: vec![pointer.into()],
        ..IgnoreSpec::default()
    };
    world.app.ignore = IgnoreRules::new(vec![spec]).unwrap();
}

fn keep() -> SyncRequest {
    SyncRequest { drift: DriftChoice::Keep, ..SyncRequest::default() }
}

#[test]
fn what_was_synced_is_in_sync() {
    let world = World::synced(DEPLOYMENT);
    assert_eq!(world.declared(), Vec::<String>::new());
    assert!(world.ours().contains(".spec.replicas"));
}

#[test]
fn a_hotfix_in_an_atomic_map_survives_an_unrelated_commit() {
    let mut world = World::synced(DEPLOYMENT).automated(false);
    world.edit("kubectl-edit", |object| {
        object.set_at(&["spec", "template", "spec", "nodeSelector", "disk"], "hdd".into());
    });
    world.commit(&DEPLOYMENT.replace("web:1", "web:2"));
    world.heal();
    assert_eq!(text(&pod(&world.object()), &["nodeSelector", "disk"]), Some("hdd"));
    assert_eq!(text(&pod(&world.object()), &["nodeSelector", "zone"]), Some("a"));
    assert_eq!(text(&container(&world.object()), &["image"]), Some("web:2"));
}

#[test]
fn a_commit_to_an_atomic_map_keeps_what_the_cluster_moved_beside_it() {
    let mut world = World::synced(DEPLOYMENT).automated(false);
    world.edit("kubectl-edit", |object| {
        object.set_at(&["spec", "template", "spec", "nodeSelector", "disk"], "hdd".into());
    });
    world.commit(&DEPLOYMENT.replace("zone: a", "zone: b"));
    world.heal();
    assert_eq!(text(&pod(&world.object()), &["nodeSelector", "disk"]), Some("hdd"));
    assert_eq!(text(&pod(&world.object()), &["nodeSelector", "zone"]), Some("b"));
}

#[test]
fn an_ignored_path_that_only_we_own_keeps_its_live_value() {
    let mut world = World::synced(DEPLOYMENT).automated(true);
    ignoring(&mut world, "/spec/replicas");
    world.commit(&DEPLOYMENT.replace("replicas: 3", "replicas: 9").replace("web:1", "web:2"));
    world.heal();
    assert_eq!(world.object().int_at(&["spec", "replicas"]), Some(3));
    assert_eq!(text(&container(&world.object()), &["image"]), Some("web:2"));
}

#[test]
fn an_ignored_field_that_git_dropped_stays() {
    let mut world = World::synced(DEPLOYMENT).automated(true);
    ignoring(&mut world, "/spec/replicas");
    world.commit(&DEPLOYMENT.replace("  replicas: 3\n", "").replace("web:1", "web:2"));
    world.heal();
    assert_eq!(world.object().int_at(&["spec", "replicas"]), Some(3));
}

#[test]
fn an_item_that_the_cluster_removed_stays_away_without_self_heal() {
    let mut world = World::synced(DEPLOYMENT).automated(false);
    world.edit("kubectl-edit", |object| {
        let containers = object.get_mut("spec").unwrap().get_mut("template").unwrap();
        let list = containers.get_mut("spec").unwrap().get_mut("containers").unwrap().as_list_mut().unwrap();
        list[0].get_mut("env").unwrap().as_list_mut().unwrap().remove(0);
    });
    world.commit(&DEPLOYMENT.replace("web:1", "web:2"));
    let plan = world.heal();
    assert!(plan.held.iter().any(|held| held.reason == HeldReason::ClusterMoved));
    let container = container(&world.object());
    let names: Vec<_> =
        container.list_at(&["env"]).iter().filter_map(|item| item.str_at(&["name"])).collect();
    assert_eq!(names, ["B"]);
    assert_eq!(container.str_at(&["image"]), Some("web:2"));
}

#[test]
fn every_field_of_an_item_may_be_kept() {
    let mut world = World::synced(DEPLOYMENT).automated(false);
    world.edit("kubectl-edit", |object| {
        let template = object.get_mut("spec").unwrap().get_mut("template").unwrap();
        let list = template.get_mut("spec").unwrap().get_mut("containers").unwrap().as_list_mut().unwrap();
        list[0].get_mut("env").unwrap().as_list_mut().unwrap()[0].set_at(&["value"], "hot".into());
    });
    world.commit(&DEPLOYMENT.replace("web:1", "web:2"));
    world.heal();
    let container = container(&world.object());
    assert_eq!(container.list_at(&["env"])[0].str_at(&["value"]), Some("hot"));
    assert_eq!(container.list_at(&["env"])[1].str_at(&["value"]), Some("2"));
}

#[test]
fn an_addition_that_nobody_owns_is_not_taken_by_a_commit() {
    let without = DEPLOYMENT.replace("  replicas: 3\n", "");
    let mut world = World::synced(&without).automated(true);
    // A write to `scale` where nobody owns the field leaves no trace.
    let mut object = world.object();
    object.set_at(&["spec", "replicas"], Value::Int(5));
    world.store(object);
    world.commit(&without.replace("web:1", "web:2"));
    let plan = world.heal();
    assert!(plan.held.iter().any(|held| held.reason == HeldReason::Addition), "{:?}", plan.held);
    assert_eq!(world.object().int_at(&["spec", "replicas"]), Some(5));
    assert!(!world.ours().contains(".spec.replicas"), "{}", world.ours());
    // What the sync has left is still found after it.
    world.remember();
    let found: Vec<String> = world.look().differences().map(crate::difference::Difference::place).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].ends_with(".spec.replicas"), "{found:?}");
}

#[test]
fn a_person_may_keep_what_the_cluster_moved_and_git_dropped() {
    let mut world = World::synced(DEPLOYMENT);
    world.edit("kubectl-edit", |object| object.set_at(&["spec", "replicas"], Value::Int(7)));
    world.commit(&DEPLOYMENT.replace("  replicas: 3\n", "").replace("web:1", "web:2"));
    world.sync(&keep());
    assert_eq!(world.object().int_at(&["spec", "replicas"]), Some(7));
    assert_eq!(text(&container(&world.object()), &["image"]), Some("web:2"));
}

const SECRET: &str = "
apiVersion: v1
kind: Secret
metadata: {name: db}
stringData: {user: a, password: b}
";

#[test]
fn a_key_that_string_data_dropped_goes() {
    let mut world = World::synced(SECRET);
    assert!(world.ours().contains(".data.user"), "{}", world.ours());
    world.commit(&SECRET.replace("user: a, ", ""));
    world.sync(&SyncRequest::default());
    assert_eq!(world.object().at(&["data", "user"]), None);
    assert_eq!(world.declared(), Vec::<String>::new());
}

#[test]
fn a_secret_that_the_cluster_moved_is_kept_although_git_has_it_as_text() {
    let mut world = World::synced(SECRET).automated(false);
    world.edit("kubectl-edit", |object| object.set_at(&["data", "user"], "eA==".into()));
    world.commit(&SECRET.replace("password: b", "password: c"));
    world.heal();
    assert_eq!(text(&world.object(), &["data", "user"]), Some("eA=="));
    assert_eq!(text(&world.object(), &["data", "password"]), Some("Yw=="));
}

const ROLE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: all}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {a: b}}]}
rules: []
";

#[test]
fn the_rules_of_an_aggregated_role_are_left_to_the_aggregation() {
    let mut world = World::synced(ROLE).automated(true);
    world.apply_as(
        "clusterrole-aggregation-controller",
        "{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: all},
          rules: [{apiGroups: [''], resources: [pods], verbs: [get]}]}",
    );
    assert_eq!(world.declared(), Vec::<String>::new());
    world.commit(&ROLE.replace("a: b", "a: c"));
    world.heal();
    assert_eq!(world.object().list_at(&["rules"]).len(), 1);
    assert_eq!(world.declared(), Vec::<String>::new());
}

const SERVICE: &str = "
apiVersion: v1
kind: Service
metadata: {name: dns}
spec:
  ports:
  - {name: tcp, port: 53, targetPort: 1053}
  - {name: udp, port: 53, targetPort: 1053, protocol: UDP}
";

#[test]
fn an_item_is_found_by_all_its_keys_before_by_those_that_it_has() {
    let mut world = World::synced(SERVICE).automated(false);
    world.edit("kubectl-edit", |object| {
        let ports = object.get_mut("spec").unwrap().get_mut("ports").unwrap().as_list_mut().unwrap();
        ports[1].set_at(&["targetPort"], Value::Int(2053));
    });
    world.commit(
        &SERVICE.replace("name: tcp, port: 53, targetPort: 1053", "name: tcp, port: 53, targetPort: 3053"),
    );
    world.heal();
    let ports: Vec<_> =
        world.object().list_at(&["spec", "ports"]).iter().map(|port| port.int_at(&["targetPort"])).collect();
    assert_eq!(ports, [Some(3053), Some(2053)]);
}

#[test]
fn a_removed_field_below_a_kept_one_is_no_path_of_its_own() {
    let mut world = World::synced(DEPLOYMENT).automated(false);
    world.edit("kubectl-edit", |object| {
        object.remove_at(&["spec", "template", "spec", "nodeSelector"]);
    });
    world.commit(&DEPLOYMENT.replace("web:1", "web:2"));
    world.heal();
    assert_eq!(pod(&world.object()).at(&["nodeSelector"]), None);
}

#[test]
fn an_item_that_git_dropped_stays_while_a_part_of_it_is_kept() {
    let mut world = World::synced(DEPLOYMENT);
    let env = |object: &mut Value, change: &dyn Fn(&mut Vec<Value>)| {
        let template = object.get_mut("spec").unwrap().get_mut("template").unwrap();
        let list = template.get_mut("spec").unwrap().get_mut("containers").unwrap().as_list_mut().unwrap();
        change(list[0].get_mut("env").unwrap().as_list_mut().unwrap());
    };
    let item =
        |value: &str| Value::from_json(format!(r#"{{"name":"A","value":"{value}"}}"#).as_bytes()).unwrap();
    world.edit("k9s", |object| env(object, &|env| drop(env.remove(0))));
    world.edit("k9s", |object| env(object, &|env| env.push(item("1"))));
    world.edit("kubectl-edit", |object| env(object, &|env| env[1] = item("hot")));
    world.commit(&DEPLOYMENT.replace("{name: A, value: '1'}, ", "").replace("web:1", "web:2"));
    world.sync(&keep());
    let container = container(&world.object());
    assert_eq!(container.list_at(&["env"])[1].str_at(&["value"]), Some("hot"));
    assert_eq!(container.str_at(&["image"]), Some("web:2"));
}

#[test]
fn a_commit_overwrites_what_the_cluster_moved_where_the_application_says_so() {
    let mut world = World::synced(DEPLOYMENT).automated(false);
    world.app.on_commit = OnCommit::Overwrite;
    world.edit("kubectl-edit", |object| object.set_at(&["spec", "replicas"], Value::Int(7)));
    assert_eq!(world.by_policy().steps, [], "no commit, no self-heal");
    world.commit(&DEPLOYMENT.replace("web:1", "web:2"));
    world.heal();
    assert_eq!(world.declared(), Vec::<String>::new());
    assert_eq!(world.object().int_at(&["spec", "replicas"]), Some(3));
}

const TWO: &str = "
{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}
---
{apiVersion: v1, kind: Service, metadata: {name: b}}
---
{apiVersion: v1, kind: Service, metadata: {name: c}}
";

#[test]
fn policy_prunes_nothing_while_any_kind_is_not_listed_to_the_end() {
    let mut world = World::synced(TWO).automated(true);
    world.commit(TWO.rsplit_once("---").unwrap().0);
    let kind = GroupKind::new("", "ConfigMap");
    let broken = KindCoverage::Incomplete { cause: "page 2 failed".to_owned(), since: None };
    assert_eq!(world.by_policy().steps.len(), 1);
    world.live.coverage.kinds.insert(kind, broken);
    assert_eq!(world.by_policy().steps, []);
    let asked = Authority::of_request(&world.app, &SyncRequest { prune: true, ..SyncRequest::default() });
    assert_eq!(world.plan(&asked).steps.len(), 1, "a person may");
}

#[test]
fn one_kind_in_two_versions_is_one_object() {
    let world = World::synced(&format!("{DEPLOYMENT}---{}", DEPLOYMENT.replace("apps/v1", "apps/v1beta1")));
    assert_eq!(world.targets.targets.len(), 1);
    let conditions = world.look().conditions;
    assert!(conditions.iter().any(|it| it.kind == ConditionType::RepeatedResourceWarning), "{conditions:?}");
}

#[test]
fn an_object_that_is_being_deleted_is_left_alone() {
    let mut world = World::synced(DEPLOYMENT).automated(true);
    world.edit("kubectl-edit", |object| {
        object.set_at(&["metadata", "deletionTimestamp"], "2026-11-21T12:00:00Z".into());
        object.set_at(&["spec", "replicas"], Value::Int(7));
    });
    let plan = world.by_policy();
    assert_eq!(plan.steps, []);
    assert_eq!(plan.held[0].reason, HeldReason::Deleting);
}

#[test]
fn a_selective_sync_leaves_the_other_objects_alone_whoever_moved_them() {
    let other = DEPLOYMENT.replace("name: web}", "name: zweb}");
    let mut world = World::synced(&format!("{DEPLOYMENT}---{other}"));
    let committed = format!("{DEPLOYMENT}---{other}").replace("replicas: 3", "replicas: 4");
    world.edit("kubectl-edit", |object| object.set_at(&["spec", "replicas"], Value::Int(7)));
    world.commit(&committed);
    let selector = ResourceSelector {
        kind: GroupKind::new("apps", "Deployment"),
        namespace: "".into(),
        name: "zweb".into(),
    };
    let plan = world.sync(&SyncRequest { resources: vec![selector], ..SyncRequest::default() });
    assert_eq!((plan.steps.len(), plan.held.len()), (1, 0));
    assert_eq!(world.declared(), ["Deployment/web .spec.replicas"]);
}

fn synced_then_failed(written: bool) -> World {
    let mut world = World::synced(TWO);
    world.commit(&TWO.replace("name: b}", "name: b}, spec: {type: NodePort}"));
    // Everything was remembered now.
    let started_at = if written { now() } else { now() + SignedDuration::from_secs(1) };
    let revisions = world.targets.revisions.iter().map(|it| it.id.to_string()).collect();
    world.last_sync = Some(LastSync { revisions, succeeded: false, started_at, finished_at: now() });
    world
}

#[test]
fn what_a_failed_operation_left_half_done_is_told_from_a_pending_commit() {
    let class = |world: World| world.look().differences().next().map(|it| (it.origin, it.attribution.class));
    assert_eq!(class(synced_then_failed(true)), Some((Origin::Git, Class::PartialSync)));
    assert_eq!(class(synced_then_failed(false)), Some((Origin::Git, Class::Git)), "nothing was written");
    let mut moved_on = synced_then_failed(true);
    moved_on.last_sync.as_mut().unwrap().revisions = vec!["another".to_owned()];
    assert_eq!(class(moved_on), Some((Origin::Git, Class::Git)), "another commit");
}

#[test]
fn what_was_deleted_and_committed_waits_unless_it_may_be_created_anew() {
    let deleted = |self_heal| {
        let mut world = World::synced(TWO).automated(self_heal);
        let first = world.live.objects.keys().next().unwrap().clone();
        world.live.objects.remove(&first);
        world.commit(&TWO.replace("name: a}", "name: a}, data: {A: '1'}"));
        world
    };
    let waiting = deleted(false).by_policy();
    assert_eq!(waiting.steps, []);
    assert_eq!(waiting.held[0].reason, HeldReason::BothMoved);
    assert_eq!(deleted(true).by_policy().steps.len(), 1, "self-heal");
    let mut overwrite = deleted(false);
    overwrite.app.on_commit = OnCommit::Overwrite;
    assert_eq!(overwrite.by_policy().steps.len(), 1, "a commit may overwrite");
    assert_eq!(deleted(false).sync(&SyncRequest::default()).steps.len(), 1, "a person");
}

#[test]
fn a_selector_without_a_group_means_the_core_group() {
    let key = |group: &str, kind: &str| ResourceKey::new(group, kind, "web", "a");
    let selector = |group: &str, kind: &str, namespace: &str, name: &str| ResourceSelector {
        kind: GroupKind::new(group, kind),
        namespace: namespace.into(),
        name: name.into(),
    };
    assert!(selector("", "Service", "", "a").selects(&key("", "Service")));
    assert!(!selector("", "Service", "", "a").selects(&key("serving.knative.dev", "Service")));
    assert!(!selector("apps", "*", "", "*").selects(&key("", "Service")));
    assert!(selector("*", "Service", "web", "a").selects(&key("serving.knative.dev", "Service")));
    assert!(!selector("*", "*", "other", "").selects(&key("", "Service")));
}

#[test]
fn a_request_for_what_is_not_there_is_named_with_what_is() {
    let world = World::synced(TWO);
    let request = |kind: &str, name: &str| SyncRequest {
        resources: vec![ResourceSelector {
            kind: GroupKind::new("", kind),
            namespace: "".into(),
            name: name.into(),
        }],
        ..SyncRequest::default()
    };
    assert_eq!(unmatched(&SyncRequest::default(), &world.look()), None);
    assert_eq!(unmatched(&request("Service", "b"), &world.look()), None);
    assert_eq!(
        unmatched(&request("Service", "x"), &world.look()).unwrap(),
        "the application has no object :Service:x; there are: :ConfigMap:web/a, :Service:web/b, :Service:web/c"
    );
}

const AUTOSCALER: &str = "
apiVersion: autoscaling/v1
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec: {maxReplicas: 3, targetCPUUtilizationPercentage: 50, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}
";

const AUTOSCALER_V2: &str = "
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web}
spec:
  maxReplicas: 3
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}
  metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]
";

/// The autoscaler as a server shows it in its second version.
fn shown_in_v2(world: &mut World) {
    let mut object = world.object();
    object.set_at(&["apiVersion"], "autoscaling/v2".into());
    object.remove_at(&["spec", "targetCPUUtilizationPercentage"]);
    let v2 = crate::fixture::value(&AUTOSCALER_V2.replace("60", "50"));
    object.set_at(&["spec", "metrics"], v2.at(&["spec", "metrics"]).unwrap().clone());
    world.store(object);
}

#[test]
fn git_moves_a_kind_to_another_version_with_other_fields() {
    let mut world = World::synced(AUTOSCALER).automated(false);
    world.commit(AUTOSCALER_V2);
    shown_in_v2(&mut world);
    // What was synced cannot be told in the new version's words: it is a first sync of them.
    let origins: Vec<_> = world.look().differences().map(|it| (it.place(), it.origin)).collect();
    assert!(origins.iter().all(|(_, origin)| *origin == Origin::Unknown), "{origins:?}");
    world.heal();
    assert_eq!(world.declared(), Vec::<String>::new());
    assert!(world.ours().contains(".spec.metrics"), "{}", world.ours());
}

#[test]
fn what_another_version_wrote_has_an_owner_in_this_one() {
    let without = AUTOSCALER_V2.split_once("  metrics").unwrap().0;
    let mut world = World::synced(without);
    let mut object = world.object();
    let entry = r#"{"manager":"kubectl-edit","operation":"Update","apiVersion":"autoscaling/v1","fieldsType":"FieldsV1",
        "fieldsV1":{"f:spec":{"f:targetCPUUtilizationPercentage":{}}}}"#;
    let mut entries = object.list_at(&["metadata", "managedFields"]).to_vec();
    entries.push(Value::from_json(entry.as_bytes()).unwrap());
    object.set_at(&["metadata", "managedFields"], Value::List(entries));
    world.store(object);
    shown_in_v2(&mut world);
    let comparison = world.look();
    let found = comparison.differences().next().unwrap();
    assert_eq!(
        (found.path.as_ref().unwrap().to_string().as_str(), found.attribution.class),
        (".spec.metrics", Class::Manual)
    );
}

#[test]
fn an_object_that_moved_to_another_application_is_left_by_the_one_that_it_left() {
    let mut world = World::synced(TWO).automated(true);
    world.commit(TWO.rsplit_once("---").unwrap().0);
    let before = world.by_policy();
    assert_eq!(before.steps.len(), 1, "its own mark: it is pruned");
    // The other application has taken it: its mark is on it now.
    let key = world.live.objects.keys().find(|key| key.name == "c").unwrap().clone();
    let mark = crate::tracking::TrackingId::format("other", &key, "web");
    let mut object = (*world.live.objects[&key].object).clone();
    object.set_at(&["metadata", "annotations", crate::tracking::TRACKING_ANNOTATION], mark.into());
    world.store(object);
    assert_eq!(world.by_policy().steps, []);
    assert!(world.look().object(&key).is_none(), "it is nothing of this application's any more");
    // A plan of before is pinned to the version that it was made for.
    let version = &world.live.objects[&key].version;
    assert_ne!(before.steps[0].precondition, crate::plan::Precondition::Unchanged(version.clone()));
}
