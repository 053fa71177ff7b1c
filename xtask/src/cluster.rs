//! `cargo xtask cluster`: a control plane that stays up between commands, for trying things by hand and for measurements.
//!
//! Its state folder says whether it runs: the supervisor leaves `ready.json` there and removes it at its end. Tests do not use
//! this; they start a control plane of their own through `trueup_testkit::controlplane`.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use trueup_testkit::controlplane::{self, Options, Programs, Ready};

use crate::workspace_root;

/// The supervisor gives up by itself before this.
const READY_TIMEOUT: Duration = Duration::from_secs(150);
/// Components are given a second each and etcd ten.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Subcommand)]
pub enum Task {
    /// Start a control plane in the background, unless it runs already, and print its kubeconfig.
    Up(Up),
    /// Print the path of the kubeconfig of the running control plane.
    Kubeconfig(Folder),
    /// Stop the control plane; its data stay in the folder.
    Down(Folder),
}

#[derive(Args)]
pub struct Folder {
    /// State folder [default: .cache/cluster in the workspace]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

#[derive(Args)]
pub struct Up {
    #[command(flatten)]
    folder: Folder,
    /// Fake nodes and kubelets (kwok), so that Pods run and rollouts finish
    #[arg(long)]
    kwok: bool,
    /// Record who changed what in audit.log of the state folder
    #[arg(long)]
    audit: bool,
    /// What is audited, as a Policy of audit.k8s.io/v1; without it, changes with their bodies
    #[arg(long, value_name = "FILE", requires = "audit")]
    audit_policy: Option<PathBuf>,
    /// Post audit events to this URL
    #[arg(long, value_name = "URL")]
    audit_webhook: Option<String>,
    /// Let etcd wait for the disk, as in production: for measurements
    #[arg(long)]
    fsync: bool,
}

impl Folder {
    fn path(&self) -> Result<PathBuf> {
        let dir = self.dir.clone().unwrap_or_else(|| workspace_root().join(".cache/cluster"));
        fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
        dir.canonicalize().with_context(|| format!("find {}", dir.display()))
    }
}

pub fn run(task: &Task) -> Result<()> {
    match task {
        Task::Up(up) => start(up),
        Task::Kubeconfig(folder) => match running(&folder.path()?)? {
            Some(ready) => {
                println!("{}", ready.kubeconfig.display());
                Ok(())
            }
            None => bail!(
                "no control plane runs in {}; start it with: cargo xtask cluster up",
                folder.path()?.display()
            ),
        },
        Task::Down(folder) => stop(&folder.path()?),
    }
}

fn start(up: &Up) -> Result<()> {
    let dir = up.folder.path()?;
    let programs = controlplane::build(up.kwok, &mut |line| eprintln!("{line}"))?;
    let ready = match running(&dir)? {
        Some(ready) if up.audit && ready.audit_log.is_none() => {
            bail!("it runs without an audit log; stop it first with: cargo xtask cluster down")
        }
        Some(ready) if up.kwok && !ready.components.contains_key("kwok") => {
            bail!("it runs without kwok; stop it first with: cargo xtask cluster down")
        }
        Some(ready) => ready,
        None => start_detached(&programs, &dir, up)?,
    };
    println!("{}", ready.kubeconfig.display());
    Ok(())
}

/// Starts the supervisor in a process group of its own, so that it outlives this command and the terminal's Ctrl-C.
fn start_detached(programs: &Programs, dir: &Path, up: &Up) -> Result<Ready> {
    eprintln!("starting the control plane in {} (about 5 seconds)", dir.display());
    let log_path = dir.join("supervisor.log");
    let log = fs::File::create(&log_path).with_context(|| format!("create {}", log_path.display()))?;
    let options = Options {
        dir: Some(dir.to_path_buf()),
        kwok: up.kwok,
        audit: up.audit,
        audit_policy: up.audit_policy.clone(),
        audit_webhook: up.audit_webhook.clone(),
        fsync: up.fsync,
        operators: false,
    };
    let mut supervisor = controlplane::serve_command(programs, &options)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .context("start the control plane")?;
    await_ready(&mut supervisor, dir).with_context(|| {
        format!("the control plane did not start; {} says:\n{}", log_path.display(), read_or_empty(&log_path))
    })
}

fn await_ready(supervisor: &mut Child, dir: &Path) -> Result<Ready> {
    let deadline = Instant::now() + READY_TIMEOUT;
    while Instant::now() < deadline {
        if let Some(ready) = running(dir)? {
            return Ok(ready);
        }
        if let Some(status) = supervisor.try_wait()? {
            bail!("it ended with {status}");
        }
        thread::sleep(Duration::from_millis(50));
    }
    supervisor.kill()?;
    bail!("it was not ready after {} seconds", READY_TIMEOUT.as_secs())
}

/// What runs in the folder. A `ready.json` that a killed supervisor left behind does not count.
fn running(dir: &Path) -> Result<Option<Ready>> {
    let path = dir.join("ready.json");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
    };
    let ready: Ready = serde_json::from_str(&text).with_context(|| format!("read {}", path.display()))?;
    Ok(is_alive(ready.pid)?.then_some(ready))
}

/// Whether a process with this id and this program's name exists: ids are used again.
fn is_alive(pid: i32) -> Result<bool> {
    let output =
        Command::new("ps").args(["-o", "stat=,args=", "-p", &pid.to_string()]).output().context("run ps")?;
    let line = String::from_utf8_lossy(&output.stdout);
    Ok(line.contains("trueup-controlplane") && !line.trim_start().starts_with('Z'))
}

fn stop(dir: &Path) -> Result<()> {
    match running(dir)? {
        Some(ready) => {
            terminate(ready.pid)?;
            println!("stopped; the data stay in {}", dir.display());
        }
        None => println!("nothing runs in {}", dir.display()),
    }
    Ok(())
}

fn terminate(pid: i32) -> Result<()> {
    let status = Command::new("kill").arg(pid.to_string()).status().context("run kill")?;
    if !status.success() {
        bail!("could not signal process {pid}");
    }
    let deadline = Instant::now() + STOP_TIMEOUT;
    while is_alive(pid)? {
        if Instant::now() > deadline {
            bail!("the control plane (process {pid}) does not end");
        }
        thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

fn read_or_empty(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_default()
}
