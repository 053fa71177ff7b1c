//! Types as readers see them: a reference into a schema set that knows the kind and place it was reached by.

use std::sync::OnceLock;

use trueup_object::{Map, Text, Value};

use super::arena::{ANY, FieldNode, Node, NodeId, PathFacts, Relation, Use};
use super::{DefaultWhen, Scalar, SchemaSet, ZeroRule};

/// The type of a value at one place of one kind.
#[derive(Clone, Copy)]
pub struct TypeRef<'a> {
    site: Site<'a>,
    /// Where another set knows defaults and zero values of the same place.
    facts: Option<Site<'a>>,
}

/// A type in a set, with what its kind says about the place.
#[derive(Clone, Copy)]
struct Site<'a> {
    set: &'a SchemaSet,
    ty: Use,
    kind: Option<&'a PathFacts>,
}

/// What a type looks like.
#[derive(Debug, Clone, Copy)]
pub enum Shape<'a> {
    Scalar(Scalar),
    List {
        kind: ListKind<'a>,
        element: TypeRef<'a>,
    },
    /// Declared fields; `open` where other fields are kept too.
    Struct {
        atomic: bool,
        open: bool,
    },
    Map {
        element: TypeRef<'a>,
        atomic: bool,
    },
    /// Deduced from the value: lists are atomic, maps granular unless [`TypeRef::is_atomic`].
    Untyped,
}

/// How the items of a list are told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListKind<'a> {
    /// Not at all: the list is one value.
    Atomic,
    /// By their value.
    Set,
    /// By key fields, in the schema's order.
    Map { keys: &'a [Text] },
}

/// How a strategic merge patch changes a field.
///
/// `Merge` on a list merges items by `key` (a list of scalars without a key is a set); on a map or struct everything is
/// merged anyway. `retain_keys` and `RetainKeys`: `$retainKeys` directives are honoured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchStrategy<'a> {
    Replace,
    Merge { key: Option<&'a str>, retain_keys: bool },
    RetainKeys,
}

/// A field of a struct, or a key of a map.
#[derive(Debug, Clone, Copy)]
pub struct Field<'a> {
    pub ty: TypeRef<'a>,
    /// The schema names this field; otherwise it is a key of a map or an unknown field that is kept.
    pub declared: bool,
    pub zero: ZeroRule,
    /// What the server writes when the parent is there and the field is not, unless siblings say otherwise.
    pub default: Option<&'a Value>,
    /// Defaults that depend on a sibling; the first that matches goes before [`Field::default`].
    pub default_when: &'a [DefaultWhen],
    /// The sibling whose value the server copies into the field.
    pub default_from: Option<&'a str>,
    /// The default varies in a way that the schema cannot express.
    pub varies: bool,
    /// The server's own empty object has the field (a Go struct, or written when empty).
    pub always: bool,
    pub required: bool,
    pub nullable: bool,
    /// For strategic merge patches.
    pub patch: PatchStrategy<'a>,
    /// `int32`, `int64`, `double`, ...; empty where there is none.
    pub format: &'a str,
    /// The values of a string enum; empty where any value is allowed.
    pub allowed: &'a [Text],
    published_zero: Option<&'a Value>,
}

/// A field of a struct or a key of a map, of which only the type was looked up: [`Step::field`] tells the rest.
#[derive(Clone, Copy)]
pub struct Step<'a> {
    pub ty: TypeRef<'a>,
    node: Option<&'a FieldNode>,
    known: Option<&'a FieldNode>,
}

impl<'a> Step<'a> {
    /// The schema names this field.
    pub fn is_declared(&self) -> bool {
        self.node.is_some()
    }

    /// The sibling whose value the server copies into the field.
    pub fn default_from(&self) -> Option<&'a str> {
        let of_kind = self.places().find_map(|kind| kind.default_from.as_deref());
        of_kind.or_else(|| self.nodes().find_map(|field| field.default_from.as_deref()))
    }

    /// As [`Field::format`].
    pub fn format(&self) -> &'a str {
        self.nodes().next().map_or("", |field| field.format.as_str())
    }

    /// All that the schema says about the field.
    pub fn field(&self) -> Field<'a> {
        Field::new(self)
    }

    /// What the kind says about the place, in each set.
    fn places(&self) -> impl Iterator<Item = &'a PathFacts> {
        [self.ty.site.kind, self.ty.facts.and_then(|facts| facts.kind)].into_iter().flatten()
    }

    /// The field as each set has it.
    fn nodes(&self) -> impl Iterator<Item = &'a FieldNode> {
        self.node.into_iter().chain(self.known)
    }
}

impl<'a> Site<'a> {
    fn node(self) -> &'a Node {
        self.set.node(self.ty.node)
    }

    fn step(self, step: &str, ty: Use) -> Self {
        Self { set: self.set, ty, kind: self.kind.and_then(|kind| kind.below.get(step)) }
    }

    /// The declared field of a struct, or the type of other keys.
    fn field(self, name: &str) -> Option<(Option<&'a FieldNode>, Self)> {
        match self.node() {
            Node::Struct { fields, others, atomic: _ } => {
                match fields.binary_search_by(|field| field.name.as_str().cmp(name)) {
                    Ok(index) => {
                        let field = &fields[index];
                        Some((Some(field), self.step(name, field.ty)))
                    }
                    Err(_) => others.map(|ty| (None, self.step("{}", ty))),
                }
            }
            Node::Map { element, atomic: _ } => Some((None, self.step("{}", *element))),
            Node::Any { .. } => Some((None, self.step("{}", Use::plain(self.ty.node)))),
            Node::Scalar(_) | Node::List { .. } => None,
        }
    }

    fn element(self) -> Self {
        match self.node() {
            Node::List { element, relation: _ } => self.step("[]", *element),
            Node::Map { element, atomic: _ } => self.step("{}", *element),
            Node::Struct { others, .. } => self.step("{}", others.unwrap_or(Use::plain(ANY))),
            Node::Any { .. } => self.step("{}", Use::plain(self.ty.node)),
            Node::Scalar(_) => self.step("{}", Use::plain(ANY)),
        }
    }
}

impl<'a> TypeRef<'a> {
    /// A type deduced from each value: maps granular, lists atomic.
    pub fn untyped() -> TypeRef<'static> {
        static EMPTY: OnceLock<SchemaSet> = OnceLock::new();
        TypeRef::plain(EMPTY.get_or_init(SchemaSet::new), Use::plain(ANY), None)
    }

    pub(super) fn of_kind(set: &'a SchemaSet, node: NodeId, kind: &'a PathFacts) -> Self {
        Self::plain(set, Use::plain(node), Some(kind))
    }

    pub(super) fn with_facts(self, base: TypeRef<'a>) -> Self {
        Self { site: self.site, facts: Some(base.site) }
    }

    fn plain(set: &'a SchemaSet, ty: Use, kind: Option<&'a PathFacts>) -> Self {
        Self { site: Site { set, ty, kind }, facts: None }
    }

    pub fn shape(self) -> Shape<'a> {
        match self.site.node() {
            Node::Scalar(scalar) => Shape::Scalar(*scalar),
            Node::List { relation, element: _ } => {
                let kind = match relation {
                    _ if self.site.ty.atomic == Some(true) => ListKind::Atomic,
                    Relation::Atomic => ListKind::Atomic,
                    Relation::Set => ListKind::Set,
                    Relation::Map(keys) => ListKind::Map { keys },
                };
                Shape::List { kind, element: self.element() }
            }
            Node::Map { .. } => Shape::Map { element: self.element(), atomic: self.is_atomic() },
            Node::Struct { others, .. } => Shape::Struct { atomic: self.is_atomic(), open: others.is_some() },
            Node::Any { .. } => Shape::Untyped,
        }
    }

    /// The name that the schema gives the type, as `io.k8s.api.core.v1.PodSpec`; `None` where it has none.
    pub fn name(self) -> Option<&'a str> {
        self.site.set.names_of.get(&self.site.ty.node).map(Text::as_str)
    }

    /// Whether a value of this type is one value for structured merge.
    pub fn is_atomic(self) -> bool {
        match (self.site.ty.atomic, self.site.node()) {
            (Some(atomic), _) => atomic,
            (None, Node::Map { atomic, .. } | Node::Struct { atomic, .. } | Node::Any { atomic }) => *atomic,
            (None, Node::List { relation, element: _ }) => matches!(relation, Relation::Atomic),
            (None, Node::Scalar(_)) => true,
        }
    }

    /// A field of a struct or a key of a map; `None` where the type has no such field.
    pub fn field(self, name: &str) -> Option<Field<'a>> {
        self.step(name).map(|step| step.field())
    }

    /// The same with its type alone, which is quicker.
    pub fn step(self, name: &str) -> Option<Step<'a>> {
        let (node, site) = self.site.field(name)?;
        let facts = self.facts.and_then(|facts| facts.field(name));
        let ty = TypeRef { site, facts: facts.map(|(_, site)| site) };
        Some(Step { ty, node, known: facts.and_then(|(node, _)| node) })
    }

    /// The declared fields, sorted by name.
    pub fn fields(self) -> impl Iterator<Item = (&'a str, Field<'a>)> {
        let names = match self.site.node() {
            Node::Struct { fields, .. } => fields.as_slice(),
            Node::Scalar(_) | Node::List { .. } | Node::Map { .. } | Node::Any { .. } => &[],
        };
        names.iter().filter_map(move |field| Some((field.name.as_str(), self.field(&field.name)?)))
    }

    /// The declared fields that are there even when they are empty ([`Field::always`]), sorted by name.
    pub fn always(self) -> impl Iterator<Item = (&'a str, Step<'a>)> {
        let fields = match self.site.node() {
            Node::Struct { fields, .. } => fields.as_slice(),
            Node::Scalar(_) | Node::List { .. } | Node::Map { .. } | Node::Any { .. } => &[],
        };
        // Without another set, nobody else can say so.
        let possible = fields.iter().filter(move |field| field.always || self.facts.is_some());
        possible.filter_map(move |field| {
            let step = self.step(&field.name)?;
            let is_always = step.nodes().any(|field| field.always);
            is_always.then_some((field.name.as_str(), step))
        })
    }

    /// The type of a list's items or of a map's values.
    pub fn element(self) -> TypeRef<'a> {
        Self { site: self.site.element(), facts: self.facts.map(Site::element) }
    }
}

impl<'a> Field<'a> {
    fn new(step: &Step<'a>) -> Self {
        let Step { ty, node, known: _ } = *step;
        let kind_zero = step.places().find_map(|kind| kind.zero);
        let kind_default = step.places().find_map(|kind| kind.default.as_ref());
        let default_off = step.places().any(|kind| kind.default_off);
        let type_zero = step.nodes().map(|field| field.zero).find(|zero| *zero != ZeroRule::Unknown);
        let type_default = step.nodes().find_map(|field| field.default.as_ref()).filter(|_| !default_off);
        let first = step.nodes().next();
        Self {
            ty,
            declared: node.is_some(),
            zero: kind_zero.or(type_zero).unwrap_or(ZeroRule::Unknown),
            default: kind_default.or(type_default),
            default_when: step
                .nodes()
                .map(|field| field.default_when.as_slice())
                .find(|rules| !rules.is_empty())
                .unwrap_or_default(),
            default_from: step.default_from(),
            varies: step.nodes().any(|field| field.varies),
            always: step.nodes().any(|field| field.always),
            required: node.is_some_and(|field| field.required),
            nullable: node.is_some_and(|field| field.nullable),
            patch: first.map_or(PatchStrategy::Replace, FieldNode::patch_strategy),
            format: first.map_or("", |field| field.format.as_str()),
            allowed: first.map_or(&[], |field| field.allowed.as_slice()),
            published_zero: step.nodes().find_map(|field| field.published_zero.as_ref()),
        }
    }

    /// What the server writes for the field where its parent has these other fields and lacks this one.
    ///
    /// `None` too where it varies in a way that the schema cannot express ([`Field::varies`]).
    pub fn default_in<'v>(&self, siblings: &'v Map) -> Option<&'v Value>
    where
        'a: 'v,
    {
        let matches = |rule: &&DefaultWhen| match (siblings.get(&rule.field), &rule.is) {
            (Some(found), Some(wanted)) => found == wanted,
            (found, None) => found.is_some_and(|found| !found.is_null()) == rule.present,
            (None, Some(_)) => false,
        };
        if let Some(rule) = self.default_when.iter().find(matches) {
            return Some(&rule.value).filter(|value| !value.is_null());
        }
        let copied = self.default_from.and_then(|sibling| siblings.get(sibling));
        copied.filter(|value| !value.is_null()).or(self.default)
    }

    /// What completes the key of a list-map item that lacks this field.
    pub fn key_default(&self) -> Option<&'a Value> {
        self.default.or(self.published_zero)
    }
}

impl FieldNode {
    fn patch_strategy(&self) -> PatchStrategy<'_> {
        if self.patch.merge {
            PatchStrategy::Merge { key: self.patch.key.as_deref(), retain_keys: self.patch.retain_keys }
        } else if self.patch.retain_keys {
            PatchStrategy::RetainKeys
        } else {
            PatchStrategy::Replace
        }
    }
}

impl std::fmt::Debug for TypeRef<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.site.node() {
            Node::Scalar(scalar) => write!(out, "{scalar:?}"),
            Node::List { relation, .. } => write!(out, "List({relation:?})"),
            Node::Map { .. } => write!(out, "Map(atomic: {})", self.is_atomic()),
            Node::Struct { fields, .. } => {
                let names: Vec<&str> = fields.iter().map(|field| field.name.as_str()).collect();
                write!(out, "Struct(atomic: {}, {names:?})", self.is_atomic())
            }
            Node::Any { .. } => write!(out, "Untyped(atomic: {})", self.is_atomic()),
        }
    }
}
