//! Learns defaults and the fate of zero values: probes every struct at every place where it occurs, and lifts what holds everywhere to
//! the type.

mod distill;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    discovery::KindKey,
    openapi::{Published, Shape},
    probe::{Place, Prober, Step, object, samples, zero},
};
use distill::Trial;
pub use distill::{Condition, Default, Fate, FieldFacts};

/// Everything that was learnt.
pub struct Facts {
    /// Type → field → what holds at most places.
    pub types: BTreeMap<String, BTreeMap<String, FieldFacts>>,
    /// Kind → PATH of a field → what holds there instead of what holds at most places.
    pub kinds: BTreeMap<KindKey, BTreeMap<String, Deviation>>,
    /// Type and field of every struct that Go holds by value: it is there even when it is not declared.
    pub structs: BTreeSet<(String, String)>,
}

/// Where a kind is not like most.
pub struct Deviation {
    pub here: FieldFacts,
    pub usual: FieldFacts,
}

/// The Go shape of a type, as the control plane's program prints it.
#[derive(Deserialize)]
struct GoType {
    #[serde(rename = "type")]
    name: String,
    fields: BTreeMap<String, GoField>,
}

#[derive(Deserialize)]
struct GoField {
    kind: String,
    pointer: bool,
}

/// A struct at one place of one kind.
struct Occurrence {
    place: Place,
    type_name: String,
}

pub fn learn(published: &Published, controlplane: &Path) -> Result<Facts> {
    let go = go_types(controlplane)?;
    let pointers = fields_where(&go, |field| field.pointer);
    let structs = fields_where(&go, |field| field.kind == "struct" && !field.pointer);
    let mut prober = Prober::start(controlplane)?;
    let mut seen: Vec<(KindKey, Place, String, BTreeMap<String, FieldFacts>)> = Vec::new();
    for (kind, root) in &published.kinds {
        let mut occurrences = Vec::new();
        walk(published, Place::default(), root, &mut Vec::new(), &mut occurrences);
        for occurrence in occurrences {
            let facts = probe(published, &mut prober, kind, &occurrence, &pointers)?;
            seen.push((kind.clone(), occurrence.place, occurrence.type_name, facts));
        }
    }
    let types = lift(&seen);
    let mut kinds: BTreeMap<KindKey, BTreeMap<String, Deviation>> = BTreeMap::new();
    for (kind, place, type_name, facts) in seen {
        for (field, here) in facts {
            let Some(usual) = types.get(&type_name).and_then(|fields| fields.get(&field)) else { continue };
            if *usual != here {
                let path = place.below(Step::Field(field)).to_string();
                let deviation = Deviation { here, usual: usual.clone() };
                kinds.entry(kind.clone()).or_default().insert(path, deviation);
            }
        }
    }
    Ok(Facts { types, kinds, structs })
}

fn go_types(controlplane: &Path) -> Result<Vec<GoType>> {
    let output = Command::new(controlplane).arg("types").output().context("read the Go types")?;
    if !output.status.success() {
        bail!("read the Go types: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| serde_json::from_str(line).context("read a Go type"))
        .collect()
}

fn fields_where(types: &[GoType], holds: impl Fn(&GoField) -> bool) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for one in types {
        for (name, _) in one.fields.iter().filter(|(_, field)| holds(field)) {
            found.insert((one.name.clone(), name.clone()));
        }
    }
    found
}

/// Lists every struct below a place. A type that contains itself is followed once; what the server alone writes (`status`) is not.
fn walk(
    published: &Published,
    place: Place,
    name: &str,
    open: &mut Vec<String>,
    found: &mut Vec<Occurrence>,
) {
    if open.iter().any(|outer| outer == name) {
        return;
    }
    let Some(described) = published.types.get(name) else { return };
    open.push(name.to_owned());
    for (field, described) in &described.fields {
        let at_root = place.0.is_empty();
        if at_root && field == "status" {
            continue;
        }
        let mut inner = place.below(Step::Field(field.clone()));
        let mut shape = &described.shape;
        loop {
            match shape {
                Shape::List { items, .. } => (inner, shape) = (inner.below(Step::Item), items),
                Shape::Map { items, .. } => (inner, shape) = (inner.below(Step::Entry), items),
                Shape::Ref { name, .. } => {
                    walk(published, inner, name, open, found);
                    break;
                }
                Shape::Scalar { .. } => break,
            }
        }
    }
    open.pop();
    found.push(Occurrence { place, type_name: name.to_owned() });
}

/// Probes one struct at one place: once empty, and once with each field alone at each of its zero and other values.
fn probe(
    published: &Published,
    prober: &mut Prober,
    kind: &KindKey,
    occurrence: &Occurrence,
    pointers: &BTreeSet<(String, String)>,
) -> Result<BTreeMap<String, FieldFacts>> {
    let Some(described) = published.types.get(&occurrence.type_name) else { return Ok(BTreeMap::new()) };
    let at_root = occurrence.place.0.is_empty();
    let fields: Vec<(&str, &Shape)> = described
        .fields
        .iter()
        .filter(|(name, _)| !(at_root && ["apiVersion", "kind", "status"].contains(&name.as_str())))
        .map(|(name, field)| (name.as_str(), &field.shape))
        .collect();
    let mut trials: Vec<(&str, Value, Trial)> = Vec::new();
    let mut objects = vec![object(kind, &occurrence.place, Map::new())];
    for (name, shape) in &fields {
        for (value, trial) in probed_values(shape) {
            let fields = Map::from_iter([((*name).to_owned(), value.clone())]);
            objects.push(object(kind, &occurrence.place, fields));
            trials.push((name, value, trial));
        }
    }
    let answers = prober.ask(&objects)?;
    let Some((base, answers)) = answers.split_first() else { return Ok(BTreeMap::new()) };
    // Where the server's code does not take the empty struct there is nothing to compare with.
    let Some(base) = base else { return Ok(BTreeMap::new()) };
    let outcomes: Vec<distill::Outcome> = trials
        .iter()
        .zip(answers)
        .filter_map(|((field, value, trial), answer)| {
            let fields = occurrence.place.find(answer.as_ref()?);
            Some(distill::Outcome { field, value, trial: *trial, fields })
        })
        .collect();
    let base = occurrence.place.find(base);
    let learnt = fields.iter().map(|(name, shape)| {
        let is_pointer = pointers.contains(&(occurrence.type_name.clone(), (*name).to_owned()));
        ((*name).to_owned(), distill::distill(name, shape, is_pointer, base, &outcomes))
    });
    Ok(learnt.collect())
}

/// The values to try a field with. An empty struct is not a zero value here: declaring it is what matters to siblings.
fn probed_values(shape: &Shape) -> Vec<(Value, Trial)> {
    let mut values = Vec::new();
    if !matches!(shape, Shape::Ref { .. }) {
        values.extend(zero(shape).map(|value| (value, Trial::Zero)));
    }
    let closed = match shape {
        Shape::Scalar { kind: "boolean", .. } => true,
        Shape::Scalar { allowed, .. } => !allowed.is_empty(),
        Shape::Ref { .. } | Shape::List { .. } | Shape::Map { .. } => false,
    };
    let trial = if closed { Trial::Word } else { Trial::Sample };
    values.extend(samples(shape).into_iter().map(|value| (value, trial)));
    values
}

/// What holds at most places of a type becomes the type's; between equals the first in order, so that the result is stable.
fn lift(
    seen: &[(KindKey, Place, String, BTreeMap<String, FieldFacts>)],
) -> BTreeMap<String, BTreeMap<String, FieldFacts>> {
    let mut counts: BTreeMap<(&str, &str), Vec<(&FieldFacts, usize)>> = BTreeMap::new();
    for (_, _, type_name, facts) in seen {
        for (field, facts) in facts {
            let counted = counts.entry((type_name, field)).or_default();
            match counted.iter_mut().find(|(known, _)| *known == facts) {
                Some((_, count)) => *count += 1,
                None => counted.push((facts, 1)),
            }
        }
    }
    let mut types: BTreeMap<String, BTreeMap<String, FieldFacts>> = BTreeMap::new();
    for ((type_name, field), counted) in counts {
        let most = counted.iter().map(|(_, count)| *count).max().unwrap_or_default();
        if let Some((facts, _)) = counted.into_iter().find(|(_, count)| *count == most) {
            types.entry(type_name.to_owned()).or_default().insert(field.to_owned(), facts.clone());
        }
    }
    types
}
