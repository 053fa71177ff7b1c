//! The settings of an installation in files: the ConfigMaps argocd-cm and trueup-settings.

use std::path::Path;

use trueup_engine::settings::{self, ConfigData, Settings, TRUEUP};

use crate::diff::files;
use crate::failure::Failure;
use crate::output;

/// Reads the ConfigMaps of a file or folder; without one there are no settings. What is wrong with them is told.
pub fn read(place: Option<&Path>) -> Result<Settings, Failure> {
    let Some(place) = place else { return Ok(Settings::default()) };
    let (mut argocd, mut trueup) = (ConfigData::new(), ConfigData::new());
    for (path, bytes) in files::contents(place)? {
        let unusable = |why: String| {
            Failure::user(format!("failed to read the settings {path}: {why}"))
                .hint("give the ConfigMaps argocd-cm and trueup-settings, or one of them")
        };
        for document in trueup_object::yaml::read_documents(&bytes) {
            let document = document.map_err(|error| unusable(error.to_string()))?.value;
            if document.is_null() {
                continue;
            }
            match (document.str_at(&["kind"]), document.str_at(&["metadata", "name"])) {
                (Some("ConfigMap"), Some(TRUEUP)) => trueup.extend(settings::data(&document)),
                (Some("ConfigMap"), _) => argocd.extend(settings::data(&document)),
                (_, _) => return Err(unusable("it is no ConfigMap".to_owned())),
            }
        }
    }
    let settings = Settings::read(&argocd, &trueup);
    for problem in &settings.problems {
        output::tell(&format!("warning: {problem}"));
    }
    Ok(settings)
}
