//! Builds the control plane, and kwok where wanted, into a cache outside the tree.
//!
//! The cache is `$TRUEUP_CACHE`, else `$XDG_CACHE_HOME/trueup`, else `~/.cache/trueup`. A folder in it is named after what it was
//! built from, so that branches and versions do not disturb each other, and is complete when its program is there.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, bail};
use sha2::{Digest, Sha256};

use super::{Progress, kwok, operators};

/// The version that `tools/controlplane/go.mod` requires; a test compares the two.
pub(super) const KUBERNETES: &str = "1.36.3";

/// The programs that a control plane consists of.
#[derive(Clone, Debug)]
pub struct Programs {
    /// etcd, the API server, the controllers, the scheduler and kubectl in one.
    pub controlplane: PathBuf,
    /// The same program under the name that makes it kubectl. Its folder holds nothing else, so it can go on `PATH`.
    pub kubectl: PathBuf,
    /// The fake kubelets, where asked for.
    pub kwok: Option<kwok::Kwok>,
    /// The operators, where asked for.
    pub operators: Option<operators::Operators>,
}

/// Whether a Go toolchain is there to build with.
pub fn go_present() -> bool {
    Command::new("go").arg("version").output().is_ok_and(|output| output.status.success())
}

/// The folder for everything that is built once and kept.
pub fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = env::var_os("TRUEUP_CACHE") {
        return Ok(dir.into());
    }
    if let Some(dir) = env::var_os("XDG_CACHE_HOME") {
        return Ok(PathBuf::from(dir).join("trueup"));
    }
    let home = env::var_os("HOME").ok_or_else(|| anyhow!("neither TRUEUP_CACHE nor HOME is set"))?;
    Ok(PathBuf::from(home).join(".cache/trueup"))
}

/// Builds what is not in the cache yet. Safe to call from several processes at once: the others wait.
pub fn build(with_kwok: bool, progress: Progress) -> Result<Programs> {
    let module = module_dir("controlplane");
    let dir = cache_dir()?.join("controlplane").join(key(KUBERNETES, &module)?);
    let controlplane = dir.join("trueup-controlplane");
    let kubectl = dir.join("bin/kubectl");
    if !kubectl.exists() {
        fs::create_dir_all(dir.join("bin")).with_context(|| format!("create {}", dir.display()))?;
        let _lock = lock(&dir)?;
        if !kubectl.exists() {
            progress(
                "building the test control plane with Go (about 5 minutes the first time, then seconds)",
            );
            compile(&module, &controlplane)?;
            link(&controlplane, &kubectl)?;
        }
    }
    let kwok = if with_kwok { Some(kwok::build(progress)?) } else { None };
    Ok(Programs { controlplane, kubectl, kwok, operators: None })
}

/// Holds other processes off a cache folder until it is dropped.
pub(super) fn lock(dir: &Path) -> Result<fs::File> {
    let file = fs::File::create(dir.join("lock")).with_context(|| format!("lock {}", dir.display()))?;
    file.lock().with_context(|| format!("lock {}", dir.display()))?;
    Ok(file)
}

/// Runs a build command; its output goes into the error, since it is of no interest otherwise.
pub(super) fn run(command: &mut Command, what: &str) -> Result<String> {
    let output = command.output().with_context(|| format!("start {what} (is Go installed?)"))?;
    if !output.status.success() {
        bail!("{what} failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A Go module of this project.
pub(super) fn module_dir(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tools").join(name)
}

/// The version and a digest of the module's sources: a change of either makes a new folder.
pub(super) fn key(version: &str, module: &Path) -> Result<String> {
    let mut files = Vec::new();
    for entry in fs::read_dir(module).with_context(|| format!("list {}", module.display()))? {
        let path = entry?.path();
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    let mut digest = Sha256::new();
    for path in files {
        let content = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        digest.update(format!("{name}\0{}\0", content.len()));
        digest.update(content);
    }
    let digest: String = digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{version}-{digest}"))
}

/// Compiles beside the target and renames, so that a half-written program is never taken for a built one.
fn compile(module: &Path, target: &Path) -> Result<()> {
    let unfinished = target.with_extension("new");
    let (major, minor) = major_and_minor();
    let flags = [
        "-s -w".to_owned(),
        format!("-X k8s.io/component-base/version.gitVersion=v{KUBERNETES}"),
        format!("-X k8s.io/component-base/version.gitMajor={major}"),
        format!("-X k8s.io/component-base/version.gitMinor={minor}"),
        format!("-X k8s.io/client-go/pkg/version.gitVersion=v{KUBERNETES}"),
    ]
    .join(" ");
    let mut go = Command::new("go");
    go.current_dir(module)
        .env("CGO_ENABLED", "0")
        .args(["build", "-buildvcs=false", "-ldflags", &flags, "-o"])
        .arg(&unfinished)
        .arg(".");
    run(&mut go, "building the control plane")?;
    fs::rename(&unfinished, target).context("put the control plane into the cache")
}

fn major_and_minor() -> (&'static str, &'static str) {
    let mut parts = KUBERNETES.split('.');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

#[cfg(unix)]
fn link(program: &Path, name: &Path) -> Result<()> {
    match fs::remove_file(name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    std::os::unix::fs::symlink(program, name).with_context(|| format!("link {}", name.display()))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_that_of_the_go_module() {
        let go_mod = fs::read_to_string(module_dir("controlplane").join("go.mod")).unwrap();
        assert!(go_mod.contains(&format!("k8s.io/kubernetes v{KUBERNETES}\n")));
    }

    #[test]
    fn the_key_follows_the_sources() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.go"), "package a").unwrap();
        let before = key("1", dir.path()).unwrap();
        assert_eq!(before, key("1", dir.path()).unwrap());
        fs::write(dir.path().join("a.go"), "package b").unwrap();
        assert_ne!(before, key("1", dir.path()).unwrap());
        fs::rename(dir.path().join("a.go"), dir.path().join("b.go")).unwrap();
        fs::write(dir.path().join("b.go"), "package a").unwrap();
        assert_ne!(before, key("1", dir.path()).unwrap());
    }
}
