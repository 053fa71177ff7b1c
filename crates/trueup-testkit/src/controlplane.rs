//! A real Kubernetes control plane for tests: built once, started in a folder of its own, stopped when dropped.
//!
//! The Go module `tools/controlplane` holds the program; [`build`] compiles it into a cache outside the tree and [`ControlPlane`]
//! runs it. Everything here blocks: async callers put it on a blocking pool. It says nothing by itself: what takes long is told to
//! the `Progress` that the caller passes.

mod build;
mod kwok;
mod operators;

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

pub use build::{Programs, build, cache_dir, go_present};
pub use kwok::Kwok;
pub use operators::{Operators, build as operators};

/// Told one line whenever something that takes a while begins: what, and how long it usually takes.
pub type Progress<'a> = &'a mut dyn FnMut(&str);

/// Longer than the control plane's own deadline for getting ready, so that its explanation arrives first.
const READY_TIMEOUT: Duration = Duration::from_secs(150);

/// How a control plane is to be started.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The state folder; where there is none, a temporary one that is removed at the end.
    pub dir: Option<PathBuf>,
    /// Fake nodes and kubelets, so that Pods run and rollouts finish.
    pub kwok: bool,
    /// Record who changed what in `audit.log` of the state folder.
    pub audit: bool,
    /// What is audited, as a Policy of `audit.k8s.io/v1`; without it, changes with their bodies.
    pub audit_policy: Option<PathBuf>,
    /// Post audit events to this URL.
    pub audit_webhook: Option<String>,
    /// Let etcd wait for the disk, as in production. Measurements need it, tests do not.
    pub fsync: bool,
    /// cert-manager with cainjector, and Argo Rollouts, at work in it.
    pub operators: bool,
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

/// A running control plane. It is asked to stop when this is dropped, and stops by itself should the owner end without dropping it.
#[derive(Debug)]
pub struct ControlPlane {
    ready: Ready,
    programs: Programs,
    supervisor: Child,
    /// The supervisor stops when this end of its standard input is closed.
    stdin: Option<ChildStdin>,
    operators: Option<operators::Running>,
}

impl ControlPlane {
    /// Builds what is missing, starts a control plane and returns when it is ready to be used.
    pub fn start(options: &Options, progress: Progress) -> Result<Self> {
        let mut programs = build(options.kwok, progress)?;
        if options.operators {
            programs.operators = Some(self::operators(progress)?);
        }
        let mut supervisor = serve_command(&programs, options)
            .arg("--stop-with-stdin")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start the control plane")?;
        let stdin = supervisor.stdin.take();
        match await_ready(&mut supervisor) {
            Ok(ready) => {
                let mut plane = Self { ready, programs, supervisor, stdin, operators: None };
                if let Some(operators) = &plane.programs.operators {
                    plane.operators = Some(operators.start(&plane.ready)?);
                }
                Ok(plane)
            }
            Err(error) => {
                drop(stdin);
                let _ = supervisor.wait();
                Err(error)
            }
        }
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
        self.operators = None;
        self.stdin = None;
        let _ = self.supervisor.wait();
    }
}

/// The command that runs a control plane, for callers that look after it themselves.
pub fn serve_command(programs: &Programs, options: &Options) -> Command {
    let mut command = Command::new(&programs.controlplane);
    command.arg("serve");
    if let Some(dir) = &options.dir {
        command.arg("--dir").arg(dir);
    }
    if !options.fsync {
        command.arg("--unsafe-no-fsync");
    }
    if options.audit {
        command.args(["--audit-log", "audit.log"]);
    }
    if let Some(policy) = &options.audit_policy {
        command.arg("--audit-policy").arg(policy);
    }
    if let Some(url) = &options.audit_webhook {
        command.arg("--audit-webhook").arg(url);
    }
    if let Some(kwok) = &programs.kwok {
        command.arg("--kwok").arg(&kwok.program).arg("--kwok-stages").arg(&kwok.stages);
    }
    command
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
