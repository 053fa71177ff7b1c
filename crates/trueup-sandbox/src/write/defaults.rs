//! What the API server's defaulting code writes into an object when it is decoded.
//!
//! Runs after the object took the shape of its Go type, so an absent field and a dropped zero value look alike. Kinds that
//! are not here have the unconditional defaults of the compiled-in table only.

mod autoscaling;
mod configuration;
mod pod;
mod service;
mod storage;
mod workload;

use trueup_merge::{Shape, TypeRef};
use trueup_object::{GroupKind, Value};

use super::fields::{each, fill, fill_text, is_unset, within};

/// Fills in defaults; `false` where nothing here knows the kind.
pub fn fill_defaults(kind: &GroupKind, version: &str, object: &mut Value) -> bool {
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => within(object, "spec", |spec| {
            pod::pod_spec(spec);
            pod::pod_only(spec);
        }),
        ("", "PodTemplate") => within(object, "template", pod::template),
        ("", "ReplicationController") => workload::replication_controller(object),
        ("", "Service") => service::service(object),
        ("", "Endpoints") => service::endpoints(object),
        ("", "Namespace") => namespace(object),
        ("", "Secret") => fill_text(object, "type", "Opaque"),
        ("", "ConfigMap" | "ServiceAccount" | "ResourceQuota" | "Node") => {}
        ("", "Event") => {}
        ("", "LimitRange") => storage::limit_range(object),
        ("", "PersistentVolume") => storage::volume(object),
        ("", "PersistentVolumeClaim") => storage::claim(object),
        ("apps", "Deployment") => workload::deployment(object),
        ("apps", "ReplicaSet") => workload::replica_set(object),
        ("apps", "DaemonSet") => workload::daemon_set(object),
        ("apps", "StatefulSet") => workload::stateful_set(object),
        ("apps", "ControllerRevision") => {}
        ("batch", "Job") => workload::job(object),
        ("batch", "CronJob") => workload::cron_job(object),
        ("autoscaling", "HorizontalPodAutoscaler") => autoscaling::autoscaler(version, object),
        ("networking.k8s.io", "NetworkPolicy") => service::network_policy(object),
        ("networking.k8s.io", "Ingress") => {}
        ("networking.k8s.io", "IngressClass") => {
            within(object, "spec", |spec| {
                within(spec, "parameters", |parameters| fill(parameters, "scope", "Cluster"));
            });
        }
        ("discovery.k8s.io", "EndpointSlice") => service::endpoint_slice(object),
        ("policy", "PodDisruptionBudget") | ("coordination.k8s.io", "Lease") => {}
        ("events.k8s.io", "Event") => {}
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => {}
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => configuration::binding(object),
        ("scheduling.k8s.io", "PriorityClass") => fill(object, "preemptionPolicy", "PreemptLowerPriority"),
        ("storage.k8s.io", "StorageClass") => {
            fill(object, "reclaimPolicy", "Delete");
            fill(object, "volumeBindingMode", "Immediate");
        }
        ("storage.k8s.io", "CSIDriver") => storage::csi_driver(object),
        ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration") => {
            each(object, "webhooks", configuration::webhook);
        }
        ("admissionregistration.k8s.io", "MutatingWebhookConfiguration") => {
            each(object, "webhooks", |webhook| {
                configuration::webhook(webhook);
                fill(webhook, "reinvocationPolicy", "Never");
            });
        }
        ("apiextensions.k8s.io", "CustomResourceDefinition") => configuration::definition(object),
        ("apiregistration.k8s.io", "APIService") => within(object, "spec", |spec| {
            within(spec, "service", |service| fill(service, "port", 443));
        }),
        _ => return false,
    }
    true
}

/// The label that names the namespace; a nameless one (generateName) gets it when it has its name.
pub fn namespace(object: &mut Value) {
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default().to_owned();
    if !name.is_empty() {
        object.set_at(&["metadata", "labels", "kubernetes.io/metadata.name"], name.into());
    }
    if object.get("status").is_none_or(|status| is_unset(status, "phase")) {
        object.set_at(&["status", "phase"], "Active".into());
    }
}

/// Fields that a kind shows as `null` when they are not set. Nobody owns them.
pub fn fill_nulls(kind: &GroupKind, version: &str, object: &mut Value) {
    let fields: &[&str] = match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Event") => &["firstTimestamp", "lastTimestamp", "eventTime"],
        ("events.k8s.io", "Event") => &["deprecatedFirstTimestamp", "deprecatedLastTimestamp", "eventTime"],
        ("rbac.authorization.k8s.io", "Role" | "ClusterRole") => &["rules"],
        ("discovery.k8s.io", "EndpointSlice") => &["endpoints", "ports"],
        _ => &[],
    };
    for field in fields {
        let is_nothing =
            object.get(field).is_none_or(|value| value.as_list().is_some_and(|items| items.is_empty()));
        if is_nothing {
            object.set_at(&[field], Value::Null);
        }
    }
    if kind.is("", "LimitRange") {
        within(object, "spec", |spec| {
            if spec.list_at(&["limits"]).is_empty() {
                spec.set_at(&["limits"], Value::Null);
            }
        });
    }
    if kind.is("", "PersistentVolumeClaim") {
        within(object, "spec", |spec| {
            for source in ["dataSource", "dataSourceRef"] {
                within(spec, source, |source| fill(source, "apiGroup", Value::Null));
            }
        });
    }
    if kind.is("autoscaling", "HorizontalPodAutoscaler") && version == "v2" {
        within(object, "status", |status| {
            if status.list_at(&["currentMetrics"]).is_empty() {
                status.set_at(&["currentMetrics"], Value::Null);
            }
        });
    }
    if kind.is("networking.k8s.io", "Ingress") {
        ingress_groups(object);
    }
}

/// A backend that is another object names its group, even that of none.
fn ingress_groups(ingress: &mut Value) {
    let group =
        |backend: &mut Value| within(backend, "resource", |resource| fill(resource, "apiGroup", Value::Null));
    within(ingress, "spec", |spec| {
        within(spec, "defaultBackend", group);
        each(spec, "rules", |rule| {
            within(rule, "http", |http| each(http, "paths", |path| within(path, "backend", group)));
        });
    });
}

/// The unconditional defaults of the compiled-in table, for kinds that have no code here.
pub fn fill_from_table(value: &mut Value, ty: TypeRef<'_>) {
    match (ty.shape(), &mut *value) {
        (Shape::Struct { .. }, Value::Map(_)) => {
            for (name, field) in ty.fields() {
                let default = value.as_map().and_then(|siblings| field.default_in(siblings)).cloned();
                if let Some(default) = default.filter(|_| !field.varies) {
                    fill(value, name, default);
                }
                if let Some(inner) = value.get_mut(name) {
                    fill_from_table(inner, field.ty);
                }
            }
        }
        (Shape::Map { element, .. }, Value::Map(map)) => {
            map.iter_mut().for_each(|(_, inner)| fill_from_table(inner, element));
        }
        (Shape::List { element, .. }, Value::List(items)) => {
            items.iter_mut().for_each(|inner| fill_from_table(inner, element));
        }
        _ => {}
    }
}

/// What admission gives to every new pod.
pub fn admit_pod(object: &mut Value, uid: &str) {
    within(object, "spec", |spec| pod::admit(spec, uid));
}

/// The tolerations that every pod has, also one that was changed.
pub fn tolerate(object: &mut Value) {
    within(object, "spec", pod::tolerations);
}

#[cfg(test)]
#[path = "defaults/tests.rs"]
mod tests;
