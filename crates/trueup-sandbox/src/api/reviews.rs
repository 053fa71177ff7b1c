//! Kinds that are asked, not stored: access and token reviews.
//!
//! Every user of a sandbox may do everything, and the reviews say so.

use trueup_object::Value;
use trueup_object::value::Map;

use super::{Api, Target};
use crate::http::credentials::User;
use crate::status::ApiStatus;

impl Api {
    /// Answers a review; None for kinds that are stored.
    pub fn review(&self, target: Target<'_>, user: &User, body: &[u8]) -> Option<Result<Value, ApiStatus>> {
        let kind = &target.served.kind;
        let status = match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
            (
                "authorization.k8s.io",
                "SubjectAccessReview" | "SelfSubjectAccessReview" | "LocalSubjectAccessReview",
            ) => Map::from_iter([("allowed", Value::Bool(true))]),
            ("authorization.k8s.io", "SelfSubjectRulesReview") => all_rules(),
            ("authentication.k8s.io", "SelfSubjectReview") => Map::from_iter([("userInfo", user_info(user))]),
            ("authentication.k8s.io", "TokenReview") => {
                Map::from_iter([("authenticated", Value::Bool(false))])
            }
            _ => return None,
        };
        Some(Value::from_json(body).map_err(|error| ApiStatus::bad_request(error.to_string())).map(
            |mut review| {
                review.set_at(&["apiVersion"], kind.gvk.api_version().into());
                review.set_at(&["kind"], kind.gvk.kind.clone().into());
                review.set_at(&["status"], Value::Map(status));
                review
            },
        ))
    }
}

fn user_info(user: &User) -> Value {
    let groups = user.groups.iter().map(|group| Value::from(group.clone())).collect();
    Value::Map(Map::from_iter([
        ("username", Value::from(user.name.clone())),
        ("uid", Value::from(user.name.clone())),
        ("groups", Value::List(groups)),
    ]))
}

fn all_rules() -> Map {
    let all = || Value::List(vec!["*".into()]);
    let resource = Map::from_iter([("verbs", all()), ("apiGroups", all()), ("resources", all())]);
    let path = Map::from_iter([("verbs", all()), ("nonResourceURLs", all())]);
    Map::from_iter([
        ("resourceRules", Value::List(vec![Value::Map(resource)])),
        ("nonResourceRules", Value::List(vec![Value::Map(path)])),
        ("incomplete", Value::Bool(false)),
    ])
}
