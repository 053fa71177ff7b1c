//! Storage classes: which one a claim is given that names none, and what a class says of its volumes.

use std::sync::Arc;

use trueup_object::Value;

use crate::state::ResourceId;

/// By either of these a class says that it is the default one.
const DEFAULT: [&str; 2] =
    ["storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class"];

/// By this claims and volumes named their class before there was a field for it, and may still.
const OLDER_CLASS: &str = "volume.beta.kubernetes.io/storage-class";

pub(crate) fn storage_classes() -> ResourceId {
    ResourceId::new("storage.k8s.io", "storageclasses")
}

/// The name of the class that claims get which name none: of several the newest, of those the first by name
/// (`k8s.io/kubernetes/pkg/volume/util`, `GetDefaultClass`).
pub(crate) fn default_class(classes: &[Arc<Value>]) -> Option<&str> {
    let text = |class: &'_ Arc<Value>, key: &str| class.str_at(&["metadata", key]).map(str::to_owned);
    let is_default = |class: &&Arc<Value>| {
        DEFAULT.iter().any(|key| class.str_at(&["metadata", "annotations", key]) == Some("true"))
    };
    let mut found: Vec<&Arc<Value>> = classes.iter().filter(is_default).collect();
    found.sort_by_key(|class| (std::cmp::Reverse(text(class, "creationTimestamp")), text(class, "name")));
    found.first().and_then(|class| class.str_at(&["metadata", "name"]))
}

/// The class that a claim or volume names; none where it says nothing, empty where it says that it wants none.
pub(crate) fn class_named(object: &Value) -> Option<&str> {
    let older = object.str_at(&["metadata", "annotations", OLDER_CLASS]);
    older.or_else(|| object.str_at(&["spec", "storageClassName"]))
}
