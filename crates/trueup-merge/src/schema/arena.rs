//! The arena of types that a schema set is made of, and what is known of a kind at a path.

use std::collections::BTreeMap;

use trueup_object::{Text, Value};

use super::{DefaultWhen, Scalar, SchemaSet, ZeroRule};

/// A place in the arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

#[derive(Debug, Clone)]
pub(super) enum Node {
    Scalar(Scalar),
    List {
        relation: Relation,
        element: Use,
    },
    Map {
        element: Use,
        atomic: bool,
    },
    /// Declared fields, sorted by name, and the type of others where others are allowed.
    Struct {
        fields: Vec<FieldNode>,
        others: Option<Use>,
        atomic: bool,
    },
    /// Deduced from the value: lists are atomic; maps are granular unless atomic is set.
    Any {
        atomic: bool,
    },
}

#[derive(Debug, Clone)]
pub(super) enum Relation {
    Atomic,
    Set,
    Map(Vec<Text>),
}

/// A type at one use; a use can make a granular type atomic and the other way round.
#[derive(Debug, Clone, Copy)]
pub(super) struct Use {
    pub node: NodeId,
    pub atomic: Option<bool>,
}

#[derive(Debug, Clone)]
pub(super) struct FieldNode {
    pub name: Text,
    pub ty: Use,
    pub zero: ZeroRule,
    pub default: Option<Value>,
    pub default_when: Vec<DefaultWhen>,
    pub default_from: Option<Text>,
    pub varies: bool,
    /// The server's own empty object has the field: a Go struct, or a field that is written when empty.
    pub always: bool,
    pub required: bool,
    /// The zero value that the schema publishes as the default: it completes the keys of list-map items.
    pub published_zero: Option<Value>,
    pub patch: PatchNode,
    pub format: Text,
    pub allowed: Vec<Text>,
    pub nullable: bool,
}

#[derive(Debug, Clone, Default)]
pub(super) struct PatchNode {
    pub merge: bool,
    pub retain_keys: bool,
    pub key: Option<Text>,
}

/// What holds for one kind at a path and below. Keys are field names, `[]` for list items, `{}` for map values.
#[derive(Debug, Clone, Default)]
pub(super) struct PathFacts {
    pub default: Option<Value>,
    pub default_from: Option<Text>,
    pub default_off: bool,
    pub zero: Option<ZeroRule>,
    pub below: BTreeMap<Text, PathFacts>,
}

pub(super) const ANY: NodeId = NodeId(0);
pub(super) const ANY_ATOMIC: NodeId = NodeId(1);
const SCALARS: [Scalar; 11] = [
    Scalar::String,
    Scalar::Integer,
    Scalar::Number,
    Scalar::Boolean,
    Scalar::IntOrString,
    Scalar::Quantity,
    Scalar::Duration,
    Scalar::Time,
    Scalar::MicroTime,
    Scalar::Bytes,
    Scalar::Other,
];

/// The nodes that every arena starts with, so that their places are constants.
pub(super) fn first_nodes() -> Vec<Node> {
    let mut nodes = vec![Node::Any { atomic: false }, Node::Any { atomic: true }];
    nodes.extend(SCALARS.map(Node::Scalar));
    nodes
}

/// The place of a scalar in every arena.
pub(super) fn scalar(scalar: Scalar) -> Use {
    let position = SCALARS.iter().position(|other| *other == scalar).unwrap_or_default();
    Use::plain(NodeId(position as u32 + 2))
}

impl Use {
    pub(super) fn plain(node: NodeId) -> Self {
        Self { node, atomic: None }
    }
}

impl FieldNode {
    pub(super) fn new(name: &str, ty: Use) -> Self {
        Self {
            name: Text::from(name),
            ty,
            zero: ZeroRule::Unknown,
            default: None,
            default_when: Vec::new(),
            default_from: None,
            varies: false,
            always: false,
            required: false,
            published_zero: None,
            patch: PatchNode::default(),
            format: Text::default(),
            allowed: Vec::new(),
            nullable: false,
        }
    }
}

impl PatchNode {
    /// From `x-kubernetes-patch-strategy` and `x-kubernetes-patch-merge-key`.
    pub(super) fn parse(strategy: Option<&str>, key: Option<&str>) -> Self {
        let words: Vec<&str> = strategy.unwrap_or_default().split(',').collect();
        Self {
            merge: words.contains(&"merge"),
            retain_keys: words.contains(&"retainKeys"),
            key: key.map(Text::from),
        }
    }
}

impl PathFacts {
    /// What is known at a dotted path, made empty where nothing is: `spec.containers[].env[].name`, `data{}`.
    pub(super) fn entry(&mut self, path: &str) -> &mut Self {
        let mut facts = self;
        for step in path.split('.') {
            let (name, suffixes) = step.find(['[', '{']).map_or((step, ""), |at| step.split_at(at));
            if !name.is_empty() {
                facts = facts.below.entry(Text::from(name)).or_default();
            }
            for suffix in suffixes.as_bytes().chunks(2) {
                let step = if suffix == b"[]" { "[]" } else { "{}" };
                facts = facts.below.entry(Text::from(step)).or_default();
            }
        }
        facts
    }
}

impl SchemaSet {
    pub(super) fn node(&self, id: NodeId) -> &Node {
        self.nodes.get(id.0 as usize).unwrap_or(&Node::Any { atomic: false })
    }

    pub(super) fn push(&mut self, node: Node) -> NodeId {
        let id = NodeId(self.nodes.len() as u32);
        self.nodes.push(node);
        id
    }

    /// The place of a named type; a type that is not read yet (or never) is of any shape.
    pub(super) fn named(&mut self, name: &str) -> NodeId {
        if let Some(id) = self.names.get(name) {
            return *id;
        }
        let id = self.push(Node::Any { atomic: false });
        self.give_name(id, name);
        id
    }

    fn give_name(&mut self, id: NodeId, name: &str) {
        let name = Text::from(name);
        self.names_of.insert(id, name.clone());
        self.names.insert(name, id);
    }

    pub(super) fn define(&mut self, id: NodeId, node: Node) {
        if let Some(place) = self.nodes.get_mut(id.0 as usize) {
            *place = node;
        }
    }

    /// Copies a type and what it refers to from another set.
    pub(super) fn import(&mut self, from: &SchemaSet, name: &str) -> NodeId {
        let Some(root) = from.names.get(name) else { return ANY };
        if let Some(known) = self.names.get(name) {
            return *known;
        }
        let mut copied = BTreeMap::new();
        let id = self.import_node(from, *root, &mut copied);
        self.give_name(id, name);
        id
    }

    fn import_node(&mut self, from: &SchemaSet, id: NodeId, copied: &mut BTreeMap<NodeId, NodeId>) -> NodeId {
        if (id.0 as usize) < SCALARS.len() + 2 {
            return id;
        }
        if let Some(known) = copied.get(&id) {
            return *known;
        }
        let place = self.push(Node::Any { atomic: false });
        copied.insert(id, place);
        let mut node = from.node(id).clone();
        match &mut node {
            Node::Scalar(_) | Node::Any { .. } => {}
            Node::List { element, relation: _ } | Node::Map { element, atomic: _ } => {
                element.node = self.import_node(from, element.node, copied);
            }
            Node::Struct { fields, others, atomic: _ } => {
                for field in fields {
                    field.ty.node = self.import_node(from, field.ty.node, copied);
                }
                if let Some(others) = others {
                    others.node = self.import_node(from, others.node, copied);
                }
            }
        }
        self.define(place, node);
        place
    }
}
