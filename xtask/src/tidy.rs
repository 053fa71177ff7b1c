//! `cargo xtask tidy`: the project's rules that no compiler checks, as one fast check without side effects.
//!
//! Every check is a pure function from what was read to a list of problems; only this module runs programs and reads files.

mod docs;
mod edges;
mod files;
mod lockfile;

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};

/// Something that breaks a rule, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    place: String,
    rule: String,
}

impl Problem {
    fn new(place: impl Into<String>, rule: impl Into<String>) -> Self {
        Self { place: place.into(), rule: rule.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.rule)
    }
}

/// A file of the repository, as the checks see it.
pub struct SourceFile {
    /// Relative to the root, with `/`.
    path: String,
    bytes: Vec<u8>,
}

impl SourceFile {
    /// The content, unless it is not text.
    fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.bytes).ok()
    }
}

/// Runs every check and fails with the number of problems, each of which it prints.
pub fn run(root: &Path) -> Result<()> {
    let files = read_files(root)?;
    let metadata = edges::parse(&cargo_metadata(root)?)?;
    let mut problems = files::check(&files);
    problems.extend(edges::check(&metadata));
    problems.extend(lockfile::check(&metadata));
    problems.extend(docs::check(&files));
    for problem in &problems {
        eprintln!("{problem}");
    }
    if !problems.is_empty() {
        bail!("tidy found {} problems", problems.len());
    }
    println!("tidy: {} files and {} crates checked", files.len(), metadata.members().count());
    Ok(())
}

/// The files that git tracks or would track.
fn read_files(root: &Path) -> Result<Vec<SourceFile>> {
    let listing = stdout_of(Command::new("git").current_dir(root).args([
        "ls-files",
        "-z",
        "-co",
        "--exclude-standard",
        "--deduplicate",
    ]))?;
    let mut files = Vec::new();
    for path in listing.split('\0').filter(|path| !path.is_empty()) {
        let absolute: PathBuf = root.join(path);
        // A link is checked where it points to, and a deleted file that is still in the index is no file.
        if absolute.is_file() && !absolute.is_symlink() {
            let bytes = std::fs::read(&absolute).with_context(|| format!("read {path}"))?;
            files.push(SourceFile { path: path.to_owned(), bytes });
        }
    }
    Ok(files)
}

fn cargo_metadata(root: &Path) -> Result<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    stdout_of(Command::new(cargo).current_dir(root).args(["metadata", "--format-version=1", "--locked"]))
}

fn stdout_of(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("run {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout).with_context(|| format!("read the output of {command:?}"))
}
