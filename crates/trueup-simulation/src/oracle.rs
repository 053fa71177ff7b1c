//! An independent judgement of what differs between Git and the cluster.
//!
//! Naive on purpose, and sharing nothing with the engine: a declared leaf is there with the declared value, or it differs. The
//! templates declare nothing that a server would spell in another way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use trueup_object::{Map, ResourceKey, Value};

use crate::story::Ignored;

mod known;

pub use known::Known;

/// What a commit says of one application.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Targets {
    pub objects: BTreeMap<ResourceKey, Arc<Value>>,
    /// Whether every file could be read.
    pub is_complete: bool,
}

/// The objects of the cluster.
pub type Live = BTreeMap<ResourceKey, Arc<Value>>;

/// Something that Git and the cluster do not agree on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    pub object: ResourceKey,
    pub what: Difference,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    Missing,
    /// Marked as the application's, and not in Git.
    Extraneous,
    /// A JSON pointer into the target.
    Declared {
        pointer: String,
    },
    /// A JSON pointer into live: somebody added it after the object was as Git wants it.
    Added {
        pointer: String,
    },
}

/// What is to be known of an application for judging.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    pub app: &'a str,
    pub targets: &'a Targets,
    pub live: &'a Live,
    pub ignored: &'a [Ignored],
    /// What somebody added, and where.
    pub added: &'a BTreeSet<(ResourceKey, String)>,
}

/// Reads the files of an application's folder. Git knows no empty folders: where there is no file there is no folder, and what
/// is not there says nothing.
pub fn targets<'a>(files: impl Iterator<Item = &'a String>, namespace: &str) -> Targets {
    let mut files = files.peekable();
    let mut targets = Targets { is_complete: files.peek().is_some(), ..Targets::default() };
    for text in files {
        let Ok(mut object) = Value::from_json(text.as_bytes()) else {
            targets.is_complete = false;
            continue;
        };
        let is_namespaced = object.str_at(&["metadata", "namespace"]).is_some();
        if is_namespaced {
            object.set_at(&["metadata", "namespace"], namespace.into());
        }
        match ResourceKey::of(&object) {
            Some(key) => drop(targets.objects.insert(key, Arc::new(object))),
            None => targets.is_complete = false,
        }
    }
    targets
}

/// Everything that Git and the cluster do not agree on.
#[cfg(test)]
pub fn gaps(view: View<'_>) -> Vec<Gap> {
    let mut gaps = unlike(view);
    gaps.extend(additions(view));
    gaps
}

/// What live lacks, has otherwise, or has still; what somebody added has no part in it.
pub fn unlike(view: View<'_>) -> Vec<Gap> {
    let mut gaps = Vec::new();
    let mut push = |object: &ResourceKey, what| gaps.push(Gap { object: object.clone(), what });
    let scaled = scaled(view.live, Some(view.targets));
    for (key, target) in &view.targets.objects {
        let Some(live) = view.live.get(key) else {
            push(key, Difference::Missing);
            continue;
        };
        let mut pointers = Vec::new();
        differing(target, live, &mut String::new(), &mut pointers);
        for pointer in pointers {
            let excused =
                is_ignored(view.ignored, key, &pointer) || scaled.contains(key) && pointer == REPLICAS;
            if !excused {
                push(key, Difference::Declared { pointer });
            }
        }
    }
    for (key, live) in view.live {
        if owner(key, live) == Some(view.app) && !view.targets.objects.contains_key(key) {
            push(key, Difference::Extraneous);
        }
    }
    gaps
}

/// What somebody added and Git does not declare, where it is there.
pub fn additions(view: View<'_>) -> Vec<Gap> {
    let added = view.added.iter().filter(|(key, pointer)| {
        let (Some(target), Some(live)) = (view.targets.objects.get(key), view.live.get(key)) else {
            return false;
        };
        let is_there = at(live, pointer).is_some() && at(target, pointer).is_none();
        is_there && !is_ignored(view.ignored, key, pointer)
    });
    let gap = |(key, pointer): &(ResourceKey, String)| Gap {
        object: key.clone(),
        what: Difference::Added { pointer: pointer.clone() },
    };
    added.map(gap).collect()
}

/// Where a workload says how many pods it wants.
pub const REPLICAS: &str = "/spec/replicas";

/// Whether what a pointer names, or what it is a part of, is ignored.
pub fn is_ignored(ignored: &[Ignored], key: &ResourceKey, pointer: &str) -> bool {
    ignored.iter().any(|rule| {
        let is_below = pointer
            .strip_prefix(rule.pointer.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        rule.group == key.group && rule.kind == key.kind && is_below
    })
}

/// The workloads that an autoscaler targets: in the cluster, and in Git where that counts too.
pub fn scaled(live: &Live, targets: Option<&Targets>) -> BTreeSet<ResourceKey> {
    let declared = targets.into_iter().flat_map(|targets| &targets.objects);
    let all = live.iter().chain(declared);
    let scalers = all.filter(|(key, _)| key.kind == "HorizontalPodAutoscaler");
    scalers
        .filter_map(|(key, object)| {
            let target = object.at(&["spec", "scaleTargetRef"])?;
            let group = target.str_at(&["apiVersion"])?.split_once('/').map_or("", |(group, _)| group);
            Some(ResourceKey::new(
                group,
                target.str_at(&["kind"])?,
                &key.namespace,
                target.str_at(&["name"])?,
            ))
        })
        .collect()
}

/// The application whose mark an object carries, where the mark is about the object itself.
pub fn owner<'a>(key: &ResourceKey, object: &'a Value) -> Option<&'a str> {
    let mark = object.str_at(&["metadata", "annotations", "argocd.argoproj.io/tracking-id"])?;
    let (app, rest) = mark.split_once(':')?;
    let place = rest.strip_prefix(key.group.as_str())?.strip_prefix('/')?;
    let place = place.strip_prefix(key.kind.as_str())?.strip_prefix(':')?;
    let namespace = place.strip_suffix(key.name.as_str())?.strip_suffix('/')?;
    // What is in no namespace is marked with that of its application.
    (key.namespace.is_empty() || namespace == key.namespace).then_some(app)
}

/// Whether an object asks to be kept when Git drops it.
pub fn is_kept(object: &Value) -> bool {
    let options = object.str_at(&["metadata", "annotations", "argocd.argoproj.io/sync-options"]);
    options.is_some_and(|options| options.contains("Prune=false"))
}

/// What a JSON pointer names.
pub fn at<'a>(object: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').skip(1).try_fold(object, |value, word| match value {
        Value::List(items) => items.get(word.parse::<usize>().ok()?),
        value if word.contains('~') => value.get(&word.replace("~1", "/").replace("~0", "~")),
        value => value.get(word),
    })
}

/// The topmost part of a pointer that leads to nothing in an object; none where it leads to something.
pub fn missing<'a>(object: &Value, pointer: &'a str) -> Option<&'a str> {
    let ends = pointer.match_indices('/').map(|(end, _)| end).skip(1).chain([pointer.len()]);
    ends.filter_map(|end| pointer.get(..end)).find(|part| at(object, part).is_none())
}

/// Adds a name to a pointer.
fn push_name(pointer: &mut String, name: &str) {
    pointer.push('/');
    if name.contains(['~', '/']) {
        pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
    } else {
        pointer.push_str(name);
    }
}

/// The leaves of the target that live lacks or has otherwise.
fn differing(target: &Value, live: &Value, pointer: &mut String, found: &mut Vec<String>) {
    match (target, live) {
        (Value::Null, _) => {}
        (Value::Map(target), Value::Map(live)) => {
            for (name, value) in target.iter() {
                let length = pointer.len();
                push_name(pointer, name);
                match live.get(name) {
                    Some(live) => differing(value, live, pointer, found),
                    // The API stores no empty map (`omitempty` in its types): it declares nothing, and one whose last name was
                    // removed is gone with it. What differs is each name, of which a rule may ignore one.
                    None if value.as_map().is_some() => {
                        differing(value, &Value::Map(Map::default()), pointer, found);
                    }
                    None => found.push(pointer.clone()),
                }
                pointer.truncate(length);
            }
        }
        (Value::List(target), Value::List(live)) => items(target, live, pointer, found),
        (target, live) if target == live => {}
        _ => found.push(pointer.clone()),
    }
}

fn items(target: &[Value], live: &[Value], pointer: &mut String, found: &mut Vec<String>) {
    fn name(value: &Value) -> Option<&str> {
        value.get("name").and_then(Value::as_str)
    }
    let by_name = target.iter().all(|item| name(item).is_some());
    if !by_name && target.len() != live.len() {
        found.push(pointer.clone());
        return;
    }
    for (index, item) in target.iter().enumerate() {
        let other = if by_name { live.iter().find(|live| name(live) == name(item)) } else { live.get(index) };
        let length = pointer.len();
        pointer.push('/');
        pointer.push_str(&index.to_string());
        match other {
            Some(other) => differing(item, other, pointer, found),
            None => found.push(pointer.clone()),
        }
        pointer.truncate(length);
    }
}

/// What servers and trackers keep of an object, which nobody declares.
const BOOKKEEPING: [&str; 7] = [
    "/metadata/managedFields",
    "/metadata/resourceVersion",
    "/metadata/generation",
    "/metadata/uid",
    "/metadata/creationTimestamp",
    "/metadata/annotations/argocd.argoproj.io~1tracking-id",
    "/status",
];

/// The leaves that are not the same before and after a change, bookkeeping aside.
pub fn changed(before: &Value, after: &Value) -> Vec<String> {
    let mut found = Vec::new();
    unequal(before, after, &mut String::new(), &mut found);
    found.retain(|pointer| !BOOKKEEPING.iter().any(|kept| pointer.starts_with(kept)));
    found
}

/// What a change has done, for a reader of a trace.
pub fn told(before: Option<&Value>, after: Option<&Value>) -> String {
    let (Some(before), Some(after)) = (before, after) else {
        return if after.is_some() { "is there now".to_owned() } else { "is gone".to_owned() };
    };
    let shown =
        |object: &Value, pointer: &str| at(object, pointer).map_or("nothing".to_owned(), Value::to_json);
    let changes = changed(before, after);
    let told = changes
        .iter()
        .map(|pointer| format!("{pointer}: {} becomes {}", shown(before, pointer), shown(after, pointer)));
    if changes.is_empty() { "bookkeeping alone".to_owned() } else { told.collect::<Vec<_>>().join(", ") }
}

fn unequal(before: &Value, after: &Value, pointer: &mut String, found: &mut Vec<String>) {
    match (before, after) {
        (Value::Map(one), Value::Map(other)) => {
            let names: BTreeSet<&str> = one.keys().chain(other.keys()).collect();
            for name in names {
                let length = pointer.len();
                push_name(pointer, name);
                let (one, other) =
                    (one.get(name).unwrap_or(&Value::Null), other.get(name).unwrap_or(&Value::Null));
                unequal(one, other, pointer, found);
                pointer.truncate(length);
            }
        }
        (Value::List(one), Value::List(other)) if one.len() == other.len() => {
            for (index, (one, other)) in one.iter().zip(other).enumerate() {
                let length = pointer.len();
                pointer.push('/');
                pointer.push_str(&index.to_string());
                unequal(one, other, pointer, found);
                pointer.truncate(length);
            }
        }
        (Value::Null, Value::Map(map)) | (Value::Map(map), Value::Null) if !map.is_empty() => {
            for (name, value) in map.iter() {
                let length = pointer.len();
                push_name(pointer, name);
                unequal(&Value::Null, value, pointer, found);
                pointer.truncate(length);
            }
        }
        (one, other) if one == other => {}
        _ => found.push(pointer.clone()),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn value(json: &str) -> Arc<Value> {
        Arc::new(Value::from_json(json.as_bytes()).unwrap())
    }

    fn key(name: &str) -> ResourceKey {
        ResourceKey::new("", "ConfigMap", "web", name)
    }

    fn config(name: &str, data: &str, mark: &str) -> Arc<Value> {
        value(&format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","namespace":"web","annotations":{{"argocd.argoproj.io/tracking-id":"{mark}"}}}},"data":{data}}}"#
        ))
    }

    fn judged(live: &Live, ignored: &[Ignored], added: &[(ResourceKey, String)]) -> Vec<Difference> {
        let files = [r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"web"},"data":{"first":"one","second":"two"}}"#.to_owned()];
        let targets = targets(files.iter(), "web");
        assert!(targets.is_complete);
        let added = added.iter().cloned().collect();
        let view = View { app: "app", targets: &targets, live, ignored, added: &added };
        gaps(view).into_iter().map(|gap| gap.what).collect()
    }

    #[test]
    fn what_is_missing_changed_or_left_over_differs() {
        let mut live = Live::new();
        assert_eq!(judged(&live, &[], &[]), [Difference::Missing]);
        live.insert(key("a"), config("a", r#"{"first":"one","second":"two"}"#, "app:/ConfigMap:web/a"));
        assert_eq!(judged(&live, &[], &[]), []);
        live.insert(key("b"), config("b", "{}", "app:/ConfigMap:web/b"));
        assert_eq!(judged(&live, &[], &[]), [Difference::Extraneous]);
        // A copied mark is about another object.
        live.insert(key("b"), config("b", "{}", "app:/ConfigMap:web/a"));
        assert_eq!(judged(&live, &[], &[]), []);
        live.insert(key("a"), config("a", r#"{"first":"other"}"#, "app:/ConfigMap:web/a"));
        let differs = |pointer: &str| Difference::Declared { pointer: pointer.to_owned() };
        assert_eq!(judged(&live, &[], &[]), [differs("/data/first"), differs("/data/second")]);
        let rule = Ignored { group: String::new(), kind: "ConfigMap".into(), pointer: "/data".into() };
        assert_eq!(judged(&live, &[rule], &[]), []);
    }

    #[test]
    fn an_empty_map_declares_nothing() {
        let mut found = Vec::new();
        let target = value(r#"{"data":{},"kind":"ConfigMap"}"#);
        differing(&target, &value(r#"{"kind":"ConfigMap"}"#), &mut String::new(), &mut found);
        assert_eq!(found, Vec::<String>::new());
        differing(&target, &value("{}"), &mut String::new(), &mut found);
        assert_eq!(found, ["/kind"]);
    }

    #[test]
    fn of_a_map_that_is_gone_each_name_differs_that_no_rule_ignores() {
        let live = Live::from([(
            key("a"),
            value(r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","namespace":"web"}}"#),
        )]);
        let differs = |pointer: &str| Difference::Declared { pointer: pointer.to_owned() };
        assert_eq!(judged(&live, &[], &[]), [differs("/data/first"), differs("/data/second")]);
        let rule = Ignored { group: String::new(), kind: "ConfigMap".into(), pointer: "/data/second".into() };
        assert_eq!(judged(&live, &[rule], &[]), [differs("/data/first")]);
    }

    #[test]
    fn what_somebody_added_differs_while_it_is_there() {
        let mut live = Live::new();
        let data = r#"{"first":"one","second":"two","extra":"x"}"#;
        live.insert(key("a"), config("a", data, "app:/ConfigMap:web/a"));
        assert_eq!(judged(&live, &[], &[]), []);
        let added = [(key("a"), "/data/extra".to_owned()), (key("a"), "/data/gone".to_owned())];
        assert_eq!(judged(&live, &[], &added), [Difference::Added { pointer: "/data/extra".to_owned() }]);
    }

    #[test]
    fn what_changed_is_told_by_leaf_without_bookkeeping() {
        let before =
            value(r#"{"metadata":{"generation":1,"labels":{"a/b":"1"}},"spec":{"list":[{"x":1},2]}}"#);
        let after = value(r#"{"metadata":{"generation":2},"spec":{"list":[{"x":3},2]},"status":{"y":1}}"#);
        assert_eq!(changed(&before, &after), ["/metadata/labels/a~1b", "/spec/list/0/x"]);
        assert!(at(&before, "/metadata/labels/a~1b").is_some());
    }

    #[test]
    fn files_that_cannot_be_read_make_targets_incomplete() {
        assert!(!targets([String::from("{")].iter(), "web").is_complete);
        assert!(!targets([].iter(), "web").is_complete);
        assert!(!targets([String::from("{}")].iter(), "web").is_complete);
    }

    #[test]
    fn an_autoscaler_has_the_replicas_of_its_target() {
        let scaler =
            value(r#"{"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"Deployment","name":"web"}}}"#);
        let live =
            Live::from([(ResourceKey::new("autoscaling", "HorizontalPodAutoscaler", "ns", "s"), scaler)]);
        let scaled = scaled(&live, None);
        assert!(scaled.contains(&ResourceKey::new("apps", "Deployment", "ns", "web")));
    }
}
