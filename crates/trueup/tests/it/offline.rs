//! `trueup diff` with files: no cluster, no Git, no controller.

mod forms;
mod mistakes;
mod schemas;
mod secrets;
mod settings;
mod traceless;

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

pub use secrets::LEAKY;

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

/// Nothing is the same as nothing, which is most likely not what was meant.
#[test]
fn that_there_is_nothing_to_compare_is_said() {
    let folder = Folder::new(&[("target.yaml", ""), ("live.yaml", "---\n# nothing\n---\n")]);
    let (document, code) = folder.document(&[]);
    assert_eq!((code, document.list_at(&["objects"]).len()), (0, 0));
    let run = folder.run(&["--target=target.yaml", "--live=live.yaml"]);
    assert!(run.code == 0 && run.err.contains("no object in target.yaml nor in live.yaml"), "{run:?}");
    let run = folder.run(&[]);
    assert!(run.code == 2 && run.err.contains("--target and --live, or PATH and --against"), "{run:?}");
}

#[test]
fn mistakes_end_with_2_and_say_what_to_do() {
    let folder = Folder::new(&[("target.yaml", CONFIG)]);
    for line in [
        &["--target=target.yaml"][..],
        &["--live=target.yaml"],
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
