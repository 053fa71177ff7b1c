//! What a value is to structured merge at its place, and how the items of lists are told apart.

use trueup_object::{KeyFields, Map, PathElement, Value};

use crate::schema::{ListKind, Shape, TypeRef};

/// What a value is at its place, once its type and its form are both taken into account.
#[derive(Clone, Copy)]
pub(crate) enum Atom<'a> {
    /// One value.
    Leaf,
    List {
        kind: ListKind<'a>,
        element: TypeRef<'a>,
    },
    Map {
        atomic: bool,
    },
    /// Nothing, where anything may stand: takes the form of what it is compared with.
    Wild {
        atomic: bool,
    },
}

/// The form that a value has by its type; a value that does not fit its type is one value.
pub(crate) fn atom<'a>(ty: TypeRef<'a>, value: Option<&Value>) -> Atom<'a> {
    let value = value.unwrap_or(&Value::Null);
    match (ty.shape(), value) {
        (Shape::Scalar(_), _) => Atom::Leaf,
        (Shape::List { kind, element }, Value::List(_) | Value::Null) => Atom::List { kind, element },
        (
            Shape::Struct { atomic, open: _ } | Shape::Map { atomic, element: _ },
            Value::Map(_) | Value::Null,
        ) => Atom::Map { atomic },
        (Shape::Untyped, Value::Null) => Atom::Wild { atomic: ty.is_atomic() },
        (Shape::Untyped, Value::List(_)) => Atom::List { kind: ListKind::Atomic, element: ty.element() },
        (Shape::Untyped, Value::Map(_)) => Atom::Map { atomic: ty.is_atomic() },
        (Shape::List { .. } | Shape::Struct { .. } | Shape::Map { .. } | Shape::Untyped, _) => Atom::Leaf,
    }
}

/// The type of a map's key or a struct's field; what a schema does not declare is deduced.
pub(crate) fn child_type<'a>(ty: TypeRef<'a>, name: &str) -> TypeRef<'a> {
    match ty.step(name) {
        Some(step) => step.ty,
        None => TypeRef::untyped(),
    }
}

/// How an item of a list is named in paths. `list` is the type of the list.
///
/// Keys stand in the schema's order; a key field that the item lacks has its default (`protocol: TCP`), and one without
/// a default is left out. An item that has no key at all, and an item of an atomic list, is named by its index.
pub fn element_path(item: &Value, index: usize, list: TypeRef<'_>) -> PathElement {
    match list.shape() {
        Shape::List { kind, element } => {
            item_element(item, kind, element).unwrap_or(PathElement::Index(index))
        }
        Shape::Scalar(_) | Shape::Struct { .. } | Shape::Map { .. } | Shape::Untyped => {
            PathElement::Index(index)
        }
    }
}

/// The element that names an item; `None` where it has none.
pub(crate) fn item_element(item: &Value, kind: ListKind<'_>, element: TypeRef<'_>) -> Option<PathElement> {
    match kind {
        ListKind::Atomic => None,
        ListKind::Set => match item {
            Value::Null | Value::List(_) | Value::Map(_) => None,
            Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => {
                Some(PathElement::Value(item.clone()))
            }
        },
        ListKind::Map { keys } => {
            let item = item.as_map()?;
            let fields: Vec<_> = keys
                .iter()
                .filter_map(|key| Some((key.clone(), key_value(item, key, element)?.clone())))
                .collect();
            (!fields.is_empty()).then(|| PathElement::Key(KeyFields::new(fields)))
        }
    }
}

/// The value of a key field in an item of a list-map: its own, or the default where it has none.
pub fn key_value<'v>(item: &'v Map, key: &str, element: TypeRef<'v>) -> Option<&'v Value> {
    item.get(key).or_else(|| element.field(key)?.key_default())
}

/// Whether an item is the one that key fields name, without knowing its schema: fields that the item lacks may be
/// defaults, so they do not count against it.
pub fn same_key(item: &Value, keys: &KeyFields) -> KeyMatch {
    let Some(item) = item.as_map() else { return KeyMatch::No };
    let mut present = 0;
    let mut missing = 0;
    for (name, value) in keys.iter() {
        match item.get(name) {
            Some(found) if found == value => present += 1,
            Some(_) => return KeyMatch::No,
            None => missing += 1,
        }
    }
    match (present, missing) {
        (0, _) => KeyMatch::No,
        (_, 0) => KeyMatch::Yes,
        _ => KeyMatch::ButForDefaults,
    }
}

/// How well an item fits key fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyMatch {
    No,
    /// What it has agrees, but it lacks a key field.
    ButForDefaults,
    Yes,
}
