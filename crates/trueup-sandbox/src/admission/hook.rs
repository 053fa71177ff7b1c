//! One webhook of a configuration: what it is about.

use trueup_object::Value;

use super::Asked;
use crate::state::{Name, ResourceId};
use crate::write::selector_matches;

pub(super) struct Hook {
    webhook: Value,
    configuration: String,
    mutates: bool,
}

/// The seconds that a webhook has where its configuration does not say.
const TIMEOUT_SECONDS: i64 = 10;

impl Hook {
    /// A webhook of a configuration of one sort, `mutating` or `validating`.
    pub(super) fn new(configuration: &str, sort: &str, webhook: Value) -> Self {
        Self { webhook, configuration: configuration.to_owned(), mutates: sort == "mutating" }
    }

    pub(super) fn configuration(&self) -> &str {
        &self.configuration
    }

    pub(super) fn is_mutating(&self) -> bool {
        self.mutates
    }

    pub(super) fn name(&self) -> &str {
        self.webhook.str_at(&["name"]).unwrap_or_default()
    }

    pub(super) fn url(&self) -> Option<&str> {
        self.webhook.str_at(&["clientConfig", "url"])
    }

    pub(super) fn authority(&self) -> Option<&str> {
        self.webhook.str_at(&["clientConfig", "caBundle"])
    }

    pub(super) fn timeout_seconds(&self) -> u64 {
        u64::try_from(self.webhook.int_at(&["timeoutSeconds"]).unwrap_or(TIMEOUT_SECONDS)).unwrap_or_default()
    }

    /// Under which it is asked at all.
    pub(super) fn conditions(&self) -> &[Value] {
        self.webhook.list_at(&["matchConditions"])
    }

    pub(super) fn ignores_failure(&self) -> bool {
        self.webhook.str_at(&["failurePolicy"]) == Some("Ignore")
    }

    pub(super) fn allows_dry_run(&self) -> bool {
        matches!(self.webhook.str_at(&["sideEffects"]), Some("None" | "NoneOnDryRun"))
    }

    /// Whether it is asked about a write of an object.
    pub(super) fn is_about(&self, asked: &Asked<'_>, object: &Value) -> bool {
        self.webhook.list_at(&["rules"]).iter().any(|rule| covers(rule, asked))
            && self.selects_object(object, asked)
            && self.selects_namespace(asked)
    }

    /// An object is selected by its labels before or after the write.
    fn selects_object(&self, object: &Value, asked: &Asked<'_>) -> bool {
        let Some(selector) = self.webhook.get("objectSelector") else { return true };
        let selected = |object: &Value| selector_matches(selector, object.at(&["metadata", "labels"]));
        selected(object) || asked.live.as_deref().is_some_and(selected)
    }

    fn selects_namespace(&self, asked: &Asked<'_>) -> bool {
        let (Some(selector), false) =
            (self.webhook.get("namespaceSelector"), asked.change.target.namespace.is_empty())
        else {
            return true;
        };
        let name = Name::new("", asked.change.target.namespace);
        let namespace = asked.api.store().get(&ResourceId::new("", "namespaces"), &name);
        selector_matches(selector, namespace.as_deref().and_then(|it| it.at(&["metadata", "labels"])))
    }
}

fn covers(rule: &Value, asked: &Asked<'_>) -> bool {
    let target = &asked.change.target;
    let kind = &target.served.kind;
    let names = |field: &str, wanted: &str| {
        rule.list_at(&[field]).iter().filter_map(Value::as_str).any(|it| it == "*" || it == wanted)
    };
    let scope = match rule.str_at(&["scope"]) {
        Some("Cluster") => target.namespace.is_empty(),
        Some("Namespaced") => !target.namespace.is_empty(),
        Some(_) | None => true,
    };
    let resource = |pattern: &str| match (pattern.split_once('/'), target.subresource) {
        (None, None) => pattern == "*" || pattern == kind.plural,
        (None, Some(_)) => false,
        (Some((resource, sub)), found) => {
            let is_sub = match found {
                Some(found) => sub == "*" || sub == found,
                None => sub == "*",
            };
            is_sub && (resource == "*" || resource == kind.plural)
        }
    };
    scope
        && names("operations", asked.operation())
        && names("apiGroups", &kind.gvk.group)
        && names("apiVersions", &kind.gvk.version)
        && rule.list_at(&["resources"]).iter().filter_map(Value::as_str).any(resource)
}
