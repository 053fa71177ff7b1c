//! Getting and listing.

use kube::api::{Api, DeleteParams, ListParams, VersionMatch};
use serde_json::{Value, json};
use trueup_sandbox::internals::{ListOptions, Target};

use crate::world::{World, client, refusal};

#[tokio::test]
async fn a_missing_object_is_refused_in_the_servers_words() {
    let world = World::start().await;
    let status = refusal(world.config_maps().get("nothing").await);
    assert_eq!((status.code, status.reason.as_str()), (404, "NotFound"));
    assert_eq!(status.message, "configmaps \"nothing\" not found");
    let details = status.details.unwrap();
    assert_eq!((details.name.as_str(), details.kind.as_str()), ("nothing", "configmaps"));
}

#[tokio::test]
async fn strangers_are_not_let_in_and_others_are_who_they_are() {
    let world = World::start().await;
    let alice = client(&world.sandbox, "alice@example.com").await;
    let request = http::Request::post("/apis/authentication.k8s.io/v1/selfsubjectreviews")
        .body(br#"{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}"#.to_vec())
        .unwrap();
    let review: Value = alice.request(request).await.unwrap();
    assert_eq!(review["status"]["userInfo"]["username"], "alice@example.com");

    let kubeconfig = world.sandbox.kubeconfig("admin").replace("token: ", "token: not-");
    let kubeconfig = kube::config::Kubeconfig::from_yaml(&kubeconfig).unwrap();
    let config = kube::Config::from_custom_kubeconfig(kubeconfig, &Default::default()).await.unwrap();
    let stranger = kube::Client::try_from(config).unwrap();
    assert_eq!(refusal(stranger.apiserver_version().await).code, 401);
}

#[tokio::test]
async fn selectors_choose() {
    let world = World::start().await;
    let pods = world.dynamic("v1", "ConfigMap", "configmaps", Some("default"));
    for (name, app) in [("a", "web"), ("b", "web"), ("c", "db")] {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": name, "labels": {"app": app}}});
        pods.create(&Default::default(), &crate::world::object(object)).await.unwrap();
    }
    let names = |parameters: ListParams| {
        let pods = pods.clone();
        async move {
            let list = pods.list(&parameters).await.unwrap();
            list.items.into_iter().map(|item| item.metadata.name.unwrap()).collect::<Vec<_>>()
        }
    };
    assert_eq!(names(ListParams::default().labels("app=web")).await, ["a", "b"]);
    assert_eq!(names(ListParams::default().labels("app notin (web)")).await, ["c"]);
    assert_eq!(names(ListParams::default().fields("metadata.name=b")).await, ["b"]);
    let refused = refusal(pods.list(&ListParams::default().fields("data.x=1")).await);
    assert_eq!(
        (refused.code, refused.message.as_str()),
        (400, "\"data.x\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    );
}

#[tokio::test]
async fn pages_show_one_moment() {
    let world = World::start().await;
    for name in ["a", "b", "c"] {
        world.create_config_map(name, &json!({})).await;
    }
    let maps = world.config_maps();
    let first = maps.list(&ListParams::default().limit(2)).await.unwrap();
    assert_eq!(first.items.len(), 2);
    assert_eq!(first.metadata.remaining_item_count, Some(1));
    let token = first.metadata.continue_.unwrap();
    // What happens between the pages does not show.
    maps.delete("c", &DeleteParams::default()).await.unwrap();
    world.create_config_map("d", &json!({})).await;
    let second = maps.list(&ListParams::default().limit(2).continue_token(&token)).await.unwrap();
    let names: Vec<String> = second.items.into_iter().map(|item| item.metadata.name.unwrap()).collect();
    assert_eq!(names, ["c"]);
    assert_eq!(second.metadata.resource_version, first.metadata.resource_version);
    // A page of a moment that is forgotten is not given.
    world.sandbox.api().store().compact();
    world.create_config_map("e", &json!({})).await;
    let expired = refusal(maps.list(&ListParams::default().limit(2).continue_token(&token)).await);
    assert_eq!((expired.code, expired.reason.as_str()), (410, "Expired"));
}

#[tokio::test]
async fn lists_can_be_of_an_exact_past() {
    let world = World::start().await;
    world.create_config_map("a", &json!({"v": "1"})).await;
    let maps = world.config_maps();
    let past = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
    world.create_config_map("b", &json!({})).await;
    let exact = ListParams::default().at(&past).matching(VersionMatch::Exact);
    assert_eq!(maps.list(&exact).await.unwrap().items.len(), 1);
    // Asked without the client of the others, which would wait and try again.
    let kinds = world.sandbox.api().registry().kinds();
    let served = kinds.resource("", "v1", "configmaps").unwrap();
    let options = ListOptions { revision: Some(999_999), ..ListOptions::default() };
    let future = world.sandbox.api().list(Target::collection(served, "default"), &options).unwrap_err();
    assert_eq!((future.code, future.reason.as_str()), (504, "Timeout"));
}

#[tokio::test]
async fn metadata_alone_can_be_asked_for() {
    let world = World::start().await;
    world.create_config_map("a", &json!({"k": "v"})).await;
    let metadata = world.config_maps().get_metadata("a").await.unwrap();
    assert_eq!(metadata.metadata.name.as_deref(), Some("a"));
    let list = world.config_maps().list_metadata(&ListParams::default()).await.unwrap();
    assert_eq!(list.items.len(), 1);
}

#[tokio::test]
async fn tables_have_the_kinds_own_columns() {
    let world = World::start().await;
    world.create_config_map("a", &json!({"k": "v"})).await;
    let request = http::Request::get("/api/v1/namespaces/default/configmaps")
        .header("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
        .body(Vec::new())
        .unwrap();
    let table: Value = world.client.request(request).await.unwrap();
    assert_eq!(table["kind"], "Table");
    let columns: Vec<&str> = table["columnDefinitions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(columns, ["Name", "Data", "Age"]);
    assert_eq!(table["rows"][0]["cells"][0], "a");
    assert_eq!(table["rows"][0]["object"]["kind"], "PartialObjectMetadata");
}

#[tokio::test]
async fn objects_of_all_namespaces_are_listed_by_namespace_and_name() {
    let world = World::start().await;
    world.create_config_map("z", &json!({})).await;
    let system: Api<k8s_openapi::api::core::v1::ConfigMap> =
        Api::namespaced(world.client.clone(), "kube-system");
    let object = serde_json::from_value(json!({"metadata": {"name": "a"}})).unwrap();
    system.create(&Default::default(), &object).await.unwrap();
    let all: Api<k8s_openapi::api::core::v1::ConfigMap> = Api::all(world.client.clone());
    let names: Vec<String> = all
        .list(&ListParams::default())
        .await
        .unwrap()
        .items
        .into_iter()
        .map(|item| format!("{}/{}", item.metadata.namespace.unwrap(), item.metadata.name.unwrap()))
        .collect();
    assert_eq!(names, ["default/z", "kube-system/a"]);
}

#[tokio::test]
async fn who_prefers_protobuf_and_takes_json_gets_json() {
    let world = World::start().await;
    world.create_config_map("a", &json!({"b": "c"})).await;
    let ask = async |accept: &str| {
        let request = http::Request::get("/api/v1/namespaces/default/configmaps")
            .header("accept", accept)
            .body(kube::client::Body::empty())
            .unwrap();
        let answer = world.client.send(request).await.unwrap();
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        (answer.status().as_u16(), kind)
    };
    let json = "application/json".to_owned();
    // As clients of built-in kinds ask, of lists, of whole objects and of columns.
    for accept in [
        "application/vnd.kubernetes.protobuf,application/json",
        "application/vnd.kubernetes.protobuf;q=0.9,*/*",
        "application/vnd.kubernetes.protobuf;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1;g=meta.k8s.io",
    ] {
        assert_eq!(ask(accept).await, (200, json.clone()), "{accept}");
    }
    // A real server has it for built-in kinds, and refuses it so for custom ones.
    assert_eq!(ask("application/vnd.kubernetes.protobuf").await, (406, json));
}
