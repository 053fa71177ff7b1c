//! What makes a cluster of an API: a scheduler, evictions, endpoints, events, quotas, aggregated roles, registered APIs.

use kube::api::{DynamicObject, EvictParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use trueup_sandbox::internals::Target;
use trueup_sandbox::{SandboxOptions, Workloads};

use crate::world::{World, object, refusal, until};

async fn world() -> World {
    World::with(SandboxOptions { workloads: Workloads::Ready, ..SandboxOptions::default() }).await
}

fn pod(name: &str) -> DynamicObject {
    object(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [{"name": "app", "image": "shop/web:1", "ports": [{"name": "http", "containerPort": 8080}]}]},
    }))
}

async fn until_running(world: &World, name: &str) {
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    until("the pod runs", || {
        let pods = pods.clone();
        async move { pods.get(name).await.unwrap().data["status"]["phase"] == "Running" }
    })
    .await;
}

#[tokio::test]
async fn a_pod_is_scheduled_and_that_is_told() {
    let world = world().await;
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    pods.create(&PostParams::default(), &pod("web")).await.unwrap();
    until_running(&world, "web").await;
    let live = pods.get("web").await.unwrap();
    assert_eq!(live.data["spec"]["nodeName"], "sandbox-0");
    // Nobody owns the name of the node, as in a real cluster.
    let owned = live.metadata.managed_fields.unwrap_or_default();
    assert!(!serde_json::to_string(&owned).unwrap().contains("f:nodeName"));
    let selected = pods.list(&ListParams::default().fields("spec.nodeName=sandbox-0")).await.unwrap();
    assert_eq!(selected.items.len(), 1);
    let events = world.dynamic("v1", "Event", "events", Some("default"));
    let about = ListParams::default().fields("involvedObject.name=web,reason=Scheduled");
    let told = events.list(&about).await.unwrap();
    assert_eq!(told.items[0].data["message"], "Successfully assigned default/web to sandbox-0");
}

#[tokio::test]
async fn a_closed_node_takes_no_pod_until_it_opens() {
    let world = world().await;
    let nodes = world.dynamic("v1", "Node", "nodes", None);
    until("there is a node", || {
        let nodes = nodes.clone();
        async move { nodes.get_opt("sandbox-0").await.unwrap().is_some() }
    })
    .await;
    let close = |closed: bool| Patch::Merge(json!({"spec": {"unschedulable": closed}}));
    nodes.patch("sandbox-0", &PatchParams::default(), &close(true)).await.unwrap();
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    pods.create(&PostParams::default(), &pod("web")).await.unwrap();
    assert_eq!(pods.get("web").await.unwrap().data["spec"].get("nodeName"), None);
    nodes.patch("sandbox-0", &PatchParams::default(), &close(false)).await.unwrap();
    until_running(&world, "web").await;
}

#[tokio::test]
async fn an_eviction_asks_the_budget() {
    let world = world().await;
    let pods: kube::Api<k8s_openapi::api::core::v1::Pod> =
        kube::Api::namespaced(world.client.clone(), "default");
    let web = serde_json::from_value(serde_json::to_value(pod("web")).unwrap()).unwrap();
    pods.create(&PostParams::default(), &web).await.unwrap();
    until_running(&world, "web").await;
    let budgets = world.dynamic("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", Some("default"));
    let budget = object(json!({
        "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "web"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}},
    }));
    budgets.create(&PostParams::default(), &budget).await.unwrap();
    until("the budget is counted", || {
        let budgets = budgets.clone();
        async move { budgets.get("web").await.unwrap().data["status"]["expectedPods"] == 1 }
    })
    .await;
    // Not through the client, which asks again for minutes after such an answer.
    let kinds = world.sandbox.api().registry().kinds();
    let served = kinds.resource("", "v1", "pods").unwrap();
    let target = Target::object(served, "default", "web");
    let refused = world.sandbox.api().evict_pod(target, &trueup_object::Value::default()).unwrap_err();
    assert_eq!(refused.code, 429);
    assert_eq!(refused.message, "Cannot evict pod as it would violate the pod's disruption budget.");
    budgets.delete("web", &kube::api::DeleteParams::default()).await.unwrap();
    pods.evict("web", &EvictParams::default()).await.unwrap();
    assert_eq!(pods.get_opt("web").await.unwrap(), None);
    assert_eq!(refusal(pods.evict("web", &EvictParams::default()).await).code, 404);
}

#[tokio::test]
async fn a_service_has_its_endpoints() {
    let world = world().await;
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    let services = world.dynamic("v1", "Service", "services", Some("default"));
    let service = object(json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": "http"}]},
    }));
    services.create(&PostParams::default(), &service).await.unwrap();
    pods.create(&PostParams::default(), &pod("web")).await.unwrap();
    let slices = world.dynamic("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", Some("default"));
    let of_service = ListParams::default().labels("kubernetes.io/service-name=web");
    until("the pod is an endpoint", || {
        let (slices, of_service) = (slices.clone(), of_service.clone());
        async move {
            let listed = slices.list(&of_service).await.unwrap();
            listed.items.first().is_some_and(|slice| {
                slice.data["endpoints"][0]["conditions"]["ready"] == true
                    && slice.data["ports"][0]["port"] == 8080
            })
        }
    })
    .await;
    let older = world.dynamic("v1", "Endpoints", "endpoints", Some("default"));
    until("the older kind says so too", || {
        let older = older.clone();
        async move {
            let found = older.get_opt("web").await.unwrap();
            found.is_some_and(|it| it.data["subsets"][0]["ports"][0]["port"] == 8080)
        }
    })
    .await;
    services.delete("web", &kube::api::DeleteParams::default()).await.unwrap();
    until("both go with the service", || {
        let (slices, older, of_service) = (slices.clone(), older.clone(), of_service.clone());
        async move {
            slices.list(&of_service).await.unwrap().items.is_empty()
                && older.get_opt("web").await.unwrap().is_none()
        }
    })
    .await;
}

#[tokio::test]
async fn a_quota_counts() {
    let world = world().await;
    let quotas = world.dynamic("v1", "ResourceQuota", "resourcequotas", Some("default"));
    let quota = object(json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"},
        "spec": {"hard": {"count/leases.coordination.k8s.io": "5", "secrets": "3"}},
    }));
    quotas.create(&PostParams::default(), &quota).await.unwrap();
    let secrets = world.dynamic("v1", "Secret", "secrets", Some("default"));
    let secret = object(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}}));
    secrets.create(&PostParams::default(), &secret).await.unwrap();
    until("the secret is counted", || {
        let quotas = quotas.clone();
        async move {
            let status = quotas.get("q").await.unwrap().data["status"].clone();
            status["used"]["secrets"] == "1" && status["used"]["count/leases.coordination.k8s.io"] == "0"
        }
    })
    .await;
}

#[tokio::test]
async fn what_a_cluster_has_from_the_first_moment_is_there() {
    let world = World::start().await;
    for (version, kind, plural, name) in [
        ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", "cluster-admin"),
        ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", "view"),
        ("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "system-node-critical"),
        ("apiregistration.k8s.io/v1", "APIService", "apiservices", "v1.apps"),
    ] {
        let found = world.dynamic(version, kind, plural, None).get(name).await.unwrap();
        assert!(found.metadata.uid.is_some() && found.metadata.creation_timestamp.is_some(), "{name}");
    }
    let own = world.dynamic("v1", "Service", "services", Some("default")).get("kubernetes").await.unwrap();
    assert_eq!(own.data["spec"]["clusterIP"], "10.0.0.1");
}
