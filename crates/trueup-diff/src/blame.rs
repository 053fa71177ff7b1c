//! Who owns each field of an object, by its managedFields; and which fields nobody does.

use std::collections::BTreeMap;

use trueup_merge::{Shape, TypeRef, field_set, get};
use trueup_object::secret::sensitive_parts;
use trueup_object::{FieldPath, ManagedFields, PathElement, Value};

use crate::mask::{Masked, mask};
use crate::owners::Owner;
use crate::seal::Secrecy;

/// A field, and who owns it.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnedField {
    pub path: FieldPath,
    /// Where it is in the object; nothing where the object lacks it: a manager may own a field that holds nothing.
    pub pointer: Option<String>,
    pub value: Option<Masked>,
    /// The likeliest writer of the value first. None: the server filled it in, or it was changed without a trace.
    pub owners: Vec<Owner>,
}

/// What `metadata` holds beside identity and bookkeeping.
const METADATA: [&str; 4] = ["labels", "annotations", "finalizers", "ownerReferences"];

/// Every field of an object that somebody owns, and what it holds beside these, by path.
pub fn blame(object: &Value, ty: TypeRef<'_>, secrecy: Secrecy<'_>) -> Vec<OwnedField> {
    let mut owners: BTreeMap<FieldPath, Vec<Owner>> = BTreeMap::new();
    for entry in ManagedFields::of(object).entries {
        let owner = Owner {
            manager: entry.manager,
            operation: entry.operation,
            subresource: entry.subresource,
            time: entry.time,
        };
        for path in entry.fields.leaves().paths() {
            let known = owners.entry(open_part(path)).or_default();
            if !known.contains(&owner) {
                known.push(owner.clone());
            }
        }
    }
    for path in unowned(object, ty, &owners) {
        owners.entry(path).or_default();
    }
    let masked = mask([object], ty, secrecy).into_iter().next();
    let fields = owners.into_iter().map(|(path, mut owners)| {
        owners.sort_by(Owner::by_likelihood);
        let value = masked.as_ref().and_then(|masked| get(masked.as_value(), &path));
        let pointer = path.pointer_in(object).filter(|_| get(object, &path).is_some());
        OwnedField {
            pointer: pointer.map(|pointer| pointer.to_string()),
            value: value.cloned().map(Masked::of_masked),
            owners,
            path,
        }
    });
    fields.collect()
}

/// What the object holds and nobody owns, without identity, bookkeeping and `status`.
fn unowned(object: &Value, ty: TypeRef<'_>, owned: &BTreeMap<FieldPath, Vec<Owner>>) -> Vec<FieldPath> {
    let Ok(fields) = field_set(object, ty) else { return Vec::new() };
    // Without a schema it is not known which values are owned as a whole.
    let is_structural = matches!(ty.shape(), Shape::Untyped);
    let is_told = |path: &FieldPath| match path.elements() {
        [PathElement::Field(first)] => {
            !matches!(first.as_str(), "apiVersion" | "kind" | "metadata" | "status")
        }
        [PathElement::Field(metadata), PathElement::Field(name), ..] if metadata == "metadata" => {
            METADATA.contains(&name.as_str())
        }
        [PathElement::Field(first), ..] => first != "status",
        _ => false,
    };
    let is_owned = |path: &FieldPath| {
        // What is below a path follows it.
        let below = owned.range(path.clone()..).next().is_some_and(|(found, _)| found.starts_with(path));
        below || is_structural && owned.keys().any(|above| path.starts_with(above))
    };
    // The key of an item is the item's.
    let is_key = |path: &FieldPath| match path.elements() {
        [.., PathElement::Key(keys), PathElement::Field(name)] => keys.get(name).is_some(),
        _ => false,
    };
    let paths = fields.leaves().paths().into_iter().map(open_part);
    paths.filter(|path| is_told(path) && !is_key(path) && !is_owned(path)).collect()
}

/// The path as far as no name on it is sensitive: items of sets are named by their values.
fn open_part(path: FieldPath) -> FieldPath {
    let tells = |element: &PathElement| {
        let tells = |value: &Value| value.as_str().is_some_and(|text| !sensitive_parts(text).is_empty());
        match element {
            PathElement::Value(value) => tells(value),
            PathElement::Key(keys) => keys.iter().any(|(_, value)| tells(value)),
            PathElement::Field(_) | PathElement::Index(_) => false,
        }
    };
    match path.elements().iter().position(tells) {
        Some(telling) => FieldPath::new(path.elements().iter().take(telling).cloned().collect()),
        None => path,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use trueup_merge::SchemaSet;
    use trueup_object::Gvk;

    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn told(object: &str) -> Vec<String> {
        let object = Value::from_json(object.as_bytes()).unwrap();
        let ty = SchemaSet::builtin().lookup(&Gvk::of(&object).unwrap()).unwrap_or_else(TypeRef::untyped);
        let fields = blame(&object, ty, Secrecy::from(&KEY));
        fields
            .iter()
            .map(|field| {
                let owners: Vec<&str> = field.owners.iter().map(|owner| owner.manager.as_str()).collect();
                let value = field.value.as_ref().map(|value| value.to_json()).unwrap_or_default();
                format!("{} {} by {}", field.path, value, owners.join(", "))
            })
            .collect()
    }

    #[test]
    fn each_field_has_its_writers_the_likeliest_first_and_the_rest_nobody() {
        let object = r#"{"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":"web","uid":"u","labels":{"a":"b"},"managedFields":[
            {"manager":"trueup","operation":"Apply","apiVersion":"apps/v1","time":"2026-11-21T10:00:00Z","fieldsType":"FieldsV1","fieldsV1":{
                "f:metadata":{"f:labels":{"f:a":{}}},
                "f:spec":{"f:replicas":{},"f:paused":{},"f:template":{"f:spec":{"f:containers":{"k:{\"name\":\"app\"}":{".":{},"f:name":{},"f:image":{}}}}}}}},
            {"manager":"kubectl-edit","operation":"Update","apiVersion":"apps/v1","time":"2026-11-21T11:00:00Z","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:replicas":{}}}},
            {"manager":"kube-controller-manager","operation":"Update","subresource":"status","apiVersion":"apps/v1","fieldsType":"FieldsV1","fieldsV1":{"f:status":{"f:replicas":{}}}}]},
            "spec":{"replicas":5,"minReadySeconds":3,"template":{"spec":{"containers":[{"name":"app","image":"web:1","imagePullPolicy":"Always"}]}}},"status":{"replicas":5,"readyReplicas":5}}"#;
        assert_eq!(
            told(object),
            [
                r#".metadata.labels.a "b" by trueup"#,
                ".spec.minReadySeconds 3 by ",
                ".spec.paused  by trueup",
                ".spec.replicas 5 by kubectl-edit, trueup",
                r#".spec.template.spec.containers[name="app"].image "web:1" by trueup"#,
                r#".spec.template.spec.containers[name="app"].imagePullPolicy "Always" by "#,
                r#".spec.template.spec.containers[name="app"].name "app" by trueup"#,
                ".status.replicas 5 by kube-controller-manager",
            ]
        );
    }

    #[test]
    fn values_of_secrets_are_masked_and_no_name_tells_one() {
        let secret = r#"{"apiVersion":"v1","kind":"Secret","metadata":{"name":"db","managedFields":[
            {"manager":"kubectl-create","operation":"Update","apiVersion":"v1","fieldsType":"FieldsV1","fieldsV1":{"f:data":{".":{},"f:password":{}},"f:type":{}}}]},
            "type":"Opaque","data":{"password":"bGVhaw==","user":"bGVhaw=="}}"#;
        assert_eq!(
            told(secret),
            [
                r#".data.password "++++++++" by kubectl-create"#,
                r#".data.user "++++++++" by "#,
                r#".type "Opaque" by kubectl-create"#
            ]
        );
        let widget = r#"{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"a","managedFields":[
            {"manager":"m","operation":"Update","apiVersion":"example.com/v1","fieldsType":"FieldsV1","fieldsV1":{"f:spec":{"f:urls":{"v:\"https://a:hunter2@b\"":{}},"f:all":{}}}}]},
            "spec":{"urls":["https://a:hunter2@b"],"all":{"x":1}}}"#;
        assert_eq!(
            told(widget),
            [r#".spec.all {"x":1} by m"#, r#".spec.urls ["https://a:++++++++@b"] by m"#]
        );
    }

    #[test]
    fn without_managed_fields_everything_is_nobodys() {
        let map = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"x":"1"}}"#;
        assert_eq!(told(map), [r#".data.x "1" by "#]);
    }
}
