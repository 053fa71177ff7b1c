//! Roles, bindings and requests for certificates.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trueup_object::{Map, Value};

use super::names::{dns_label, dns_subdomain, path_segment};
use super::{Report, join};

static NOTHING: Value = Value::Null;
const GROUP: &str = "rbac.authorization.k8s.io";

pub fn role(report: &mut Report, object: &Value) {
    let namespaced = object.str_at(&["kind"]) == Some("Role");
    for (index, rule) in object.list_at(&["rules"]).iter().enumerate() {
        let path = format!("rules[{index}]");
        if rule.list_at(&["verbs"]).is_empty() {
            report.required(&join(&path, "verbs"), "verbs must contain at least one value");
        }
        let urls = rule.list_at(&["nonResourceURLs"]);
        if !urls.is_empty() {
            let mut wrong = |detail: &str| {
                report.invalid(&join(&path, "nonResourceURLs"), Value::List(urls.to_vec()), detail);
            };
            if namespaced {
                wrong("namespaced rules cannot apply to non-resource URLs");
            }
            let has = |list: &str| !rule.list_at(&[list]).is_empty();
            if has("apiGroups") || has("resources") || has("resourceNames") {
                wrong("rules cannot apply to both regular resources and non-resource URLs");
            }
            continue;
        }
        if rule.list_at(&["apiGroups"]).is_empty() {
            report.required(&join(&path, "apiGroups"), "resource rules must supply at least one api group");
        }
        if rule.list_at(&["resources"]).is_empty() {
            report.required(&join(&path, "resources"), "resource rules must supply at least one resource");
        }
    }
    let Some(aggregation) = object.get("aggregationRule") else { return };
    let path = "aggregationRule.clusterRoleSelectors";
    let selectors = aggregation.list_at(&["clusterRoleSelectors"]);
    if selectors.is_empty() {
        report.required(path, "at least one clusterRoleSelector required if aggregationRule is non-nil");
    }
    for (index, selector) in selectors.iter().enumerate() {
        let path = format!("{path}[{index}]");
        if !report.label_selector(selector, &path) {
            report.invalid(&path, Value::Null, "invalid label selector.");
        }
    }
}

pub fn binding(report: &mut Report, object: &Value, live: Option<&Value>) {
    let reference = object.get("roleRef").unwrap_or(&NOTHING);
    let namespaced = object.str_at(&["kind"]) == Some("RoleBinding");
    let kinds: &[&str] = if namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    let text = |key: &str| reference.str_at(&[key]).unwrap_or_default();
    report.supported("roleRef.apiGroup", text("apiGroup"), &[GROUP]);
    report.supported("roleRef.kind", text("kind"), kinds);
    if report.text(reference, "roleRef", "name") {
        report.wrong("roleRef.name", text("name"), path_segment(text("name")));
    }
    for (index, subject) in object.list_at(&["subjects"]).iter().enumerate() {
        self::subject(report, subject, namespaced, &format!("subjects[{index}]"));
    }
    if let Some(live) = live
        && object.get("roleRef") != live.get("roleRef")
    {
        // The server shows it as its own types have it.
        let shown = [("APIGroup", "apiGroup"), ("Kind", "kind"), ("Name", "name")]
            .map(|(name, key)| (name, Value::from(text(key))))
            .into_iter()
            .collect::<Map>();
        report.invalid("roleRef", Value::Map(shown), "cannot change roleRef");
    }
}

fn subject(report: &mut Report, subject: &Value, namespaced: bool, path: &str) {
    report.text(subject, path, "name");
    let text = |key: &str| subject.str_at(&[key]).unwrap_or_default();
    match text("kind") {
        "ServiceAccount" => {
            if !text("name").is_empty() {
                report.wrong(&join(path, "name"), text("name"), dns_subdomain(text("name")));
            }
            if !text("apiGroup").is_empty() {
                report.supported(&join(path, "apiGroup"), text("apiGroup"), &[""]);
            }
            if !namespaced && text("namespace").is_empty() {
                report.required(&join(path, "namespace"), "");
            }
        }
        "User" | "Group" => report.supported(&join(path, "apiGroup"), text("apiGroup"), &[GROUP]),
        other => report.supported(&join(path, "kind"), other, &["ServiceAccount", "User", "Group"]),
    }
}

const USAGES: [&str; 23] = [
    "any",
    "cert sign",
    "client auth",
    "code signing",
    "content commitment",
    "crl sign",
    "data encipherment",
    "decipher only",
    "digital signature",
    "email protection",
    "encipher only",
    "ipsec end system",
    "ipsec tunnel",
    "ipsec user",
    "key agreement",
    "key encipherment",
    "microsoft sgc",
    "netscape sgc",
    "ocsp signing",
    "s/mime",
    "server auth",
    "signing",
    "timestamping",
];

/// The shortest life that a certificate can be asked for.
const CERTIFICATE_SECONDS_MIN: i64 = 600;

pub fn signing_request(report: &mut Report, object: &Value) {
    let spec = object.get("spec").unwrap_or(&NOTHING);
    let request = spec.str_at(&["request"]).unwrap_or_default();
    let decoded = STANDARD.decode(request).unwrap_or_default();
    if !String::from_utf8_lossy(&decoded).contains("-----BEGIN CERTIFICATE REQUEST-----") {
        let value =
            spec.get("request").filter(|request| request.as_str() != Some("")).cloned().unwrap_or_default();
        report.invalid("spec.request", value, "PEM block type must be CERTIFICATE REQUEST");
    }
    let usages = spec.list_at(&["usages"]);
    if usages.is_empty() {
        report.required("spec.usages", "");
    }
    for (index, usage) in usages.iter().filter_map(Value::as_str).enumerate() {
        report.supported(&format!("spec.usages[{index}]"), usage, &USAGES);
    }
    let mut seen = BTreeSet::new();
    for (index, usage) in usages.iter().filter_map(Value::as_str).enumerate() {
        if !seen.insert(usage) {
            report.duplicate(&format!("spec.usages[{index}]"), usage);
        }
    }
    let signer = spec.str_at(&["signerName"]).unwrap_or_default();
    if signer == "kubernetes.io/legacy-unknown" {
        report.invalid(
            "spec.signerName",
            signer,
            "the legacy signerName is not allowed via this API version",
        );
    } else {
        signer_name(report, signer);
    }
    if let Some(seconds) =
        spec.int_at(&["expirationSeconds"]).filter(|seconds| *seconds < CERTIFICATE_SECONDS_MIN)
    {
        report.invalid(
            "spec.expirationSeconds",
            seconds,
            "may not specify a duration less than 600 seconds (10 minutes)",
        );
    }
}

fn signer_name(report: &mut Report, signer: &str) {
    if signer.is_empty() {
        return report.required("spec.signerName", "");
    }
    let Some((domain, path)) = signer.split_once('/') else {
        return report.invalid(
            "spec.signerName",
            signer,
            "must be a fully qualified domain and path of the form 'example.com/signer-name'",
        );
    };
    let n_labels = domain.split('.').count();
    if n_labels < 2 {
        report.invalid(
            "spec.signerName",
            domain,
            "should be a domain with at least two segments separated by dots",
        );
    }
    for label in domain.split('.') {
        report.wrong("spec.signerName", label, dns_label(label));
    }
    for part in path.split('.') {
        report.wrong("spec.signerName", part, dns_subdomain(part));
    }
}
