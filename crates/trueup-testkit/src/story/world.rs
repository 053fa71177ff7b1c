//! The two worlds that a story is played in: the sandbox, made anew for each story, and one real control plane, which is cleaned up
//! after each.

use std::{
    collections::BTreeSet,
    fs,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::Mutex,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use trueup_object::Value;
use trueup_sandbox::{Sandbox, SandboxOptions, Workloads, faults::Faults};

use super::kinds::Kinds;
use crate::{
    controlplane::{self, ControlPlane, Options, Progress},
    faults::Proxy,
    http::Client,
};

/// Whom the runner is: the one who sets things up, not the one who is judged.
const RUNNER: &str = "setup";

/// Namespaces take the real control plane a few seconds to empty.
const GONE_TIMEOUT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(100);

/// Which world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum WorldName {
    Sandbox,
    Cluster,
}

impl WorldName {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sandbox => "sandbox",
            Self::Cluster => "cluster",
        }
    }
}

/// A request that changed something or tried to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    pub verb: String,
    /// Without its query.
    pub path: String,
    pub agent: String,
    pub code: u16,
}

/// A world as one story uses it.
pub struct World<'a> {
    kind: Kind<'a>,
    /// For kubectl and the runner.
    kubeconfig: PathBuf,
    /// For the controller under test and `trueup app`.
    controller_kubeconfig: PathBuf,
    kubectl: PathBuf,
}

enum Kind<'a> {
    Sandbox(Box<Sandbox>),
    Cluster { world: &'a ClusterWorld, proxy: Proxy, audit: Mutex<AuditLog> },
}

/// What a story needs of a control plane.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Needs {
    /// Workloads become Ready.
    pub ready: bool,
    /// Operators are at work.
    pub operators: bool,
}

/// A control plane that stories share.
pub struct ClusterWorld {
    plane: ControlPlane,
    /// Cluster-scoped objects and namespaces that were there at first, by path.
    first: BTreeSet<String>,
}

/// What of the audit log was read.
struct AuditLog {
    path: PathBuf,
    offset: u64,
    writes: Vec<Write>,
}

impl<'a> World<'a> {
    /// A sandbox of its own, whose kubeconfig goes into the folder.
    pub async fn sandbox(folder: &Path, kubectl: &Path, ready: bool) -> Result<World<'static>> {
        let workloads = if ready { Workloads::Ready } else { Workloads::Pending };
        let options = SandboxOptions { workloads, ..SandboxOptions::default() };
        let sandbox = Sandbox::start(options).await.context("start the sandbox")?;
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, sandbox.kubeconfig("admin"))?;
        Ok(World {
            kind: Kind::Sandbox(Box::new(sandbox)),
            controller_kubeconfig: kubeconfig.clone(),
            kubeconfig,
            kubectl: kubectl.to_path_buf(),
        })
    }

    /// The shared control plane; what is asked of it through the controller's kubeconfig passes a proxy that can make faults.
    pub async fn cluster(world: &'a ClusterWorld, folder: &Path) -> Result<World<'a>> {
        let kubeconfig = world.plane.kubeconfig().to_path_buf();
        let proxy = Proxy::start(Client::open(&kubeconfig, "admin", RUNNER)?).await?;
        let controller_kubeconfig = folder.join("controller-kubeconfig");
        fs::write(&controller_kubeconfig, proxy.kubeconfig())?;
        let path = world.plane.ready().audit_log.clone().ok_or_else(|| anyhow!("no audit log"))?;
        let offset = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let audit = Mutex::new(AuditLog { path, offset, writes: Vec::new() });
        Ok(World {
            kind: Kind::Cluster { world, proxy, audit },
            kubeconfig,
            controller_kubeconfig,
            kubectl: world.plane.programs().kubectl.clone(),
        })
    }

    pub fn name(&self) -> WorldName {
        match &self.kind {
            Kind::Sandbox(_) => WorldName::Sandbox,
            Kind::Cluster { .. } => WorldName::Cluster,
        }
    }

    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn controller_kubeconfig(&self) -> &Path {
        &self.controller_kubeconfig
    }

    pub fn kubectl(&self) -> &Path {
        &self.kubectl
    }

    /// The runner's way to the API server.
    pub fn client(&self, user: &str) -> Result<Client> {
        Client::open(&self.kubeconfig, user, RUNNER)
    }

    /// Every write so far, oldest first, dry runs left out.
    pub fn writes(&self) -> Result<Vec<Write>> {
        match &self.kind {
            Kind::Sandbox(sandbox) => {
                let real = sandbox.requests().into_iter().filter(|record| !record.dry_run);
                let write = real.map(|record| Write {
                    verb: record.verb.to_string(),
                    path: without_query(&record.path),
                    agent: record.user_agent,
                    code: record.code,
                });
                Ok(write.collect())
            }
            Kind::Cluster { audit, .. } => {
                audit.lock().map_err(|_| anyhow!("a reader of the audit log panicked"))?.read()
            }
        }
    }

    /// The faults that the controller under test meets.
    pub fn faults(&self) -> &Faults {
        match &self.kind {
            Kind::Sandbox(sandbox) => sandbox.faults(),
            Kind::Cluster { proxy, .. } => proxy.faults(),
        }
    }

    /// Makes faults for the controller under test, in place of those before; none ends them.
    pub fn set_faults(&self, rules: &[Value]) -> Result<()> {
        match &self.kind {
            Kind::Sandbox(sandbox) => {
                sandbox.faults().clear();
                for rule in rules {
                    let mut rule = rule.clone();
                    // The story's own steps and observations must get through.
                    rule.set_at(&["match", "userAgent"], Value::from("trueup"));
                    sandbox.faults().add_json(&rule)?;
                }
                Ok(())
            }
            Kind::Cluster { proxy, .. } => proxy.set_faults(rules),
        }
    }

    /// Lets time pass, as far as the world has a clock of its own.
    pub fn advance(&self, by: Duration) {
        if let Kind::Sandbox(sandbox) = &self.kind {
            sandbox.clock().advance(by);
        }
    }

    /// Ends the sandbox, or takes away from the control plane what the story has left there.
    pub async fn close(self) -> Result<()> {
        match self.kind {
            Kind::Sandbox(sandbox) => sandbox.shutdown().await,
            Kind::Cluster { world, proxy, .. } => {
                proxy.stop().await;
                world.clean().await?;
            }
        }
        Ok(())
    }
}

impl ClusterWorld {
    /// Starts a control plane. Blocks for some seconds, or minutes where it has to be built first.
    pub async fn start(needs: Needs, progress: Progress<'_>) -> Result<Self> {
        let Needs { ready, operators } = needs;
        let options = Options { kwok: ready, operators, audit: true, ..Options::default() };
        let plane = tokio::task::block_in_place(|| ControlPlane::start(&options, progress))?;
        let mut world = Self { plane, first: BTreeSet::new() };
        world.first = world.present().await?.into_iter().collect();
        Ok(world)
    }

    pub fn kubeconfig(&self) -> &Path {
        self.plane.kubeconfig()
    }

    /// The paths of all cluster-scoped objects that can be deleted.
    async fn present(&self) -> Result<Vec<String>> {
        let client = Client::open(self.plane.kubeconfig(), "admin", RUNNER)?;
        let mut paths = Vec::new();
        for kind in Kinds::read(&client).await?.iter().filter(|kind| !kind.namespaced && kind.collected) {
            // These come and go with others, or belong to the control plane.
            if ["apiservices", "nodes", "csinodes", "ipaddresses"].contains(&kind.plural.as_str()) {
                continue;
            }
            let Some(list) = client.find(&kind.collection("")).await? else { continue };
            let names = list.list_at(&["items"]).iter().filter_map(|item| item.str_at(&["metadata", "name"]));
            paths.extend(names.map(|name| format!("{}/{name}", kind.collection(""))));
        }
        Ok(paths)
    }

    /// Deletes what was not there at first. Does not wait: [`wait_until_gone`] does, where a name is wanted again.
    async fn clean(&self) -> Result<()> {
        let client = Client::open(self.plane.kubeconfig(), "admin", RUNNER)?;
        for path in self.present().await?.into_iter().filter(|path| !self.first.contains(path)) {
            // Our own definitions stay, so that the next story need not wait for them to be served again.
            if path.ends_with("/applications.argoproj.io") || path.ends_with("/driftreports.trueup.dev") {
                continue;
            }
            client.delete(&path).await?;
        }
        Ok(())
    }
}

/// Waits until an object that is being deleted has gone, so that its name is free.
pub async fn wait_until_free(client: &Client, path: &str) -> Result<()> {
    let deadline = tokio::time::Instant::now() + GONE_TIMEOUT;
    loop {
        match client.find(path).await? {
            Some(object) if object.at(&["metadata", "deletionTimestamp"]).is_some() => {}
            Some(_) | None => return Ok(()),
        }
        if tokio::time::Instant::now() > deadline {
            bail!("{path} is still being deleted after {} s", GONE_TIMEOUT.as_secs());
        }
        tokio::time::sleep(POLL).await;
    }
}

/// The program that is kubectl: the one built with the control plane, else the one that the machine has.
pub fn find_kubectl(progress: Progress) -> Result<PathBuf> {
    if controlplane::go_present() {
        return Ok(controlplane::build(false, progress)?.kubectl);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|folder| folder.join("kubectl")).find(|file| file.is_file());
    found.ok_or_else(|| anyhow!("stories use kubectl: install Go, with which it is built, or kubectl itself"))
}

impl AuditLog {
    /// Reads what was added. A line is written before its answer is sent, so nothing has to be waited for.
    fn read(&mut self) -> Result<Vec<Write>> {
        let mut file = fs::File::open(&self.path).context("open the audit log")?;
        file.seek(SeekFrom::Start(self.offset))?;
        let mut text = Vec::new();
        file.read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.offset += u64::try_from(whole)?;
        for line in text.get(..whole).unwrap_or_default().split(|byte| *byte == b'\n') {
            self.writes.extend(Value::from_json(line).ok().and_then(|event| write_of(&event)));
        }
        Ok(self.writes.clone())
    }
}

fn write_of(event: &Value) -> Option<Write> {
    let uri = event.str_at(&["requestURI"])?;
    let code = u16::try_from(event.int_at(&["responseStatus", "code"]).unwrap_or_default()).ok()?;
    if uri.contains("dryRun=All") {
        return None;
    }
    Some(Write {
        verb: event.str_at(&["verb"])?.to_owned(),
        path: without_query(uri),
        agent: event.str_at(&["userAgent"]).unwrap_or_default().to_owned(),
        code,
    })
}

fn without_query(uri: &str) -> String {
    uri.split_once('?').map_or(uri, |(path, _)| path).to_owned()
}
