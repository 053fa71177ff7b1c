//! A place in an object as comparing sees it: the type of the value, and what its parent knows about it.

use trueup_merge::{Field, ListKind, Shape, Step, TypeRef};
use trueup_object::Value;

use crate::derived;
use crate::equal;

/// A place in an object.
#[derive(Clone, Copy)]
pub(crate) struct Spot<'a> {
    pub ty: TypeRef<'a>,
    /// The field's name or the map's key; that of the list for an item of a list; empty at the root.
    pub name: &'a str,
    /// The name one level up.
    pub parent: &'a str,
    step: Option<Step<'a>>,
    /// The map that the value is in, in live: some defaults depend on siblings.
    siblings: Option<&'a Value>,
    /// The same map as Git declares it.
    declared: Option<&'a Value>,
    /// What the value would be if the siblings were as Git declares them.
    earlier: Option<&'a Value>,
    /// Of a default that is an object, the part that belongs here.
    expected: Option<&'a Value>,
    /// The sibling that this field copies and that copies this one, while Git does not declare it: then neither value
    /// explains the other.
    circle: bool,
}

/// How a pair of values is taken apart.
pub(crate) enum Parts {
    /// Not at all.
    Scalar,
    /// A list that is one value, or whose items are compared by index.
    AtomicList,
    /// A list whose items have names.
    NamedList,
    Map {
        atomic: bool,
    },
}

impl<'a> Spot<'a> {
    pub fn root(ty: TypeRef<'a>) -> Self {
        Self {
            ty,
            name: "",
            parent: "",
            step: None,
            siblings: None,
            declared: None,
            earlier: None,
            expected: None,
            circle: false,
        }
    }

    /// The place of a field; `live` is the map in live that holds it.
    pub fn child(&self, name: &'a str, live: Option<&'a Value>) -> Self {
        self.child_with(name, live, self.object_default())
    }

    /// The same where the default of the map, as [`Spot::object_default`] has it, is known already.
    pub fn child_with(&self, name: &'a str, live: Option<&'a Value>, default: Option<&'a Value>) -> Self {
        let step = self.ty.step(name);
        Self {
            ty: child_type(step),
            name,
            parent: self.name,
            step,
            siblings: live,
            declared: None,
            earlier: self.default_amount(name, self.declared),
            expected: default
                .and_then(|default| default.get(name))
                .or_else(|| self.default_amount(name, self.siblings)),
            circle: self.in_circle(name, step).is_some(),
        }
    }

    fn default_amount(&self, name: &str, item: Option<&'a Value>) -> Option<&'a Value> {
        let item = item.filter(|_| self.parent == "limits")?;
        derived::default_amount(self.name, name, item)
    }

    /// The place of a field in a map of which Git declares `declared` and that has this default.
    pub fn child_beside(
        &self,
        name: &'a str,
        live: Option<&'a Value>,
        declared: Option<&'a Value>,
        default: Option<&'a Value>,
    ) -> Self {
        let child = Self { declared, ..self.child_with(name, live, default) };
        if !child.circle {
            return child;
        }
        let sibling = self.in_circle(name, child.step);
        let is_declared = sibling.is_some_and(|sibling| {
            declared.and_then(|map| map.get(sibling)).is_some_and(|value| !value.is_null())
        });
        Self { circle: !is_declared, ..child }
    }

    /// The field that a field copies, where that one copies it in turn: `serviceAccount` and `serviceAccountName`.
    fn in_circle(&self, name: &str, step: Option<Step<'a>>) -> Option<&'a str> {
        let sibling = step?.default_from()?;
        (self.ty.step(sibling)?.default_from() == Some(name)).then_some(sibling)
    }

    /// The same place with a type that is known better.
    pub fn retyped(self, ty: TypeRef<'a>) -> Self {
        Self { ty, ..self }
    }

    /// The place of a list's item.
    pub fn item(&self) -> Self {
        Self {
            ty: self.ty.element(),
            name: self.name,
            parent: self.parent,
            step: None,
            siblings: None,
            declared: None,
            earlier: None,
            expected: None,
            circle: false,
        }
    }

    /// The field as its parent's type has it; `None` for items and for what the schema does not know.
    pub fn field(&self) -> Option<Field<'a>> {
        self.step.map(|step| step.field())
    }

    /// How a value here is taken apart, by its type and its form.
    pub fn parts(&self, value: &Value) -> Parts {
        match (self.ty.shape(), value) {
            (Shape::List { kind: ListKind::Map { .. } | ListKind::Set, .. }, Value::List(_)) => {
                Parts::NamedList
            }
            (Shape::List { kind: ListKind::Atomic, .. } | Shape::Untyped, Value::List(_)) => {
                Parts::AtomicList
            }
            (Shape::Struct { atomic, .. } | Shape::Map { atomic, .. }, Value::Map(_)) => {
                Parts::Map { atomic }
            }

            (Shape::Untyped, Value::Map(_)) => Parts::Map { atomic: self.ty.is_atomic() },
            (Shape::List { .. } | Shape::Scalar(_), Value::Map(_)) => Parts::Map { atomic: false },
            (Shape::Scalar(_) | Shape::Struct { .. } | Shape::Map { .. }, Value::List(_)) => {
                Parts::AtomicList
            }
            (_, Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_)) => {
                Parts::Scalar
            }
        }
    }

    /// What the server writes here when nothing is declared, as far as the schema can say it.
    fn known_default(&self) -> Option<&'a Value> {
        let field = self.field()?;
        match self.siblings.and_then(Value::as_map).filter(|_| !self.circle) {
            Some(siblings) => field.default_in(siblings),
            None => field.default,
        }
    }

    /// A default that is a map with something in it: what it stands for exists although nobody declared it.
    pub fn object_default(&self) -> Option<&'a Value> {
        let default = self.known_default().or(self.expected)?;
        default.as_map().is_some_and(|map| !map.is_empty()).then_some(default)
    }

    /// Whether live has here what it would have if nobody had declared anything.
    pub fn is_default(&self, live: &Value) -> bool {
        let is_live = |default: &Value| default == live || equal::same(default, live, self);
        let derived = || derived::default(self.name, self.parent, self.siblings?);
        let instead = || {
            self.expected?;
            derived::default_instead(self.name, self.parent, self.siblings?)
        };
        self.known_default().or(self.expected).is_some_and(is_live)
            || self.earlier.is_some_and(is_live)
            || derived().is_some_and(|it| is_live(&it))
            || instead().is_some_and(|it| is_live(&it))
    }

    /// Whether a value that nobody owns is the default of how the siblings were before.
    pub fn is_earlier_default(&self, live: &Value) -> bool {
        self.field().is_some_and(|field| field.varies) && derived::is_left_of_earlier_image(self.name, live)
    }

    /// Whether the place is a key of labels, annotations, data and the like: text of which nothing more is known.
    pub fn in_free_map(&self) -> bool {
        const FREE: [&str; 6] = ["labels", "annotations", "matchLabels", "data", "stringData", "binaryData"];
        FREE.contains(&self.parent)
    }
}

/// What a schema does not declare is deduced from the value.
pub(crate) fn child_type(step: Option<Step<'_>>) -> TypeRef<'_> {
    match step {
        Some(step) => step.ty,
        None => TypeRef::untyped(),
    }
}
