//! Admission is asked about what the sandbox's own controllers write, as a real API server asks about its controllers.

use kube::api::{DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};
use trueup_sandbox::{SandboxOptions, Workloads};

use crate::world::{World, object, until};

const GROUP: &str = "admissionregistration.k8s.io/v1";

async fn world() -> World {
    World::with(SandboxOptions { workloads: Workloads::Ready, ..SandboxOptions::default() }).await
}

async fn create(world: &World, kind: &str, name: &str, spec: Value) {
    let plural = if kind.ends_with("Policy") {
        format!("{}ies", kind.to_lowercase().trim_end_matches('y'))
    } else {
        format!("{}s", kind.to_lowercase())
    };
    let api = world.dynamic(GROUP, kind, &plural, None);
    let made = json!({"apiVersion": GROUP, "kind": kind, "metadata": {"name": name}, "spec": spec});
    api.create(&PostParams::default(), &object(made)).await.unwrap();
}

fn new_pods() -> Value {
    json!({"resourceRules": [{
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"],
    }]})
}

async fn deploy(world: &World) {
    let deployment = object(json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "app", "image": "shop/web:1"}]},
        }},
    }));
    let api = world.dynamic("apps/v1", "Deployment", "deployments", Some("default"));
    api.create(&PostParams::default(), &deployment).await.unwrap();
}

async fn listed(world: &World, api_version: &str, kind: &str, plural: &str) -> Vec<DynamicObject> {
    let api = world.dynamic(api_version, kind, plural, Some("default"));
    api.list(&ListParams::default()).await.unwrap().items
}

#[tokio::test]
async fn a_mutating_policy_changes_the_pods_of_a_deployment() {
    let world = world().await;
    let expression =
        "Object{metadata: Object.metadata{labels: {'made-by': request.userInfo.username.split(':')[3]}}}";
    let spec = json!({
        "matchConstraints": new_pods(), "reinvocationPolicy": "Never",
        "mutations": [{"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}],
    });
    create(&world, "MutatingAdmissionPolicy", "mark", spec).await;
    create(&world, "MutatingAdmissionPolicyBinding", "mark", json!({"policyName": "mark"})).await;
    deploy(&world).await;
    until("a pod with the label of the policy", || async {
        let pods = listed(&world, "v1", "Pod", "pods").await;
        let marked = |pod: &DynamicObject| {
            pod.metadata
                .labels
                .as_ref()
                .is_some_and(|labels| labels.get("made-by").is_some_and(|by| by == "replicaset-controller"))
        };
        pods.len() == 1 && pods.iter().all(marked)
    })
    .await;
}

#[tokio::test]
async fn a_validating_policy_refuses_the_pods_of_a_deployment() {
    let world = world().await;
    let spec = json!({
        "matchConstraints": new_pods(),
        "validations": [{"expression": "request.userInfo.username == 'admin'", "message": "by people only"}],
    });
    create(&world, "ValidatingAdmissionPolicy", "people", spec).await;
    let binding = json!({"policyName": "people", "validationActions": ["Deny"]});
    create(&world, "ValidatingAdmissionPolicyBinding", "people", binding).await;
    deploy(&world).await;
    until("a set that tells why it has no pods", || async {
        let sets = listed(&world, "apps/v1", "ReplicaSet", "replicasets").await;
        let told = |set: &DynamicObject| {
            let conditions = set.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
            conditions.iter().any(|condition| {
                condition["type"] == "ReplicaFailure"
                    && condition["message"].as_str().is_some_and(|words| words.ends_with("by people only"))
            })
        };
        sets.iter().any(told)
    })
    .await;
    assert!(listed(&world, "v1", "Pod", "pods").await.is_empty());
}
