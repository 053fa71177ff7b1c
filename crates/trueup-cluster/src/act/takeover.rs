//! Moving the managedFields entries of the tools that made an object into ours.
//!
//! Without it a field that Git drops stays: the older entry still owns it. The older tool's
//! `kubectl.kubernetes.io/last-applied-configuration` is left to it: moved, our next apply would remove the annotation,
//! which is bookkeeping of that tool and the last trace of what it applied. So are the paths that a plan leaves alone:
//! moved, our next apply would delete those that it does not send. An entry that was written in another version of the kind is
//! moved with the paths of the object's own: it is that version's fields which our entry owns.

use trueup_engine::older_tool::OlderTool;
use trueup_merge::{SchemaSet, TypeRef, fields_in_version};
use trueup_object::{
    FieldManager, FieldPath, FieldSet, Gvk, ManagedEntry, ManagedFields, ManagedOperation, Text, Value,
};

/// What a take-over does.
#[derive(Debug, Clone, PartialEq)]
pub enum TakeOver {
    /// No entry of an older tool: nothing to do.
    Nothing,
    /// The entries to write, and whose fields were moved.
    Entries { entries: ManagedFields, from: Vec<FieldManager> },
    /// An entry could not be read; writing the others back would lose it.
    Unreadable,
}

/// Computes the entries of an object after the older tools' were moved into ours, but for what lies at or under the
/// paths that are left alone.
pub fn take_over_entries(object: &Value, ours: &FieldManager, left_alone: &[FieldPath]) -> TakeOver {
    let read = ManagedFields::of(object);
    if read.entries.len() != object.list_at(&["metadata", "managedFields"]).len() {
        return TakeOver::Unreadable;
    }
    let mut moved = FieldSet::new();
    let mut from = Vec::new();
    let mut kept = Vec::new();
    let mut time = None;
    for entry in read.entries {
        if !is_older(&entry, ours) {
            kept.push(entry);
            continue;
        }
        let mut translated = entry.clone();
        put_in_version(&mut translated, object);
        let (fields, left) = split(&translated.fields, left_alone);
        if fields.is_empty() {
            kept.push(entry);
            continue;
        }
        moved = moved.union(&fields);
        time = time.max(entry.time);
        from.push(entry.manager.clone());
        if !left.is_empty() {
            translated.fields = left;
            kept.push(translated);
        }
    }
    if from.is_empty() {
        return TakeOver::Nothing;
    }
    from.dedup();
    add_to_ours(&mut kept, ours, moved, object, time);
    TakeOver::Entries { entries: ManagedFields { entries: kept }, from }
}

/// The entries of an object after what others own at or under these paths was moved into ours, so that an apply of ours
/// without them removes them; `None` where an entry could not be read. What nobody owns becomes ours too.
pub fn entries_with_ours(object: &Value, ours: &FieldManager, paths: &[FieldPath]) -> Option<ManagedFields> {
    let mut entries = ManagedFields::of(object).entries;
    if entries.len() != object.list_at(&["metadata", "managedFields"]).len() {
        return None;
    }
    let is_ours = |entry: &ManagedEntry| entry.manager == *ours && entry.operation == ManagedOperation::Apply;
    let mut moved = FieldSet::new();
    for entry in entries.iter_mut().filter(|entry| !is_ours(entry)) {
        let mut translated = entry.clone();
        put_in_version(&mut translated, object);
        let at = |path: &FieldPath| paths.iter().any(|wanted| path.starts_with(wanted));
        let (gone, left): (Vec<FieldPath>, Vec<FieldPath>) =
            translated.fields.paths().into_iter().partition(at);
        if !gone.is_empty() {
            *entry = ManagedEntry { fields: left.into_iter().collect(), ..translated };
            moved = moved.union(&gone.into_iter().collect());
        }
    }
    entries.retain(|entry| !entry.fields.is_empty());
    for path in paths {
        if !moved.touches(path.elements()) {
            moved.insert(path.elements());
        }
    }
    add_to_ours(&mut entries, ours, moved, object, None);
    Some(ManagedFields { entries })
}

fn own_version(object: &Value) -> Text {
    Text::from(object.str_at(&["apiVersion"]).unwrap_or_default())
}

/// Puts an entry into the object's own version. One of another version whose fields are all unknown there stays as it is.
fn put_in_version(entry: &mut ManagedEntry, object: &Value) {
    let own = own_version(object);
    if entry.api_version == own {
        return;
    }
    let ty = Gvk::of(object).and_then(|gvk| SchemaSet::builtin().lookup(&gvk));
    let fields = fields_in_version(&entry.fields, object, ty.unwrap_or_else(TypeRef::untyped));
    if !fields.is_empty() {
        (entry.fields, entry.api_version) = (fields, own);
    }
}

fn is_older(entry: &ManagedEntry, ours: &FieldManager) -> bool {
    entry.manager != *ours && entry.subresource.is_empty() && OlderTool::of(entry.manager.as_str()).is_some()
}

/// What is moved and what stays.
fn split(fields: &FieldSet, left_alone: &[FieldPath]) -> (FieldSet, FieldSet) {
    let bookkeeping =
        FieldPath::fields(&["metadata", "annotations", "kubectl.kubernetes.io/last-applied-configuration"]);
    let (mut moved, mut left) = (FieldSet::new(), FieldSet::new());
    for path in fields.paths() {
        let stays = path.starts_with(&bookkeeping) || left_alone.iter().any(|kept| path.starts_with(kept));
        let set = if stays { &mut left } else { &mut moved };
        set.insert(path.elements());
    }
    (moved, left)
}

fn add_to_ours(
    entries: &mut Vec<ManagedEntry>,
    ours: &FieldManager,
    moved: FieldSet,
    object: &Value,
    time: Option<trueup_object::Timestamp>,
) {
    let mine = entries.iter_mut().find(|entry| {
        entry.manager == *ours && entry.operation == ManagedOperation::Apply && entry.subresource.is_empty()
    });
    match mine {
        Some(entry) => {
            put_in_version(entry, object);
            entry.fields = entry.fields.union(&moved);
            entry.time = entry.time.max(time);
        }
        None => entries.push(ManagedEntry {
            manager: ours.clone(),
            operation: ManagedOperation::Apply,
            subresource: Text::default(),
            api_version: own_version(object),
            time,
            fields: moved,
        }),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn object(entries: &str) -> Value {
        let json = format!(
            r#"{{"apiVersion":"apps/v1","kind":"Deployment","metadata":{{"managedFields":[{entries}]}}}}"#
        );
        Value::from_json(json.as_bytes()).unwrap()
    }

    fn entry(manager: &str, operation: &str, subresource: &str, fields: &str) -> String {
        format!(
            r#"{{"manager":"{manager}","operation":"{operation}","subresource":"{subresource}","apiVersion":"apps/v1","time":"2026-01-02T03:04:05Z","fieldsType":"FieldsV1","fieldsV1":{fields}}}"#
        )
    }

    fn ours() -> FieldManager {
        FieldManager::new(FieldManager::TRUEUP)
    }

    const REPLICAS: &str = r#"{"f:spec":{"f:replicas":{}}}"#;
    const PAUSED: &str = r#"{"f:spec":{"f:paused":{}}}"#;

    #[test]
    fn fields_of_older_tools_become_ours() {
        let older = [
            entry("kubectl-client-side-apply", "Update", "", REPLICAS),
            entry("kubectl-edit", "Update", "", PAUSED),
            entry("argocd-controller", "Apply", "", PAUSED),
            entry("kube-controller-manager", "Update", "status", REPLICAS),
        ];
        let TakeOver::Entries { entries, from } = take_over_entries(&object(&older.join(",")), &ours(), &[])
        else {
            panic!("nothing taken over")
        };
        assert_eq!(from.len(), 2);
        let managers: Vec<&str> = entries.entries.iter().map(|entry| entry.manager.as_str()).collect();
        assert_eq!(managers, ["kubectl-edit", "kube-controller-manager", "trueup"]);
        let mine = entries.entries.last().unwrap();
        assert_eq!(mine.operation, ManagedOperation::Apply);
        assert_eq!(mine.fields.to_fields_v1().to_json(), r#"{"f:spec":{"f:paused":{},"f:replicas":{}}}"#);
    }

    #[test]
    fn our_entry_grows_and_is_not_doubled() {
        let both = [entry("trueup", "Apply", "", PAUSED), entry("helm", "Update", "", REPLICAS)];
        let TakeOver::Entries { entries, .. } = take_over_entries(&object(&both.join(",")), &ours(), &[])
        else {
            panic!("nothing taken over")
        };
        assert_eq!(entries.entries.len(), 1);
        // Done once, there is nothing left to do.
        let mut taken = object("");
        taken.set_at(&["metadata", "managedFields"], entries.to_value());
        assert_eq!(take_over_entries(&taken, &ours(), &[]), TakeOver::Nothing);
    }

    #[test]
    fn the_older_tools_own_bookkeeping_stays_with_it() {
        let fields = r#"{"f:metadata":{"f:annotations":{".":{},"f:kubectl.kubernetes.io/last-applied-configuration":{}}},"f:spec":{"f:replicas":{}}}"#;
        let older = object(&entry("kubectl-client-side-apply", "Update", "", fields));
        let TakeOver::Entries { entries, .. } = take_over_entries(&older, &ours(), &[]) else {
            panic!("nothing taken over")
        };
        assert_eq!(
            entries.entries.first().unwrap().fields.to_fields_v1().to_json(),
            r#"{"f:metadata":{"f:annotations":{"f:kubectl.kubernetes.io/last-applied-configuration":{}}}}"#
        );
        let mut taken = older.clone();
        taken.set_at(&["metadata", "managedFields"], entries.to_value());
        assert_eq!(take_over_entries(&taken, &ours(), &[]), TakeOver::Nothing);
    }

    #[test]
    fn what_a_plan_leaves_alone_stays_with_the_older_tool() {
        let fields = r#"{"f:spec":{"f:paused":{},"f:replicas":{}}}"#;
        let older = object(&entry("argocd-controller", "Update", "", fields));
        let replicas = [FieldPath::fields(&["spec", "replicas"])];
        let TakeOver::Entries { entries, .. } = take_over_entries(&older, &ours(), &replicas) else {
            panic!("nothing taken over")
        };
        let written: Vec<(String, String)> = entries
            .entries
            .iter()
            .map(|entry| (entry.manager.to_string(), entry.fields.to_fields_v1().to_json()))
            .collect();
        assert_eq!(
            written,
            [("argocd-controller".to_owned(), REPLICAS.to_owned()), ("trueup".to_owned(), PAUSED.to_owned())]
        );
        let all = [FieldPath::fields(&["spec"])];
        assert_eq!(take_over_entries(&older, &ours(), &all), TakeOver::Nothing);
    }

    #[test]
    fn what_others_added_becomes_ours() {
        let both = [
            entry("trueup", "Apply", "", PAUSED),
            entry("kubectl-edit", "Update", "", r#"{"f:spec":{"f:a":{".":{},"f:b":{}},"f:replicas":{}}}"#),
            entry("kubectl", "Update", "scale", REPLICAS),
        ];
        let paths = [FieldPath::fields(&["spec", "a"]), FieldPath::fields(&["spec", "nobodys"])];
        let moved = entries_with_ours(&object(&both.join(",")), &ours(), &paths).unwrap();
        let written: Vec<(&str, String)> = moved
            .entries
            .iter()
            .map(|entry| (entry.manager.as_str(), entry.fields.to_fields_v1().to_json()))
            .collect();
        let mine = r#"{"f:spec":{"f:a":{".":{},"f:b":{}},"f:nobodys":{},"f:paused":{}}}"#;
        assert_eq!(
            written,
            [("trueup", mine.to_owned()), ("kubectl-edit", REPLICAS.into()), ("kubectl", REPLICAS.into())]
        );
    }

    #[test]
    fn what_was_written_in_another_version_is_moved_with_the_paths_of_the_objects_own() {
        let autoscaler = Value::from_json(
            br#"{"apiVersion":"autoscaling/v2","kind":"HorizontalPodAutoscaler","metadata":{"name":"a","managedFields":[
            {"manager":"kubectl-client-side-apply","operation":"Update","apiVersion":"autoscaling/v1","fieldsType":"FieldsV1","fieldsV1":
                {"f:spec":{"f:maxReplicas":{},"f:targetCPUUtilizationPercentage":{}}}}]},
            "spec":{"maxReplicas":3,"metrics":[{"type":"Resource"}]}}"#,
        )
        .unwrap();
        let TakeOver::Entries { entries, .. } = take_over_entries(&autoscaler, &ours(), &[]) else {
            panic!("nothing taken over")
        };
        let [mine] = entries.entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!(mine.api_version, "autoscaling/v2");
        assert_eq!(mine.fields.to_fields_v1().to_json(), r#"{"f:spec":{"f:maxReplicas":{},"f:metrics":{}}}"#);
    }

    #[test]
    fn entries_that_cannot_be_read_are_not_lost() {
        let odd = [entry("helm", "Update", "", REPLICAS), r#"{"manager":"x","operation":"Else"}"#.to_owned()];
        assert_eq!(take_over_entries(&object(&odd.join(",")), &ours(), &[]), TakeOver::Unreadable);
    }
}
