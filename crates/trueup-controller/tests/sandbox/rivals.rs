//! Others at the same work: a second controller of ours, another GitOps controller, projects with rules.

use std::time::Duration;

use crate::world::{DEFINITIONS, DEPLOYMENT, World, applications, deployment, value};

const AUTOMATED: &str = r#"{"syncPolicy":{"automated":{"prune":true,"selfHeal":true}}}"#;
const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/argocd/leases/trueup-controller";
const PROJECTS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/appprojects";

/// As far as it matters here what Argo CD installs.
const DEFINITION: &str = r#"{"apiVersion":"apiextensions.k8s.io/v1","kind":"CustomResourceDefinition","metadata":{"name":"appprojects.argoproj.io"},
    "spec":{"group":"argoproj.io","scope":"Namespaced","names":{"plural":"appprojects","singular":"appproject","kind":"AppProject","listKind":"AppProjectList"},
    "versions":[{"name":"v1alpha1","served":true,"storage":true,"schema":{"openAPIV3Schema":{"type":"object","x-kubernetes-preserve-unknown-fields":true}}}]}}"#;

#[tokio::test(flavor = "multi_thread")]
async fn one_controller_acts_and_the_next_takes_over() {
    let mut world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.control("second").await;
    let holder = world.find(LEASE).await.unwrap();
    assert!(holder.str_at(&["spec", "holderIdentity"]).unwrap().starts_with("first"));
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.until_well("web", "Synced").await;
    world.stop().await;
    world
        .wait(LEASE, |lease| {
            lease.unwrap().str_at(&["spec", "holderIdentity"]).unwrap().starts_with("second")
        })
        .await;
    // Its own looks tell that it works: what is found in agreement is its base.
    let board = world.board();
    world.until_true("the second looks", || !board.shown().looks.is_empty()).await;
    world.edit(r#"{"spec":{"replicas":7}}"#, "kubectl-edit").await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

/// The status of another controller is left to it but for one condition that says so, written once; and nothing is changed,
/// until a person says otherwise.
#[tokio::test(flavor = "multi_thread")]
async fn another_gitops_controller_is_left_alone() {
    let mut world = World::without_controller(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", AUTOMATED).await;
    let status = r#"{"status":{"sync":{"status":"OutOfSync"},"health":{"status":"Missing"}}}"#;
    world.patch("web", status, "argocd-application-controller").await;
    world.control("first").await;
    let event = world.until_event("ForeignControllerError").await;
    assert!(event.str_at(&["message"]).unwrap().contains("--take-over"), "{event:?}");
    world.until_condition("web", "ForeignControllerError", "argocd-application-controller").await;
    world.until_is("web", "OutOfSync").await;
    let n_writes = world.n_writes("applications");
    // The other controller writes its status anew, without the condition: that is not fought.
    let again = r#"{"status":{"sync":{"status":"Synced"},"conditions":[]}}"#;
    world.patch("web", again, "argocd-application-controller").await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.until_is("web", "Synced").await;
    assert_eq!(world.n_writes("applications"), n_writes);
    assert!(world.find_deployment().await.is_none());
    world.stop().await;
    world.control_with("first", true).await;
    world.wait(DEPLOYMENT, |found| found.is_some()).await;
    world.until("web", |status| status.str_at(&["operationState", "phase"]) == Some("Succeeded")).await;
    world.until("web", |status| status.list_at(&["conditions"]).is_empty()).await;
    world.end().await;
}

/// What another controller wrote before it was switched off does not count for ever.
#[tokio::test(flavor = "multi_thread")]
async fn another_controller_that_went_away_is_succeeded() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", r#"{"source":{"repoURL":"file:///nowhere","path":"x"}}"#).await;
    world.until_is("web", "Unknown").await;
    let status = r#"{"status":{"resourceHealthSource":"appTree"}}"#;
    world.patch("web", status, "argocd-application-controller").await;
    world.until_event("ForeignControllerError").await;
    world.forward(601);
    let n_writes = world.n_writes("applications");
    world.operation("web", r#"{"sync":{}}"#).await;
    world.until_ended("web", "Error").await;
    assert!(world.n_writes("applications") > n_writes);
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_is_missing_or_has_rules_makes_read_only() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    let spec = r#"{"project":"team","syncPolicy":{"automated":{}}}"#;
    world.application("web", spec).await;
    world.until_condition("web", "UnsupportedError", "does not exist").await;
    world.operation("web", r#"{"sync":{}}"#).await;
    world.until_ended("web", "Error").await;
    assert!(world.find_deployment().await.is_none());
    let project = r#"{"apiVersion":"argoproj.io/v1alpha1","kind":"AppProject","metadata":{"name":"team","namespace":"argocd"},
        "spec":{"sourceRepos":["https://example.com/*"],"destinations":[{"server":"*","namespace":"*"}]}}"#;
    world.create(DEFINITIONS, &value(DEFINITION)).await;
    world.wait(PROJECTS, |found| found.is_some()).await;
    world.create(PROJECTS, &value(project)).await;
    world.until_condition("web", "UnsupportedError", "sourceRepos").await;
    assert!(world.find_deployment().await.is_none());
    let open = r#"{"spec":{"sourceRepos":["*"],"clusterResourceWhitelist":[{"group":"*","kind":"*"}]}}"#;
    world.merge(&format!("{PROJECTS}/team"), open, "kubectl").await;
    world.until_well("web", "Synced").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_of_the_same_name_begins_anew() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    for _ in 0..3 {
        world.application("web", AUTOMATED).await;
        world.until_well("web", "Synced").await;
        world.delete_application("web").await;
    }
    world.until_gone("web").await;
    // Without the finalizer the objects stay.
    assert!(world.find_deployment().await.is_some());
    world.application("web", AUTOMATED).await;
    world.until_well("web", "Synced").await;
    world.edit(r#"{"spec":{"replicas":5}}"#, "kubectl-edit").await;
    world.until_live(|live| live.int_at(&["spec", "replicas"]) == Some(2)).await;
    world.end().await;
}

/// An idle application is not written, and the echo of what we wrote ourselves wakes nobody to write again.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_while_nothing_changes() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until_well("web", "Synced").await;
    world.until("web", |status| status.str_at(&["health", "status"]) == Some("Healthy")).await;
    world.until_ended("web", "Succeeded").await;
    world.edit(r#"{"spec":{"replicas":3}}"#, "kubectl-edit").await;
    world.until_is("web", "OutOfSync").await;
    world.wait(DEPLOYMENT, |live| live.unwrap().int_at(&["status", "readyReplicas"]) == Some(3)).await;
    world.until("web", |status| status.str_at(&["health", "status"]) == Some("Healthy")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let (version, n_writes) = (world.resource_version("web").await, world.n_writes("/apis/argoproj.io"));
    let n_reports = world.n_writes("driftreports");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(world.resource_version("web").await, version);
    assert_eq!(world.n_writes("/apis/argoproj.io"), n_writes);
    assert_eq!(world.n_writes("driftreports"), n_reports);
    // Neither does a poll that finds nothing new.
    world.forward(121);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.resource_version("web").await, version);
    world.end().await;
}

/// An autoscaler writes its own status all the time.
#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_an_autoscaler_wakes_nobody() {
    let world = World::start(&[("apps/web/deployment.yaml", &deployment(2))]).await;
    let scalers = "/apis/autoscaling/v2/namespaces/web/horizontalpodautoscalers";
    let scaler = r#"{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"web","namespace":"web"},
        "spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"},"minReplicas":1,"maxReplicas":5}}"#;
    world.create(scalers, &value(scaler)).await;
    world.application("web", r#"{"syncPolicy":{"automated":{}}}"#).await;
    world.until_well("web", "Synced").await;
    world.until("web", |status| status.str_at(&["health", "status"]) == Some("Healthy")).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let board = world.board();
    let looks = board.shown().looks;
    for count in 1..=10 {
        let status = format!(r#"{{"status":{{"currentReplicas":{count},"desiredReplicas":2}}}}"#);
        world.merge(&format!("{scalers}/web/status"), &status, "kube-controller-manager").await;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(board.shown().looks, looks);
    // Its spec does.
    world.merge(&format!("{scalers}/web"), r#"{"spec":{"maxReplicas":6}}"#, "kubectl").await;
    world.until_true("its spec wakes", || board.shown().looks != looks).await;
    assert!(world.find(&applications("web")).await.is_some());
    world.end().await;
}
