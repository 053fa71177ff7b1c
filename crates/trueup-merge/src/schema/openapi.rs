//! Schemas from OpenAPI v3, as API servers publish it and as CustomResourceDefinitions contain it.
//!
//! Follows the conversion that the API server itself makes for structured merge: a schema without a type is of any
//! shape, lists are atomic unless they say otherwise, an object without properties keeps everything.

use trueup_object::{Gvk, Text, Value};

use super::arena::{ANY, ANY_ATOMIC, FieldNode, Node, NodeId, PatchNode, PathFacts, Relation, Use, scalar};
use super::{Kind, Scalar, SchemaSet, ZeroRule};

/// Reads one schema into a set, collecting what it does not understand.
pub(super) struct Reader<'a> {
    pub set: &'a mut SchemaSet,
    pub problems: Vec<String>,
    /// What the schema being read is called in problems.
    pub place: String,
    /// The schema is that of a custom kind: its defaults are what the server writes, and zero values are kept.
    pub custom: bool,
}

pub(super) fn read(documents: &[Value]) -> (SchemaSet, Vec<String>) {
    let mut set = SchemaSet::new();
    let mut reader = Reader { set: &mut set, problems: Vec::new(), place: String::new(), custom: false };
    let mut read = std::collections::BTreeSet::new();
    for document in documents {
        let Some(schemas) = document.at(&["components", "schemas"]).and_then(Value::as_map) else {
            reader.problems.push("an OpenAPI document has no components.schemas".to_owned());
            continue;
        };
        for (name, schema) in schemas.iter() {
            // Shared types stand in every document that uses them.
            if read.insert(name.to_owned()) {
                name.clone_into(&mut reader.place);
                reader.named_schema(name, schema);
            }
        }
    }
    let problems = reader.problems;
    (set, problems)
}

/// Named types that stand for scalars or for anything.
fn well_known(name: &str) -> Option<Use> {
    let (_, last) = name.rsplit_once('.').unwrap_or(("", name));
    if !name.starts_with("io.k8s.") {
        return None;
    }
    Some(match last {
        "Quantity" => scalar(Scalar::Quantity),
        "IntOrString" => scalar(Scalar::IntOrString),
        "Time" => scalar(Scalar::Time),
        "MicroTime" => scalar(Scalar::MicroTime),
        "Duration" => scalar(Scalar::Duration),
        "JSON" => Use::plain(ANY),
        "RawExtension" => Use::plain(ANY_ATOMIC),
        _ => return None,
    })
}

/// The name that a schema refers to, directly or by an `allOf` of one.
fn reference(schema: &Value) -> Option<&str> {
    let direct = schema.str_at(&["$ref"]);
    let target = match schema.list_at(&["allOf"]) {
        [only] if direct.is_none() => only.str_at(&["$ref"]),
        _ => direct,
    }?;
    target.rsplit_once('/').map_or(Some(target), |(_, name)| Some(name))
}

/// Whether a published root schema is a CustomResourceDefinition's: built-in kinds have their metadata by value, and
/// publish `{}` as its default.
fn is_custom(schema: &Value) -> bool {
    schema.get("x-kubernetes-group-version-kind").is_some()
        && schema.at(&["properties", "metadata"]).is_some_and(|metadata| metadata.get("default").is_none())
}

pub(super) fn flag(schema: &Value, name: &str) -> bool {
    schema.get(name).and_then(Value::as_bool).unwrap_or_default()
}

impl Reader<'_> {
    fn named_schema(&mut self, name: &str, schema: &Value) {
        if well_known(name).is_some() {
            return;
        }
        let id = self.set.named(name);
        self.custom = is_custom(schema);
        let read = self.schema(schema, false);
        let node = self.set.node(read.node).clone();
        self.set.define(id, node);
        for entry in schema.list_at(&["x-kubernetes-group-version-kind"]) {
            let group = entry.str_at(&["group"]).unwrap_or_default();
            if let (Some(version), Some(kind)) = (entry.str_at(&["version"]), entry.str_at(&["kind"])) {
                let kind = Gvk::new(group, version, kind);
                self.set.kinds.insert(kind, Kind { node: id, facts: PathFacts::default() });
            }
        }
    }

    /// The type of a schema at its use. `keeps`: an ancestor keeps unknown fields, and with it everything below.
    pub(super) fn schema(&mut self, schema: &Value, keeps: bool) -> Use {
        let atomic = self.map_relation(schema);
        if let Some(name) = reference(schema) {
            if let Some(known) = well_known(name) {
                return known;
            }
            return Use { node: self.set.named(name), atomic };
        }
        let keeps = keeps || flag(schema, "x-kubernetes-preserve-unknown-fields");
        if flag(schema, "x-kubernetes-int-or-string") {
            return scalar(Scalar::IntOrString);
        }
        match schema.str_at(&["type"]).unwrap_or_default() {
            "object" => Use::plain(self.object(schema, keeps, atomic.unwrap_or_default())),
            "array" => Use::plain(self.list(schema, keeps)),
            "" if schema.get("properties").is_some() || schema.get("additionalProperties").is_some() => {
                Use::plain(self.object(schema, keeps, atomic.unwrap_or_default()))
            }
            "" if schema.str_at(&["format"]) == Some("int-or-string") => scalar(Scalar::IntOrString),
            "" => Use { node: ANY, atomic },
            name => self.scalar(name, schema),
        }
    }

    fn scalar(&mut self, name: &str, schema: &Value) -> Use {
        scalar(match (name, schema.str_at(&["format"]).unwrap_or_default()) {
            ("integer", _) => Scalar::Integer,
            ("number", _) => Scalar::Number,
            ("boolean", _) => Scalar::Boolean,
            ("string", "") => Scalar::String,
            ("string", "byte") => Scalar::Bytes,
            ("string", "date-time") => Scalar::Time,
            ("string", "duration") => Scalar::Duration,
            ("string", "int-or-string") => Scalar::IntOrString,
            ("string", _) => Scalar::Other,
            _ => {
                self.problem(&format!("unknown type {name:?}"));
                Scalar::Other
            }
        })
    }

    fn problem(&mut self, what: &str) {
        self.problems.push(format!("{}: {what}", self.place));
    }

    fn map_relation(&mut self, schema: &Value) -> Option<bool> {
        match schema.str_at(&["x-kubernetes-map-type"])? {
            "atomic" => Some(true),
            "granular" => Some(false),
            other => {
                self.problem(&format!("unknown map type {other:?}"));
                None
            }
        }
    }

    pub(super) fn object(&mut self, schema: &Value, keeps: bool, atomic: bool) -> NodeId {
        let required = schema.list_at(&["required"]);
        let mut fields = Vec::new();
        for (name, property) in
            schema.get("properties").and_then(Value::as_map).into_iter().flat_map(|map| map.iter())
        {
            let mut field = self.field(name, property, keeps);
            field.required = required.iter().any(|word| word.as_str() == Some(name));
            fields.push(field);
        }
        let others = match schema.get("additionalProperties") {
            None => (keeps || fields.is_empty()).then(|| Use::plain(ANY)),
            Some(Value::Bool(allowed)) => allowed.then(|| Use::plain(ANY)),
            Some(element) => Some(self.schema(element, keeps)),
        };
        self.set.push(match others {
            Some(element) if fields.is_empty() => Node::Map { element, atomic },
            others => Node::Struct { fields, others, atomic },
        })
    }

    fn field(&mut self, name: &str, property: &Value, keeps: bool) -> FieldNode {
        let mut field = FieldNode::new(name, self.schema(property, keeps));
        // A zero value that a Go type publishes is what Go has there, not something that the server writes; `{}` marks
        // a Go struct.
        match property.get("default") {
            default if self.custom => {
                field.default = default.cloned();
                field.zero = ZeroRule::Kept;
            }
            Some(Value::Map(map)) if map.is_empty() && reference(property).is_some() => field.always = true,
            Some(zero) if is_zero(zero) => field.published_zero = Some(zero.clone()),
            Some(default) => field.default = Some(default.clone()),
            None => {}
        }
        field.patch = PatchNode::parse(
            property.str_at(&["x-kubernetes-patch-strategy"]),
            property.str_at(&["x-kubernetes-patch-merge-key"]),
        );
        field.format = Text::from(property.str_at(&["format"]).unwrap_or_default());
        field.nullable = flag(property, "nullable");
        field.allowed =
            property.list_at(&["enum"]).iter().filter_map(Value::as_str).map(Text::from).collect();
        field
    }

    fn list(&mut self, schema: &Value, keeps: bool) -> NodeId {
        let relation = self.list_relation(schema);
        let element = match schema.get("items") {
            Some(items) => self.schema(items, keeps),
            None => {
                self.problem("an array does not say what its items are");
                Use::plain(ANY_ATOMIC)
            }
        };
        self.set.push(Node::List { relation, element })
    }

    fn list_relation(&mut self, schema: &Value) -> Relation {
        let keys: Vec<Text> = schema
            .list_at(&["x-kubernetes-list-map-keys"])
            .iter()
            .filter_map(Value::as_str)
            .map(Text::from)
            .collect();
        match schema.str_at(&["x-kubernetes-list-type"]) {
            Some("atomic") => Relation::Atomic,
            Some("set") => Relation::Set,
            Some("map") if !keys.is_empty() => Relation::Map(keys),
            Some(other) => {
                self.problem(&format!("cannot use list type {other:?}"));
                Relation::Atomic
            }
            None => {
                let patch = PatchNode::parse(
                    schema.str_at(&["x-kubernetes-patch-strategy"]),
                    schema.str_at(&["x-kubernetes-patch-merge-key"]),
                );
                match (patch.merge, patch.key) {
                    (true, Some(key)) => Relation::Map(vec![key]),
                    (true, None) => Relation::Set,
                    (false, _) => Relation::Atomic,
                }
            }
        }
    }
}

pub(super) fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Int(number) => *number == 0,
        Value::Float(number) => *number == 0.0,
        Value::Str(text) => text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
    }
}
