//! A sandbox, a repository and controllers, and the means of a test to change and to wait.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trueup_cluster::wire::{BodyKind, Wire};
use trueup_cluster::{Access, Connection};
use trueup_controller::{Board, OffsetClock, Options, Stores};
use trueup_object::Value;
use trueup_sandbox::{Sandbox, SandboxOptions};

use crate::gate::Gate;

/// Long enough for a busy machine; a test that works never waits for it.
const DEADLINE: Duration = Duration::from_secs(90);
const LOOK: Duration = Duration::from_millis(20);

/// Faults of a test meet the controllers alone.
const CONTROLLER: &str = "controller";

pub struct World {
    pub sandbox: Sandbox,
    pub gate: Gate,
    folder: TempDir,
    wire: Wire,
    controllers: Vec<Controller>,
}

/// A running controller.
struct Controller {
    ended: CancellationToken,
    task: JoinHandle<()>,
    board: Board,
}

pub fn deployment(replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: {replicas}\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
         spec: {{containers: [{{name: web, image: 'web:1'}}]}}\n"
    )
}

pub fn config_map(name: &str, value: &str) -> String {
    format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata: {{text: '{value}'}}\n")
}

pub fn value(json: &str) -> Value {
    Value::from_json(json.as_bytes()).unwrap()
}

impl World {
    /// A world with one controller in it.
    pub async fn start(files: &[(&str, &str)]) -> Self {
        let mut world = Self::without_controller(files).await;
        world.control("first").await;
        world
    }

    pub async fn without_controller(files: &[(&str, &str)]) -> Self {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_default();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        trueup_cluster::connect::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        std::fs::create_dir_all(&work).unwrap();
        git(&work, &["init", "--quiet", "--initial-branch=main"]);
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let mut gate = Gate::new(sandbox.url().trim_start_matches("https://").parse().unwrap()).await;
        gate.open().await;
        let kubeconfig = sandbox.kubeconfig("admin");
        std::fs::write(folder.path().join("direct"), &kubeconfig).unwrap();
        std::fs::write(folder.path().join("gated"), kubeconfig.replace(&sandbox.url(), &gate.url())).unwrap();
        let access = Access::Kubeconfig { file: Some(folder.path().join("direct")), context: None };
        let wire = Connection::open(&access, "observer").await.unwrap().wire;
        let world = Self { sandbox, gate, folder, wire, controllers: Vec::new() };
        let files: Vec<_> = files.iter().map(|(path, content)| (*path, Some(*content))).collect();
        world.commit(&files);
        for crd in trueup_api::crd::crds().unwrap() {
            world.create(DEFINITIONS, &crd).await;
        }
        for name in ["argocd", "web"] {
            let json = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
            world.create("/api/v1/namespaces", &value(&json)).await;
        }
        world
    }

    /// Starts a controller with a state directory of its own; one of the same name goes on with what it left.
    pub async fn control(&mut self, instance: &str) {
        self.control_with(instance, false).await;
    }

    pub async fn control_with(&mut self, instance: &str, take_over: bool) {
        let options = Options {
            access: Access::Kubeconfig { file: Some(self.folder.path().join("gated")), context: None },
            namespace: "argocd".to_owned(),
            stores: Stores::Folder { state_dir: self.state_dir(instance), ssh_command: None },
            take_over,
            poll: Duration::from_secs(120),
            poll_jitter: Duration::ZERO,
            instance: instance.to_owned(),
            clock: Arc::new(OffsetClock::new(self.folder.path().join("clock"))),
            version: CONTROLLER.to_owned(),
            scripts: trueup_lua::Library::default(),
        };
        let (ended, board) = (CancellationToken::new(), Board::default());
        let (stop, shown) = (ended.clone(), board.clone());
        let task = tokio::spawn(async move {
            trueup_controller::run(options, shown, stop).await.unwrap();
        });
        self.controllers.push(Controller { ended, task, board });
    }

    pub fn state_dir(&self, instance: &str) -> PathBuf {
        self.folder.path().join(format!("state-{instance}"))
    }

    /// Ends the oldest controller as a signal does.
    pub async fn stop(&mut self) {
        let controller = self.controllers.remove(0);
        controller.ended.cancel();
        controller.task.await.unwrap();
    }

    /// Ends the oldest controller in the middle of whatever it does.
    pub async fn kill(&mut self) {
        let controller = self.controllers.remove(0);
        controller.task.abort();
        assert!(controller.task.await.unwrap_err().is_cancelled());
    }

    pub async fn end(mut self) {
        while !self.controllers.is_empty() {
            self.stop().await;
        }
        self.gate.shut().await;
        self.sandbox.shutdown().await;
    }

    pub fn board(&self) -> Board {
        self.controllers[0].board.clone()
    }

    /// Sets the clock of every controller forward.
    pub fn forward(&self, seconds: u64) {
        let file = self.folder.path().join("clock");
        let before: u64 = std::fs::read_to_string(&file).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
        // Written beside and renamed: a clock that is read meanwhile must not run backwards.
        let fresh = self.folder.path().join("clock.new");
        std::fs::write(&fresh, (before + seconds).to_string()).unwrap();
        std::fs::rename(fresh, file).unwrap();
    }

    /// Commits files; without content they are removed.
    pub fn commit(&self, files: &[(&str, Option<&str>)]) {
        let work = self.folder.path().join("work");
        for (path, content) in files {
            let file = work.join(path);
            match content {
                Some(content) => {
                    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                    std::fs::write(file, content).unwrap();
                }
                None => std::fs::remove_file(file).unwrap(),
            }
        }
        git(&work, &["add", "--all"]);
        let who = ["-c", "user.name=T", "-c", "user.email=t@example.com"];
        let commit = ["commit", "--quiet", "--allow-empty", "--message", "change"];
        git(&work, &[who.as_slice(), commit.as_slice()].concat());
    }

    pub fn repository(&self) -> String {
        format!("file://{}", self.folder.path().join("work").display())
    }

    pub fn branch(&self, name: &str) {
        git(&self.folder.path().join("work"), &["branch", name]);
    }

    /// Takes the repository away, or puts it back.
    pub fn hide_repository(&self, hidden: bool) {
        let (work, away) = (self.folder.path().join("work"), self.folder.path().join("away"));
        if hidden { std::fs::rename(work, away).unwrap() } else { std::fs::rename(away, work).unwrap() }
    }

    /// Makes the controllers' requests fail; `on` narrows which.
    pub fn fault(&self, fault: &str, on: &str) {
        let mut rule = value(fault);
        rule.set_at(&["match"], value(on));
        rule.set_at(&["match", "userAgent"], format!("trueup/{CONTROLLER}").into());
        self.sandbox.faults().add_json(&rule).unwrap();
    }

    pub fn mend(&self) {
        self.sandbox.faults().clear();
    }

    /// The writes of controllers so far.
    pub fn n_writes(&self, path: &str) -> usize {
        let agent = format!("trueup/{CONTROLLER}");
        let records = self.sandbox.requests();
        records.iter().filter(|it| it.user_agent.starts_with(&agent) && it.path.contains(path)).count()
    }

    /// Creates an Application of the repository's `apps/NAME`; `spec` is laid over.
    pub async fn application(&self, name: &str, spec: &str) {
        let repo = self.repository();
        let json = format!(
            r#"{{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{{"name":"{name}","namespace":"argocd"}},
                "spec":{{"project":"default","source":{{"repoURL":"{repo}","path":"apps/{name}","targetRevision":"main"}},
                "destination":{{"server":"https://kubernetes.default.svc","namespace":"web"}}}}}}"#
        );
        let mut object = value(&json);
        for (key, value) in value(spec).as_map().unwrap().iter() {
            object.set_at(&["spec", key], value.clone());
        }
        self.create(&applications(""), &object).await;
    }

    /// Merges into an Application under somebody's manager.
    pub async fn patch(&self, name: &str, patch: &str, manager: &str) {
        self.merge(&applications(name), patch, manager).await;
    }

    pub async fn operation(&self, name: &str, operation: &str) {
        self.patch(name, &format!(r#"{{"operation":{operation}}}"#), "argocd").await;
    }

    pub async fn finalizer(&self, name: &str) {
        let patch = r#"{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io"]}}"#;
        self.patch(name, patch, "argocd").await;
    }

    pub async fn delete_application(&self, name: &str) {
        self.delete(&applications(name)).await;
    }

    /// Asks for Git to be looked at now, as `app get --refresh` does.
    pub async fn refresh(&self, name: &str) {
        let patch = r#"{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}"#;
        self.patch(name, patch, "argocd").await;
    }

    /// Merges into the Deployment under somebody's manager.
    pub async fn edit(&self, patch: &str, manager: &str) {
        self.merge(DEPLOYMENT, patch, manager).await;
    }

    pub async fn merge(&self, path: &str, patch: &str, manager: &str) {
        let path = format!("{path}?fieldManager={manager}");
        self.send(Method::PATCH, &path, BodyKind::MergePatch, &value(patch)).await;
    }

    pub async fn create(&self, path: &str, object: &Value) {
        self.send(Method::POST, path, BodyKind::Json, object).await;
    }

    pub async fn delete(&self, path: &str) {
        self.send(Method::DELETE, path, BodyKind::Json, &Value::Map(Default::default())).await;
    }

    /// Waits until the status of an Application is as wanted, and returns it.
    pub async fn until(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let whole =
            self.until_application(name, |application| application.get("status").is_some_and(&wanted)).await;
        whole.get("status").cloned().unwrap()
    }

    /// Waits for a sync status.
    pub async fn until_is(&self, name: &str, sync: &str) -> Value {
        self.until(name, |status| status.str_at(&["sync", "status"]) == Some(sync)).await
    }

    /// Waits until an application is in a sync status without any condition.
    pub async fn until_well(&self, name: &str, sync: &str) -> Value {
        let well = |status: &Value| {
            status.str_at(&["sync", "status"]) == Some(sync) && status.list_at(&["conditions"]).is_empty()
        };
        self.until(name, well).await
    }

    /// Waits for a condition of this type whose message contains a text.
    pub async fn until_condition(&self, name: &str, kind: &str, text: &str) -> Value {
        self.until(name, |status| {
            status.list_at(&["conditions"]).iter().any(|condition| {
                condition.str_at(&["type"]) == Some(kind)
                    && condition.str_at(&["message"]).is_some_and(|message| message.contains(text))
            })
        })
        .await
    }

    /// Waits until the last operation of an application ended so, and its request is gone.
    pub async fn until_ended(&self, name: &str, phase: &str) -> Value {
        let ended = |application: &Value| {
            application.str_at(&["status", "operationState", "phase"]) == Some(phase)
                && application.get("operation").is_none_or(Value::is_null)
        };
        self.until_application(name, ended).await.get("status").cloned().unwrap()
    }

    pub async fn until_application(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait(&applications(name), |found| found.is_some_and(&wanted)).await.unwrap()
    }

    pub async fn until_live(&self, wanted: impl Fn(&Value) -> bool) {
        self.wait(DEPLOYMENT, |found| found.is_some_and(&wanted)).await;
    }

    pub async fn until_gone(&self, name: &str) {
        self.wait(&applications(name), |found| found.is_none()).await;
    }

    /// Waits for an Event with this reason.
    pub async fn until_event(&self, reason: &str) -> Value {
        let told = |found: Option<&Value>| {
            let events = found.map(|list| list.list_at(&["items"])).unwrap_or_default();
            events.iter().any(|event| event.str_at(&["reason"]) == Some(reason))
        };
        let list = self.wait("/api/v1/namespaces/argocd/events", told).await.unwrap();
        let mut events = list.list_at(&["items"]).iter();
        events.find(|event| event.str_at(&["reason"]) == Some(reason)).cloned().unwrap()
    }

    pub async fn deployment(&self) -> Value {
        self.find_deployment().await.unwrap()
    }

    pub async fn find_deployment(&self) -> Option<Value> {
        self.find(DEPLOYMENT).await
    }

    /// The DriftReport, once it has differences.
    pub async fn report(&self, name: &str) -> Value {
        let path = format!("/apis/trueup.dev/v1alpha1/namespaces/argocd/driftreports/{name}");
        let told = |found: Option<&Value>| {
            found.is_some_and(|report| !report.list_at(&["status", "differences"]).is_empty())
        };
        self.wait(&path, told).await.unwrap()
    }

    pub async fn resource_version(&self, name: &str) -> String {
        let application = self.find(&applications(name)).await.unwrap();
        application.str_at(&["metadata", "resourceVersion"]).unwrap().to_owned()
    }

    /// Waits until something outside the cluster is as wanted.
    pub async fn until_true(&self, what: &str, wanted: impl Fn() -> bool) {
        let begun = std::time::Instant::now();
        while !wanted() {
            assert!(begun.elapsed() < DEADLINE, "{what}");
            tokio::time::sleep(LOOK).await;
        }
    }

    pub async fn wait(&self, path: &str, wanted: impl Fn(Option<&Value>) -> bool) -> Option<Value> {
        let begun = std::time::Instant::now();
        loop {
            let found = self.find(path).await;
            if wanted(found.as_ref()) {
                return found;
            }
            assert!(begun.elapsed() < DEADLINE, "{path} did not become as wanted: {}", shown(found.as_ref()));
            tokio::time::sleep(LOOK).await;
        }
    }

    pub async fn find(&self, path: &str) -> Option<Value> {
        match self.wire.get(path).await {
            Ok(answer) => Some(Value::from_json(&answer.body).unwrap()),
            Err(error) if error.is_not_found() => None,
            Err(error) => panic!("{path}: {error}"),
        }
    }

    async fn send(&self, method: Method, path: &str, kind: BodyKind, body: &Value) {
        let sent = self.wire.write(method, path, kind, body.to_json().into_bytes()).await;
        if let Err(error) = sent {
            panic!("{path}: {error}");
        }
    }
}

pub const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/web/deployments/web";
pub const CONFIG_MAPS: &str = "/api/v1/namespaces/web/configmaps";

pub fn applications(name: &str) -> String {
    let path = format!("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{name}");
    path.trim_end_matches('/').to_owned()
}

fn shown(found: Option<&Value>) -> String {
    let Some(found) = found else { return "there is none".to_owned() };
    let mut found = found.clone();
    found.set_at(&["metadata", "managedFields"], Value::Null);
    found.to_json()
}

fn git(folder: &Path, arguments: &[&str]) {
    let status = Command::new("git").current_dir(folder).args(arguments).status().unwrap();
    assert!(status.success(), "git {arguments:?}");
}
