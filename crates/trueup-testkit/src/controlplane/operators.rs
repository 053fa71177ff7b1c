//! Operators as people have them in their clusters: cert-manager with its cainjector, and Argo Rollouts.
//!
//! The Go module `tools/operators` holds them. It pins what they share with the control plane to the control plane's versions, so
//! that a build after the control plane's compiles little more than the operators themselves. Their custom resource definitions
//! come from their modules.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};

use super::{
    Progress, Ready,
    build::{cache_dir, key, lock, module_dir, run},
};

/// The version that `tools/operators/go.mod` requires; a test compares the two.
const CERT_MANAGER: &str = "v1.21.2";
/// As above.
const ROLLOUTS: &str = "v1.10.1";
/// Each module, and the folder in it that holds the definitions, and nothing else that ends so.
const DEFINITIONS: [(&str, &str, &str); 2] = [
    ("github.com/cert-manager/cert-manager", "deploy/crds", ".yaml"),
    ("github.com/argoproj/argo-rollouts", "manifests/crds", "-crd.yaml"),
];
const ROLLOUTS_PROGRAM: &str = "github.com/argoproj/argo-rollouts/cmd/rollouts-controller";

/// The program's own deadline for the definitions is a minute.
const READY_TIMEOUT: Duration = Duration::from_secs(90);

/// The built programs, and their definitions.
#[derive(Clone, Debug)]
pub struct Operators {
    program: PathBuf,
    rollouts: PathBuf,
    /// All custom resource definitions, as one file.
    pub definitions: PathBuf,
}

/// Operators at work. They are asked to stop when this is dropped, and stop by themselves should the owner end without it.
#[derive(Debug)]
pub(super) struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
}

/// Builds what is not in the cache yet.
pub fn build(progress: Progress) -> Result<Operators> {
    let module = module_dir("operators");
    let version = format!("{CERT_MANAGER}-{ROLLOUTS}");
    let dir = cache_dir()?.join("operators").join(key(&version, &module)?);
    let built = Operators {
        program: dir.join("operators"),
        rollouts: dir.join("rollouts-controller"),
        definitions: dir.join("definitions.yaml"),
    };
    if built.definitions.exists() {
        return Ok(built);
    }
    fs::create_dir_all(&dir).with_context(|| format!("create {}", dir.display()))?;
    let _lock = lock(&dir)?;
    if built.definitions.exists() {
        return Ok(built);
    }
    progress("building cert-manager and Argo Rollouts with Go (about 3 minutes, once)");
    let mut go = Command::new("go");
    go.current_dir(&module)
        .env("CGO_ENABLED", "0")
        .args(["build", "-buildvcs=false", "-ldflags=-s -w", "-o"])
        // A folder, so that both are built by one run: most of what they consist of they share.
        .arg(&dir)
        .args([".", ROLLOUTS_PROGRAM]);
    run(&mut go, "building the operators")?;
    // The definitions come last: they say that the folder is complete.
    let unfinished = dir.join("definitions.new");
    fs::write(&unfinished, definitions(&module)?)?;
    fs::rename(&unfinished, &built.definitions)?;
    Ok(built)
}

fn definitions(module: &Path) -> Result<String> {
    let mut documents = Vec::new();
    for (path, folder, ending) in DEFINITIONS {
        let mut go = Command::new("go");
        go.current_dir(module).args(["list", "-m", "-f", "{{.Dir}}", path]);
        let home = PathBuf::from(run(&mut go, "finding an operator's module")?.trim()).join(folder);
        let mut files = Vec::new();
        for entry in fs::read_dir(&home).with_context(|| format!("list {}", home.display()))? {
            let file = entry?.path();
            if file.file_name().is_some_and(|name| name.to_string_lossy().ends_with(ending)) {
                files.push(file);
            }
        }
        files.sort();
        if files.is_empty() {
            bail!("{path} has no definitions in {folder}");
        }
        for file in files {
            let text = fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
            documents.push(text.trim_start_matches("---\n").to_owned());
        }
    }
    Ok(documents.join("\n---\n"))
}

impl Operators {
    /// Installs the definitions and starts the operators. Returns when they are at work.
    pub(super) fn start(&self, plane: &Ready) -> Result<Running> {
        let log_path = plane.dir.join("logs/operators.log");
        let log = fs::File::create(&log_path).with_context(|| format!("create {}", log_path.display()))?;
        let mut child = Command::new(&self.program)
            .arg("--kubeconfig")
            .arg(&plane.kubeconfig)
            .arg("--definitions")
            .arg(&self.definitions)
            .arg("--rollouts")
            .arg(&self.rollouts)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .context("start the operators")?;
        let stdin = child.stdin.take();
        let stdout = child.stdout.take().ok_or_else(|| anyhow!("no output of the operators"))?;
        let running = Running { child, stdin };
        let (sender, receiver) = mpsc::channel();
        thread::spawn(move || {
            let mut line = String::new();
            let _ = BufReader::new(stdout).read_line(&mut line);
            let _ = sender.send(line);
        });
        match receiver.recv_timeout(READY_TIMEOUT).as_deref() {
            Ok("ready\n") => Ok(running),
            _ => {
                drop(running);
                let said = fs::read_to_string(&log_path).unwrap_or_default();
                bail!("the operators did not get ready: {}", said.trim())
            }
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stdin = None;
        let _ = self.child.wait();
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_versions_are_those_of_the_go_module() {
        let go_mod = fs::read_to_string(module_dir("operators").join("go.mod")).unwrap();
        for (module, version) in DEFINITIONS.map(|it| it.0).into_iter().zip([CERT_MANAGER, ROLLOUTS]) {
            let wanted = format!("{module} {version}");
            // Go takes a module that only the `tool` line names for an indirect one.
            let is_wanted = |line: &str| line.trim().trim_end_matches(" // indirect") == wanted;
            assert!(go_mod.lines().any(is_wanted), "{wanted}");
        }
    }

    #[test]
    fn what_both_modules_need_of_kubernetes_has_the_same_version() {
        let pins = |name: &str| {
            let text = fs::read_to_string(module_dir(name).join("go.mod")).unwrap();
            let lines = text.lines().map(str::trim).filter(|line| line.starts_with("k8s.io/"));
            let pins = lines.filter(|line| line.contains(" => ")).map(str::to_owned);
            pins.collect::<std::collections::BTreeSet<_>>()
        };
        let (ours, theirs) = (pins("operators"), pins("controlplane"));
        assert!(theirs.is_subset(&ours), "{:?}", theirs.difference(&ours).collect::<Vec<_>>());
    }
}
