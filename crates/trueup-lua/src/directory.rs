//! Scripts in a directory, in the layout of Argo CD's own: `GROUP/KIND/health.lua`, `GROUP/KIND/actions/discovery.lua`
//! and `GROUP/KIND/actions/NAME/action.lua`, with `_` for any text in the name of a group or kind. Kinds of the core
//! group stand at the top.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use trueup_object::Text;

use crate::library::{Library, Script};

/// No script is as large.
const BYTES_MAX: u64 = 1024 * 1024;

/// Argo CD comes with fewer than five hundred; this many are something else than scripts.
const SCRIPTS_MAX: usize = 20_000;

/// A directory that cannot be read as a whole: a part of it would judge otherwise than all of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    #[error("read {path}: {message}")]
    Unreadable { path: String, message: String },
    #[error("read {path}: it is no UTF-8 text of at most {BYTES_MAX} bytes")]
    NoText { path: String },
    #[error("read {path}: it has more than {SCRIPTS_MAX} scripts")]
    TooMany { path: String },
    #[error("read {path}: it has no scripts in the layout GROUP/KIND/health.lua or GROUP/KIND/actions/")]
    Empty { path: String },
}

impl Library {
    /// Adds the scripts of a directory.
    pub fn read_directory(&mut self, directory: &Path) -> Result<(), DirectoryError> {
        let mut n_scripts = 0;
        for (group, path) in folders(directory)? {
            n_scripts += self.read_kind("", &group, &path)?;
            for (kind, path) in folders(&path)?.into_iter().filter(|(kind, _)| kind != "actions") {
                n_scripts += self.read_kind(&group, &kind, &path)?;
                if n_scripts > SCRIPTS_MAX {
                    return Err(DirectoryError::TooMany { path: directory.display().to_string() });
                }
            }
        }
        if n_scripts == 0 {
            return Err(DirectoryError::Empty { path: directory.display().to_string() });
        }
        Ok(())
    }

    /// Adds the scripts of one kind; gives how many.
    fn read_kind(&mut self, group: &str, kind: &str, folder: &Path) -> Result<usize, DirectoryError> {
        let mut count = 0;
        if let Some(script) = script(&folder.join("health.lua"), "health.lua", true)? {
            self.files.health.insert(group, kind, script);
            count += 1;
        }
        let actions = folder.join("actions");
        if !actions.is_dir() {
            return Ok(count);
        }
        // As in Argo CD, actions have no more than what their discovery has.
        if let Some(script) = script(&actions.join("discovery.lua"), "discovery.lua", false)? {
            self.files.actions.entry(group, kind).discovery = Some(script);
            count += 1;
        }
        for (name, folder) in folders(&actions)? {
            if let Some(script) = script(&folder.join("action.lua"), "action.lua", false)? {
                self.files.actions.entry(group, kind).actions.insert(name, script);
                count += 1;
            }
        }
        Ok(count)
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> DirectoryError {
    DirectoryError::Unreadable { path: path.display().to_string(), message: error.to_string() }
}

/// The folders in a folder, by name. Names with a dot in front are the bookkeeping of mounted ConfigMaps and of Git.
fn folders(folder: &Path) -> Result<Vec<(String, PathBuf)>, DirectoryError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        let path = entry.map_err(|error| unreadable(folder, &error))?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if !name.is_empty() && !name.starts_with('.') && path.is_dir() {
            found.push((name, path));
        }
    }
    found.sort();
    Ok(found)
}

fn script(path: &Path, chunk: &'static str, open_libs: bool) -> Result<Option<Script>, DirectoryError> {
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(unreadable(path, &error)),
    };
    let no_text = || DirectoryError::NoText { path: path.display().to_string() };
    if metadata.len() > BYTES_MAX {
        return Err(no_text());
    }
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let lua = String::from_utf8(bytes).map_err(|_| no_text())?;
    Ok(Some(Script { lua: Arc::from(lua), source: Text::from(path.display().to_string()), chunk, open_libs }))
}
