//! Nobody gives more than he has: who writes a role must hold its rules or may `escalate`, who binds one must hold its rules or may
//! `bind` it.
//!
//! As the policy-based storage of `k8s.io/kubernetes/pkg/registry/rbac` does it, after mutating admission and before validation.

use std::collections::{BTreeMap, BTreeSet};

use trueup_object::Value;

use crate::api::{Api, Change};
use crate::authorize::{self, Deed, MASTERS};
use crate::http::credentials::User;
use crate::state::{Name, ResourceId};
use crate::status::ApiStatus;

const GROUP: &str = "rbac.authorization.k8s.io";

/// What one verb on one resource is, as far as rights to it can be told apart.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Right {
    Resource { group: String, resource: String, verb: String, name: Option<String> },
    Path { path: String, verb: String },
}

/// Who writes, where.
struct Giver<'a> {
    api: &'a Api,
    user: &'a User,
    namespace: &'a str,
}

/// Whether a write must be asked about here.
pub(super) fn concerns(change: &Change<'_>, user: &User) -> bool {
    change.target.served.kind.gvk.group == GROUP
        && change.target.subresource.is_none()
        && !user.groups.iter().any(|group| group == MASTERS)
}

/// Refuses to give what the user does not have.
pub(super) fn check(
    api: &Api,
    user: &User,
    change: &Change<'_>,
    (old, object): (Option<&Value>, &Value),
) -> Result<(), ApiStatus> {
    if !concerns(change, user) || old.is_some_and(|old| differs_for_the_collector_alone(old, object)) {
        return Ok(());
    }
    let target = &change.target;
    let giver = Giver { api, user, namespace: target.namespace };
    let plural = target.served.kind.plural.as_str();
    let name = object.str_at(&["metadata", "name"]).or(target.name).unwrap_or_default();
    let forbidden = |words: String| ApiStatus::forbidden(&target.served.kind, name, &words);
    match plural {
        "roles" | "clusterroles" => {
            if giver.may("escalate", plural, target.name.unwrap_or_default()) {
                return Ok(());
            }
            giver.confirm(object.list_at(&["rules"])).map_err(forbidden)?;
            if [old, Some(object)].into_iter().flatten().any(aggregates) && !giver.has_all() {
                return Err(forbidden(
                    "must have cluster-admin privileges to use the aggregationRule".to_owned(),
                ));
            }
            Ok(())
        }
        "rolebindings" | "clusterrolebindings" => {
            let role = object.str_at(&["roleRef", "name"]).unwrap_or_default();
            let (kind, namespace) = match object.str_at(&["roleRef", "kind"]) {
                Some("ClusterRole") => ("clusterroles", ""),
                Some("Role") => ("roles", target.namespace),
                // Validation says what is wrong with it.
                Some(_) | None => return Ok(()),
            };
            if giver.may("bind", kind, role) {
                return Ok(());
            }
            let found = api.store().get(&ResourceId::new(GROUP, kind), &Name::new(namespace, role));
            // The server names the resource that is written, with the role's name.
            let found = found.ok_or_else(|| ApiStatus::not_found(&target.served.kind, role))?;
            giver.confirm(found.list_at(&["rules"])).map_err(forbidden)
        }
        _ => Ok(()),
    }
}

impl Giver<'_> {
    fn may(&self, verb: &str, resource: &str, name: &str) -> bool {
        let Self { api, user, namespace } = *self;
        let deed = Deed::Resource { verb, group: GROUP, resource, subresource: "", namespace, name };
        authorize::reason(api, user, deed).is_some()
    }

    /// Why these rules may not be given, where they may not.
    fn confirm(&self, rules: &[Value]) -> Result<(), String> {
        let own = authorize::rules(self.api, self.user, self.namespace);
        let rights = rules.iter().flat_map(rights);
        let missing: Vec<Right> =
            rights.filter(|right| !own.iter().any(|rule| covers(rule, right))).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!(
            "user {:?} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
            self.user.name,
            quoted(self.user.groups.iter().map(|group| group.as_str())),
            told(missing)
        ))
    }

    /// Whether the user may do everything, everywhere.
    fn has_all(&self) -> bool {
        let own = authorize::rules(self.api, self.user, self.namespace);
        let every = || "*".to_owned();
        let all = [
            Right::Resource { group: every(), resource: every(), verb: every(), name: None },
            Right::Path { path: every(), verb: every() },
        ];
        all.iter().all(|right| own.iter().any(|rule| covers(rule, right)))
    }
}

fn aggregates(role: &Value) -> bool {
    !role.list_at(&["aggregationRule", "clusterRoleSelectors"]).is_empty()
}

/// What garbage collection needs may be written by whoever may write at all.
fn differs_for_the_collector_alone(old: &Value, object: &Value) -> bool {
    let without = |object: &Value| {
        let mut object = object.clone();
        for key in ["ownerReferences", "finalizers", "managedFields"] {
            object.remove_at(&["metadata", key]);
        }
        object
    };
    without(old) == without(object)
}

fn texts<'a>(rule: &'a Value, key: &str) -> impl Iterator<Item = &'a str> + Clone {
    rule.list_at(&[key]).iter().filter_map(Value::as_str)
}

/// A rule, taken apart.
fn rights(rule: &Value) -> Vec<Right> {
    let mut rights = Vec::new();
    for group in texts(rule, "apiGroups") {
        for resource in texts(rule, "resources") {
            for verb in texts(rule, "verbs") {
                let right = |name: Option<&str>| Right::Resource {
                    group: group.to_owned(),
                    resource: resource.to_owned(),
                    verb: verb.to_owned(),
                    name: name.map(str::to_owned),
                };
                let names = texts(rule, "resourceNames");
                let n_before = rights.len();
                rights.extend(names.map(|name| right(Some(name))));
                if rights.len() == n_before {
                    rights.push(right(None));
                }
            }
        }
    }
    for path in texts(rule, "nonResourceURLs") {
        let verbs = texts(rule, "verbs");
        rights.extend(verbs.map(|verb| Right::Path { path: path.to_owned(), verb: verb.to_owned() }));
    }
    rights
}

/// Whether a rule that somebody has gives a right.
fn covers(rule: &Value, right: &Right) -> bool {
    let has = |key: &str, wanted: &str| texts(rule, key).any(|it| it == "*" || it == wanted);
    match right {
        Right::Resource { group, resource, verb, name } => {
            let sub = resource.split_once('/').map(|(_, sub)| format!("*/{sub}"));
            let names = || texts(rule, "resourceNames");
            let is_named = match name {
                None => names().next().is_none(),
                Some(name) => names().next().is_none() || names().any(|it| it == name),
            };
            has("verbs", verb)
                && has("apiGroups", group)
                && (has("resources", resource)
                    || sub.is_some_and(|sub| texts(rule, "resources").any(|it| it == sub)))
                && is_named
        }
        Right::Path { path, verb } => {
            let fits = |own: &str| {
                own == path || (own.ends_with('*') && path.starts_with(own.trim_end_matches('*')))
            };
            has("verbs", verb)
                && texts(rule, "nonResourceURLs").any(fits)
                // A rule about paths names no resource: to the server that is one of names that are all covered.
                && texts(rule, "resourceNames").next().is_none()
        }
    }
}

/// What is missing: a line for each resource with its verbs, sorted.
fn told(missing: Vec<Right>) -> String {
    let mut verbs_of: BTreeMap<(String, String, Option<String>), Vec<String>> = BTreeMap::new();
    let mut lines = BTreeSet::new();
    for right in missing {
        match right {
            Right::Resource { group, resource, verb, name } => {
                verbs_of.entry((group, resource, name)).or_default().push(verb);
            }
            Right::Path { path, verb } => {
                lines.insert(format!("{{NonResourceURLs:[{path:?}], Verbs:[{verb:?}]}}"));
            }
        }
    }
    for ((group, resource, name), verbs) in verbs_of {
        let names = name.map_or_else(String::new, |name| format!(", ResourceNames:[{name:?}]"));
        let verbs = quoted(verbs.iter().map(String::as_str));
        lines.insert(format!("{{APIGroups:[{group:?}], Resources:[{resource:?}]{names}, Verbs:{verbs}}}"));
    }
    lines.into_iter().collect::<Vec<_>>().join("\n")
}

/// A list as Go prints it with `%q`.
fn quoted<'a>(items: impl Iterator<Item = &'a str>) -> String {
    format!("[{}]", items.map(|item| format!("{item:?}")).collect::<Vec<_>>().join(" "))
}
