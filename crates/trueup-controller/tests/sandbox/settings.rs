//! What the settings of an installation say, honoured by a controller that runs.

use trueup_object::Value;

use crate::world::{World, value};

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
