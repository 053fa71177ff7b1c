//! `spec.source` and the items of `spec.sources`.

use trueup_object::{Map, Text, Value};

use crate::fields::Fields;

/// One source. What this build does not render is kept as it is, so that it can be named.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ApplicationSource {
    /// Where it stands: `spec.source` or `spec.sources[1]`.
    pub place: String,
    pub repo_url: Text,
    pub path: Option<Text>,
    pub target_revision: Option<Text>,
    pub chart: Option<Text>,
    pub reference: Option<Text>,
    pub name: Option<Text>,
    pub tag_prefix: Option<Text>,
    pub directory: Option<DirectorySource>,
    pub helm: Option<Value>,
    pub kustomize: Option<Value>,
    pub plugin: Option<Value>,
    /// Fields that nobody here knows.
    pub unknown: Map,
}

/// `directory` of a source.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DirectorySource {
    pub recurse: bool,
    pub include: Option<Text>,
    pub exclude: Option<Text>,
    pub disable_extension_filter: bool,
    /// Present and not empty.
    pub jsonnet: Option<Value>,
}

const KNOWN: [&str; 11] = [
    "repoURL",
    "path",
    "targetRevision",
    "chart",
    "ref",
    "name",
    "tagPrefix",
    "directory",
    "helm",
    "kustomize",
    "plugin",
];

impl ApplicationSource {
    pub(super) fn read(fields: &Fields<'_>) -> Self {
        let filled = |name: &str| fields.text(name).filter(|text| !text.is_empty());
        Self {
            place: fields.path().to_owned(),
            repo_url: fields.text_or_empty("repoURL"),
            path: filled("path"),
            target_revision: filled("targetRevision"),
            chart: filled("chart"),
            reference: filled("ref"),
            name: filled("name"),
            tag_prefix: filled("tagPrefix"),
            directory: fields.within("directory").map(|directory| DirectorySource::read(&directory)),
            helm: fields.value("helm").cloned(),
            kustomize: fields.value("kustomize").cloned(),
            plugin: fields.value("plugin").cloned(),
            unknown: fields.others(&KNOWN),
        }
    }
}

impl DirectorySource {
    fn read(fields: &Fields<'_>) -> Self {
        let filled = |name: &str| fields.text(name).filter(|text| !text.is_empty());
        Self {
            recurse: fields.flag("recurse").unwrap_or_default(),
            include: filled("include"),
            exclude: filled("exclude"),
            disable_extension_filter: fields.flag("disableExtensionFilter").unwrap_or_default(),
            // Argo CD writes an empty block into every directory source.
            jsonnet: fields.value("jsonnet").filter(|jsonnet| !is_blank(jsonnet)).cloned(),
        }
    }
}

/// Nothing, or collections of nothing.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.iter().all(|(_, value)| is_blank(value)),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => false,
    }
}
