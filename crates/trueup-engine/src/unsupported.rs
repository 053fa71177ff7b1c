//! Marks on manifests that this build does not honour: they make the application read-only, by name (detection.md 9).
//!
//! Applying a hook as an ordinary object, or an object of a later wave before an earlier one, does harm; doing nothing
//! and saying why does not.

use trueup_object::{ResourceKey, Value};

use crate::app::Unsupported;

/// Sync options of a single object that this build honours or that ask for nothing it would not do anyway.
const HONOURED_SYNC_OPTIONS: [&str; 7] = [
    "Prune=false",
    "Prune=true",
    "ServerSideApply=true",
    "SkipDryRunOnMissingResource=true",
    "Replace=false",
    "Validate=true",
    "Force=false",
];

/// What an object asks for that this build cannot do.
pub fn in_object(object: &Value, key: &ResourceKey) -> Vec<Unsupported> {
    let Some(annotations) = object.at(&["metadata", "annotations"]).and_then(Value::as_map) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for (name, value) in annotations.iter() {
        let text = value.as_str().unwrap_or_default();
        let what = match name {
            "argocd.argoproj.io/hook" | "helm.sh/hook" => Some(format!("hook {text}")),
            "argocd.argoproj.io/sync-wave" if text.trim() != "0" => Some(format!("sync wave {text}")),
            "argocd.argoproj.io/sync-options" => unsupported_option(text),
            _ => None,
        };
        found.extend(what.map(|what| Unsupported { place: format!("{key}, annotation {name}"), what }));
    }
    found
}

fn unsupported_option(text: &str) -> Option<String> {
    let foreign: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|option| !option.is_empty() && !HONOURED_SYNC_OPTIONS.contains(option))
        .collect();
    (!foreign.is_empty()).then(|| format!("sync option {}", foreign.join(", ")))
}

/// Why an object is never pruned, where its author said so (on the live object: compat 1.1).
pub fn keeps_from_prune(live: &Value) -> Option<&'static str> {
    let annotations = live.at(&["metadata", "annotations"])?;
    let options = annotations.str_at(&["argocd.argoproj.io/sync-options"]).unwrap_or_default();
    if options.split(',').any(|option| option.trim() == "Prune=false") {
        return Some("its sync option Prune=false");
    }
    (annotations.str_at(&["helm.sh/resource-policy"]) == Some("keep"))
        .then_some("its annotation helm.sh/resource-policy: keep")
}

/// Whether an extraneous object is to leave the application's status alone (compat 2.1.13).
pub fn ignores_extraneous(live: &Value) -> bool {
    live.str_at(&["metadata", "annotations", "argocd.argoproj.io/compare-options"])
        .is_some_and(|options| options.split(',').any(|option| option.trim() == "IgnoreExtraneous"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn annotated(name: &str, value: &str) -> Value {
        let mut object = Value::default();
        object.set_at(&["metadata", "annotations", name], value.into());
        object
    }

    fn found(name: &str, value: &str) -> Vec<String> {
        let key = ResourceKey::new("batch", "Job", "web", "migrate");
        in_object(&annotated(name, value), &key).into_iter().map(|unsupported| unsupported.what).collect()
    }

    #[test]
    fn hooks_waves_and_foreign_options_are_named() {
        assert_eq!(found("argocd.argoproj.io/hook", "PreSync"), ["hook PreSync"]);
        assert_eq!(found("helm.sh/hook", "pre-install"), ["hook pre-install"]);
        assert_eq!(found("argocd.argoproj.io/sync-wave", "-1"), ["sync wave -1"]);
        assert_eq!(
            found("argocd.argoproj.io/sync-options", "Prune=false, Replace=true"),
            ["sync option Replace=true"]
        );
    }

    #[test]
    fn what_is_honoured_is_not_named() {
        assert!(found("argocd.argoproj.io/sync-wave", "0").is_empty());
        assert!(found("argocd.argoproj.io/sync-options", "Prune=false").is_empty());
        assert!(found("example.com/owner", "team").is_empty());
    }

    #[test]
    fn prune_guards_are_read_from_live() {
        assert!(keeps_from_prune(&annotated("argocd.argoproj.io/sync-options", "Prune=false")).is_some());
        assert!(keeps_from_prune(&annotated("helm.sh/resource-policy", "keep")).is_some());
        assert!(keeps_from_prune(&annotated("helm.sh/resource-policy", "other")).is_none());
        assert!(ignores_extraneous(&annotated("argocd.argoproj.io/compare-options", "IgnoreExtraneous")));
    }
}
