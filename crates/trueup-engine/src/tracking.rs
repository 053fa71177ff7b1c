//! Tracking marks: which application an object belongs to (compat 2.3).

use trueup_object::{ResourceKey, Text, Value};

/// The annotation that carries the mark.
pub const TRACKING_ANNOTATION: &str = "argocd.argoproj.io/tracking-id";

/// The annotation that names the installation whose application it is.
pub const INSTALLATION_ANNOTATION: &str = "argocd.argoproj.io/installation-id";

/// Where a mark stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum TrackingMethod {
    #[default]
    Annotation,
    /// The annotation tells; the label is there for others to select by.
    AnnotationAndLabel,
    /// The label alone, without any note of the object that it was written for.
    Label,
}

/// How the objects of an installation are marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracking {
    pub method: TrackingMethod,
    /// The label's name.
    pub label: Text,
    /// Objects that name another installation, or none, are not this one's; empty: installations are not told apart.
    pub installation: Text,
}

impl Default for Tracking {
    fn default() -> Self {
        let label = Text::from("app.kubernetes.io/instance");
        Self { method: TrackingMethod::default(), label, installation: Text::default() }
    }
}

/// A label's value has at most so many bytes.
const LABEL_MAX: usize = 63;

impl Tracking {
    /// Puts the mark on a target.
    pub fn mark(&self, object: &mut Value, app: &str, key: &ResourceKey, destination_namespace: &str) {
        let annotated = |object: &mut Value| {
            let mark = TrackingId::format(app, key, destination_namespace);
            object.set_at(&["metadata", "annotations", TRACKING_ANNOTATION], mark.into());
            if !self.installation.is_empty() {
                let id = self.installation.clone();
                object.set_at(&["metadata", "annotations", INSTALLATION_ANNOTATION], id.into());
            }
        };
        let mut label = |text: &str| object.set_at(&["metadata", "labels", &self.label], text.into());
        match self.method {
            TrackingMethod::Annotation => annotated(object),
            TrackingMethod::AnnotationAndLabel => {
                label(as_label(app));
                annotated(object);
            }
            // As it is: one that is too long is refused by the server, which says so.
            TrackingMethod::Label => label(app),
        }
    }

    /// The application whose mark an object carries: the annotation where it is about the object itself, or the label of an
    /// object that nobody made for another one.
    pub fn owner_by<'o>(
        &self,
        key: &ResourceKey,
        annotation: impl Fn(&str) -> Option<&'o str>,
        label: impl Fn(&str) -> Option<&'o str>,
        is_owned: bool,
    ) -> Option<Text> {
        match self.method {
            TrackingMethod::Annotation | TrackingMethod::AnnotationAndLabel => {
                let mark = Mark::read(annotation(TRACKING_ANNOTATION)?)?;
                let installation = annotation(INSTALLATION_ANNOTATION).unwrap_or_default();
                let ours = self.installation.is_empty() || self.installation == installation;
                (ours && mark.is_about(key)).then(|| Text::from(mark.app))
            }
            TrackingMethod::Label => label(&self.label)
                .filter(|name| !name.is_empty() && !is_owned && takes_mark(key))
                .map(Text::from),
        }
    }

    /// The application that a live object is tracked by.
    pub fn owner(&self, object: &Value, key: &ResourceKey) -> Option<Text> {
        let is_owned = !object.list_at(&["metadata", "ownerReferences"]).is_empty();
        self.owner_by(
            key,
            |name| object.str_at(&["metadata", "annotations", name]),
            |name| object.str_at(&["metadata", "labels", name]),
            is_owned,
        )
    }
}

/// A name cut to what a label may hold, which ends in a letter or digit.
fn as_label(name: &str) -> &str {
    let end =
        (0..=name.len().min(LABEL_MAX)).rev().find(|end| name.is_char_boundary(*end)).unwrap_or_default();
    name.get(..end).unwrap_or_default().trim_end_matches(|char: char| !char.is_ascii_alphanumeric())
}

/// A parsed tracking mark: `<app>:<group>/<kind>:<namespace>/<name>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrackingId {
    pub app: Text,
    pub key: ResourceKey,
}

impl TrackingId {
    /// Parses an annotation's value; anything malformed is no mark.
    pub fn parse(text: &str) -> Option<Self> {
        let Mark { app, group, kind, namespace, name } = Mark::read(text)?;
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
        let ResourceKey { group, kind, namespace, name } = &self.key;
        Mark { app: &self.app, group, kind, namespace, name }.is_about(key)
    }
}

/// The parts of a mark where they stand.
struct Mark<'a> {
    app: &'a str,
    group: &'a str,
    kind: &'a str,
    namespace: &'a str,
    name: &'a str,
}

impl<'a> Mark<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(':');
        let (app, kind, name) = (parts.next()?, parts.next()?, parts.next()?);
        if parts.next().is_some() {
            return None;
        }
        let (group, kind) = split_pair(kind)?;
        let (namespace, name) = split_pair(name)?;
        Some(Self { app, group, kind, namespace, name })
    }

    fn is_about(&self, key: &ResourceKey) -> bool {
        let same = self.group == key.group && self.kind == key.kind && self.name == key.name;
        same && (key.namespace.is_empty() || self.namespace == key.namespace)
    }
}

/// Definitions of custom resources carry no mark, as in Argo CD: many applications bring the same ones.
pub fn takes_mark(key: &ResourceKey) -> bool {
    !(key.group == "apiextensions.k8s.io" && key.kind == "CustomResourceDefinition")
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
        let owner = |name: &str| {
            Tracking::default().owner(&copy, &ResourceKey::new("apps", "Deployment", "web", name))
        };
        assert_eq!((owner("copy"), owner("frontend")), (None, Some("shop".into())));
    }

    fn tracking(method: TrackingMethod, installation: &str) -> Tracking {
        Tracking { method, label: "example.com/app".into(), installation: installation.into() }
    }

    fn marked(tracking: &Tracking, app: &str, key: &ResourceKey) -> Value {
        let mut object = Value::default();
        tracking.mark(&mut object, app, key, "web");
        object
    }

    #[test]
    fn each_method_finds_what_it_has_marked() {
        let key = ResourceKey::new("apps", "Deployment", "web", "frontend");
        for method in [TrackingMethod::Annotation, TrackingMethod::AnnotationAndLabel, TrackingMethod::Label]
        {
            let tracking = tracking(method, "");
            let mut object = marked(&tracking, "shop", &key);
            assert_eq!(tracking.owner(&object, &key).as_deref(), Some("shop"), "{method:?}");
            let label = object.str_at(&["metadata", "labels", "example.com/app"]);
            assert_eq!(label.is_some(), method != TrackingMethod::Annotation, "{method:?}");
            let annotation = object.str_at(&["metadata", "annotations", TRACKING_ANNOTATION]);
            assert_eq!(annotation.is_some(), method != TrackingMethod::Label, "{method:?}");
            // A label comes to Pods and ReplicaSets by themselves; a mark says what it is about.
            object.set_at(&["metadata", "ownerReferences"], Value::List(vec![Value::default()]));
            assert_eq!(
                tracking.owner(&object, &key).is_none(),
                method == TrackingMethod::Label,
                "{method:?}"
            );
        }
    }

    #[test]
    fn another_installation_has_other_objects() {
        let key = ResourceKey::new("", "ConfigMap", "web", "a");
        let (ours, theirs) =
            (tracking(TrackingMethod::Annotation, "one"), tracking(TrackingMethod::Annotation, "two"));
        let object = marked(&theirs, "shop", &key);
        assert_eq!(theirs.owner(&object, &key).as_deref(), Some("shop"));
        assert_eq!(ours.owner(&object, &key), None);
        assert_eq!(
            Tracking::default().owner(&object, &key).as_deref(),
            Some("shop"),
            "it does not tell them apart"
        );
        let unnamed = marked(&Tracking::default(), "shop", &key);
        assert_eq!(ours.owner(&unnamed, &key), None);
    }

    #[test]
    fn a_label_is_cut_to_what_it_may_hold() {
        let name = format!("{}-.{}", "a".repeat(61), "b".repeat(20));
        assert_eq!(as_label(&name), "a".repeat(61));
        assert_eq!(as_label("shop"), "shop");
        let key = ResourceKey::new("", "ConfigMap", "web", "a");
        let whole = marked(&tracking(TrackingMethod::Label, ""), &name, &key);
        assert_eq!(whole.str_at(&["metadata", "labels", "example.com/app"]), Some(name.as_str()));
    }
}
