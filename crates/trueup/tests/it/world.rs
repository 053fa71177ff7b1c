//! A sandbox, a repository and a way to call the program.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use http::Method;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use trueup_cluster::wire::{BodyKind, Wire};
use trueup_cluster::{Access, Connection};
use trueup_object::Value;
use trueup_sandbox::{Sandbox, SandboxOptions};

/// Nothing in a test takes longer unless it is broken.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub struct World {
    pub folder: TempDir,
    pub sandbox: Sandbox,
    wire: Wire,
}

/// What a call of the program gave.
#[derive(Debug)]
pub struct Run {
    pub code: i32,
    pub out: String,
    pub err: String,
}

pub fn program() -> &'static str {
    env!("CARGO_BIN_EXE_trueup")
}

/// Calls the program in an environment of nothing but what is given.
pub async fn call(program: &Path, arguments: &[&str], home: &Path) -> Run {
    call_with(program, arguments, home, &[]).await
}

/// The same with variables.
pub async fn call_with(program: &Path, arguments: &[&str], home: &Path, more: &[(&str, &str)]) -> Run {
    let output = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(more.iter().copied())
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", home)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(DEADLINE, output).await.expect("the program ends").unwrap();
    Run {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

impl World {
    /// A sandbox with the definitions, and a repository with `apps/web`.
    pub async fn new() -> Self {
        let world = Self::bare().await;
        let crds = trueup_api::crd::crds().unwrap();
        for crd in crds {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            world.post(path, &crd.to_json()).await;
        }
        for namespace in ["argocd", "web"] {
            let body =
                format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{namespace}"}}}}"#);
            world.post("/api/v1/namespaces", &body).await;
        }
        let path = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
        world.until("Applications are served", async || world.wire.get(path).await.is_ok()).await;
        world
    }

    /// A sandbox without definitions.
    pub async fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sandbox = Sandbox::start(SandboxOptions::default()).await.unwrap();
        let kubeconfig = folder.path().join("kubeconfig");
        std::fs::write(&kubeconfig, sandbox.kubeconfig("admin")).unwrap();
        let access = Access::Kubeconfig { file: Some(kubeconfig), context: None };
        let wire = Connection::open_as(&access, "kubectl/v1.36.3").await.unwrap().wire;
        let world = Self { folder, sandbox, wire };
        world.git(&["init", "--quiet", "--initial-branch=main"]).await;
        world.git(&["config", "user.name", "test"]).await;
        world.git(&["config", "user.email", "test@example.com"]).await;
        world.commit("apps/web/config.yaml", CONFIG).await;
        world
    }

    pub fn repository(&self) -> PathBuf {
        self.folder.path().join("git")
    }

    /// Writes a file and commits it.
    pub async fn commit(&self, path: &str, text: &str) {
        let file = self.repository().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        self.git(&["add", "--all"]).await;
        self.git(&["commit", "--quiet", "--no-gpg-sign", "--message=change"]).await;
    }

    async fn git(&self, arguments: &[&str]) {
        std::fs::create_dir_all(self.repository()).unwrap();
        let status =
            Command::new("git").args(arguments).current_dir(self.repository()).status().await.unwrap();
        assert!(status.success(), "git {arguments:?}");
    }

    /// `trueup` with the sandbox's kubeconfig.
    pub async fn trueup(&self, arguments: &[&str]) -> Run {
        self.called(Path::new(program()), arguments).await
    }

    pub async fn called(&self, program: &Path, arguments: &[&str]) -> Run {
        let kubeconfig = self.folder.path().join("kubeconfig");
        let mut all = vec!["--kubeconfig", kubeconfig.to_str().unwrap()];
        all.extend(arguments);
        call(program, &all, self.folder.path()).await
    }

    /// `trueup`, which must end with 0.
    pub async fn ok(&self, arguments: &[&str]) -> Run {
        let run = self.trueup(arguments).await;
        assert_eq!(run.code, 0, "{arguments:?}: {run:?}");
        run
    }

    /// The Application `web` of `apps/web`.
    pub async fn create(&self) {
        let repository = format!("file://{}", self.repository().display());
        let flags = ["--repo", &repository, "--path=apps/web", "--revision=main", "--dest-namespace=web"];
        let mut line = vec!["app", "create", "web"];
        line.extend(flags);
        let run = self.ok(&line).await;
        assert_eq!(run.out, "application 'web' created\n");
    }

    pub async fn post(&self, path: &str, body: &str) {
        let body = body.as_bytes().to_vec();
        self.wire.write(Method::POST, path, BodyKind::Json, body).await.unwrap();
    }

    /// What somebody does by hand.
    pub async fn patch(&self, path: &str, body: &str) {
        let path = format!("{path}?fieldManager=kubectl-patch");
        let body = body.as_bytes().to_vec();
        self.wire.write(Method::PATCH, &path, BodyKind::MergePatch, body).await.unwrap();
    }

    pub async fn live(&self, path: &str) -> Option<Value> {
        let answer = self.wire.get(path).await.ok()?;
        Some(Value::from_json(&answer.body).unwrap())
    }

    pub async fn application(&self) -> Value {
        self.live("/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/web").await.unwrap()
    }

    /// A controller in a process of its own, once it holds the Lease; and where it serves its metrics.
    pub async fn controller(&self) -> (Child, String) {
        let log = self.folder.path().join("controller.log");
        let child = Command::new(program())
            .args([
                "controller",
                "--listen=127.0.0.1:0",
                "--poll-jitter=0",
                "--metrics-application-labels=team",
            ])
            .args(["--kubeconfig".as_ref(), self.folder.path().join("kubeconfig").as_os_str()])
            .args(["--state-dir".as_ref(), self.folder.path().join("state").as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = || std::fs::read_to_string(&log).unwrap();
        self.until("the controller acts", async || lines().contains("holds the Lease")).await;
        let address = lines()
            .lines()
            .find_map(|line| Value::from_json(line.as_bytes()).ok()?.str_at(&["address"]).map(str::to_owned));
        (child, address.expect("the log names the address, in JSON"))
    }

    /// Waits until something holds.
    pub async fn until(&self, what: &str, mut holds: impl AsyncFnMut() -> bool) {
        let begun = Instant::now();
        while !holds().await {
            assert!(begun.elapsed() < DEADLINE, "still not so: {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

pub const CONFIG: &str = "apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data:
  colour: blue
  size: large
";

pub const CONFIG_PATH: &str = "/api/v1/namespaces/web/configmaps/settings";
