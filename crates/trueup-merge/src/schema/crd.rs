//! Schemas of custom kinds, from their CustomResourceDefinition.
//!
//! A structural schema's defaults are what the server writes, zero or not, so they are taken as they stand. Every
//! version's root has `apiVersion`, `kind` and an ordinary `metadata`, whatever its schema says of them; so has an
//! embedded resource.

use trueup_object::{Gvk, Value};

use super::arena::{ANY, FieldNode, Node, NodeId, PathFacts, Use, scalar};
use super::openapi::{Reader, flag};
use super::{Kind, Scalar, SchemaSet};

const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

pub(super) fn add(set: &mut SchemaSet, crd: &Value) -> Vec<String> {
    let (Some(group), Some(kind)) = (crd.str_at(&["spec", "group"]), crd.str_at(&["spec", "names", "kind"]))
    else {
        return vec!["a CustomResourceDefinition without spec.group or spec.names.kind".to_owned()];
    };
    set.kinds.retain(|gvk, _| gvk.group != group || gvk.kind != kind);
    let metadata = set.import(SchemaSet::builtin(), OBJECT_META);
    let mut problems = Vec::new();
    for version in crd.list_at(&["spec", "versions"]) {
        let Some(name) = version.str_at(&["name"]) else { continue };
        if version.get("served").and_then(Value::as_bool) == Some(false) {
            continue;
        }
        let place = format!("{kind}.{name}.{group}");
        let mut reader =
            CrdReader { reader: Reader { set, problems: Vec::new(), place, custom: true }, metadata };
        let node = match version.at(&["schema", "openAPIV3Schema"]) {
            Some(schema) => reader.root(schema),
            None => ANY,
        };
        problems.append(&mut reader.reader.problems);
        set.kinds.insert(Gvk::new(group, name, kind), Kind { node, facts: PathFacts::default() });
    }
    problems
}

struct CrdReader<'a> {
    reader: Reader<'a>,
    metadata: NodeId,
}

impl CrdReader<'_> {
    fn root(&mut self, schema: &Value) -> NodeId {
        let used = self.reader.schema(schema, false);
        self.finish(used.node, schema);
        if !matches!(self.reader.set.node(used.node), Node::Struct { .. }) {
            // A root of which only the unknown is known: everything is kept.
            let open = Node::Struct { fields: Vec::new(), others: Some(Use::plain(ANY)), atomic: false };
            let root = self.reader.set.push(open);
            self.embed(root);
            return root;
        }
        self.embed(used.node);
        used.node
    }

    /// Finds embedded resources in a type and everything below it.
    fn finish(&mut self, id: NodeId, schema: &Value) {
        let mut node = self.reader.set.node(id).clone();
        match &mut node {
            Node::Scalar(_) | Node::Any { .. } => {}
            Node::List { element, relation: _ } => {
                if let Some(items) = schema.get("items") {
                    self.finish(element.node, items);
                }
            }
            Node::Map { element, atomic: _ } => {
                if let Some(values) = schema.get("additionalProperties") {
                    self.finish(element.node, values);
                }
            }
            Node::Struct { fields, others, atomic: _ } => {
                for field in fields {
                    let Some(property) = schema.at(&["properties", &field.name]) else { continue };
                    self.finish(field.ty.node, property);
                }
                if let (Some(others), Some(values)) = (others, schema.get("additionalProperties")) {
                    self.finish(others.node, values);
                }
            }
        }
        self.reader.set.define(id, node);
        if flag(schema, "x-kubernetes-embedded-resource") {
            self.embed(id);
        }
    }

    /// Declares what every object has.
    fn embed(&mut self, id: NodeId) {
        let mut node = self.reader.set.node(id).clone();
        if let Node::Map { element, atomic } = &node {
            node = Node::Struct { fields: Vec::new(), others: Some(*element), atomic: *atomic };
        }
        if let Node::Struct { fields, .. } = &mut node {
            let typed = [
                ("apiVersion", scalar(Scalar::String)),
                ("kind", scalar(Scalar::String)),
                ("metadata", Use::plain(self.metadata)),
            ];
            for (name, ty) in typed {
                match fields.binary_search_by(|field| field.name.as_str().cmp(name)) {
                    Ok(index) => fields[index].ty = ty,
                    Err(index) => fields.insert(index, FieldNode::new(name, ty)),
                }
            }
        }
        self.reader.set.define(id, node);
    }
}
