//! What a writer of a value owns, and how sets of fields relate to a schema.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::OnceLock;

use trueup_object::{FieldPath, FieldSet, PathElement, Text, Value};

use crate::element::{Atom, atom, child_type, item_element};
use crate::schema::{ListKind, Scalar, Shape, TypeRef};
use crate::validate::{Invalid, validate};

/// A value of which it cannot be said what it owns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", crate::validate::join(.0))]
pub struct MergeError(pub Vec<Invalid>);

/// The fields that a manager owns after applying this object: as its entry in `metadata.managedFields` says, without
/// the identity and bookkeeping fields that nobody owns.
pub fn field_set(value: &Value, ty: TypeRef<'_>) -> Result<FieldSet, MergeError> {
    let invalid = validate(value, ty);
    if invalid.is_empty() {
        Ok(all_fields(value, ty).difference(nobodys()))
    } else {
        Err(MergeError(invalid))
    }
}

/// The fields that nobody owns.
pub(crate) fn nobodys() -> &'static FieldSet {
    static STRIPPED: OnceLock<FieldSet> = OnceLock::new();
    STRIPPED.get_or_init(|| {
        let top = ["apiVersion", "kind", "metadata"].map(|name| FieldPath::fields(&[name]));
        let metadata = [
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        ]
        .map(|name| FieldPath::fields(&["metadata", name]));
        top.into_iter().chain(metadata).collect()
    })
}

/// Every field of a value, with nothing stripped.
pub(crate) fn all_fields(value: &Value, ty: TypeRef<'_>) -> FieldSet {
    walk(value, ty).below
}

/// A value's own membership and the members below it.
struct Owned {
    member: bool,
    below: FieldSet,
}

impl Owned {
    fn leaf() -> Self {
        Self { member: true, below: FieldSet::new() }
    }

    fn add_to(self, set: &mut FieldSet, element: PathElement) {
        if !self.below.is_empty() {
            *set.child_mut(&element) = self.below;
        }
        if self.member {
            set.insert(&[element]);
        }
    }
}

fn walk(value: &Value, ty: TypeRef<'_>) -> Owned {
    match atom(ty, Some(value)) {
        Atom::Leaf | Atom::List { kind: ListKind::Atomic, .. } => Owned::leaf(),
        Atom::Map { atomic } | Atom::Wild { atomic } => match value {
            _ if atomic => Owned::leaf(),
            Value::Map(_) => Owned { member: false, below: walk_map(value, ty) },
            _ => Owned { member: false, below: FieldSet::new() },
        },
        Atom::List { kind, element } => {
            Owned { member: false, below: walk_list(value.as_list().unwrap_or_default(), kind, element) }
        }
    }
}

/// Declared fields own themselves through what is below them; keys of maps are members themselves.
fn walk_map(value: &Value, ty: TypeRef<'_>) -> FieldSet {
    let mut set = FieldSet::new();
    for (name, below) in value.as_map().into_iter().flat_map(|map| map.iter()) {
        let step = ty.step(name);
        let declared = step.is_some_and(|step| step.is_declared());
        let mut owned = walk(below, step.map_or(TypeRef::untyped(), |step| step.ty));
        owned.member |= !declared || is_empty_map(below);
        owned.add_to(&mut set, PathElement::Field(Text::from(name)));
    }
    set
}

fn is_empty_map(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Map(map) => map.is_empty(),
        Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::List(_) => false,
    }
}

/// Every item is a member; of items that share a name only the name is.
fn walk_list(items: &[Value], kind: ListKind<'_>, element: TypeRef<'_>) -> FieldSet {
    let mut by_name: BTreeMap<PathElement, Vec<&Value>> = BTreeMap::new();
    for item in items {
        if let Some(name) = item_element(item, kind, element) {
            by_name.entry(name).or_default().push(item);
        }
    }
    let mut set = FieldSet::new();
    for (name, same) in by_name {
        let owned = match same.as_slice() {
            [only] => Owned { member: true, below: walk(only, element).below },
            _ => Owned::leaf(),
        };
        owned.add_to(&mut set, name);
    }
    set
}

/// The set with every declared field that has members below it as a member too: a struct's field goes when all that
/// was in it goes.
pub(crate) fn with_named_parents(set: &FieldSet, ty: TypeRef<'_>) -> FieldSet {
    let mut result = FieldSet::new();
    for member in set.members() {
        result.insert(std::slice::from_ref(member));
    }
    for (element, below) in set.children() {
        if below.is_empty() {
            continue;
        }
        let below_type = match element {
            PathElement::Field(name) => {
                let step = ty.step(name);
                if step.is_some_and(|step| step.is_declared()) {
                    result.insert(std::slice::from_ref(element));
                }
                step.map_or(TypeRef::untyped(), |step| step.ty)
            }
            PathElement::Key(_) => ty.element(),
            PathElement::Value(_) | PathElement::Index(_) => TypeRef::untyped(),
        };
        *result.child_mut(element) = with_named_parents(below, below_type);
    }
    result
}

/// The object that the server starts from when it creates one of this type: fields that are there even when empty.
///
/// It decides which parents the creator owns (`f:labels` but not `f:strategy`). An object of a custom kind starts with
/// nothing.
pub fn zero_object(ty: TypeRef<'_>) -> Value {
    let mut zero = Value::Map(trueup_object::Map::new());
    for (name, field) in ty.always() {
        let value = match field.ty.shape() {
            Shape::Struct { .. } => zero_object(field.ty),
            Shape::Scalar(scalar) => zero_scalar(scalar),
            Shape::List { .. } | Shape::Map { .. } | Shape::Untyped => Value::Null,
        };
        zero.set_at(&[name], value);
    }
    zero
}

/// What Go writes for a scalar that is there and was never set.
fn zero_scalar(scalar: Scalar) -> Value {
    match scalar {
        Scalar::String | Scalar::Bytes | Scalar::Other => Value::from(""),
        Scalar::Integer | Scalar::Number | Scalar::IntOrString => Value::from(0),
        Scalar::Boolean => Value::from(false),
        Scalar::Quantity => Value::from("0"),
        Scalar::Duration => Value::from("0s"),
        Scalar::Time | Scalar::MicroTime => Value::Null,
    }
}

/// The object as the server's Go types see it: with the structs in it that are there even when empty.
fn with_empty_structs<'v>(value: &'v Value, ty: TypeRef<'_>) -> Cow<'v, Value> {
    if lacks_empty_structs(value, ty) { Cow::Owned(filled(value, ty)) } else { Cow::Borrowed(value) }
}

/// Two objects, each as [`with_empty_structs`] gives it.
pub(crate) fn both_with_empty_structs<'v>(
    one: &'v Value,
    other: &'v Value,
    ty: TypeRef<'_>,
) -> (Cow<'v, Value>, Cow<'v, Value>) {
    match with_empty_structs(one, ty) {
        // What is the same in both lacks nothing in the other one either.
        Cow::Borrowed(one) if !lacks_more(one, other, ty) => {
            debug_assert!(!lacks_empty_structs(other, ty));
            (Cow::Borrowed(one), Cow::Borrowed(other))
        }
        one => (one, with_empty_structs(other, ty)),
    }
}

/// Whether a value lacks empty structs, beside one that lacks none.
fn lacks_more(whole: &Value, value: &Value, ty: TypeRef<'_>) -> bool {
    match (ty.shape(), whole, value) {
        (Shape::Struct { .. } | Shape::Map { .. }, Value::Map(whole), Value::Map(map)) => {
            map.iter().any(|(name, below)| match whole.get(name) {
                Some(known) if known == below => false,
                Some(known) => lacks_more(known, below, child_type(ty, name)),
                None => lacks_empty_structs(below, child_type(ty, name)),
            }) || structs_always_there(ty).any(|(name, _)| map.get(name).is_none_or(Value::is_null))
        }
        _ => lacks_empty_structs(value, ty),
    }
}

fn lacks_empty_structs(value: &Value, ty: TypeRef<'_>) -> bool {
    match (ty.shape(), value) {
        (Shape::Struct { .. } | Shape::Map { .. }, Value::Map(map)) => {
            map.iter().any(|(name, below)| lacks_empty_structs(below, child_type(ty, name)))
                || structs_always_there(ty).any(|(name, _)| map.get(name).is_none_or(Value::is_null))
        }
        (Shape::List { element, kind: _ }, Value::List(items)) => {
            items.iter().any(|item| lacks_empty_structs(item, element))
        }
        _ => false,
    }
}

fn structs_always_there(ty: TypeRef<'_>) -> impl Iterator<Item = (&str, TypeRef<'_>)> {
    let types = ty.always().map(|(name, step)| (name, step.ty));
    types.filter(|(_, ty)| matches!(ty.shape(), Shape::Struct { .. }))
}

fn filled(value: &Value, ty: TypeRef<'_>) -> Value {
    match (ty.shape(), value) {
        (Shape::Struct { .. } | Shape::Map { .. }, Value::Map(map)) => {
            let mut whole: trueup_object::Map =
                map.iter().map(|(name, below)| (name, filled(below, child_type(ty, name)))).collect();
            for (name, below) in structs_always_there(ty) {
                if whole.get(name).is_none_or(Value::is_null) {
                    let empty = Value::Map(trueup_object::Map::new());
                    whole.insert(name, filled(&empty, below));
                }
            }
            Value::Map(whole)
        }
        (Shape::List { element, kind: _ }, Value::List(items)) => {
            items.iter().map(|item| filled(item, element)).collect::<Vec<_>>().into()
        }
        _ => value.clone(),
    }
}
