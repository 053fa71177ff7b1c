//! Reads the compiled-in table of built-in kinds; `data/README.md` describes the format.
//!
//! Reading is total: what it cannot understand it leaves out, and tests hold the table to what must be there.

use trueup_object::{Gvk, Text, Value};

use super::arena::{ANY, ANY_ATOMIC, FieldNode, Node, NodeId, PatchNode, PathFacts, Relation, Use, scalar};
use super::{DefaultWhen, Kind, Scalar, SchemaSet, ZeroRule};

pub(super) fn read(table: &Value) -> SchemaSet {
    let mut set = SchemaSet::new();
    for (name, ty) in entries(table.get("types")) {
        let id = set.named(name);
        let node = read_struct(&mut set, ty);
        set.define(id, node);
    }
    for (key, kind) in entries(table.get("kinds")) {
        let (Some(gvk), Some(name)) = (parse_key(key), kind.str_at(&["type"])) else { continue };
        let node = set.named(name);
        root_has_structs(&mut set, node);
        set.kinds.insert(gvk, Kind { node, facts: read_kind_facts(kind) });
    }
    set
}

fn entries(value: Option<&Value>) -> impl Iterator<Item = (&str, &Value)> {
    value.and_then(Value::as_map).into_iter().flat_map(|map| map.iter())
}

/// `apps/v1/Deployment`, or `v1/Pod` for the core group.
fn parse_key(key: &str) -> Option<Gvk> {
    let (api_version, kind) = key.rsplit_once('/')?;
    Some(Gvk::from_api_version(api_version, kind))
}

fn read_struct(set: &mut SchemaSet, ty: &Value) -> Node {
    let atomic = flag(ty, "atomic");
    let preserve = flag(ty, "preserve");
    let fields: Vec<_> =
        entries(ty.get("fields")).map(|(name, field)| read_field(set, name, field)).collect();
    if fields.is_empty() {
        return Node::Map { element: Use::plain(ANY), atomic };
    }
    Node::Struct { fields, others: preserve.then(|| Use::plain(ANY)), atomic }
}

fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or_default()
}

fn read_field(set: &mut SchemaSet, name: &str, field: &Value) -> FieldNode {
    let mut node = FieldNode::new(name, read_use(set, field));
    node.zero = field.str_at(&["zero"]).map_or(ZeroRule::Unknown, read_zero);
    node.default = field.get("default").cloned();
    node.default_from = field.str_at(&["defaultFrom"]).map(Text::from);
    node.varies = flag(field, "varies");
    node.required = flag(field, "required");
    // A struct in the server's Go types is there in its own empty object, as is what it writes when empty. Required
    // objects are such structs, or pointers whose content is atomic.
    node.always = flag(field, "always") || flag(field, "struct") || node.required;
    node.published_zero = (node.required || flag(field, "zeroDefault"))
        .then(|| match field.str_at(&["type"]) {
            Some("string") => Some(Value::from("")),
            Some("integer") => Some(Value::Int(0)),
            _ => None,
        })
        .flatten();
    node.patch = PatchNode::parse(field.str_at(&["patch"]), field.str_at(&["mergeKey"]));
    node.format = Text::from(field.str_at(&["format"]).unwrap_or_default());
    node.allowed = texts(field.get("enum"));
    node.default_when = field
        .list_at(&["defaultWhen"])
        .iter()
        .filter_map(|rule| {
            Some(DefaultWhen {
                field: Text::from(rule.str_at(&["field"])?),
                is: rule.get("is").filter(|value| !value.is_null()).cloned(),
                present: flag(rule, "present"),
                value: rule.get("value")?.clone(),
            })
        })
        .collect();
    node
}

fn texts(list: Option<&Value>) -> Vec<Text> {
    list.and_then(Value::as_list)
        .unwrap_or_default()
        .iter()
        .filter_map(Value::as_str)
        .map(Text::from)
        .collect()
}

fn read_zero(word: &str) -> ZeroRule {
    match word {
        "kept" => ZeroRule::Kept,
        "dropped" => ZeroRule::Dropped,
        "replaced" => ZeroRule::Replaced,
        _ => ZeroRule::Unknown,
    }
}

fn read_use(set: &mut SchemaSet, field: &Value) -> Use {
    let atomic = field.get("atomic").and_then(Value::as_bool);
    let node = match field.str_at(&["type"]).unwrap_or_default() {
        "ref" => set.named(field.str_at(&["ref"]).unwrap_or_default()),
        "list" => {
            let element = field.get("items").map_or(Use::plain(ANY_ATOMIC), |items| read_use(set, items));
            let relation = match field.str_at(&["list"]) {
                Some("map") => Relation::Map(texts(field.get("keys"))),
                Some("set") => Relation::Set,
                _ => Relation::Atomic,
            };
            set.push(Node::List { relation, element })
        }
        "map" => {
            let element = field.get("items").map_or(Use::plain(ANY), |items| read_use(set, items));
            set.push(Node::Map { element, atomic: false })
        }
        other => return read_scalar(other, field, atomic),
    };
    Use { node, atomic }
}

fn read_scalar(name: &str, field: &Value, atomic: Option<bool>) -> Use {
    match name {
        "string" => match field.str_at(&["format"]) {
            None => scalar(Scalar::String),
            Some("duration") => scalar(Scalar::Duration),
            Some(_) => scalar(Scalar::Other),
        },
        "integer" => scalar(Scalar::Integer),
        "number" => scalar(Scalar::Number),
        "boolean" => scalar(Scalar::Boolean),
        "int-or-string" => scalar(Scalar::IntOrString),
        "quantity" => scalar(Scalar::Quantity),
        "time" => scalar(Scalar::Time),
        "microtime" => scalar(Scalar::MicroTime),
        "bytes" => scalar(Scalar::Bytes),
        "raw" => Use::plain(ANY_ATOMIC),
        _ => Use { node: ANY, atomic },
    }
}

/// `metadata`, `spec` and `status` of a built-in kind are structs, never pointers.
fn root_has_structs(set: &mut SchemaSet, node: NodeId) {
    let mut root = set.node(node).clone();
    if let Node::Struct { fields, .. } = &mut root {
        for field in fields.iter_mut() {
            if matches!(field.name.as_str(), "metadata" | "spec" | "status")
                && matches!(set.node(field.ty.node), Node::Struct { .. })
            {
                field.always = true;
            }
        }
        set.define(node, root);
    }
}

fn read_kind_facts(kind: &Value) -> PathFacts {
    let mut facts = PathFacts::default();
    for (path, value) in entries(kind.get("defaults")) {
        facts.entry(path).default = Some(value.clone());
    }
    for (path, sibling) in entries(kind.get("defaultsFrom")) {
        facts.entry(path).default_from = sibling.as_str().map(Text::from);
    }
    for path in texts(kind.get("defaultsOff")) {
        facts.entry(&path).default_off = true;
    }
    for (path, zero) in entries(kind.get("zeros")) {
        facts.entry(path).zero = zero.as_str().map(read_zero);
    }
    facts
}
