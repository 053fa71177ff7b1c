//! `trueup diff` with files: no cluster, no Git, no controller.

use std::process::{Command, Stdio};

use tempfile::TempDir;
use trueup_object::Value;
use trueup_testkit::json_schema::Published;

use crate::world::{Run, program};

/// Files in a folder, and the program called there.
pub struct Folder {
    pub dir: TempDir,
}

impl Folder {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self { dir: tempfile::tempdir().unwrap() };
        for (path, text) in files {
            folder.write(path, text);
        }
        folder
    }

    pub fn write(&self, path: &str, text: &str) {
        let file = self.dir.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_with(arguments, Stdio::null(), &[])
    }

    pub fn run_with(&self, arguments: &[&str], stdin: Stdio, variables: &[(&str, &str)]) -> Run {
        self.call(&[&["diff"], arguments].concat(), stdin, variables)
    }

    /// Calls another command of the program.
    pub fn call(&self, line: &[&str], stdin: Stdio, variables: &[(&str, &str)]) -> Run {
        let mut command = Command::new(program());
        command.args(line).current_dir(self.dir.path()).env_clear();
        command.envs(variables.iter().copied()).env("PATH", std::env::var_os("PATH").unwrap());
        let output = command.env("HOME", self.dir.path()).stdin(stdin).output().unwrap();
        Run {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The document of `target.yaml` and `live.yaml`, and the code.
    pub fn document(&self, more: &[&str]) -> (Value, i32) {
        let mut line = vec!["--target=target.yaml", "--live=live.yaml", "-o", "json"];
        line.extend(more);
        let run = self.run(&line);
        let document = Value::from_json(run.out.as_bytes());
        let document = document.unwrap_or_else(|error| panic!("{error}: {run:?}"));
        // Whatever a test is about, what is printed keeps to what is published.
        assert_eq!(published_faults(&document), Vec::<String>::new(), "{}", run.out);
        (document, run.code)
    }
}

/// What of a document breaks `docs/schema/comparison.schema.json`.
pub fn published_faults(document: &Value) -> Vec<String> {
    Published::read().faults("comparison.schema.json", document)
}

/// The paths of an object's differences.
fn paths<'a>(object: &'a Value, list: &str) -> Vec<&'a str> {
    object.list_at(&[list]).iter().map(|it| it.str_at(&["path"]).unwrap_or("(whole)")).collect()
}

pub fn only(document: &Value) -> &Value {
    let [object] = document.list_at(&["objects"]) else { panic!("{}", document.to_json_pretty()) };
    object
}

fn named<'a>(document: &'a Value, name: &str) -> &'a Value {
    let found = document.list_at(&["objects"]).iter().find(|object| object.str_at(&["name"]) == Some(name));
    found.unwrap_or_else(|| panic!("no {name} in {}", document.to_json_pretty()))
}

pub const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: app, image: 'example.com/web:1', resources: {requests: {cpu: 0.1, memory: 1024Mi}}}
";

/// The same as a server has it after an apply, in the other spelling of every quantity, with defaults and status.
pub const LIVE_DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
  uid: 0b0c
  resourceVersion: "77"
  generation: 3
  creationTimestamp: "2026-01-01T00:00:00Z"
  annotations: {deployment.kubernetes.io/revision: "2"}
spec:
  replicas: 3
  progressDeadlineSeconds: 600
  revisionHistoryLimit: 10
  selector: {matchLabels: {app: web}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: app
        image: example.com/web:1
        imagePullPolicy: IfNotPresent
        resources: {requests: {cpu: 100m, memory: 1Gi}}
        terminationMessagePath: /dev/termination-log
        terminationMessagePolicy: File
      dnsPolicy: ClusterFirst
      restartPolicy: Always
      schedulerName: default-scheduler
      securityContext: {}
      terminationGracePeriodSeconds: 30
status: {replicas: 3, readyReplicas: 3}
"#;

#[test]
fn what_a_server_fills_in_is_no_difference() {
    let folder = Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", LIVE_DEPLOYMENT)]);
    let (document, code) = folder.document(&[]);
    assert_eq!(code, 0, "{}", document.to_json_pretty());
    assert_eq!(document.str_at(&["status"]), Some("Synced"));
    assert_eq!(document.str_at(&["origin"]), Some("none"));
    let object = only(&document);
    let text = |key: &str| object.str_at(&[key]).unwrap().to_owned();
    let identity = ["group", "version", "kind", "namespace", "name", "status"].map(text);
    assert_eq!(identity, ["apps", "v1", "Deployment", "shop", "web", "Synced"]);
    assert_eq!(object.get("problem"), Some(&Value::Null));
    assert_eq!(object.as_map().unwrap().len(), 9, "no key but those of the format");
    let text = folder.run(&["--target=target.yaml", "--live=live.yaml"]);
    assert_eq!((text.code, text.out.as_str()), (0, ""));
}

#[test]
fn who_moved_is_told_by_what_git_said_before() {
    let live = LIVE_DEPLOYMENT.replace("replicas: 3\n  progress", "replicas: 5\n  progress");
    let folder = Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", &live), ("base.yaml", DEPLOYMENT)]);
    let (document, code) = folder.document(&[]);
    assert_eq!((code, document.str_at(&["origin"])), (1, Some("unknown")));
    assert_eq!(paths(only(&document), "differences"), [".spec.replicas"]);

    let (document, code) = folder.document(&["--base=base.yaml"]);
    assert_eq!((code, document.str_at(&["origin"])), (1, Some("cluster")));
    let difference = &only(&document).list_at(&["differences"])[0];
    for (key, value) in [("target", 3), ("live", 5), ("base", 3)] {
        assert_eq!(difference.int_at(&[key]), Some(value), "{key}");
    }
    assert_eq!(difference.str_at(&["channel"]), Some("declared"));
    assert_eq!(difference.str_at(&["change"]), Some("changed"));
    assert_eq!(difference.str_at(&["pointer"]), Some("/spec/replicas"));

    folder.write("base.yaml", &DEPLOYMENT.replace("replicas: 3", "replicas: 5"));
    assert_eq!(folder.document(&["--last-applied=base.yaml"]).0.str_at(&["origin"]), Some("git"));
    folder.write("base.yaml", &DEPLOYMENT.replace("replicas: 3", "replicas: 4"));
    assert_eq!(folder.document(&["--base=base.yaml"]).0.str_at(&["origin"]), Some("both"));
    assert_eq!(folder.run(&["--target=target.yaml", "--live=live.yaml", "--exit-code=false"]).code, 0);
    assert_eq!(folder.run(&["--target=target.yaml", "--live=live.yaml", "--diff-exit-code=9"]).code, 9);
}

const CONFIG: &str =
    "{apiVersion: v1, kind: ConfigMap, metadata: {name: flags, namespace: shop}, data: {a: '1'}}";

#[test]
fn without_managed_fields_what_was_added_needs_something_to_tell_by() {
    let live = CONFIG.replace("{a: '1'}", "{a: '1', b: '2'}");
    let folder = Folder::new(&[("target.yaml", CONFIG), ("live.yaml", &live), ("before.yaml", CONFIG)]);
    let (document, code) = folder.document(&[]);
    assert_eq!((code, document.str_at(&["status"])), (3, Some("Unknown")));
    let problem = only(&document).get("problem").unwrap();
    assert!(problem.str_at(&["message"]).unwrap().contains(".data.b"), "{}", problem.to_json());
    assert!(problem.str_at(&["remedy"]).unwrap().contains("--show-managed-fields"), "{}", problem.to_json());
    for flag in ["--last-applied=before.yaml", "--base=before.yaml"] {
        let (document, code) = folder.document(&[flag]);
        assert_eq!((code, document.str_at(&["origin"])), (1, Some("cluster")), "{flag}");
        let difference = &only(&document).list_at(&["differences"])[0];
        assert_eq!(difference.str_at(&["channel"]), Some("undeclared"));
        assert_eq!(difference.str_at(&["path"]), Some(".data.b"));
    }
}

const OWNED: &str = r#"
apiVersion: v1
kind: ConfigMap
metadata:
  name: flags
  namespace: shop
  managedFields:
  - {manager: deployer, operation: Apply, apiVersion: v1, fieldsType: FieldsV1, fieldsV1: {'f:data': {'f:a': {}}}}
  - {manager: kubectl-edit, operation: Update, apiVersion: v1, time: "2026-01-02T03:04:05Z", fieldsType: FieldsV1,
     fieldsV1: {'f:data': {'f:b': {}}}}
data: {a: '1', b: '2'}
"#;

#[test]
fn managed_fields_tell_who_added_what() {
    let folder = Folder::new(&[("target.yaml", CONFIG), ("live.yaml", OWNED)]);
    let (document, code) = folder.document(&["--manager=deployer"]);
    assert_eq!(code, 1);
    let [difference] = only(&document).list_at(&["differences"]) else { panic!("{}", document.to_json()) };
    let text = |key: &str| difference.str_at(&[key]).unwrap_or("null");
    assert_eq!(
        [text("path"), text("manager"), text("class"), text("time"), text("origin")],
        [".data.b", "kubectl-edit", "manual", "2026-01-02T03:04:05Z", "cluster"]
    );
    // What our own manager applied and Git no longer declares goes with the next apply.
    folder.write("target.yaml", &CONFIG.replace("{a: '1'}", "{b: '2'}"));
    let (document, _) = folder.document(&["--manager=deployer"]);
    assert_eq!(paths(only(&document), "differences"), [".data.a"]);
    assert_eq!(only(&document).list_at(&["differences"])[0].str_at(&["channel"]), Some("declared"));
    let (document, _) = folder.document(&["--manager=somebody"]);
    assert_eq!(only(&document).list_at(&["differences"])[0].str_at(&["channel"]), Some("undeclared"));
}

#[test]
fn objects_of_one_side_only_are_missing_or_extraneous() {
    let list =
        format!("apiVersion: v1\nkind: List\nitems:\n- {CONFIG}\n- {}\n", CONFIG.replace("flags", "old"));
    let folder = Folder::new(&[
        ("git/a.yaml", CONFIG),
        ("git/below/b.json", r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"new"},"data":{}}"#),
        ("git/README.md", "not: [a manifest"),
        ("git/.hidden/c.yaml", "not: [a manifest"),
        ("list.yaml", &list),
    ]);
    let stdin = std::fs::File::open(folder.dir.path().join("list.yaml")).unwrap();
    let run = folder.run_with(&["--target=git", "--live=-", "-o", "json"], stdin.into(), &[]);
    assert_eq!(run.code, 1, "{run:?}");
    let document = Value::from_json(run.out.as_bytes()).unwrap();
    let change = |name: &str| {
        let object = named(&document, name);
        object
            .list_at(&["differences"])
            .first()
            .and_then(|it| it.str_at(&["change"]))
            .unwrap_or("none")
            .to_owned()
    };
    assert_eq!([change("flags"), change("new"), change("old")], ["none", "missing", "extraneous"]);
    assert_eq!(document.list_at(&["objects"]).len(), 3);
    let text = folder.run(&["--target=git", "--live=list.yaml"]);
    assert!(text.out.contains("\n===== /ConfigMap shop/old ======\n"), "{}", text.out);
}

#[test]
fn rules_hide_and_what_they_hide_can_be_shown() {
    let live = LIVE_DEPLOYMENT.replace("replicas: 3\n  progress", "replicas: 5\n  progress");
    let rules = "- {group: apps, kind: Deployment, jsonPointers: [/spec/replicas]}\n";
    let folder = Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", &live), ("rules.yaml", rules)]);
    let (document, code) = folder.document(&["--ignore=rules.yaml"]);
    assert_eq!((code, document.str_at(&["status"])), (0, Some("Synced")));
    assert!(only(&document).list_at(&["notes"]).is_empty());
    let (document, code) = folder.document(&["--ignore=rules.yaml", "--show-ignored"]);
    assert_eq!(code, 0);
    let note = &only(&document).list_at(&["notes"])[0];
    assert_eq!(note.str_at(&["path"]), Some(".spec.replicas"));
    assert!(note.str_at(&["ignoredBy", "rule"]).unwrap().contains("/spec/replicas"), "{}", note.to_json());
    let run =
        folder.run(&["--target=target.yaml", "--live=live.yaml", "--ignore=rules.yaml", "--show-ignored"]);
    assert!(run.code == 0 && run.out.contains(".spec.replicas"), "{run:?}");
    folder.write("rules.yaml", "- {group: apps, kind: Deployment, jsonPointers: [spec]}\n");
    let run = folder.run(&["--target=target.yaml", "--live=live.yaml", "--ignore=rules.yaml"]);
    assert!(run.code == 2 && run.err.contains("hint: "), "{run:?}");
}

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
fn a_document_that_cannot_be_read_spoils_only_what_may_be_in_it() {
    let live = format!("{CONFIG}\n---\na: [b\n");
    let target = format!("{CONFIG}\n---\n{}", CONFIG.replace("flags", "other"));
    let folder = Folder::new(&[("target.yaml", &target), ("live.yaml", &live)]);
    let (document, code) = folder.document(&[]);
    assert_eq!((code, document.str_at(&["status"])), (3, Some("Unknown")));
    assert_eq!(named(&document, "flags").str_at(&["status"]), Some("Synced"));
    assert_eq!(named(&document, "other").str_at(&["status"]), Some("Unknown"));
    // Nor is anything extraneous that a target may be for which cannot be read.
    folder.write("target.yaml", "a: [b\n");
    folder.write("live.yaml", CONFIG);
    let (document, code) = folder.document(&[]);
    assert_eq!((code, named(&document, "flags").str_at(&["status"])), (3, Some("Unknown")));
}

#[test]
fn yaml_says_what_json_says_and_neither_is_more_than_published() {
    let folder = Folder::new(&[("target.yaml", SECRET), ("live.yaml", LIVE_SECRET), ("base.yaml", SECRET)]);
    let more = ["--base=base.yaml", "--full", "--show-ignored"];
    let (mut document, _) = folder.document(&more);
    let mut line = vec!["--target=target.yaml", "--live=live.yaml", "-o", "yaml"];
    line.extend(more);
    assert_eq!(Value::from_yaml(folder.run(&line).out.as_bytes()).unwrap(), document);
    document.set_at(&["more"], Value::Int(1));
    document.set_at(&["status"], "Maybe".into());
    let mut found = published_faults(&document);
    found.sort();
    assert_eq!(found, [".more is not in the schema", r#".status: "Maybe" is not among the values"#]);
}

#[test]
fn mistakes_end_with_2_and_say_what_to_do() {
    let folder = Folder::new(&[("target.yaml", CONFIG)]);
    for line in [
        &["--target=target.yaml"][..],
        &["--target=target.yaml", "--live=nowhere.yaml"],
        &["--target=-", "--live=-"],
        &["--target=target.yaml", "--live=target.yaml", "-o", "html"],
        &["--target=target.yaml", "--live=target.yaml", "--base=nowhere"],
    ] {
        let run = folder.run(line);
        assert_eq!(run.code, 2, "{line:?}: {run:?}");
        assert!(!run.err.is_empty(), "{line:?}");
    }
}

#[test]
fn what_an_autoscaler_scales_is_its_own() {
    let live = LIVE_DEPLOYMENT.replace("replicas: 3\n  progress", "replicas: 5\n  progress");
    let scaler =
        "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: web, namespace: shop},
        spec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}}";
    let both = format!("{live}\n---\n{scaler}");
    let folder =
        Folder::new(&[("target.yaml", &format!("{DEPLOYMENT}\n---\n{scaler}")), ("live.yaml", &both)]);
    let (document, code) = folder.document(&[]);
    assert_eq!(code, 0, "{}", document.to_json_pretty());
}

#[test]
fn what_a_server_would_leave_as_it_is_is_no_difference() {
    // A webhook of the cluster writes images with their registry, whatever is applied.
    let live = LIVE_DEPLOYMENT.replace("image: example.com/web:1", "image: mirror.example.com/web:1");
    let drifted = live.replace("replicas: 3\n  progress", "replicas: 5\n  progress");
    let folder = Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", &live), ("predicted.yaml", &live)]);
    assert_eq!(folder.document(&[]).1, 1);
    let (document, code) = folder.document(&["--predicted=predicted.yaml"]);
    assert_eq!(code, 0, "{}", document.to_json_pretty());
    folder.write("live.yaml", &drifted);
    let (document, code) = folder.document(&["--predicted=predicted.yaml", "--full"]);
    assert_eq!((code, paths(only(&document), "differences")), (1, vec![".spec.replicas"]));
    assert_eq!(only(&document).int_at(&["predictedLive", "spec", "replicas"]), Some(3));
}

#[test]
fn the_settings_of_an_installation_hold() {
    let live = LIVE_DEPLOYMENT.replace("replicas: 3\n  progress", "replicas: 5\n  progress");
    let settings = "
apiVersion: v1
kind: ConfigMap
metadata: {name: argocd-cm, namespace: argocd}
data:
  resource.customizations.ignoreDifferences.apps_Deployment: |
    jsonPointers: [/spec/replicas]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: trueup-settings, namespace: argocd}
data: {undeclared: note}
";
    let folder =
        Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", &live), ("settings.yaml", settings)]);
    let (document, code) = folder.document(&["--settings=settings.yaml", "--show-ignored"]);
    assert_eq!(code, 0, "{}", document.to_json_pretty());
    let note = &only(&document).list_at(&["notes"])[0];
    assert_eq!(note.str_at(&["ignoredBy", "source"]), Some("argocd-cm"));
    folder.write("target.yaml", CONFIG);
    folder.write("live.yaml", OWNED);
    assert_eq!(folder.document(&["--manager=deployer"]).1, 1);
    let (document, code) = folder.document(&["--manager=deployer", "--settings=settings.yaml"]);
    assert_eq!((code, paths(only(&document), "notes")), (0, vec![".data.b"]));
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

/// A Secret as kubectl left it, and its values as they are and in base64.
const SECRET: &str = "
apiVersion: v1
kind: Secret
metadata: {name: login, namespace: shop}
stringData: {password: from-git-c0ffee, user: same-4u}
";

const LIVE_SECRET: &str = r#"
apiVersion: v1
kind: Secret
metadata:
  name: login
  namespace: shop
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{"stringData":{"password":"from-git-c0ffee"}}'
data: {password: bGl2ZS1zM2NyZXQ=, user: c2FtZS00dQ==, added: YWRkZWQtczNjcmV0}
"#;

const VALUES: [&str; 8] = [
    "from-git-c0ffee",
    "ZnJvbS1naXQtYzBmZmVl",
    "live-s3cret",
    "bGl2ZS1zM2NyZXQ=",
    "same-4u",
    "c2FtZS00dQ==",
    "added-s3cret",
    "YWRkZWQtczNjcmV0",
];

#[test]
fn no_value_of_a_secret_is_in_any_form_of_the_result() {
    let folder = Folder::new(&[("target.yaml", SECRET), ("live.yaml", LIVE_SECRET), ("base.yaml", SECRET)]);
    let predicted = LIVE_SECRET.replace("bGl2ZS1zM2NyZXQ=", "ZnJvbS1naXQtYzBmZmVl");
    folder.write("predicted.yaml", &predicted);
    for form in ["text", "json", "yaml", "markdown"] {
        let mut line =
            vec!["--target=target.yaml", "--live=live.yaml", "--full", "--show-ignored", "-o", form];
        for more in [&[][..], &["--base=base.yaml"], &["--predicted=predicted.yaml", "--side-by-side"]] {
            line.extend(more);
            let run = folder.run(&line);
            assert_eq!(run.code, 1, "{run:?}");
            for value in VALUES {
                assert!(
                    !format!("{}{}", run.out, run.err).contains(value),
                    "{line:?} shows {value}: {}",
                    run.out
                );
            }
        }
    }
    let (document, _) = folder.document(&["--full", "--base=base.yaml"]);
    let object = only(&document);
    assert_eq!(paths(object, "differences"), [".data.added", ".data.password"]);
    let side = |name: &str, key: &str| object.str_at(&[name, "data", key]).unwrap().to_owned();
    // Whether two values are the same is to be seen, without seeing them.
    assert_eq!(side("normalizedLive", "user"), side("predictedLive", "user"));
    assert_ne!(side("normalizedLive", "password"), side("predictedLive", "password"));
}

#[test]
fn both_sides_in_full_are_as_compared() {
    let live = LIVE_DEPLOYMENT.replace("replicas: 3\n  progress", "replicas: 5\n  progress");
    let folder = Folder::new(&[("target.yaml", DEPLOYMENT), ("live.yaml", &live)]);
    let (document, _) = folder.document(&["--full"]);
    let object = only(&document);
    assert_eq!(object.int_at(&["normalizedLive", "spec", "replicas"]), Some(5));
    assert_eq!(object.int_at(&["predictedLive", "spec", "replicas"]), Some(3));
    assert_eq!(object.int_at(&["predictedLive", "spec", "revisionHistoryLimit"]), Some(10));
    for side in ["normalizedLive", "predictedLive"] {
        for gone in [&["status"][..], &["metadata", "uid"], &["metadata", "managedFields"]] {
            let mut path = vec![side];
            path.extend(gone);
            assert_eq!(object.at(&path), None, "{path:?}");
        }
    }
    folder.write("live.yaml", "");
    let (document, _) = folder.document(&["--full"]);
    assert_eq!(only(&document).get("normalizedLive"), Some(&Value::Null));
    assert_eq!(only(&document).int_at(&["predictedLive", "spec", "replicas"]), Some(3));
}

#[test]
fn a_comment_is_bounded_and_says_what_is_left_out() {
    let text = "`````\n".repeat(40);
    let object = |number: usize, value: &str| {
        let map = Value::from_yaml(CONFIG.replace("flags", &format!("flags-{number}")).as_bytes()).unwrap();
        let mut map = map;
        map.set_at(&["data", "a"], value.into());
        format!("---\n{}", map.to_yaml())
    };
    let target: String = (0..900).map(|number| object(number, &format!("{text}1"))).collect();
    let live: String = (0..900).map(|number| object(number, &format!("{text}2"))).collect();
    let folder = Folder::new(&[("target.yaml", &target), ("live.yaml", &live)]);
    let run = folder.run(&["--target=target.yaml", "--live=live.yaml", "-o", "markdown"]);
    assert_eq!(run.code, 1);
    assert!(run.out.chars().count() <= 65_536, "{}", run.out.len());
    assert!(run.out.starts_with("### 900 of 900 objects differ\n"), "{}", &run.out[..200]);
    let listed = run.out.matches("| <code>").count();
    assert!(run.out.contains(&format!("{} more objects are not listed", 900 - listed)), "{listed}");
    let shown = run.out.matches("<details>").count();
    assert!(shown > 10 && run.out.contains(&format!("{} more left out here", 900 - shown)), "{shown}");
    assert_eq!(run.out.matches("<details>").count(), run.out.matches("</details>").count());
    // Every block of code is fenced by more backticks than are in it.
    assert!(run.out.contains("\n``````diff\n"), "{}", &run.out[run.out.len() - 3000..]);
}

#[test]
fn the_sides_can_stand_next_to_each_other() {
    let live = CONFIG.replace("'1'", "'2'");
    let folder = Folder::new(&[("target.yaml", CONFIG), ("live.yaml", &live)]);
    let line = ["--target=target.yaml", "--live=live.yaml", "--side-by-side"];
    let run = folder.run_with(&line, Stdio::null(), &[("COLUMNS", "63")]);
    let row = run.out.lines().find(|line| line.contains('|')).unwrap_or_else(|| panic!("{run:?}"));
    assert_eq!(row, format!("{:<30} | {}", "  a: \"2\"", "  a: \"1\""));
    assert!(run.out.lines().all(|line| line.chars().count() <= 63 || line.starts_with('#')), "{}", run.out);
}

#[test]
fn a_program_that_fails_to_show_the_sides_is_not_passed_over() {
    let folder = Folder::new(&[("target.yaml", CONFIG), ("live.yaml", &CONFIG.replace("'1'", "'2'"))]);
    let line = ["--target=target.yaml", "--live=live.yaml"];
    let failed = folder.run_with(&line, Stdio::null(), &[("KUBECTL_EXTERNAL_DIFF", "ls --no-such-flag")]);
    assert!(failed.code == 2 && failed.err.contains("KUBECTL_EXTERNAL_DIFF"), "{failed:?}");
    let differs = folder.run_with(&line, Stdio::null(), &[("KUBECTL_EXTERNAL_DIFF", "diff -u")]);
    assert!(differs.code == 1 && differs.out.contains("-  a: \"2\""), "{differs:?}");
}
