//! Tests of schemas.
#![expect(clippy::unwrap_used, reason = "tests")]

use trueup_object::{GroupKind, Gvk, Text, Value};

use super::{ListKind, PatchStrategy, Scalar, SchemaSet, Shape, TypeRef, ZeroRule};

fn value(json: serde_json::Value) -> Value {
    Value::from_json(json.to_string().as_bytes()).unwrap()
}

fn at<'a>(ty: TypeRef<'a>, path: &[&str]) -> TypeRef<'a> {
    path.iter().fold(ty, |ty, step| if *step == "[]" { ty.element() } else { ty.field(step).unwrap().ty })
}

#[test]
fn the_table_knows_the_built_in_kinds() {
    let table = SchemaSet::builtin();
    assert!(table.kinds().count() > 60);
    let deployment = table.lookup(&Gvk::new("apps", "v1", "Deployment")).unwrap();
    let pod = at(deployment, &["spec", "template", "spec"]);
    let ports = at(pod, &["containers", "[]", "ports"]);
    let Shape::List { kind: ListKind::Map { keys }, element } = ports.shape() else { panic!("{ports:?}") };
    assert_eq!(keys, [Text::from("containerPort"), Text::from("protocol")]);
    assert!(matches!(element.field("containerPort").unwrap().ty.shape(), Shape::Scalar(Scalar::Integer)));
    assert!(at(deployment, &["spec", "selector"]).is_atomic());
    assert!(!at(deployment, &["metadata", "labels"]).is_atomic());
    let limits = at(pod, &["containers", "[]", "resources", "limits"]);
    assert!(matches!(limits.element().shape(), Shape::Scalar(Scalar::Quantity)));
    let finalizers = at(deployment, &["metadata", "finalizers"]);
    assert!(matches!(finalizers.shape(), Shape::List { kind: ListKind::Set, .. }));
    let patch = pod.field("containers").unwrap().patch;
    assert_eq!(patch, PatchStrategy::Merge { key: Some("name"), retain_keys: false });
    let patch = pod.field("volumes").unwrap().patch;
    assert_eq!(patch, PatchStrategy::Merge { key: Some("name"), retain_keys: true });
    assert!(deployment.field("specs").is_none());
}

fn crd() -> Value {
    value(serde_json::json!({
        "spec": {
            "group": "example.com", "names": {"kind": "Widget", "plural": "widgets"},
            "versions": [{"name": "v1", "served": true, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {
                    "spec": {
                        "type": "object",
                        "properties": {
                            "size": {"type": "integer", "default": 0},
                            "port": {"x-kubernetes-int-or-string": true},
                            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                            "tags": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                            "point": {
                                "type": "object", "x-kubernetes-map-type": "atomic",
                                "properties": {"x": {"type": "integer"}},
                            },
                            "parts": {
                                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"],
                                "items": {"type": "object", "properties": {"name": {"type": "string"}}},
                            },
                            "child": {
                                "type": "object", "x-kubernetes-embedded-resource": true,
                                "x-kubernetes-preserve-unknown-fields": true,
                            },
                        },
                    },
                },
            }}}],
        },
    }))
}

#[test]
fn a_crd_brings_its_own_kinds() {
    let mut set = SchemaSet::new();
    assert_eq!(set.add_crd(&crd()), Vec::<String>::new());
    let widget = set.lookup(&Gvk::new("example.com", "v1", "Widget")).unwrap();
    let spec = at(widget, &["spec"]);
    assert_eq!(spec.field("size").unwrap().default, Some(&Value::Int(0)));
    assert!(matches!(at(spec, &["port"]).shape(), Shape::Scalar(Scalar::IntOrString)));
    assert!(spec.field("unknown").is_none());
    assert!(spec.field("free").unwrap().ty.field("anything").is_some());
    assert!(matches!(at(spec, &["tags"]).shape(), Shape::List { kind: ListKind::Set, .. }));
    assert!(at(spec, &["point"]).is_atomic());
    assert!(matches!(at(spec, &["parts"]).shape(), Shape::List { kind: ListKind::Map { .. }, .. }));
    let owners = at(widget, &["metadata", "ownerReferences"]);
    assert!(matches!(owners.shape(), Shape::List { kind: ListKind::Map { .. }, .. }));
    assert!(at(spec, &["child", "metadata", "labels"]).field("a").is_some());
    assert!(at(spec, &["child"]).field("other").is_some());
    set.remove_kind(&GroupKind::new("example.com", "Widget"));
    assert!(set.lookup(&Gvk::new("example.com", "v1", "Widget")).is_none());
}

#[test]
fn a_published_custom_kind_has_its_defaults_zero_or_not() {
    let document = value(serde_json::json!({"components": {"schemas": {
        "com.example.v1.Gadget": {
            "type": "object",
            "properties": {
                "metadata": {"allOf": [{"$ref": "#/components/schemas/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"}]},
                "spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 0}}},
            },
            "x-kubernetes-group-version-kind": [{"group": "example.com", "version": "v1", "kind": "Gadget"}],
        },
    }}}));
    let (own, _) = SchemaSet::from_openapi_v3(&[document]);
    let gadget = own.lookup(&Gvk::new("example.com", "v1", "Gadget")).unwrap();
    assert!(!gadget.field("metadata").unwrap().always);
    let size = at(gadget, &["spec"]).field("size").unwrap();
    assert_eq!((size.default, size.zero), (Some(&Value::Int(0)), ZeroRule::Kept));
}

#[test]
fn a_clusters_own_schema_goes_before_the_table_which_still_knows_defaults() {
    let document = value(serde_json::json!({"components": {"schemas": {
        "io.k8s.api.apps.v1.Deployment": {
            "type": "object",
            "properties": {
                "apiVersion": {"type": "string"},
                "spec": {"allOf": [{"$ref": "#/components/schemas/io.k8s.api.apps.v1.DeploymentSpec"}], "default": {}},
            },
            "x-kubernetes-group-version-kind": [{"group": "apps", "version": "v1", "kind": "Deployment"}],
        },
        "io.k8s.api.apps.v1.DeploymentSpec": {
            "type": "object",
            "properties": {
                "novel": {"type": "array", "items": {"type": "string"}, "x-kubernetes-list-type": "set"},
                "template": {"$ref": "#/components/schemas/io.k8s.api.core.v1.PodTemplateSpec"},
            },
        },
    }}}));
    let (own, problems) = SchemaSet::from_openapi_v3(&[document]);
    assert_eq!(problems, Vec::<String>::new());
    let gvk = Gvk::new("apps", "v1", "Deployment");
    let layered = own.over(SchemaSet::builtin());
    let deployment = layered.lookup(&gvk).unwrap();
    let spec = deployment.field("spec").unwrap();
    assert!(spec.always);
    assert!(matches!(at(spec.ty, &["novel"]).shape(), Shape::List { kind: ListKind::Set, .. }));
    assert!(spec.ty.field("replicas").is_none(), "the cluster does not serve it");
    assert!(layered.lookup(&Gvk::new("", "v1", "ConfigMap")).is_some(), "the table fills in");
}
