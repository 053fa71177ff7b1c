//! CustomResourceDefinitions read into served kinds.

use std::sync::Arc;

use trueup_object::value::{Map, Text};
use trueup_object::{Gvk, Value};

use super::{ServedResource, ServedSubresource, scope};
use crate::kind::{CustomKind, KindInfo, KindOrigin, PrinterColumn, ScalePaths};
use crate::structural::StructuralSchema;

/// The verbs that every custom resource is served with, in discovery's order.
const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];

/// A CustomResourceDefinition as far as serving needs it.
#[derive(Debug, Clone)]
pub struct Definition {
    pub group: Text,
    /// One for each served version.
    pub resources: Vec<ServedResource>,
}

/// What keeps a definition from being served.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionProblem {
    #[error("field {0} is missing")]
    Missing(&'static str),
    #[error("no version is the storage version")]
    NoStorageVersion,
}

impl Definition {
    /// Reads a definition. One that is being deleted is served until it is gone, as by the real server.
    pub fn parse(object: &Value) -> Result<Self, DefinitionProblem> {
        let group = required(object, &["spec", "group"], "spec.group")?;
        let names = Names {
            kind: required(object, &["spec", "names", "kind"], "spec.names.kind")?,
            plural: required(object, &["spec", "names", "plural"], "spec.names.plural")?,
            singular: object.str_at(&["spec", "names", "singular"]).map(Text::from),
            short_names: texts(object.list_at(&["spec", "names", "shortNames"])),
            categories: texts(object.list_at(&["spec", "names", "categories"])),
        };
        let namespaced = required(object, &["spec", "scope"], "spec.scope")? == "Namespaced";
        let versions = object.list_at(&["spec", "versions"]);
        let is_true = |version: &Value, key: &str| version.get(key).and_then(Value::as_bool) == Some(true);
        let storage_version = versions
            .iter()
            .find(|version| is_true(version, "storage"))
            .and_then(|version| version.str_at(&["name"]))
            .ok_or(DefinitionProblem::NoStorageVersion)?;
        let preserve = object.at(&["spec", "preserveUnknownFields"]).and_then(Value::as_bool) == Some(true);
        let resources = versions
            .iter()
            .filter(|version| is_true(version, "served"))
            .filter_map(|version| {
                let gvk = Gvk::new(&group, version.str_at(&["name"])?, &names.kind);
                Some(served(gvk, &names, namespaced, &Text::from(storage_version), version, preserve))
            })
            .collect();
        Ok(Self { group, resources })
    }
}

struct Names {
    kind: Text,
    plural: Text,
    singular: Option<Text>,
    short_names: Vec<Text>,
    categories: Vec<Text>,
}

fn served(
    gvk: Gvk,
    names: &Names,
    namespaced: bool,
    storage_version: &Text,
    version: &Value,
    preserve: bool,
) -> ServedResource {
    let verbs: Vec<Text> = VERBS.iter().copied().map(Text::from).collect();
    let subresource_verbs: Vec<Text> = ["get", "patch", "update"].iter().copied().map(Text::from).collect();
    let has_status = version.at(&["subresources", "status"]).is_some();
    let scale = version.at(&["subresources", "scale"]).map(scale_paths);
    let mut subresources = Vec::new();
    if has_status {
        let name = Text::from("status");
        subresources.push(ServedSubresource { name, kind: gvk.clone(), verbs: subresource_verbs.clone() });
    }
    if scale.is_some() {
        let kind = Gvk::new("autoscaling", "v1", "Scale");
        subresources.push(ServedSubresource { name: Text::from("scale"), kind, verbs: subresource_verbs });
    }
    let no_schema = Value::Map(Map::from_iter([("x-kubernetes-preserve-unknown-fields", Value::Bool(true))]));
    let schema = version.at(&["schema", "openAPIV3Schema"]).filter(|_| !preserve).unwrap_or(&no_schema);
    let custom = CustomKind {
        schema: StructuralSchema::parse(schema),
        storage_version: storage_version.clone(),
        columns: version.list_at(&["additionalPrinterColumns"]).iter().map(column).collect(),
        selectable: version.list_at(&["selectableFields"]).iter().filter_map(selectable).collect(),
    };
    let kind = KindInfo {
        plural: names.plural.clone(),
        singular: names.singular.clone().unwrap_or_else(|| Text::from(names.kind.to_lowercase())),
        short_names: names.short_names.clone(),
        categories: names.categories.clone(),
        scope: scope(namespaced),
        has_status,
        scale,
        origin: KindOrigin::Custom(Arc::new(custom)),
        gvk,
    };
    ServedResource { kind: Arc::new(kind), verbs, subresources }
}

fn scale_paths(scale: &Value) -> ScalePaths {
    let path = |key: &str| scale.str_at(&[key]).map(dotted);
    ScalePaths {
        spec_replicas: path("specReplicasPath").unwrap_or_default(),
        status_replicas: path("statusReplicasPath").unwrap_or_default(),
        label_selector: path("labelSelectorPath"),
    }
}

/// `.spec.color` as a selector names it.
fn selectable(field: &Value) -> Option<Text> {
    field.str_at(&["jsonPath"])?.strip_prefix('.').map(Text::from)
}

/// `.spec.replicas` as a chain of keys.
fn dotted(path: &str) -> Vec<Text> {
    path.split('.').filter(|key| !key.is_empty()).map(Text::from).collect()
}

fn column(column: &Value) -> PrinterColumn {
    let text = |key: &str| Text::from(column.str_at(&[key]).unwrap_or_default());
    PrinterColumn {
        name: text("name"),
        column_type: text("type"),
        format: text("format"),
        description: text("description"),
        priority: column.int_at(&["priority"]).unwrap_or_default(),
        json_path: text("jsonPath"),
    }
}

fn required(object: &Value, keys: &[&str], path: &'static str) -> Result<Text, DefinitionProblem> {
    object
        .str_at(keys)
        .filter(|text| !text.is_empty())
        .map(Text::from)
        .ok_or(DefinitionProblem::Missing(path))
}

fn texts(items: &[Value]) -> Vec<Text> {
    items.iter().filter_map(Value::as_str).map(Text::from).collect()
}
