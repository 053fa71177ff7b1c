//! Rules of an AppProject that this build does not enforce: where there are any, its applications are read-only.

use trueup_engine::app::Unsupported;
use trueup_object::Value;

/// What an AppProject asks for that this build does not enforce. A project that allows everything asks for nothing.
pub fn project_rules(project: &Value) -> Vec<Unsupported> {
    let name = project.str_at(&["metadata", "name"]).unwrap_or_default();
    let spec = |field: &str| project.list_at(&["spec", field]);
    let mut found = Vec::new();
    let mut cannot = |field: &str, what: &str| {
        found.push(Unsupported { place: format!("AppProject {name}, spec.{field}"), what: what.to_owned() });
    };
    for (field, what) in [
        ("syncWindows", "sync windows"),
        ("destinationServiceAccounts", "applying as a service account"),
        ("signatureKeys", "signed commits"),
        ("sourceNamespaces", "applications in other namespaces"),
        ("clusterResourceBlacklist", "a list of refused kinds"),
        ("namespaceResourceBlacklist", "a list of refused kinds"),
    ] {
        if !spec(field).is_empty() {
            cannot(field, what);
        }
    }
    let is_any = |value: Option<&str>| value == Some("*");
    let any_repo = spec("sourceRepos").iter().any(|repo| is_any(repo.as_str()));
    if !any_repo {
        cannot("sourceRepos", "a list of allowed repositories");
    }
    let any_destination = spec("destinations").iter().any(|destination| {
        let cluster = ["server", "name"].iter().any(|field| is_any(destination.str_at(&[field])));
        cluster && is_any(destination.str_at(&["namespace"]))
    });
    if !any_destination {
        cannot("destinations", "a list of allowed destinations");
    }
    let any_kind = |rules: &[Value]| {
        rules.iter().any(|rule| is_any(rule.str_at(&["group"])) && is_any(rule.str_at(&["kind"])))
    };
    // No cluster-scoped kind is allowed unless listed; every namespaced one is unless a list is given.
    if !any_kind(spec("clusterResourceWhitelist")) {
        cannot("clusterResourceWhitelist", "a list of allowed cluster-scoped kinds");
    }
    let namespaced = spec("namespaceResourceWhitelist");
    if !namespaced.is_empty() && !any_kind(namespaced) {
        cannot("namespaceResourceWhitelist", "a list of allowed kinds");
    }
    found
}
