//! What a run stands on: an API server, a repository, Applications, an engine that has synced them.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use futures::{StreamExt, TryStreamExt};
use tempfile::TempDir;
use trueup_object::Value;
use trueup_testkit::{
    controlplane::{self, ControlPlane},
    git::Repository,
    http::{BodyKind, Client, Method},
    story::find_kubectl,
};

use super::{
    engine::{Engine, Setup},
    observer::{Observer, What},
    std20::{self, App, DRIFTING, DRIFTING_KEY},
};

/// The namespace of the Applications.
const HOME: &str = "argocd";
pub const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";

/// Enough to keep the server busy while things are set up.
const PARALLEL: usize = 8;
/// A definition is served a moment after it was accepted.
const SERVED_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(100);
/// While things settle, at least one application gets there within this time.
const STUCK_AFTER: Duration = Duration::from_secs(120);
/// A run tells this often how far it is.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// The name under which the bench changes things behind the engine's back.
const WRITER: &str = "bench-writer";

pub struct Ground {
    pub client: Client,
    pub observer: Observer,
    pub engine: Engine,
    pub apps: Vec<App>,
    /// What the Kubernetes control plane says it is.
    pub server: String,
    // Dropped in this order: the control plane ends after the engine.
    _paused: Option<Paused>,
    _plane: Option<ControlPlane>,
    _folder: TempDir,
}

impl Ground {
    /// Sets everything up and lets the engine sync all applications.
    pub async fn prepare(program: &Path, kubeconfig: Option<&Path>, n_apps: usize) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let (plane, paused) = match kubeconfig {
            Some(_) => (None, None),
            None => {
                let plane = start_plane()?;
                let paused = Paused::new(&plane)?;
                (Some(plane), Some(paused))
            }
        };
        let kubeconfig = match (kubeconfig, &plane) {
            (Some(file), _) => file.canonicalize().with_context(|| format!("find {}", file.display()))?,
            (None, Some(plane)) => plane.kubeconfig().to_path_buf(),
            (None, None) => bail!("no API server"),
        };
        let client = Client::open(&kubeconfig, "admin", "bench")?;
        let apps: Vec<App> = (0..n_apps).map(App).collect();
        say(&format!("{n_apps} applications of {} objects: repository, namespaces", std20::OBJECTS));
        let content = folder.path().join("content");
        std20::write_content(&content, n_apps)?;
        let repository = Repository::create(folder.path(), &content)?;
        install_definitions(program, &kubeconfig, &client).await?;
        populate(&client, &apps, &repository.url()).await?;
        let observer = Observer::open(&client, APPLICATIONS).await?;
        let setup = Setup {
            program: program.to_path_buf(),
            kubeconfig,
            folder: folder.path().join("engine"),
            namespace: HOME.to_owned(),
        };
        let engine = Engine::start(setup)?;
        let server = client.find("/version").await?.unwrap_or_default();
        let server = server.str_at(&["gitVersion"]).unwrap_or("unknown").to_owned();
        let mut ground =
            Self { client, observer, engine, apps, server, _paused: paused, _plane: plane, _folder: folder };
        ground.settle().await?;
        Ok(ground)
    }

    /// Waits until every application is Synced.
    async fn settle(&mut self) -> Result<()> {
        let begun = Instant::now();
        let (mut told, mut moved, mut best) = (begun, begun, 0);
        loop {
            self.engine.check()?;
            self.observer.next(Instant::now() + POLL).await?;
            self.observer.catch_up().await?;
            let n_synced = self.observer.with_status("Synced").len();
            if n_synced == self.apps.len() {
                say(&format!("all synced after {:.1} s", begun.elapsed().as_secs_f64()));
                return Ok(());
            }
            if n_synced > best {
                (best, moved) = (n_synced, Instant::now());
            }
            if moved.elapsed() > STUCK_AFTER {
                bail!(
                    "{n_synced} of {} applications are synced and no more get there; the engine's log ends so:\n{}",
                    self.apps.len(),
                    self.engine.log_end()
                );
            }
            if told.elapsed() > TELL_EVERY {
                told = Instant::now();
                say(&format!("{n_synced} of {} synced", self.apps.len()));
            }
        }
    }

    /// Changes the key of an application's ConfigMap as another manager; returns the moment of the acknowledgement.
    pub async fn drift(&self, app: App, value: &str) -> Result<Instant> {
        let mut patch = Value::default();
        patch.set_at(&["data", DRIFTING_KEY], value.into());
        let path = format!("/api/v1/namespaces/{}/configmaps/{DRIFTING}?fieldManager={WRITER}", app.name());
        let writer = self.client.with_agent(WRITER);
        let body = Some((BodyKind::MergePatch, patch.to_json().into()));
        let reply = writer.send(Method::PATCH, &path, body).await?;
        let acknowledged = Instant::now();
        if reply.code >= 400 {
            bail!("change {} of {}: {}", DRIFTING, app.name(), reply.complaint());
        }
        Ok(acknowledged)
    }

    /// Waits until exactly these applications are OutOfSync and all others Synced, first as watched and then as read.
    pub async fn await_out_of_sync(&mut self, expected: &BTreeSet<String>, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        let n_synced = self.apps.len() - expected.len();
        loop {
            self.observer.catch_up().await?;
            if self.observer.with_status("OutOfSync") == *expected
                && self.observer.with_status("Synced").len() == n_synced
            {
                break;
            }
            if self.observer.next(deadline).await?.is_none() {
                let found = self.observer.with_status("OutOfSync");
                let missed: Vec<&String> = expected.difference(&found).take(5).collect();
                let wrong: Vec<&String> = found.difference(expected).take(5).collect();
                bail!(
                    "the run does not count: {} OutOfSync, {} expected; missed {missed:?}, wrong {wrong:?}",
                    found.len(),
                    expected.len()
                );
            }
        }
        self.check_as_read(expected).await
    }

    /// How an application is now, for the message of a run that does not count.
    pub async fn situation(&self, app: App) -> Result<String> {
        let path = format!("/api/v1/namespaces/{}/configmaps/{DRIFTING}", app.name());
        let live = self.client.find(&path).await?.unwrap_or_default();
        let declared = live.str_at(&["data", DRIFTING_KEY]) == Some(&app.declared());
        let application = self.client.find(&format!("{APPLICATIONS}/{}", app.name())).await?;
        let application = application.unwrap_or_default();
        let status = |keys: &[&str]| application.at(keys).map(Value::to_json).unwrap_or_default();
        Ok(format!(
            "its value is {}; its status is {}, its conditions {}, its operation {}; the engine's log ends so:\n{}",
            if declared { "as declared" } else { "not as declared" },
            status(&["status", "sync", "status"]),
            status(&["status", "conditions"]),
            status(&["status", "operationState"]),
            self.engine.log_end()
        ))
    }

    /// The list that a person gets says the same as the watch, and what should be healed is.
    async fn check_as_read(&self, expected: &BTreeSet<String>) -> Result<()> {
        let list = self.client.find(APPLICATIONS).await?.unwrap_or_default();
        let mut found = BTreeSet::new();
        for item in list.list_at(&["items"]) {
            let name = item.str_at(&["metadata", "name"]).unwrap_or_default();
            if item.str_at(&["status", "sync", "status"]) == Some("OutOfSync") {
                found.insert(name.to_owned());
            }
        }
        if found != *expected {
            bail!("the run does not count: {} OutOfSync as read, {} expected", found.len(), expected.len());
        }
        for app in self.apps.iter().filter(|app| app.heals()) {
            let path = format!("/api/v1/namespaces/{}/configmaps/{DRIFTING}", app.name());
            let live = self.client.find(&path).await?.unwrap_or_default();
            if live.str_at(&["data", DRIFTING_KEY]) != Some(&app.declared()) {
                bail!("the run does not count: {} is not healed", app.name());
            }
        }
        Ok(())
    }
}

/// Whether something that was seen is this status of this application.
pub fn is_status(seen: &super::observer::Seen, app: &str, status: &str) -> bool {
    seen.app == app && matches!(&seen.what, What::Status(found) if found == status)
}

/// Says how far a run is; figures go to standard output.
pub fn say(line: &str) {
    eprintln!("bench: {line}");
}

fn start_plane() -> Result<ControlPlane> {
    // Figures without etcd's fsync would be of no use to anybody.
    let options = controlplane::Options { fsync: true, ..controlplane::Options::default() };
    say("starting a control plane (about 5 seconds)");
    ControlPlane::start(&options, &mut |line| say(line))
}

async fn install_definitions(program: &Path, kubeconfig: &Path, client: &Client) -> Result<()> {
    let definitions = Command::new(program).arg("crds").output().context("print the definitions")?;
    if !definitions.status.success() {
        bail!("print the definitions: {}", String::from_utf8_lossy(&definitions.stderr).trim());
    }
    let kubectl: PathBuf = find_kubectl(&mut |line| say(line))?;
    let mut apply = Command::new(kubectl)
        .arg("--kubeconfig")
        .arg(kubeconfig)
        .args(["apply", "--server-side", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .context("run kubectl")?;
    let mut input = apply.stdin.take().ok_or_else(|| anyhow!("no standard input"))?;
    input.write_all(&definitions.stdout)?;
    drop(input);
    if !apply.wait()?.success() {
        bail!("kubectl could not install the definitions");
    }
    let deadline = Instant::now() + SERVED_TIMEOUT;
    while client.get(APPLICATIONS).await?.code != 200 {
        if Instant::now() > deadline {
            bail!("Applications are not served");
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

/// Makes the namespaces and then the Applications.
async fn populate(client: &Client, apps: &[App], repository: &str) -> Result<()> {
    let names = std::iter::once(HOME.to_owned()).chain(apps.iter().map(|app| app.name()));
    let namespaces = names.map(|name| async move {
        let mut object = Value::default();
        object.set_at(&["apiVersion"], "v1".into());
        object.set_at(&["kind"], "Namespace".into());
        object.set_at(&["metadata", "name"], name.into());
        create(client, "/api/v1/namespaces", &object).await
    });
    futures::stream::iter(namespaces).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await?;
    let applications = apps.iter().map(|app| {
        let object = app.object(HOME, repository);
        async move { create(client, APPLICATIONS, &object).await }
    });
    futures::stream::iter(applications).buffer_unordered(PARALLEL).try_collect::<Vec<()>>().await?;
    Ok(())
}

async fn create(client: &Client, path: &str, object: &Value) -> Result<()> {
    let body = Some((BodyKind::Json, object.to_json().into()));
    let reply = client.send(Method::POST, &format!("{path}?fieldManager=bench"), body).await?;
    // A namespace of an earlier run is as good as a new one; an Application of one is not.
    if reply.code >= 400 && !(reply.code == 409 && path.ends_with("/namespaces")) {
        bail!("create {path}: {}", reply.complaint());
    }
    Ok(())
}

/// The plane's own controllers, held still: their work on thousands of new objects would take the machine from the run for
/// minutes, and the peers were measured without them.
struct Paused {
    pids: Vec<String>,
}

impl Paused {
    fn new(plane: &ControlPlane) -> Result<Self> {
        let components = &plane.ready().components;
        let held = components
            .iter()
            .filter(|(name, _)| matches!(name.as_str(), "kube-controller-manager" | "kube-scheduler"));
        let pids: Vec<String> = held.map(|(_, pid)| pid.to_string()).collect();
        if pids.is_empty() {
            bail!("the control plane names no controllers: {:?}", components.keys());
        }
        let stopped = Command::new("kill").arg("-STOP").args(&pids).status().context("run kill")?;
        if !stopped.success() {
            bail!("could not hold the plane's controllers still");
        }
        Ok(Self { pids })
    }
}

impl Drop for Paused {
    fn drop(&mut self) {
        // A process that is held still does not hear that it is to end.
        let _ = Command::new("kill").arg("-CONT").args(&self.pids).status();
    }
}
