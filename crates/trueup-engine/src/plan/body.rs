//! The body of one object's apply: the target, with what must stay as it is live.
//!
//! A path that stays is left out where another manager owns it, and sent as it is live where nobody else does: leaving
//! out a field that only we own would delete it (detection.md 9).

use trueup_object::{FieldManager, FieldPath, ManagedFields, ManagedOperation, PathElement, Value};

use super::{Action, Correction, Precondition, Removal, Step, edit};
use crate::app::App;
use crate::desired::Target;
use crate::live::Live;
use crate::look::Judgement;
use crate::tracking;

/// An apply being put together.
pub struct Draft<'a> {
    target: &'a Target,
    live: &'a Live,
    object: Value,
    removals: Vec<Removal>,
    corrects: Vec<Correction>,
    applies: bool,
    tracked: bool,
    /// An apply of ours has written it before.
    ours: bool,
}

impl<'a> Draft<'a> {
    pub fn new(target: &'a Target, live: &'a Live, app: &App) -> Self {
        let tracked = !tracking::takes_mark(&target.key)
            || tracking::tracked_by(&live.object, &live.key).is_some_and(|name| name == app.instance);
        Self {
            target,
            live,
            object: (*target.object).clone(),
            removals: Vec::new(),
            corrects: Vec::new(),
            applies: false,
            tracked,
            ours: is_ours(live),
        }
    }

    /// Whether the entries of older tools are moved into ours first.
    pub fn takes_over(&self) -> bool {
        !self.ours
    }

    /// The target's value is applied; a field that Git no longer declares and another manager owns too needs an explicit
    /// removal.
    pub fn apply(&mut self, judgement: &Judgement, correction: bool) {
        self.applies = true;
        if correction {
            self.corrects.push(Correction {
                path: Some(judgement.path.clone()),
                opponent: judgement.opponent.clone(),
            });
        }
        if judgement.pending_removal && judgement.foreign {
            self.remove(judgement);
        }
    }

    pub fn remove(&mut self, judgement: &Judgement) {
        if let Some(observed) = trueup_merge::get(&self.live.object, &judgement.path) {
            self.applies = true;
            self.removals.push(Removal {
                path: judgement.path.clone(),
                pointer: judgement.pointer.clone(),
                observed: observed.clone(),
            });
        }
    }

    pub fn keep(&mut self, judgement: &Judgement) {
        let path = granular(&judgement.path);
        let live = trueup_merge::get(&self.live.object, &path);
        match live {
            Some(value) if !judgement.foreign => edit::set(&mut self.object, path.elements(), value.clone()),
            Some(_) | None => edit::delete(&mut self.object, path.elements()),
        }
    }

    /// The step, where anything is to be done. `take_over`: also an object that differs in nothing is brought under our
    /// manager and mark.
    pub fn finish(self, take_over: bool) -> Option<Step> {
        if !self.applies && !(take_over && (!self.ours || !self.tracked)) {
            return None;
        }
        Some(Step {
            key: self.target.key.clone(),
            gvk: self.target.gvk.clone(),
            action: Action::Apply { object: self.object, take_over: !self.ours, removals: self.removals },
            precondition: Precondition::Unchanged(self.live.version.clone()),
            corrects: self.corrects,
        })
    }
}

fn is_ours(live: &Live) -> bool {
    ManagedFields::of(&live.object).entries.iter().any(|entry| {
        entry.manager.as_str() == FieldManager::TRUEUP
            && entry.operation == ManagedOperation::Apply
            && entry.subresource.is_empty()
    })
}

/// An atomic list is kept or applied as a whole: its items have no owners of their own.
fn granular(path: &FieldPath) -> FieldPath {
    let elements = path
        .elements()
        .iter()
        .take_while(|element| !matches!(element, PathElement::Index(_)))
        .cloned()
        .collect();
    FieldPath::new(elements)
}
