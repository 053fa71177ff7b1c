//! A sandbox, a repository and a controller, and the means of a test to change and to wait.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Method;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trueup_cluster::wire::{BodyKind, Wire};
use trueup_cluster::{Access, Connection};
use trueup_controller::{Board, Options, Shown, SystemClock};
use trueup_object::Value;
use trueup_sandbox::{Sandbox, SandboxOptions};

/// Long enough for a busy machine; a test that works never waits for it.
const DEADLINE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(20);

pub struct World {
    sandbox: Sandbox,
    folder: TempDir,
    wire: Wire,
    controller: Mutex<Option<Running>>,
}

/// A controller that runs.
pub struct Running {
    pub board: Board,
    ended: CancellationToken,
    task: JoinHandle<()>,
}

impl Running {
    fn start(kubeconfig: PathBuf, state_dir: PathBuf) -> Self {
        let (board, ended) = (Board::default(), CancellationToken::new());
        let options = Options {
            access: Access::Kubeconfig { file: Some(kubeconfig), context: None },
            namespace: "argocd".to_owned(),
            state_dir,
            take_over: false,
            poll: Duration::from_secs(120),
            poll_jitter: Duration::ZERO,
            instance: "test".to_owned(),
            clock: Arc::new(SystemClock),
            version: "test".to_owned(),
        };
        let (shown, stop) = (board.clone(), ended.clone());
        let task = tokio::spawn(async move {
            trueup_controller::run(options, shown, stop).await.unwrap();
        });
        Self { board, ended, task }
    }

    /// Waits until the controller shows something.
    pub async fn until(&self, wanted: impl Fn(&Shown) -> bool) {
        let begun = std::time::Instant::now();
        while !wanted(&self.board.shown()) {
            assert!(begun.elapsed() < DEADLINE, "the controller shows {:?}", self.board.shown());
            tokio::time::sleep(LOOK).await;
        }
    }

    pub async fn end(self) {
        self.ended.cancel();
        self.task.await.unwrap();
    }
}

pub fn deployment(replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: {replicas}\n  \
         selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    \
         spec: {{containers: [{{name: web, image: 'web:1'}}]}}\n"
    )
}

impl World {
    pub async fn start(files: &[(&str, &str)]) -> Self {
        Self::start_at(files, None).await
    }

    /// The controller reaches the sandbox through this port, behind which there is nothing yet.
    pub async fn start_through(files: &[(&str, &str)], port: u16) -> Self {
        Self::start_at(files, Some(port)).await
    }

    async fn start_at(files: &[(&str, &str)], port: Option<u16>) -> Self {
        let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_default();
        let _ = tracing_subscriber::fmt().with_env_filter(filter).with_test_writer().try_init();
        trueup_cluster::connect::install_crypto();
        let folder = tempfile::tempdir().unwrap();
        let work = folder.path().join("work");
        std::fs::create_dir_all(&work).unwrap();
        for (path, content) in files {
            let file = work.join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, content).unwrap();
        }
        git(&work, &["init", "--quiet", "--initial-branch=main"]);
        commit(&work);
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, sandbox.kubeconfig("admin")).unwrap();
        let access = Access::Kubeconfig { file: Some(kubeconfig.clone()), context: None };
        let wire = Connection::open(&access, "test").await.unwrap().wire;
        let through = match port {
            None => kubeconfig,
            Some(port) => {
                let text =
                    sandbox.kubeconfig("admin").replace(&sandbox.url(), &format!("https://127.0.0.1:{port}"));
                let through = folder.path().join("kubeconfig-through");
                std::fs::write(&through, text).unwrap();
                through
            }
        };
        let controller = Running::start(through, folder.path().join("state"));
        let world = Self { sandbox, folder, wire, controller: Mutex::new(Some(controller)) };
        for crd in trueup_api::crd::crds().unwrap() {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            world.send(Method::POST, path, BodyKind::Json, &crd).await;
        }
        for name in ["argocd", "web"] {
            let json = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{name}"}}}}"#);
            let object = Value::from_json(json.as_bytes()).unwrap();
            world.send(Method::POST, "/api/v1/namespaces", BodyKind::Json, &object).await;
        }
        world
    }

    /// The sandbox's port.
    pub fn port(&self) -> u16 {
        self.sandbox.url().rsplit(':').next().unwrap().parse().unwrap()
    }

    /// Another controller of the same cluster, with a state directory of its own.
    pub fn second_controller(&self) -> Running {
        Running::start(self.folder.path().join("kubeconfig"), self.folder.path().join("second-state"))
    }

    pub async fn end_controller(&self) {
        let controller = self.controller.lock().unwrap().take();
        if let Some(controller) = controller {
            controller.end().await;
        }
    }

    pub fn hide_repository(&self) {
        std::fs::rename(self.folder.path().join("work"), self.folder.path().join("hidden")).unwrap();
    }

    pub fn show_repository(&self) {
        std::fs::rename(self.folder.path().join("hidden"), self.folder.path().join("work")).unwrap();
    }

    pub async fn refresh(&self, name: &str) {
        let patch = br#"{"metadata":{"annotations":{"argocd.argoproj.io/refresh":"normal"}}}"#;
        self.send(
            Method::PATCH,
            &applications(name),
            BodyKind::MergePatch,
            &Value::from_json(patch).unwrap(),
        )
        .await;
    }

    /// Creates an Application of the repository's `apps/NAME`; `spec` is laid over.
    pub async fn application(&self, name: &str, spec: &str) {
        let repo = format!("file://{}", self.folder.path().join("work").display());
        let json = format!(
            r#"{{"apiVersion":"argoproj.io/v1alpha1","kind":"Application","metadata":{{"name":"{name}","namespace":"argocd"}},
                "spec":{{"project":"default","source":{{"repoURL":"{repo}","path":"apps/{name}","targetRevision":"main"}},
                "destination":{{"server":"https://kubernetes.default.svc","namespace":"web"}}}}}}"#
        );
        let mut object = Value::from_json(json.as_bytes()).unwrap();
        let more = Value::from_json(spec.as_bytes()).unwrap();
        for (key, value) in more.as_map().unwrap().iter() {
            object.set_at(&["spec", key], value.clone());
        }
        self.send(Method::POST, &applications(""), BodyKind::Json, &object).await;
    }

    pub async fn operation(&self, name: &str, operation: &str) {
        let mut patch = Value::default();
        patch.set_at(&["operation"], Value::from_json(operation.as_bytes()).unwrap());
        self.send(Method::PATCH, &applications(name), BodyKind::MergePatch, &patch).await;
    }

    pub async fn finalizer(&self, name: &str) {
        let patch = br#"{"metadata":{"finalizers":["resources-finalizer.argocd.argoproj.io"]}}"#;
        let patch = Value::from_json(patch).unwrap();
        self.send(Method::PATCH, &applications(name), BodyKind::MergePatch, &patch).await;
    }

    pub async fn delete_application(&self, name: &str) {
        self.send(Method::DELETE, &applications(name), BodyKind::Json, &Value::Map(Default::default())).await;
    }

    /// Merges into the Deployment under somebody's manager.
    pub async fn edit(&self, patch: &str, manager: &str) {
        let path = format!("{DEPLOYMENT}?fieldManager={manager}");
        let patch = Value::from_json(patch.as_bytes()).unwrap();
        self.send(Method::PATCH, &path, BodyKind::MergePatch, &patch).await;
    }

    /// Waits until the status of an Application is as wanted, and returns it.
    pub async fn until(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let whole =
            self.until_application(name, |application| application.get("status").is_some_and(&wanted)).await;
        whole.get("status").cloned().unwrap()
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

    pub async fn end(self) {
        self.end_controller().await;
        self.sandbox.shutdown().await;
    }

    async fn wait(&self, path: &str, wanted: impl Fn(Option<&Value>) -> bool) -> Option<Value> {
        let begun = std::time::Instant::now();
        loop {
            let found = self.find(path).await;
            if wanted(found.as_ref()) {
                return found;
            }
            assert!(begun.elapsed() < DEADLINE, "{path} did not become as wanted: {found:?}");
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn find(&self, path: &str) -> Option<Value> {
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

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/web/deployments/web";

fn applications(name: &str) -> String {
    let path = format!("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/{name}");
    path.trim_end_matches('/').to_owned()
}

fn commit(work: &Path) {
    git(work, &["add", "--all"]);
    git(
        work,
        &["-c", "user.name=T", "-c", "user.email=t@example.com", "commit", "--quiet", "--message", "first"],
    );
}

fn git(folder: &Path, arguments: &[&str]) {
    let status = Command::new("git").current_dir(folder).args(arguments).status().unwrap();
    assert!(status.success(), "git {arguments:?}");
}
