//! ControllerRevisions: the templates that a daemon set or stateful set had, for its history.

use std::sync::Arc;

use trueup_object::Value;

use super::objects::{self, REVISIONS, Resource, Step, int, text};

/// How a kind labels and marks its revisions.
pub struct Style {
    pub resource: Resource,
    /// The label with the template's hash.
    pub hash_label: &'static str,
}

/// How many are kept where the object does not say.
const HISTORY_LIMIT: i64 = 10;

/// Makes the revision of the present template, or makes it the newest again; removes what is beyond the limit.
pub fn reconcile(set: &Value, present: &[Arc<Value>], hash: &str, style: &Style) -> Vec<Step> {
    let name = format!("{}-{hash}", text(set, "name"));
    let newest = present.iter().map(|revision| int(revision, &["revision"])).max().unwrap_or_default();
    match present.iter().find(|revision| text(revision, "name") == name) {
        Some(current) if int(current, &["revision"]) == newest => prune(set, present),
        Some(current) => {
            let mut changed = Value::clone(current);
            changed.set_at(&["revision"], (newest + 1).into());
            vec![Step::update(REVISIONS, changed)]
        }
        None => vec![Step::create(REVISIONS, revision(set, &name, hash, newest + 1, style))],
    }
}

fn revision(set: &Value, name: &str, hash: &str, number: i64, style: &Style) -> Value {
    let mut revision = REVISIONS.object(text(set, "namespace"));
    revision.set_at(&["metadata", "name"], name.into());
    if let Some(labels) = set.at(&["spec", "template", "metadata", "labels"]) {
        revision.set_at(&["metadata", "labels"], labels.clone());
    }
    revision.set_at(&["metadata", "labels", style.hash_label], hash.into());
    let annotations = set.at(&["metadata", "annotations"]).and_then(Value::as_map);
    if let Some(annotations) = annotations.filter(|map| !map.is_empty()) {
        revision.set_at(&["metadata", "annotations"], Value::Map(annotations.clone()));
    }
    let owner = objects::owner_reference(style.resource, set);
    revision.set_at(&["metadata", "ownerReferences"], Value::List(vec![owner]));
    let mut template = set.at(&["spec", "template"]).cloned().unwrap_or_default();
    template.set_at(&["$patch"], "replace".into());
    revision.set_at(&["data", "spec", "template"], template);
    revision.set_at(&["revision"], number.into());
    revision
}

fn prune(set: &Value, present: &[Arc<Value>]) -> Vec<Step> {
    let keep = set.int_at(&["spec", "revisionHistoryLimit"]).unwrap_or(HISTORY_LIMIT).max(0);
    let mut oldest: Vec<&Arc<Value>> = present.iter().collect();
    oldest.sort_by_key(|revision| int(revision, &["revision"]));
    // The present one does not count.
    let excess = i64::try_from(oldest.len()).unwrap_or_default() - 1 - keep;
    let excess = usize::try_from(excess).unwrap_or_default();
    oldest.into_iter().take(excess).map(|revision| Step::delete(REVISIONS, revision)).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const STYLE: Style =
        Style { resource: objects::STATEFUL_SETS, hash_label: "controller.kubernetes.io/hash" };

    fn value(json: &str) -> Value {
        Value::from_json(json.as_bytes()).unwrap()
    }

    #[test]
    fn each_template_has_its_revision() {
        let set = value(r#"{"metadata":{"name":"s","uid":"u"},"spec":{"template":{"spec":{"a":1}}}}"#);
        let steps = reconcile(&set, &[], "x", &STYLE);
        let [Step::Create { object, .. }] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!((text(object, "name"), int(object, &["revision"])), ("s-x", 1));
        assert_eq!(object.str_at(&["data", "spec", "template", "$patch"]), Some("replace"));
        let first = Arc::new(object.clone());
        assert_eq!(reconcile(&set, std::slice::from_ref(&first), "x", &STYLE), []);
        let second = Arc::new(value(r#"{"metadata":{"name":"s-y"},"revision":2}"#));
        let again = reconcile(&set, &[first, second], "x", &STYLE);
        let [Step::Update { object, .. }] = again.as_slice() else { panic!("{again:?}") };
        assert_eq!(int(object, &["revision"]), 3);
    }

    #[test]
    fn old_revisions_go() {
        let set = value(r#"{"metadata":{"name":"s"},"spec":{"revisionHistoryLimit":1,"template":{}}}"#);
        let of = |number: i64| {
            Arc::new(value(&format!(r#"{{"metadata":{{"name":"s-{number}"}},"revision":{number}}}"#)))
        };
        let steps = reconcile(&set, &[of(1), of(2), of(3)], "3", &STYLE);
        let [Step::Delete { object, .. }] = steps.as_slice() else { panic!("{steps:?}") };
        assert_eq!(text(object, "name"), "s-1");
    }
}
