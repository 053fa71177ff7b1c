//! One of the two worlds, as kubectl sees it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use tokio::process::Command;

use super::{same::Sight, words};

/// Longer than anything that a command of the script waits for.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(120);

/// A node comes a moment after the API server.
const NODE_TIMEOUT: Duration = Duration::from_secs(60);
const NODE_POLL: Duration = Duration::from_millis(100);

pub struct World {
    pub name: &'static str,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    /// Where kubectl runs and the script's files are.
    folder: PathBuf,
    node: String,
}

/// What a command said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Said {
    /// None where it had to be stopped.
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl World {
    /// A world with a folder of its own, a kubeconfig that may be changed, and the name of its node.
    pub async fn open(name: &'static str, kubectl: &Path, kubeconfig: &Path, folder: &Path) -> Result<Self> {
        fs::create_dir(folder)?;
        let own = folder.with_extension("kubeconfig");
        fs::copy(kubeconfig, &own).with_context(|| format!("copy {}", kubeconfig.display()))?;
        let mut world = Self {
            name,
            kubectl: kubectl.to_path_buf(),
            kubeconfig: own,
            folder: folder.to_path_buf(),
            node: String::new(),
        };
        let deadline = Instant::now() + NODE_TIMEOUT;
        while world.node.is_empty() {
            let found = world.run("get nodes -o jsonpath={.items[*].metadata.name}").await?;
            let first = found.out.split_whitespace().next().unwrap_or_default();
            if found.code == Some(0) && !first.is_empty() {
                world.node = first.to_owned();
            } else if Instant::now() > deadline {
                bail!("the {name} has no node: {}", found.err);
            } else {
                tokio::time::sleep(NODE_POLL).await;
            }
        }
        Ok(world)
    }

    pub fn write(&self, name: &str, content: &str) -> Result<()> {
        fs::write(self.folder.join(name), content).with_context(|| format!("write {name}"))
    }

    pub async fn run(&self, line: &str) -> Result<Said> {
        let mut words = words::split(&line.replace("{node}", &self.node))?.into_iter().peekable();
        let mut command = Command::new(&self.kubectl);
        while let Some((key, value)) = words.peek().and_then(|word| setting(word)) {
            command.env(key, value);
            words.next();
        }
        command
            .args(words)
            .current_dir(&self.folder)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("KUBECACHEDIR", self.folder.with_extension("cache"))
            .env("TZ", "UTC")
            // Nobody's own settings of kubectl.
            .env("HOME", &self.folder)
            .env_remove("KUBECTL_EXTERNAL_DIFF")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let child = command.spawn().context("run kubectl")?;
        match tokio::time::timeout(COMMAND_TIMEOUT, child.wait_with_output()).await {
            Ok(output) => {
                let output = output.context("run kubectl")?;
                let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
                Ok(Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) })
            }
            Err(_) => {
                let err = format!("no answer after {} s", COMMAND_TIMEOUT.as_secs());
                Ok(Said { code: None, out: String::new(), err })
            }
        }
    }
}

/// `NAME=value` before a command, with a name as variables have it.
fn setting(word: &str) -> Option<(String, String)> {
    let (key, value) = word.split_once('=')?;
    let named = !key.is_empty() && key.chars().all(|char| char.is_ascii_uppercase() || char == '_');
    named.then(|| (key.to_owned(), value.to_owned()))
}

impl Said {
    /// The same without what differs between any two clusters.
    pub fn comparable(self, world: &World) -> Self {
        let sight = Sight { node: &world.node, folder: &world.folder };
        Self { code: self.code, out: sight.comparable(&self.out), err: sight.comparable(&self.err) }
    }
}
