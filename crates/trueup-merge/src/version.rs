//! Managed fields that were written in another version of the kind, read in the version of the object that carries them.
//!
//! Versions of a kind mostly have the same fields, so their paths mean the same. Where a path means nothing in the
//! object's own version it says nothing about who owns what; for autoscalers, whose versions differ, it is translated.

use std::cell::OnceCell;

use trueup_object::{
    FieldManager, FieldPath, FieldSet, FlatFields, Gvk, ManagedEntry, ManagedFields, ManagedOperation,
    PathElement, Text, Timestamp, Value,
};

use crate::ownership::all_fields;
use crate::schema::{ListKind, Shape, TypeRef};

/// The managed fields of an object, read when somebody asks for them: most objects agree, and nobody does.
pub struct Managed<'a> {
    of: Option<(&'a Value, TypeRef<'a>)>,
    read: OnceCell<ManagedFields>,
    writers: OnceCell<Vec<FieldWriter>>,
}

/// An entry of managed fields, for those who only ask whether a path is its.
#[derive(Debug)]
pub struct FieldWriter {
    pub manager: FieldManager,
    pub operation: ManagedOperation,
    /// Empty for writes to the object itself.
    pub subresource: Text,
    /// When the entry last changed. Absent for `scale` writes.
    pub time: Option<Timestamp>,
    fields: FlatFields,
}

impl<'a> Managed<'a> {
    /// Those of an object of a type, as [`managed_in_version`] has them.
    pub fn of(object: &'a Value, ty: TypeRef<'a>) -> Self {
        Self { of: Some((object, ty)), read: OnceCell::new(), writers: OnceCell::new() }
    }

    pub fn fields(&self) -> &ManagedFields {
        self.read
            .get_or_init(|| self.of.map(|(object, ty)| managed_in_version(object, ty)).unwrap_or_default())
    }

    /// The same entries.
    pub fn writers(&self) -> &[FieldWriter] {
        self.writers.get_or_init(|| {
            let as_written = self.of.and_then(|(object, _)| writers_as_written(object));
            as_written.unwrap_or_else(|| self.fields().entries.iter().map(FieldWriter::of_entry).collect())
        })
    }
}

impl From<ManagedFields> for Managed<'_> {
    fn from(fields: ManagedFields) -> Self {
        Self { of: None, read: OnceCell::from(fields), writers: OnceCell::new() }
    }
}

/// The entries of an object whose fields need no other form, as all are in its own version.
fn writers_as_written(object: &Value) -> Option<Vec<FieldWriter>> {
    let own = object.str_at(&["apiVersion"]).filter(|version| !version.is_empty())?;
    object.str_at(&["kind"]).filter(|kind| !kind.is_empty())?;
    let entries = object.list_at(&["metadata", "managedFields"]);
    let mut writers = Vec::with_capacity(entries.len());
    for entry in entries {
        // One that cannot be read belongs to nobody known.
        let Some(head) = ManagedEntry::head(entry) else { continue };
        let Some(fields) = entry.get("fieldsV1").map_or_else(|| Some(FlatFields::default()), FlatFields::of)
        else {
            continue;
        };
        if head.api_version != own {
            return None;
        }
        let ManagedEntry { manager, operation, subresource, api_version: _, time, fields: _ } = head;
        writers.push(FieldWriter { manager, operation, subresource, time, fields });
    }
    Some(writers)
}

impl FieldWriter {
    fn of_entry(entry: &ManagedEntry) -> Self {
        let ManagedEntry { manager, operation, subresource, api_version: _, time, fields } = entry.clone();
        Self { manager, operation, subresource, time, fields: FlatFields::of_set(&fields) }
    }

    /// Whether the path or anything below it is its.
    pub fn touches(&self, path: &[PathElement]) -> bool {
        self.fields.touches(path)
    }

    /// Whether something that the path lies in is its as one value.
    pub fn holds_an_ancestor(&self, path: &[PathElement]) -> bool {
        self.fields.holds_an_ancestor(path)
    }
}

/// The managed fields of an object with the paths that its own version has. What a writer owns under another version's
/// name is left out where no translation is known: nobody is then said to own it.
pub fn managed_in_version(object: &Value, ty: TypeRef<'_>) -> ManagedFields {
    let mut managed = ManagedFields::of(object);
    let Some(gvk) = Gvk::of(object) else { return managed };
    let own = gvk.api_version();
    for entry in managed.entries.iter_mut().filter(|entry| entry.api_version != own) {
        entry.fields = fields_in_version(&entry.fields, object, ty);
    }
    managed.entries.retain(|entry| entry.api_version == own || !entry.fields.is_empty());
    managed
}

/// The fields of an entry that was written in another version, with the paths that the object's own version has.
pub fn fields_in_version(fields: &FieldSet, object: &Value, ty: TypeRef<'_>) -> FieldSet {
    let is_autoscaler = Gvk::of(object)
        .is_some_and(|gvk| gvk.group == "autoscaling" && gvk.kind == "HorizontalPodAutoscaler");
    let known = |fields: &FieldSet| fields.paths().into_iter().filter(|path| has_path(ty, path)).collect();
    let known = if is_autoscaler { known(&autoscaler_fields(fields, object, ty)) } else { known(fields) };
    below_leaves(known, object, ty)
}

/// Whether every field of an object is one of the type: whether an object of another version can be read as one of this.
pub fn has_fields_of(object: &Value, ty: TypeRef<'_>) -> bool {
    // A field that the type lacks is deduced from its value, so its path is found and has no place in the type.
    all_fields(object, ty).paths().iter().all(|path| has_path(ty, path))
}

fn has_path(ty: TypeRef<'_>, path: &FieldPath) -> bool {
    let mut ty = ty;
    for element in path.elements() {
        if matches!(ty.shape(), Shape::Untyped) {
            return true;
        }
        ty = match (element, ty.shape()) {
            (PathElement::Field(name), _) => match ty.field(name) {
                Some(field) => field.ty,
                None => return false,
            },
            (PathElement::Key(fields), Shape::List { kind: ListKind::Map { keys }, element })
                if fields.iter().all(|(name, _)| keys.iter().any(|key| key == name)) =>
            {
                element
            }
            (PathElement::Value(_), Shape::List { kind: ListKind::Set, element }) => element,
            (PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_), _) => return false,
        };
    }
    true
}

/// The set with everything that stands below its leaves: what is one value in one version may have parts in another.
fn below_leaves(set: FieldSet, object: &Value, ty: TypeRef<'_>) -> FieldSet {
    let leaves = set.leaves().paths();
    let all = all_fields(object, ty).paths();
    let below = all.into_iter().filter(|path| leaves.iter().any(|leaf| path.starts_with(leaf)));
    set.union(&below.collect())
}

/// Where autoscaling/v1 has what later versions have.
const AUTOSCALER: [(&[&str], &[&str]); 3] = [
    (&["spec", "targetCPUUtilizationPercentage"], &["spec", "metrics"]),
    (&["metadata", "annotations", "autoscaling.alpha.kubernetes.io/metrics"], &["spec", "metrics"]),
    (&["metadata", "annotations", "autoscaling.alpha.kubernetes.io/behavior"], &["spec", "behavior"]),
];

fn autoscaler_fields(fields: &FieldSet, object: &Value, ty: TypeRef<'_>) -> FieldSet {
    let mut translated = fields.clone();
    for (v1, v2) in AUTOSCALER {
        let is_v1 = object.str_at(&["apiVersion"]) == Some("autoscaling/v1");
        let (from, to) = if is_v1 { (v2, v1) } else { (v1, v2) };
        let (from, to) = (FieldPath::fields(from), FieldPath::fields(to));
        if !fields.touches(from.elements()) {
            continue;
        }
        let here = all_fields(object, ty).paths();
        here.iter().filter(|path| path.starts_with(&to)).for_each(|path| translated.insert(path.elements()));
    }
    translated
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use crate::schema::SchemaSet;

    fn owned(object: &str) -> Vec<String> {
        let object = Value::from_json(object.as_bytes()).unwrap();
        let ty = SchemaSet::builtin().lookup(&Gvk::of(&object).unwrap()).unwrap();
        let entries = managed_in_version(&object, ty).entries;
        entries.iter().flat_map(|entry| entry.fields.leaves().paths()).map(|path| path.to_string()).collect()
    }

    fn autoscaler(version: &str, spec: &str, entry_version: &str, fields: &str) -> String {
        format!(
            r#"{{"apiVersion":"autoscaling/{version}","kind":"HorizontalPodAutoscaler","metadata":{{"name":"a","managedFields":[
            {{"manager":"m","operation":"Update","apiVersion":"autoscaling/{entry_version}","fieldsType":"FieldsV1","fieldsV1":{fields}}}]}},
            "spec":{spec}}}"#
        )
    }

    #[test]
    fn an_autoscaler_written_in_its_first_version_owns_the_metrics() {
        let fields = r#"{"f:spec":{"f:maxReplicas":{},"f:targetCPUUtilizationPercentage":{}}}"#;
        let object = autoscaler("v2", r#"{"maxReplicas":3,"metrics":[{"type":"Resource"}]}"#, "v1", fields);
        assert_eq!(owned(&object), [".spec.maxReplicas", ".spec.metrics"]);
    }

    #[test]
    fn what_is_one_value_in_its_version_owns_all_parts_in_another() {
        let fields = r#"{"f:spec":{"f:scaleTargetRef":{}}}"#;
        let spec = r#"{"maxReplicas":3,"scaleTargetRef":{"kind":"Deployment","name":"web"}}"#;
        let object = autoscaler("v2", spec, "v1", fields);
        assert_eq!(owned(&object), [".spec.scaleTargetRef.kind", ".spec.scaleTargetRef.name"]);
    }

    #[test]
    fn and_one_written_in_a_later_version_owns_the_percentage() {
        let fields = r#"{"f:spec":{"f:behavior":{"f:scaleDown":{}},"f:metrics":{}}}"#;
        let object =
            autoscaler("v1", r#"{"maxReplicas":3,"targetCPUUtilizationPercentage":50}"#, "v2", fields);
        assert_eq!(owned(&object), [".spec.targetCPUUtilizationPercentage"]);
    }

    #[test]
    fn a_path_that_the_version_has_not_says_nothing() {
        let object = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"a","managedFields":[
            {"manager":"m","operation":"Update","apiVersion":"extensions/v1beta1","fieldsType":"FieldsV1","fieldsV1":
                {"f:spec":{"f:replicas":{},"f:rollbackTo":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"a\"}":{"f:image":{}}}}}}}}]},
            "spec":{"replicas":1}}"#;
        assert_eq!(owned(object), [".spec.replicas", ".spec.template.spec.containers[name=\"a\"].image"]);
    }

    #[test]
    fn an_object_of_another_version_is_read_where_it_has_the_same_fields() {
        let ty =
            SchemaSet::builtin().lookup(&Gvk::new("autoscaling", "v2", "HorizontalPodAutoscaler")).unwrap();
        let fits = |spec: &str| {
            let object = format!(
                r#"{{"apiVersion":"autoscaling/v1","kind":"HorizontalPodAutoscaler","metadata":{{"name":"a"}},"spec":{spec}}}"#
            );
            has_fields_of(&Value::from_json(object.as_bytes()).unwrap(), ty)
        };
        assert!(fits(r#"{"maxReplicas":3}"#));
        assert!(!fits(r#"{"maxReplicas":3,"targetCPUUtilizationPercentage":50}"#));
    }
}
