//! Claims, volumes, storage classes and drivers.

use std::collections::BTreeSet;

use trueup_object::{Map, Value};

use super::names::{dns_subdomain, qualified_name};
use super::{Report, join, placement};

static NOTHING: Value = Value::Null;

const ACCESS_MODES: [&str; 4] = ["ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"];
const VOLUME_MODES: [&str; 2] = ["Block", "Filesystem"];

pub fn claim(report: &mut Report, object: &Value) {
    claim_spec(report, object.get("spec").unwrap_or(&NOTHING), "spec");
}

pub fn claim_spec(report: &mut Report, spec: &Value, path: &str) {
    let modes = spec.list_at(&["accessModes"]);
    if modes.is_empty() {
        report.required(&join(path, "accessModes"), "at least 1 access mode is required");
    }
    if let Some(selector) = spec.get("selector") {
        report.label_selector(selector, &join(path, "selector"));
    }
    access_modes(report, modes, path);
    let field = join(path, "resources[storage]");
    match spec.at(&["resources", "requests", "storage"]) {
        None => report.required(&field, ""),
        Some(amount) => report.positive(&field, amount, "must be greater than zero"),
    }
    report.named(spec, path, "storageClassName", dns_subdomain);
    report.optional(spec, path, "volumeMode", &VOLUME_MODES);
    for key in ["dataSource", "dataSourceRef"] {
        if let Some(source) = spec.get(key) {
            let path = join(path, key);
            report.text(source, &path, "name");
            report.text(source, &path, "kind");
            let group = source.str_at(&["apiGroup"]).unwrap_or_default();
            if group.is_empty() && source.str_at(&["kind"]) != Some("PersistentVolumeClaim") {
                report.invalid(
                    &path,
                    "",
                    "must be 'PersistentVolumeClaim' when referencing the default apiGroup",
                );
            }
        }
    }
    if let (Some(source), Some(reference)) = (spec.get("dataSource"), spec.get("dataSourceRef")) {
        let text = |of: &Value, key: &str| of.str_at(&[key]).unwrap_or_default().to_owned();
        if ["apiGroup", "kind", "name"].iter().any(|key| text(source, key) != text(reference, key)) {
            report.invalid(path, Value::Map(Map::new()), "must match dataSourceRef");
        }
    }
}

fn access_modes(report: &mut Report, modes: &[Value], path: &str) {
    let field = join(path, "accessModes");
    for mode in modes.iter().filter_map(Value::as_str) {
        report.supported(&field, mode, &ACCESS_MODES);
    }
    if modes.len() > 1 && modes.iter().any(|mode| mode.as_str() == Some("ReadWriteOncePod")) {
        report.forbidden(&field, "may not use ReadWriteOncePod with other access modes");
    }
}

/// The fields of a volume that are not its source.
const VOLUME_FIELDS: [&str; 9] = [
    "accessModes",
    "capacity",
    "claimRef",
    "mountOptions",
    "nodeAffinity",
    "persistentVolumeReclaimPolicy",
    "storageClassName",
    "volumeAttributesClassName",
    "volumeMode",
];

/// Where a volume's content is: the fields of its spec that name a source.
pub fn volume_sources(spec: &Value) -> Vec<&str> {
    spec.as_map().into_iter().flat_map(Map::keys).filter(|key| !VOLUME_FIELDS.contains(key)).collect()
}

/// The sources in the order in which the server looks at them.
const SOURCES: [&str; 22] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "glusterfs",
    "flocker",
    "nfs",
    "rbd",
    "quobyte",
    "cephfs",
    "iscsi",
    "cinder",
    "fc",
    "flexVolume",
    "azureFile",
    "vsphereVolume",
    "photonPersistentDisk",
    "portworxVolume",
    "azureDisk",
    "scaleIO",
    "local",
    "storageos",
    "csi",
];

pub fn volume(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let modes = spec.list_at(&["accessModes"]);
    if modes.is_empty() {
        report.required("spec.accessModes", "");
    }
    access_modes(report, modes, "spec");
    capacity(report, spec);
    report.optional(spec, "spec", "persistentVolumeReclaimPolicy", &["Delete", "Recycle", "Retain"]);
    let affinity = spec.at(&["nodeAffinity", "required"]);
    if let Some(required) = affinity {
        placement::node_selector(report, required, "spec.nodeAffinity.required");
    }
    let sources = volume_sources(spec);
    let mut ordered = sources.clone();
    ordered.sort_by_key(|source| SOURCES.iter().position(|known| known == source).unwrap_or(usize::MAX));
    // The server counts this one and never minds those before it.
    for extra in ordered.iter().skip(1).filter(|source| **source != "flexVolume") {
        report.forbidden(&join("spec", extra), "may not specify more than 1 volume type");
    }
    if let Some(first) = ordered.first() {
        source(report, spec.get(first).unwrap_or(&NOTHING), first, affinity.is_some());
    } else {
        report.required("spec", "must specify a volume type");
    }
    if spec.str_at(&["hostPath", "path"]) == Some("/")
        && spec.str_at(&["persistentVolumeReclaimPolicy"]) == Some("Recycle")
    {
        report.forbidden(
            "spec.persistentVolumeReclaimPolicy",
            "may not be 'recycle' for a hostPath mount of '/'",
        );
    }
    report.named(spec, "spec", "storageClassName", dns_subdomain);
    report.optional(spec, "spec", "volumeMode", &VOLUME_MODES);
}

fn capacity(report: &mut Report, spec: &Value) {
    let given = spec.get("capacity").and_then(Value::as_map);
    if given.is_none_or(Map::is_empty) {
        report.required("spec.capacity", "");
    }
    let only_storage = given.is_some_and(|map| map.len() == 1 && map.get("storage").is_some());
    if !only_storage {
        let value = spec.get("capacity").cloned().unwrap_or_default();
        report.causes.push(crate::status::StatusCause::not_supported("spec.capacity", &value, &["storage"]));
    }
    for (name, amount) in given.into_iter().flat_map(Map::iter) {
        report.positive(&format!("spec.capacity[{name}]"), amount, "must be greater than zero");
    }
}

fn source(report: &mut Report, source: &Value, kind: &str, has_affinity: bool) {
    let path = join("spec", kind);
    match kind {
        "hostPath" => host_path(report, source, &path),
        "nfs" => nfs(report, source, &path),
        "local" => {
            if report.text(source, &path, "path") {
                backsteps(report, source, &path, "path");
            }
            if !has_affinity {
                report.required("spec.nodeAffinity", "Local volume requires node affinity");
            }
        }
        "csi" => {
            csi_driver_name(report, source.str_at(&["driver"]).unwrap_or_default(), &join(&path, "driver"));
            report.text(source, &path, "volumeHandle");
        }
        _ => {}
    }
}

/// A path may not lead out of where it is put.
pub fn backsteps(report: &mut Report, object: &Value, path: &str, key: &str) {
    let text = object.str_at(&[key]).unwrap_or_default();
    if text.split('/').any(|part| part == "..") {
        report.invalid(&join(path, key), text, "must not contain '..'");
    }
}

const PATH_TYPES: [&str; 8] =
    ["", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"];

pub fn host_path(report: &mut Report, source: &Value, path: &str) {
    if !report.text(source, path, "path") {
        return;
    }
    backsteps(report, source, path, "path");
    report.optional(source, path, "type", &PATH_TYPES);
}

pub fn nfs(report: &mut Report, source: &Value, path: &str) {
    report.text(source, path, "server");
    if report.text(source, path, "path") {
        let text = source.str_at(&["path"]).unwrap_or_default();
        if !text.starts_with('/') {
            report.invalid(&join(path, "path"), text, "must be an absolute path");
        }
    }
}

pub fn csi_driver_name(report: &mut Report, name: &str, field: &str) {
    if name.is_empty() {
        return report.required(field, "");
    }
    report.wrong(field, name, dns_subdomain(&name.to_lowercase()));
}

pub fn storage_class(report: &mut Report, object: &Value) {
    let provisioner = object.str_at(&["provisioner"]).unwrap_or_default();
    if provisioner.is_empty() {
        report.required("provisioner", "");
    } else {
        report.wrong("provisioner", provisioner, qualified_name(&provisioner.to_lowercase()));
    }
    for key in object.get("parameters").and_then(Value::as_map).into_iter().flat_map(Map::keys) {
        if key.is_empty() {
            report.invalid("parameters", "", "field can not be empty.");
        }
    }
    // Nobody judges an empty one.
    if object.str_at(&["reclaimPolicy"]).is_some_and(|policy| !policy.is_empty()) {
        report.optional(object, "", "reclaimPolicy", &["Delete", "Retain"]);
    }
    report.optional(object, "", "volumeBindingMode", &["Immediate", "WaitForFirstConsumer"]);
    for (index, term) in object.list_at(&["allowedTopologies"]).iter().enumerate() {
        for (number, expression) in term.list_at(&["matchLabelExpressions"]).iter().enumerate() {
            let path = format!("allowedTopologies[{index}].matchLabelExpressions[{number}]");
            let values = expression.list_at(&["values"]);
            if values.is_empty() {
                report.required(&join(&path, "values"), "");
            }
            let mut seen = BTreeSet::new();
            for (place, value) in values.iter().filter_map(Value::as_str).enumerate() {
                if !seen.insert(value) {
                    report.duplicate(&format!("{path}.values[{place}]"), value);
                }
            }
            let key = expression.str_at(&["key"]).unwrap_or_default();
            report.wrong(&join(&path, "key"), key, qualified_name(key));
        }
    }
}

pub fn csi_driver(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    for mode in spec.list_at(&["volumeLifecycleModes"]).iter().filter_map(Value::as_str) {
        report.supported("spec.volumeLifecycleModes", mode, &["Persistent", "Ephemeral"]);
    }
    report.optional(spec, "spec", "fsGroupPolicy", &["File", "None", "ReadWriteOnceWithFSType"]);
    let mut audiences = BTreeSet::new();
    for (index, request) in spec.list_at(&["tokenRequests"]).iter().enumerate() {
        let path = format!("spec.tokenRequests[{index}]");
        let audience = request.str_at(&["audience"]).unwrap_or_default();
        if !audiences.insert(audience) {
            report.duplicate(&join(&path, "audience"), audience);
        }
        token_duration(report, request, &path);
    }
    if let Some(seconds) =
        spec.int_at(&["nodeAllocatableUpdatePeriodSeconds"]).filter(|seconds| *seconds < 10)
    {
        report.invalid(
            "spec.nodeAllocatableUpdatePeriodSeconds",
            seconds,
            "must be greater than or equal to 10 seconds",
        );
    }
}

/// The shortest life of a token.
const TOKEN_SECONDS_MIN: i64 = 600;

pub fn token_duration(report: &mut Report, request: &Value, path: &str) {
    if let Some(seconds) =
        request.int_at(&["expirationSeconds"]).filter(|seconds| *seconds < TOKEN_SECONDS_MIN)
    {
        report.invalid(
            &join(path, "expirationSeconds"),
            seconds,
            "may not specify a duration less than 10 minutes",
        );
    }
}
