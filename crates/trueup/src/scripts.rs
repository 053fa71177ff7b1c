//! Scripts and settings from files, for the commands that judge objects or act on them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use trueup_engine::settings::Settings;
use trueup_lua::{Library, LuaRules, Pool};
use trueup_object::manifest::Manifest;

use crate::diff::files;
use crate::failure::Failure;
use crate::{output, settings};

/// Where scripts come from.
#[derive(Debug, Args)]
pub struct ScriptArguments {
    /// Folder with scripts as in Argo CD: GROUP/KIND/health.lua, GROUP/KIND/actions/discovery.lua and NAME/action.lua
    #[arg(long, value_name = "DIR")]
    pub customizations: Option<PathBuf>,
    /// The settings of an installation: argocd-cm, and trueup-settings
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
}

impl ScriptArguments {
    /// Reads the settings and makes the scripts ready; those of the settings go before those of the folder.
    pub fn read(&self) -> Result<(Settings, LuaRules), Failure> {
        let settings = settings::read(self.settings.as_deref())?;
        let rules = ready(&settings, folder(self.customizations.as_deref())?);
        Ok((settings, rules))
    }
}

/// The scripts of a folder; without one, none.
pub fn folder(folder: Option<&Path>) -> Result<Library, Failure> {
    let mut library = Library::default();
    if let Some(folder) = folder {
        library.read_directory(folder).map_err(|error| {
            Failure::user(format!("failed to {error}"))
                .hint("name a folder with GROUP/KIND/health.lua or GROUP/KIND/actions/NAME/action.lua in it")
        })?;
    }
    Ok(library)
}

/// The scripts of settings and of a folder, ready to run.
pub fn ready(settings: &Settings, files: Library) -> LuaRules {
    let (library, problems) = Library::of_settings(settings);
    for problem in &problems {
        output::tell(&format!("warning: {problem}"));
    }
    LuaRules::new(library.with_files_of(&files), Arc::new(Pool::default()))
}

/// Every object of the places, and why some may be missing.
pub fn objects(places: &[PathBuf]) -> Result<(Vec<Manifest>, Option<Failure>), Failure> {
    let (mut manifests, mut loss) = (Vec::new(), None);
    for place in places {
        let read = files::read(place)?;
        loss = loss.or(read.loss());
        manifests.extend(read.manifests);
    }
    let failure = loss.map(|loss| {
        Failure::user(format!("failed to read all objects: {loss}"))
            .hint("correct the file; the others are judged")
    });
    if manifests.is_empty() && failure.is_none() {
        return Err(Failure::user("there is no object in what -f names")
            .hint("name a file or folder with Kubernetes objects, or - for standard input"));
    }
    Ok((manifests, failure))
}
