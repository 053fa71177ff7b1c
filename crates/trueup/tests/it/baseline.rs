//! `trueup drift baseline`: what was there before the first sync is a note, unless somebody decides otherwise.

use trueup_object::Value;

use crate::world::{CONFIG_PATH, World};

const CONFIG_MAPS: &str = "/api/v1/namespaces/web/configmaps?fieldManager=kubectl-create";

/// The status and how many notes and drifts the controller tells of.
async fn told(world: &World) -> (String, usize, usize) {
    let application = world.application().await;
    let status = application.str_at(&["status", "sync", "status"]).unwrap_or_default().to_owned();
    let report = world.live("/apis/trueup.dev/v1alpha1/namespaces/argocd/driftreports/web").await;
    let report = report.unwrap_or_default();
    let count = |list: &str| {
        let text = report.to_json();
        let of_path = |value: &Value| value.str_at(&["path"]) == Some(".data.extra");
        let found = report.list_at(&["status", list]).iter().filter(|it| of_path(it)).count();
        assert!(found <= 1, "{text}");
        found
    };
    (status, count("differences"), count("notes"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_first_is_a_note_or_drift_as_is_decided() {
    let world = World::new().await;
    let body = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"settings"},"data":{"colour":"blue","extra":"1"}}"#;
    world.post(CONFIG_MAPS, body).await;
    let (_controller, _) = world.controller().await;
    world.create().await;
    world.ok(&["app", "sync", "web"]).await;
    let until = async |wanted: (&str, usize, usize)| {
        let wanted = (wanted.0.to_owned(), wanted.1, wanted.2);
        world.until(&format!("{wanted:?}"), async || told(&world).await == wanted).await;
    };
    until(("Synced", 0, 1)).await;
    let inherited = async || {
        let application = world.application().await;
        application.str_at(&["metadata", "annotations", "trueup.dev/inherited"]).map(str::to_owned)
    };
    world.ok(&["drift", "baseline", "web", "--as=drift"]).await;
    until(("OutOfSync", 1, 0)).await;
    assert_eq!(inherited().await.as_deref(), Some("drift"));
    world.ok(&["drift", "baseline", "web", "--as", "note"]).await;
    until(("Synced", 0, 1)).await;
    assert_eq!(inherited().await.as_deref(), Some("note"), "a decision is to be seen");
    let again = world.ok(&["drift", "baseline", "web", "--as=note"]).await;
    assert!(again.err.contains("is so already"), "{again:?}");
    // What is added afterwards is drift all the same.
    world.patch(CONFIG_PATH, r#"{"data":{"later":"1"}}"#).await;
    until(("OutOfSync", 0, 1)).await;
    assert_eq!(world.trueup(&["drift", "baseline", "web", "--as=nothing"]).await.code, 2);
    assert_eq!(world.trueup(&["drift", "baseline", "nobody", "--as=note"]).await.code, 2);
}
