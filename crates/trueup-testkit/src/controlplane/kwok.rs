//! kwok: fake kubelets that make nodes ready and Pods running, so that rollouts and health are real.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;

use super::{
    Programs, Progress, Ready,
    build::{cache_dir, lock, run},
};

const VERSION: &str = "v0.8.0";

/// What kwok does to nodes and Pods, from its own module: nodes get ready at once, Pods run at once, those of a Job complete.
const STAGES: [&str; 5] = [
    "node/fast/node-initialize.yaml",
    "node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
    "pod/fast/pod-ready.yaml",
    "pod/fast/pod-complete.yaml",
    "pod/fast/pod-delete.yaml",
];

const NODE: &str = r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"kwok-0","labels":{"kubernetes.io/hostname":"kwok-0","kubernetes.io/os":"linux","type":"kwok"},"annotations":{"kwok.x-k8s.io/node":"fake"}}}"#;

/// The built program and its configuration.
#[derive(Clone, Debug)]
pub struct Program {
    program: PathBuf,
    config: PathBuf,
}

/// Fake kubelets beside one control plane, until dropped.
#[derive(Debug)]
pub(super) struct Kwok {
    child: Child,
}

impl Kwok {
    pub(super) fn start(programs: &Programs, ready: &Ready) -> Result<Self> {
        let child = command(programs, ready)?.spawn().context("start kwok")?;
        let kwok = Self { child };
        await_node(programs, ready)?;
        Ok(kwok)
    }
}

impl Drop for Kwok {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Installs kwok into the cache and writes its configuration.
pub(super) fn build(progress: Progress) -> Result<Program> {
    let dir = cache_dir()?.join("kwok").join(VERSION);
    let built = Program { program: dir.join("kwok"), config: dir.join("stages.yaml") };
    if built.config.exists() {
        return Ok(built);
    }
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let _lock = lock(&dir)?;
    if built.config.exists() {
        return Ok(built);
    }
    progress("installing kwok with Go (about 90 seconds, once)");
    let module = format!("sigs.k8s.io/kwok/cmd/kwok@{VERSION}");
    run(Command::new("go").env("GOBIN", &dir).env("CGO_ENABLED", "0").args(["install", &module]), "installing kwok")?;
    // The configuration comes last: it says that the folder is complete.
    let unfinished = dir.join("stages.new");
    fs::write(&unfinished, stages()?)?;
    fs::rename(&unfinished, &built.config)?;
    Ok(built)
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "Dir")]
    dir: PathBuf,
}

fn stages() -> Result<String> {
    let module = format!("sigs.k8s.io/kwok@{VERSION}");
    let described = run(Command::new("go").args(["mod", "download", "-json", &module]), "finding kwok's module")?;
    let module: Module = serde_json::from_str(&described).context("read where kwok's module is")?;
    let mut documents = Vec::new();
    for stage in STAGES {
        let path = module.dir.join("kustomize/stage").join(stage);
        documents.push(fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?);
    }
    Ok(documents.join("\n---\n"))
}

/// The command that runs kwok for every node of the cluster, with its output in the state folder.
pub(super) fn command(programs: &Programs, ready: &Ready) -> Result<Command> {
    let kwok = programs.kwok.as_ref().ok_or_else(|| anyhow!("kwok was not asked for when building"))?;
    let log = fs::File::create(ready.dir.join("logs/kwok.log")).context("create kwok's log")?;
    let mut command = Command::new(&kwok.program);
    command
        .arg(format!("--kubeconfig={}", ready.kubeconfig.display()))
        .arg(format!("--config={}", kwok.config.display()))
        .arg("--manage-all-nodes=true")
        .arg("--node-lease-duration-seconds=40")
        .arg("--server-address=")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    Ok(command)
}

/// Makes one node and returns when it is ready to take Pods.
pub(super) fn await_node(programs: &Programs, ready: &Ready) -> Result<()> {
    let kubectl = || {
        let mut command = Command::new(&programs.kubectl);
        command.arg("--kubeconfig").arg(&ready.kubeconfig);
        command
    };
    let mut apply = kubectl().args(["apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    if let Some(mut stdin) = apply.stdin.take() {
        stdin.write_all(NODE.as_bytes())?;
    }
    if !apply.wait()?.success() {
        bail!("the node for kwok could not be made");
    }
    let mut wait = kubectl();
    wait.args(["wait", "--for=condition=Ready", "node/kwok-0", "--timeout=60s"]);
    run(&mut wait, "waiting for kwok's node").map(drop)
}
