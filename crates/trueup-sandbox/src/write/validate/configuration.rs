//! ConfigMaps, Secrets, and what a pod may take from them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trueup_object::{Map, Value};

use super::Report;
use super::names::config_file_key;
use crate::status::StatusCause;

/// `MaxSecretSize`, which holds for ConfigMaps too.
const DATA_BYTES_MAX: usize = 1024 * 1024;

/// Keys of a ConfigMap or Secret, and how much it may hold.
pub fn keys(report: &mut Report, object: &Value) {
    for field in ["data", "binaryData"] {
        for key in object.get(field).and_then(Value::as_map).into_iter().flat_map(Map::keys) {
            let path = format!("{field}[{key}]");
            report.wrong(&path, key, config_file_key(key));
            if field == "data" && object.at(&["binaryData", key]).is_some() {
                report.invalid(&path, key, "duplicate of key present in binaryData");
            }
        }
    }
    let is_secret = object.str_at(&["kind"]) == Some("Secret");
    let bytes: usize = ["data", "binaryData"]
        .into_iter()
        .flat_map(|field| {
            object
                .get(field)
                .and_then(Value::as_map)
                .into_iter()
                .flat_map(Map::iter)
                .map(move |it| (field, it))
        })
        .map(|(field, (_, value))| {
            let text = value.as_str().unwrap_or_default();
            let is_encoded = is_secret || field == "binaryData";
            if is_encoded { text.trim_end_matches('=').len() * 3 / 4 } else { text.len() }
        })
        .sum();
    if bytes > DATA_BYTES_MAX {
        // A ConfigMap's refusal names an empty path, which prints so.
        let field = if is_secret { "data" } else { "[]" };
        let message = format!("Too long: may not be more than {DATA_BYTES_MAX} bytes");
        report.causes.push(StatusCause::new("FieldValueTooLong", field, message));
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
        Some("kubernetes.io/basic-auth")
            if object.at(&["data", "username"]).is_none() && object.at(&["data", "password"]).is_none() =>
        {
            &["username", "password"]
        }
        Some("kubernetes.io/service-account-token") => {
            let account = object.str_at(&["metadata", "annotations", "kubernetes.io/service-account.name"]);
            if account.is_none_or(str::is_empty) {
                report.required("metadata.annotations[kubernetes.io/service-account.name]", "");
            }
            &[]
        }
        Some(_) | None => &[],
    };
    for key in required {
        let field = format!("data[{key}]");
        match object.str_at(&["data", key]) {
            None => report.required(&field, ""),
            Some(text) if key.starts_with(".docker") => credentials(report, &field, text),
            Some(_) => {}
        }
    }
}

/// Credentials of registries are JSON. The refusal shows nothing of them but where they stop being that.
fn credentials(report: &mut Report, field: &str, encoded: &str) {
    let bytes = STANDARD.decode(encoded).unwrap_or_default();
    if Value::from_json(&bytes).is_ok() {
        return;
    }
    let first = String::from_utf8_lossy(&bytes).chars().next();
    let detail = match first {
        None => "unexpected end of JSON input".to_owned(),
        Some(first) if !matches!(first, '{' | '[' | '"' | '-' | '0'..='9' | 't' | 'f' | 'n') => {
            format!("invalid character '{first}' looking for beginning of value")
        }
        Some(_) => "unexpected end of JSON input".to_owned(),
    };
    report.invalid(field, "<secret contents redacted>", &detail);
}
