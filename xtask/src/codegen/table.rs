//! Writes the table: sorted, one entry per line, the same bytes every time.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::{
    discovery::Discovered,
    facts::{Condition, Default, Deviation, Facts, Fate, FieldFacts},
    openapi::{Field, ListType, Published, Shape, Type},
};

/// Raised when a reader of the old format could not read the new one.
const FORMAT: u32 = 1;

pub fn write(
    kubernetes: &str,
    published: &Published,
    facts: &Facts,
    discovered: &Discovered,
) -> Result<String> {
    let types: Map<String, Value> = published
        .types
        .iter()
        .map(|(name, described)| (name.clone(), type_entry(name, described, facts)))
        .collect();
    let kinds: Map<String, Value> = published
        .kinds
        .iter()
        .map(|(kind, name)| (kind.key(), kind_entry(name, facts.kinds.get(kind))))
        .collect();
    let resources: Map<String, Value> =
        discovered.resources.iter().map(|(version, list)| (version.clone(), list.clone().into())).collect();
    let version = kubernetes.strip_prefix('v').context("a version without v")?;
    let mut text = format!("{{\n\"format\": {FORMAT},\n\"kubernetes\": \"{version}\",\n");
    lines(&mut text, "types", &types);
    lines(&mut text, "kinds", &kinds);
    text.push_str("\"groups\": [\n");
    let groups: Vec<String> = discovered.groups.iter().map(Value::to_string).collect();
    text.push_str(&groups.join(",\n"));
    text.push_str("\n],\n");
    lines(&mut text, "resources", &resources);
    text.truncate(text.len() - ",\n".len());
    text.push_str("\n}\n");
    // What cannot be read back must not be written.
    serde_json::from_str::<Value>(&text).context("the table is not JSON")?;
    Ok(text)
}

fn lines(text: &mut String, key: &str, entries: &Map<String, Value>) {
    let entries: Vec<String> =
        entries.iter().map(|(name, value)| format!("{}: {value}", json!(name))).collect();
    text.push_str(&format!("\"{key}\": {{\n{}\n}},\n", entries.join(",\n")));
}

fn type_entry(name: &str, described: &Type, facts: &Facts) -> Value {
    let mut entry = Map::new();
    let learnt = facts.types.get(name);
    let mut fields = Map::new();
    for (field, described) in &described.fields {
        let mut written = field_entry(described);
        let is_object = matches!(described.shape, Shape::Ref { .. });
        if is_object && facts.structs.contains(&(name.to_owned(), field.clone())) {
            written.insert("struct".into(), true.into());
        }
        if let Some(facts) = learnt.and_then(|learnt| learnt.get(field)) {
            write_facts(&mut written, facts);
        }
        fields.insert(field.clone(), written.into());
    }
    if !fields.is_empty() {
        entry.insert("fields".into(), fields.into());
    }
    if described.atomic {
        entry.insert("atomic".into(), true.into());
    }
    if described.preserve {
        entry.insert("preserve".into(), true.into());
    }
    entry.into()
}

fn field_entry(field: &Field) -> Map<String, Value> {
    let mut entry = shape_entry(&field.shape);
    if field.required {
        entry.insert("required".into(), true.into());
    }
    if let Some(patch) = &field.patch {
        entry.insert("patch".into(), patch.clone().into());
    }
    if let Some(key) = &field.merge_key {
        entry.insert("mergeKey".into(), key.clone().into());
    }
    if field.zero_default {
        entry.insert("zeroDefault".into(), true.into());
    }
    entry
}

fn shape_entry(shape: &Shape) -> Map<String, Value> {
    let mut entry = Map::new();
    let (word, is_atomic) = match shape {
        Shape::Ref { name, atomic } => {
            entry.insert("ref".into(), name.clone().into());
            ("ref", *atomic)
        }
        Shape::List { items, list } => {
            entry.insert("items".into(), shape_entry(items).into());
            let (word, keys) = match list {
                ListType::Atomic => ("atomic", None),
                ListType::Set => ("set", None),
                ListType::Map(keys) => ("map", Some(keys)),
            };
            entry.insert("list".into(), word.into());
            if let Some(keys) = keys {
                entry.insert("keys".into(), keys.clone().into());
            }
            ("list", None)
        }
        Shape::Map { items, atomic } => {
            entry.insert("items".into(), shape_entry(items).into());
            ("map", atomic.then_some(true))
        }
        Shape::Scalar { kind, format, allowed } => {
            if let Some(format) = format {
                entry.insert("format".into(), format.clone().into());
            }
            if !allowed.is_empty() {
                entry.insert("enum".into(), allowed.clone().into());
            }
            (*kind, None)
        }
    };
    entry.insert("type".into(), word.into());
    if let Some(is_atomic) = is_atomic {
        entry.insert("atomic".into(), is_atomic.into());
    }
    entry
}

fn write_facts(entry: &mut Map<String, Value>, facts: &FieldFacts) {
    if let Some(fate) = facts.zero {
        entry.insert("zero".into(), fate_word(fate).into());
    }
    if facts.always {
        entry.insert("always".into(), true.into());
    }
    match &facts.default {
        Default::Nothing => {}
        Default::Always(value) => {
            entry.insert("default".into(), value.clone());
        }
        Default::When(whens, otherwise) => {
            let rules: Vec<Value> = whens
                .iter()
                .map(|when| match &when.condition {
                    Condition::Is(value) => json!({"field": when.field, "is": value, "value": when.value}),
                    Condition::Present => json!({"field": when.field, "present": true, "value": when.value}),
                })
                .collect();
            entry.insert("defaultWhen".into(), rules.into());
            if let Some(value) = otherwise {
                entry.insert("default".into(), value.clone());
            }
        }
        Default::Copy(sibling) => {
            entry.insert("defaultFrom".into(), sibling.clone().into());
        }
        Default::Varies => {
            entry.insert("varies".into(), true.into());
        }
    }
}

fn fate_word(fate: Fate) -> &'static str {
    match fate {
        Fate::Kept => "kept",
        Fate::Dropped => "dropped",
        Fate::Replaced => "replaced",
    }
}

/// What differs from the type at single places of a kind.
fn kind_entry(name: &str, deviations: Option<&BTreeMap<String, Deviation>>) -> Value {
    let mut defaults = Map::new();
    let mut from = Map::new();
    let mut off: Vec<Value> = Vec::new();
    let mut zeros = Map::new();
    for (path, Deviation { here, usual }) in deviations.into_iter().flatten() {
        if here.default != usual.default {
            match &here.default {
                Default::Always(value) | Default::When(_, Some(value)) => {
                    defaults.insert(path.clone(), value.clone());
                }
                Default::Copy(sibling) => {
                    from.insert(path.clone(), sibling.clone().into());
                }
                Default::Nothing | Default::When(_, None) | Default::Varies => off.push(path.clone().into()),
            }
        }
        if let Some(fate) = here.zero.filter(|_| here.zero != usual.zero) {
            zeros.insert(path.clone(), fate_word(fate).into());
        }
    }
    let mut entry = Map::from_iter([("type".to_owned(), Value::from(name))]);
    for (key, value) in [("defaults", defaults), ("defaultsFrom", from), ("zeros", zeros)] {
        if !value.is_empty() {
            entry.insert(key.into(), value.into());
        }
    }
    if !off.is_empty() {
        entry.insert("defaultsOff".into(), off.into());
    }
    entry.into()
}
