//! Who may do what: roles, bindings, people who stand in for others, tokens of service accounts, reviews.

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::{Api, ListParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::world::{World, client, object, refusal};

/// A client of somebody for whom the administrator stands in.
async fn standing_in(world: &World, user: &str) -> Client {
    let kubeconfig = Kubeconfig::from_yaml(&world.sandbox.kubeconfig("admin")).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.auth_info.impersonate = Some(user.to_owned());
    Client::try_from(config).unwrap()
}

async fn allow(world: &World, verbs: &Value, subject: &Value) {
    let roles = world.dynamic("rbac.authorization.k8s.io/v1", "Role", "roles", Some("default"));
    let role = object(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "maps"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": verbs}],
    }));
    roles.create(&PostParams::default(), &role).await.unwrap();
    let bindings =
        world.dynamic("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", Some("default"));
    let binding = object(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "maps"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "maps"},
        "subjects": [subject],
    }));
    bindings.create(&PostParams::default(), &binding).await.unwrap();
}

#[tokio::test]
async fn a_user_may_do_what_a_binding_gives() {
    let world = World::start().await;
    let jane = standing_in(&world, "jane").await;
    let maps: Api<ConfigMap> = Api::namespaced(jane.clone(), "default");
    let refused = refusal(maps.list(&ListParams::default()).await);
    assert_eq!((refused.code, refused.reason.as_str()), (403, "Forbidden"));
    assert_eq!(
        refused.message,
        "configmaps is forbidden: User \"jane\" cannot list resource \"configmaps\" in API group \"\" in the namespace \
         \"default\""
    );
    let subject = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"});
    allow(&world, &json!(["list"]), &subject).await;
    maps.list(&ListParams::default()).await.unwrap();
    assert_eq!(refusal(maps.delete("any", &kube::api::DeleteParams::default()).await).code, 403);
    let elsewhere: Api<ConfigMap> = Api::namespaced(jane, "kube-system");
    assert_eq!(refusal(elsewhere.list(&ListParams::default()).await).code, 403);
}

#[tokio::test]
async fn people_are_bound_to_everything_and_strangers_are_nobody() {
    let world = World::start().await;
    let alice = client(&world.sandbox, "alice@example.com").await;
    let maps: Api<ConfigMap> = Api::namespaced(alice, "default");
    maps.list(&ListParams::default()).await.unwrap();
    let bindings =
        world.dynamic("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", None);
    let all = bindings.list(&ListParams::default()).await.unwrap();
    for binding in all.items.iter().filter(|it| it.data["subjects"][0]["name"] == "trueup:people") {
        let name = binding.metadata.name.as_deref().unwrap();
        bindings.delete(name, &kube::api::DeleteParams::default()).await.unwrap();
    }
    assert_eq!(refusal(maps.list(&ListParams::default()).await).code, 403);
    let nobody = standing_in(&world, "nobody").await;
    // What everybody may see: discovery.
    nobody.apiserver_version().await.unwrap();
}

#[tokio::test]
async fn a_service_account_acts_with_its_token() {
    let world = World::start().await;
    let accounts: Api<ServiceAccount> = Api::namespaced(world.client.clone(), "default");
    let robot = serde_json::from_value(json!({"metadata": {"name": "robot"}})).unwrap();
    accounts.create(&PostParams::default(), &robot).await.unwrap();
    let subject = json!({"kind": "ServiceAccount", "name": "robot", "namespace": "default"});
    allow(&world, &json!(["list"]), &subject).await;
    let request =
        serde_json::from_value(json!({"spec": {"audiences": [], "expirationSeconds": 600}})).unwrap();
    let issued = accounts.create_token_request("robot", &PostParams::default(), &request).await.unwrap();
    let kubeconfig = Kubeconfig::from_yaml(&world.sandbox.kubeconfig("admin")).unwrap();
    let mut config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    config.auth_info.token = Some(issued.status.unwrap().token.into());
    let as_robot = Client::try_from(config).unwrap();
    let maps: Api<ConfigMap> = Api::namespaced(as_robot.clone(), "default");
    maps.list(&ListParams::default()).await.unwrap();
    let others: Api<ServiceAccount> = Api::namespaced(as_robot, "default");
    assert_eq!(refusal(others.list(&ListParams::default()).await).code, 403);
    accounts.delete("robot", &kube::api::DeleteParams::default()).await.unwrap();
    assert_eq!(refusal(maps.list(&ListParams::default()).await).code, 401);
    let missing = accounts.create_token_request("robot", &PostParams::default(), &request).await;
    assert_eq!(refusal(missing).code, 404);
}

#[tokio::test]
async fn reviews_say_what_would_be_allowed() {
    let world = World::start().await;
    let reviews =
        world.dynamic("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", None);
    let ask = async |user: &str| {
        let review = object(json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
            "spec": {"user": user, "groups": ["team"],
                     "resourceAttributes": {"verb": "list", "resource": "configmaps", "namespace": "default"}},
        }));
        reviews.create(&PostParams::default(), &review).await.unwrap().data["status"].clone()
    };
    assert_eq!(ask("jane").await["allowed"], false);
    allow(
        &world,
        &json!(["*"]),
        &json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "team"}),
    )
    .await;
    let status = ask("jane").await;
    assert_eq!(status["allowed"], true);
    assert_eq!(
        status["reason"],
        "RBAC: allowed by RoleBinding \"maps/default\" of Role \"maps\" to Group \"team\""
    );
}

#[tokio::test]
async fn nobody_gives_rights_that_he_has_not() {
    let world = World::start().await;
    let role = |name: &str, resource: &str| {
        object(json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name},
            "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get", "list"]}],
        }))
    };
    let writer = object(json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "writer"},
        "rules": [
            {"apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"], "verbs": ["create"]},
            {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]},
        ],
    }));
    let version = "rbac.authorization.k8s.io/v1";
    let roles = world.dynamic(version, "Role", "roles", Some("default"));
    roles.create(&PostParams::default(), &writer).await.unwrap();
    let binding = object(json!({
        "apiVersion": version, "kind": "RoleBinding", "metadata": {"name": "writer"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "writer"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
    }));
    let bindings = world.dynamic(version, "RoleBinding", "rolebindings", Some("default"));
    bindings.create(&PostParams::default(), &binding).await.unwrap();
    let gvk = kube::api::GroupVersionKind::gvk("rbac.authorization.k8s.io", "v1", "Role");
    let resource = kube::discovery::ApiResource::from_gvk_with_plural(&gvk, "roles");
    let jane = standing_in(&world, "jane").await;
    let hers: Api<kube::api::DynamicObject> = Api::namespaced_with(jane, "default", &resource);
    hers.create(&PostParams::default(), &role("held", "configmaps")).await.unwrap();
    let refused = refusal(hers.create(&PostParams::default(), &role("more", "secrets")).await);
    assert_eq!(
        refused.message,
        "roles.rbac.authorization.k8s.io \"more\" is forbidden: user \"jane\" (groups=[\"system:authenticated\"]) is \
         attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"secrets\"], \
         Verbs:[\"get\" \"list\"]}"
    );
}
