//! What becomes of workloads: rollouts, pods, statuses, under the names that a real cluster writes them.

use kube::ResourceExt;
use kube::api::{DynamicObject, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use trueup_sandbox::{SandboxOptions, Workloads};

use crate::world::{World, object, until};

async fn world(workloads: Workloads) -> World {
    World::with(SandboxOptions { workloads, ..SandboxOptions::default() }).await
}

fn workload(kind: &str, name: &str, spec: Value) -> DynamicObject {
    let mut all = json!({
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name}},
            "spec": {"containers": [{"name": "app", "image": "shop/web:1"}]}},
    });
    all.as_object_mut().unwrap().extend(spec.as_object().unwrap().clone());
    let version = if kind == "Job" { "batch/v1" } else { "apps/v1" };
    object(json!({"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": all}))
}

/// The number at a path below `.status`; absent counts as 0.
fn count(object: &DynamicObject, key: &str) -> i64 {
    object.data["status"][key].as_i64().unwrap_or_default()
}

fn reason(object: &DynamicObject, kind: &str) -> String {
    let conditions = object.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let found = conditions.into_iter().find(|condition| condition["type"] == kind);
    found.map(|condition| condition["reason"].as_str().unwrap_or_default().to_owned()).unwrap_or_default()
}

/// Who wrote what part: `manager/subresource`.
fn writers(object: &DynamicObject) -> Vec<String> {
    let fields = object.managed_fields().iter();
    let mut writers: Vec<String> = fields
        .map(|entry| {
            let part = entry.subresource.clone().unwrap_or_default();
            format!("{}/{part}", entry.manager.clone().unwrap_or_default())
        })
        .collect();
    writers.sort();
    writers
}

#[tokio::test]
async fn a_deployment_rolls_out_and_over() {
    let world = world(Workloads::Ready).await;
    let deployments = world.dynamic("apps/v1", "Deployment", "deployments", Some("default"));
    let sets = world.dynamic("apps/v1", "ReplicaSet", "replicasets", Some("default"));
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    let parameters = PostParams { field_manager: Some("tester".to_owned()), ..PostParams::default() };
    deployments.create(&parameters, &workload("Deployment", "web", json!({"replicas": 3}))).await.unwrap();
    let available = |revision: &'static str| {
        let deployments = deployments.clone();
        async move {
            let live = deployments.get("web").await.unwrap();
            count(&live, "availableReplicas") == 3
                && count(&live, "updatedReplicas") == 3
                && count(&live, "replicas") == 3
                && reason(&live, "Progressing") == "NewReplicaSetAvailable"
                && live.annotations().get("deployment.kubernetes.io/revision").map(String::as_str)
                    == Some(revision)
        }
    };
    until("the deployment is available", || available("1")).await;
    let live = deployments.get("web").await.unwrap();
    assert_eq!(writers(&live), ["kube-controller-manager/status", "tester/"]);
    assert_eq!(live.metadata.generation, Some(1));
    assert_eq!(live.data["status"]["observedGeneration"], 1);
    assert_eq!(reason(&live, "Available"), "MinimumReplicasAvailable");
    let first = pods.list(&ListParams::default().labels("app=web")).await.unwrap();
    assert_eq!(first.items.len(), 3);
    assert!(first.items.iter().all(|pod| writers(pod).contains(&"kubelet/status".to_owned())));

    let image =
        json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "shop/web:2"}]}}}});
    let patch = PatchParams::apply("kubectl-set");
    deployments.patch("web", &patch, &Patch::Strategic(image)).await.unwrap();
    until("the new template is rolled out", || available("2")).await;
    let kept = sets.list(&ListParams::default()).await.unwrap();
    let sizes: Vec<i64> =
        kept.items.iter().map(|set| set.data["spec"]["replicas"].as_i64().unwrap()).collect();
    assert_eq!(sizes.iter().sum::<i64>(), 3);
    assert_eq!(sizes.len(), 2);
    world.sandbox.shutdown().await;
}

#[tokio::test]
async fn pods_wait_for_what_they_take_from_elsewhere() {
    let world = world(Workloads::Ready).await;
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    let secrets = world.dynamic("v1", "Secret", "secrets", Some("default"));
    let pod = |name: &str, optional: bool| {
        let key = json!({"name": "login", "key": "password", "optional": optional});
        let container = json!({"name": "app", "image": "shop/a:1",
            "env": [{"name": "PASSWORD", "valueFrom": {"secretKeyRef": key}}]});
        let volume = json!({"name": "settings", "configMap": {"name": "settings", "optional": optional}});
        object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
            "spec": {"containers": [container], "volumes": [volume]}}))
    };
    let parameters = PostParams::default();
    pods.create(&parameters, &pod("strict", false)).await.unwrap();
    pods.create(&parameters, &pod("lenient", true)).await.unwrap();
    let waits = |wanted: &'static str| {
        let pods = pods.clone();
        async move {
            let live = pods.get("strict").await.unwrap();
            let waiting = &live.data["status"]["containerStatuses"][0]["state"]["waiting"];
            let part = |key: &str| waiting[key].as_str().unwrap_or_default().to_owned();
            live.data["status"]["phase"] == "Pending"
                && format!("{}:{}", part("reason"), part("message")) == wanted
        }
    };
    until("it waits for its volume", || waits("ContainerCreating:")).await;
    let told = world.dynamic("v1", "Event", "events", Some("default"));
    until("that is told", || async {
        let told = told.list(&ListParams::default()).await.unwrap().items;
        let message = "MountVolume.SetUp failed for volume \"settings\" : configmap \"settings\" not found";
        told.iter().any(|it| it.data["reason"] == "FailedMount" && it.data["message"] == message)
    })
    .await;
    world.create_config_map("settings", &json!({"a": "b"})).await;
    until("it waits for the secret", || waits("CreateContainerConfigError:secret \"login\" not found")).await;
    let secret = object(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "login"}}));
    secrets.create(&parameters, &secret).await.unwrap();
    let key = "CreateContainerConfigError:couldn't find key password in Secret default/login";
    until("it waits for the key", || waits(key)).await;
    let patch = Patch::Merge(json!({"stringData": {"password": "x"}}));
    secrets.patch("login", &PatchParams::default(), &patch).await.unwrap();
    for name in ["strict", "lenient"] {
        until("it runs", || async { pods.get(name).await.unwrap().data["status"]["phase"] == "Running" })
            .await;
    }
    let live = pods.get("strict").await.unwrap();
    assert_eq!(reason(&live, "Ready"), "");
    assert_eq!(live.data["status"]["containerStatuses"][0]["ready"], true);
    world.sandbox.shutdown().await;
}

#[tokio::test]
async fn without_nodes_a_rollout_stays_in_progress() {
    let world = world(Workloads::Pending).await;
    let deployments = world.dynamic("apps/v1", "Deployment", "deployments", Some("default"));
    let parameters = PostParams::default();
    deployments.create(&parameters, &workload("Deployment", "web", json!({"replicas": 2}))).await.unwrap();
    until("the pods are there, and pending", || async {
        let live = deployments.get("web").await.unwrap();
        count(&live, "unavailableReplicas") == 2 && reason(&live, "Progressing") == "ReplicaSetUpdated"
    })
    .await;
    let live = deployments.get("web").await.unwrap();
    assert_eq!(reason(&live, "Available"), "MinimumReplicasUnavailable");
    assert_eq!(count(&live, "readyReplicas"), 0);
    world.sandbox.shutdown().await;
}

#[tokio::test]
async fn other_workloads_get_their_pods() {
    let storage_class = Some("standard".to_owned());
    let world = World::with(SandboxOptions { storage_class, ..SandboxOptions::default() }).await;
    let stateful = world.dynamic("apps/v1", "StatefulSet", "statefulsets", Some("default"));
    let daemons = world.dynamic("apps/v1", "DaemonSet", "daemonsets", Some("default"));
    let jobs = world.dynamic("batch/v1", "Job", "jobs", Some("default"));
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    let parameters = PostParams::default();
    let claim = json!({"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}}}});
    let spec = json!({"replicas": 2, "serviceName": "db", "volumeClaimTemplates": [claim]});
    stateful.create(&parameters, &workload("StatefulSet", "db", spec)).await.unwrap();
    daemons.create(&parameters, &workload("DaemonSet", "agent", json!({}))).await.unwrap();
    let template = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "i:1"}]}});
    let job = json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"}, "spec": {"template": template}});
    jobs.create(&parameters, &object(job)).await.unwrap();
    until("the stateful set is ready", || async {
        let live = stateful.get("db").await.unwrap();
        count(&live, "readyReplicas") == 2 && count(&live, "updatedReplicas") == 2
    })
    .await;
    until("the daemon set is ready", || async {
        count(&daemons.get("agent").await.unwrap(), "numberReady") == 1
    })
    .await;
    until("the job is complete", || async {
        let live = jobs.get("once").await.unwrap();
        count(&live, "succeeded") == 1 && reason(&live, "Complete") == "CompletionsReached"
    })
    .await;
    let second = pods.get("db-1").await.unwrap();
    assert_eq!(second.data["spec"]["hostname"], "db-1");
    let claims = world.dynamic("v1", "PersistentVolumeClaim", "persistentvolumeclaims", Some("default"));
    let claim = claims.get("data-db-1").await.unwrap();
    assert_eq!(claim.data["status"]["phase"], "Bound");
    world.sandbox.shutdown().await;
}

#[tokio::test]
async fn a_namespace_gets_its_account_and_certificate() {
    let world = world(Workloads::Ready).await;
    let namespace = serde_json::from_value(json!({"metadata": {"name": "team"}})).unwrap();
    world.namespaces().create(&PostParams::default(), &namespace).await.unwrap();
    let accounts = world.dynamic("v1", "ServiceAccount", "serviceaccounts", Some("team"));
    let maps = world.dynamic("v1", "ConfigMap", "configmaps", Some("team"));
    until("both are there", || async {
        let account = accounts.get_opt("default").await.unwrap();
        let map = maps.get_opt("kube-root-ca.crt").await.unwrap();
        account.is_some()
            && map.is_some_and(|map| map.data["data"]["ca.crt"].as_str().unwrap().contains("BEGIN"))
    })
    .await;
    world.sandbox.shutdown().await;
}
