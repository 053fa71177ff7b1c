//! Who may do what: roles and bindings, as the API server's RBAC authorizer reads them.
//!
//! Users of the group `system:masters` may do everything without being asked; everybody else needs a rule of a role that a
//! binding gives them. Rules are read from the stored objects at each request, so that a new binding holds at once.

use trueup_object::Value;

use crate::api::Api;
use crate::http::credentials::User;
use crate::state::{Name, ResourceId};
use crate::status::{ApiStatus, StatusReason};

const GROUP: &str = "rbac.authorization.k8s.io";

/// The group that passes every authorizer.
pub const MASTERS: &str = "system:masters";

/// What somebody wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed<'a> {
    Resource {
        verb: &'a str,
        group: &'a str,
        resource: &'a str,
        /// Empty where it is about the object itself.
        subresource: &'a str,
        namespace: &'a str,
        /// Empty for collections.
        name: &'a str,
    },
    /// A path that is no resource.
    Path { verb: &'a str, path: &'a str },
}

/// Whether a user may do something, and by which rule: None where not.
pub fn reason(api: &Api, user: &User, deed: Deed<'_>) -> Option<String> {
    if user.groups.iter().any(|group| group == MASTERS) {
        return Some(String::new());
    }
    let namespace = match deed {
        Deed::Resource { namespace, .. } => namespace,
        Deed::Path { .. } => "",
    };
    let grants = grants(api, user, namespace);
    let mut fitting = grants.iter().filter(|grant| grant.rules().any(|rule| allows(rule, deed)));
    fitting.next().map(|grant| grant.reason.clone())
}

/// Refuses what a user may not do, in the server's words.
pub fn check(api: &Api, user: &User, deed: Deed<'_>) -> Result<(), ApiStatus> {
    if reason(api, user, deed).is_some() { Ok(()) } else { Err(refusal(user, deed)) }
}

/// All rules that a user has in a namespace (empty: everywhere), in the order of their bindings.
pub fn rules(api: &Api, user: &User, namespace: &str) -> Vec<Value> {
    let grants = grants(api, user, namespace);
    grants.iter().flat_map(|grant| grant.rules().cloned().collect::<Vec<_>>()).collect()
}

/// A role that a binding gives to somebody.
struct Grant {
    role: std::sync::Arc<Value>,
    reason: String,
}

impl Grant {
    fn rules(&self) -> impl Iterator<Item = &Value> {
        self.role.list_at(&["rules"]).iter()
    }
}

fn grants(api: &Api, user: &User, namespace: &str) -> Vec<Grant> {
    let mut grants = Vec::new();
    let mut scopes = vec![("clusterrolebindings", "")];
    if !namespace.is_empty() {
        scopes.push(("rolebindings", namespace));
    }
    for (plural, namespace) in scopes {
        let (bindings, _) = api.store().list(&ResourceId::new(GROUP, plural), namespace);
        for binding in &bindings {
            let subjects = binding.list_at(&["subjects"]);
            let Some(subject) = subjects.iter().find(|subject| is_meant(user, subject, namespace)) else {
                continue;
            };
            let kind = binding.str_at(&["roleRef", "kind"]).unwrap_or_default();
            let role = binding.str_at(&["roleRef", "name"]).unwrap_or_default();
            let found = match kind {
                "ClusterRole" => (ResourceId::new(GROUP, "clusterroles"), Name::new("", role)),
                _ => (ResourceId::new(GROUP, "roles"), Name::new(namespace, role)),
            };
            let Some(found) = api.store().get(&found.0, &found.1) else { continue };
            let name = binding.str_at(&["metadata", "name"]).unwrap_or_default();
            let binding = if namespace.is_empty() {
                format!("ClusterRoleBinding {name:?}")
            } else {
                format!("RoleBinding \"{name}/{namespace}\"")
            };
            let whom = subject.str_at(&["kind"]).unwrap_or_default();
            let whose = match subject.str_at(&["namespace"]) {
                Some(namespace) => {
                    format!("{}/{namespace}", subject.str_at(&["name"]).unwrap_or_default())
                }
                None => subject.str_at(&["name"]).unwrap_or_default().to_owned(),
            };
            let reason = format!("RBAC: allowed by {binding} of {kind} {role:?} to {whom} {whose:?}");
            grants.push(Grant { role: found, reason });
        }
    }
    grants
}

/// Whether a binding's subject is this user. A service account without a namespace is one of the binding's.
fn is_meant(user: &User, subject: &Value, namespace: &str) -> bool {
    let name = subject.str_at(&["name"]).unwrap_or_default();
    match subject.str_at(&["kind"]) {
        Some("User") => user.name == name,
        Some("Group") => user.groups.iter().any(|group| group == name),
        Some("ServiceAccount") => {
            let own = subject.str_at(&["namespace"]).filter(|own| !own.is_empty()).unwrap_or(namespace);
            !own.is_empty() && user.name == format!("system:serviceaccount:{own}:{name}")
        }
        Some(_) | None => false,
    }
}

fn allows(rule: &Value, deed: Deed<'_>) -> bool {
    let any = |key: &str, fits: &dyn Fn(&str) -> bool| {
        rule.list_at(&[key]).iter().filter_map(Value::as_str).any(|item| item == "*" || fits(item))
    };
    match deed {
        Deed::Resource { verb, group, resource, subresource, name, .. } => {
            let whole = if subresource.is_empty() {
                resource.to_owned()
            } else {
                format!("{resource}/{subresource}")
            };
            let fits = |item: &str| {
                item == whole || (!subresource.is_empty() && item.strip_prefix("*/") == Some(subresource))
            };
            let names = rule.list_at(&["resourceNames"]);
            any("verbs", &|item| item == verb)
                && any("apiGroups", &|item| item == group)
                && any("resources", &fits)
                && (names.is_empty() || names.iter().any(|item| item.as_str() == Some(name)))
        }
        Deed::Path { verb, path } => {
            let fits = |item: &str| {
                item == path || item.strip_suffix('*').is_some_and(|head| path.starts_with(head))
            };
            any("verbs", &|item| item == verb) && any("nonResourceURLs", &fits)
        }
    }
}

pub fn refusal(user: &User, deed: Deed<'_>) -> ApiStatus {
    let user = &user.name;
    match deed {
        Deed::Path { verb, path } => {
            let mut status = ApiStatus::new(
                403,
                StatusReason::Forbidden,
                format!("forbidden: User {user:?} cannot {verb} path {path:?}"),
            );
            status.details.generic = true;
            status
        }
        Deed::Resource { verb, group, resource, subresource, namespace, name } => {
            let whole = if subresource.is_empty() {
                resource.to_owned()
            } else {
                format!("{resource}/{subresource}")
            };
            let place = if namespace.is_empty() {
                "at the cluster scope".to_owned()
            } else {
                format!("in the namespace {namespace:?}")
            };
            let qualified =
                if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") };
            let about = if name.is_empty() { qualified } else { format!("{qualified} {name:?}") };
            let message = format!(
                "{about} is forbidden: User {user:?} cannot {verb} resource {whole:?} in API group {group:?} {place}"
            );
            let mut status = ApiStatus::new(403, StatusReason::Forbidden, message);
            status.details.name = name.into();
            status.details.group = group.into();
            status.details.kind = resource.into();
            status
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn rule(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    fn deed<'a>(verb: &'a str, resource: &'a str, subresource: &'a str, name: &'a str) -> Deed<'a> {
        Deed::Resource { verb, group: "apps", resource, subresource, namespace: "web", name }
    }

    #[test]
    fn a_rule_allows_what_it_names() {
        let named = rule(
            r#"{"verbs":["get"],"apiGroups":["apps"],"resources":["deployments"],"resourceNames":["web"]}"#,
        );
        assert!(allows(&named, deed("get", "deployments", "", "web")));
        assert!(!allows(&named, deed("get", "deployments", "", "other")));
        assert!(!allows(&named, deed("list", "deployments", "", "")));
        assert!(!allows(&named, deed("get", "deployments", "scale", "web")));
        let scales = rule(r#"{"verbs":["*"],"apiGroups":["*"],"resources":["*/scale"]}"#);
        assert!(allows(&scales, deed("patch", "deployments", "scale", "web")));
        assert!(!allows(&scales, deed("patch", "deployments", "", "web")));
        let paths = rule(r#"{"verbs":["get"],"nonResourceURLs":["/api/*"]}"#);
        assert!(allows(&paths, Deed::Path { verb: "get", path: "/api/v1" }));
        assert!(!allows(&paths, Deed::Path { verb: "get", path: "/metrics" }));
    }

    #[test]
    fn a_service_account_is_one_of_its_namespace() {
        let user = User::new("system:serviceaccount:web:robot", &["system:serviceaccounts"]);
        let subject = |json: &str| rule(json);
        assert!(is_meant(
            &user,
            &subject(r#"{"kind":"ServiceAccount","name":"robot","namespace":"web"}"#),
            ""
        ));
        assert!(is_meant(&user, &subject(r#"{"kind":"ServiceAccount","name":"robot"}"#), "web"));
        assert!(!is_meant(&user, &subject(r#"{"kind":"ServiceAccount","name":"robot"}"#), ""));
        assert!(is_meant(&user, &subject(r#"{"kind":"Group","name":"system:serviceaccounts"}"#), ""));
        assert!(!is_meant(&user, &subject(r#"{"kind":"User","name":"robot"}"#), "web"));
    }

    #[test]
    fn refusals_are_in_the_servers_words() {
        let user = User::new("jane", &[]);
        assert_eq!(
            refusal(&user, deed("patch", "deployments", "scale", "web")).message,
            "deployments.apps \"web\" is forbidden: User \"jane\" cannot patch resource \"deployments/scale\" in API \
             group \"apps\" in the namespace \"web\""
        );
        assert_eq!(
            refusal(&user, Deed::Path { verb: "get", path: "/metrics" }).message,
            "forbidden: User \"jane\" cannot get path \"/metrics\""
        );
    }
}
