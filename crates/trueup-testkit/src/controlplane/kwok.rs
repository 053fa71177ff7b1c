//! kwok: fake kubelets that make nodes ready and Pods running, so that rollouts and health are real.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{
    Progress,
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

/// The built program and the file that tells it what happens to nodes and Pods.
#[derive(Clone, Debug)]
pub struct Kwok {
    pub program: PathBuf,
    pub stages: PathBuf,
}

/// Installs kwok into the cache and writes its stages.
pub(super) fn build(progress: Progress) -> Result<Kwok> {
    let dir = cache_dir()?.join("kwok").join(VERSION);
    let built = Kwok { program: dir.join("kwok"), stages: dir.join("stages.yaml") };
    if built.stages.exists() {
        return Ok(built);
    }
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let _lock = lock(&dir)?;
    if built.stages.exists() {
        return Ok(built);
    }
    progress("installing kwok with Go (about 90 seconds, once)");
    let module = format!("sigs.k8s.io/kwok/cmd/kwok@{VERSION}");
    run(
        Command::new("go").env("GOBIN", &dir).env("CGO_ENABLED", "0").args(["install", &module]),
        "installing kwok",
    )?;
    // The stages come last: they say that the folder is complete.
    let unfinished = dir.join("stages.new");
    fs::write(&unfinished, stages()?)?;
    fs::rename(&unfinished, &built.stages)?;
    Ok(built)
}

#[derive(Deserialize)]
struct Module {
    #[serde(rename = "Dir")]
    dir: PathBuf,
}

fn stages() -> Result<String> {
    let module = format!("sigs.k8s.io/kwok@{VERSION}");
    let described =
        run(Command::new("go").args(["mod", "download", "-json", &module]), "finding kwok's module")?;
    let module: Module = serde_json::from_str(&described).context("read where kwok's module is")?;
    let mut documents = Vec::new();
    for stage in STAGES {
        let path = module.dir.join("kustomize/stage").join(stage);
        documents.push(fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?);
    }
    Ok(documents.join("\n---\n"))
}
