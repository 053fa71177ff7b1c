//! What the server warns of and takes all the same: unwise fields, by the rules of each kind's strategy.

mod overlaps;
mod pod;

use trueup_object::{Map, Quantity, Value};

use super::strategy::{Part, is_headless, template_generation};
use super::validate::names::{dns_label, qualified_name};
use crate::kind::KindInfo;

static NOTHING: Value = Value::Null;

/// What there is to warn of a valid object; `live` is what it replaces.
pub fn warnings(kind: &KindInfo, part: Part, object: &Value, live: Option<&Value>) -> Vec<String> {
    if kind.custom().is_some() {
        return if part == Part::Main { finalizers(object, live) } else { Vec::new() };
    }
    if part != Part::Main {
        return Vec::new();
    }
    let mut told = Vec::new();
    match (kind.gvk.group.as_str(), kind.gvk.kind.as_str()) {
        // Pods are changed too often for somebody to look at them again.
        ("", "Pod") if live.is_none() => {
            host_name(&mut told, object, live, "the Pod's hostname");
            pod::whole(&mut told, object);
        }
        ("", "PodTemplate") if !is_same_generation(object, live) => {
            pod::template(&mut told, object.get("template").unwrap_or(&NOTHING), "template");
        }
        ("", "ReplicationController") => {
            host_name(&mut told, object, live, "Pod names and hostnames");
            if !is_same_generation(object, live) {
                // Of a change the server looks at the template that was there before.
                template(&mut told, live.unwrap_or(object), &["spec"]);
            }
        }
        ("apps", "Deployment" | "ReplicaSet") => {
            host_name(&mut told, object, live, "Pod names and hostnames");
            workload(&mut told, object, live, &["spec"]);
        }
        ("apps", "DaemonSet") => {
            let generation = template_generation(object);
            if live.is_none_or(|live| template_generation(live) != generation) {
                template(&mut told, object, &["spec"]);
            }
        }
        ("apps", "StatefulSet") => stateful_set(&mut told, object, live),
        ("batch", "Job") => {
            host_name(&mut told, object, live, "Pod names and hostnames");
            workload(&mut told, object, live, &["spec"]);
        }
        ("batch", "CronJob") => {
            host_name(&mut told, object, live, "Pod names and hostnames");
            workload(&mut told, object, live, &["spec", "jobTemplate", "spec"]);
            cron_job(&mut told, object);
        }
        ("", "Service") => service(&mut told, object),
        ("", "PersistentVolumeClaim") => {
            storage_class_annotation(&mut told, object);
            claim(&mut told, object.get("spec").unwrap_or(&NOTHING), "spec");
        }
        ("", "PersistentVolume") => volume(&mut told, object),
        ("apiextensions.k8s.io", "CustomResourceDefinition") => formats(&mut told, object, live),
        ("networking.k8s.io", "Ingress")
            if live.is_none() && annotated(object, "kubernetes.io/ingress.class") =>
        {
            told.push(
                "annotation \"kubernetes.io/ingress.class\" is deprecated, please use 'spec.ingressClassName' instead"
                    .to_owned(),
            );
        }
        ("storage.k8s.io", "CSIDriver") => driver(&mut told, object, live),
        _ => {}
    }
    told
}

fn annotated(object: &Value, key: &str) -> bool {
    object.at(&["metadata", "annotations", key]).is_some()
}

/// A quantity of bytes that is none, in its canonical form.
fn fraction(amount: Option<&Value>) -> Option<String> {
    let text = Quantity::of(amount?).ok()?.to_string();
    text.ends_with(['m', 'u', 'n']).then_some(text)
}

fn fractional(told: &mut Vec<String>, amounts: Option<&Value>, resource: &str, path: &str) {
    if let Some(amount) = fraction(amounts.and_then(|amounts| amounts.get(resource))) {
        told.push(format!(
            "{path}[{resource}]: fractional byte value {amount:?} is invalid, must be an integer"
        ));
    }
}

/// A new object whose name ends up in names of hosts.
fn host_name(told: &mut Vec<String>, object: &Value, live: Option<&Value>, of: &str) {
    let wrong = dns_label(object.str_at(&["metadata", "name"]).unwrap_or_default());
    if live.is_none() && !wrong.is_empty() {
        told.push(format!(
            "metadata.name: this is used in {of}, which can result in surprising behavior; a DNS label is recommended: [{}]",
            wrong.join(" ")
        ));
    }
}

/// Whether a change is none that generations count.
fn is_same_generation(object: &Value, live: Option<&Value>) -> bool {
    let generation = |object: &Value| object.int_at(&["metadata", "generation"]);
    live.is_some_and(|live| generation(live) == generation(object))
}

/// The template of a workload that is new, or of which a new generation begins.
fn workload(told: &mut Vec<String>, object: &Value, live: Option<&Value>, spec: &[&str]) {
    if is_same_generation(object, live) {
        return;
    }
    template(told, object, spec);
}

fn template(told: &mut Vec<String>, object: &Value, spec: &[&str]) {
    let template = object.at(spec).and_then(|spec| spec.get("template")).unwrap_or(&NOTHING);
    pod::template(told, template, &format!("{}.template", spec.join(".")));
}

fn stateful_set(told: &mut Vec<String>, object: &Value, live: Option<&Value>) {
    workload(told, object, live, &["spec"]);
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if !is_same_generation(object, live) {
        for (index, template) in spec.list_at(&["volumeClaimTemplates"]).iter().enumerate() {
            let path = format!("spec.volumeClaimTemplates[{index}].Spec");
            claim(told, template.get("spec").unwrap_or(&NOTHING), &path);
        }
    }
    if spec.int_at(&["revisionHistoryLimit"]).is_some_and(|limit| limit < 0) {
        told.push(
            "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended"
                .to_owned(),
        );
    }
}

fn cron_job(told: &mut Vec<String>, object: &Value) {
    if object.str_at(&["spec", "schedule"]).is_some_and(|schedule| schedule.contains("TZ")) {
        told.push(
            "CRON_TZ or TZ used in spec.schedule is not officially supported, see \
             https://kubernetes.io/docs/concepts/workloads/controllers/cron-jobs/ for more details"
                .to_owned(),
        );
    }
}

fn service(told: &mut Vec<String>, object: &Value) {
    if annotated(object, "service.kubernetes.io/topology-aware-hints") {
        told.push(
            "annotation service.kubernetes.io/topology-aware-hints is deprecated, please use \
             service.kubernetes.io/topology-mode instead"
                .to_owned(),
        );
    }
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let text = |key: &str| spec.str_at(&[key]).unwrap_or_default();
    let is_external = text("type") == "ExternalName";
    let headless = text("type") == "ClusterIP" && is_headless(object);
    let addresses = !spec.list_at(&["externalIPs"]).is_empty();
    let mut tell = |applies: bool, words: &str| {
        if applies {
            told.push(words.to_owned());
        }
    };
    tell(
        headless && !text("loadBalancerIP").is_empty(),
        "spec.loadBalancerIP is ignored for headless services",
    );
    tell(headless && addresses, "spec.externalIPs is ignored for headless services");
    tell(
        headless && text("sessionAffinity") != "None",
        "spec.SessionAffinity is ignored for headless services",
    );
    tell(
        addresses && !headless && !is_external,
        "spec.externalIPs is deprecated and may no longer be implemented in some clusters",
    );
    tell(is_external && addresses, "spec.externalIPs is ignored when spec.type is \"ExternalName\"");
    tell(
        !is_external && !text("externalName").is_empty(),
        "spec.externalName is ignored when spec.type is not \"ExternalName\"",
    );
    tell(
        text("trafficDistribution") == "PreferClose",
        "spec.trafficDistribution: \"PreferClose\" is deprecated; use \"PreferSameZone\"",
    );
}

fn storage_class_annotation(told: &mut Vec<String>, object: &Value) {
    let key = "volume.beta.kubernetes.io/storage-class";
    if annotated(object, key) {
        told.push(format!(
            "metadata.annotations[{key}]: deprecated since v1.8; use \"storageClassName\" attribute instead"
        ));
    }
}

fn claim(told: &mut Vec<String>, spec: &Value, path: &str) {
    fractional(told, spec.at(&["resources", "requests"]), "storage", &format!("{path}.resources.requests"));
}

/// Sources of volumes that nothing serves any more, with the versions in which that came to be.
const GONE_SOURCES: [(&str, &str); 6] = [
    ("photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
];

fn volume(told: &mut Vec<String>, object: &Value) {
    storage_class_annotation(told, object);
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if spec.str_at(&["persistentVolumeReclaimPolicy"]) == Some("Recycle") {
        told.push(
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated. Instead, the recommended \
             approach is to use dynamic provisioning."
                .to_owned(),
        );
    }
    fractional(told, spec.get("capacity"), "storage", "spec.capacity");
    for (source, words) in GONE_SOURCES {
        if spec.get(source).is_some() {
            let shown = if source == "storageos" { "storageOS" } else { source };
            told.push(format!("spec.{shown}: {words}"));
        }
    }
}

fn driver(told: &mut Vec<String>, object: &Value, live: Option<&Value>) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let asked = |driver: &Value| driver.list_at(&["spec", "tokenRequests"]).to_vec();
    let asks_anew = !asked(object).is_empty() && live.is_none_or(|live| asked(live) != asked(object));
    if asks_anew && spec.get("serviceAccountTokenInSecrets").is_none() {
        told.push(
            "spec.serviceAccountTokenInSecrets is unset; if supported by this CSI driver, set to true to prevent possible \
             logging of tokens in volume attributes"
                .to_owned(),
        );
    }
}

/// Formats that nobody checks, and that were not there before.
fn formats(told: &mut Vec<String>, object: &Value, live: Option<&Value>) {
    let of = |definition: &Value| -> Vec<String> {
        let schemas = definition.list_at(&["spec", "versions"]).iter();
        let schemas = schemas.filter_map(|version| version.at(&["schema", "openAPIV3Schema"]));
        schemas.flat_map(crate::structural::format::unrecognized).collect()
    };
    let before = live.map(of).unwrap_or_default();
    let new = of(object).into_iter().filter(|format| !before.contains(format));
    told.extend(new.map(|format| format!("unrecognized format {format:?}")));
}

/// Finalizers of custom objects may have any name; one without a domain may be somebody else's too.
fn finalizers(object: &Value, live: Option<&Value>) -> Vec<String> {
    let of = |object: &Value| -> Vec<String> {
        let listed = object.list_at(&["metadata", "finalizers"]);
        listed.iter().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let known = live.map(of).unwrap_or_default();
    let mut added: Vec<String> = of(object).into_iter().filter(|name| !known.contains(name)).collect();
    added.sort();
    added.dedup();
    let mut told = Vec::new();
    for name in added {
        for message in qualified_name(&name) {
            told.push(format!("metadata.finalizers: {name:?}: {message}"));
        }
        let is_standard = matches!(name.as_str(), "orphan" | "foregroundDeletion" | "kubernetes");
        if !name.contains('/') && !is_standard {
            told.push(format!(
                "metadata.finalizers: {name:?}: prefer a domain-qualified finalizer name to avoid accidental conflicts with \
                 other finalizer writers"
            ));
        }
    }
    told
}

/// The entries of a map, of which there may be none.
fn entries<'v>(value: &'v Value, key: &str) -> impl Iterator<Item = (&'v str, &'v Value)> {
    value.get(key).and_then(Value::as_map).into_iter().flat_map(Map::iter)
}
