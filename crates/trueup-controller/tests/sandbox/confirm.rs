//! What comparing says differs is confirmed by the API server: what webhooks write again is no drift, what would be refused
//! says so, and a fleet that agrees makes no request.

use trueup_object::Value;

use crate::webhook::{Webhook, patched};
use crate::world::{DEFINITIONS, World, deployment, value};

const HEALED: &str = r#"{"syncPolicy":{"automated":{"selfHeal":true}}}"#;

const IMAGE: &str = "/spec/template/spec/containers/0/image";

/// Puts every image behind a mirror, and a mark of its own on the object.
async fn mirror() -> Webhook {
    Webhook::start(|_| {
        patched(&format!(
            r#"[{{"op":"replace","path":"{IMAGE}","value":"mirror/web:1"}},
                {{"op":"add","path":"/spec/template/spec/hostNetwork","value":true}}]"#
        ))
    })
    .await
}

fn image(live: &Value) -> Option<&str> {
    live.list_at(&["spec", "template", "spec", "containers"])[0].str_at(&["image"])
}

/// The writes of the controller that were more than a question.
fn n_changes(world: &World) -> usize {
    let records = world.sandbox.requests();
    let ours = records.iter().filter(|it| it.user_agent.starts_with("trueup/controller"));
    ours.filter(|it| it.path.contains("/deployments/") && !it.dry_run && it.code < 300).count()
}

fn n_questions(world: &World) -> usize {
    world.sandbox.requests().iter().filter(|it| it.dry_run).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agrees_makes_no_request() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", HEALED).await;
    world.until_well("web", "Synced").await;
    world.refresh("web").await;
    world
        .until_application("web", |it| {
            it.at(&["metadata", "annotations"])
                .is_none_or(|it| it.get("argocd.argoproj.io/refresh").is_none())
        })
        .await;
    world.until_well("web", "Synced").await;
    assert_eq!((n_questions(&world), n_changes(&world)), (0, 1));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_mutating_webhook_writes_is_no_drift() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    let webhook = mirror().await;
    webhook.install(&world, "Mutating").await;
    world.application("web", HEALED).await;
    world.until_well("web", "Synced").await;
    assert_eq!(image(&world.deployment().await), Some("mirror/web:1"));
    assert_eq!(n_changes(&world), 1, "nothing is corrected");
    // A change by hand beside it is drift all the same, and is healed.
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.until_well("web", "Synced").await;
    assert_eq!((image(&world.deployment().await), n_changes(&world)), (Some("mirror/web:1"), 2));
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_be_refused_says_so() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until_well("web", "Synced").await;
    let webhook = Webhook::start(|object| {
        let allowed = object.int_at(&["spec", "replicas"]) == Some(5);
        let mut response = value(r#"{"status":{"message":"five it must be"}}"#);
        response.set_at(&["allowed"], allowed.into());
        response
    })
    .await;
    webhook.install(&world, "Validating").await;
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until_is("web", "OutOfSync").await;
    world.until_condition("web", "UnconfirmedWarning", "five it must be").await;
    let report = world.report("web").await;
    let difference = &report.list_at(&["status", "differences"])[0];
    assert_eq!(difference.at(&["unconfirmed"]), Some(&Value::Bool(true)));
    assert!(difference.str_at(&["message"]).unwrap().contains("five it must be"), "{difference:?}");
    assert!(webhook.n_calls() >= 2, "the edit and the question");
    webhook.stop();
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_server_would_leave_is_told() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until_well("web", "Synced").await;
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until_is("web", "OutOfSync").await;
    let path = "/apis/trueup.dev/v1alpha1/namespaces/argocd/driftreports/web";
    let report = world
        .wait(path, |found| {
            let first = found.and_then(|report| report.list_at(&["status", "differences"]).first());
            first.is_some_and(|it| it.int_at(&["predicted"]) == Some(2))
        })
        .await
        .unwrap();
    let difference = &report.list_at(&["status", "differences"])[0];
    assert_eq!(difference.at(&["unconfirmed"]), Some(&Value::Bool(false)));
    assert_eq!(n_questions(&world), 1, "it is asked once");
    world.end().await;
}

const WIDGETS: &str = "/apis/example.com/v1/namespaces/web/widgets";

pub fn definition(properties: &str) -> Value {
    value(&format!(
        r#"{{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{{"name":"widgets.example.com"}},
        "spec":{{"group":"example.com","scope":"Namespaced","names":{{"plural":"widgets","singular":"widget","kind":"Widget","listKind":"WidgetList"}},
        "versions":[{{"name":"v1","served":true,"storage":true,"schema":{{"openAPIV3Schema":{{"type":"object",
        "properties":{{"spec":{{"type":"object","properties":{{{properties}}}}}}}}}}}}}]}}}}"#
    ))
}

/// A field that the server begins to fill in under a running fleet is nobody's drift.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_default_of_a_schema_is_no_drift() {
    let widget = "apiVersion: example.com/v1\nkind: Widget\nmetadata: {name: one}\nspec: {colour: red}\n";
    let world = World::start(&[("apps/web/widget.yaml", widget)]).await;
    let before = definition(r#""colour":{"type":"string"}"#);
    world.create(DEFINITIONS, &before).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until_well("web", "Synced").await;
    let after = definition(r#""colour":{"type":"string"},"size":{"type":"integer","default":3}"#);
    world.merge(&format!("{DEFINITIONS}/widgets.example.com"), &after.to_json(), "kubectl-edit").await;
    // The next write of the object brings the default into it; by hand, so that it is seen to be looked at.
    let one = format!("{WIDGETS}/one");
    world
        .merge(&one, r#"{"metadata":{"annotations":{"example.com/note":"checked"}}}"#, "kubectl-annotate")
        .await;
    world.wait(&one, |found| found.is_some_and(|it| it.int_at(&["spec", "size"]) == Some(3))).await;
    let path = "/apis/trueup.dev/v1alpha1/namespaces/argocd/driftreports/web";
    let only_the_note = |found: Option<&Value>| {
        let differences = found.map(|report| report.list_at(&["status", "differences"])).unwrap_or_default();
        let paths: Vec<_> = differences.iter().filter_map(|it| it.str_at(&["path"])).collect();
        paths == [r#".metadata.annotations["example.com/note"]"#]
    };
    world.wait(path, only_the_note).await;
    world.end().await;
}
