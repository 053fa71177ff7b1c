//! One webhook of a configuration: what it is about.

use std::sync::Arc;

use trueup_object::{Map, Value};

use super::policy::{Write, condition_problem, matched};
use crate::api::Api;
use crate::kind::KindInfo;
use crate::state::ResourceId;
use crate::status::ApiStatus;

pub(super) struct Hook {
    webhook: Value,
    configuration: String,
    mutates: bool,
    /// What it is about, as policies say it.
    constraints: Value,
}

/// The seconds that a webhook has where its configuration does not say.
const TIMEOUT_SECONDS: i64 = 10;

/// The webhooks of all configurations of one sort, `mutating` or `validating`, in the order in which they are asked.
pub(super) fn hooks(api: &Api, sort: &str) -> Vec<Hook> {
    let plural = format!("{sort}webhookconfigurations");
    let (configurations, _) = api.store().list(&ResourceId::new(super::GROUP, &plural), "");
    let webhooks = configurations.iter().flat_map(|configuration| {
        let name = configuration.str_at(&["metadata", "name"]).unwrap_or_default();
        configuration.list_at(&["webhooks"]).iter().map(move |webhook| Hook::new(name, sort, webhook.clone()))
    });
    webhooks.collect()
}

impl Hook {
    fn new(configuration: &str, sort: &str, webhook: Value) -> Self {
        let mut constraints = Map::new();
        for key in ["matchPolicy", "namespaceSelector", "objectSelector"] {
            if let Some(value) = webhook.get(key) {
                constraints.insert(key, value.clone());
            }
        }
        constraints.insert("resourceRules", webhook.get("rules").cloned().unwrap_or_default());
        let constraints = Value::Map(constraints);
        Self { webhook, configuration: configuration.to_owned(), mutates: sort == "mutating", constraints }
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

    pub(super) fn service(&self) -> Option<&Value> {
        self.webhook.at(&["clientConfig", "service"]).filter(|service| !service.is_null())
    }

    pub(super) fn authority(&self) -> Option<&str> {
        self.webhook.str_at(&["clientConfig", "caBundle"])
    }

    pub(super) fn review_versions(&self) -> impl Iterator<Item = &str> {
        self.webhook.list_at(&["admissionReviewVersions"]).iter().filter_map(Value::as_str)
    }

    pub(super) fn timeout_seconds(&self) -> u64 {
        u64::try_from(self.webhook.int_at(&["timeoutSeconds"]).unwrap_or(TIMEOUT_SECONDS)).unwrap_or_default()
    }

    pub(super) fn ignores_failure(&self) -> bool {
        self.webhook.str_at(&["failurePolicy"]) == Some("Ignore")
    }

    pub(super) fn allows_dry_run(&self) -> bool {
        matches!(self.webhook.str_at(&["sideEffects"]), Some("None" | "NoneOnDryRun"))
    }

    /// Whether it asks to be asked again about what was changed after it.
    pub(super) fn wants_changes(&self) -> bool {
        self.webhook.str_at(&["reinvocationPolicy"]) == Some("IfNeeded")
    }

    /// The kind in which it is asked about a write: the write's own, or (`matchPolicy: Equivalent`) another version of it that
    /// its rules name. Nothing where it is not asked.
    pub(super) fn matched(&self, write: &Write<'_>) -> Result<Option<Arc<KindInfo>>, ApiStatus> {
        if self.webhook.list_at(&["rules"]).is_empty() {
            return Ok(None);
        }
        let Some(kind) = matched(write, Some(&self.constraints)) else { return Ok(None) };
        match condition_problem(*write, &kind, self.webhook.list_at(&["matchConditions"])) {
            Ok(true) => Ok(Some(kind)),
            Ok(false) => Ok(None),
            Err(_) if self.ignores_failure() => Ok(None),
            Err(words) => {
                let target = &write.change.target;
                let given = write.object.and_then(|object| object.str_at(&["metadata", "name"]));
                let name = target.name.or(given).unwrap_or_default();
                Err(ApiStatus::forbidden(&target.served.kind, name, &words))
            }
        }
    }
}
