//! One object's change in up to three requests: the older tools' entries are moved, the object is applied, what no apply
//! removes is removed. Each request is pinned to the version that the one before left.
//!
//! An apply that the server refuses because of additions beside what is applied is made once more, with these in our
//! entry, so that one write puts Git's value in their place.

use trueup_engine::live::{Live, LiveVersion};
use trueup_engine::plan::{Action, Held, Precondition, RefusedField, Removal, Step, displaced};
use trueup_object::{FieldPath, ManagedFields, PathElement, Value};

use super::quoted::without_values;
use super::takeover::{TakeOver, entries_with_ours, take_over_entries};
use super::{
    Accepted, Deleted, Effect, Hand, Mode, PatchOperation, Place, Refusal, apply, create, delete, patch_json,
};
use crate::discover::ServedKind;
use crate::wire::Wire;

/// What a change consists of.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What is applied.
    pub object: &'a Value,
    /// What it was planned against.
    pub observed: &'a Live,
    pub entries: OlderEntries<'a>,
    pub removals: &'a [Removal],
    /// Additions that go where the server refuses the apply because of them.
    pub beside: &'a [FieldPath],
}

/// What happens to the managedFields entries of the tools that had the object before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OlderEntries<'a> {
    Leave,
    /// They are moved into ours, but for what lies at or under the paths that the plan leaves alone.
    TakeOver {
        left_alone: &'a [FieldPath],
    },
}

/// A step that was carried out.
#[derive(Debug, Clone, PartialEq)]
pub enum Executed {
    Applied(Done),
    Deleted(Deleted),
}

/// The requests of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    TakeOver,
    Apply,
    Remove,
}

/// A change that went through.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    pub effect: Effect,
    pub version: LiveVersion,
    /// The object as the last request returned it.
    pub object: Value,
    /// The requests that were made.
    pub parts: Vec<Part>,
}

/// A change that stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{refusal}")]
pub struct Stopped {
    /// What had gone through before.
    pub done: Vec<Part>,
    pub at: Part,
    pub refusal: Refusal,
}

/// Carries out one step of a plan, against the object that it was planned against. `held` is what the plan leaves alone. A
/// refusal quotes no sensitive value of the objects.
pub async fn execute(
    wire: &Wire,
    kind: &ServedKind,
    step: &Step,
    held: &[Held],
    live: Option<&Live>,
    hand: &Hand,
) -> Result<Executed, Box<Stopped>> {
    let target = match &step.action {
        Action::Create { object } | Action::Apply { object, .. } => Some(object),
        Action::Delete { .. } => None,
    };
    let objects = || target.into_iter().chain(live.map(|live| &*live.object));
    execute_step(wire, kind, step, held, live, hand).await.map_err(|stopped| {
        let Stopped { done, at, refusal } = *stopped;
        let refusal = without_values(refusal, &step.key, objects());
        Box::new(Stopped { done, at, refusal })
    })
}

async fn execute_step(
    wire: &Wire,
    kind: &ServedKind,
    step: &Step,
    held: &[Held],
    live: Option<&Live>,
    hand: &Hand,
) -> Result<Executed, Box<Stopped>> {
    let place = Place { kind, namespace: &step.key.namespace, name: &step.key.name };
    let observed = || match (&step.precondition, live) {
        (Precondition::Unchanged(version), Some(live)) if live.version == *version => Ok(live),
        (Precondition::Unchanged(_) | Precondition::Absent, Some(_) | None) => {
            Err(not_begun(Refusal::PreconditionFailed {
                message: "it was planned against another observation".to_owned(),
            }))
        }
    };
    match &step.action {
        Action::Create { object } => {
            let accepted = create(wire, place, object, hand).await.map_err(not_begun)?;
            let Accepted { effect, version, object } = accepted;
            Ok(Executed::Applied(Done { effect, version, object, parts: vec![Part::Apply] }))
        }
        Action::Apply { object, take_over, removals, beside } => {
            let left_alone: Vec<FieldPath> = held
                .iter()
                .filter(|held| held.key == step.key)
                .filter_map(|held| held.path.clone())
                .collect();
            let entries = if *take_over {
                OlderEntries::TakeOver { left_alone: &left_alone }
            } else {
                OlderEntries::Leave
            };
            let change = Change { object, observed: observed()?, entries, removals, beside };
            self::change(wire, place, &change, hand).await.map(Executed::Applied)
        }
        Action::Delete { propagation } => {
            let version = &observed()?.version;
            let deleted = delete(wire, place, version, *propagation, hand).await;
            deleted.map(Executed::Deleted).map_err(not_begun)
        }
    }
}

fn not_begun(refusal: Refusal) -> Box<Stopped> {
    Box::new(Stopped { done: Vec::new(), at: Part::Apply, refusal })
}

/// Carries a change out.
pub async fn change(
    wire: &Wire,
    place: Place<'_>,
    change: &Change<'_>,
    hand: &Hand,
) -> Result<Done, Box<Stopped>> {
    let mut progress = Progress { version: change.observed.version.clone(), parts: Vec::new(), last: None };
    let patch = take_over_patch(change, hand).map_err(|refusal| progress.stopped(Part::TakeOver, refusal))?;
    if let Some(patch) = patch {
        let answer = patch_json(wire, place, &[patch], &progress.version, hand).await;
        progress.take(Part::TakeOver, answer, hand)?;
    }
    let answer = apply(wire, place, change.object, &progress.version, hand).await;
    let mut gone = Vec::new();
    match answer {
        Err(refusal) if hand.mode == Mode::Real => {
            gone = displaced_by(change, &progress, &refusal);
            in_their_place(wire, place, change, hand, &mut progress, &gone, refusal).await?;
        }
        answer => progress.take(Part::Apply, answer, hand)?,
    }
    let applied = progress.last.as_ref().map(|accepted| &accepted.object);
    let removals = change.removals.iter().filter(|removal| !gone.contains(&removal.path));
    let operations = removal_operations(removals, applied);
    if !operations.is_empty() {
        let answer = patch_json(wire, place, &operations, &progress.version, hand).await;
        progress.take(Part::Remove, answer, hand)?;
    }
    let Progress { version, parts, last } = progress;
    // An apply always comes before, so there is a last answer.
    let object = last.map(|accepted| accepted.object).unwrap_or_default();
    let changes = match hand.mode {
        Mode::Real => version != change.observed.version,
        // Nothing is stored, so the version stays: what would be stored tells.
        Mode::DryRun => {
            parts.contains(&Part::TakeOver) || content(&object) != content(&change.observed.object)
        }
    };
    let effect = if changes { Effect::Changed } else { Effect::Unchanged };
    Ok(Done { effect, version, object, parts })
}

/// The additions that have to make room for the apply: of a refusal that names what is wrong with the object, those that it
/// is about, and with any of them all that are to be removed anyway.
fn displaced_by(change: &Change<'_>, progress: &Progress, refusal: &Refusal) -> Vec<FieldPath> {
    let Refusal::Invalid { causes, message: _ } = refusal else { return Vec::new() };
    let refused: Vec<RefusedField<'_>> =
        causes.iter().map(|cause| RefusedField { field: &cause.field, message: &cause.message }).collect();
    let has_index =
        |path: &FieldPath| path.elements().iter().any(|element| matches!(element, PathElement::Index(_)));
    let removed = change.removals.iter().map(|removal| &removal.path);
    // What is in an atomic list cannot be owned apart from it.
    let removed: Vec<FieldPath> = removed.filter(|path| !has_index(path)).cloned().collect();
    let live = progress.object(change);
    let candidates = [change.beside, &removed].concat();
    let mut gone = displaced(&candidates, live, change.object, &refused);
    if gone.iter().any(|path| removed.contains(path)) {
        gone.extend(removed);
        gone.sort();
        gone.dedup();
    }
    gone
}

/// Applies again, with these additions in our entry. If that is refused too they were not the cause: they get their
/// owners back, and the first refusal stands.
async fn in_their_place(
    wire: &Wire,
    place: Place<'_>,
    change: &Change<'_>,
    hand: &Hand,
    progress: &mut Progress,
    additions: &[FieldPath],
    refusal: Refusal,
) -> Result<(), Box<Stopped>> {
    let before = ManagedFields::of(progress.object(change));
    let entries = entries_with_ours(progress.object(change), &hand.manager, additions);
    let Some(entries) = entries.filter(|_| !additions.is_empty()) else {
        return Err(progress.stopped(Part::Apply, refusal));
    };
    let answer = patch_json(wire, place, &[entries_patch(&entries)], &progress.version, hand).await;
    progress.take(Part::TakeOver, answer, hand)?;
    match apply(wire, place, change.object, &progress.version, hand).await {
        Err(_) => {
            let restored = patch_json(wire, place, &[entries_patch(&before)], &progress.version, hand).await;
            if restored.is_ok() {
                progress.parts.pop();
            }
            Err(progress.stopped(Part::Apply, refusal))
        }
        answer => progress.take(Part::Apply, answer, hand),
    }
}

fn entries_patch(entries: &ManagedFields) -> PatchOperation {
    PatchOperation::Replace { pointer: "/metadata/managedFields".to_owned(), value: entries.to_value() }
}

/// An object without what the server keeps of its changes.
fn content(object: &Value) -> Value {
    let mut object = object.clone();
    for field in ["managedFields", "resourceVersion", "generation"] {
        object.remove_at(&["metadata", field]);
    }
    object
}

struct Progress {
    version: LiveVersion,
    parts: Vec<Part>,
    last: Option<Accepted>,
}

impl Progress {
    fn take(
        &mut self,
        part: Part,
        answer: Result<Accepted, Refusal>,
        hand: &Hand,
    ) -> Result<(), Box<Stopped>> {
        let accepted = answer.map_err(|refusal| self.stopped(part, refusal))?;
        // Without effect the object keeps its version, and each request stands on what was observed.
        match hand.mode {
            Mode::Real => self.version = accepted.version.clone(),
            Mode::DryRun => {}
        }
        self.parts.push(part);
        self.last = Some(accepted);
        Ok(())
    }

    /// The object as it is by now.
    fn object<'o>(&'o self, change: &'o Change<'_>) -> &'o Value {
        self.last.as_ref().map_or(&change.observed.object, |accepted| &accepted.object)
    }

    fn stopped(&self, at: Part, refusal: Refusal) -> Box<Stopped> {
        Box::new(Stopped { done: self.parts.clone(), at, refusal })
    }
}

fn take_over_patch(change: &Change<'_>, hand: &Hand) -> Result<Option<PatchOperation>, Refusal> {
    let OlderEntries::TakeOver { left_alone } = change.entries else { return Ok(None) };
    match take_over_entries(&change.observed.object, &hand.manager, left_alone) {
        TakeOver::Nothing => Ok(None),
        TakeOver::Entries { entries, from: _ } => Ok(Some(entries_patch(&entries))),
        TakeOver::Unreadable => Err(Refusal::Invalid {
            message: "its managedFields hold an entry that cannot be read; nothing was taken over".to_owned(),
            causes: Vec::new(),
        }),
    }
}

/// All tests first, then the removals from the last list item to the first, so that no removal moves what a later one
/// points at. What the apply has removed already needs no removal.
fn removal_operations<'r>(
    removals: impl IntoIterator<Item = &'r Removal>,
    applied: Option<&Value>,
) -> Vec<PatchOperation> {
    let mut left: Vec<&Removal> = removals
        .into_iter()
        .filter(|removal| applied.is_none_or(|object| at_pointer(object, &removal.pointer).is_some()))
        .collect();
    left.sort_by_cached_key(|removal| std::cmp::Reverse(places(&removal.pointer)));
    let tests = left.iter().map(|removal| PatchOperation::Test {
        pointer: removal.pointer.clone(),
        value: removal.observed.clone(),
    });
    let removes = left.iter().map(|removal| PatchOperation::Remove { pointer: removal.pointer.clone() });
    tests.chain(removes).collect()
}

/// The value at a JSON pointer (RFC 6901).
fn at_pointer<'a>(object: &'a Value, pointer: &str) -> Option<&'a Value> {
    pointer.split('/').skip(1).try_fold(object, |value, segment| match value {
        Value::List(items) => items.get(segment.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Str(_) | Value::Map(_) => {
            value.get(&segment.replace("~1", "/").replace("~0", "~"))
        }
    })
}

/// Segments in an order in which `10` follows `9`.
fn places(pointer: &str) -> Vec<(Option<u64>, &str)> {
    pointer.split('/').map(|segment| (segment.parse().ok(), segment)).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn removal(pointer: &str) -> Removal {
        Removal { path: FieldPath::root(), pointer: pointer.into(), observed: Value::Bool(true) }
    }

    fn removed(operations: &[PatchOperation]) -> Vec<&str> {
        let pointers = operations.iter().filter_map(|operation| match operation {
            PatchOperation::Remove { pointer } => Some(pointer.as_str()),
            PatchOperation::Test { .. } | PatchOperation::Replace { .. } | PatchOperation::Add { .. } => None,
        });
        pointers.collect()
    }

    #[test]
    fn list_items_are_removed_from_the_end() {
        let removals = ["/spec/a/9", "/spec/a/10/b", "/spec/a/10/c", "/metadata/labels/x"].map(removal);
        let operations = removal_operations(&removals, None);
        assert_eq!(removed(&operations), ["/spec/a/10/c", "/spec/a/10/b", "/spec/a/9", "/metadata/labels/x"]);
        assert!(matches!(operations.first(), Some(PatchOperation::Test { .. })));
    }

    #[test]
    fn what_the_apply_removed_is_not_removed_again() {
        let object =
            Value::from_json(br#"{"metadata":{"labels":{"a/b":"1"}},"spec":{"list":["x"]}}"#).unwrap();
        let removals =
            ["/metadata/labels/a~1b", "/metadata/labels/c", "/spec/list/0", "/spec/list/1"].map(removal);
        let operations = removal_operations(&removals, Some(&object));
        assert_eq!(removed(&operations), ["/spec/list/0", "/metadata/labels/a~1b"]);
    }
}
