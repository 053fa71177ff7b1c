//! What the API server serves: groups, versions, resources and their subresources.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use trueup_testkit::controlplane::ControlPlane;

use super::get;

/// Discovery of every built-in group version.
pub struct Discovered {
    /// In the server's order, as they go into the table.
    pub groups: Vec<Value>,
    /// Group version → its resources, as they go into the table.
    pub resources: BTreeMap<String, Vec<Value>>,
}

/// A kind under its group and version.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KindKey {
    pub group_version: String,
    pub kind: String,
}

impl KindKey {
    /// The key in the table: `apps/v1/Deployment`, `v1/Pod`.
    pub fn key(&self) -> String {
        format!("{}/{}", self.group_version, self.kind)
    }
}

pub fn read(plane: &ControlPlane) -> Result<Discovered> {
    let mut groups = vec![json!({"name": "", "preferred": "v1", "versions": ["v1"]})];
    let listed = get(plane, "/apis")?;
    for group in listed["groups"].as_array().context("no groups in /apis")? {
        let versions: Vec<&Value> =
            group["versions"].as_array().into_iter().flatten().map(|version| &version["version"]).collect();
        groups.push(json!({
            "name": group["name"],
            "preferred": group["preferredVersion"]["version"],
            "versions": versions,
        }));
    }
    let mut discovered = Discovered { groups, resources: BTreeMap::new() };
    let paths: Vec<String> = discovered.group_versions().collect();
    for path in paths {
        let list = get(plane, &format!("/{path}"))?;
        let group_version =
            list["groupVersion"].as_str().with_context(|| format!("no groupVersion in /{path}"))?;
        discovered.resources.insert(group_version.to_owned(), resources(group_version, &list["resources"]));
    }
    Ok(discovered)
}

impl Discovered {
    /// The paths of all group versions below the server's root: `api/v1`, `apis/apps/v1`, ...
    pub fn group_versions(&self) -> impl Iterator<Item = String> {
        self.groups.iter().flat_map(|group| {
            let name = group["name"].as_str().unwrap_or_default();
            let versions = group["versions"].as_array().into_iter().flatten().filter_map(Value::as_str);
            versions.map(move |version| match name {
                "" => format!("api/{version}"),
                _ => format!("apis/{name}/{version}"),
            })
        })
    }

    /// The kinds of all resources, and of subresources that have a kind of their own.
    pub fn kinds(&self) -> Vec<KindKey> {
        let mut kinds = Vec::new();
        for (group_version, resources) in &self.resources {
            for resource in resources {
                kinds.push(KindKey {
                    group_version: group_version.clone(),
                    kind: resource["kind"].as_str().unwrap_or_default().to_owned(),
                });
                for subresource in resource["subresources"].as_array().into_iter().flatten() {
                    let group = subresource["group"].as_str();
                    let version = subresource["version"].as_str();
                    kinds.push(KindKey {
                        group_version: match (group, version) {
                            (Some(""), Some(version)) => version.to_owned(),
                            (Some(group), Some(version)) => format!("{group}/{version}"),
                            _ => group_version.clone(),
                        },
                        kind: subresource["kind"].as_str().unwrap_or_default().to_owned(),
                    });
                }
            }
        }
        kinds.sort();
        kinds.dedup();
        kinds
    }
}

/// Brings an APIResourceList into the table's form: subresources stand inside their resource, and what says nothing is left out.
fn resources(group_version: &str, list: &Value) -> Vec<Value> {
    let all: Vec<&Value> = list.as_array().into_iter().flatten().collect();
    let mut reduced: Vec<Value> = Vec::new();
    for resource in &all {
        let Some(name) = resource["name"].as_str().filter(|name| !name.contains('/')) else { continue };
        let mut entry = Map::new();
        entry.insert("name".into(), name.into());
        entry.insert("singular".into(), resource["singularName"].clone());
        entry.insert("kind".into(), resource["kind"].clone());
        entry.insert("namespaced".into(), resource["namespaced"].clone());
        entry.insert("verbs".into(), resource["verbs"].clone());
        for optional in ["shortNames", "categories"] {
            if let Some(value) = resource.get(optional) {
                entry.insert(optional.into(), value.clone());
            }
        }
        let prefix = format!("{name}/");
        let subresources: Vec<Value> = all
            .iter()
            .filter_map(|sub| Some((sub["name"].as_str()?.strip_prefix(&prefix)?, *sub)))
            .map(|(sub_name, sub)| subresource(group_version, sub_name, sub))
            .collect();
        if !subresources.is_empty() {
            entry.insert("subresources".into(), subresources.into());
        }
        reduced.push(entry.into());
    }
    reduced.sort_by_key(|resource| resource["name"].as_str().unwrap_or_default().to_owned());
    reduced
}

fn subresource(group_version: &str, name: &str, listed: &Value) -> Value {
    let mut entry = Map::new();
    entry.insert("name".into(), name.into());
    entry.insert("kind".into(), listed["kind"].clone());
    entry.insert("verbs".into(), listed["verbs"].clone());
    if let Some(version) = listed["version"].as_str() {
        let group = listed["group"].as_str().unwrap_or_default();
        let own = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
        if own != group_version {
            entry.insert("group".into(), group.into());
            entry.insert("version".into(), version.into());
        }
    }
    entry.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subresources_stand_inside_their_resource() {
        let list = json!([
            {"name": "deployments/scale", "kind": "Scale", "group": "autoscaling", "version": "v1", "verbs": ["get"]},
            {"name": "deployments", "singularName": "deployment", "kind": "Deployment", "namespaced": true, "verbs": ["list"], "shortNames": ["deploy"], "storageVersionHash": "x"},
            {"name": "deployments/status", "kind": "Deployment", "group": "apps", "version": "v1", "verbs": ["patch"]},
        ]);
        assert_eq!(
            resources("apps/v1", &list),
            [json!({
                "name": "deployments", "singular": "deployment", "kind": "Deployment", "namespaced": true,
                "verbs": ["list"], "shortNames": ["deploy"],
                "subresources": [
                    {"name": "scale", "kind": "Scale", "group": "autoscaling", "version": "v1", "verbs": ["get"]},
                    {"name": "status", "kind": "Deployment", "verbs": ["patch"]},
                ],
            })]
        );
    }
}
