//! The wire form of `argoproj.io/v1alpha1` Application, read by hand.
//!
//! Everything that Argo CD's CRD defines and this build looks at is typed; the object itself is kept, so that fields
//! that nobody here knows are neither lost nor changed. Parsing gathers all errors.

mod operation;
mod source;
mod spec;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use trueup_object::{Text, Value};

use crate::fields::{Errors, FieldError, Fields};

pub use operation::{Operation, SyncOperation, SyncResource};
pub use source::{ApplicationSource, DirectorySource};
pub use spec::{
    ApplicationSpec, Backoff, Destination, IgnoreDifferences, InfoItem, RetryStrategy, SyncPolicy,
    SyncPolicyAutomated,
};

/// Group, version, kind and plural of the Application.
pub const GROUP: &str = "argoproj.io";
pub const VERSION: &str = "v1alpha1";
pub const KIND: &str = "Application";
pub const PLURAL: &str = "applications";

/// An Application as the cluster holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Application {
    /// The whole object, unknown fields included.
    pub object: Value,
    pub metadata: Metadata,
    pub spec: ApplicationSpec,
    /// A requested operation; cleared by whoever takes it up.
    pub operation: Option<Operation>,
}

/// What of `metadata` is looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    pub namespace: Text,
    pub name: Text,
    pub uid: Text,
    pub resource_version: Text,
    pub labels: BTreeMap<Text, Text>,
    pub annotations: BTreeMap<Text, Text>,
    pub finalizers: Vec<Text>,
    pub deleting: bool,
}

impl Application {
    /// Reads an object; on failure says everything that is wrong with it.
    pub fn parse(object: Value) -> Result<Self, Vec<FieldError>> {
        let errors = Errors::default();
        let (metadata, spec, operation) = {
            let fields = Fields::of(&object, "", &errors);
            (Metadata::read(&fields), ApplicationSpec::read(&fields), Operation::read(&fields))
        };
        let errors = errors.into_inner();
        if errors.is_empty() { Ok(Self { object, metadata, spec, operation }) } else { Err(errors) }
    }

    /// The status as it stands in the object; null where there is none.
    pub fn status(&self) -> &Value {
        self.object.get("status").unwrap_or(&Value::Null)
    }
}

impl Metadata {
    /// What can be read of an object's metadata, also where its spec is wrong.
    pub fn of(object: &Value) -> Self {
        let errors = Errors::default();
        Self::read(&Fields::of(object, "", &errors))
    }

    fn read(object: &Fields<'_>) -> Self {
        let Some(metadata) = object.within("metadata") else {
            object.refuse("metadata", "nothing", "an object with name and namespace");
            return Self::default();
        };
        Self {
            namespace: metadata.text_or_empty("namespace"),
            name: metadata.text_or_empty("name"),
            uid: metadata.text_or_empty("uid"),
            resource_version: metadata.text_or_empty("resourceVersion"),
            labels: metadata.text_map("labels"),
            annotations: metadata.text_map("annotations"),
            finalizers: metadata.texts("finalizers"),
            deleting: metadata.has("deletionTimestamp"),
        }
    }
}
