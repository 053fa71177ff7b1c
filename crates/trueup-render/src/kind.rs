//! Which tool the files of a source are for (compat 1.1), and which of those this build has not got.

use trueup_engine::app::{Directory, Unsupported};
use trueup_engine::source::SourceTree;
use trueup_object::Text;

const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// A file that changes the source for every application that reads it.
const OVERRIDE: &str = ".argocd-source.yaml";

/// What keeps a source from being rendered as a plain directory.
pub fn unsupported(tree: &SourceTree, directory: &Directory, app_name: &str) -> Option<Unsupported> {
    // An override changes a source of any kind, so it is looked for first.
    let own_override = format!(".argocd-source-{app_name}.yaml");
    if let Some(name) = find(tree, |name| name == OVERRIDE || name == own_override) {
        return Some(named(tree, name, "an override of the source in a file"));
    }
    if directory.explicit {
        return None;
    }
    if let Some(name) = find(tree, |name| name.ends_with("Chart.yaml")) {
        return Some(named(tree, name, "a Helm chart"));
    }
    find(tree, |name| KUSTOMIZATIONS.contains(&name)).map(|name| named(tree, name, "a kustomization"))
}

/// Whether a file is an override of some application's source, which is no manifest.
pub fn is_override(path: &str) -> bool {
    path == OVERRIDE || (path.starts_with(".argocd-source-") && path.ends_with(".yaml"))
}

fn find(tree: &SourceTree, wanted: impl Fn(&str) -> bool) -> Option<&Text> {
    tree.root_names.iter().find(|name| wanted(name))
}

fn named(tree: &SourceTree, name: &str, what: &str) -> Unsupported {
    Unsupported { place: tree.path.join(name).to_string(), what: what.to_owned() }
}
