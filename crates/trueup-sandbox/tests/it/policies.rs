//! Expressions in the cluster: policies that refuse, policies that change, rules of custom kinds.

use kube::api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};

use crate::world::{World, object, refusal};

async fn create(
    world: &World,
    kind: &str,
    plural: &str,
    name: &str,
    spec: Value,
) -> kube::Result<DynamicObject> {
    let api = world.dynamic("admissionregistration.k8s.io/v1", kind, plural, None);
    let made = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "spec": spec,
    });
    api.create(&PostParams::default(), &object(made)).await
}

fn constraints() -> Value {
    json!({"resourceRules": [{
        "apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["configmaps"],
    }]})
}

async fn validating(world: &World, validation: Value) -> kube::Result<DynamicObject> {
    let spec = json!({
        "matchConstraints": constraints(),
        "variables": [{"name": "n", "expression": "has(object.data) ? size(object.data) : 0"}],
        "validations": [validation],
    });
    create(world, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", "few", spec).await?;
    let binding = json!({"policyName": "few", "validationActions": ["Deny"]});
    let plural = "validatingadmissionpolicybindings";
    create(world, "ValidatingAdmissionPolicyBinding", plural, "everywhere", binding).await
}

fn config_map(data: Value) -> k8s_openapi::api::core::v1::ConfigMap {
    serde_json::from_value(json!({"metadata": {"name": "c"}, "data": data})).unwrap()
}

#[tokio::test]
async fn a_policy_refuses_what_its_rule_does_not_hold_for() {
    let world = World::start().await;
    let rule = json!({"expression": "variables.n < 2", "messageExpression": "'not ' + string(variables.n)"});
    validating(&world, rule).await.unwrap();
    let params = PostParams::default();
    let refused =
        refusal(world.config_maps().create(&params, &config_map(json!({"a": "b", "c": "d"}))).await);
    assert_eq!(refused.code, 422);
    assert_eq!(refused.reason, "Invalid");
    assert_eq!(
        refused.message,
        "configmaps \"c\" is forbidden: ValidatingAdmissionPolicy 'few' with binding 'everywhere' denied request: not 2"
    );
    world.config_maps().create(&params, &config_map(json!({"a": "b"}))).await.unwrap();
}

/// A write is decoded once more when it was judged: what its body gives cause for is told all the same.
#[tokio::test]
async fn unknown_fields_are_told_of_where_a_policy_is_asked_too() {
    let world = World::start().await;
    validating(&world, json!({"expression": "variables.n < 2"})).await.unwrap();
    for (name, code) in [("fine", 201), ("Wrong", 422)] {
        let body =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "dat": {"a": "b"}});
        let request = http::Request::post("/api/v1/namespaces/default/configmaps?fieldValidation=Warn")
            .header("content-type", "application/json")
            .body(kube::client::Body::from(body.to_string().into_bytes()))
            .unwrap();
        let answer = world.client.send(request).await.unwrap();
        assert_eq!(answer.status(), code);
        assert_eq!(answer.headers()["warning"], r#"299 - "unknown field \"dat\"""#);
    }
}

#[tokio::test]
async fn a_policy_that_does_not_compile_is_refused() {
    let world = World::start().await;
    let refused = refusal(validating(&world, json!({"expression": "variables.m < 2"})).await);
    assert_eq!(refused.code, 422);
    assert!(
        refused.message.contains("undefined field 'm'\n | variables.m < 2\n | .........^"),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn a_mutating_policy_sets_what_nobody_owns() {
    let world = World::start().await;
    let spec = json!({
        "matchConstraints": constraints(),
        "reinvocationPolicy": "Never",
        "mutations": [
            {
                "patchType": "ApplyConfiguration",
                "applyConfiguration": {"expression": "Object{data: {'by': 'policy'}}"},
            },
            {
                "patchType": "JSONPatch",
                "jsonPatch": {"expression": "[JSONPatch{op: 'add', path: '/data/and', value: object.data.by + '!'}]"},
            },
        ],
    });
    create(&world, "MutatingAdmissionPolicy", "mutatingadmissionpolicies", "set", spec).await.unwrap();
    let binding = json!({"policyName": "set"});
    create(&world, "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings", "set", binding)
        .await
        .unwrap();
    let patch =
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"own": "1"}});
    let made =
        world.config_maps().patch("c", &PatchParams::apply("me"), &Patch::Apply(&patch)).await.unwrap();
    let made = serde_json::to_value(made).unwrap();
    assert_eq!(made["data"], json!({"own": "1", "by": "policy", "and": "policy!"}));
    let entries = made["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["fieldsV1"]["f:data"], json!({"f:own": {}}));
}

#[tokio::test]
async fn a_rule_of_a_custom_kind_is_held() {
    let world = World::start().await;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "tickets.example.com"},
        "spec": {
            "group": "example.com", "scope": "Namespaced", "names": {"kind": "Ticket", "plural": "tickets"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "properties": {"spec": {
                    "type": "object", "properties": {"size": {"type": "integer"}},
                    "x-kubernetes-validations": [
                        {"rule": "self.size > 0", "message": "too small", "fieldPath": ".size"},
                        {"rule": "self.size >= oldSelf.size"},
                    ],
                }},
            }}}],
        },
    });
    let kind = "CustomResourceDefinition";
    let definitions = world.dynamic("apiextensions.k8s.io/v1", kind, "customresourcedefinitions", None);
    definitions.create(&PostParams::default(), &object(definition)).await.unwrap();
    let tickets = world.dynamic("example.com/v1", "Ticket", "tickets", Some("default"));
    let ticket = |size: i64| {
        object(json!({
            "apiVersion": "example.com/v1", "kind": "Ticket", "metadata": {"name": "t"}, "spec": {"size": size},
        }))
    };
    let refused = refusal(tickets.create(&PostParams::default(), &ticket(0)).await);
    assert_eq!(refused.message, "Ticket.example.com \"t\" is invalid: spec.size: Invalid value: too small");
    tickets.create(&PostParams::default(), &ticket(5)).await.unwrap();
    let less = Patch::Merge(json!({"spec": {"size": 4}}));
    let refused = refusal(tickets.patch("t", &PatchParams::default(), &less).await);
    assert!(refused.message.ends_with("failed rule: self.size >= oldSelf.size"), "{}", refused.message);
    let more = Patch::Merge(json!({"spec": {"size": 6}}));
    tickets.patch("t", &PatchParams::default(), &more).await.unwrap();
}

#[tokio::test]
async fn a_policy_is_asked_about_deletes_and_subresources() {
    let world = World::start().await;
    let params = PostParams::default();
    world.config_maps().create(&params, &config_map(json!({}))).await.unwrap();
    let spec = json!({
        "matchConstraints": {"resourceRules": [{
            "apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["configmaps", "*/scale"],
        }]},
        "validations": [{
            "expression": "request.operation == 'CREATE'",
            "messageExpression": "request.operation + ' ' + (object == null ? oldObject : object).kind",
            "reason": "Forbidden",
        }],
    });
    create(&world, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", "all", spec).await.unwrap();
    let binding = json!({"policyName": "all", "validationActions": ["Deny"]});
    let plural = "validatingadmissionpolicybindings";
    create(&world, "ValidatingAdmissionPolicyBinding", plural, "all", binding).await.unwrap();
    let refused = refusal(world.config_maps().delete("c", &DeleteParams::default()).await);
    assert_eq!((refused.code, refused.message.ends_with("denied request: DELETE ConfigMap")), (403, true));
    let all = world.config_maps().delete_collection(&DeleteParams::default(), &ListParams::default()).await;
    assert!(refusal(all).message.starts_with("configmaps \"Unknown\" is forbidden"));
    world.config_maps().get("c").await.unwrap();
    let deployments = world.dynamic("apps/v1", "Deployment", "deployments", Some("default"));
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "c"}]}});
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template},
    });
    deployments.create(&params, &object(deployment)).await.unwrap();
    let two = Patch::Merge(json!({"spec": {"replicas": 2}}));
    let refused = refusal(deployments.patch_scale("d", &PatchParams::default(), &two).await);
    assert!(refused.message.ends_with("denied request: UPDATE Scale"), "{}", refused.message);
    // The object itself is another resource.
    deployments.patch("d", &PatchParams::default(), &two).await.unwrap();
}
