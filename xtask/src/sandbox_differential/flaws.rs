//! Requests with something wrong with them, by the name of what is wrong: here what is wrong with the object that they hold, and
//! below what is wrong with the request around it.

mod requests;

use trueup_merge::{Field, Scalar, Shape, TypeRef};
use trueup_object::{Map, Value};

use super::request::{Request, Verb};
use super::writer::{Writer, bare};
use crate::differential::edits::merge_patch;
use crate::differential::mutate::{Step, at, at_mut, take_out, type_of};
use requests::OF_REQUESTS;

/// What may be wrong with the object that a request holds.
const OF_OBJECTS: [&str; 24] = [
    "missing-required",
    "wrong-type",
    "unknown-field",
    "duplicate-key",
    "negative-number",
    "port-out-of-range",
    "bad-quantity",
    "bad-enum",
    "bad-time",
    "empty-text",
    "bad-label",
    "long-label",
    "bad-annotation",
    "long-annotation",
    "bad-name",
    "bad-finalizer",
    "bad-owner",
    "bad-selector",
    "immutable",
    "wrong-kind",
    "wrong-version",
    "wrong-namespace",
    "duplicate-item",
    "null-value",
];

/// A typed place of an object.
struct Spot<'t> {
    steps: Vec<Step>,
    name: String,
    ty: TypeRef<'t>,
    field: Option<Field<'t>>,
}

fn spots<'t>(object: &Value, ty: TypeRef<'t>) -> Vec<Spot<'t>> {
    let mut found = Vec::new();
    collect(object, ty, &mut Vec::new(), "", None, &mut found);
    found
}

fn collect<'t>(
    value: &Value,
    ty: TypeRef<'t>,
    steps: &mut Vec<Step>,
    name: &str,
    field: Option<Field<'t>>,
    found: &mut Vec<Spot<'t>>,
) {
    let top = matches!(steps.as_slice(), [Step::Key(key)] if ["metadata", "apiVersion", "kind", "status"].contains(&key.as_str()));
    if top {
        return;
    }
    if !steps.is_empty() {
        found.push(Spot { steps: steps.clone(), name: name.to_owned(), ty, field });
    }
    match value {
        Value::Map(map) => {
            for (key, inner) in map.iter() {
                let field = ty.field(key);
                steps.push(Step::Key(key.to_owned()));
                let inner_ty = type_of(field);
                collect(inner, inner_ty, steps, key, field, found);
                steps.pop();
            }
        }
        Value::List(items) => {
            for (index, item) in items.iter().enumerate() {
                steps.push(Step::Index(index));
                collect(item, ty.element(), steps, name, None, found);
                steps.pop();
            }
        }
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
    }
}

impl Writer<'_> {
    /// A request with a flaw; `None` where the dice chose one that does not fit.
    pub fn flawed(&mut self, live: Option<&Value>) -> Option<Request> {
        let (name, request) = if self.dice.percent(60) {
            let name = *self.dice.one(&OF_OBJECTS);
            (name, self.with_flawed_object(name, live)?)
        } else {
            let name = *self.dice.one(&OF_REQUESTS);
            (name, self.flawed_request(name, live)?)
        };
        Some(Request { flaw: name.to_owned(), ..request })
    }

    fn with_flawed_object(&mut self, flaw: &str, live: Option<&Value>) -> Option<Request> {
        // Nothing else is wrong with it: a live object is valid, and so is the least one.
        let before = live.map_or_else(|| self.least.clone(), bare);
        let mut after = before.clone();
        if !self.spoil(flaw, &mut after) {
            return None;
        }
        let mut request = match (live, self.dice.below(10)) {
            (None, 0..7) => Request::new(Verb::Create, after.to_json()),
            (None, _) => Request::new(Verb::Apply, after.to_json()),
            (Some(_), 0..5) => Request::new(Verb::Put, after.to_json()),
            (Some(_), 5..8) => Request::new(Verb::Merge, merge_patch(&before, &after)?.to_json()),
            (Some(_), 8) if !self.kind.is_custom() => {
                Request::new(Verb::Strategic, merge_patch(&before, &after)?.to_json())
            }
            (Some(_), _) => Request::new(Verb::Apply, after.to_json()),
        };
        if request.verb == Verb::Apply && self.dice.percent(50) {
            request.add_query("force=true");
        }
        if flaw == "duplicate-key" {
            request.body = doubled(&request.body)?;
        }
        if matches!(flaw, "unknown-field" | "duplicate-key") {
            let level = *self.dice.one(&["Strict", "Strict", "Warn", "Ignore", ""]);
            if !level.is_empty() {
                request.add_query(&format!("fieldValidation={level}"));
            }
        }
        Some(request)
    }

    fn spoil(&mut self, flaw: &str, object: &mut Value) -> bool {
        let label = |object: &mut Value, map: &str, key: &str, value: &str| {
            object.set_at(&["metadata", map, key], value.into());
            true
        };
        match flaw {
            "bad-label" => {
                let key =
                    *self.dice.one(&["bad key!", "a/b/c", "-x", "UPPER.example.com/x", "/x", "example.com/"]);
                label(object, "labels", key, "1")
            }
            "long-label" => {
                let long = "l".repeat(64);
                let value = *self.dice.one(&["-x", "a b", "x_", &long]);
                let key = if self.dice.percent(30) { "k".repeat(64) } else { "x".to_owned() };
                label(object, "labels", &key, value)
            }
            "bad-annotation" => {
                let key = *self.dice.one(&["bad key!", "a/b/c", "-x", "UPPER.example.com/x", "/x"]);
                label(object, "annotations", key, "1")
            }
            "long-annotation" => label(object, "annotations", "big", &"b".repeat(256 * 1024 + 1)),
            "bad-name" => {
                let name = match self.dice.below(6) {
                    0 => "Bad_Name".to_owned(),
                    1 => "n".repeat(300),
                    2 => String::new(),
                    3 => "a/b".to_owned(),
                    4 => "x..y".to_owned(),
                    _ => "-x".to_owned(),
                };
                object.set_at(&["metadata", "name"], name.into());
                true
            }
            "bad-finalizer" => {
                let text = *self.dice.one(&["hold", "bad finalizer", "a/b/c", ""]);
                object.set_at(&["metadata", "finalizers"], Value::List(vec![text.into()]));
                true
            }
            "bad-owner" => self.bad_owner(object),
            "wrong-kind" => {
                object.set_at(&["kind"], (*self.dice.one(&["Bogus", "Secret", ""])).into());
                true
            }
            "wrong-version" => {
                object.set_at(
                    &["apiVersion"],
                    (*self.dice.one(&["v9", "bogus.example.com/v1", "", "a/b/c"])).into(),
                );
                true
            }
            "wrong-namespace" => {
                object.set_at(&["metadata", "namespace"], "elsewhere".into());
                true
            }
            "bad-selector" => self.bad_selector(object),
            "immutable" => self.immutable(object),
            _ => self.spoil_spot(flaw, object),
        }
    }

    fn bad_owner(&mut self, object: &mut Value) -> bool {
        let owner = r#"{"apiVersion":"v1","kind":"ConfigMap","name":"a","uid":"01234567-89ab-cdef-0123-456789abcdef"}"#;
        let Ok(mut owner) = Value::from_json(owner.as_bytes()) else { return false };
        let mut owners = Vec::new();
        match self.dice.below(4) {
            0 => {
                let key = *self.dice.one(&["apiVersion", "kind", "name", "uid"]);
                owner.remove_at(&[key]);
            }
            1 => owner.set_at(&["apiVersion"], "a/b/c".into()),
            2 => {
                owner.set_at(&["kind"], "Event".into());
                owner.set_at(&["apiVersion"], "v1".into());
            }
            _ => {
                owner.set_at(&["controller"], true.into());
                let mut second = owner.clone();
                second.set_at(&["name"], "b".into());
                owners.push(second);
            }
        }
        owners.insert(0, owner);
        object.set_at(&["metadata", "ownerReferences"], owners.into());
        true
    }

    fn bad_selector(&mut self, object: &mut Value) -> bool {
        let template = ["spec", "template", "metadata", "labels"];
        let selector = if self.kind.gvk.kind == "PodDisruptionBudget"
            || object.at(&["spec", "selector", "matchLabels"]).is_some()
        {
            vec!["spec", "selector"]
        } else if self.kind.gvk.kind == "NetworkPolicy" {
            vec!["spec", "podSelector"]
        } else {
            return false;
        };
        match self.dice.below(4) {
            0 if object.at(&template).is_some() => object.set_at(&template, labels("other")),
            1 => {
                let bad = r#"[{"key":"a","operator":"Bogus"}]"#;
                let Ok(bad) = Value::from_json(bad.as_bytes()) else { return false };
                object.set_at(&[&selector[..], &["matchExpressions"]].concat(), bad);
            }
            2 => {
                let bad = r#"[{"key":"a","operator":"In"},{"key":"b","operator":"Exists","values":["x"]}]"#;
                let Ok(bad) = Value::from_json(bad.as_bytes()) else { return false };
                object.set_at(&[&selector[..], &["matchExpressions"]].concat(), bad);
            }
            _ => object.set_at(&[&selector[..], &["matchLabels", "bad key"]].concat(), "x".into()),
        }
        true
    }

    /// Changes what may not change.
    fn immutable(&mut self, object: &mut Value) -> bool {
        let changes: &[(&str, &str)] = match self.kind.gvk.kind.as_str() {
            "Deployment" | "DaemonSet" | "ReplicaSet" => {
                &[("spec.selector", r#"{"matchLabels":{"app":"{{name}}","z":"1"}}"#)]
            }
            "StatefulSet" => {
                &[("spec.serviceName", "\"other\""), ("spec.podManagementPolicy", "\"Parallel\"")]
            }
            "Job" => &[
                ("spec.completions", "9"),
                ("spec.template.spec.terminationGracePeriodSeconds", "99"),
                ("spec.completionMode", "\"Indexed\""),
            ],
            "Service" => &[("spec.clusterIP", "\"10.0.0.77\""), ("spec.clusterIP", "\"None\"")],
            "Secret" => &[("type", "\"example.com/other\"")],
            "Pod" => &[
                ("spec.nodeName", "\"elsewhere\""),
                ("spec.restartPolicy", "\"Never\""),
                ("spec.hostNetwork", "true"),
            ],
            "PersistentVolumeClaim" => {
                &[("spec.accessModes", r#"["ReadWriteMany"]"#), ("spec.storageClassName", "\"other\"")]
            }
            "PersistentVolume" => &[("spec.hostPath.path", "\"/elsewhere\"")],
            "RoleBinding" | "ClusterRoleBinding" => &[("roleRef.name", "\"other\"")],
            "StorageClass" => &[
                ("provisioner", "\"example.com/other\""),
                ("reclaimPolicy", "\"Retain\""),
                ("parameters", r#"{"a":"b"}"#),
            ],
            "PriorityClass" => &[("value", "7")],
            "RuntimeClass" => &[("handler", "\"other\"")],
            "EndpointSlice" => &[("addressType", "\"IPv6\"")],
            "CSIDriver" => {
                &[("spec.attachRequired", "true"), ("spec.volumeLifecycleModes", r#"["Ephemeral"]"#)]
            }
            "CustomResourceDefinition" => {
                &[("spec.scope", "\"Cluster\""), ("spec.group", "\"other.example.org\"")]
            }
            "IngressClass" => &[("spec.controller", "\"example.com/other\"")],
            "ConfigMap" => &[("immutable", "true")],
            _ => &[],
        };
        if changes.is_empty() {
            return false;
        }
        let (path, text) = *self.dice.one(changes);
        let name = self.least.str_at(&["metadata", "name"]).unwrap_or_default();
        let Ok(value) = Value::from_json(text.replace("{{name}}", name).as_bytes()) else { return false };
        let keys: Vec<&str> = path.split('.').collect();
        object.set_at(&keys, value);
        true
    }

    fn spoil_spot(&mut self, flaw: &str, object: &mut Value) -> bool {
        let fits = |spot: &Spot<'_>, value: &Value| match flaw {
            "missing-required" => spot.field.is_some_and(|field| field.required),
            "wrong-type" => !matches!(spot.ty.shape(), Shape::Untyped),
            "unknown-field" | "duplicate-key" => {
                matches!(spot.ty.shape(), Shape::Struct { .. }) && value.as_map().is_some()
            }
            "negative-number" => matches!(spot.ty.shape(), Shape::Scalar(Scalar::Integer)),
            "port-out-of-range" => {
                matches!(spot.ty.shape(), Shape::Scalar(Scalar::Integer | Scalar::IntOrString))
                    && spot.name.to_ascii_lowercase().contains("port")
            }
            "bad-quantity" => matches!(spot.ty.shape(), Shape::Scalar(Scalar::Quantity)),
            "bad-time" => {
                matches!(spot.ty.shape(), Shape::Scalar(Scalar::Time | Scalar::MicroTime | Scalar::Duration))
            }
            "bad-enum" => spot.field.is_some_and(|field| !field.allowed.is_empty()),
            "empty-text" => matches!(spot.ty.shape(), Shape::Scalar(Scalar::String)),
            "duplicate-item" => value.as_list().is_some_and(|items| !items.is_empty()),
            _ => true,
        };
        let spots: Vec<Spot<'_>> = spots(object, self.ty)
            .into_iter()
            .filter(|spot| at(object, &spot.steps).is_some_and(|value| fits(spot, value)))
            .collect();
        if spots.is_empty() {
            return false;
        }
        let spot = self.dice.one(&spots);
        if flaw == "missing-required" {
            return take_out(object, &spot.steps);
        }
        let Some(value) = at_mut(object, &spot.steps) else { return false };
        match flaw {
            "wrong-type" => {
                let others = [
                    Value::Int(7),
                    "text".into(),
                    true.into(),
                    Value::List(vec!["x".into()]),
                    labels("y"),
                    Value::Float(1.5),
                ];
                *value = self.dice.one(&others).clone();
            }
            "unknown-field" => value.set_at(&[*self.dice.one(&["bogus", "Spec", "replica"])], Value::Int(1)),
            "duplicate-key" => value.set_at(&["zzTwice"], 1.into()),
            "negative-number" => *value = Value::Int(-1),
            "port-out-of-range" => *value = Value::Int(*self.dice.one(&[0, 65_536, 70_000])),
            "bad-quantity" => *value = (*self.dice.one(&["1.2.3", "lots", "-1", "1 Gi", ""])).into(),
            "bad-time" => *value = (*self.dice.one(&["yesterday", "2026-13-01T00:00:00Z", "30"])).into(),
            "bad-enum" => *value = (*self.dice.one(&["Bogus", ""])).into(),
            "empty-text" => *value = "".into(),
            "duplicate-item" => {
                let Some(items) = value.as_list_mut() else { return false };
                let first = items[0].clone();
                items.push(first);
            }
            _ => *value = Value::Null,
        }
        true
    }
}

fn labels(value: &str) -> Value {
    [("app", Value::from(value))].into_iter().collect::<Map>().into()
}

/// The text with the key next to the mark twice.
fn doubled(body: &str) -> Option<String> {
    let at = body.find("\"zzTwice\":1")?;
    let before = &body[..at];
    // The first key of the same map, which is where its brace opens.
    let mut depth = 0_usize;
    let mut open = None;
    for (index, letter) in before.char_indices().rev() {
        match letter {
            '}' | ']' => depth += 1,
            '{' | '[' if depth == 0 => {
                open = Some(index);
                break;
            }
            '{' | '[' => depth -= 1,
            _ => {}
        }
    }
    let rest = &body[open? + 1..];
    let key = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')).map(|(key, _)| key.to_owned())?;
    if key == "zzTwice" {
        return Some(body.replace("\"zzTwice\":1", "\"name\":\"a\",\"name\":\"b\""));
    }
    let value = first_value(rest)?;
    Some(body.replace("\"zzTwice\":1", &format!("\"{key}\":{value}")))
}

/// The text of the value of the first key.
fn first_value(rest: &str) -> Option<String> {
    let start = rest.find(':')? + 1;
    let mut depth = 0_i32;
    let mut quoted = false;
    let mut escaped = false;
    for (index, letter) in rest[start..].char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if quoted => {}
            '{' | '[' => depth += 1,
            '}' | ']' if depth > 0 => depth -= 1,
            ',' | '}' | ']' if depth == 0 => return Some(rest[start..start + index].to_owned()),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use trueup_dice::Dice;
    use trueup_merge::SchemaSet;

    use super::*;
    use crate::differential::kinds::Kind;

    #[test]
    fn keys_are_doubled() {
        assert_eq!(
            doubled(r#"{"a":{"b":[1,{"c":"d"}],"zzTwice":1}}"#).unwrap(),
            r#"{"a":{"b":[1,{"c":"d"}],"b":[1,{"c":"d"}]}}"#
        );
        assert_eq!(doubled(r#"{"a":{"zzTwice":1}}"#).unwrap(), r#"{"a":{"name":"a","name":"b"}}"#);
        assert_eq!(doubled(r#"{"a":1}"#), None);
    }

    #[test]
    fn every_flaw_is_made_of_some_kind() {
        let kinds = Kind::all().unwrap();
        for flaw in OF_OBJECTS.iter().chain(&OF_REQUESTS) {
            let found = (0..40_000).any(|number| {
                let kind = &kinds[number % kinds.len()];
                let Some(ty) = SchemaSet::builtin().lookup(&kind.gvk) else { return false };
                let mut dice = Dice::of(3, number);
                let least = kind.least("q1x").unwrap();
                let mut writer = Writer { dice: &mut dice, kind, ty, least, applied: None };
                let live = writer.fresh();
                writer.flawed(Some(&live)).is_some_and(|request| request.flaw == *flaw)
            });
            assert!(found, "{flaw}");
        }
    }
}
