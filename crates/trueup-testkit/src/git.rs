//! A Git repository for tests: a bare one that is served as `file://`, and a work tree beside it in which commits are made.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use anyhow::{Context, Result, bail};

/// A bare repository and its work tree, with the branch `main`.
#[derive(Debug, Clone)]
pub struct Repository {
    bare: PathBuf,
    work: PathBuf,
}

impl Repository {
    /// Makes a repository in a folder whose first commit has the content of another.
    pub fn create(folder: &Path, content: &Path) -> Result<Self> {
        let repository = Self { bare: folder.join("repository.git"), work: folder.join("work") };
        fs::create_dir_all(&repository.work)?;
        copy(content, &repository.work).with_context(|| format!("copy {}", content.display()))?;
        git(folder, &["init", "--quiet", "--bare", "--initial-branch=main", "repository.git"])?;
        git(&repository.work, &["init", "--quiet", "--initial-branch=main"])?;
        git(&repository.work, &["remote", "add", "origin", &repository.bare.display().to_string()])?;
        repository.commit("first commit")?;
        Ok(repository)
    }

    /// What an Application names.
    pub fn url(&self) -> String {
        format!("file://{}", self.bare.display())
    }

    /// The bare repository.
    pub fn bare(&self) -> &Path {
        &self.bare
    }

    /// The folder in which files are changed before a commit.
    pub fn work(&self) -> &Path {
        &self.work
    }

    /// Commits whatever is in the work tree and pushes it.
    pub fn commit(&self, message: &str) -> Result<()> {
        git(&self.work, &["add", "--all"])?;
        git(&self.work, &["commit", "--quiet", "--allow-empty", "--message", message])?;
        git(&self.work, &["push", "--quiet", "origin", "HEAD:main"])?;
        Ok(())
    }

    /// A file as `main` has it; `None` where it has none.
    pub fn file(&self, path: &str) -> Result<Option<String>> {
        let output = run(&self.bare, &["show", &format!("main:{path}")])?;
        Ok(output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned()))
    }
}

fn git(folder: &Path, arguments: &[&str]) -> Result<()> {
    let output = run(folder, arguments)?;
    if !output.status.success() {
        bail!("git {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Nothing of the person's own settings takes part.
fn run(folder: &Path, arguments: &[&str]) -> Result<Output> {
    Command::new("git")
        .current_dir(folder)
        .args(["-c", "user.name=story", "-c", "user.email=story@example.com", "-c", "commit.gpgsign=false"])
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_TERMINAL_PROMPT", "0")
        .env_remove("GIT_DIR")
        .env_remove("GIT_WORK_TREE")
        .env_remove("GIT_INDEX_FILE")
        .output()
        .context("run git")
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            fs::create_dir_all(&target)?;
            copy(&entry.path(), &target)?;
        } else {
            fs::copy(entry.path(), target)?;
        }
    }
    Ok(())
}
