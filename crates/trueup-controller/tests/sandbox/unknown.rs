//! What cannot be judged is Unknown alone, with cause and remedy; everything beside it is judged, told and healed.

use trueup_object::Value;

use crate::world::{DEFINITIONS, World, config_map, value};

const HEALED: &str = r#"{"syncPolicy":{"automated":{"selfHeal":true}}}"#;

/// Two versions of one kind; the sandbox converts nothing, so that what a fault breaks is all that differs.
const DEFINITION: &str = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"widgets.example.com"},
    "spec":{"group":"example.com","scope":"Namespaced","names":{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"},
    "versions":[
    {"name":"v1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{"size":{"type":"integer"}}}}}}},
    {"name":"v1beta1","served":true,"storage":false,"schema":{"openAPIV3Schema":{"type":"object","properties":{"spec":{"type":"object","properties":{"size":{"type":"integer"}}}}}}}]}}"#;

fn widget(version: &str, name: &str) -> String {
    format!(
        "apiVersion: example.com/{version}\nkind: Widget\nmetadata: {{name: {name}}}\nspec: {{size: 1}}\n"
    )
}

/// A conversion that fails makes reading one version fail, and the other version says that the object exists.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_conversion_spoils_the_objects_of_that_version_alone() {
    let maps: Vec<String> = (0..18).map(|number| config_map(&format!("map-{number}"), "a")).collect();
    let widgets = [widget("v1", "new"), widget("v1beta1", "old")];
    let all = [maps.as_slice(), &widgets].concat().join("---\n");
    let mut world = World::without_controller(&[("apps/web/all.yaml", &all)]).await;
    world.create(DEFINITIONS, &value(DEFINITION)).await;
    world.fault(
        r#"{"kind":"status","code":500}"#,
        r#"{"group":"example.com","version":"v1beta1","verb":["list","watch"]}"#,
    );
    world.control("first").await;
    world.application("web", HEALED).await;
    let said =
        "1 of 20 unknown (Widget/old): Widget cannot be read in example.com/v1beta1: the server failed";
    let status = world.until_condition("web", "ComparisonError", said).await;
    assert!(said_with_remedy(&status), "{status:?}");
    let of_widgets = |status: &Value, name: &str| {
        let found = status.list_at(&["resources"]).iter().find(|it| it.str_at(&["name"]) == Some(name));
        found.and_then(|it| it.str_at(&["status"])).map(str::to_owned)
    };
    let others = |status: &Value| {
        let resources = status.list_at(&["resources"]).iter();
        resources.filter(|it| it.str_at(&["status"]) == Some("Synced")).count()
    };
    let status = world.until("web", |status| others(status) == 19).await;
    assert_eq!(of_widgets(&status, "old").as_deref(), Some("Unknown"));
    assert_eq!(status.str_at(&["sync", "status"]), Some("Unknown"));
    // The other nineteen are judged and healed as ever.
    let map = "/api/v1/namespaces/web/configmaps/map-3";
    world.merge(map, r#"{"data":{"text":"by hand"}}"#, "kubectl-edit").await;
    world.wait(map, |found| found.is_some_and(|it| it.str_at(&["data", "text"]) == Some("a"))).await;
    world.mend();
    world.until_well("web", "Synced").await;
    world.end().await;
}

fn said_with_remedy(status: &Value) -> bool {
    let messages = status.list_at(&["conditions"]).iter().filter_map(|it| it.str_at(&["message"]));
    messages.into_iter().any(|message| message.contains("make the cause go away"))
}
