//! A bare repository in a temporary directory, and a clone to make commits in.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;
use trueup_engine::source::{CommitId, RepoUrl};

/// The time of every commit.
pub const COMMIT_SECONDS: i64 = 1_700_000_000;

pub struct Remote {
    directory: TempDir,
}

impl Remote {
    pub fn new() -> Self {
        let remote = Self { directory: TempDir::new().unwrap() };
        git(remote.directory.path(), &["init", "--quiet", "--bare", "--initial-branch=main", "shop.git"]);
        git(remote.directory.path(), &["clone", "--quiet", "shop.git", "work"]);
        remote.git(&["checkout", "--quiet", "-B", "main"]);
        remote
    }

    pub fn bare(&self) -> &Path {
        self.directory.path()
    }

    pub fn url(&self) -> RepoUrl {
        RepoUrl::parse(&format!("file://{}/shop.git", self.directory.path().display())).unwrap()
    }

    pub fn git(&self, arguments: &[&str]) -> String {
        git(&self.directory.path().join("work"), arguments)
    }

    pub fn write(&self, path: &str, content: &str) {
        let path = self.directory.path().join("work").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    pub fn link(&self, path: &str, target: &str) {
        let path = self.directory.path().join("work").join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    /// Commits files to the branch and pushes it, whatever the remote has there.
    pub fn commit(&self, files: &[(&str, &str)], message: &str) -> CommitId {
        let commit = self.commit_without_push(files, message);
        self.git(&["push", "--quiet", "--force", "origin", "HEAD:main"]);
        commit
    }

    pub fn commit_without_push(&self, files: &[(&str, &str)], message: &str) -> CommitId {
        for (path, content) in files {
            self.write(path, content);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--message", message]);
        self.head()
    }

    pub fn commit_submodule(&self, path: &str) -> CommitId {
        let entry = format!("160000,{},{path}", "1".repeat(40));
        self.git(&["update-index", "--add", "--cacheinfo", &entry]);
        self.git(&["commit", "--quiet", "--message", "a submodule"]);
        self.git(&["push", "--quiet", "origin", "HEAD:main"]);
        self.head()
    }

    fn head(&self) -> CommitId {
        self.git(&["rev-parse", "HEAD"]).trim().parse().unwrap()
    }
}

fn git(directory: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(directory).args(arguments);
    command.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), "Alice")
            .env(format!("GIT_{role}_EMAIL"), "alice@example.com");
        command.env(format!("GIT_{role}_DATE"), format!("@{COMMIT_SECONDS} +0100"));
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
