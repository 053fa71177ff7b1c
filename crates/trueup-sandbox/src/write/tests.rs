//! Tests of the write pipeline. What they expect was seen on kube-apiserver 1.36.3.
#![expect(clippy::unwrap_used, reason = "tests")]

use trueup_object::{Gvk, ManagedFields, Text};

use super::*;
use crate::kind::{KindOrigin, ScalePaths, Scope};
use crate::status::StatusReason;

fn path(text: &str) -> Vec<Text> {
    text.split('.').map(Text::from).collect()
}

pub(super) fn kind(group: &str, name: &str, plural: &str) -> KindInfo {
    let scales = matches!(name, "Deployment" | "StatefulSet" | "ReplicaSet");
    KindInfo {
        gvk: Gvk::new(group, "v1", name),
        plural: plural.into(),
        singular: name.to_lowercase().into(),
        short_names: Vec::new(),
        categories: Vec::new(),
        scope: if name == "Namespace" { Scope::Cluster } else { Scope::Namespaced },
        has_status: matches!(name, "Deployment" | "DaemonSet" | "Service" | "Pod" | "Namespace" | "Job"),
        scale: scales.then(|| ScalePaths {
            spec_replicas: path("spec.replicas"),
            status_replicas: path("status.replicas"),
            label_selector: Some(path("spec.selector")),
        }),
        origin: KindOrigin::Builtin,
    }
}

/// A server of one object.
struct Server {
    kind: KindInfo,
    live: Option<Value>,
    version: i64,
}

const DEPLOYMENT: &str = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web"},"spec":{
    "replicas":3,"selector":{"matchLabels":{"app":"web"}},"template":{"metadata":{"labels":{"app":"web"}},
    "spec":{"containers":[{"name":"app","image":"shop/web:1","resources":{"requests":{"cpu":0.1}}}]}}}}"#;

impl Server {
    fn new(group: &str, name: &str, plural: &str) -> Self {
        Self { kind: kind(group, name, plural), live: None, version: 1 }
    }

    fn deployments() -> Self {
        Self::new("apps", "Deployment", "deployments")
    }

    fn request<'a>(&'a self, verb: WriteVerb, body: &'a str) -> WriteRequest<'a> {
        let namespaced = self.kind.is_namespaced();
        WriteRequest {
            verb,
            kind: &self.kind,
            schemas: SchemaSet::builtin(),
            subresource: None,
            namespace: if namespaced { "shop" } else { "" },
            name: (verb != WriteVerb::Create).then_some("web"),
            body: body.as_bytes(),
            content_type: "application/json",
            field_manager: Some("tester"),
            user_agent: "curl/8",
            force: false,
            dry_run: false,
            field_validation: FieldValidation::Warn,
            now: Timestamp::from_second(1_700_000_000 + self.version).unwrap(),
            uid: "00000000-0000-0000-0000-000000000001",
            live: self.live.as_ref(),
            admitted: None,
            default_class: None,
            others: Others { one: &|_| None, all: &|_, _| Vec::new() },
            user: None,
        }
    }

    fn run(
        &mut self,
        verb: WriteVerb,
        body: &str,
        change: impl for<'a> FnOnce(WriteRequest<'a>) -> WriteRequest<'a>,
    ) -> Result<WriteOutcome, ApiStatus> {
        let outcome = write(change(self.request(verb, body)))?;
        if outcome.changed {
            self.version += 1;
            let mut object = outcome.object.clone();
            object.set_at(&["metadata", "resourceVersion"], self.version.to_string().into());
            self.live = Some(object);
        }
        Ok(outcome)
    }

    fn create(&mut self, body: &str) -> WriteOutcome {
        self.run(WriteVerb::Create, body, |request| request).unwrap()
    }

    fn merge(&mut self, body: &str) -> Result<WriteOutcome, ApiStatus> {
        self.run(WriteVerb::Patch(PatchKind::Merge), body, |request| request)
    }

    fn apply(&mut self, body: &str) -> Result<WriteOutcome, ApiStatus> {
        self.run(WriteVerb::Patch(PatchKind::Apply), body, |request| WriteRequest {
            field_manager: Some("trueup"),
            ..request
        })
    }

    /// `manager operation subresource` of each entry.
    fn entries(&self) -> Vec<String> {
        let fields = ManagedFields::of(self.live.as_ref().unwrap());
        let line = |entry: &trueup_object::ManagedEntry| {
            let time = if entry.time.is_some() { "" } else { " timeless" };
            format!("{} {} {}{time}", entry.manager, entry.operation.as_str(), entry.subresource)
        };
        fields.entries.iter().map(line).collect()
    }

    fn at(&self, keys: &[&str]) -> Option<&Value> {
        self.live.as_ref().unwrap().at(keys)
    }
}

#[test]
fn a_create_defaults_and_owns() {
    let mut server = Server::deployments();
    let outcome = server.create(DEPLOYMENT);
    assert!(outcome.created && outcome.changed);
    let object = &outcome.object;
    assert_eq!(object.int_at(&["metadata", "generation"]), Some(1));
    assert_eq!(object.str_at(&["metadata", "namespace"]), Some("shop"));
    assert_eq!(object.str_at(&["spec", "strategy", "type"]), Some("RollingUpdate"));
    let container = &object.list_at(&["spec", "template", "spec", "containers"])[0];
    assert_eq!(container.str_at(&["imagePullPolicy"]), Some("IfNotPresent"));
    assert_eq!(container.str_at(&["resources", "requests", "cpu"]), Some("100m"));
    let owned = ManagedFields::of(object).entries[0].fields.to_fields_v1();
    assert!(owned.at(&["f:spec", "f:progressDeadlineSeconds"]).is_some());
    assert!(owned.at(&["f:status"]).is_none());
}

#[test]
fn a_write_that_changes_nothing_leaves_no_trace() {
    let mut server = Server::deployments();
    server.create(DEPLOYMENT);
    let before = server.live.clone();
    server.version += 10;
    assert!(!server.merge(r#"{"spec":{"replicas":3}}"#).unwrap().changed);
    assert_eq!(server.live, before);
}

#[test]
fn generation_counts_the_spec_and_a_deployments_annotations() {
    let mut server = Server::deployments();
    server.create(DEPLOYMENT);
    server.merge(r#"{"metadata":{"labels":{"a":"b"}}}"#).unwrap();
    assert_eq!(server.at(&["metadata", "generation"]).unwrap().as_int(), Some(1));
    server.merge(r#"{"spec":{"replicas":4}}"#).unwrap();
    assert_eq!(server.at(&["metadata", "generation"]).unwrap().as_int(), Some(2));
    server.merge(r#"{"metadata":{"annotations":{"a":"b"}}}"#).unwrap();
    assert_eq!(server.at(&["metadata", "generation"]).unwrap().as_int(), Some(3));
}

#[test]
fn the_manager_is_the_user_agent_up_to_the_slash() {
    for (agent, expected) in [("kubectl/v1.32 (linux)", "kubectl"), ("Mozilla", "Mozilla"), ("", "unknown")] {
        let mut server = Server::deployments();
        server
            .run(WriteVerb::Create, DEPLOYMENT, |request| WriteRequest {
                field_manager: None,
                user_agent: agent,
                ..request
            })
            .unwrap();
        assert_eq!(server.entries(), [format!("{expected} Update ")]);
    }
}

#[test]
fn scaling_takes_replicas_from_their_owner_without_a_time() {
    let mut server = Server::deployments();
    server.apply(DEPLOYMENT).unwrap();
    let outcome = server
        .run(WriteVerb::Patch(PatchKind::Merge), r#"{"spec":{"replicas":5}}"#, |request| WriteRequest {
            subresource: Some("scale"),
            field_manager: None,
            user_agent: "kubectl/v1",
            ..request
        })
        .unwrap();
    assert_eq!(outcome.response.str_at(&["kind"]), Some("Scale"));
    assert_eq!(outcome.response.str_at(&["status", "selector"]), Some("app=web"));
    assert_eq!(server.at(&["spec", "replicas"]).unwrap().as_int(), Some(5));
    assert_eq!(server.at(&["metadata", "generation"]).unwrap().as_int(), Some(2));
    assert_eq!(server.entries(), ["trueup Apply ", "kubectl Update scale timeless"]);
}

#[test]
fn scaling_what_nobody_owns_leaves_no_entry() {
    let mut server = Server::deployments();
    server.apply(&DEPLOYMENT.replace("\"replicas\":3,", "")).unwrap();
    server
        .run(WriteVerb::Patch(PatchKind::Merge), r#"{"spec":{"replicas":5}}"#, |request| WriteRequest {
            subresource: Some("scale"),
            ..request
        })
        .unwrap();
    assert_eq!(server.at(&["spec", "replicas"]).unwrap().as_int(), Some(5));
    assert_eq!(server.entries(), ["trueup Apply "]);
}

#[test]
fn an_apply_meets_conflicts_and_can_force() {
    let mut server = Server::deployments();
    server.apply(DEPLOYMENT).unwrap();
    server.merge(r#"{"spec":{"replicas":7}}"#).unwrap();
    let refused = server.apply(DEPLOYMENT).unwrap_err();
    assert_eq!((refused.code, refused.reason), (409, StatusReason::Conflict));
    assert_eq!(
        refused.message,
        "Apply failed with 1 conflict: conflict with \"tester\" using apps/v1: .spec.replicas"
    );
    assert_eq!(refused.details.causes[0].reason, "FieldManagerConflict");
    server
        .run(WriteVerb::Patch(PatchKind::Apply), DEPLOYMENT, |request| WriteRequest {
            field_manager: Some("trueup"),
            force: true,
            ..request
        })
        .unwrap();
    assert_eq!(server.at(&["spec", "replicas"]).unwrap().as_int(), Some(3));
    assert_eq!(server.entries(), ["trueup Apply "]);
}

#[test]
fn preconditions_of_an_apply() {
    let with =
        |metadata: &str| DEPLOYMENT.replace("\"name\":\"web\"", &format!("\"name\":\"web\",{metadata}"));
    let mut server = Server::deployments();
    // A uid where nothing is: refused. A resourceVersion where nothing is: created.
    assert_eq!(server.apply(&with("\"uid\":\"u\"")).unwrap_err().code, 409);
    assert!(server.apply(&with("\"resourceVersion\":\"77\"")).unwrap().created);
    let stale = server.apply(&with("\"resourceVersion\":\"77\"")).unwrap_err();
    assert_eq!(stale.code, 409);
    assert!(stale.message.contains("the object has been modified"));
    assert_eq!(server.apply(&with("\"uid\":\"u\"")).unwrap_err().code, 422);
    assert!(!server.apply(DEPLOYMENT).unwrap().changed);
}

#[test]
fn status_and_spec_keep_to_their_endpoints() {
    let mut server = Server::deployments();
    server.create(DEPLOYMENT);
    server.merge(r#"{"status":{"replicas":3}}"#).unwrap();
    assert!(server.at(&["status", "replicas"]).is_none());
    server
        .run(
            WriteVerb::Patch(PatchKind::Merge),
            r#"{"status":{"replicas":3},"spec":{"replicas":9},"metadata":{"annotations":{"a":"b"}}}"#,
            |request| WriteRequest { subresource: Some("status"), field_manager: Some("kcm"), ..request },
        )
        .unwrap();
    assert_eq!(server.at(&["status", "replicas"]).unwrap().as_int(), Some(3));
    assert_eq!(server.at(&["spec", "replicas"]).unwrap().as_int(), Some(3));
    assert_eq!(server.at(&["metadata", "generation"]).unwrap().as_int(), Some(1));
    assert_eq!(server.entries(), ["tester Update ", "kcm Update status"]);
}

#[test]
fn unknown_fields_warn_or_refuse() {
    let body = DEPLOYMENT.replace("\"replicas\":3", "\"replicas\":3,\"replica\":1");
    let mut server = Server::deployments();
    let refused = server
        .run(WriteVerb::Create, &body, |request| WriteRequest {
            field_validation: FieldValidation::Strict,
            ..request
        })
        .unwrap_err();
    assert_eq!(
        refused.message,
        "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.replica\""
    );
    let outcome = server.create(&body);
    assert_eq!(outcome.warnings, ["unknown field \"spec.replica\""]);
    assert!(outcome.object.at(&["spec", "replica"]).is_none());
}

#[test]
fn a_value_of_the_wrong_type_is_named_as_go_does() {
    for (from, to, expected) in [
        (
            "\"replicas\":3",
            "\"replicas\":\"x\"",
            "string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            "\"image\":\"shop/web:1\"",
            "\"image\":7",
            "number into Go struct field Container.spec.template.spec.containers.image of type string",
        ),
        (
            "\"matchLabels\":{\"app\":\"web\"}",
            "\"matchLabels\":[]",
            "array into Go struct field LabelSelector.spec.selector.matchLabels of type map[string]string",
        ),
    ] {
        let refused =
            Server::deployments().run(WriteVerb::Create, &DEPLOYMENT.replace(from, to), |request| request);
        let expected = format!(
            "Deployment in version \"v1\" cannot be handled as a Deployment: json: cannot unmarshal {expected}"
        );
        assert_eq!(refused.unwrap_err().message, expected);
    }
}

#[test]
fn the_selector_of_a_deployment_is_immutable() {
    let mut server = Server::deployments();
    server.create(DEPLOYMENT);
    let refused = server.merge(r#"{"spec":{"selector":{"matchLabels":{"app":"other"}}}}"#).unwrap_err();
    assert_eq!(refused.code, 422);
    let fields: Vec<&str> = refused.details.causes.iter().map(|cause| cause.field.as_str()).collect();
    assert_eq!(fields, ["spec.template.metadata.labels", "spec.selector"]);
}

#[test]
fn a_secrets_string_data_becomes_data() {
    let mut server = Server::new("", "Secret", "secrets");
    let body = r#"{"metadata":{"name":"web"},"stringData":{"a":"x"},"data":{"a":"b2xk","b":"eQ=="}}"#;
    let outcome = server.create(body);
    assert_eq!(outcome.object.str_at(&["data", "a"]), Some("eA=="));
    assert_eq!(outcome.object.str_at(&["type"]), Some("Opaque"));
    assert!(outcome.object.get("stringData").is_none());
}

#[test]
fn a_service_gets_and_keeps_its_address() {
    let mut server = Server::new("", "Service", "services");
    let body = r#"{"metadata":{"name":"web"},"spec":{"ports":[{"port":80}],"selector":{"app":"web"}}}"#;
    let outcome = server.create(body);
    let address = outcome.object.str_at(&["spec", "clusterIP"]).unwrap().to_owned();
    assert!(address.starts_with("10.0."));
    let owned = ManagedFields::of(&outcome.object).entries[0].fields.to_fields_v1();
    assert!(owned.at(&["f:spec", "f:clusterIP"]).is_none());
    let put = server.run(WriteVerb::Update, body, |request| request).unwrap();
    assert_eq!(put.object.str_at(&["spec", "clusterIP"]), Some(address.as_str()));
    let refused = server.merge(r#"{"spec":{"clusterIP":"10.0.9.9"}}"#).unwrap_err();
    assert_eq!(refused.details.causes[0].field, "spec.clusterIPs[0]");
}

#[test]
fn immutable_config_maps_stay() {
    let mut server = Server::new("", "ConfigMap", "configmaps");
    server.create(r#"{"metadata":{"name":"web"},"data":{"a":"1"},"immutable":true}"#);
    let refused = server.merge(r#"{"data":{"a":"2"}}"#).unwrap_err();
    assert_eq!(refused.details.causes[0].message, "Forbidden: field is immutable when `immutable` is set");
    assert!(server.merge(r#"{"metadata":{"labels":{"a":"b"}}}"#).unwrap().changed);
}

#[test]
fn names_are_generated_and_namespaces_labelled() {
    let mut server = Server::new("", "Namespace", "namespaces");
    let outcome = server.create(r#"{"metadata":{"generateName":"team-"}}"#);
    let name = outcome.object.str_at(&["metadata", "name"]).unwrap();
    assert!(name.starts_with("team-") && name.len() == 10);
    assert_eq!(outcome.object.str_at(&["metadata", "labels", "kubernetes.io/metadata.name"]), Some(name));
    assert_eq!(outcome.object.list_at(&["spec", "finalizers"]), ["kubernetes".into()]);
}

#[test]
fn strategic_patches_merge_containers_by_name() {
    let mut server = Server::deployments();
    server.create(DEPLOYMENT);
    let patch = r#"{"spec":{"template":{"spec":{"containers":[{"name":"app","image":"shop/web:2"}]}}}}"#;
    server.run(WriteVerb::Patch(PatchKind::Strategic), patch, |request| request).unwrap();
    let containers = server.at(&["spec", "template", "spec", "containers"]).unwrap().as_list().unwrap();
    assert_eq!(containers.len(), 1);
    assert_eq!(containers[0].str_at(&["image"]), Some("shop/web:2"));
    assert_eq!(containers[0].str_at(&["resources", "requests", "cpu"]), Some("100m"));
}

mod robustness {
    use proptest::prelude::*;

    use super::*;

    /// Objects in which names that the pipeline looks at come up often.
    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            prop_oneof!["[a-z0-9.%-]{0,6}", "10[mkKGi]{0,2}"].prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 48, 5, |inner| {
            let key = prop::sample::select(vec![
                "metadata",
                "spec",
                "status",
                "name",
                "namespace",
                "labels",
                "annotations",
                "generateName",
                "managedFields",
                "ownerReferences",
                "finalizers",
                "selector",
                "matchLabels",
                "template",
                "containers",
                "volumes",
                "ports",
                "port",
                "targetPort",
                "resources",
                "requests",
                "replicas",
                "clusterIP",
                "clusterIPs",
                "strategy",
                "rollingUpdate",
                "$patch",
                "$retainKeys",
                "$setElementOrder/containers",
                "data",
                "stringData",
                "uid",
                "resourceVersion",
            ]);
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key, inner, 0..6)
                    .prop_map(|map| Value::Map(map.into_iter().collect())),
            ]
        })
    }

    fn verbs() -> impl Strategy<Value = WriteVerb> {
        prop::sample::select(vec![
            WriteVerb::Create,
            WriteVerb::Update,
            WriteVerb::Patch(PatchKind::Json),
            WriteVerb::Patch(PatchKind::Merge),
            WriteVerb::Patch(PatchKind::Strategic),
            WriteVerb::Patch(PatchKind::Apply),
        ])
    }

    /// JSON patches whose paths lead somewhere, past the end, or nowhere.
    fn json_patch() -> impl Strategy<Value = Value> {
        let pointer = || {
            prop::sample::select(vec![
                "",
                "/",
                "/spec",
                "/spec/replicas",
                "/spec/template/spec/containers/0",
                "/spec/template/spec/containers/-",
                "/spec/template/spec/containers/-1/image",
                "/spec/template/spec/containers/99",
                "/metadata/labels/a~1b",
                "/metadata/managedFields/0",
                "spec",
            ])
        };
        let verb = prop::sample::select(vec!["add", "remove", "replace", "move", "copy", "test", "other"]);
        let operation = (verb, pointer(), pointer(), value()).prop_map(|(verb, path, from, value)| {
            let fields =
                [("op", verb.into()), ("path", path.into()), ("from", from.into()), ("value", value)];
            Value::Map(fields.into_iter().collect())
        });
        prop::collection::vec(operation, 0..5).prop_map(Value::from)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn no_body_makes_a_write_panic(
            body in value(),
            live in prop::option::of(value()),
            verb in verbs(),
            kind_index in 0_usize..6,
            subresource in prop::sample::select(vec![None, Some("status"), Some("scale")]),
        ) {
            let kinds = [
                ("apps", "Deployment", "deployments"),
                ("apps", "DaemonSet", "daemonsets"),
                ("", "Service", "services"),
                ("", "Pod", "pods"),
                ("", "Secret", "secrets"),
                ("batch", "Job", "jobs"),
            ];
            let (group, name, plural) = kinds[kind_index];
            let server = Server { kind: kind(group, name, plural), live, version: 1 };
            let text = body.to_json();
            let mut request = server.request(verb, &text);
            request.subresource = subresource;
            let _ = write(request);
        }

        #[test]
        fn no_json_patch_makes_a_write_panic(patch in json_patch()) {
            let mut server = Server::deployments();
            server.create(DEPLOYMENT);
            let _ = server.run(WriteVerb::Patch(PatchKind::Json), &patch.to_json(), |request| request);
        }

        #[test]
        fn no_bytes_make_a_write_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), verb in verbs()) {
            let server = Server::deployments();
            let mut request = server.request(verb, "");
            request.body = &bytes;
            request.content_type = "application/yaml";
            let _ = write(request);
        }
    }
}
