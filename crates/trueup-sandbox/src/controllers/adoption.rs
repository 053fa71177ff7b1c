//! Who controls what: an owner takes what its selector fits and nobody controls, and lets go of what it does not fit any more
//! (`k8s.io/kubernetes/pkg/controller`, `ControllerRefManager`).

use std::sync::Arc;

use trueup_object::{Map, Value};

use super::objects::{self, Resource, Step, is_controlled_by, is_deleting, owner_reference, text};
use super::replica_set::is_active;
use crate::write::selector_matches;

/// The steps by which an owner's children become those that its selector fits. `fits` says what else a child must be.
pub fn reconcile(
    kind: Resource,
    owner: &Value,
    resource: Resource,
    all: &[Arc<Value>],
    fits: impl Fn(&Value) -> bool,
) -> Vec<Step> {
    let chosen = owner.at(&["spec", "selector"]);
    let Some(selector) = chosen.filter(|it| it.as_map().is_some_and(|map| !map.is_empty())) else {
        return Vec::new();
    };
    let uid = text(owner, "uid");
    let counts = |object: &&Value| resource != objects::PODS || is_active(object);
    let mut steps = Vec::new();
    for object in all.iter().map(Arc::as_ref).filter(counts) {
        let matches = selector_matches(selector, object.at(&["metadata", "labels"])) && fits(object);
        if is_controlled_by(object, uid) {
            if !matches {
                steps.push(Step::update(resource, released(object, uid)));
            }
        } else if matches && !is_controlled(object) && !is_deleting(object) {
            let mut changed = object.clone();
            let mut owners = object.list_at(&["metadata", "ownerReferences"]).to_vec();
            owners.push(owner_reference(kind, owner));
            changed.set_at(&["metadata", "ownerReferences"], Value::List(owners));
            steps.push(Step::update(resource, changed));
        }
    }
    steps
}

/// Whether anything controls an object.
pub fn is_controlled(object: &Value) -> bool {
    let owners = object.list_at(&["metadata", "ownerReferences"]);
    owners.iter().any(|owner| owner.get("controller").and_then(Value::as_bool) == Some(true))
}

fn released(object: &Value, uid: &str) -> Value {
    let mut changed = object.clone();
    let owners = object.list_at(&["metadata", "ownerReferences"]).iter();
    let rest: Vec<Value> = owners.filter(|owner| owner.str_at(&["uid"]) != Some(uid)).cloned().collect();
    if rest.is_empty() {
        let metadata = changed.get_mut("metadata").and_then(Value::as_map_mut);
        metadata.map(|metadata: &mut Map| metadata.remove("ownerReferences"));
    } else {
        changed.set_at(&["metadata", "ownerReferences"], Value::List(rest));
    }
    changed
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn what_fits_is_taken_and_what_does_not_is_let_go() {
        let owner =
            value(r#"{"metadata":{"name":"o","uid":"u"},"spec":{"selector":{"matchLabels":{"app":"a"}}}}"#);
        let pod = |app: &str, owner: &str| {
            let owners = if owner.is_empty() {
                String::new()
            } else {
                format!(r#"{{"uid":"{owner}","controller":true}}"#)
            };
            let text = format!(
                r#"{{"metadata":{{"name":"p","labels":{{"app":"{app}"}},"ownerReferences":[{owners}]}}}}"#
            );
            [Arc::new(value(&text))]
        };
        let owners = |app: &str, owner_uid: &str| {
            let steps =
                reconcile(objects::REPLICA_SETS, &owner, objects::PODS, &pod(app, owner_uid), |_| true);
            let [Step::Update { object, .. }] = steps.as_slice() else {
                assert_eq!(steps, []);
                return None;
            };
            let owners = object.list_at(&["metadata", "ownerReferences"]);
            Some(owners.iter().map(|it| it.str_at(&["uid"]).unwrap().to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(owners("a", ""), Some(vec!["u".to_owned()]));
        assert_eq!(owners("b", "u"), Some(Vec::new()));
        for (app, owner) in [("a", "u"), ("a", "other"), ("b", ""), ("b", "other")] {
            assert_eq!(owners(app, owner), None, "{app} {owner}");
        }
    }
}
