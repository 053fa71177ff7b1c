//! What the settings of an installation say, honoured by a controller that runs.

use trueup_object::Value;

use crate::world::{World, config_map, value};

const WIDGETS: &str = "/apis/example.com/v1/namespaces/web/widgets";

const WIDGET: &str =
    "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: one}\nspec: {heap: 1024Mi, colour: red}\n";

/// `argocd-cm` as the test wants it.
async fn settings(world: &World, data: &[(&str, &str)]) {
    let mut map = value(
        r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"argocd-cm","namespace":"argocd"}}"#,
    );
    for (key, text) in data {
        map.set_at(&["data", key], Value::from(*text));
    }
    world.create("/api/v1/namespaces/argocd/configmaps", &map).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn known_types_hold_as_soon_as_they_are_set() {
    let world = World::start(&[("apps/web/widget.yaml", WIDGET)]).await;
    let definition = crate::confirm::definition(r#""colour":{"type":"string"},"heap":{"type":"string"}"#);
    world.create(crate::world::DEFINITIONS, &definition).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until_well("web", "Synced").await;
    world.merge(&format!("{WIDGETS}/one"), r#"{"spec":{"heap":"1Gi"}}"#, "widget-operator").await;
    world.until_well("web", "OutOfSync").await;
    let known = "- {field: spec.heap, type: core/Quantity}";
    settings(&world, &[("resource.customizations.knownTypeFields.example.com_Widget", known)]).await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

const MAPS: &str = "/api/v1/namespaces/web/configmaps";

/// Tracked by label, as Argo CD was before it had annotations: what is created, kept and pruned goes by the label alone.
#[tokio::test(flavor = "multi_thread")]
async fn objects_are_tracked_by_label_where_the_installation_says_so() {
    let (a, b) = (config_map("a", "1"), config_map("b", "1"));
    let world = World::without_controller(&[("apps/web/a.yaml", &a), ("apps/web/b.yaml", &b)]).await;
    let label = ("application.instanceLabelKey", "example.com/app");
    settings(&world, &[("application.resourceTrackingMethod", "label"), label]).await;
    let mut world = world;
    world.control("first").await;
    world.application("web", r#"{"syncPolicy":{"automated":{"prune":true}}}"#).await;
    world.until_well("web", "Synced").await;
    let created = world.wait(&format!("{MAPS}/a"), |found| found.is_some()).await.unwrap();
    assert_eq!(created.str_at(&["metadata", "labels", "example.com/app"]), Some("web"));
    assert_eq!(created.at(&["metadata", "annotations"]), None);
    world.commit(&[("apps/web/b.yaml", None)]);
    world.refresh("web").await;
    world.wait(&format!("{MAPS}/b"), |found| found.is_none()).await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

/// A change of the method while the controller runs: everything is marked anew, and what only the new mark names is found.
#[tokio::test(flavor = "multi_thread")]
async fn another_way_of_tracking_takes_effect_while_the_controller_runs() {
    let world = World::start(&[("apps/web/a.yaml", &config_map("a", "1"))]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{"prune":true}}}"#).await;
    world.until_well("web", "Synced").await;
    let stray = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"stray","namespace":"web","labels":{"app.kubernetes.io/instance":"web"}}}"#;
    world.create(MAPS, &value(stray)).await;
    settings(&world, &[("application.resourceTrackingMethod", "label")]).await;
    world
        .wait(&format!("{MAPS}/a"), |found| {
            found.is_some_and(|it| {
                it.str_at(&["metadata", "labels", "app.kubernetes.io/instance"]) == Some("web")
            })
        })
        .await;
    world.wait(&format!("{MAPS}/stray"), |found| found.is_none()).await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

/// Two installations may have applications of the same name: each prunes its own.
#[tokio::test(flavor = "multi_thread")]
async fn objects_of_another_installation_are_left_alone() {
    let world = World::without_controller(&[("apps/web/a.yaml", &config_map("a", "1"))]).await;
    settings(&world, &[("installationID", "blue")]).await;
    for (name, installation) in [("theirs", "green"), ("ours", "blue")] {
        let map = format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"web","annotations":{{
                "argocd.argoproj.io/tracking-id":"web:/ConfigMap:web/{name}","argocd.argoproj.io/installation-id":"{installation}"}}}}}}"#
        );
        world.create(MAPS, &value(&map)).await;
    }
    let mut world = world;
    world.control("first").await;
    world.application("web", r#"{"syncPolicy":{"automated":{"prune":true}}}"#).await;
    world.wait(&format!("{MAPS}/ours"), |found| found.is_none()).await;
    let status = world.until_well("web", "Synced").await;
    assert_eq!(status.list_at(&["resources"]).len(), 1, "{status:?}");
    let created = world.wait(&format!("{MAPS}/a"), |found| found.is_some()).await.unwrap();
    let id = created.str_at(&["metadata", "annotations", "argocd.argoproj.io/installation-id"]);
    assert_eq!(id, Some("blue"));
    assert!(world.wait(&format!("{MAPS}/theirs"), |found| found.is_some()).await.is_some());
    world.end().await;
}

/// A heartbeat in a field that a rule names wakes nobody; whatever else changes with it does.
#[tokio::test(flavor = "multi_thread")]
async fn a_change_beside_a_heartbeat_is_seen() {
    let world = World::start(&[("apps/web/a.yaml", &config_map("a", "1"))]).await;
    let rule = ("resource.customizations.ignoreResourceUpdates.ConfigMap", "jsonPointers: [/data/beat]");
    settings(&world, &[rule]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until_well("web", "Synced").await;
    for beat in 0..3 {
        world.merge(&format!("{MAPS}/a"), &format!(r#"{{"data":{{"beat":"{beat}"}}}}"#), "beater").await;
    }
    world.merge(&format!("{MAPS}/a"), r#"{"data":{"beat":"4","text":"by hand"}}"#, "kubectl-edit").await;
    world.until_is("web", "OutOfSync").await;
    let paths = |found: Option<&Value>| {
        let differences = found.map(|report| report.list_at(&["status", "differences"])).unwrap_or_default();
        differences.iter().any(|it| it.str_at(&["path"]) == Some(".data.text"))
    };
    world.wait("/apis/trueup.dev/v1alpha1/namespaces/argocd/driftreports/web", paths).await;
    world.end().await;
}
