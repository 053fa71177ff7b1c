//! Subresources through which a part of an object is written and nothing else: who decides about a certificate, the containers that
//! are put into a running pod to look at it, and how much its containers may use.

use trueup_object::{Timestamp, Value};

use super::super::fields::{copy_field, each};
use super::Part;

/// Takes back what such a part may not write.
pub fn reset(part: Part, object: &mut Value, before: &Value) {
    let mut result = before.clone();
    for field in ["name", "namespace", "managedFields", "resourceVersion", "uid"] {
        copy_field(&mut result, object, &["metadata", field]);
    }
    match part {
        Part::Approval => {
            // The rest of an object's metadata is written with it.
            for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
                copy_field(&mut result, object, &["metadata", field]);
            }
            copy_field(&mut result, object, &["status", "conditions"]);
        }
        Part::EphemeralContainers => copy_field(&mut result, object, &["spec", "ephemeralContainers"]),
        Part::Resize => {
            if !resized(&mut result, object) {
                return;
            }
            copy_field(&mut result, object, &["spec", "resources"]);
        }
        Part::Main | Part::Status | Part::Finalize => return,
    }
    *object = result;
}

/// Takes over what containers may use. Nothing where they are others: that is refused as it is.
fn resized(result: &mut Value, object: &Value) -> bool {
    for list in ["containers", "initContainers"] {
        let asked = object.list_at(&["spec", list]).to_vec();
        let names = |pod: &Value| -> Vec<Option<String>> {
            let items = pod.list_at(&["spec", list]).iter();
            items.map(|container| container.str_at(&["name"]).map(str::to_owned)).collect()
        };
        if names(result).len() != asked.len() {
            return false;
        }
        // A list in another order is left as it was asked for.
        let is_other = names(result) != names(object);
        let Some(spec) = result.get_mut("spec") else { return false };
        if is_other {
            spec.set_at(&[list], Value::List(asked));
            continue;
        }
        let mut asked = asked.into_iter();
        each(spec, list, |container| {
            let Some(asked) = asked.next() else { return };
            for field in ["resources", "resizePolicy"] {
                copy_field(container, &asked, &[field]);
            }
        });
    }
    true
}

/// Of a decision about a certificate the times are filled in, and it stays who decided before.
pub fn decide(object: &mut Value, live: &Value, part: Part, now: Timestamp) {
    let before = live.list_at(&["status", "conditions"]).to_vec();
    if part == Part::Status {
        keep_decisions(object, &before);
    }
    let now = trueup_object::time::to_seconds(now);
    let Some(status) = object.get_mut("status") else { return };
    each(status, "conditions", |condition| {
        let is_unset = |condition: &Value, key: &str| condition.get(key).is_none_or(Value::is_null);
        if is_unset(condition, "lastUpdateTime") {
            condition.set_at(&["lastUpdateTime"], now.clone().into());
        }
        if is_unset(condition, "lastTransitionTime") {
            let same = |old: &&Value| {
                old.get("type") == condition.get("type")
                    && old.get("status") == condition.get("status")
                    && !is_unset(old, "lastTransitionTime")
            };
            let since = before.iter().find(same).and_then(|old| old.get("lastTransitionTime").cloned());
            condition.set_at(&["lastTransitionTime"], since.unwrap_or_else(|| now.clone().into()));
        }
    });
}

/// What was approved or denied is not written through the status, unless there would be more or fewer of it.
fn keep_decisions(object: &mut Value, before: &[Value]) {
    for decision in ["Approved", "Denied"] {
        let is_one = |condition: &Value| condition.str_at(&["type"]) == Some(decision);
        let old: Vec<&Value> = before.iter().filter(|condition| is_one(condition)).collect();
        let n_new = object.list_at(&["status", "conditions"]).iter().filter(|it| is_one(it)).count();
        if old.len() != n_new {
            continue;
        }
        let mut old = old.into_iter();
        let Some(status) = object.get_mut("status") else { return };
        each(status, "conditions", |condition| {
            if is_one(condition)
                && let Some(old) = old.next()
            {
                *condition = old.clone();
            }
        });
    }
}
