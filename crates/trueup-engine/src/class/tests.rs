//! The table of managers, row by row where a row could be read wrongly.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn class(manager: &str, subresource: &str) -> Class {
    class_of(manager, ManagedOperation::Update, subresource)
}

#[test]
fn people_and_their_tools_are_manual() {
    for name in [
        "kubectl-edit",
        "kubectl-patch",
        "kubectl-set",
        "kubectl",
        "kubectl-client-side-apply",
        "k9s",
        "Mozilla",
        "node-fetch",
    ] {
        assert_eq!(class(name, ""), Manual, "{name}");
    }
    assert_eq!(class("kubectl", "scale"), Manual);
}

#[test]
fn the_horizontal_autoscaler_writes_through_scale() {
    assert_eq!(class("kube-controller-manager", "scale"), Autoscaler);
    assert_eq!(class("kube-controller-manager", "status"), Controller);
}

#[test]
fn browsers_and_libraries_are_generic_names() {
    assert!(is_generic("Mozilla") && is_generic("manager"));
    assert!(!is_generic("kubectl-edit") && !is_generic("kube-controller-manager"));
}

#[test]
fn an_unknown_manager_is_unattributed() {
    for name in [
        "gitops-controller",
        "curl",
        "unknown",
        "Go-http-client",
        "ancient-changes",
        "before-first-apply",
        "",
    ] {
        assert_eq!(class(name, ""), Unattributed, "{name}");
    }
}

fn path(fields: &[&str]) -> FieldPath {
    FieldPath::fields(fields)
}

#[test]
fn a_controller_owns_its_own_bookkeeping_only() {
    let key = ResourceKey::new("apps", "Deployment", "web", "a");
    let live = Value::default();
    assert!(owns(
        Controller,
        &key,
        &path(&["metadata", "annotations", "deployment.kubernetes.io/revision"]),
        &live
    ));
    assert!(owns(Controller, &key, &path(&["status", "replicas"]), &live));
    assert!(!owns(Controller, &key, &path(&["spec", "replicas"]), &live));
    assert!(!owns(Controller, &key, &path(&["metadata", "annotations", "example.com/owner"]), &live));
}

#[test]
fn argo_rollouts_owns_the_hash_in_a_services_selector() {
    let key = ResourceKey::new("", "Service", "web", "a");
    let hash = path(&["spec", "selector", "rollouts-pod-template-hash"]);
    assert_eq!(class("rollouts-controller", ""), Controller);
    assert!(owns(Controller, &key, &hash, &Value::default()));
    assert!(!owns(Manual, &key, &hash, &Value::default()));
    assert!(!owns(Controller, &key, &path(&["spec", "selector", "app"]), &Value::default()));
}

#[test]
fn rules_belong_to_the_aggregation_only_where_there_is_one() {
    let key = ResourceKey::new("rbac.authorization.k8s.io", "ClusterRole", "", "view");
    let rules = path(&["rules"]);
    assert!(!owns(Controller, &key, &rules, &Value::default()));
    let live = Value::from_json(br#"{"aggregationRule":{"clusterRoleSelectors":[]}}"#).unwrap();
    assert!(owns(Controller, &key, &rules, &live));
}

#[test]
fn an_injector_owns_containers_of_pods_never_of_templates() {
    let live = Value::default();
    let pod = ResourceKey::new("", "Pod", "web", "a");
    let deployment = ResourceKey::new("apps", "Deployment", "web", "a");
    assert!(owns(Injector, &pod, &path(&["spec", "containers"]), &live));
    assert!(!owns(Injector, &deployment, &path(&["spec", "template", "spec", "containers"]), &live));
}

#[test]
fn nobody_else_owns_anything() {
    let key = ResourceKey::new("apps", "Deployment", "web", "a");
    for class in [Manual, Automation, Gitops, Unattributed, Autoscaler] {
        assert!(!owns(class, &key, &path(&["status", "replicas"]), &Value::default()));
    }
}

#[test]
fn the_claim_that_a_volume_is_bound_to_is_the_controllers() {
    let key = ResourceKey::new("", "PersistentVolume", "", "disk");
    assert!(owns(Controller, &key, &path(&["spec", "claimRef"]), &Value::default()));
    assert!(!owns(Controller, &key, &path(&["spec", "persistentVolumeReclaimPolicy"]), &Value::default()));
}
