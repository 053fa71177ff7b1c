//! Tests of validation: the causes that people meet.
#![expect(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::write::tests::kind;

fn causes(group: &str, name: &str, object: &str) -> Vec<String> {
    let object = Value::from_json(object.as_bytes()).unwrap();
    let kind = kind(group, name, "things");
    validate(&kind, Part::Main, &object, None)
        .into_iter()
        .map(|cause| format!("{}: {}", cause.field, cause.message))
        .collect()
}

#[test]
fn a_deployment_must_select_its_pods() {
    let found = causes(
        "apps",
        "Deployment",
        r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"replicas":-1,
            "selector":{"matchLabels":{"app":"a"}},"strategy":{"type":"Recreate","rollingUpdate":{}},
            "template":{"metadata":{"labels":{"app":"b"}},"spec":{"restartPolicy":"Never","dnsPolicy":"Default",
            "containers":[{"name":"A","image":"i","imagePullPolicy":"Sometimes","terminationMessagePolicy":"File"}]}}}}"#,
    );
    for expected in [
        "spec.replicas: Invalid value: -1: must be greater than or equal to 0",
        "spec.template.metadata.labels: Invalid value: {\"app\":\"b\"}: `selector` does not match template `labels`",
        "spec.template.spec.containers[0].imagePullPolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"IfNotPresent\", \"Never\"",
        "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        "spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'",
    ] {
        assert!(found.iter().any(|cause| cause == expected), "{expected}\nin {found:#?}");
    }
    assert!(found.iter().any(|cause| cause.starts_with(
        "spec.template.spec.containers[0].name: Invalid value: \"A\": a lowercase RFC 1123 label"
    )));
}

#[test]
fn requests_stay_below_limits_and_mounts_have_volumes() {
    let found = causes(
        "",
        "Pod",
        r#"{"metadata":{"name":"web","namespace":"shop"},"spec":{"restartPolicy":"Always","dnsPolicy":"Default",
            "containers":[{"name":"a","image":"i","imagePullPolicy":"Always","terminationMessagePolicy":"File",
            "volumeMounts":[{"name":"gone","mountPath":"/x"}],
            "resources":{"limits":{"cpu":"1"},"requests":{"cpu":"2"}}}]}}"#,
    );
    assert_eq!(
        found,
        [
            "spec.containers[0].volumeMounts[0].name: Not found: \"gone\"",
            "spec.containers[0].resources.requests: Invalid value: \"2\": must be less than or equal to cpu limit of 1",
        ]
    );
}

#[test]
fn services_need_ports() {
    let found = causes(
        "",
        "Service",
        r#"{"metadata":{"name":"Web","namespace":"shop"},"spec":{"type":"ClusterIP","sessionAffinity":"None"}}"#,
    );
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].contains("RFC 1123 label"));
    assert_eq!(found[1], "spec.ports: Required value");
}

#[test]
fn labels_and_keys_are_checked() {
    let found = causes(
        "",
        "ConfigMap",
        r#"{"metadata":{"name":"A","namespace":"shop","labels":{"a":"b c"}},"data":{"a b":"1"}}"#,
    );
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].starts_with("metadata.name: Invalid value: \"A\": a lowercase RFC 1123 subdomain"));
    assert!(found[1].starts_with("metadata.labels: Invalid value: \"b c\""));
    assert!(found[2].starts_with("data[a b]: Invalid value: \"a b\""));
}

#[test]
fn a_valid_object_has_no_causes() {
    let found = causes(
        "",
        "ConfigMap",
        r#"{"metadata":{"name":"web","namespace":"shop","annotations":{"Example.com/A":"b"}},"data":{"k":"v"}}"#,
    );
    assert!(found.is_empty(), "{found:#?}");
}
