//! Who writes fields: from a manager's name to a class, and what a class may own without being a finding.
//!
//! The table is data (attribution.md). A manager's name is chosen by its client, so a class is a hint; an unknown manager
//! is `Unattributed`, never benign, and a class excuses only the fields that it plausibly owns.

use trueup_object::{FieldPath, ManagedOperation, PathElement, ResourceKey, Value};

use crate::difference::Class;

/// How a row of the table matches a manager's name.
#[derive(Debug, Clone, Copy)]
enum Name {
    Is(&'static str),
    Starts(&'static str),
}

/// What else must hold for a row to match.
#[derive(Debug, Clone, Copy)]
enum When {
    Always,
    Subresource(&'static str),
}

use Class::{Automation, Autoscaler, Controller, Gitops, Injector, Manual, Unattributed};
use Name::{Is, Starts};
use When::{Always, Subresource};

/// First match wins. The rows and their grounds are those of attribution.md.
const TABLE: &[(Name, When, Class)] = &[
    (Is("kube-controller-manager"), Subresource("scale"), Autoscaler),
    (Is("kube-controller-manager"), Always, Controller),
    (Is("kube-apiserver"), Always, Controller),
    (Is("kube-scheduler"), Always, Controller),
    (Is("kubelet"), Always, Controller),
    (Is("cloud-controller-manager"), Always, Controller),
    (Is("clusterrole-aggregation-controller"), Always, Controller),
    (Is("openshift-controller-manager"), Always, Controller),
    (Is("cluster-version-operator"), Always, Controller),
    (Is("eks"), Always, Controller),
    (Is("eks-internal"), Always, Controller),
    (Starts("deploy@"), Always, Controller),
    (Is("rollouts-controller"), Always, Controller),
    (Is("manager"), Always, Controller),
    (Is("argocd-controller"), Always, Gitops),
    (Is("argocd-application-controller"), Always, Gitops),
    (Is("kustomize-controller"), Always, Gitops),
    (Is("helm-controller"), Always, Gitops),
    (Is("flux-client-side-apply"), Always, Gitops),
    (Is("kluctl"), Always, Gitops),
    (Is("configsync"), Always, Gitops),
    (Is("kapp"), Always, Gitops),
    (Starts("kubectl"), Always, Manual),
    (Is("k9s"), Always, Manual),
    (Is("node-fetch"), Always, Manual),
    (Is("Mozilla"), Always, Manual),
    (Is("headlamp"), Always, Manual),
    (Starts("lfk:"), Always, Manual),
    (Is("GoogleCloudConsole"), Always, Manual),
    (Is("helm"), Always, Automation),
    (Is("rancher"), Always, Automation),
    (Is("fleetagent"), Always, Automation),
    (Is("OpenAPI-Generator"), Always, Automation),
    (Is("python-requests"), Always, Automation),
    (Is("fabric8-kubernetes-client"), Always, Automation),
    (Starts("pulumi-kubernetes"), Always, Automation),
    (Is("Terraform"), Always, Automation),
    (Is("HashiCorp"), Always, Automation),
    (Starts("vpa-"), Always, Autoscaler),
    (Starts("keda"), Always, Autoscaler),
    (Is("datadog-cluster-agent"), Always, Autoscaler),
    (Is("cainjector"), Always, Injector),
    (Is("cert-manager-cainjector"), Always, Injector),
    (Is("pilot-discovery"), Always, Injector),
    (Starts("linkerd"), Always, Injector),
    (Starts("istio-"), Always, Injector),
    (Starts("vault-"), Always, Injector),
];

/// The class of a manager's name.
pub fn class_of(manager: &str, _operation: ManagedOperation, subresource: &str) -> Class {
    TABLE
        .iter()
        .find(|(name, when, _)| {
            let named = match name {
                Is(text) => manager == *text,
                Starts(text) => manager.starts_with(text),
            };
            let fits = match when {
                Always => true,
                Subresource(text) => subresource == *text,
            };
            named && fits
        })
        .map_or(Unattributed, |(_, _, class)| *class)
}

/// Names that any program may have by default: browsers and proxies, libraries, the default name of an operator's binary
/// (attribution.md). Who is behind one is a guess (detection.md 6).
const GENERIC: [&str; 6] =
    ["Mozilla", "node-fetch", "manager", "OpenAPI-Generator", "python-requests", "fabric8-kubernetes-client"];

/// Whether a manager's name says little about who wrote.
pub fn is_generic(manager: &str) -> bool {
    GENERIC.contains(&manager)
}

/// Whether a class plausibly owns a field of an object of this kind: then its writes there are no findings.
///
/// What an autoscaler owns is not decided here: only a workload that is really targeted excuses it
/// ([`crate::autoscaler`]).
pub fn owns(class: Class, key: &ResourceKey, path: &FieldPath, live: &Value) -> bool {
    match class {
        Class::Controller => controller_owns(key, path, live),
        Class::Injector => injector_owns(key, path),
        Class::Manual
        | Class::Automation
        | Class::Autoscaler
        | Class::Gitops
        | Class::PartialSync
        | Class::Git
        | Class::Noise
        | Class::Unattributed => false,
    }
}

/// Whether a field has the one writer that there is for it, whoever it is: told of objects that name no writers.
pub fn has_one_writer(key: &ResourceKey, path: &FieldPath, live: &Value) -> bool {
    let is_role = key.group == "rbac.authorization.k8s.io" && key.kind == "ClusterRole";
    let is_pod = key.group.is_empty() && key.kind == "Pod";
    (is_role && controller_owns(key, path, live)) || (!is_pod && injector_owns(key, path))
}

/// Whether what Git declares there only keeps a place: the rules of an aggregated role are put together anew whatever they
/// were, and a certificate is not one as long as it decodes to nothing (`Cg==` is a line break).
pub fn is_filled_in(target: &Value, path: &FieldPath) -> bool {
    match last_field(path) {
        Some("caBundle") => target.as_str().is_none_or(|text| matches!(text, "" | "Cg==" | "bnVsbA==")),
        Some(_) | None => path.starts_with_fields(&["rules"]),
    }
}

const CONTROLLER_ANNOTATIONS: [&str; 6] = [
    "deployment.kubernetes.io/",
    "pv.kubernetes.io/",
    "volume.kubernetes.io/",
    "endpoints.kubernetes.io/",
    "rollout.argoproj.io/",
    "argo-rollouts.argoproj.io/",
];

/// What Argo Rollouts adds to the selectors of the Services that it switches between versions.
const ROLLOUTS_HASH: &str = "rollouts-pod-template-hash";

const JOB_LABELS: [&str; 4] =
    ["controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name"];

fn controller_owns(key: &ResourceKey, path: &FieldPath, live: &Value) -> bool {
    if path.starts_with_fields(&["status"]) {
        return true;
    }
    if let Some(name) = annotation(path) {
        return CONTROLLER_ANNOTATIONS.iter().any(|prefix| name.starts_with(prefix));
    }
    let starts = |fields: &[&str]| path.starts_with_fields(fields);
    match (key.group.as_str(), key.kind.as_str()) {
        ("batch", "Job") => {
            starts(&["spec", "selector"])
                || last_field(path).is_some_and(|name| JOB_LABELS.contains(&name))
                    && (starts(&["metadata", "labels"])
                        || starts(&["spec", "template", "metadata", "labels"]))
        }
        ("", "PersistentVolumeClaim") => starts(&["spec", "volumeName"]),
        ("", "PersistentVolume") => starts(&["spec", "claimRef"]),
        ("", "Service") => {
            ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "healthCheckNodePort"]
                .iter()
                .any(|name| starts(&["spec", name]))
                || (starts(&["spec", "ports"]) && last_field(path) == Some("nodePort"))
                || (starts(&["spec", "selector"]) && last_field(path) == Some(ROLLOUTS_HASH))
        }
        ("rbac.authorization.k8s.io", "ClusterRole") => {
            starts(&["rules"]) && live.get("aggregationRule").is_some_and(|rule| !rule.is_null())
        }
        ("", "Namespace") => starts(&["spec", "finalizers"]),
        _ => false,
    }
}

/// `caBundle` of webhooks, conversions and API services; injected containers and volumes only on Pods, never on templates.
fn injector_owns(key: &ResourceKey, path: &FieldPath) -> bool {
    match (key.group.as_str(), key.kind.as_str()) {
        (
            "admissionregistration.k8s.io",
            "MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration",
        )
        | ("apiextensions.k8s.io", "CustomResourceDefinition")
        | ("apiregistration.k8s.io", "APIService") => last_field(path) == Some("caBundle"),
        ("", "Pod") => ["containers", "initContainers", "volumes"]
            .iter()
            .any(|name| path.starts_with_fields(&["spec", name])),
        _ => false,
    }
}

/// The name of the object's annotation that a path leads to.
pub fn annotation(path: &FieldPath) -> Option<&str> {
    match path.elements() {
        [PathElement::Field(metadata), PathElement::Field(annotations), PathElement::Field(name), ..]
            if metadata == "metadata" && annotations == "annotations" =>
        {
            Some(name.as_str())
        }
        _ => None,
    }
}

fn last_field(path: &FieldPath) -> Option<&str> {
    match path.elements().last() {
        Some(PathElement::Field(name)) => Some(name.as_str()),
        Some(PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_)) | None => None,
    }
}

#[cfg(test)]
mod tests;
