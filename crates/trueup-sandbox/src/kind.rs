//! What the API server knows about a kind that it serves: names, scope, subresources, and where its schema comes from.

mod complete;

use std::sync::Arc;

use trueup_object::value::Text;
use trueup_object::{GroupKind, Gvk};

use crate::structural::StructuralSchema;

/// Whether objects of a kind live in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Namespaced,
    Cluster,
}

/// One kind in one version, as served.
#[derive(Debug, Clone)]
pub struct KindInfo {
    pub gvk: Gvk,
    pub plural: Text,
    pub singular: Text,
    pub short_names: Vec<Text>,
    pub categories: Vec<Text>,
    pub scope: Scope,
    /// There is a `/status` subresource: writes to the object leave status alone, and the other way round.
    pub has_status: bool,
    /// There is a `/scale` subresource.
    pub scale: Option<ScalePaths>,
    pub origin: KindOrigin,
}

/// Where the fields that `/scale` shows are in the object, as chains of keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScalePaths {
    pub spec_replicas: Vec<Text>,
    pub status_replicas: Vec<Text>,
    /// In the object: a label selector (built-in kinds) or its text form (custom kinds).
    pub label_selector: Option<Vec<Text>>,
}

/// Where the rules for a kind come from.
#[derive(Debug, Clone)]
pub enum KindOrigin {
    /// The compiled-in table of facts.
    Builtin,
    /// A CustomResourceDefinition of this cluster.
    Custom(Arc<CustomKind>),
}

/// One version of a CustomResourceDefinition, ready for use.
#[derive(Debug)]
pub struct CustomKind {
    /// Prunes, defaults and validates objects of this kind.
    pub schema: StructuralSchema,
    /// The version in which objects are stored; `managedFields` entries name the version of the request.
    pub storage_version: Text,
    pub columns: Vec<PrinterColumn>,
    /// Fields besides name and namespace that objects can be selected by, such as `spec.color`.
    pub selectable: Vec<Text>,
}

/// An entry of `additionalPrinterColumns`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrinterColumn {
    pub name: Text,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub column_type: Text,
    pub format: Text,
    pub description: Text,
    pub priority: i64,
    pub json_path: Text,
}

impl KindInfo {
    pub fn is_namespaced(&self) -> bool {
        self.scope == Scope::Namespaced
    }

    pub fn is_builtin(&self) -> bool {
        matches!(self.origin, KindOrigin::Builtin)
    }

    pub fn custom(&self) -> Option<&CustomKind> {
        match &self.origin {
            KindOrigin::Builtin => None,
            KindOrigin::Custom(custom) => Some(custom),
        }
    }

    /// What the server warns everybody of who uses a kind that has had its day.
    pub fn deprecation(&self) -> Option<&'static str> {
        if !self.is_builtin() || !self.gvk.group.is_empty() {
            return None;
        }
        match self.gvk.kind.as_str() {
            "Endpoints" => {
                Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice")
            }
            "ComponentStatus" => Some("v1 ComponentStatus is deprecated in v1.19+"),
            _ => None,
        }
    }

    /// What whoever writes an object is warned of, where the sandbox does not know a built-in kind whole.
    pub fn incomplete(&self) -> Option<String> {
        if self.is_builtin() { complete::incomplete_warning(&self.group_kind()) } else { None }
    }

    pub fn group_kind(&self) -> GroupKind {
        self.gvk.group_kind()
    }

    /// `deployments.apps`, or `configmaps` for the core group: how messages name the resource.
    pub fn qualified_resource(&self) -> String {
        qualified(&self.plural, &self.gvk.group)
    }

    /// `Deployment.apps`, or `ConfigMap` for the core group: how messages about invalid objects name the kind.
    pub fn qualified_kind(&self) -> String {
        qualified(&self.gvk.kind, &self.gvk.group)
    }
}

fn qualified(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}
