//! Which crate may depend on which, and what the core may not depend on even through others.
//!
//! An edge that is not in the table is an architecture change: it belongs into ARCHITECTURE.md and here, in the same commit.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Problem;

/// Crates that only compute: values in, values out.
const CORE: [&str; 5] = ["trueup-object", "trueup-merge", "trueup-diff", "trueup-health", "trueup-engine"];

/// What a core crate must not reach: IO, runtimes, clients, randomness, logging.
const BANNED_IN_CORE: [&str; 8] = ["tokio", "kube", "gix", "reqwest", "rand", "tracing", "sqlx", "hyper"];

/// A crate and the crates of this workspace that it may depend on.
const ALLOWED: [(&str, &[&str]); 22] = [
    ("trueup-object", &[]),
    ("trueup-dice", &[]),
    ("trueup-latest", &[]),
    ("trueup-merge", &["trueup-object"]),
    ("trueup-cel", &["trueup-object"]),
    ("trueup-diff", &["trueup-object", "trueup-merge"]),
    ("trueup-health", &["trueup-object"]),
    ("trueup-engine", &["trueup-object", "trueup-merge", "trueup-diff", "trueup-health"]),
    ("trueup-api", &["trueup-object", "trueup-engine"]),
    ("trueup-lua", &["trueup-object", "trueup-health", "trueup-engine"]),
    ("trueup-cluster", &["trueup-object", "trueup-merge", "trueup-engine", "trueup-latest"]),
    ("trueup-repo", &["trueup-object", "trueup-engine"]),
    ("trueup-render", &["trueup-object", "trueup-engine"]),
    ("trueup-ledger", &["trueup-object", "trueup-engine"]),
    (
        "trueup-controller",
        &[
            "trueup-object",
            "trueup-engine",
            "trueup-api",
            "trueup-cluster",
            "trueup-repo",
            "trueup-render",
            "trueup-lua",
            "trueup-ledger",
        ],
    ),
    ("trueup-server", &["trueup-object", "trueup-engine", "trueup-api", "trueup-ledger"]),
    ("trueup-sandbox", &["trueup-object", "trueup-merge", "trueup-cel", "trueup-dice", "trueup-latest"]),
    ("trueup-testkit", &["trueup-object", "trueup-sandbox"]),
    (
        "trueup",
        &[
            "trueup-object",
            "trueup-merge",
            "trueup-diff",
            "trueup-health",
            "trueup-engine",
            "trueup-api",
            "trueup-cluster",
            "trueup-repo",
            "trueup-render",
            "trueup-lua",
            "trueup-ledger",
            "trueup-controller",
            "trueup-server",
            "trueup-sandbox",
        ],
    ),
    (
        "trueup-bench",
        &[
            "trueup-object",
            "trueup-merge",
            "trueup-health",
            "trueup-engine",
            "trueup-cluster",
            "trueup-sandbox",
            "trueup-dice",
        ],
    ),
    (
        "trueup-simulation",
        &[
            "trueup-object",
            "trueup-engine",
            "trueup-api",
            "trueup-cluster",
            "trueup-repo",
            "trueup-lua",
            "trueup-ledger",
            "trueup-controller",
            "trueup-sandbox",
            "trueup-dice",
            "trueup-latest",
        ],
    ),
    (
        "xtask",
        &["trueup-object", "trueup-merge", "trueup-diff", "trueup-sandbox", "trueup-testkit", "trueup-dice"],
    ),
];

/// What every crate may use in its tests only.
const DEV_ALLOWED: [&str; 3] = ["trueup-testkit", "trueup-sandbox", "trueup-dice"];

/// What `cargo metadata` tells, as far as it matters here.
#[derive(Debug, Deserialize)]
pub struct Metadata {
    packages: Vec<Package>,
    workspace_members: Vec<String>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
pub struct Package {
    pub name: String,
    id: String,
    dependencies: Vec<Dependency>,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    kind: Option<String>,
    path: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
pub struct Node {
    id: String,
    deps: Vec<NodeDependency>,
    pub features: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Debug, Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

pub fn parse(text: &str) -> Result<Metadata> {
    serde_json::from_str(text).context("read the output of cargo metadata")
}

impl Metadata {
    /// The crates of this workspace.
    pub fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| self.workspace_members.contains(&package.id))
    }

    /// Every package in the build of this workspace, with the features it is built with.
    pub fn resolved(&self) -> impl Iterator<Item = (&Package, &Node)> {
        self.resolve.nodes.iter().filter_map(|node| {
            self.packages.iter().find(|package| package.id == node.id).map(|package| (package, node))
        })
    }

    /// The names of everything that a package links into a product, itself included.
    fn reachable(&self, id: &str) -> BTreeSet<&str> {
        let nodes: BTreeMap<&str, &Node> =
            self.resolve.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let names: BTreeMap<&str, &str> =
            self.packages.iter().map(|package| (package.id.as_str(), package.name.as_str())).collect();
        let mut seen = BTreeSet::new();
        let mut open = vec![id];
        while let Some(id) = open.pop() {
            if !seen.insert(id) {
                continue;
            }
            for dependency in nodes.get(id).into_iter().flat_map(|node| &node.deps) {
                // A build or dev dependency is not part of the product.
                if dependency.dep_kinds.iter().any(|kind| kind.kind.is_none()) {
                    open.push(&dependency.pkg);
                }
            }
        }
        seen.into_iter().filter_map(|id| names.get(id).copied()).collect()
    }
}

pub fn check(metadata: &Metadata) -> Vec<Problem> {
    let mut problems = Vec::new();
    for package in metadata.members() {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
            problems
                .push(Problem::new(&package.name, "is not in the table of crates (xtask/src/tidy/edges.rs)"));
            continue;
        };
        problems.extend(edges_of(package, allowed));
        if CORE.contains(&package.name.as_str()) {
            let reachable = metadata.reachable(&package.id);
            for banned in BANNED_IN_CORE.into_iter().filter(|banned| reachable.contains(banned)) {
                problems
                    .push(Problem::new(&package.name, format!("a core crate must not depend on {banned}")));
            }
        }
    }
    problems
}

fn edges_of(package: &Package, allowed: &[&str]) -> Vec<Problem> {
    let mut problems = Vec::new();
    for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
        let name = dependency.name.as_str();
        let in_tests = dependency.kind.as_deref() == Some("dev") && DEV_ALLOWED.contains(&name);
        if !allowed.contains(&name) && !in_tests {
            let rule =
                format!("must not depend on {name}: the edge is not in the table (xtask/src/tidy/edges.rs)");
            problems.push(Problem::new(&package.name, rule));
        }
    }
    problems
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A workspace of one crate with one dependency, which depends on a third.
    fn metadata(member: &str, dependency: &str, kind: &str, path: &str, indirect: &str) -> Metadata {
        let text = format!(
            r#"{{"packages": [
                {{"name": "{member}", "id": "a", "dependencies": [{{"name": "{dependency}", "kind": {kind}, "path": {path}}}]}},
                {{"name": "{dependency}", "id": "b", "dependencies": []}},
                {{"name": "{indirect}", "id": "c", "dependencies": []}}],
              "workspace_members": ["a"],
              "resolve": {{"nodes": [
                {{"id": "a", "features": [], "deps": [{{"pkg": "b", "dep_kinds": [{{"kind": {kind}}}]}}]}},
                {{"id": "b", "features": [], "deps": [{{"pkg": "c", "dep_kinds": [{{"kind": null}}]}}]}},
                {{"id": "c", "features": [], "deps": []}}]}}}}"#
        );
        parse(&text).unwrap()
    }

    #[test]
    fn an_edge_of_the_table_passes_and_another_does_not() {
        let good = metadata("trueup-diff", "trueup-object", "null", r#""x""#, "regex");
        assert_eq!(check(&good), []);
        let bad = check(&metadata("trueup-object", "trueup-diff", "null", r#""x""#, "regex"));
        assert_eq!(bad.len(), 1);
        assert!(bad[0].rule.contains("must not depend on trueup-diff"));
    }

    #[test]
    fn tests_may_use_the_testkit_and_nothing_else_that_the_table_lacks() {
        assert_eq!(check(&metadata("trueup-diff", "trueup-testkit", r#""dev""#, r#""x""#, "tokio")), []);
        assert_eq!(check(&metadata("trueup-diff", "trueup-testkit", "null", r#""x""#, "regex")).len(), 1);
        assert_eq!(check(&metadata("trueup-diff", "trueup-engine", r#""dev""#, r#""x""#, "regex")).len(), 1);
    }

    #[test]
    fn the_core_is_kept_from_io_through_others_too() {
        let through = check(&metadata("trueup-object", "innocent", "null", "null", "tokio"));
        assert_eq!(through, [Problem::new("trueup-object", "a core crate must not depend on tokio")]);
        assert_eq!(check(&metadata("trueup-cluster", "innocent", "null", "null", "tokio")), []);
        assert_eq!(check(&metadata("trueup-object", "innocent", r#""dev""#, "null", "tokio")), []);
    }

    #[test]
    fn an_unknown_crate_is_a_problem() {
        assert_eq!(check(&metadata("trueup-utils", "regex", "null", "null", "x")).len(), 1);
    }
}
