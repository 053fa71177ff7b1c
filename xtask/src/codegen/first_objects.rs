//! The objects that every cluster has from its first moment, without what differs between two clusters: ids and times.
//!
//! One object on each line. A time that has to be there is empty.

use anyhow::{Context, Result};
use serde_json::{Value, json};
use trueup_testkit::controlplane::ControlPlane;

use super::get;

/// The kinds that a control plane makes objects of by itself, and that nothing has to run for.
const COLLECTIONS: [&str; 8] = [
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/rbac.authorization.k8s.io/v1/roles",
    "/apis/rbac.authorization.k8s.io/v1/rolebindings",
    "/apis/scheduling.k8s.io/v1/priorityclasses",
    "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
    "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
    "/apis/apiregistration.k8s.io/v1/apiservices",
];

pub fn read(plane: &ControlPlane) -> Result<String> {
    let mut text = String::new();
    for path in COLLECTIONS {
        let list = get(plane, path)?;
        let kind = list["kind"].as_str().and_then(|kind| kind.strip_suffix("List"));
        let kind = kind.with_context(|| format!("{path} is no list"))?;
        for item in list["items"].as_array().into_iter().flatten() {
            text.push_str(&serde_json::to_string(&bare(item.clone(), &list["apiVersion"], kind))?);
            text.push('\n');
        }
    }
    Ok(text)
}

fn bare(mut object: Value, api_version: &Value, kind: &str) -> Value {
    object["apiVersion"] = api_version.clone();
    object["kind"] = json!(kind);
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in ["uid", "resourceVersion", "creationTimestamp"] {
            metadata.remove(key);
        }
        for entry in metadata.get_mut("managedFields").and_then(Value::as_array_mut).into_iter().flatten() {
            entry["time"] = json!("");
        }
    }
    if let Some(conditions) = object.pointer_mut("/status/conditions").and_then(Value::as_array_mut) {
        for condition in conditions {
            condition["lastTransitionTime"] = json!("");
        }
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_one_cluster_is_left() {
        let object = json!({
            "metadata": {"name": "a", "uid": "u", "resourceVersion": "7", "creationTimestamp": "t",
                         "managedFields": [{"manager": "m", "time": "t"}]},
            "status": {"conditions": [{"type": "T", "lastTransitionTime": "t"}]},
        });
        let expected = json!({
            "apiVersion": "v1", "kind": "Thing",
            "metadata": {"name": "a", "managedFields": [{"manager": "m", "time": ""}]},
            "status": {"conditions": [{"type": "T", "lastTransitionTime": ""}]},
        });
        assert_eq!(bare(object, &json!("v1"), "Thing"), expected);
    }
}
