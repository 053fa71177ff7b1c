//! Tests of defaulting: what a rule depends on.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;

fn filled(group: &str, kind: &str, object: &str) -> Value {
    let mut value = Value::from_json(object.as_bytes()).unwrap();
    assert!(fill_defaults(&GroupKind::new(group, kind), "v1", &mut value));
    value
}

fn pull_policy(image: &str) -> String {
    let pod = format!(r#"{{"spec":{{"containers":[{{"image":"{image}"}}]}}}}"#);
    let pod = filled("", "Pod", &pod);
    pod.list_at(&["spec", "containers"])[0].str_at(&["imagePullPolicy"]).unwrap().to_owned()
}

#[test]
fn the_pull_policy_follows_the_tag() {
    for (image, expected) in [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("registry:5000/nginx", "Always"),
        ("registry:5000/nginx:1.2", "IfNotPresent"),
        ("nginx@sha256:abc", "IfNotPresent"),
        ("", "IfNotPresent"),
    ] {
        assert_eq!(pull_policy(image), expected, "{image}");
    }
}

#[test]
fn a_recreate_strategy_gets_no_rolling_update() {
    let recreate = filled("apps", "Deployment", r#"{"spec":{"strategy":{"type":"Recreate"}}}"#);
    assert!(recreate.at(&["spec", "strategy", "rollingUpdate"]).is_none());
    let rolling = filled("apps", "Deployment", r#"{"spec":{"strategy":{"rollingUpdate":{"maxSurge":1}}}}"#);
    assert_eq!(rolling.str_at(&["spec", "strategy", "rollingUpdate", "maxUnavailable"]), Some("25%"));
    assert_eq!(rolling.int_at(&["spec", "strategy", "rollingUpdate", "maxSurge"]), Some(1));
}

#[test]
fn only_a_pods_requests_follow_its_limits() {
    let containers = r#"{"containers":[{"resources":{"limits":{"cpu":"1"}}}]}"#;
    let pod = filled("", "Pod", &format!(r#"{{"spec":{containers}}}"#));
    let of =
        |spec: &Value| spec.list_at(&["containers"])[0].str_at(&["resources", "requests", "cpu"]).is_some();
    assert!(of(pod.get("spec").unwrap()));
    let set = filled("apps", "ReplicaSet", &format!(r#"{{"spec":{{"template":{{"spec":{containers}}}}}}}"#));
    assert!(!of(set.at(&["spec", "template", "spec"]).unwrap()));
}

#[test]
fn a_volume_without_a_source_is_an_empty_directory() {
    let pod =
        filled("", "Pod", r#"{"spec":{"volumes":[{"name":"a"},{"name":"b","hostPath":{"path":"/"}}]}}"#);
    let volumes = pod.list_at(&["spec", "volumes"]);
    assert!(volumes[0].get("emptyDir").is_some());
    assert!(volumes[1].get("emptyDir").is_none());
    assert_eq!(volumes[1].str_at(&["hostPath", "type"]), Some(""));
}

#[test]
fn a_services_fields_follow_its_type() {
    let plain = filled("", "Service", r#"{"spec":{"ports":[{"port":80}]}}"#);
    assert_eq!(plain.str_at(&["spec", "type"]), Some("ClusterIP"));
    assert!(plain.at(&["spec", "externalTrafficPolicy"]).is_none());
    assert_eq!(plain.list_at(&["spec", "ports"])[0].int_at(&["targetPort"]), Some(80));
    let balancer = filled("", "Service", r#"{"spec":{"type":"LoadBalancer","sessionAffinity":"ClientIP"}}"#);
    assert_eq!(balancer.str_at(&["spec", "externalTrafficPolicy"]), Some("Cluster"));
    let seconds = ["spec", "sessionAffinityConfig", "clientIP", "timeoutSeconds"];
    assert_eq!(balancer.int_at(&seconds), Some(10_800));
    let external = filled("", "Service", r#"{"spec":{"type":"ExternalName"}}"#);
    assert!(external.at(&["spec", "internalTrafficPolicy"]).is_none());
}

#[test]
fn jobs_run_once_unless_told_otherwise() {
    let job = filled("batch", "Job", r#"{"spec":{"template":{"metadata":{"labels":{"a":"b"}}}}}"#);
    assert_eq!(job.int_at(&["spec", "completions"]), Some(1));
    assert_eq!(job.str_at(&["metadata", "labels", "a"]), Some("b"));
    let parallel = filled("batch", "Job", r#"{"spec":{"parallelism":2,"podFailurePolicy":{"rules":[{}]}}}"#);
    assert!(parallel.at(&["spec", "completions"]).is_none());
    assert_eq!(parallel.str_at(&["spec", "podReplacementPolicy"]), Some("Failed"));
}

#[test]
fn an_autoscaler_watches_the_cpu() {
    let mut value = Value::from_json(br#"{"spec":{"maxReplicas":3,"behavior":{}}}"#).unwrap();
    fill_defaults(&GroupKind::new("autoscaling", "HorizontalPodAutoscaler"), "v2", &mut value);
    assert_eq!(value.list_at(&["spec", "metrics"])[0].str_at(&["resource", "name"]), Some("cpu"));
    assert_eq!(value.list_at(&["spec", "behavior", "scaleUp", "policies"]).len(), 2);
    assert!(value.at(&["spec", "behavior", "scaleDown", "stabilizationWindowSeconds"]).is_none());
}
