//! Foreign edits: writes by other managers, in every way that the API has.

use trueup_merge::TypeRef;
use trueup_object::{Map, Value};

use super::generate::Maker;
use super::mutate::{Step, at, pointer, type_of};

/// How a foreign manager writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Put,
    MergePatch,
    StrategicPatch,
    JsonPatch,
    Apply,
    ApplyForced,
    Status,
    Scale,
}

/// One write.
#[derive(Debug, Clone)]
pub struct Edit {
    pub verb: Verb,
    pub manager: String,
    pub body: Value,
}

const MANAGERS: [&str; 5] = ["kubectl-edit", "kubectl-patch", "helm", "operator", "kubectl"];

impl Verb {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::MergePatch => "merge",
            Self::StrategicPatch => "strategic",
            Self::JsonPatch => "json",
            Self::Apply => "apply",
            Self::ApplyForced => "apply-forced",
            Self::Status => "status",
            Self::Scale => "scale",
        }
    }
}

/// A random edit of a live object.
pub fn edit(maker: &mut Maker<'_>, live: &Value, ty: TypeRef<'_>) -> Option<Edit> {
    let manager = (*maker.dice.one(&MANAGERS)).to_owned();
    let verb = *maker.dice.one(&[
        Verb::Put,
        Verb::Put,
        Verb::MergePatch,
        Verb::MergePatch,
        Verb::StrategicPatch,
        Verb::JsonPatch,
        Verb::Apply,
        Verb::ApplyForced,
        Verb::ApplyForced,
        Verb::Status,
        Verb::Scale,
    ]);
    let body = match verb {
        Verb::Scale if maker.kind.scale => {
            object(&[("spec", object(&[("replicas", Value::Int(*maker.dice.one(&[0, 2, 7])))]))])
        }
        Verb::Status if maker.kind.status => {
            let status = match maker.kind.gvk.kind.as_str() {
                "Service" | "Ingress" | "CustomResourceDefinition" | "APIService" => return None,
                "Namespace" | "PersistentVolume" | "PersistentVolumeClaim" | "Pod" => {
                    object(&[("conditions", Value::List(vec![condition(maker)]))])
                }
                "ResourceQuota" => object(&[("used", object(&[("pods", "1".into())]))]),
                "Keyed" | "Plain" => object(&[("replicas", Value::Int(3)), ("ready", true.into())]),
                _ => object(&[("observedGeneration", Value::Int(1 + maker.dice.below(3) as i64))]),
            };
            object(&[("status", status)])
        }
        Verb::Scale | Verb::Status => return None,
        Verb::StrategicPatch if maker.kind.is_custom() => return None,
        _ => return of_change(maker, live, ty, verb, manager),
    };
    Some(Edit { verb, manager, body })
}

fn condition(maker: &mut Maker<'_>) -> Value {
    let status = *maker.dice.one(&["True", "False"]);
    object(&[("type", "example.com/checked".into()), ("status", status.into())])
}

fn object(fields: &[(&str, Value)]) -> Value {
    fields.iter().cloned().collect::<Map>().into()
}

fn of_change(
    maker: &mut Maker<'_>,
    live: &Value,
    ty: TypeRef<'_>,
    verb: Verb,
    manager: String,
) -> Option<Edit> {
    let mut before = live.clone();
    for field in ["managedFields", "resourceVersion", "uid", "creationTimestamp", "generation"] {
        before.remove_at(&["metadata", field]);
    }
    before.as_map_mut()?.remove("status");
    let mut after = before.clone();
    // An empty value that storage drops is a write to whoever works out the managed fields, and leaves nothing to see it by.
    maker.odd = matches!(verb, Verb::Apply | Verb::ApplyForced) && !maker.kind.is_custom();
    let count = 1 + maker.dice.below(3);
    let mut changes = Vec::new();
    for _ in 0..count {
        let limit = if verb == Verb::JsonPatch && !changes.is_empty() { 0 } else { 1 };
        changes.extend((0..limit).filter_map(|_| maker.change(&mut after, ty)));
    }
    let last = changes.last()?;
    let body = match verb {
        Verb::Put => after,
        Verb::MergePatch => merge_patch(&before, &after)?,
        Verb::JsonPatch => {
            let mut operation = object(&[("op", last.op.into()), ("path", pointer(&last.steps).into())]);
            if last.op != "remove" {
                operation.set_at(&["value"], at(&after, &last.steps)?.clone());
            }
            Value::List(vec![operation])
        }
        Verb::StrategicPatch | Verb::Apply | Verb::ApplyForced => {
            let mut body = Value::Map(Map::new());
            for change in &changes {
                if at(&after, &change.steps).is_some() {
                    add_fragment(&mut body, &after, &change.steps, ty);
                }
            }
            if body.as_map().is_some_and(Map::is_empty) {
                let places = maker.places(&after, ty);
                let place = maker.dice.one(&places);
                add_fragment(&mut body, &after, &place.steps, ty);
            }
            if verb != Verb::StrategicPatch {
                for field in ["apiVersion", "kind"] {
                    body.set_at(&[field], after.get(field)?.clone());
                }
                body.set_at(&["metadata", "name"], after.at(&["metadata", "name"])?.clone());
            }
            body
        }
        Verb::Status | Verb::Scale => return None,
    };
    Some(Edit { verb, manager, body })
}

/// Adds what stands at the end of some steps, with the keys of the list items on the way and nothing else. A list
/// whose items have no keys comes as a whole.
pub fn add_fragment(into: &mut Value, object: &Value, steps: &[Step], ty: TypeRef<'_>) {
    let Some((step, rest)) = steps.split_first() else {
        *into = object.clone();
        return;
    };
    match step {
        Step::Key(key) => {
            let Some(child) = object.get(key) else { return };
            let ty = type_of(ty.field(key));
            if into.as_map().is_none() {
                *into = Value::Map(Map::new());
            }
            let Some(map) = into.as_map_mut() else { return };
            if ty.is_atomic() && !rest.is_empty() {
                map.insert(key.as_str(), child.clone());
            } else {
                add_fragment(map.entry_or_null(key), child, rest, ty);
            }
        }
        Step::Index(index) => {
            let trueup_merge::Shape::List { kind, element } = ty.shape() else { return };
            let Some(item) = object.as_list().and_then(|items| items.get(*index)) else { return };
            let keys = match kind {
                trueup_merge::ListKind::Map { keys } => keys,
                trueup_merge::ListKind::Atomic | trueup_merge::ListKind::Set => {
                    *into = object.clone();
                    return;
                }
            };
            if into.as_list().is_none() {
                *into = Value::List(Vec::new());
            }
            let Some(items) = into.as_list_mut() else { return };
            let is_it = |other: &Value| keys.iter().all(|key| other.get(key) == item.get(key));
            let position = items.iter().position(is_it).unwrap_or_else(|| {
                let named = keys.iter().filter_map(|key| Some((key.clone(), item.get(key)?.clone())));
                items.push(named.collect::<Map>().into());
                items.len() - 1
            });
            if let Some(slot) = items.get_mut(position) {
                let mut inner = Value::Null;
                add_fragment(&mut inner, item, rest, element);
                match (slot.as_map_mut(), inner) {
                    (Some(map), Value::Map(inner)) => {
                        for (name, value) in inner {
                            map.insert(name, value);
                        }
                    }
                    (_, other) => *slot = other,
                }
            }
        }
    }
}

/// The JSON merge patch from one value to another; `None` where they are the same.
pub fn merge_patch(before: &Value, after: &Value) -> Option<Value> {
    match (before.as_map(), after.as_map()) {
        (Some(left), Some(right)) => {
            let mut patch = Map::new();
            for name in left.keys().filter(|name| !right.contains(name)) {
                patch.insert(name, Value::Null);
            }
            for (name, value) in right.iter() {
                let changed = match left.get(name) {
                    Some(before) => merge_patch(before, value),
                    None => Some(value.clone()),
                };
                if let Some(changed) = changed {
                    patch.insert(name, changed);
                }
            }
            (!patch.is_empty()).then_some(Value::Map(patch))
        }
        _ => (before != after).then(|| after.clone()),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use trueup_merge::SchemaSet;
    use trueup_object::Gvk;

    use super::*;

    #[test]
    fn a_fragment_names_the_items_on_its_way() {
        let ty = SchemaSet::builtin().lookup(&Gvk::new("apps", "v1", "Deployment")).unwrap();
        let object = Value::from_yaml(
            b"{spec: {replicas: 1, template: {spec: {containers: [{name: a}, {name: b, image: x, args: [z]}]}}}}",
        )
        .unwrap();
        let steps = [
            Step::Key("spec".into()),
            Step::Key("template".into()),
            Step::Key("spec".into()),
            Step::Key("containers".into()),
            Step::Index(1),
            Step::Key("args".into()),
            Step::Index(0),
        ];
        let mut body = Value::Null;
        add_fragment(&mut body, &object, &steps, ty);
        assert_eq!(
            body.to_json(),
            r#"{"spec":{"template":{"spec":{"containers":[{"args":["z"],"name":"b"}]}}}}"#
        );
    }

    #[test]
    fn a_merge_patch_says_what_changed() {
        let before = Value::from_yaml(b"{a: 1, b: {c: 2, d: 3}}").unwrap();
        let after = Value::from_yaml(b"{a: 1, b: {c: 4}, e: [5]}").unwrap();
        assert_eq!(merge_patch(&before, &after).unwrap().to_json(), r#"{"b":{"c":4,"d":null},"e":[5]}"#);
        assert_eq!(merge_patch(&after, &after), None);
    }
}
