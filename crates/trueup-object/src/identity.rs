//! Which object: group, version, kind, namespace, name; and who writes fields.

use std::fmt;

use crate::value::{Text, Value};

/// An API group and a kind, without a version.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKind {
    /// Empty for the core group.
    pub group: Text,
    pub kind: Text,
}

/// An API group, version and kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Gvk {
    /// Empty for the core group.
    pub group: Text,
    pub version: Text,
    pub kind: Text,
}

/// What identifies an object within a cluster: no version, since every version shows the same object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceKey {
    /// Empty for the core group.
    pub group: Text,
    pub kind: Text,
    /// Empty for cluster-scoped objects.
    pub namespace: Text,
    pub name: Text,
}

/// The name under which a client writes fields (`metadata.managedFields[].manager`). Chosen by the client, so a hint.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FieldManager(Text);

impl FieldManager {
    /// The one manager under which trueup applies.
    pub const TRUEUP: &'static str = "trueup";

    pub fn new(name: impl Into<Text>) -> Self {
        Self(name.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FieldManager {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl GroupKind {
    pub fn new(group: &str, kind: &str) -> Self {
        Self { group: Text::from(group), kind: Text::from(kind) }
    }

    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }
}

/// `apps/Deployment`, or `ConfigMap` for the core group.
impl fmt::Display for GroupKind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            write!(out, "{}", self.kind)
        } else {
            write!(out, "{}/{}", self.group, self.kind)
        }
    }
}

impl Gvk {
    pub fn new(group: &str, version: &str, kind: &str) -> Self {
        Self { group: Text::from(group), version: Text::from(version), kind: Text::from(kind) }
    }

    /// From `apiVersion` and `kind` as objects carry them.
    pub fn from_api_version(api_version: &str, kind: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self::new(group, version, kind)
    }

    /// From an object's own `apiVersion` and `kind`.
    pub fn of(object: &Value) -> Option<Self> {
        let api_version = object.str_at(&["apiVersion"]).filter(|text| !text.is_empty())?;
        let kind = object.str_at(&["kind"]).filter(|text| !text.is_empty())?;
        Some(Self::from_api_version(api_version, kind))
    }

    /// `apps/v1`, or `v1` for the core group.
    pub fn api_version(&self) -> Text {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            Text::from(format!("{}/{}", self.group, self.version))
        }
    }

    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }
}

/// `apps/v1/Deployment`, or `v1/ConfigMap` for the core group.
impl fmt::Display for Gvk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.api_version(), self.kind)
    }
}

impl ResourceKey {
    pub fn new(group: &str, kind: &str, namespace: &str, name: &str) -> Self {
        Self {
            group: Text::from(group),
            kind: Text::from(kind),
            namespace: Text::from(namespace),
            name: Text::from(name),
        }
    }

    /// From an object's own `apiVersion`, `kind` and `metadata`.
    pub fn of(object: &Value) -> Option<Self> {
        let gvk = Gvk::of(object)?;
        let name = object.str_at(&["metadata", "name"])?;
        let namespace = object.str_at(&["metadata", "namespace"]).unwrap_or_default();
        Some(Self {
            group: gvk.group,
            kind: gvk.kind,
            namespace: Text::from(namespace),
            name: Text::from(name),
        })
    }

    pub fn group_kind(&self) -> GroupKind {
        GroupKind { group: self.group.clone(), kind: self.kind.clone() }
    }
}

/// Argo CD's form: `group/kind/namespace/name`.
impl fmt::Display for ResourceKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}/{}/{}", self.group, self.kind, self.namespace, self.name)
    }
}
