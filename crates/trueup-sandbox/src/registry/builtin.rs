//! The built-in kinds, from the compiled-in table of facts.

use std::sync::Arc;

use trueup_object::value::{Map, Text};
use trueup_object::{Gvk, Value};

use super::{Group, Kinds, ServedResource, ServedSubresource, scope};
use crate::http::Documents;
use crate::kind::{KindInfo, KindOrigin, ScalePaths};

/// What the table of built-in kinds says, read once.
#[derive(Debug)]
pub struct Builtin {
    kubernetes: Text,
    table: Value,
    kinds: Arc<Kinds>,
    documents: Documents,
}

impl Builtin {
    /// From the table's JSON value (its format is described beside it).
    pub fn new(table: Value) -> Self {
        let mut kinds = Kinds::default();
        for group in table.list_at(&["groups"]) {
            kinds.add_group(Group {
                name: text(group, "name"),
                preferred: text(group, "preferred"),
                versions: texts(group, "versions"),
            });
        }
        let resources = table.get("resources").and_then(Value::as_map);
        for (group_version, resources) in resources.iter().flat_map(|map| map.iter()) {
            let gv = Gvk::from_api_version(group_version, "");
            for resource in resources.as_list().unwrap_or_default() {
                kinds.add(served(&gv, resource));
            }
        }
        Self {
            kubernetes: text(&table, "kubernetes"),
            table,
            kinds: Arc::new(kinds),
            documents: Documents::default(),
        }
    }

    /// The version of Kubernetes that the table was made from, without `v`.
    pub fn kubernetes(&self) -> &str {
        &self.kubernetes
    }

    pub fn kinds(&self) -> &Arc<Kinds> {
        &self.kinds
    }

    /// What clients are told of these kinds alone.
    pub(crate) fn documents(&self) -> &Documents {
        &self.documents
    }

    /// The types by name, as the table has them.
    pub fn types(&self) -> Option<&Value> {
        self.table.get("types")
    }

    /// The kinds whose objects have a type.
    pub fn kinds_of_type<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Gvk> + 'a {
        let kinds = self.table.get("kinds").and_then(Value::as_map).into_iter().flat_map(Map::iter);
        kinds.filter(move |(_, kind)| kind.str_at(&["type"]) == Some(name)).filter_map(|(key, _)| {
            let (api_version, kind) = key.rsplit_once('/')?;
            Some(Gvk::from_api_version(api_version, kind))
        })
    }

    /// The name of the type of a kind's objects.
    pub fn type_name(&self, gvk: &Gvk) -> Option<&str> {
        self.table.str_at(&["kinds", &gvk.to_string(), "type"])
    }
}

fn served(gv: &Gvk, resource: &Value) -> ServedResource {
    let gvk = Gvk { kind: text(resource, "kind"), ..gv.clone() };
    let subresources: Vec<ServedSubresource> = resource
        .list_at(&["subresources"])
        .iter()
        .map(|subresource| ServedSubresource {
            name: text(subresource, "name"),
            kind: Gvk {
                group: subresource.str_at(&["group"]).map_or_else(|| gv.group.clone(), Text::from),
                version: subresource.str_at(&["version"]).map_or_else(|| gv.version.clone(), Text::from),
                kind: text(subresource, "kind"),
            },
            verbs: texts(subresource, "verbs"),
        })
        .collect();
    let has = |name: &str| subresources.iter().any(|subresource| subresource.name == name);
    let kind = KindInfo {
        plural: text(resource, "name"),
        singular: text(resource, "singular"),
        short_names: texts(resource, "shortNames"),
        categories: texts(resource, "categories"),
        scope: scope(resource.get("namespaced").and_then(Value::as_bool).unwrap_or_default()),
        has_status: has("status"),
        scale: has("scale").then(builtin_scale),
        origin: KindOrigin::Builtin,
        gvk,
    };
    ServedResource { kind: Arc::new(kind), verbs: texts(resource, "verbs"), subresources }
}

/// All built-in scalable kinds keep their replicas at the same place.
fn builtin_scale() -> ScalePaths {
    let path = |keys: &[&str]| keys.iter().copied().map(Text::from).collect::<Vec<_>>();
    ScalePaths {
        spec_replicas: path(&["spec", "replicas"]),
        status_replicas: path(&["status", "replicas"]),
        label_selector: Some(path(&["spec", "selector"])),
    }
}

fn text(value: &Value, key: &str) -> Text {
    Text::from(value.str_at(&[key]).unwrap_or_default())
}

fn texts(value: &Value, key: &str) -> Vec<Text> {
    value.list_at(&[key]).iter().filter_map(Value::as_str).map(Text::from).collect()
}
