//! What happens at its time by the sandbox's clock, and what becomes of pods that are told to fail.

use std::time::Duration;

use kube::api::{DeleteParams, DynamicObject, ListParams, PostParams};
use serde_json::{Value, json};
use trueup_sandbox::SandboxOptions;
use trueup_sandbox::fates::FateRule;
use trueup_sandbox::metrics::Usage;

use crate::world::{World, object, until};

async fn world() -> World {
    World::with(SandboxOptions::default()).await
}

fn template(restart: &str) -> Value {
    json!({"metadata": {"labels": {"app": "a"}},
        "spec": {"restartPolicy": restart, "containers": [{"name": "app", "image": "shop/a:1"}]}})
}

async fn listed(world: &World, version: &str, kind: &str, plural: &str) -> Vec<DynamicObject> {
    let api = world.dynamic(version, kind, plural, Some("default"));
    api.list(&ListParams::default()).await.unwrap().items
}

fn set_fate(world: &World, rule: &Value) {
    let rule = trueup_object::Value::from_json(rule.to_string().as_bytes()).unwrap();
    world.sandbox.pods().add_json(&rule).unwrap();
}

fn restarts(pods: &[DynamicObject]) -> i64 {
    let of = |pod: &DynamicObject| pod.data["status"]["containerStatuses"][0]["restartCount"].as_i64();
    pods.iter().filter_map(of).sum()
}

#[tokio::test]
async fn a_cron_job_begins_its_jobs_when_the_clock_gets_there() {
    let world = world().await;
    let crons = world.dynamic("batch/v1", "CronJob", "cronjobs", Some("default"));
    let cron = object(json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "tidy"},
        "spec": {"schedule": "0 * * * *", "jobTemplate": {"spec": {"template": template("Never")}}}}));
    crons.create(&PostParams::default(), &cron).await.unwrap();
    assert!(listed(&world, "batch/v1", "Job", "jobs").await.is_empty());
    for n_jobs in 1..=4_usize {
        world.sandbox.clock().advance(Duration::from_secs(3600));
        until("the job has begun and completed", || async {
            let live = crons.get("tidy").await.unwrap();
            let status = &live.data["status"];
            // Three finished jobs are kept.
            listed(&world, "batch/v1", "Job", "jobs").await.len() == n_jobs.min(3)
                && status["lastScheduleTime"] == format!("2026-03-01T{}:00:00Z", 10 + n_jobs)
                && status["lastSuccessfulTime"].as_str() >= status["lastScheduleTime"].as_str()
                && status.get("active").is_none()
        })
        .await;
    }
    let jobs = listed(&world, "batch/v1", "Job", "jobs").await;
    let annotations = jobs[0].metadata.annotations.clone().unwrap();
    assert!(annotations["batch.kubernetes.io/cronjob-scheduled-timestamp"].ends_with(":00:00Z"));
}

#[tokio::test]
async fn pods_crash_as_long_as_they_are_told_to() {
    let world = world().await;
    let deployments = world.dynamic("apps/v1", "Deployment", "deployments", Some("default"));
    let deployment =
        object(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "a"}}, "template": template("Always")}}));
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let available = |wanted: bool| {
        let deployments = deployments.clone();
        async move {
            let live = deployments.get("web").await.unwrap();
            (live.data["status"]["availableReplicas"] == 1) == wanted
        }
    };
    until("it is available", || available(true)).await;
    set_fate(&world, &json!({"fate": "crash-loop", "namespace": "default", "name": "web"}));
    until("it is not available any more", || available(false)).await;
    for wanted in 2..=4 {
        // The longest wait between two starts.
        world.sandbox.clock().advance(Duration::from_secs(300));
        until("the container was started again", || async {
            restarts(&listed(&world, "v1", "Pod", "pods").await) >= wanted
        })
        .await;
    }
    let events = listed(&world, "v1", "Event", "events").await;
    let told = events.iter().find(|event| event.data["reason"] == "BackOff").unwrap();
    assert_eq!(told.data["type"], "Warning");
    assert!(told.data["count"].as_i64().unwrap() > 1);
    world.sandbox.pods().clear();
    until("it is available again", || available(true)).await;
}

#[tokio::test]
async fn slow_pods_are_ready_in_their_time_and_fates_are_known_from_the_start() {
    let slow = r#"{"fate":"slow-ready=60","namespace":"default"}"#;
    let usage = r#"{"node":"sandbox-0","cpu":"3","memory":"1Gi"}"#;
    let value = |json: &str| trueup_object::Value::from_json(json.as_bytes()).unwrap();
    let options = SandboxOptions {
        fates: FateRule::parse_all(&value(slow)).unwrap(),
        usages: Usage::parse_all(&value(usage)).unwrap(),
        ..SandboxOptions::default()
    };
    let world = World::with(options).await;
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    let pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "slow"},
        "spec": {"containers": [{"name": "app", "image": "shop/a:1"}]}}));
    pods.create(&PostParams::default(), &pod).await.unwrap();
    let ready = |wanted: bool| {
        let pods = pods.clone();
        async move {
            let live = pods.get("slow").await.unwrap();
            let status = &live.data["status"];
            status["phase"] == "Running" && status["containerStatuses"][0]["ready"] == wanted
        }
    };
    until("it runs and is not ready", || ready(false)).await;
    world.sandbox.clock().advance(Duration::from_secs(61));
    until("it is ready", || ready(true)).await;
    let nodes = world.dynamic("metrics.k8s.io/v1beta1", "NodeMetrics", "nodes", None);
    let used = nodes.get("sandbox-0").await.unwrap().data["usage"].clone();
    assert_eq!(used, json!({"cpu": "3000m", "memory": "1048576Ki"}));
    let registered = world.dynamic("apiregistration.k8s.io/v1", "APIService", "apiservices", None);
    let name = "v1beta1.metrics.k8s.io";
    until("the API is registered", || async {
        let live = registered.get_opt(name).await.unwrap();
        live.is_some_and(|live| live.data["status"]["conditions"][0]["reason"] == "Passed")
    })
    .await;
    world.sandbox.metrics().clear();
    until("it is not any more", || async { registered.get_opt(name).await.unwrap().is_none() }).await;
}

#[tokio::test]
async fn a_job_fails_by_the_exit_code_that_an_annotation_tells() {
    let world = world().await;
    let jobs = world.dynamic("batch/v1", "Job", "jobs", Some("default"));
    let mut template = template("Never");
    template["metadata"]["annotations"] = json!({"sandbox.trueup.dev/fate": "fail=3"});
    let job = object(json!({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "once"},
        "spec": {"backoffLimit": 0, "template": template}}));
    jobs.create(&PostParams::default(), &job).await.unwrap();
    until("the job has failed", || async {
        let live = jobs.get("once").await.unwrap();
        let conditions = live.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|it| it["type"] == "Failed" && it["reason"] == "BackoffLimitExceeded")
    })
    .await;
    let pods = listed(&world, "v1", "Pod", "pods").await;
    let ended = &pods[0].data["status"]["containerStatuses"][0]["state"]["terminated"];
    assert_eq!(ended["exitCode"], 3);
    assert!(pods[0].metadata.finalizers.clone().unwrap_or_default().is_empty());
}

#[tokio::test]
async fn a_running_pod_is_marked_before_it_goes_and_forced_it_is_gone_at_once() {
    let world = world().await;
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    let create = |name: &'static str| {
        let pods = pods.clone();
        async move {
            let pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                "spec": {"containers": [{"name": "app", "image": "shop/a:1"}]}}));
            pods.create(&PostParams::default(), &pod).await.unwrap();
            until("the pod runs", || async {
                pods.get(name).await.unwrap().data["status"]["phase"] == "Running"
            })
            .await;
        }
    };
    create("slow").await;
    let marked = pods.delete("slow", &DeleteParams::default()).await.unwrap().left().unwrap();
    assert_eq!(marked.metadata.deletion_grace_period_seconds, Some(30));
    until("the pod has ended", || async { pods.get_opt("slow").await.unwrap().is_none() }).await;
    create("fast").await;
    pods.delete("fast", &DeleteParams::default().grace_period(0)).await.unwrap();
    assert!(pods.get_opt("fast").await.unwrap().is_none());
}

#[tokio::test]
async fn a_pod_that_no_node_takes_says_so() {
    let world = world().await;
    let pods = world.dynamic("v1", "Pod", "pods", Some("default"));
    let pod = object(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "picky"},
        "spec": {"nodeSelector": {"disk": "ssd"}, "containers": [{"name": "app", "image": "shop/a:1"}]}}));
    pods.create(&PostParams::default(), &pod).await.unwrap();
    until("the scheduler has said why", || async {
        let live = pods.get("picky").await.unwrap();
        let message = live.data["status"]["conditions"][0]["message"].as_str().unwrap_or_default().to_owned();
        message.starts_with("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector")
    })
    .await;
}

#[tokio::test]
async fn an_autoscaler_follows_what_its_pods_use() {
    let world = world().await;
    let mut template = template("Always");
    template["spec"]["containers"][0]["resources"] = json!({"requests": {"cpu": "200m"}});
    let deployments = world.dynamic("apps/v1", "Deployment", "deployments", Some("default"));
    let deployment =
        object(json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "a"}}, "template": template}}));
    deployments.create(&PostParams::default(), &deployment).await.unwrap();
    let scalers = world.dynamic(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        "horizontalpodautoscalers",
        Some("default"),
    );
    let scaler = object(json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"}, "spec": {"minReplicas": 1, "maxReplicas": 4,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "metrics": [{"type": "Resource", "resource": {"name": "cpu",
                "target": {"type": "Utilization", "averageUtilization": 50}}}]}}));
    scalers.create(&PostParams::default(), &scaler).await.unwrap();
    let running = |wanted: i64| {
        let deployments = deployments.clone();
        async move { deployments.get("web").await.unwrap().data["status"]["availableReplicas"] == wanted }
    };
    until("both pods run", || running(2)).await;
    let use_cpu = |cpu: &str| {
        let usage = format!(r#"{{"namespace":"default","name":"web","cpu":"{cpu}","memory":"64Mi"}}"#);
        world
            .sandbox
            .metrics()
            .set_json(&trueup_object::Value::from_json(usage.as_bytes()).unwrap())
            .unwrap();
    };
    // Each uses all that it asked for, and half of that is aimed at; four is the most that there may be.
    use_cpu("200m");
    until("there are twice as many", || running(4)).await;
    let told = scalers.get("web").await.unwrap();
    assert_eq!(told.data["status"]["currentMetrics"][0]["resource"]["current"]["averageUtilization"], 100);
    let pods = world.dynamic("metrics.k8s.io/v1beta1", "PodMetrics", "pods", Some("default"));
    let metrics = pods.list(&ListParams::default()).await.unwrap().items;
    assert_eq!((metrics.len(), metrics[0].data["containers"][0]["usage"]["cpu"].clone()), (4, json!("200m")));
    use_cpu("10m");
    until("fewer are held back", || async {
        let told = scalers.get("web").await.unwrap();
        let conditions = told.data["status"]["conditions"].as_array().cloned().unwrap_or_default();
        conditions.iter().any(|it| it["reason"] == "ScaleDownStabilized")
    })
    .await;
    world.sandbox.clock().advance(Duration::from_secs(301));
    until("there is one", || running(1)).await;
    world.sandbox.metrics().clear();
    assert!(pods.list(&ListParams::default()).await.is_err());
}
