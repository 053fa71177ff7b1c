//! Kinds that are asked, not stored: access and token reviews.

use trueup_object::Value;
use trueup_object::value::{Map, Text};

use super::{Api, Target};
use crate::authorize::{self, Deed};
use crate::http::credentials::User;
use crate::status::ApiStatus;

impl Api {
    /// Answers a review; None for kinds that are stored.
    pub fn review(&self, target: Target<'_>, user: &User, body: &[u8]) -> Option<Result<Value, ApiStatus>> {
        let kind = &target.served.kind;
        let is_review = matches!(kind.gvk.group.as_str(), "authorization.k8s.io" | "authentication.k8s.io")
            && kind.gvk.kind.ends_with("Review");
        if !is_review {
            return None;
        }
        let mut review = match Value::from_json(body) {
            Ok(review) => review,
            Err(error) => return Some(Err(ApiStatus::bad_request(error.to_string()))),
        };
        let status = match kind.gvk.kind.as_str() {
            "SelfSubjectAccessReview" => self.access(user, &review),
            "SubjectAccessReview" | "LocalSubjectAccessReview" => self.access(&subject(&review), &review),
            "SelfSubjectRulesReview" => self.all_rules(user, &review),
            "SelfSubjectReview" => Map::from_iter([("userInfo", user.to_value())]),
            _ => Map::from_iter([("authenticated", Value::Bool(false))]),
        };
        review.set_at(&["apiVersion"], kind.gvk.api_version().into());
        review.set_at(&["kind"], kind.gvk.kind.clone().into());
        review.set_at(&["status"], Value::Map(status));
        Some(Ok(review))
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
