//! Pod Security Admission: what a namespace's labels forbid its pods, warn of or have noted in the audit log.
//!
//! As `k8s.io/pod-security-admission` does it without a configuration of its own: nothing is exempt, and where labels say nothing
//! everything is allowed.

mod checks;

use std::collections::BTreeMap;

use trueup_object::Value;

use super::Written;
use crate::api::Api;
use crate::state::{Name, ResourceId};
use crate::status::{ApiStatus, StatusCause};

const ENFORCE: &str = "pod-security.kubernetes.io/enforce";
const AUDIT: &str = "pod-security.kubernetes.io/audit";
const WARN: &str = "pod-security.kubernetes.io/warn";

/// How many pods of a namespace are looked at when its level changes.
const N_PODS_MAX: usize = 3000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Privileged,
    Baseline,
    Restricted,
}

/// A level as of a minor version of Kubernetes; none is the latest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Standard {
    level: Level,
    minor: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Policy {
    enforce: Standard,
    audit: Standard,
    warn: Standard,
}

impl Level {
    fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "privileged" => Self::Privileged,
            "baseline" => Self::Baseline,
            "restricted" => Self::Restricted,
            _ => return None,
        })
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }
}

impl Standard {
    const NONE: Self = Self { level: Level::Privileged, minor: None };

    fn words(self) -> String {
        let version = self.minor.map_or_else(|| "latest".to_owned(), |minor| format!("v1.{minor}"));
        format!("{}:{version}", self.level.as_str())
    }

    fn violations(self, metadata: Option<&Value>, spec: &Value) -> Vec<checks::Violation> {
        checks::violations(self.level, self.minor.unwrap_or(u32::MAX), metadata, spec)
    }

    /// What a pod violates, in the server's words.
    fn detail(self, metadata: Option<&Value>, spec: &Value) -> Option<String> {
        let found = self.violations(metadata, spec);
        let told: Vec<String> = found.iter().map(|it| format!("{} ({})", it.reason, it.detail)).collect();
        (!told.is_empty()).then(|| told.join(", "))
    }
}

/// `latest` is none.
fn version(text: &str) -> Result<Option<u32>, ()> {
    if text == "latest" {
        return Ok(None);
    }
    let minor = text.strip_prefix("v1.").ok_or(())?;
    let is_plain = !minor.is_empty()
        && minor.bytes().all(|byte| byte.is_ascii_digit())
        && (minor == "0" || !minor.starts_with('0'));
    if is_plain { minor.parse().map(Some).map_err(|_| ()) } else { Err(()) }
}

/// What a namespace's labels ask for, and what is wrong with them.
fn policy(labels: Option<&Value>) -> (Policy, Vec<StatusCause>) {
    let mut policy = Policy { enforce: Standard::NONE, audit: Standard::NONE, warn: Standard::NONE };
    let mut wrong = Vec::new();
    let text = |key: &str| labels.and_then(|labels| labels.get(key)).and_then(Value::as_str);
    let mut has_enforced_level = false;
    for (key, standard) in
        [(ENFORCE, &mut policy.enforce), (AUDIT, &mut policy.audit), (WARN, &mut policy.warn)]
    {
        let mut refuse = |key: &str, value: &str, detail: &str| {
            wrong.push(StatusCause::invalid(&format!("metadata.labels[{key}]"), &value.into(), detail));
        };
        if let Some(value) = text(key) {
            let level = Level::parse(value);
            // What is enforced fails closed.
            let otherwise = if key == ENFORCE { Level::Restricted } else { Level::Privileged };
            standard.level = level.unwrap_or(otherwise);
            has_enforced_level |= key == ENFORCE && level.is_some();
            if level.is_none() {
                refuse(key, value, "must be one of privileged, baseline, restricted");
            }
        }
        let versioned = format!("{key}-version");
        if let Some(value) = text(&versioned) {
            standard.minor = version(value).unwrap_or_else(|()| {
                refuse(&versioned, value, "must be \"latest\" or \"v1.x\"");
                None
            });
        }
    }
    if text(WARN).is_none() && has_enforced_level && policy.enforce.level > policy.warn.level {
        policy.warn.level = policy.enforce.level;
        if text(&format!("{WARN}-version")).is_none() {
            policy.warn.minor = policy.enforce.minor;
        }
    }
    (policy, wrong)
}

fn labels(object: &Value) -> Option<&Value> {
    object.at(&["metadata", "labels"])
}

/// What comes of a write under these rules.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) warnings: Vec<String>,
    /// For the audit log.
    pub(super) notes: BTreeMap<String, String>,
}

/// Judges a write of a namespace, a pod, or what has a template of pods.
pub(super) fn check(written: &Written<'_>, outcome: &mut Outcome) -> Result<(), ApiStatus> {
    let kind = written.kind;
    let (group, plural) = (kind.gvk.group.as_str(), kind.plural.as_str());
    if (group, plural) == ("", "namespaces") {
        return check_namespace(written, outcome);
    }
    let Some(template) = template_path(group, plural) else { return Ok(()) };
    let name = Name::new("", written.namespace);
    let namespace = written.api.store().get(&ResourceId::new("", "namespaces"), &name);
    let (policy, wrong) = policy(namespace.as_deref().and_then(labels));
    let enforces = template.is_empty();
    let standards = [policy.enforce, policy.audit, policy.warn];
    let relevant = if enforces { &standards[..] } else { &standards[1..] };
    if wrong.is_empty() && relevant.iter().all(|standard| standard.level == Level::Privileged) {
        if enforces {
            outcome.notes.insert("enforce-policy".to_owned(), Standard::NONE.words());
        }
        return Ok(());
    }
    if enforces && written.old.is_some_and(|old| !differs_in_images(written.object, old)) {
        return Ok(());
    }
    let Some(pod) = (if enforces { Some(written.object) } else { written.object.at(template) }) else {
        return Ok(());
    };
    let nothing = Value::default();
    let (metadata, spec) = (pod.get("metadata"), pod.get("spec").unwrap_or(&nothing));
    if let [one, more @ ..] = wrong.as_slice() {
        let told: Vec<String> = std::iter::once(one)
            .chain(more)
            .map(|cause| format!("{}: {}", cause.field, cause.message))
            .collect();
        let told = if more.is_empty() { told.concat() } else { format!("[{}]", told.join(", ")) };
        outcome.notes.insert("error".to_owned(), format!("Failed to parse policy: {told}"));
    }
    let mut refusal = None;
    if enforces {
        let words = policy.enforce.words();
        if let Some(detail) = policy.enforce.detail(metadata, spec) {
            let words = format!("violates PodSecurity {words:?}: {detail}");
            refusal = Some(ApiStatus::forbidden(kind, written.name, &words));
        }
        outcome.notes.insert("enforce-policy".to_owned(), words);
    }
    let would = |standard: Standard| {
        let detail = standard.detail(metadata, spec)?;
        Some(format!("would violate PodSecurity {:?}: {detail}", standard.words()))
    };
    outcome.notes.extend(would(policy.audit).map(|words| ("audit-violations".to_owned(), words)));
    match refusal {
        Some(refusal) => Err(refusal),
        None => {
            outcome.warnings.extend(would(policy.warn));
            Ok(())
        }
    }
}

/// Where a kind has its pods' template; empty for a pod itself.
fn template_path(group: &str, plural: &str) -> Option<&'static [&'static str]> {
    Some(match (group, plural) {
        ("", "pods") => &[],
        ("", "podtemplates") => &["template"],
        ("", "replicationcontrollers")
        | ("apps", "replicasets" | "deployments" | "statefulsets" | "daemonsets")
        | ("batch", "jobs") => &["spec", "template"],
        ("batch", "cronjobs") => &["spec", "jobTemplate", "spec", "template"],
        _ => return None,
    })
}

/// Of an update of a pod only other images are looked at.
fn differs_in_images(new: &Value, old: &Value) -> bool {
    let images = |pod: &Value, list: &str| -> Vec<Option<Value>> {
        pod.list_at(&["spec", list]).iter().map(|container| container.get("image").cloned()).collect()
    };
    ["containers", "initContainers", "ephemeralContainers"]
        .into_iter()
        .any(|list| images(new, list) != images(old, list))
}

fn check_namespace(written: &Written<'_>, outcome: &mut Outcome) -> Result<(), ApiStatus> {
    let (new, wrong) = policy(labels(written.object));
    let before = written.old.map(|old| policy(labels(old)));
    let known = before.as_ref().is_some_and(|(_, known)| *known == wrong);
    if !wrong.is_empty() && !known {
        return Err(ApiStatus::invalid(written.kind, written.name, wrong));
    }
    let Some((old, _)) = before else { return Ok(()) };
    let loosens = new.enforce.minor == old.enforce.minor && new.enforce.level <= old.enforce.level;
    if new.enforce.level == Level::Privileged || loosens {
        return Ok(());
    }
    outcome.warnings.extend(existing(written.api, written.name, new.enforce));
    Ok(())
}

/// What the pods that are there would violate, by what they violate.
fn existing(api: &Api, namespace: &str, enforce: Standard) -> Vec<String> {
    let (pods, _) = api.store().list(&ResourceId::new("", "pods"), namespace);
    let n_pods = pods.len();
    let mut by_reason: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let nothing = Value::default();
    for pod in pods.iter().take(N_PODS_MAX) {
        let found = enforce.violations(pod.get("metadata"), pod.get("spec").unwrap_or(&nothing));
        let reasons: Vec<&str> = found.iter().map(|it| it.reason).collect();
        if !reasons.is_empty() {
            let name = pod.str_at(&["metadata", "name"]).unwrap_or_default();
            by_reason.entry(reasons.join(", ")).or_default().push(name);
        }
    }
    let mut warnings = Vec::new();
    if n_pods > N_PODS_MAX {
        warnings.push(format!(
            "new PodSecurity enforce level only checked against the first {N_PODS_MAX} of {n_pods} existing pods"
        ));
    }
    if by_reason.is_empty() {
        return warnings;
    }
    warnings.push(format!(
        "existing pods in namespace {namespace:?} violate the new PodSecurity enforce level {:?}",
        enforce.words()
    ));
    let mut told: Vec<String> = by_reason
        .into_iter()
        .map(|(reasons, names)| {
            let first = names.iter().min().copied().unwrap_or_default();
            match names.len() {
                1 => format!("{first}: {reasons}"),
                2 => format!("{first} (and 1 other pod): {reasons}"),
                count => format!("{first} (and {} other pods): {reasons}", count - 1),
            }
        })
        .collect();
    told.sort();
    warnings.append(&mut told);
    warnings
}
