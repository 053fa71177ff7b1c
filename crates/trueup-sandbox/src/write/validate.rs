//! What makes an object invalid: the rules that people meet, with the causes that the API server gives.
//!
//! Not every rule of every kind is here; an object that this accepts may still be refused by a real server.

mod core;
mod custom;
mod metadata;
mod names;
mod pod;
mod service;
mod update;
mod workload;

use trueup_object::{Quantity, Value};

pub use workload::matches as selector_matches;

use super::strategy::Part;
use crate::kind::KindInfo;
use crate::status::StatusCause;

/// Collects causes under field paths.
#[derive(Debug, Default)]
pub struct Report {
    causes: Vec<StatusCause>,
}

impl Report {
    fn required(&mut self, field: &str, detail: &str) {
        self.causes.push(StatusCause::required(field, detail));
    }

    fn invalid(&mut self, field: &str, value: impl Into<Value>, detail: &str) {
        self.causes.push(StatusCause::invalid(field, &value.into(), detail));
    }

    fn forbidden(&mut self, field: &str, detail: &str) {
        self.causes.push(StatusCause::forbidden(field, detail));
    }

    fn duplicate(&mut self, field: &str, value: impl Into<Value>) {
        self.causes.push(StatusCause::duplicate(field, &value.into()));
    }

    fn not_found(&mut self, field: &str, value: &str) {
        self.causes.push(StatusCause::new("FieldValueNotFound", field, format!("Not found: {value:?}")));
    }

    /// A string field whose value must be one of these (sorted, as the server lists them).
    fn one_of(&mut self, object: &Value, path: &str, key: &str, supported: &[&str]) {
        let field = join(path, key);
        match object.get(key).and_then(Value::as_str).filter(|text| !text.is_empty()) {
            None => self.required(&field, ""),
            Some(text) if supported.contains(&text) => {}
            Some(text) => self.causes.push(StatusCause::not_supported(&field, &text.into(), supported)),
        }
    }

    /// A number that may not be below zero.
    fn not_negative(&mut self, object: &Value, path: &str, key: &str) {
        if let Some(number) = object.int_at(&[key])
            && number < 0
        {
            self.invalid(&join(path, key), number, "must be greater than or equal to 0");
        }
    }

    /// A string that must be there.
    fn text(&mut self, object: &Value, path: &str, key: &str) -> bool {
        let given = object.str_at(&[key]).is_some_and(|text| !text.is_empty());
        if !given {
            self.required(&join(path, key), "");
        }
        given
    }

    /// A quantity that may not be below zero.
    fn quantity(&mut self, field: &str, value: &Value) -> Option<Quantity> {
        match Quantity::of(value) {
            Ok(quantity) => {
                if quantity.to_string().starts_with('-') {
                    self.invalid(field, value.clone(), "must be greater than or equal to 0");
                }
                Some(quantity)
            }
            Err(_) => {
                self.invalid(
                    field,
                    value.clone(),
                    "must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
                );
                None
            }
        }
    }
}

/// `spec` and `replicas` as `spec.replicas`.
pub fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// What is wrong with an object that is about to be stored; `live` is what it replaces.
pub fn validate(kind: &KindInfo, part: Part, object: &Value, live: Option<&Value>) -> Vec<StatusCause> {
    let mut report = Report::default();
    metadata::metadata(&mut report, kind, object, live);
    if kind.is_builtin() && part == Part::Main {
        let group_kind = kind.group_kind();
        // Of services the server says first what may not change, of all others last.
        let changes_first = group_kind.is("", "Service");
        if let Some(live) = live.filter(|_| changes_first) {
            update::immutable(&mut report, kind, object, live);
        }
        match (group_kind.group.as_str(), group_kind.kind.as_str()) {
            ("apps", "Deployment") => workload::deployment(&mut report, object),
            ("apps", "DaemonSet") => workload::daemon_set(&mut report, object),
            ("apps", "StatefulSet") => workload::stateful_set(&mut report, object),
            ("apps", "ReplicaSet") => workload::replica_set(&mut report, object),
            ("batch", "Job") => workload::job(&mut report, object),
            ("batch", "CronJob") => workload::cron_job(&mut report, object),
            ("", "Pod") => pod::pod_spec(&mut report, object.get("spec").unwrap_or(&Value::Null), "spec"),
            ("", "Service") => service::service(&mut report, object),
            ("", "ConfigMap") => core::keys(&mut report, object),
            ("", "Secret") => core::secret(&mut report, object),
            ("", "PersistentVolumeClaim") => core::claim(&mut report, object),
            ("autoscaling", "HorizontalPodAutoscaler") => core::autoscaler(&mut report, object),
            ("networking.k8s.io", "Ingress") => service::ingress(&mut report, object),
            ("policy", "PodDisruptionBudget") => core::budget(&mut report, object),
            ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => core::role(&mut report, object),
            ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
                core::binding(&mut report, object);
            }
            ("apiextensions.k8s.io", "CustomResourceDefinition") => core::definition(&mut report, object),
            _ => {}
        }
        if let Some(live) = live.filter(|_| !changes_first) {
            update::immutable(&mut report, kind, object, live);
        }
    }
    if let Some(custom) = kind.custom() {
        report.causes.extend(custom.schema.validate(object));
        custom::replicas(&mut report, kind, part, object);
    }
    report.causes
}

#[cfg(test)]
#[path = "validate/tests.rs"]
mod tests;
