//! Defaults of bindings, webhooks and definitions of custom kinds.

use trueup_object::{Map, Value};

use super::super::fields::{below, each, fill, fill_text, is_unset, within};

const RBAC: &str = "rbac.authorization.k8s.io";

pub fn binding(object: &mut Value) {
    fill_text(below(object, "roleRef"), "apiGroup", RBAC);
    each(object, "subjects", |subject| {
        if matches!(subject.str_at(&["kind"]), Some("User" | "Group")) {
            fill_text(subject, "apiGroup", RBAC);
        }
    });
}

pub fn webhook(webhook: &mut Value) {
    fill(webhook, "failurePolicy", "Fail");
    fill(webhook, "matchPolicy", "Equivalent");
    fill(webhook, "namespaceSelector", Value::Map(Map::new()));
    fill(webhook, "objectSelector", Value::Map(Map::new()));
    fill(webhook, "timeoutSeconds", 10);
    each(webhook, "rules", |rule| fill(rule, "scope", "*"));
    within(webhook, "clientConfig", service_port);
}

fn service_port(config: &mut Value) {
    within(config, "service", |service| fill(service, "port", 443));
}

/// Names that follow from the kind, no conversion, and the storage version as the first stored one.
pub fn definition(object: &mut Value) {
    let spec = below(object, "spec");
    let names = below(spec, "names");
    let kind = names.str_at(&["kind"]).unwrap_or_default().to_owned();
    if !kind.is_empty() {
        fill_text(names, "singular", &kind.to_lowercase());
        fill_text(names, "listKind", &format!("{kind}List"));
    }
    if is_unset(spec, "conversion") {
        spec.set_at(&["conversion"], Value::Map(Map::new()));
        spec.set_at(&["conversion", "strategy"], "None".into());
    }
    within(spec, "conversion", |conversion| {
        within(conversion, "webhook", |webhook| within(webhook, "clientConfig", service_port));
    });
    let storage = spec
        .list_at(&["versions"])
        .iter()
        .find(|version| version.get("storage").and_then(Value::as_bool) == Some(true))
        .and_then(|version| version.get("name").cloned());
    let status = below(object, "status");
    if is_unset(status, "storedVersions")
        && let Some(version) = storage
    {
        status.set_at(&["storedVersions"], Value::List(vec![version]));
    }
}
