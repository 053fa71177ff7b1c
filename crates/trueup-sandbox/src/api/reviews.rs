//! Kinds that are asked, not stored: access and token reviews.

use trueup_object::Value;
use trueup_object::value::{Map, Text};

use super::Api;
use crate::authorize::{self, Deed};
use crate::clock::wire_time;
use crate::http::credentials::User;
use crate::kind::KindInfo;

impl Api {
    /// Answers a review, as the server decoded it; a token is somebody else's to review.
    pub(crate) fn review(&self, kind: &KindInfo, user: &User, mut review: Value) -> Value {
        let status = match kind.gvk.kind.as_str() {
            "SelfSubjectAccessReview" => self.access(user, &review),
            "SubjectAccessReview" | "LocalSubjectAccessReview" => self.access(&subject(&review), &review),
            "SelfSubjectRulesReview" => self.all_rules(user, &review),
            _ => Map::from_iter([("userInfo", user.to_value())]),
        };
        if kind.gvk.kind == "SelfSubjectReview" {
            let created = Map::from_iter([("creationTimestamp", wire_time(self.clock().now()).into())]);
            review.set_at(&["metadata"], Value::Map(created));
        }
        if kind.gvk.kind == "SelfSubjectRulesReview" {
            // The server answers with an object of its own making.
            review.set_at(&["metadata"], Value::Map(Map::new()));
            review.set_at(&["spec"], Value::Map(Map::new()));
        }
        review.set_at(&["status"], Value::Map(status));
        review
    }

    fn access(&self, user: &User, review: &Value) -> Map {
        let text = |keys: &[&str]| review.str_at(keys).unwrap_or_default();
        let deed = if review.at(&["spec", "nonResourceAttributes"]).is_some() {
            Deed::Path {
                verb: text(&["spec", "nonResourceAttributes", "verb"]),
                path: text(&["spec", "nonResourceAttributes", "path"]),
            }
        } else {
            let text = |key: &str| text(&["spec", "resourceAttributes", key]);
            Deed::Resource {
                verb: text("verb"),
                group: text("group"),
                resource: text("resource"),
                subresource: text("subresource"),
                namespace: text("namespace"),
                name: text("name"),
            }
        };
        let reason = authorize::reason(self, user, deed);
        let mut status = Map::from_iter([("allowed", Value::Bool(reason.is_some()))]);
        if let Some(reason) = reason.filter(|reason| !reason.is_empty()) {
            status.insert("reason", reason.into());
        }
        status
    }

    fn all_rules(&self, user: &User, review: &Value) -> Map {
        let namespace = review.str_at(&["spec", "namespace"]).unwrap_or_default();
        let (mut resources, mut paths) = (Vec::new(), Vec::new());
        for rule in authorize::rules(self, user, namespace) {
            let only = |keys: &[&'static str]| {
                let kept = keys.iter().filter_map(|key| Some((*key, rule.get(key)?.clone())));
                Value::Map(kept.collect())
            };
            if !rule.list_at(&["resources"]).is_empty() {
                resources.push(only(&["verbs", "apiGroups", "resources", "resourceNames"]));
            }
            if !rule.list_at(&["nonResourceURLs"]).is_empty() {
                paths.push(only(&["verbs", "nonResourceURLs"]));
            }
        }
        Map::from_iter([
            ("resourceRules", Value::List(resources)),
            ("nonResourceRules", Value::List(paths)),
            ("incomplete", Value::Bool(false)),
        ])
    }
}

/// The user whom a review is about.
fn subject(review: &Value) -> User {
    let groups = review.list_at(&["spec", "groups"]).iter().filter_map(Value::as_str);
    User {
        name: Text::from(review.str_at(&["spec", "user"]).unwrap_or_default()),
        uid: Text::default(),
        groups: groups.map(Text::from).collect(),
        extra: Vec::new(),
    }
}
