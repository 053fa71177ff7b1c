//! Holds what we predict to what the server says.

use std::collections::BTreeMap;

use trueup_diff::{Channel, CompareInput, Comparison, Finding, compare, equal, sent_form};
use trueup_merge::{ApplyError, Managed, TypeRef, Writer, apply, scaled, update};
use trueup_object::quantity::equal_quantities;
use trueup_object::scalar::{equal_durations, equal_times};
use trueup_object::{
    FieldManager, FieldPath, FieldSet, ManagedFields, ManagedOperation, Map, PathElement, Value,
};

use super::edits::{Edit, Verb};
use super::exceptions::Exceptions;
use super::kinds::Kind;
use super::mutate::type_of;

/// What the seals of these comparisons are made with; nothing is kept.
const KEY: [u8; 32] = *b"the differential keeps no secret";

const TEMPLATE_GENERATION: &[&str] = &["metadata", "annotations", "deprecated.daemonset.template.generation"];

/// One thing that we predicted otherwise than the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    pub what: What,
    /// The path, where the mismatch has one; else words.
    pub place: String,
    pub detail: String,
}

/// The sorts of mismatch, as `exceptions.txt` names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The server would change something and we see no difference there.
    Missed,
    /// We see a difference and the server would change nothing there.
    Invented,
    /// Beside a difference that we see, the server would change something that follows from it.
    Follows,
    /// The server would write the same in other words.
    Respelled,
    /// Managed fields after a write.
    Managed,
    /// A write is refused by one and accepted by the other, or for other reasons.
    Refusal,
}

impl What {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::Invented => "invented",
            Self::Follows => "follows",
            Self::Respelled => "respelled",
            Self::Managed => "managed",
            Self::Refusal => "refusal",
        }
    }
}

/// The managed fields that a write should have left, compared with those that it left.
pub fn judge_write(
    kind: &Kind,
    ty: TypeRef<'_>,
    before: &Value,
    after: &Value,
    edit: &Edit,
) -> Vec<Mismatch> {
    let (before, after) = (&kind.without_own_status(before), &kind.without_own_status(after));
    let writer = Writer::new(&edit.manager, &kind.gvk.api_version(), None);
    let predicted = match edit.verb {
        Verb::Put | Verb::MergePatch | Verb::StrategicPatch | Verb::JsonPatch | Verb::Status => {
            let mut new = after.clone();
            new.remove_at(&["metadata", "managedFields"]);
            // The registry counts up after the managed fields are worked out.
            if let Some(count) = before.at(TEMPLATE_GENERATION) {
                new.set_at(TEMPLATE_GENERATION, count.clone());
            }
            let writer = if edit.verb == Verb::Status { writer.at("status") } else { writer };
            update(Some(before), &new, &writer, ty)
        }
        Verb::Scale => {
            let replicas = edit.body.int_at(&["spec", "replicas"]).unwrap_or_default();
            scaled(before, replicas, &FieldPath::fields(&["spec", "replicas"]), &writer)
        }
        Verb::Apply | Verb::ApplyForced => {
            let writer = resetting_status(kind, writer);
            match apply(Some(before), &edit.body, &writer, edit.verb == Verb::ApplyForced, ty) {
                Ok(applied) => applied.object,
                Err(error) => {
                    return vec![Mismatch {
                        what: What::Refusal,
                        place: edit.verb.as_str().to_owned(),
                        detail: format!("the server accepts it, we predict: {error}"),
                    }];
                }
            }
        }
    };
    managed_differences(&ManagedFields::of(&predicted), &ManagedFields::of(after))
}

/// A refusal of an apply for conflicts, compared with what we say.
pub fn judge_conflict(
    kind: &Kind,
    ty: TypeRef<'_>,
    before: &Value,
    edit: &Edit,
    message: &str,
) -> Vec<Mismatch> {
    let writer = resetting_status(kind, Writer::new(&edit.manager, &kind.gvk.api_version(), None));
    let predicted = apply(Some(before), &edit.body, &writer, false, ty);
    let ours = match predicted {
        Err(error @ ApplyError::Conflicts(_)) => error.to_string(),
        Err(error) => format!("{error}"),
        Ok(_) => "no conflict".to_owned(),
    };
    if ours == message {
        return Vec::new();
    }
    let detail = format!("the server says {message:?}, we say {ours:?}");
    vec![Mismatch { what: What::Refusal, place: "conflict".to_owned(), detail }]
}

fn resetting_status(kind: &Kind, writer: Writer) -> Writer {
    if kind.status {
        writer.resetting([FieldPath::fields(&["status"])].into_iter().collect())
    } else {
        writer
    }
}

/// What we and the server's own dry run of an apply say about a live object.
pub struct Final<'a> {
    pub kind: &'a Kind,
    pub ty: TypeRef<'a>,
    pub base: &'a Value,
    pub target: &'a Value,
    pub live: &'a Value,
    /// What the forced dry run would leave.
    pub dry: &'a Value,
}

impl Final<'_> {
    pub fn judge(&self) -> Vec<Mismatch> {
        let mut found = self.judge_managed();
        found.extend(self.judge_paths());
        found
    }

    fn judge_managed(&self) -> Vec<Mismatch> {
        let writer = resetting_status(
            self.kind,
            Writer::new(FieldManager::TRUEUP, &self.kind.gvk.api_version(), None),
        );
        let (live, dry) = (self.kind.without_own_status(self.live), self.kind.without_own_status(self.dry));
        match apply(Some(&live), &sent_form(self.target), &writer, true, self.ty) {
            Ok(applied) => managed_differences(&ManagedFields::of(&applied.object), &ManagedFields::of(&dry)),
            Err(error) => {
                let detail = format!("the server accepts it, we predict: {error}");
                vec![Mismatch { what: What::Refusal, place: "dry run".to_owned(), detail }]
            }
        }
    }

    fn judge_paths(&self) -> Vec<Mismatch> {
        let comparison = self.comparison();
        let expected = self.expected(&comparison);
        // What has a co-owner goes by a step of its own, and may go in part with the apply.
        let declared = comparison.findings.iter().filter(|found| found.channel == Channel::Declared);
        let known: Vec<&FieldPath> = declared.map(|found| &found.path).collect();
        let changed = changed(self.live, self.dry, self.ty);
        let touches = |one: &FieldPath, other: &FieldPath| one.starts_with(other) || other.starts_with(one);
        let invented = expected.iter().filter(|(path, _)| !changed.iter().any(|other| touches(other, path)));
        let missed = changed.iter().filter(|path| !known.iter().any(|other| touches(other, path)));
        let is_seen = expected.iter().any(|(path, _)| changed.iter().any(|other| touches(other, path)));
        let shown = |path: &FieldPath| path.to_string();
        invented
            .map(|(path, detail)| Mismatch {
                what: What::Invented,
                place: shown(path),
                detail: detail.clone(),
            })
            .chain(missed.map(|path| Mismatch {
                what: match self.is_respelled(path) {
                    true => What::Respelled,
                    false if is_seen => What::Follows,
                    false => What::Missed,
                },
                place: shown(path),
                detail: format!("{} becomes {}", value_at(self.live, path), value_at(self.dry, path)),
            }))
            .collect()
    }

    /// Whether live and dry run have the same there, by the rules of equality.
    fn is_respelled(&self, path: &FieldPath) -> bool {
        let ty = path.elements().iter().fold(self.ty, step_type);
        let (live, dry) = (path.get_in(self.live), path.get_in(self.dry));
        let is_nothing = |value: Option<&Value>| {
            value.is_none_or(|value| {
                value.is_null() || value.as_map().is_some_and(Map::is_empty) || value.as_list() == Some(&[])
            })
        };
        let full = |value: Option<&Value>| value.map(without_empties);
        match (live, dry) {
            (Some(one), Some(other)) => {
                equal_quantities(one, other)
                    || equal_durations(one, other)
                    || equal_times(one, other)
                    || equal(full(live).as_ref(), full(dry).as_ref(), ty)
            }
            _ => is_nothing(live) && is_nothing(dry) && equal(live, dry, ty),
        }
    }

    /// The paths that our declared channel says an apply changes. What Git dropped goes with an apply only where nobody else
    /// owns it and our entry still has it, or as a part of an atomic value; the rest is removed by a step of its own.
    fn expected(&self, comparison: &Comparison) -> Vec<(FieldPath, String)> {
        let is_applied = |found: &&Finding| {
            let goes_with_ours = found.ours && found.owners.is_empty();
            !found.pending_removal || goes_with_ours || self.in_declared_atomic(&found.path)
        };
        comparison
            .findings
            .iter()
            .filter(|found| found.channel == Channel::Declared)
            .filter(is_applied)
            .map(|found| {
                let value = |value: &Option<trueup_diff::Masked>| {
                    value.as_ref().map_or("-".to_owned(), |value| value.to_json())
                };
                let detail =
                    format!("{} {} -> {}", found.change.as_str(), value(&found.target), value(&found.live));
                (found.path.clone(), detail)
            })
            .collect()
    }

    /// Whether the path leads into a value that is one for structured merge, and that the target has.
    fn in_declared_atomic(&self, path: &FieldPath) -> bool {
        let mut ty = self.ty;
        let mut value = Some(self.target);
        for element in path.elements() {
            if value.is_some() && ty.is_atomic() {
                return true;
            }
            value = value.and_then(|value| element.step(value));
            ty = step_type(ty, element);
        }
        false
    }

    pub fn comparison(&self) -> Comparison {
        compare(&CompareInput {
            target: self.target,
            live: self.live,
            base: Some(self.base),
            managed: &Managed::of(self.live, self.ty),
            our_manager: &FieldManager::new(FieldManager::TRUEUP),
            ty: self.ty,
            schema_known: true,
            ignore: &[],
            unowned: None,
            status: false,
            secrecy: (&KEY).into(),
        })
    }
}

/// The paths at which two objects differ outside bookkeeping.
fn changed(live: &Value, dry: &Value, ty: TypeRef<'_>) -> Vec<FieldPath> {
    let bare = |object: &Value| {
        let mut object = object.clone();
        for field in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"] {
            object.remove_at(&["metadata", field]);
        }
        object.remove_at(TEMPLATE_GENERATION);
        if object.at(&["metadata", "annotations"]).and_then(Value::as_map).is_some_and(|map| map.is_empty()) {
            object.remove_at(&["metadata", "annotations"]);
        }
        object.remove_at(&["status"]);
        object
    };
    let (live, dry) = (bare(live), bare(dry));
    if live == dry {
        return Vec::new();
    }
    let found = trueup_merge::compare(&live, &dry, ty);
    let all: FieldSet = found.added.union(&found.modified).union(&found.removed);
    // Structured merge knows no order of keyed lists, and the server keeps one: a mere reordering is no change.
    all.leaves().paths()
}

fn value_at(object: &Value, path: &FieldPath) -> String {
    path.get_in(object).map_or("nothing".to_owned(), Value::to_json)
}

/// A value without the empty maps in it.
fn without_empties(value: &Value) -> Value {
    let is_full = |value: &Value| !value.as_map().is_some_and(Map::is_empty);
    match value {
        Value::Map(map) => {
            let inner = map.iter().map(|(name, child)| (name, without_empties(child)));
            inner.filter(|(_, child)| is_full(child)).collect::<Map>().into()
        }
        Value::List(items) => items.iter().map(without_empties).collect::<Vec<_>>().into(),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) => value.clone(),
    }
}

fn step_type<'t>(ty: TypeRef<'t>, element: &PathElement) -> TypeRef<'t> {
    match element {
        PathElement::Field(name) => type_of(ty.field(name)),
        PathElement::Key(_) | PathElement::Value(_) | PathElement::Index(_) => ty.element(),
    }
}

/// Where predicted managed fields differ from the real ones; times apart.
fn managed_differences(predicted: &ManagedFields, real: &ManagedFields) -> Vec<Mismatch> {
    type Name = (String, &'static str, String, String);
    let by_name = |fields: &ManagedFields| -> BTreeMap<Name, FieldSet> {
        let named = fields.entries.iter().map(|entry| {
            let operation = match entry.operation {
                ManagedOperation::Apply => "Apply",
                ManagedOperation::Update => "Update",
            };
            let name = (
                entry.manager.as_str().to_owned(),
                operation,
                entry.subresource.to_string(),
                entry.api_version.to_string(),
            );
            (name, entry.fields.clone())
        });
        named.collect()
    };
    let (predicted, real) = (by_name(predicted), by_name(real));
    let mut found = Vec::new();
    let empty = FieldSet::new();
    let names: std::collections::BTreeSet<&Name> = predicted.keys().chain(real.keys()).collect();
    for name in names {
        let (ours, theirs) = (predicted.get(name).unwrap_or(&empty), real.get(name).unwrap_or(&empty));
        if ours == theirs && predicted.contains_key(name) == real.contains_key(name) {
            continue;
        }
        let who = format!("{} {} {}", name.0, name.1, name.2);
        let mut differing: Vec<(FieldPath, &str)> = Vec::new();
        differing.extend(ours.difference(theirs).paths().into_iter().map(|path| (path, "only we")));
        differing.extend(theirs.difference(ours).paths().into_iter().map(|path| (path, "only the server")));
        if differing.is_empty() {
            differing.push((FieldPath::root(), "entry without fields"));
        }
        found.extend(differing.into_iter().map(|(path, whose)| Mismatch {
            what: What::Managed,
            place: path.to_string(),
            detail: format!("{who}: {whose}"),
        }));
    }
    found
}

/// What is left when the known exceptions are taken out.
pub fn without_exceptions(kind: &Kind, found: Vec<Mismatch>, exceptions: &mut Exceptions) -> Vec<Mismatch> {
    found.into_iter().filter(|mismatch| !exceptions.excuse(kind, mismatch)).collect()
}
