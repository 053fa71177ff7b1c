//! Where the incident plays: sandbox, repository, controller, and the six Applications.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use trueup_api::drift_report::{DriftReport, ReportedDifference};
use trueup_api::operation_value;
use trueup_cluster::wire::{BodyKind, Wire};
use trueup_cluster::{Access, Connection};
use trueup_controller::{Board, Options, StartError, Stores, SystemClock};
use trueup_engine::app::{AppKey, Initiator, SyncRequest};
use trueup_object::Value;
use trueup_sandbox::{Sandbox, SandboxOptions};

use super::files::{APPLICATIONS, FILES};
use super::requests;
use crate::controller::start_failure;
use crate::failure::Failure;
use crate::home::{Home, NAMESPACE};
use crate::sandbox::{chain, write_private};
use crate::version::VERSION;

/// Everything here happens on one machine in memory; what takes longer is a fault.
const STEP_MAX: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(10);

/// Commits made while somebody watches are seen soon.
const POLL: Duration = Duration::from_secs(5);

/// Everything that runs.
pub struct Stage {
    folder: TempDir,
    sandbox: Sandbox,
    home: Home,
    board: Board,
    ended: CancellationToken,
    controller: JoinHandle<Result<(), StartError>>,
}

impl Stage {
    /// Builds it all.
    pub async fn set() -> Result<Self, Failure> {
        let folder = tempfile::Builder::new().prefix("trueup-demo-").tempdir();
        let folder =
            folder.map_err(|error| Failure::world(format!("failed to make a temporary folder: {error}")))?;
        make_repository(&folder.path().join("git")).await?;
        let sandbox = Sandbox::start(SandboxOptions::default())
            .await
            .map_err(|error| Failure::world(format!("failed to start the sandbox: {}", chain(&error))))?;
        let kubeconfig = folder.path().join("kubeconfig");
        write_private(&kubeconfig, &sandbox.kubeconfig("admin"))?;
        let access = Access::Kubeconfig { file: Some(kubeconfig), context: None };
        let home = Home { connection: Connection::open(&access, VERSION).await?, access: access.clone() };
        let (board, ended) = (Board::default(), CancellationToken::new());
        install(&home).await?;
        let options = Options {
            access,
            namespace: NAMESPACE.to_owned(),
            stores: Stores::Folder { state_dir: folder.path().join("state"), ssh_command: None },
            take_over: false,
            poll: POLL,
            poll_jitter: Duration::ZERO,
            instance: format!("demo_{}", std::process::id()),
            clock: Arc::new(SystemClock),
            version: VERSION.to_owned(),
            scripts: trueup_lua::Library::default(),
        };
        let controller = tokio::spawn(trueup_controller::run(options, board.clone(), ended.clone()));
        let mut stage = Self { folder, sandbox, home, board, ended, controller };
        stage.wait_for_controller().await?;
        for (name, namespace) in APPLICATIONS {
            stage.home.create(&application(name, namespace, &stage.repository())).await?;
        }
        Ok(stage)
    }

    pub fn repository(&self) -> PathBuf {
        self.folder.path().join("git")
    }

    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("kubeconfig")
    }

    async fn wait_for_controller(&mut self) -> Result<(), Failure> {
        let begun = tokio::time::Instant::now();
        while !self.board.shown().leading {
            if self.controller.is_finished() {
                return match (&mut self.controller).await {
                    Ok(Err(error)) => Err(start_failure(&error)),
                    Ok(Ok(())) | Err(_) => Err(Failure::ours("the controller ended at once")),
                };
            }
            if begun.elapsed() > STEP_MAX {
                return Err(Failure::ours("the controller did not take the Lease"));
            }
            tokio::time::sleep(STEP).await;
        }
        Ok(())
    }

    /// Syncs the applications one after the other, as a person would.
    pub async fn sync_all(&self) -> Result<(), Failure> {
        for (name, _) in APPLICATIONS {
            let username = "admin".into();
            let initiated_by = Initiator { username, automated: false };
            let mut patch = Value::default();
            let request = SyncRequest { initiated_by, ..SyncRequest::default() };
            patch.set_at(&["operation"], operation_value(&request));
            self.home.merge(&key(name), &patch).await?;
        }
        for (name, _) in APPLICATIONS {
            self.wait_until_synced(name).await?;
        }
        Ok(())
    }

    async fn wait_until_synced(&self, name: &str) -> Result<(), Failure> {
        let begun = tokio::time::Instant::now();
        loop {
            let object = self.home.application(&key(name)).await?;
            let phase = object.str_at(&["status", "operationState", "phase"]).unwrap_or_default();
            let sync = object.str_at(&["status", "sync", "status"]).unwrap_or_default();
            if phase == "Succeeded" && sync == "Synced" {
                return Ok(());
            }
            let message = object.str_at(&["status", "operationState", "message"]).unwrap_or_default();
            if matches!(phase, "Failed" | "Error") || begun.elapsed() > STEP_MAX {
                return Err(Failure::ours(format!("{name} was not synced: {phase} {message}, {sync}")));
            }
            tokio::time::sleep(STEP).await;
        }
    }

    pub async fn sync_status(&self, name: &str) -> Result<String, Failure> {
        let object = self.home.application(&key(name)).await?;
        Ok(object.str_at(&["status", "sync", "status"]).unwrap_or("Unknown").to_owned())
    }

    /// Sync status and health, for a line.
    pub async fn state_of(&self, name: &str) -> Result<String, Failure> {
        let object = self.home.application(&key(name)).await?;
        let word = |path: &[&str]| object.str_at(path).unwrap_or("Unknown").to_owned();
        Ok(format!("{}, {}", word(&["status", "sync", "status"]), word(&["status", "health", "status"])))
    }

    pub async fn report(&self, name: &str) -> Option<DriftReport> {
        self.home.report(&key(name)).await
    }

    /// What differs, once the report says as much as the status.
    pub async fn differences(&self, name: &str) -> Vec<ReportedDifference> {
        let begun = tokio::time::Instant::now();
        loop {
            let differences = self.report(name).await.map(|report| report.differences).unwrap_or_default();
            if !differences.is_empty() || begun.elapsed() > STEP_MAX {
                return differences;
            }
            tokio::time::sleep(STEP).await;
        }
    }

    /// How often the controller has looked at an application.
    pub fn looks(&self, name: &str) -> u64 {
        self.board.shown().looks.get(&key(name)).map_or(0, |(count, _)| *count)
    }

    /// The API server as another program reaches it.
    pub async fn wire(&self, user: &str, agent: &str) -> Result<Wire, Failure> {
        let access = Access::Kubeconfig { file: Some(self.kubeconfig()), context: Some(user.to_owned()) };
        Ok(Connection::open_as(&access, agent).await?.wire)
    }

    /// Ends everything; returns the folder, which is gone unless it is kept.
    pub async fn strike(self, keep: bool) -> PathBuf {
        let Self { folder, sandbox, home: _, board: _, ended, controller } = self;
        ended.cancel();
        // What does not end in time ends with the process.
        let _ended = tokio::time::timeout(STEP_MAX, controller).await;
        sandbox.shutdown().await;
        if keep { folder.keep() } else { folder.path().to_owned() }
    }
}

fn key(name: &str) -> AppKey {
    AppKey::new(NAMESPACE, name)
}

fn application(name: &str, namespace: &str, repository: &Path) -> Value {
    let mut object = Value::default();
    object.set_at(&["apiVersion"], "argoproj.io/v1alpha1".into());
    object.set_at(&["kind"], "Application".into());
    object.set_at(&["metadata", "name"], name.into());
    object.set_at(&["metadata", "namespace"], NAMESPACE.into());
    object.set_at(&["spec", "project"], "default".into());
    object.set_at(&["spec", "source", "repoURL"], format!("file://{}", repository.display()).into());
    object.set_at(&["spec", "source", "path"], format!("apps/{name}").into());
    object.set_at(&["spec", "source", "targetRevision"], "main".into());
    object.set_at(&["spec", "destination", "name"], "in-cluster".into());
    object.set_at(&["spec", "destination", "namespace"], namespace.into());
    object
}

/// Definitions and namespaces, and the wait until Applications are served.
async fn install(home: &Home) -> Result<(), Failure> {
    let wire = &home.connection.wire;
    let crds = trueup_api::crd::crds().map_err(|error| Failure::ours(error.to_string()))?;
    for crd in crds {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        requests::send(wire, Method::POST, path, None, BodyKind::Json, crd.to_json().into_bytes()).await?;
    }
    for namespace in APPLICATIONS.iter().map(|(_, namespace)| *namespace).chain([NAMESPACE]) {
        let body = format!(r#"{{"apiVersion":"v1","kind":"Namespace","metadata":{{"name":"{namespace}"}}}}"#);
        requests::send(wire, Method::POST, "/api/v1/namespaces", None, BodyKind::Json, body.into_bytes())
            .await?;
    }
    let begun = tokio::time::Instant::now();
    while let Err(failure) = home.applications(NAMESPACE, "").await {
        if begun.elapsed() > STEP_MAX {
            return Err(failure);
        }
        tokio::time::sleep(STEP).await;
    }
    Ok(())
}

/// A repository with the incident's content at its first commit.
async fn make_repository(folder: &Path) -> Result<(), Failure> {
    for (path, text) in FILES {
        let file = folder.join(path);
        let parent = file.parent().unwrap_or(folder);
        std::fs::create_dir_all(parent)
            .and_then(|()| std::fs::write(&file, text))
            .map_err(|error| Failure::world(format!("failed to write {}: {error}", file.display())))?;
    }
    git(folder, &["init", "--quiet", "--initial-branch=main"]).await?;
    git(folder, &["config", "user.name", "demo"]).await?;
    git(folder, &["config", "user.email", "demo@example.com"]).await?;
    git(folder, &["add", "--all"]).await?;
    git(folder, &["commit", "--quiet", "--no-gpg-sign", "--message=Everything as it should be"]).await
}

async fn git(folder: &Path, arguments: &[&str]) -> Result<(), Failure> {
    let run = Command::new("git").args(arguments).current_dir(folder).output().await;
    let output = run.map_err(|error| {
        Failure::world(format!("failed to run git: {error}")).hint("install git 2.28 or newer")
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::world(format!("failed to run git {}: {}", arguments.join(" "), said.trim())))
}
