//! Drift stories as data: read, played in a world, judged.
//!
//! A story is a folder with the content of a repository (`git/`) and `story.yaml`, which says what happens and what must be true
//! afterwards. The same story is played in the sandbox and on a real control plane, and both must end the same way.

mod controller;
mod expectation;
mod format;
mod judge;
mod kinds;
mod parse;
mod play;
mod result;
mod stage;
#[cfg(test)]
mod tests;
mod webhook;
mod words;
mod world;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

pub use format::{Action, Expectation, Reference, Step, Story};
pub use parse::story as parse;
pub use play::{Player, play};
pub use result::{Outcome, StepResult};
pub use world::{ClusterWorld, Needs, World, WorldName, find_kubectl};

/// A story and the folder that it lies in.
#[derive(Debug, Clone)]
pub struct Located {
    pub story: Story,
    pub folder: PathBuf,
}

/// Reads the story of a folder, or all stories of a folder of stories, in the order of their folders' names.
pub fn find(folder: &Path) -> Result<Vec<Located>> {
    if folder.join("story.yaml").is_file() {
        return Ok(vec![read(folder)?]);
    }
    let entries = std::fs::read_dir(folder).with_context(|| format!("read {}", folder.display()))?;
    let mut folders: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.join("story.yaml").is_file() {
            folders.push(path);
        }
    }
    folders.sort();
    if folders.is_empty() {
        bail!("{} has no story.yaml and holds no folder that has one", folder.display());
    }
    folders.iter().map(|folder| read(folder)).collect()
}

fn read(folder: &Path) -> Result<Located> {
    let file = folder.join("story.yaml");
    let bytes = std::fs::read(&file).with_context(|| format!("read {}", file.display()))?;
    let story = parse(&bytes).with_context(|| format!("read {}", file.display()))?;
    let folder = folder.canonicalize().with_context(|| format!("find {}", folder.display()))?;
    Ok(Located { story, folder })
}
