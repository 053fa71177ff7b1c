//! The annotations of Applications, in one place.

/// `normal` or `hard`: look again. Removed by whoever takes it up.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// `true`: the application is not processed at all.
pub const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";
/// A comma list such as `ServerSideDiff=true`.
pub const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";

/// What of trueup's own annotations starts with.
pub const TRUEUP_PREFIX: &str = "trueup.dev/";
/// `drift`, `note` or `off`: what an undeclared addition means.
pub const UNDECLARED: &str = "trueup.dev/undeclared";
/// Who wanted paths of `ignoreDifferences` ignored, why and until when: a YAML list.
pub const IGNORE_REASONS: &str = "trueup.dev/ignore-reasons";
/// A YAML list of what additions at certain paths mean; on an Application or an AppProject.
pub const UNDECLARED_RULES: &str = "trueup.dev/undeclared-rules";
/// `drift` or `note`: what additions are worth that were there when an object was first synced.
pub const INHERITED: &str = "trueup.dev/inherited";
/// `overwrite`: a commit's sync also overwrites what the cluster moved. `keep` is the default.
pub const ON_COMMIT: &str = "trueup.dev/on-commit";
/// When the API server is asked what applying would change: `differs`, `always` or `never`.
pub const CONFIRM: &str = "trueup.dev/confirm";

/// How messages name an annotation.
pub(crate) fn place(name: &str) -> String {
    format!("annotation {name}")
}
