//! The kinds that random cases are about, read from `kinds.yaml`.

use anyhow::{Context, Result, anyhow};
use trueup_object::{Gvk, Value};

const KINDS: &str = include_str!("kinds.yaml");

/// One kind, and how far random writes may go with it.
pub struct Kind {
    pub gvk: Gvk,
    /// Where its objects are served.
    pub collection: String,
    /// How its objects are called, with `NAME` for what tells them apart.
    name: String,
    /// The least object that the server accepts.
    least: String,
    /// Dotted paths that stay as they are (`[]` for any item of a list).
    plain: Vec<String>,
    pub scale: bool,
    pub status: bool,
    /// How often it comes up.
    weight: usize,
}

impl Kind {
    /// All kinds.
    pub fn all() -> Result<Vec<Self>> {
        let list = Value::from_yaml(KINDS.as_bytes())?;
        list.as_list().unwrap_or_default().iter().map(Self::read).collect()
    }

    fn read(entry: &Value) -> Result<Self> {
        let object = entry.get("object").ok_or_else(|| anyhow!("a kind has no object"))?;
        let flag = |name: &str| entry.get(name).and_then(Value::as_bool).unwrap_or_default();
        Ok(Self {
            gvk: Gvk::of(object).ok_or_else(|| anyhow!("an object has no kind"))?,
            collection: entry.str_at(&["path"]).context("a kind has no path")?.to_owned(),
            name: entry.str_at(&["name"]).unwrap_or("NAME").to_owned(),
            least: object.to_json(),
            plain: entry.list_at(&["plain"]).iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            scale: flag("scale"),
            status: flag("status"),
            weight: usize::try_from(entry.int_at(&["weight"]).unwrap_or(1))?,
        })
    }

    /// The least object of that name.
    pub fn least(&self, name: &str) -> Result<Value> {
        let mut object = Value::from_json(self.least.replace("NAME", name).as_bytes())?;
        object.set_at(&["metadata", "name"], self.name.replace("NAME", name).into());
        if let Some(namespace) = self.namespace() {
            object.set_at(&["metadata", "namespace"], namespace.into());
        }
        Ok(object)
    }

    pub fn namespace(&self) -> Option<&str> {
        let (_, rest) = self.collection.split_once("/namespaces/")?;
        rest.split_once('/').map(|(namespace, _)| namespace)
    }

    /// Where an object is served.
    pub fn path(&self, object: &Value) -> String {
        format!("{}/{}", self.collection, object.str_at(&["metadata", "name"]).unwrap_or_default())
    }

    /// The path of the OpenAPI document that describes it.
    pub fn document(&self) -> String {
        let served = if self.gvk.group.is_empty() { "api" } else { "apis" };
        format!("/openapi/v3/{served}/{}", self.gvk.api_version())
    }

    /// Whether random writes leave this place alone; `path` is dotted, as in `kinds.yaml`.
    pub fn is_plain(&self, path: &str) -> bool {
        const ALWAYS: [&str; 4] = ["apiVersion", "kind", "status", "metadata"];
        ALWAYS.contains(&path) || self.plain.iter().any(|plain| plain == path)
    }

    /// The API server itself writes the status of some kinds, at any time: then what is under `status` is left out.
    pub fn without_own_status(&self, object: &Value) -> Value {
        let mut object = object.clone();
        if matches!(self.gvk.kind.as_str(), "CustomResourceDefinition" | "APIService") {
            object.remove_at(&["status"]);
            let entries = object.get_mut("metadata").and_then(|metadata| metadata.get_mut("managedFields"));
            if let Some(entries) = entries.and_then(Value::as_list_mut) {
                entries.retain(|entry| entry.str_at(&["subresource"]) != Some("status"));
            }
        }
        object
    }

    pub fn is_custom(&self) -> bool {
        self.gvk.group.ends_with("example.com")
    }
}

/// The kinds, each as often as it is to come up.
pub fn weighted(kinds: &[Kind]) -> Vec<&Kind> {
    kinds.iter().flat_map(|kind| std::iter::repeat_n(kind, kind.weight)).collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn there_are_enough_kinds_and_each_is_well_formed() {
        let kinds = Kind::all().unwrap();
        assert!(kinds.iter().filter(|kind| !kind.is_custom()).count() >= 25);
        assert!(kinds.iter().filter(|kind| kind.is_custom()).count() >= 6);
        for kind in kinds {
            let least = kind.least("c1").unwrap();
            assert!(kind.path(&least).contains("c1"), "{}", kind.collection);
        }
    }
}
