//! What the server says it serves.

use kube::Discovery;
use serde_json::{Value, json};

use crate::world::World;

async fn get(world: &World, path: &str) -> Value {
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    world.client.request(request).await.unwrap()
}

#[tokio::test]
async fn both_forms_of_discovery_name_the_same_resources() {
    let world = World::start().await;
    let plain = Discovery::new(world.client.clone()).run().await.unwrap();
    let aggregated = Discovery::new(world.client.clone()).run_aggregated().await.unwrap();
    let names = |discovery: &Discovery| {
        let mut names: Vec<String> = discovery
            .groups()
            .flat_map(|group| group.resources_by_stability())
            .map(|(resource, _)| format!("{}/{}", resource.api_version, resource.plural))
            .collect();
        names.sort();
        names
    };
    assert!(names(&plain).contains(&"apps/v1/deployments".to_owned()));
    assert_eq!(names(&plain), names(&aggregated));
}

#[tokio::test]
async fn the_version_is_that_of_the_table() {
    let world = World::start().await;
    let version = world.client.apiserver_version().await.unwrap();
    assert!(version.git_version.starts_with("v1."), "{}", version.git_version);
}

#[tokio::test]
async fn openapi_names_types_and_what_a_patch_takes() {
    let world = World::start().await;
    let index = get(&world, "/openapi/v3").await;
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"].as_str().unwrap();
    let document = get(&world, url).await;
    let deployment = &document["components"]["schemas"]["io.k8s.api.apps.v1.Deployment"];
    assert_eq!(
        deployment["x-kubernetes-group-version-kind"],
        json!([{"group": "apps", "kind": "Deployment", "version": "v1"}])
    );
    let containers =
        &document["components"]["schemas"]["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    assert_eq!(containers["x-kubernetes-patch-merge-key"], json!("name"));
    let patch = &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    let parameters = patch["parameters"].as_array().unwrap();
    assert!(parameters.iter().any(|parameter| parameter["name"] == "fieldValidation"));
    assert!(patch["requestBody"]["content"]["application/strategic-merge-patch+json"].is_object());
    // Every reference leads somewhere.
    let schemas = document["components"]["schemas"].as_object().unwrap();
    for name in references(&document) {
        assert!(schemas.contains_key(&name), "{name}");
    }
}

fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(key, value)| match value.as_str() {
                Some(text) if key == "$ref" => vec![text.rsplit('/').next().unwrap_or_default().to_owned()],
                _ => references(value),
            })
            .collect(),
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}
