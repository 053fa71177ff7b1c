//! What makes an object invalid: the rules that people meet, with the causes that the API server gives.
//!
//! Not every rule of every kind is here; an object that this accepts may still be refused by a real server.

mod access;
mod addresses;
mod autoscaling;
mod batch;
mod cluster;
mod configuration;
mod container;
mod custom;
mod definition;
mod endpoints;
mod metadata;
pub(crate) mod names;
mod network;
mod partial;
mod parts;
mod placement;
mod pod;
mod policy;
mod rules;
mod selectable;
mod service;
mod storage;
mod update;
mod volume;
mod webhooks;
mod workload;

use trueup_object::{GroupKind, Quantity, Value};

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
    let is_service = kind.is_builtin() && kind.group_kind().is("", "Service");
    if is_service && part == Part::Main {
        addresses::addresses(&mut report, object, live);
        if !report.causes.is_empty() {
            return report.causes;
        }
    }
    metadata::metadata(&mut report, kind, object, live);
    if kind.is_builtin() && part == Part::Main {
        let group_kind = kind.group_kind();
        // Of services and daemon sets the server says first what may not change, of all others last.
        let changes_first = is_service || group_kind.is("apps", "DaemonSet");
        if let Some(live) = live.filter(|_| changes_first) {
            update::immutable(&mut report, kind, object, live);
        }
        by_kind(&mut report, &group_kind, object, live);
        if let Some(live) = live.filter(|_| !changes_first) {
            update::immutable(&mut report, kind, object, live);
        }
    }
    if let Some(live) = live.filter(|_| kind.is_builtin()) {
        partial::partial(&mut report, kind, part, object, live);
    }
    if let Some(custom) = kind.custom() {
        let mut wrong = custom.schema.validate(object);
        if part == Part::Status {
            // The schema of the status alone is asked, which calls itself nothing.
            wrong.retain(|cause| cause.field.starts_with("status"));
            for cause in &mut wrong {
                cause.message = cause.message.replacen(": status.", ": ", 1).replacen(
                    ": status in body",
                    ":  in body",
                    1,
                );
            }
        }
        report.causes.extend(wrong);
        report.causes.extend(custom.schema.check_rules(object, live, &report.causes));
        custom::replicas(&mut report, kind, part, object);
    }
    report.causes
}

/// The rules of one kind.
fn by_kind(report: &mut Report, kind: &GroupKind, object: &Value, live: Option<&Value>) {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", name) => core_kind(report, name, object, live),
        ("apps", "Deployment") => workload::deployment(report, object),
        ("apps", "DaemonSet") => workload::daemon_set(report, object),
        ("apps", "StatefulSet") => workload::stateful_set(report, object, live),
        ("apps", "ReplicaSet") => workload::replica_set(report, object),
        ("apps", "ControllerRevision") => workload::controller_revision(report, object, live),
        ("batch", "Job") => batch::job(report, object, live),
        ("batch", "CronJob") => batch::cron_job(report, object, live),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaling::autoscaler(report, object),
        ("networking.k8s.io", "Ingress") => network::ingress(report, object, live),
        ("networking.k8s.io", "IngressClass") => network::ingress_class(report, object, live),
        ("networking.k8s.io", "NetworkPolicy") => network::network_policy(report, object),
        ("discovery.k8s.io", "EndpointSlice") => endpoints::endpoint_slice(report, object, live),
        ("policy", "PodDisruptionBudget") => cluster::budget(report, object),
        ("events.k8s.io", "Event") => cluster::event(report, object, live, false),
        ("coordination.k8s.io", "Lease") => cluster::lease(report, object),
        ("node.k8s.io", "RuntimeClass") => cluster::runtime_class(report, object, live),
        ("scheduling.k8s.io", "PriorityClass") => cluster::priority_class(report, object, live),
        ("storage.k8s.io", "StorageClass") => storage::storage_class(report, object),
        ("storage.k8s.io", "CSIDriver") => storage::csi_driver(report, object),
        ("certificates.k8s.io", "CertificateSigningRequest") => access::signing_request(report, object),
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => access::role(report, object),
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => {
            access::binding(report, object, live);
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => {
            definition::definition(report, object, live);
            selectable::definition(report, object);
            rules::definition(report, object, live);
        }
        ("apiregistration.k8s.io", "APIService") => definition::api_service(report, object),
        ("admissionregistration.k8s.io", name) => admission_kind(report, name, object, live),
        _ => {}
    }
}

fn core_kind(report: &mut Report, kind: &str, object: &Value, live: Option<&Value>) {
    match kind {
        "Pod" => pod::pod(report, object, live),
        "PodTemplate" => {
            pod::template_spec(report, object.get("template").unwrap_or(&Value::Null), "template")
        }
        "ReplicationController" => workload::replication_controller(report, object),
        "Service" => service::service(report, object),
        "Endpoints" => endpoints::endpoints(report, object),
        "ConfigMap" => configuration::keys(report, object),
        "Secret" => configuration::secret(report, object),
        "PersistentVolumeClaim" => storage::claim(report, object),
        "PersistentVolume" => {
            // Of a changed volume the server asks twice.
            for _ in 0..1 + usize::from(live.is_some()) {
                storage::volume(report, object);
            }
        }
        "Node" => cluster::node(report, object, live),
        "Event" => cluster::event(report, object, live, true),
        "ResourceQuota" => cluster::quota(report, object, live),
        "LimitRange" => cluster::limit_range(report, object),
        "Namespace" => cluster::namespace(report, object),
        _ => {}
    }
}

fn admission_kind(report: &mut Report, kind: &str, object: &Value, live: Option<&Value>) {
    match kind {
        "ValidatingWebhookConfiguration" => webhooks::configuration(report, object, live, false),
        "MutatingWebhookConfiguration" => webhooks::configuration(report, object, live, true),
        "ValidatingAdmissionPolicy" => webhooks::policy(report, object, false),
        "MutatingAdmissionPolicy" => webhooks::policy(report, object, true),
        "ValidatingAdmissionPolicyBinding" => webhooks::policy_binding(report, object, false),
        "MutatingAdmissionPolicyBinding" => webhooks::policy_binding(report, object, true),
        _ => {}
    }
    policy::expressions(report, kind, object);
}

#[cfg(test)]
#[path = "validate/tests.rs"]
mod tests;
