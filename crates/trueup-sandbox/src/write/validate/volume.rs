//! Volumes of pods.

use std::collections::BTreeSet;

use trueup_object::{Map, Quantity, Value};

use super::names::{config_key, dns_label};
use super::{Report, join, storage};

/// The kinds of volumes in the order in which the server looks for them; it complains about all but the first.
const ORDER: [&str; 12] = [
    "emptyDir",
    "hostPath",
    "gitRepo",
    "secret",
    "nfs",
    "persistentVolumeClaim",
    "downwardAPI",
    "configMap",
    "projected",
    "csi",
    "ephemeral",
    "image",
];

/// The permissions of a file, at most.
const MODE_MAX: i64 = 0o777;

/// Checks the volumes and gives their names.
pub fn volumes(report: &mut Report, spec: &Value, path: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (index, volume) in spec.list_at(&["volumes"]).iter().enumerate() {
        let path = format!("{path}.volumes[{index}]");
        let before = report.causes.len();
        sources(report, volume, &path);
        if !report.text(volume, &path, "name") {
            continue;
        }
        let name = volume.str_at(&["name"]).unwrap_or_default();
        report.wrong(&join(&path, "name"), name, dns_label(name));
        if names.contains(name) {
            report.duplicate(&join(&path, "name"), name);
        }
        // A volume with something wrong is none that could be mounted.
        if report.causes.len() == before {
            names.insert(name.to_owned());
        }
    }
    names
}

fn sources(report: &mut Report, volume: &Value, path: &str) {
    let mut sources: Vec<(&str, &Value)> =
        volume.as_map().into_iter().flat_map(Map::iter).filter(|(key, _)| *key != "name").collect();
    sources.sort_by_key(|(key, _)| ORDER.iter().position(|known| known == key).unwrap_or(ORDER.len()));
    if let Some((kind, first)) = sources.first() {
        source(report, first, kind, &join(path, kind));
    }
    for (extra, _) in sources.iter().skip(1) {
        report.forbidden(&join(path, extra), "may not specify more than 1 volume type");
    }
}

fn source(report: &mut Report, source: &Value, kind: &str, path: &str) {
    match kind {
        "emptyDir" => {
            let below_zero = source
                .get("sizeLimit")
                .and_then(|limit| Quantity::of(limit).ok())
                .is_some_and(|limit| limit.to_string().starts_with('-'));
            if below_zero {
                let detail = "SizeLimit field must be a valid resource quantity";
                report.forbidden(&join(path, "sizeLimit"), detail);
            }
        }
        "hostPath" => storage::host_path(report, source, path),
        "nfs" => storage::nfs(report, source, path),
        "persistentVolumeClaim" => {
            report.text(source, path, "claimName");
        }
        "secret" => {
            report.text(source, path, "secretName");
            files(report, source, path);
        }
        "configMap" => {
            report.text(source, path, "name");
            files(report, source, path);
        }
        "downwardAPI" => downward(report, source, path),
        "projected" => projected(report, source, path),
        "csi" => {
            let name = source.str_at(&["driver"]).unwrap_or_default();
            storage::csi_driver_name(report, name, &join(path, "driver"));
        }
        "ephemeral" => match source.at(&["volumeClaimTemplate", "spec"]) {
            None => report.required(&join(path, "volumeClaimTemplate"), ""),
            Some(spec) => storage::claim_spec(report, spec, &join(path, "volumeClaimTemplate.spec")),
        },
        _ => {}
    }
}

fn mode(report: &mut Report, object: &Value, path: &str, key: &str) {
    if let Some(mode) = object.int_at(&[key]).filter(|mode| !(0..=MODE_MAX).contains(mode)) {
        report.invalid(&join(path, key), mode, "must be a number between 0 and 0777 (octal), both inclusive");
    }
}

/// The keys that become files, and their permissions.
fn files(report: &mut Report, source: &Value, path: &str) {
    mode(report, source, path, "defaultMode");
    for (index, item) in source.list_at(&["items"]).iter().enumerate() {
        let path = format!("{path}.items[{index}]");
        let key = item.str_at(&["key"]).unwrap_or_default();
        if key.is_empty() {
            report.required(&join(&path, "key"), "");
        } else {
            report.wrong(&join(&path, "key"), key, config_key(key));
        }
        if report.text(item, &path, "path") {
            descending(report, item, &path, "path");
        }
        mode(report, item, &path, "mode");
    }
}

/// A path that stays below where it is put.
pub fn descending(report: &mut Report, object: &Value, path: &str, key: &str) {
    let text = object.str_at(&[key]).unwrap_or_default();
    if text.starts_with('/') {
        report.invalid(&join(path, key), text, "must be a relative path");
    }
    storage::backsteps(report, object, path, key);
}

/// Fields of a pod that containers can be told about, in files or in variables.
pub fn field_reference(report: &mut Report, reference: &Value, path: &str, in_files: bool) {
    if !report.text(reference, path, "fieldPath") {
        return;
    }
    let field = join(path, "fieldPath");
    let text = reference.str_at(&["fieldPath"]).unwrap_or_default();
    let with_key = text.ends_with("']")
        && (text.starts_with("metadata.labels['") || text.starts_with("metadata.annotations['"));
    let of_metadata = matches!(text, "metadata.name" | "metadata.namespace" | "metadata.uid");
    let whole_maps = matches!(text, "metadata.labels" | "metadata.annotations");
    let of_pod = matches!(
        text,
        "spec.nodeName"
            | "spec.restartPolicy"
            | "spec.serviceAccountName"
            | "spec.schedulerName"
            | "status.phase"
            | "status.hostIP"
            | "status.hostIPs"
            | "status.podIP"
            | "status.podIPs"
    );
    if !(with_key || of_metadata || whole_maps || of_pod) {
        let detail = format!("error converting fieldPath: field label not supported: {text}");
        return report.invalid(&field, text, &detail);
    }
    if in_files && of_pod {
        let known = [
            "metadata.annotations",
            "metadata.labels",
            "metadata.name",
            "metadata.namespace",
            "metadata.uid",
        ];
        report.supported(&field, text, &known);
    }
    if !in_files && (whole_maps || text == "status.phase" || text == "spec.restartPolicy") {
        let known = [
            "metadata.name",
            "metadata.namespace",
            "metadata.uid",
            "spec.nodeName",
            "spec.serviceAccountName",
            "status.hostIP",
            "status.hostIPs",
            "status.podIP",
            "status.podIPs",
        ];
        report.supported(&field, text, &known);
    }
}

fn downward(report: &mut Report, source: &Value, path: &str) {
    mode(report, source, path, "defaultMode");
    for item in source.list_at(&["items"]) {
        if report.text(item, path, "path") {
            descending(report, item, path, "path");
        }
        match (item.get("fieldRef"), item.get("resourceFieldRef")) {
            (Some(reference), other) => {
                field_reference(report, reference, &join(path, "fieldRef"), true);
                if other.is_some() {
                    report.invalid(
                        path,
                        "resource",
                        "fieldRef and resourceFieldRef can not be specified simultaneously",
                    );
                }
            }
            (None, Some(_)) => {}
            (None, None) => report.required(path, "one of fieldRef and resourceFieldRef is required"),
        }
    }
}

fn projected(report: &mut Report, source: &Value, path: &str) {
    mode(report, source, path, "defaultMode");
    let mut taken = BTreeSet::new();
    for (index, part) in source.list_at(&["sources"]).iter().enumerate() {
        let below = format!("{path}.sources[{index}]");
        for kind in ["secret", "configMap"] {
            if let Some(part) = part.get(kind) {
                let below = join(&below, kind);
                report.text(part, &below, "name");
                files(report, part, &below);
                let name = part.str_at(&["name"]).unwrap_or_default();
                for item in part.list_at(&["items"]) {
                    once(report, &mut taken, item, name, path);
                }
            }
        }
        if let Some(part) = part.get("downwardAPI") {
            downward(report, part, &join(&below, "downwardAPI"));
            for item in part.list_at(&["items"]) {
                once(report, &mut taken, item, item.str_at(&["path"]).unwrap_or_default(), path);
            }
        }
        if let Some(token) = part.get("serviceAccountToken") {
            let below = join(&below, "serviceAccountToken");
            storage::token_duration(report, token, &below);
            if report.text(token, &below, "path") {
                descending(report, token, &below, "path");
            }
            once(report, &mut taken, token, token.str_at(&["path"]).unwrap_or_default(), path);
        }
    }
}

/// No two files may be at the same path.
fn once(report: &mut Report, taken: &mut BTreeSet<String>, item: &Value, shown: &str, path: &str) {
    let place = item.str_at(&["path"]).unwrap_or_default();
    if !place.is_empty() && !taken.insert(place.to_owned()) {
        report.invalid(path, shown, "conflicting duplicate paths");
    }
}
