//! Tracking marks: which application an object belongs to (compat 2.3, method `annotation`).

use trueup_object::{ResourceKey, Text, Value};

/// The annotation that carries the mark.
pub const TRACKING_ANNOTATION: &str = "argocd.argoproj.io/tracking-id";

/// A parsed tracking mark: `<app>:<group>/<kind>:<namespace>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackingId {
    pub app: Text,
    pub key: ResourceKey,
}

impl TrackingId {
    /// Parses an annotation's value; anything malformed is no mark.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let (app, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let (group, kind) = split_pair(kind)?;
        let (namespace, name) = split_pair(name)?;
        Some(Self { app: Text::from(app), key: ResourceKey::new(group, kind, namespace, name) })
    }

    /// The mark that an object carries.
    pub fn of(object: &Value) -> Option<Self> {
        Self::parse(object.str_at(&["metadata", "annotations", TRACKING_ANNOTATION])?)
    }

    /// The mark for a target. The namespace is the object's, or the application's where it has none, also for
    /// cluster-scoped objects.
    pub fn format(app: &str, key: &ResourceKey, destination_namespace: &str) -> String {
        let namespace = if key.namespace.is_empty() { destination_namespace } else { &key.namespace };
        format!("{app}:{}/{}:{namespace}/{}", key.group, key.kind, key.name)
    }

    /// Whether the mark describes the object that carries it. A copy carries a foreign mark: it is not tracked.
    pub fn is_about(&self, key: &ResourceKey) -> bool {
        let same = self.key.group == key.group && self.key.kind == key.kind && self.key.name == key.name;
        same && (key.namespace.is_empty() || self.key.namespace == key.namespace)
    }
}

/// Definitions of custom resources carry no mark, as in Argo CD: many applications bring the same ones.
pub fn takes_mark(key: &ResourceKey) -> bool {
    !(key.group == "apiextensions.k8s.io" && key.kind == "CustomResourceDefinition")
}

/// The application that a live object is tracked by, where the mark is about the object itself.
pub fn tracked_by(object: &Value, key: &ResourceKey) -> Option<Text> {
    TrackingId::of(object).filter(|mark| mark.is_about(key)).map(|mark| mark.app)
}

fn split_pair(text: &str) -> Option<(&str, &str)> {
    let (left, right) = text.split_once('/')?;
    (!right.contains('/')).then_some((left, right))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_is_written() {
        let key = ResourceKey::new("apps", "Deployment", "web", "frontend");
        let text = TrackingId::format("shop", &key, "elsewhere");
        assert_eq!(text, "shop:apps/Deployment:web/frontend");
        let mark = TrackingId::parse(&text).expect("well formed");
        assert_eq!((mark.app.as_str(), &mark.key), ("shop", &key));
    }

    #[test]
    fn the_core_group_is_empty_and_cluster_scope_takes_the_destination() {
        let key = ResourceKey::new("", "Namespace", "", "web");
        assert_eq!(TrackingId::format("shop", &key, "web"), "shop:/Namespace:web/web");
        assert!(TrackingId::parse("shop:/Namespace:web/web").expect("well formed").is_about(&key));
    }

    #[test]
    fn malformed_marks_are_none() {
        for text in ["", "shop", "shop:apps/Deployment", "a:b:c:d", "a:b/c/d:e/f", "shop:Deployment:web/x"] {
            assert_eq!(TrackingId::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_copy_is_not_tracked() {
        let mut copy = Value::default();
        copy.set_at(
            &["metadata", "annotations", TRACKING_ANNOTATION],
            "shop:apps/Deployment:web/frontend".into(),
        );
        assert_eq!(tracked_by(&copy, &ResourceKey::new("apps", "Deployment", "web", "copy")), None);
        assert!(tracked_by(&copy, &ResourceKey::new("apps", "Deployment", "web", "frontend")).is_some());
    }
}
