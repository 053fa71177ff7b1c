//! One object's change in up to three requests: the older tools' entries are moved, the object is applied, what no apply
//! removes is removed. Each request is pinned to the version that the one before left.

use trueup_engine::live::{Live, LiveVersion};
use trueup_object::Value;

use super::takeover::{TakeOver, take_over_entries};
use super::{Accepted, Effect, Hand, Mode, PatchOperation, Place, Refusal, apply, patch_json};
use crate::wire::Wire;

/// What a change consists of.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    /// What is applied.
    pub object: &'a Value,
    /// What it was planned against.
    pub observed: &'a Live,
    pub entries: OlderEntries,
    pub removals: &'a [FieldRemoval],
}

/// What happens to the managedFields entries of the tools that had the object before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OlderEntries {
    Leave,
    TakeOver,
}

/// A field that is removed although others own it too, or nobody.
#[derive(Debug, Clone, PartialEq)]
pub struct FieldRemoval {
    /// JSON pointer into the object.
    pub pointer: String,
    /// The value that must still be there.
    pub observed: Value,
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

/// Carries a change out.
pub async fn change(
    wire: &Wire,
    place: Place<'_>,
    change: &Change<'_>,
    hand: &Hand,
) -> Result<Done, Box<Stopped>> {
    let mut progress = Progress { version: change.observed.version.clone(), parts: Vec::new(), last: None };
    if change.entries == OlderEntries::TakeOver
        && let Some(patch) = take_over_patch(change.observed, hand)
            .map_err(|refusal| progress.stopped(Part::TakeOver, refusal))?
    {
        let answer = patch_json(wire, place, &[patch], &progress.version, hand).await;
        progress.take(Part::TakeOver, answer, hand)?;
    }
    let answer = apply(wire, place, change.object, &progress.version, hand).await;
    progress.take(Part::Apply, answer, hand)?;
    let operations = removal_operations(change.removals);
    if !operations.is_empty() {
        let answer = patch_json(wire, place, &operations, &progress.version, hand).await;
        progress.take(Part::Remove, answer, hand)?;
    }
    let Progress { version, parts, last } = progress;
    let effect = if version == change.observed.version { Effect::Unchanged } else { Effect::Changed };
    // An apply always comes before, so there is a last answer.
    let object = last.map(|accepted| accepted.object).unwrap_or_default();
    Ok(Done { effect, version, object, parts })
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

    fn stopped(&self, at: Part, refusal: Refusal) -> Box<Stopped> {
        Box::new(Stopped { done: self.parts.clone(), at, refusal })
    }
}

fn take_over_patch(observed: &Live, hand: &Hand) -> Result<Option<PatchOperation>, Refusal> {
    match take_over_entries(&observed.object, &hand.manager) {
        TakeOver::Nothing => Ok(None),
        TakeOver::Entries { entries, from: _ } => Ok(Some(PatchOperation::Replace {
            pointer: "/metadata/managedFields".to_owned(),
            value: entries.to_value(),
        })),
        TakeOver::Unreadable => Err(Refusal::Invalid {
            message: "its managedFields hold an entry that cannot be read; nothing was taken over".to_owned(),
            causes: Vec::new(),
        }),
    }
}

/// All tests first, then the removals from the last list item to the first, so that no removal moves what a later one
/// points at.
fn removal_operations(removals: &[FieldRemoval]) -> Vec<PatchOperation> {
    let tests = removals.iter().map(|removal| PatchOperation::Test {
        pointer: removal.pointer.clone(),
        value: removal.observed.clone(),
    });
    let mut pointers: Vec<&str> = removals.iter().map(|removal| removal.pointer.as_str()).collect();
    pointers.sort_by_cached_key(|pointer| std::cmp::Reverse(places(pointer)));
    let removes = pointers.into_iter().map(|pointer| PatchOperation::Remove { pointer: pointer.to_owned() });
    tests.chain(removes).collect()
}

/// Segments in an order in which `10` follows `9`.
fn places(pointer: &str) -> Vec<(Option<u64>, &str)> {
    pointer.split('/').map(|segment| (segment.parse().ok(), segment)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn list_items_are_removed_from_the_end() {
        let removals: Vec<FieldRemoval> = ["/spec/a/9", "/spec/a/10/b", "/spec/a/10/c", "/metadata/labels/x"]
            .into_iter()
            .map(|pointer| FieldRemoval { pointer: pointer.into(), observed: Value::Bool(true) })
            .collect();
        let operations = removal_operations(&removals);
        let removed: Vec<&str> = operations
            .iter()
            .filter_map(|operation| match operation {
                PatchOperation::Remove { pointer } => Some(pointer.as_str()),
                PatchOperation::Test { .. } | PatchOperation::Replace { .. } | PatchOperation::Add { .. } => {
                    None
                }
            })
            .collect();
        assert_eq!(removed, ["/spec/a/10/c", "/spec/a/10/b", "/spec/a/9", "/metadata/labels/x"]);
        assert!(matches!(operations.first(), Some(PatchOperation::Test { .. })));
    }
}
