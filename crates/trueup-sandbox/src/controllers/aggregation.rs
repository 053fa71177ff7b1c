//! ClusterRoles that are made of others: the rules of all that their selectors match.

use std::sync::Arc;

use trueup_object::Value;

use super::objects::{CLUSTER_ROLES, Step, text};
use crate::write::selector_matches;

/// Writes the rules of an aggregated role, under the controller's own manager.
pub fn reconcile(role: &Value, all: &[Arc<Value>]) -> Vec<Step> {
    let selectors = role.list_at(&["aggregationRule", "clusterRoleSelectors"]);
    if selectors.is_empty() {
        return Vec::new();
    }
    let mut rules: Vec<Value> = Vec::new();
    for other in all.iter().filter(|other| text(other, "name") != text(role, "name")) {
        let labels = other.at(&["metadata", "labels"]);
        if selectors.iter().any(|selector| selector_matches(selector, labels)) {
            let new = other.list_at(&["rules"]).iter().filter(|rule| !rules.contains(rule)).cloned();
            let new: Vec<Value> = new.collect();
            rules.extend(new);
        }
    }
    if role.list_at(&["rules"]) == rules {
        return Vec::new();
    }
    let mut applied = CLUSTER_ROLES.object("");
    applied.set_at(&["metadata", "name"], text(role, "name").into());
    applied.set_at(&["rules"], Value::List(rules));
    vec![Step::Apply {
        resource: CLUSTER_ROLES,
        object: applied,
        manager: "clusterrole-aggregation-controller",
    }]
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn an_aggregated_role_has_the_rules_of_all_that_match() {
        let value = |json: &str| Arc::new(Value::from_json(json.as_bytes()).unwrap());
        let whole = value(
            r#"{"metadata":{"name":"whole"},"aggregationRule":{"clusterRoleSelectors":[{"matchLabels":{"in":"whole"}}]}}"#,
        );
        let part =
            value(r#"{"metadata":{"name":"part","labels":{"in":"whole"}},"rules":[{"verbs":["get"]}]}"#);
        let other = value(r#"{"metadata":{"name":"other"},"rules":[{"verbs":["list"]}]}"#);
        let steps = reconcile(&whole, &[whole.clone(), part.clone(), other]);
        let [Step::Apply { object, .. }] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!(object.list_at(&["rules"]), part.list_at(&["rules"]));
        let mut settled = Value::clone(&whole);
        settled.set_at(&["rules"], Value::List(part.list_at(&["rules"]).to_vec()));
        assert_eq!(reconcile(&settled, &[part]), []);
    }
}
