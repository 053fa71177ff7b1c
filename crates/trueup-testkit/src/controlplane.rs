//! A real Kubernetes control plane for tests: built once, started in a folder of its own, stopped when dropped.
//!
//! The Go module `tools/controlplane` holds the program; [`build`] compiles it into a cache outside the tree and [`ControlPlane`]
//! runs it. Everything here blocks: async callers put it on a blocking pool. It says nothing by itself: what takes long is told to
//! the `Progress` that the caller passes.

mod build;
mod kwok;

use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use tempfile::TempDir;

pub use build::{Programs, build, cache_dir, go_present};

/// Told one line whenever something that takes a while begins: what, and how long it usually takes.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

/// Longer than the control plane's own deadline for getting ready, so that its explanation arrives first.
const READY_TIMEOUT: Duration = Duration::from_secs(150);

/// How a control plane is to be started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The state folder; a temporary one, removed at the end, where there is none.
    pub dir: Option<PathBuf>,
    /// Fake nodes and kubelets, so that Pods run and rollouts finish.
    pub kwok: bool,
    /// Record who changed what in `audit.log` of the state folder.
    pub audit: bool,
    /// Post audit events to this URL.
    pub audit_webhook: Option<String>,
    /// Let etcd wait for the disk, as in production. Measurements need it, tests do not.
    pub fsync: bool,
}

/// What the control plane says about itself once it is ready.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    /// The Kubernetes version, as `v1.36.3`.
    pub kubernetes: String,
    /// The supervisor's process id.
    pub pid: i32,
    /// The state folder.
    pub dir: PathBuf,
    /// A kubeconfig with the contexts `admin` (current), `alice@example.com` and `bob@example.com`.
    pub kubeconfig: PathBuf,
    /// The API server's address.
    pub server: String,
    /// The file with audit events, where asked for.
    pub audit_log: Option<PathBuf>,
    /// The process id of each component, for tests that stop one of them.
    pub components: std::collections::BTreeMap<String, i32>,
}

/// A running control plane. It is asked to stop when this is dropped, and stops by itself should the owner be killed.
#[derive(Debug)]
pub struct ControlPlane {
    ready: Ready,
    programs: Programs,
    kwok: Option<kwok::Kwok>,
    supervisor: Child,
    /// The supervisor stops when this end of its standard input is closed.
    stdin: Option<ChildStdin>,
    /// Removed last, after everything that writes into it has ended.
    temporary: Option<TempDir>,
}

impl ControlPlane {
    /// Builds what is missing, starts a control plane and returns when it is ready to be used.
    pub fn start(options: &Options, progress: Progress) -> Result<Self> {
        let programs = build(options.kwok, progress)?;
        let temporary = match options.dir {
            Some(_) => None,
            None => Some(tempfile::Builder::new().prefix("trueup-controlplane-").tempdir()?),
        };
        let dir = match (&options.dir, &temporary) {
            (Some(dir), _) => dir.as_path(),
            (None, Some(temporary)) => temporary.path(),
            (None, None) => bail!("no state folder"),
        };
        std::fs::create_dir_all(dir).with_context(|| format!("create {}", dir.display()))?;
        let mut supervisor = serve_command(&programs, dir, options)
            .arg("--stop-with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start the control plane")?;
        let stdin = supervisor.stdin.take();
        let ready = match await_ready(&mut supervisor) {
            Ok(ready) => ready,
            Err(error) => {
                drop(stdin);
                let _ = supervisor.wait();
                return Err(error);
            }
        };
        let mut plane = Self { ready, programs, kwok: None, supervisor, stdin, temporary };
        if options.kwok {
            plane.kwok = Some(kwok::Kwok::start(&plane.programs, &plane.ready)?);
        }
        Ok(plane)
    }

    /// What the control plane said about itself.
    pub fn ready(&self) -> &Ready {
        &self.ready
    }

    /// The kubeconfig; its current context is `admin`.
    pub fn kubeconfig(&self) -> &Path {
        &self.ready.kubeconfig
    }

    /// The programs it was started from.
    pub fn programs(&self) -> &Programs {
        &self.programs
    }

    /// A command that runs the embedded kubectl as the admin.
    pub fn kubectl(&self) -> Command {
        let mut command = Command::new(&self.programs.kubectl);
        command.arg("--kubeconfig").arg(&self.ready.kubeconfig);
        command
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.kwok = None;
        self.stdin = None;
        let _ = self.supervisor.wait();
        self.temporary = None;
    }
}

/// The command that runs a control plane in the given folder.
pub fn serve_command(programs: &Programs, dir: &Path, options: &Options) -> Command {
    let mut command = Command::new(&programs.controlplane);
    command.arg("serve").arg("--dir").arg(dir);
    if !options.fsync {
        command.arg("--unsafe-no-fsync");
    }
    if options.audit {
        command.arg("--audit-log").arg(dir.join("audit.log"));
    }
    if let Some(url) = &options.audit_webhook {
        command.arg("--audit-webhook").arg(url);
    }
    command
}

/// The command that runs the fake kubelets beside a control plane that is ready; a node is made at once.
pub fn kwok_command(programs: &Programs, ready: &Ready) -> Result<Command> {
    kwok::command(programs, ready)
}

/// Returns when the node of the fake kubelets is ready to take Pods.
pub fn await_kwok_node(programs: &Programs, ready: &Ready) -> Result<()> {
    kwok::await_node(programs, ready)
}

/// Waits for the ready line; when there is none, the error carries what the supervisor said instead.
fn await_ready(supervisor: &mut Child) -> Result<Ready> {
    let stdout = supervisor.stdout.take().ok_or_else(|| anyhow!("no output of the control plane"))?;
    let mut stderr = supervisor.stderr.take().ok_or_else(|| anyhow!("no errors of the control plane"))?;
    let complaint = thread::spawn(move || {
        let mut text = String::new();
        let _ = stderr.read_to_string(&mut text);
        text
    });
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = sender.send(line);
    });
    let line = receiver.recv_timeout(READY_TIMEOUT).context("the control plane did not get ready in time")?;
    if line.is_empty() {
        let text = complaint.join().unwrap_or_default();
        bail!("the control plane did not get ready: {}", text.trim());
    }
    serde_json::from_str(&line).with_context(|| format!("read the ready line {line:?}"))
}
