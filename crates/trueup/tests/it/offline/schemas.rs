//! Where schemas come from when files are compared: definitions, OpenAPI documents, or nowhere.

use trueup_object::Value;

use super::{Folder, named, only, paths};

const CRD: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gateways.example.com}
spec:
  group: example.com
  names: {kind: Gateway, plural: gateways}
  scope: Namespaced
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              timeout: {type: string, default: 5s}
              listeners:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  properties: {name: {type: string}, port: {type: integer}}
";

const GATEWAY: &str = "
apiVersion: example.com/v1
kind: Gateway
metadata: {name: g, namespace: shop}
spec:
  listeners: [{name: a, port: 1}, {name: b, port: 2}]
";

const LIVE_GATEWAY: &str = "
apiVersion: example.com/v1
kind: Gateway
metadata: {name: g, namespace: shop}
spec:
  timeout: 5s
  listeners: [{name: b, port: 2}, {name: a, port: 9}]
";

#[test]
fn a_definition_is_a_schema_and_without_one_structure_must_do() {
    let folder = Folder::new(&[("target.yaml", GATEWAY), ("live.yaml", LIVE_GATEWAY), ("crd.yaml", CRD)]);
    folder.write("git/crd.yaml", CRD);
    folder.write("git/gateway.yaml", GATEWAY);
    let run = folder.run(&["--target=git", "--live=live.yaml", "-o", "json"]);
    let document = Value::from_json(run.out.as_bytes()).unwrap();
    assert_eq!(paths(named(&document, "g"), "differences"), [r#".spec.listeners[name="a"].port"#]);
    assert_eq!(named(&document, "g").get("problem"), Some(&Value::Null));
    let (by_flag, _) = folder.document(&["--schema=crd.yaml"]);
    assert_eq!(named(&by_flag, "g"), named(&document, "g"));

    let (document, code) = folder.document(&[]);
    assert_eq!(code, 1);
    let message = only(&document).str_at(&["problem", "message"]).unwrap();
    assert!(!message.is_empty(), "{message}");
    assert_eq!(only(&document).str_at(&["status"]), Some("OutOfSync"));
}

#[test]
fn published_schemas_are_read_in_both_versions() {
    let kind = r#"[{"group":"example.com","version":"v1","kind":"Gateway"}]"#;
    let schema = |reference: &str| {
        format!(
            r##""com.example.v1.Gateway":{{"type":"object","x-kubernetes-group-version-kind":{kind},
            "properties":{{"metadata":{{"type":"object"}},"spec":{{"$ref":"#/{reference}/com.example.v1.Spec"}}}}}},
            "com.example.v1.Spec":{{"type":"object","properties":{{"timeout":{{"type":"string","default":"5s"}},"listeners":{{"type":"array",
            "x-kubernetes-list-type":"map","x-kubernetes-list-map-keys":["name"],"items":{{"type":"object","properties":{{"name":{{"type":"string"}},
            "port":{{"type":"integer"}}}}}}}}}}}}"##
        )
    };
    let three =
        format!(r#"{{"openapi":"3.0.0","components":{{"schemas":{{{}}}}}}}"#, schema("components/schemas"));
    let two = format!(r#"{{"swagger":"2.0","definitions":{{{}}}}}"#, schema("definitions"));
    let folder = Folder::new(&[
        ("target.yaml", GATEWAY),
        ("live.yaml", LIVE_GATEWAY),
        ("3.json", &three),
        ("2.json", &two),
    ]);
    for flag in ["--schema=3.json", "--schema=2.json"] {
        let (document, _) = folder.document(&[flag]);
        assert_eq!(paths(only(&document), "differences"), [r#".spec.listeners[name="a"].port"#], "{flag}");
        assert_eq!(only(&document).get("problem"), Some(&Value::Null), "{flag}");
    }
    folder.write("none.json", "{\"a\": 1}");
    let run = folder.run(&["--target=target.yaml", "--live=live.yaml", "--schema=none.json"]);
    assert!(run.code == 2 && run.err.contains("openapi/v3"), "{run:?}");
}

#[test]
fn two_versions_of_a_kind_are_not_compared() {
    let scaler = |version: &str, more: &str| {
        format!(
            "{{apiVersion: autoscaling/{version}, kind: HorizontalPodAutoscaler, metadata: {{name: web, namespace: shop}}, spec: {{maxReplicas: 9, {more}}}}}"
        )
    };
    let metrics = "metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]";
    let folder = Folder::new(&[
        ("target.yaml", &scaler("v1", "targetCPUUtilizationPercentage: 80")),
        ("live.yaml", &scaler("v2", metrics)),
    ]);
    let (document, code) = folder.document(&[]);
    assert_eq!((code, only(&document).str_at(&["status"])), (3, Some("Unknown")));
    let message = only(&document).str_at(&["problem", "message"]).unwrap();
    assert!(message.contains("autoscaling/v2") && message.contains("autoscaling/v1"), "{message}");
}
