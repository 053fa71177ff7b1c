//! Random changes of an object: real ones, and such that only say the same in another way.

use trueup_merge::{Field, ListKind, Scalar, Shape, TypeRef, ZeroRule};
use trueup_object::Value;

use super::generate::{Maker, Site};

/// A step down an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    Key(String),
    Index(usize),
}

/// A place in an object.
#[derive(Clone)]
pub struct Place<'t> {
    pub steps: Vec<Step>,
    pub ty: TypeRef<'t>,
    pub field: Option<Field<'t>>,
    pub site: Site,
}

/// The value at the end of some steps.
pub fn at<'v>(value: &'v Value, steps: &[Step]) -> Option<&'v Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get(key),
        Step::Index(index) => value.as_list()?.get(*index),
    })
}

/// The same for changing.
pub fn at_mut<'v>(value: &'v mut Value, steps: &[Step]) -> Option<&'v mut Value> {
    steps.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Index(index) => value.as_list_mut()?.get_mut(*index),
    })
}

/// Takes what is at the end of some steps out; whether there was something.
pub fn take_out(value: &mut Value, steps: &[Step]) -> bool {
    let Some((last, parents)) = steps.split_last() else { return false };
    let Some(parent) = at_mut(value, parents) else { return false };
    match last {
        Step::Key(key) => parent.as_map_mut().is_some_and(|map| map.remove(key).is_some()),
        Step::Index(index) => match parent.as_list_mut() {
            Some(items) if *index < items.len() => {
                items.remove(*index);
                true
            }
            _ => false,
        },
    }
}

/// The JSON pointer of some steps.
pub fn pointer(steps: &[Step]) -> String {
    let token = |step: &Step| match step {
        Step::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
        Step::Index(index) => format!("/{index}"),
    };
    steps.iter().map(token).collect()
}

/// What a change did, for a JSON patch.
pub struct Changed {
    pub steps: Vec<Step>,
    pub op: &'static str,
}

impl Maker<'_> {
    /// All places that random writes may change, the object itself apart.
    pub fn places<'t>(&self, object: &Value, ty: TypeRef<'t>) -> Vec<Place<'t>> {
        let mut places = Vec::new();
        let root = Place { steps: Vec::new(), ty, field: None, site: Site::default() };
        self.collect(object, &root, &mut places);
        places
    }

    fn collect<'t>(&self, value: &Value, place: &Place<'t>, places: &mut Vec<Place<'t>>) {
        match value {
            Value::Map(map) => {
                for (name, child) in map.iter() {
                    let site = place.site.child(name);
                    if name == "metadata" {
                        self.collect_metadata(child, place, places);
                    } else if !self.kind.is_plain(&site.path) {
                        let field = place.ty.field(name);
                        let ty = type_of(field);
                        let steps = with(&place.steps, Step::Key(name.to_owned()));
                        self.descend(child, Place { steps, ty, field, site }, places);
                    }
                }
            }
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let steps = with(&place.steps, Step::Index(index));
                    let ty = place.ty.element();
                    let inner = Place { steps, ty, field: None, site: place.site.item() };
                    self.descend(item, inner, places);
                }
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {}
        }
    }

    fn descend<'t>(&self, value: &Value, place: Place<'t>, places: &mut Vec<Place<'t>>) {
        self.collect(value, &place, places);
        places.push(place);
    }

    fn collect_metadata<'t>(&self, metadata: &Value, place: &Place<'t>, places: &mut Vec<Place<'t>>) {
        let site = place.site.child("metadata");
        for name in ["labels", "annotations"] {
            let child = site.child(name);
            let Some(map) = metadata.get(name).filter(|_| !self.kind.is_plain(&child.path)) else { continue };
            let ty = place.ty.field("metadata").and_then(|field| field.ty.field(name));
            let steps = with(&with(&place.steps, Step::Key("metadata".into())), Step::Key(name.into()));
            let ty = type_of(ty);
            self.descend(map, Place { steps, ty, field: None, site: child }, places);
        }
    }

    /// Changes one random place for real; `None` where the dice found nothing to change there.
    pub fn change(&mut self, object: &mut Value, ty: TypeRef<'_>) -> Option<Changed> {
        if self.dice.percent(12) {
            let name = *self.dice.one(&["labels", "annotations"]);
            let key = *self.dice.one(&["x", "y", "example.com/new"]);
            object.set_at(&["metadata", name, key], (*self.dice.one(&["3", "4"])).into());
            let steps = ["metadata", name, key].map(|key| Step::Key(key.to_owned())).to_vec();
            return Some(Changed { steps, op: "add" });
        }
        let places = self.places(object, ty);
        if places.is_empty() {
            return None;
        }
        let place = self.dice.one(&places).clone();
        let value = at_mut(object, &place.steps)?;
        match value {
            Value::Map(_) => self.change_map(value, &place),
            Value::List(_) => self.change_list(value, &place),
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {
                let made = match &place.field {
                    Some(field) if !field.allowed.is_empty() => self.dice.one(field.allowed).clone().into(),
                    _ => self.value(place.ty, &place.site),
                };
                let is_same = *value == made;
                *value = made;
                (!is_same).then_some(Changed { steps: place.steps, op: "replace" })
            }
        }
    }

    fn change_map(&mut self, value: &mut Value, place: &Place<'_>) -> Option<Changed> {
        let keys: Vec<String> = value.as_map()?.keys().map(str::to_owned).collect();
        if self.dice.percent(45) && !keys.is_empty() {
            let key = self.dice.one(&keys).clone();
            let child = place.site.child(&key);
            if self.kind.is_plain(&child.path) || key == "metadata" {
                return None;
            }
            value.as_map_mut()?.remove(&key);
            return Some(Changed { steps: with(&place.steps, Step::Key(key)), op: "remove" });
        }
        let (key, made) = match place.ty.shape() {
            Shape::Map { element, .. } => {
                let key = *self.dice.one(&["n1", "n2", "cpu", "memory"]);
                (key.to_owned(), self.value(element, &place.site.child(key)))
            }
            Shape::Untyped => ("n1".to_owned(), self.anything(1)),
            Shape::Struct { .. } | Shape::Scalar(_) | Shape::List { .. } => {
                let free = self.free_fields(value, place.ty, &place.site);
                if free.is_empty() {
                    return None;
                }
                let (name, field) = self.dice.one(&free).clone();
                let made = self.field(&field, &place.site.child(&name));
                (name, made)
            }
        };
        let op = if value.get(&key).is_some() { "replace" } else { "add" };
        value.set_at(&[&key], made);
        Some(Changed { steps: with(&place.steps, Step::Key(key)), op })
    }

    fn change_list(&mut self, value: &mut Value, place: &Place<'_>) -> Option<Changed> {
        let items = value.as_list_mut()?;
        match self.dice.below(3) {
            0 if !items.is_empty() => {
                let index = self.dice.below(items.len());
                items.remove(index);
                Some(Changed { steps: with(&place.steps, Step::Index(index)), op: "remove" })
            }
            1 if items.len() > 1 => {
                items.reverse();
                Some(Changed { steps: place.steps.clone(), op: "replace" })
            }
            _ => {
                let made = match place.ty.shape() {
                    Shape::List { kind, element } => self.item(kind, element, &place.site),
                    _ => self.value(place.ty.element(), &place.site.item()),
                };
                if items.contains(&made) {
                    return None;
                }
                items.push(made);
                Some(Changed { steps: with(&place.steps, Step::Index(items.len() - 1)), op: "add" })
            }
        }
    }

    /// Says the same in another way somewhere: another spelling, another order, what would be there anyway.
    pub fn respell(&mut self, object: &mut Value, ty: TypeRef<'_>) {
        let places = self.places(object, ty);
        if places.is_empty() {
            return;
        }
        let place = self.dice.one(&places).clone();
        let Some(value) = at_mut(object, &place.steps) else { return };
        match value {
            Value::Map(_) => self.respell_map(value, &place),
            Value::List(items) => {
                let is_ordered =
                    matches!(place.ty.shape(), Shape::List { kind: ListKind::Atomic, .. } | Shape::Untyped);
                if !is_ordered {
                    items.reverse();
                }
            }
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {
                if matches!(place.ty.shape(), Shape::Scalar(Scalar::Quantity))
                    && let Some(other) = other_quantity(value)
                {
                    *value = other;
                }
            }
        }
    }

    fn respell_map(&mut self, value: &mut Value, place: &Place<'_>) {
        let free = self.free_fields(value, place.ty, &place.site);
        if free.is_empty() || place.site.name == "metadata" {
            return;
        }
        let (name, field) = self.dice.one(&free).clone();
        // How the server merges an item whose key is null is its own matter.
        if name == "protocol" {
            return;
        }
        let said = match (field.default, field.zero) {
            (Some(default), _) if self.dice.percent(60) => default.clone(),
            (_, ZeroRule::Dropped) if self.dice.percent(60) => match field.ty.shape() {
                Shape::Scalar(Scalar::Boolean) => false.into(),
                Shape::Scalar(Scalar::Integer) => Value::Int(0),
                Shape::Scalar(Scalar::String) => "".into(),
                Shape::List { .. } => Vec::new().into(),
                Shape::Scalar(_) | Shape::Struct { .. } | Shape::Map { .. } | Shape::Untyped => Value::Null,
            },
            _ if self.kind.is_custom() => return,
            _ => Value::Null,
        };
        value.set_at(&[&name], said);
    }
}

fn with(steps: &[Step], step: Step) -> Vec<Step> {
    let mut steps = steps.to_vec();
    steps.push(step);
    steps
}

/// The type of a field; what a schema does not declare is deduced from the value.
pub fn type_of(field: Option<Field<'_>>) -> TypeRef<'_> {
    match field {
        Some(field) => field.ty,
        None => TypeRef::untyped(),
    }
}

/// The same amount in other words.
fn other_quantity(value: &Value) -> Option<Value> {
    let other = match value.as_str() {
        None => return (value.as_int() == Some(1)).then(|| "1".into()),
        Some("500m") => "0.5",
        Some("0.5") => "500m",
        Some("1" | "1000m") => return Some(Value::Int(1)),
        Some("250m") => "0.25",
        Some("2") => "2000m",
        Some("2000m") => "2",
        Some("1Gi") => "1024Mi",
        Some("1024Mi") => "1Gi",
        Some("1e3") => "1k",
        Some("1k") => "1000",
        Some("2048Ki") => "2Mi",
        Some(_) => return None,
    };
    Some(other.into())
}
