//! Kinds with few rules each.

use trueup_object::{Map, Value};

use super::names::config_key;
use super::{Report, join};

static NOTHING: Value = Value::Null;

/// Keys of a ConfigMap or Secret.
pub fn keys(report: &mut Report, object: &Value) {
    for field in ["data", "binaryData"] {
        for key in object.get(field).and_then(Value::as_map).into_iter().flat_map(Map::keys) {
            let path = format!("{field}[{key}]");
            for message in config_key(key) {
                report.invalid(&path, key, &message);
            }
            if field == "binaryData" && object.at(&["data", key]).is_some() {
                report.invalid(&path, key, "duplicate of key present in data");
            }
        }
    }
}

/// Secrets of some types must hold certain keys.
pub fn secret(report: &mut Report, object: &Value) {
    keys(report, object);
    let required: &[&str] = match object.str_at(&["type"]) {
        Some("kubernetes.io/tls") => &["tls.crt", "tls.key"],
        Some("kubernetes.io/dockerconfigjson") => &[".dockerconfigjson"],
        Some("kubernetes.io/dockercfg") => &[".dockercfg"],
        Some("kubernetes.io/ssh-auth") => &["ssh-privatekey"],
        Some(_) | None => &[],
    };
    for key in required {
        if object.at(&["data", key]).is_none() {
            report.required(&format!("data[{key}]"), "");
        }
    }
}

pub fn claim(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if spec.list_at(&["accessModes"]).is_empty() {
        report.required("spec.accessModes", "at least 1 access mode is required");
    }
    match spec.at(&["resources", "requests", "storage"]) {
        None => report.required("spec.resources[storage]", ""),
        Some(amount) => {
            report.quantity("spec.resources[storage]", amount);
        }
    }
}

pub fn autoscaler(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let least = spec.int_at(&["minReplicas"]).unwrap_or(1);
    let most = spec.int_at(&["maxReplicas"]).unwrap_or_default();
    if least < 1 {
        report.invalid("spec.minReplicas", least, "must be greater than or equal to 1");
    }
    if most < 1 {
        report.invalid("spec.maxReplicas", most, "must be greater than 0");
    }
    if most < least {
        report.invalid("spec.maxReplicas", most, "must be greater than or equal to `minReplicas`");
    }
    let target = spec.get("scaleTargetRef").unwrap_or(&NOTHING);
    report.text(target, "spec.scaleTargetRef", "kind");
    report.text(target, "spec.scaleTargetRef", "name");
    let version = target.str_at(&["apiVersion"]).unwrap_or_default();
    if !version.contains('/') && target.str_at(&["kind"]) != Some("ReplicationController") {
        report.invalid("spec.scaleTargetRef.apiVersion", version, "apiVersion must specify API group");
    }
}

pub fn budget(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    if spec.get("minAvailable").is_some() && spec.get("maxUnavailable").is_some() {
        report.invalid("spec", spec.clone(), "minAvailable and maxUnavailable cannot be both set");
    }
}

pub fn role(report: &mut Report, object: &Value) {
    for (index, rule) in object.list_at(&["rules"]).iter().enumerate() {
        let path = format!("rules[{index}]");
        if rule.list_at(&["verbs"]).is_empty() {
            report.required(&join(&path, "verbs"), "verbs must contain at least one value");
        }
        if !rule.list_at(&["nonResourceURLs"]).is_empty() {
            continue;
        }
        if rule.list_at(&["apiGroups"]).is_empty() {
            report.required(&join(&path, "apiGroups"), "resource rules must supply at least one api group");
        }
        if rule.list_at(&["resources"]).is_empty() {
            report.required(&join(&path, "resources"), "resource rules must supply at least one resource");
        }
    }
}

pub fn binding(report: &mut Report, object: &Value) {
    let reference = object.get("roleRef").unwrap_or(&NOTHING);
    let namespaced = object.str_at(&["kind"]) == Some("RoleBinding");
    let kinds: &[&str] = if namespaced { &["ClusterRole", "Role"] } else { &["ClusterRole"] };
    if let Some(kind) = reference.str_at(&["kind"])
        && !kinds.contains(&kind)
    {
        report.one_of(reference, "roleRef", "kind", kinds);
    }
    report.text(reference, "roleRef", "name");
    for (index, subject) in object.list_at(&["subjects"]).iter().enumerate() {
        let path = format!("subjects[{index}]");
        report.text(subject, &path, "name");
        let account = subject.str_at(&["kind"]) == Some("ServiceAccount");
        if account && !namespaced && subject.str_at(&["namespace"]).is_none_or(str::is_empty) {
            report.required(&join(&path, "namespace"), "");
        }
    }
}

pub fn definition(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let group = spec.str_at(&["group"]).unwrap_or_default();
    let plural = spec.str_at(&["names", "plural"]).unwrap_or_default();
    report.text(spec, "spec", "group");
    report.one_of(spec, "spec", "scope", &["Cluster", "Namespaced"]);
    let names = spec.get("names").unwrap_or(&NOTHING);
    for key in ["plural", "singular", "kind", "listKind"] {
        report.text(names, "spec.names", key);
    }
    let name = object.str_at(&["metadata", "name"]).unwrap_or_default();
    if name != format!("{plural}.{group}") {
        let detail = "must be spec.names.plural+\".\"+spec.group";
        report.invalid("metadata.name", name, detail);
    }
    let versions = spec.list_at(&["versions"]);
    let storage = |version: &&Value| version.get("storage").and_then(Value::as_bool) == Some(true);
    if versions.iter().filter(storage).count() != 1 {
        let value = Value::List(versions.to_vec());
        report.invalid("spec.versions", value, "must have exactly one version marked as storage version");
    }
    for (index, version) in versions.iter().enumerate() {
        if version.at(&["schema", "openAPIV3Schema"]).is_none() {
            let path = format!("spec.versions[{index}].schema.openAPIV3Schema");
            report.required(&path, "schemas are required");
        }
    }
}
