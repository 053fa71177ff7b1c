//! What structured merge knows about kinds: types, list types, keys, zero values, defaults.
//!
//! A [`SchemaSet`] is an arena of types, read from the compiled-in table of built-in kinds, from a cluster's OpenAPI v3
//! documents or from CustomResourceDefinitions. A [`TypeRef`] points into it and is cheap to copy. A cluster's own
//! OpenAPI goes before the table for types, but only the table knows the zero values and the defaults that are code:
//! [`Layered`] looks a kind up in both.

mod arena;
mod crd;
mod known;
mod openapi;
mod table;
mod view;

use std::collections::BTreeMap;
use std::sync::OnceLock;

use trueup_object::{GroupKind, Gvk, Text, Value};

use arena::{Node, NodeId, PathFacts};
pub use known::KnownTypeError;
pub use view::{Field, ListKind, PatchStrategy, Shape, Step, TypeRef};

/// The compiled-in table of facts about built-in kinds, as JSON (`data/README.md` has the format). It also says which groups
/// and resources are served, which no schema needs but an API server does.
pub const BUILTIN_TABLE: &[u8] = include_bytes!("../data/builtin.json");

/// A set of types and the kinds that have them.
#[derive(Debug, Clone)]
pub struct SchemaSet {
    nodes: Vec<Node>,
    names: BTreeMap<Text, NodeId>,
    /// `names`, from the other side: what is asked of every struct.
    names_of: BTreeMap<NodeId, Text>,
    kinds: BTreeMap<Gvk, Kind>,
}

#[derive(Debug, Clone)]
struct Kind {
    node: NodeId,
    /// What holds for this kind at a path, over what holds for the type there.
    facts: PathFacts,
}

/// A kind looked up in one set first and in another for what the first does not know.
#[derive(Debug, Clone, Copy)]
pub struct Layered<'a> {
    pub over: &'a SchemaSet,
    pub base: &'a SchemaSet,
}

/// The type of a value that is neither a list nor a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scalar {
    String,
    Integer,
    Number,
    Boolean,
    IntOrString,
    Quantity,
    /// As Go prints it (`1h0m5s`), or in seconds where a schema says so.
    Duration,
    Time,
    MicroTime,
    /// Base64.
    Bytes,
    /// A string with any other format, or a scalar of no declared type.
    Other,
}

/// What becomes of an explicitly declared zero value (`0`, `false`, `""`, `[]`, `{}`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ZeroRule {
    /// Stored as declared; absent is something else.
    Kept,
    /// Not stored: absent *is* the zero.
    Dropped,
    /// Stored as the default.
    Replaced,
    Unknown,
}

/// A default that depends on a sibling. [`Field::default_in`] applies these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultWhen {
    pub field: Text,
    /// The sibling's value; `None`: it is absent, unless `present`.
    pub is: Option<Value>,
    /// The sibling is there, whatever its value.
    pub present: bool,
    /// `null`: no default then.
    pub value: Value,
}

impl SchemaSet {
    /// A set that knows no kind.
    pub fn new() -> Self {
        Self {
            nodes: arena::first_nodes(),
            names: BTreeMap::new(),
            names_of: BTreeMap::new(),
            kinds: BTreeMap::new(),
        }
    }

    /// The built-in kinds of the Kubernetes version that the compiled-in table was generated from.
    pub fn builtin() -> &'static Self {
        static TABLE: OnceLock<SchemaSet> = OnceLock::new();
        TABLE.get_or_init(|| table::read(&Value::from_json(BUILTIN_TABLE).unwrap_or_default()))
    }

    /// Reads a table in the format of the compiled-in one (`data/README.md`).
    pub fn from_table(table: &Value) -> Self {
        table::read(table)
    }

    /// Reads OpenAPI v3 documents as an API server publishes them, one for each group version. Also returns what could
    /// not be understood, in words; the rest still loads.
    pub fn from_openapi_v3(documents: &[Value]) -> (Self, Vec<String>) {
        openapi::read(documents)
    }

    /// Adds or replaces the kind that a CustomResourceDefinition (v1) declares, in each of its served versions. Returns
    /// what could not be understood, in words.
    pub fn add_crd(&mut self, crd: &Value) -> Vec<String> {
        crd::add(self, crd)
    }

    /// Forgets a kind in every version.
    pub fn remove_kind(&mut self, kind: &GroupKind) {
        self.kinds.retain(|gvk, _| gvk.group_kind() != *kind);
    }

    /// The type of a kind, where the set knows it.
    pub fn lookup(&self, gvk: &Gvk) -> Option<TypeRef<'_>> {
        let kind = self.kinds.get(gvk)?;
        Some(TypeRef::of_kind(self, kind.node, &kind.facts))
    }

    /// The kinds that the set knows, sorted.
    pub fn kinds(&self) -> impl Iterator<Item = &Gvk> {
        self.kinds.keys()
    }

    /// Looks kinds up in this set first; `base` answers for kinds that this set does not know, and knows defaults and
    /// zero values of those that it does.
    pub fn over<'a>(&'a self, base: &'a Self) -> Layered<'a> {
        Layered { over: self, base }
    }
}

impl Default for SchemaSet {
    fn default() -> Self {
        Self::new()
    }
}

impl<'a> Layered<'a> {
    /// The type of a kind, where either set knows it.
    pub fn lookup(self, gvk: &Gvk) -> Option<TypeRef<'a>> {
        match (self.over.lookup(gvk), self.base.lookup(gvk)) {
            (Some(over), Some(base)) => Some(over.with_facts(base)),
            (over, base) => over.or(base),
        }
    }
}

#[cfg(test)]
mod tests;
