//! Health by scripts of `argocd-cm`, from the cluster to the Application's status and the command line.

use crate::world::World;

const CONFIG_MAPS: &str = "/api/v1/namespaces/argocd/configmaps";
const SETTINGS: &str = "/api/v1/namespaces/argocd/configmaps/argocd-cm";

/// Status and message of the only object.
async fn health(world: &World) -> (String, String) {
    let application = world.application().await;
    let resources = application.list_at(&["status", "resources"]);
    let text = |name: &str| resources.first().and_then(|it| it.str_at(&["health", name])).unwrap_or_default();
    (text("status").to_owned(), text("message").to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_judges_by_the_scripts_of_its_settings_and_survives_bad_ones() {
    let world = World::new().await;
    let script = "return {status = 'Degraded', message = 'it is ' .. obj.data.colour}";
    let body = |script: &str| {
        format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"argocd-cm"}},"data":{{"resource.customizations.health.ConfigMap":"{script}"}}}}"#
        )
    };
    world.post(CONFIG_MAPS, &body(script)).await;
    let (mut controller, _) = world.controller().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let until = async |wanted: &str, said: &str| {
        world
            .until(&format!("{wanted}: {said}"), async || {
                let (status, message) = health(&world).await;
                status == wanted && message.contains(said)
            })
            .await;
    };
    until("Degraded", "it is blue").await;
    world
        .until("so is the application", async || {
            world.application().await.str_at(&["status", "health", "status"]) == Some("Degraded")
        })
        .await;
    let shown = world.ok(&["app", "get", "web"]).await.out;
    assert!(shown.contains("Degraded (Caused by ConfigMap:web/settings)"), "{shown}");
    let change = async |script: &str| world.patch(SETTINGS, &body(script)).await;
    change("while true do end").await;
    until("Unknown", "instructions").await;
    change("return io.read()").await;
    until("Unknown", "io").await;
    change("return {status = ").await;
    until("Unknown", "").await;
    change("return {status = 'Healthy'}").await;
    until("Healthy", "").await;
    assert!(controller.try_wait().unwrap().is_none(), "the controller runs");
}
