//! Kubernetes Events about what was found and done.
//!
//! One Event for the same news about the same object: repeated news raises its count, so that a fight does not fill the
//! namespace. Messages are the caller's and must be masked already.

use http::Method;
use trueup_object::{Timestamp, Value};

use super::Refusal;
use crate::path;
use crate::wire::{BodyKind, Wire, WireError};

/// As Kubernetes sorts Events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    Normal,
    Warning,
}

/// The object that an Event is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Involved {
    pub api_version: String,
    pub kind: String,
    /// Empty for cluster-scoped objects, whose Events live in `default`.
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// News worth an Event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedEvent {
    pub kind: EventKind,
    /// A word, such as `OperationCompleted`.
    pub reason: String,
    pub message: String,
    pub involved: Involved,
    pub at: Timestamp,
    /// Which instance of this program reports.
    pub instance: String,
}

/// The server refuses longer ones.
const MESSAGE_BYTES_MAX: usize = 1024;

/// Reports news; news reported before raises the count of its Event.
pub async fn report(wire: &Wire, event: &ReportedEvent) -> Result<(), Refusal> {
    let gvk = trueup_object::Gvk::new("", "v1", "Event");
    let namespace = if event.involved.namespace.is_empty() { "default" } else { &event.involved.namespace };
    let collection = format!("/api/v1/namespaces/{}/events", path::plain_segment(namespace));
    let name = name(event);
    let body = body(event, namespace, &name).to_json().into_bytes();
    match wire.write(Method::POST, &collection, BodyKind::Json, body).await {
        Ok(_) => Ok(()),
        Err(WireError::Refused(status)) if status.code == 409 => {
            let object = format!("{collection}/{}", path::plain_segment(&name));
            let known = wire.get(&object).await.map_err(|error| Refusal::of(error, &gvk))?;
            let count =
                Value::from_json(&known.body).ok().and_then(|event| event.int_at(&["count"])).unwrap_or(1);
            let mut patch = Value::default();
            patch.set_at(&["count"], Value::Int(count.saturating_add(1)));
            patch.set_at(&["lastTimestamp"], time(event.at).into());
            let patched =
                wire.write(Method::PATCH, &object, BodyKind::MergePatch, patch.to_json().into_bytes()).await;
            patched.map(|_| ()).map_err(|error| Refusal::of(error, &gvk))
        }
        Err(error) => Err(Refusal::of(error, &gvk)),
    }
}

fn name(event: &ReportedEvent) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [&event.involved.uid, &event.reason, &event.message, &event.instance] {
        hasher.update(part.as_bytes()).update(&[0]);
    }
    let hash = hasher.finalize().to_hex();
    let short = hash.get(..16).unwrap_or_default();
    // A name has at most 253 characters.
    let object: String = event.involved.name.chars().take(230).collect();
    format!("{object}.{short}")
}

fn body(event: &ReportedEvent, namespace: &str, name: &str) -> Value {
    let ReportedEvent { kind, reason, message, involved, at, instance } = event;
    let mut body = Value::default();
    body.set_at(&["apiVersion"], "v1".into());
    body.set_at(&["kind"], "Event".into());
    body.set_at(&["metadata", "name"], name.into());
    body.set_at(&["metadata", "namespace"], namespace.into());
    let fields = [
        ("apiVersion", &involved.api_version),
        ("kind", &involved.kind),
        ("namespace", &involved.namespace),
        ("name", &involved.name),
        ("uid", &involved.uid),
    ];
    for (field, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        body.set_at(&["involvedObject", field], value.as_str().into());
    }
    let kind = match kind {
        EventKind::Normal => "Normal",
        EventKind::Warning => "Warning",
    };
    body.set_at(&["type"], kind.into());
    body.set_at(&["reason"], reason.as_str().into());
    body.set_at(&["message"], shortened(message).into());
    body.set_at(&["source", "component"], "trueup".into());
    body.set_at(&["reportingComponent"], "trueup".into());
    body.set_at(&["reportingInstance"], instance.as_str().into());
    body.set_at(&["firstTimestamp"], time(*at).into());
    body.set_at(&["lastTimestamp"], time(*at).into());
    body.set_at(&["count"], Value::Int(1));
    body
}

fn shortened(message: &str) -> &str {
    let mut end = message.len().min(MESSAGE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message.get(..end).unwrap_or_default()
}

fn time(at: Timestamp) -> String {
    trueup_object::time::to_seconds(at).to_string()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn event(message: &str, second: i64) -> ReportedEvent {
        ReportedEvent {
            kind: EventKind::Warning,
            reason: "DriftFound".into(),
            message: message.into(),
            involved: Involved {
                api_version: "argoproj.io/v1alpha1".into(),
                kind: "Application".into(),
                namespace: "argocd".into(),
                name: "shop".into(),
                uid: "u1".into(),
            },
            at: Timestamp::from_second(second).unwrap(),
            instance: "a".into(),
        }
    }

    #[test]
    fn the_same_news_has_the_same_name() {
        assert_eq!(name(&event("x", 1)), name(&event("x", 2)));
        assert_ne!(name(&event("x", 1)), name(&event("y", 1)));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let long = "ä".repeat(2000);
        let body = body(&event(&long, 1), "argocd", "n");
        let message = body.str_at(&["message"]).unwrap();
        assert!(message.len() <= MESSAGE_BYTES_MAX && message.chars().all(|char| char == 'ä'));
        assert_eq!(body.str_at(&["firstTimestamp"]), Some("1970-01-01T00:00:01Z"));
    }
}
