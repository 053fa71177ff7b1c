//! Where one story is played: its repository, its world, the controller under test, the Applications.

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use hyper::Method;
use tokio::{io::AsyncWriteExt, process::Command, time::Instant};
use trueup_object::{Map, Value};

use super::{
    Located, Player, World,
    controller::{Controller, Setup},
    format::StoryApplication,
    kinds::Kinds,
    webhook::Webhook,
    world::wait_until_free,
};
use crate::{
    git::Repository,
    http::{BodyKind, Client},
};

/// The namespace of the Applications.
pub const HOME: &str = "argocd";
pub const APPLICATIONS: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications";
pub const REPORTS: &str = "/apis/trueup.dev/v1alpha1/namespaces/argocd/driftreports";

/// How long something may take that is not what a story is about.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// A program that a story starts ends within this time.
const PROGRAM_TIMEOUT: Duration = Duration::from_secs(90);

/// Everything that a story needs while it is played.
pub struct Stage<'a> {
    pub folder: PathBuf,
    pub repository: Repository,
    pub world: World<'a>,
    pub controller: Controller,
    /// The administrator, under the name `setup`.
    pub client: Client,
    pub kinds: Kinds,
    /// The namespace of all applications, where they have the same: names need not say it.
    pub only_namespace: Option<String>,
    /// What the story serves.
    pub webhooks: Vec<Webhook>,
    program: PathBuf,
}

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl<'a> Stage<'a> {
    /// Sets everything up. The controller is ready and has looked at every Application once.
    pub async fn open(
        located: &Located,
        world: World<'a>,
        folder: &Path,
        player: &Player,
    ) -> Result<Stage<'a>> {
        let program = player.program.as_path();
        let repository = Repository::create(folder, &located.folder.join("git"))?;
        let client = world.client("admin")?;
        let setup = Setup {
            program: program.to_path_buf(),
            kubeconfig: world.controller_kubeconfig().to_path_buf(),
            folder: folder.join("controller"),
        };
        std::fs::create_dir_all(&setup.folder)?;
        let definitions = run(Command::new(program).arg("crds"), "").await?;
        let mut text = definitions.checked("trueup crds")?.stdout;
        if let Some(file) = &player.application_definition {
            text = with_definition(&text, file)?;
        }
        let mut apply = kubectl(&world, folder, None);
        run(apply.args(["apply", "--server-side", "-f", "-"]), &text)
            .await?
            .checked("install the definitions")?;
        // A definition that was just made is first unknown and then not ready.
        until("the definitions are served", || async {
            Ok(client.get(APPLICATIONS).await?.code == 200 && client.get(REPORTS).await?.code == 200)
        })
        .await?;
        create_namespaces(&client, located).await?;
        for application in &located.story.applications {
            let object = application_object(application, &repository.url());
            let path = format!("{APPLICATIONS}?fieldManager=setup");
            wait_until_free(&client, &format!("{APPLICATIONS}/{}", application.name)).await?;
            client.write(Method::POST, &path, BodyKind::Json, &object).await?;
        }
        let controller = Controller::start(setup, world.faults())?;
        let kinds = Kinds::read(&client).await?;
        let mut webhooks = Vec::new();
        for webhook in &located.story.webhooks {
            webhooks.push(Webhook::start(webhook).await?);
        }
        let mut stage = Self {
            folder: folder.to_path_buf(),
            repository,
            world,
            controller,
            client,
            kinds,
            only_namespace: only_namespace(located),
            webhooks,
            program: program.to_path_buf(),
        };
        stage.controller.wait_until_ready().await?;
        stage.wait_for_first_looks(located).await?;
        Ok(stage)
    }

    async fn wait_for_first_looks(&self, located: &Located) -> Result<()> {
        let looked = || async {
            for application in &located.story.applications {
                let found = self.client.find(&format!("{APPLICATIONS}/{}", application.name)).await?;
                let status = found.as_ref().and_then(|it| it.str_at(&["status", "sync", "status"]));
                if status.is_none_or(str::is_empty) {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let waited = until("every Application has a status", looked).await;
        waited.with_context(|| format!("the controller's log ends so:\n{}", self.controller.log_end()))
    }

    /// kubectl as a user, in the repository's work tree.
    pub fn kubectl(&self, user: Option<&str>) -> Command {
        let mut command = kubectl(&self.world, &self.folder, user);
        command.current_dir(self.repository.work());
        command
    }

    /// `trueup`, as the person who runs the controller.
    pub fn trueup(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .arg("--kubeconfig")
            .arg(self.world.controller_kubeconfig())
            .arg("--cache-dir")
            .arg(self.folder.join("cache"))
            .env("HOME", &self.folder)
            .env_remove("KUBECONFIG")
            .current_dir(self.repository.work());
        command
    }

    /// The kinds, read again where one was not known.
    pub async fn learn_kinds(&mut self) -> Result<()> {
        self.kinds = Kinds::read(&self.client).await?;
        Ok(())
    }

    /// Ends the controller and leaves the world as it was.
    pub async fn close(self) -> Result<()> {
        self.controller.stop().await?;
        if matches!(self.world.name(), super::WorldName::Cluster) {
            for collection in [APPLICATIONS, REPORTS] {
                self.client.delete(collection).await?;
            }
            let home =
                ["configmaps", "events", "secrets"].map(|it| format!("/api/v1/namespaces/{HOME}/{it}"));
            for collection in home {
                self.client.delete(&collection).await?;
            }
            self.client.delete(&format!("/apis/coordination.k8s.io/v1/namespaces/{HOME}/leases")).await?;
        }
        self.world.close().await
    }
}

fn only_namespace(located: &Located) -> Option<String> {
    let mut namespaces = located.story.applications.iter().map(|application| &application.namespace);
    let first = namespaces.next()?;
    namespaces.all(|other| other == first).then(|| first.clone())
}

/// The definitions with another one of the Application, such as Argo CD's own, in place of ours.
fn with_definition(ours: &str, file: &Path) -> Result<String> {
    let theirs = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    let name = "\n  name: applications.argoproj.io\n";
    let (replaced, others): (Vec<&str>, Vec<&str>) =
        ours.split("\n---\n").partition(|text| text.contains(name));
    if replaced.len() != 1 || !theirs.contains(name) {
        bail!("{} does not define Applications, or `trueup crds` does not", file.display());
    }
    Ok(std::iter::once(theirs.as_str()).chain(others).collect::<Vec<_>>().join("\n---\n"))
}

async fn create_namespaces(client: &Client, located: &Located) -> Result<()> {
    let mut names = vec![HOME];
    names.extend(located.story.applications.iter().map(|application| application.namespace.as_str()));
    names.sort_unstable();
    names.dedup();
    for name in names {
        wait_until_free(client, &format!("/api/v1/namespaces/{name}")).await?;
        let mut object = Value::default();
        object.set_at(&["apiVersion"], "v1".into());
        object.set_at(&["kind"], "Namespace".into());
        object.set_at(&["metadata", "name"], name.into());
        let body = Some((BodyKind::Json, object.to_json().into()));
        let reply = client.send(Method::POST, "/api/v1/namespaces?fieldManager=setup", body).await?;
        if reply.code >= 400 && reply.code != 409 {
            bail!("create the namespace {name}: {}", reply.complaint());
        }
    }
    Ok(())
}

/// The Application that a story's entry stands for.
pub fn application_object(application: &StoryApplication, repository: &str) -> Value {
    let mut object = Value::default();
    object.set_at(&["apiVersion"], "argoproj.io/v1alpha1".into());
    object.set_at(&["kind"], "Application".into());
    object.set_at(&["metadata", "name"], application.name.as_str().into());
    object.set_at(&["metadata", "namespace"], HOME.into());
    if application.annotations.as_map().is_some_and(|map| !map.is_empty()) {
        object.set_at(&["metadata", "annotations"], application.annotations.clone());
    }
    let mut spec = Value::Map(Map::new());
    spec.set_at(&["project"], "default".into());
    spec.set_at(&["source", "repoURL"], repository.into());
    spec.set_at(&["source", "path"], format!("apps/{}", application.name).into());
    spec.set_at(&["source", "targetRevision"], "main".into());
    spec.set_at(&["destination", "server"], "https://kubernetes.default.svc".into());
    spec.set_at(&["destination", "namespace"], application.namespace.as_str().into());
    merge(&mut spec, &application.spec);
    object.set_at(&["spec"], spec);
    object
}

/// Maps are merged; a null removes; anything else replaces. Several sources take the place of the single one.
fn merge(into: &mut Value, over: &Value) {
    let (Some(map), Some(over)) = (into.as_map_mut(), over.as_map()) else { return };
    if over.contains("sources") {
        map.remove("source");
    }
    for (key, value) in over.iter() {
        match value {
            Value::Null => {
                map.remove(key);
            }
            Value::Map(_) if map.get(key).is_some_and(|it| it.as_map().is_some()) => {
                merge(map.entry_or_null(key), value);
            }
            Value::Map(_)
            | Value::Bool(_)
            | Value::Int(_)
            | Value::Float(_)
            | Value::Str(_)
            | Value::List(_) => {
                map.insert(key, value.clone());
            }
        }
    }
}

fn kubectl(world: &World<'_>, folder: &Path, user: Option<&str>) -> Command {
    let mut command = Command::new(world.kubectl());
    command
        .arg("--kubeconfig")
        .arg(world.kubeconfig())
        // Discovery is cached by address, and another story's sandbox may have had the same.
        .env("HOME", folder)
        .env("KUBECACHEDIR", folder.join("kubectl-cache"))
        .env_remove("KUBECONFIG");
    if let Some(user) = user {
        command.args(["--context", user]);
    }
    command
}

/// Runs a program to its end.
pub async fn run(command: &mut Command, stdin: &str) -> Result<Ran> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
    let mut input = child.stdin.take().ok_or_else(|| anyhow!("no standard input"))?;
    let finish = async {
        // A program that does not read has closed its end; how it ended says more.
        let _ = input.write_all(stdin.as_bytes()).await;
        drop(input);
        child.wait_with_output().await
    };
    let output = tokio::time::timeout(PROGRAM_TIMEOUT, finish)
        .await
        .with_context(|| format!("{command:?} did not end within {} s", PROGRAM_TIMEOUT.as_secs()))??;
    Ok(Ran {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

impl Ran {
    /// Fails where the program did.
    pub fn checked(self, what: &str) -> Result<Self> {
        match self.code {
            Some(0) => Ok(self),
            _ => bail!("{what}: {}", self.complaint()),
        }
    }

    pub fn complaint(&self) -> String {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        format!("ended with {code}: {}{}", self.stderr.trim(), self.stdout.trim())
    }
}

/// Waits until something holds.
pub async fn until<F, R>(what: &str, mut holds: F) -> Result<()>
where
    F: FnMut() -> R,
    R: Future<Output = Result<bool>>,
{
    let deadline = Instant::now() + SETTLE_TIMEOUT;
    while !holds().await? {
        if Instant::now() > deadline {
            bail!("{what}: not so after {} s", SETTLE_TIMEOUT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}
