//! Creating, updating, patching: what the API adds to the write pipeline.

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;

use crate::world::{World, object, refusal};

#[tokio::test]
async fn nothing_is_created_where_there_is_no_namespace() {
    let world = World::start().await;
    let nowhere: Api<ConfigMap> = Api::namespaced(world.client.clone(), "nowhere");
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    let status = refusal(nowhere.create(&PostParams::default(), &object).await);
    assert_eq!((status.code, status.message.as_str()), (404, "namespaces \"nowhere\" not found"));
}

#[tokio::test]
async fn nothing_is_created_in_all_namespaces_at_once() {
    let world = World::start().await;
    let everywhere: Api<ConfigMap> = Api::all(world.client.clone());
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    let status = refusal(everywhere.create(&PostParams::default(), &object).await);
    assert_eq!((status.code, status.reason.as_str()), (405, "MethodNotAllowed"));
}

#[tokio::test]
async fn nothing_is_created_twice() {
    let world = World::start().await;
    world.create_config_map("a", &json!({})).await;
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    let status = refusal(world.config_maps().create(&PostParams::default(), &object).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "AlreadyExists"));
    assert_eq!(status.message, "configmaps \"a\" already exists");
}

#[tokio::test]
async fn nothing_is_created_twice_where_webhooks_are() {
    let world = World::start().await;
    // About a kind that nobody serves: every write goes by the webhooks all the same.
    let hooks: Api<ValidatingWebhookConfiguration> = Api::all(world.client.clone());
    let hook = serde_json::from_value(json!({
        "metadata": {"name": "elsewhere"},
        "webhooks": [{
            "name": "elsewhere.example.com", "admissionReviewVersions": ["v1"], "sideEffects": "None",
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "rules": [{"apiGroups": ["foo.example.com"], "apiVersions": ["v1"], "operations": ["*"], "resources": ["*"]}],
        }],
    }));
    hooks.create(&PostParams::default(), &hook.unwrap()).await.unwrap();
    world.create_config_map("a", &json!({})).await;
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    let status = refusal(world.config_maps().create(&PostParams::default(), &object).await);
    assert_eq!((status.code, status.message.as_str()), (409, "configmaps \"a\" already exists"));
}

#[tokio::test]
async fn an_old_version_does_not_overwrite_a_new_one() {
    let world = World::start().await;
    let old = world.create_config_map("a", &json!({"v": "1"})).await;
    let mut newer = old.clone();
    newer.data.as_mut().unwrap().insert("v".to_owned(), "2".to_owned());
    world.config_maps().replace("a", &PostParams::default(), &newer).await.unwrap();
    let status = refusal(world.config_maps().replace("a", &PostParams::default(), &newer).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    assert!(
        status.message.starts_with("Operation cannot be fulfilled on configmaps \"a\""),
        "{}",
        status.message
    );
}

#[tokio::test]
async fn a_write_that_changes_nothing_keeps_the_version() {
    let world = World::start().await;
    let created = world.create_config_map("a", &json!({"v": "1"})).await;
    let patch = Patch::Merge(json!({"data": {"v": "1"}}));
    let patched = world.config_maps().patch("a", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.metadata.resource_version, created.metadata.resource_version);
}

#[tokio::test]
async fn a_dry_run_leaves_nothing() {
    let world = World::start().await;
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    let parameters = PostParams { dry_run: true, ..PostParams::default() };
    let shown = world.config_maps().create(&parameters, &object).await.unwrap();
    assert!(shown.metadata.uid.is_some());
    assert_eq!(refusal(world.config_maps().get("a").await).code, 404);
    assert!(world.sandbox.requests().last().unwrap().dry_run);
}

#[tokio::test]
async fn names_are_generated() {
    let world = World::start().await;
    let object: ConfigMap = serde_json::from_value(json!({"metadata": {"generateName": "job-"}})).unwrap();
    let mut names = Vec::new();
    for _ in 0..3 {
        let created = world.config_maps().create(&PostParams::default(), &object).await.unwrap();
        names.push(created.metadata.name.unwrap());
    }
    assert!(names.iter().all(|name| name.len() == "job-".len() + 5), "{names:?}");
    names.dedup();
    assert_eq!(names.len(), 3);
}

#[tokio::test]
async fn applies_conflict_and_are_forced() {
    let world = World::start().await;
    world.create_config_map("a", &json!({"v": "1"})).await;
    let patch = Patch::Apply(json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"v": "2"}}));
    let status = refusal(world.config_maps().patch("a", &PatchParams::apply("tool"), &patch).await);
    assert_eq!((status.code, status.reason.as_str()), (409, "Conflict"));
    let cause = &status.details.unwrap().causes[0];
    assert_eq!((cause.reason.as_str(), cause.field.as_str()), ("FieldManagerConflict", ".data.v"));
    let forced = world.config_maps().patch("a", &PatchParams::apply("tool").force(), &patch).await.unwrap();
    assert_eq!(forced.data.unwrap()["v"], "2");
}

#[tokio::test]
async fn an_apply_of_what_is_not_there_creates_it() {
    let world = World::start().await;
    let object =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "new"}, "data": {"v": "1"}});
    let patch = Patch::Apply(object);
    let created = world.config_maps().patch("new", &PatchParams::apply("tool"), &patch).await.unwrap();
    assert_eq!(created.metadata.name.as_deref(), Some("new"));
    let missing =
        refusal(world.config_maps().patch("other", &PatchParams::default(), &Patch::Merge(json!({}))).await);
    assert_eq!(missing.code, 404);
}

#[tokio::test]
async fn the_log_of_writes_names_who_did_what() {
    let world = World::start().await;
    world.create_config_map("a", &json!({})).await;
    world.config_maps().list(&ListParams::default()).await.unwrap();
    let records = world.sandbox.requests();
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].verb.as_str(), records[0].path.as_str(), records[0].user.as_str(), records[0].code),
        ("create", "/api/v1/namespaces/default/configmaps", "admin", 201)
    );
}

#[tokio::test]
async fn autoscalers_are_the_same_objects_in_both_versions() {
    let world = World::start().await;
    let plural = "horizontalpodautoscalers";
    let v1 = world.dynamic("autoscaling/v1", "HorizontalPodAutoscaler", plural, Some("default"));
    let autoscaler = object(json!({
        "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"},
                 "maxReplicas": 5, "targetCPUUtilizationPercentage": 70},
    }));
    v1.create(&PostParams::default(), &autoscaler).await.unwrap();
    let v2 = world.dynamic("autoscaling/v2", "HorizontalPodAutoscaler", plural, Some("default"));
    let seen = v2.get("h").await.unwrap();
    assert_eq!(seen.data["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"], 70);
    let patch = Patch::Merge(json!({"spec": {"maxReplicas": 6}}));
    let patched = v1.patch("h", &PatchParams::default(), &patch).await.unwrap();
    assert_eq!(patched.data["spec"]["maxReplicas"], 6);
    assert_eq!(patched.data["spec"]["targetCPUUtilizationPercentage"], 70);
}

#[tokio::test]
async fn events_are_the_same_objects_in_both_groups() {
    let world = World::start().await;
    let new = world.dynamic("events.k8s.io/v1", "Event", "events", Some("default"));
    let event = object(json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e"},
        "regarding": {"kind": "Pod", "name": "p", "namespace": "default"}, "note": "it happened",
        "reason": "Happened", "action": "Watch", "type": "Normal", "eventTime": "2026-03-01T10:00:00.000000Z",
        "reportingController": "trueup", "reportingInstance": "trueup-0",
    }));
    new.create(&PostParams::default(), &event).await.unwrap();
    let core = world.dynamic("v1", "Event", "events", Some("default"));
    let seen = core.get("e").await.unwrap();
    assert_eq!(seen.data["message"], "it happened");
    assert_eq!(seen.data["involvedObject"]["name"], "p");
    let selected = core.list(&ListParams::default().fields("involvedObject.name=p")).await.unwrap();
    assert_eq!(selected.items.len(), 1);
}
