//! The body of one object's apply: the target, with what must stay as it is live.
//!
//! A path that stays is sent as it is live where nobody but us owns it: leaving it out would delete it (detection.md 9).
//! Else it is left out: sent, it would become ours, and look as if Git had once said so. What is in an atomic value stays or
//! goes with all of it; where a part of it is applied, the rest is sent as it is live.

use std::collections::BTreeSet;

use trueup_object::{FieldManager, FieldPath, ManagedFields, ManagedOperation, Value};

use super::beside::beside;
use super::{Action, Correction, Precondition, Removal, Step, edit};
use crate::app::App;
use crate::desired::Target;
use crate::difference::Channel;
use crate::live::Live;
use crate::look::{Excuse, Hidden, Judgement};
use crate::tracking;

/// An apply being put together.
pub struct Draft<'a> {
    target: &'a Target,
    live: &'a Live,
    object: Value,
    removals: Vec<Removal>,
    corrects: Vec<Correction>,
    applies: bool,
    /// What is applied, and what is kept.
    applied_units: BTreeSet<FieldPath>,
    applied: Vec<FieldPath>,
    /// What others added and stays.
    additions: Vec<FieldPath>,
    kept: Vec<&'a Judgement>,
    /// What rules hide and applying leaves alone.
    hidden: &'a Hidden,
    tracked: bool,
    /// An apply of ours has written it before.
    ours: bool,
}

impl<'a> Draft<'a> {
    pub fn new(target: &'a Target, live: &'a Live, app: &App, hidden: &'a Hidden) -> Self {
        let tracked = !tracking::takes_mark(&target.key) || app.tracks(&live.object, &live.key);
        Self {
            target,
            live,
            object: trueup_diff::sent_form(&target.object),
            removals: Vec::new(),
            corrects: Vec::new(),
            applies: false,
            applied_units: BTreeSet::new(),
            applied: Vec::new(),
            additions: Vec::new(),
            kept: Vec::new(),
            hidden,
            tracked,
            ours: is_ours(live),
        }
    }

    /// Whether the entries of older tools are moved into ours first.
    pub fn takes_over(&self) -> bool {
        !self.ours
    }

    /// The target's value is applied. A field that Git no longer declares needs an explicit removal where leaving it out
    /// does not remove it: another manager owns it too, or we do not.
    pub fn apply(&mut self, judgement: &Judgement, correction: bool) {
        self.applies = true;
        self.applied_units.insert(judgement.unit.clone());
        self.applied.push(judgement.path.clone());
        if correction {
            self.corrects.push(Correction {
                path: Some(judgement.path.clone()),
                opponent: judgement.opponent.clone(),
            });
        }
        if judgement.pending_removal && (judgement.foreign || !judgement.ours) {
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

    /// The live value stays. An addition stays by itself: sent, it would become ours.
    pub fn keep(&mut self, judgement: &'a Judgement) {
        match judgement.channel {
            Channel::Declared => self.kept.push(judgement),
            Channel::Undeclared | Channel::Unowned => match judgement.excuse {
                None | Some(Excuse::Weightless) => self.additions.push(judgement.path.clone()),
                Some(Excuse::Autoscaler(_) | Excuse::Class | Excuse::Ignored) => {}
            },
            Channel::Existence => {}
        }
    }

    /// Puts what rules hide of a value that is applied as one back into it, as it is live. Says of which values that was done.
    fn put_hidden(&mut self) -> BTreeSet<FieldPath> {
        let mut done = BTreeSet::new();
        if self.hidden.is_empty() {
            return done;
        }
        for unit in &self.applied_units {
            let (target, live) = (&self.object, &*self.live.object);
            let places = unit.pointer_in(target).zip(unit.pointer_in(live));
            let Some((of_target, of_live)) = places else { continue };
            let below = self.hidden.below(&of_target, &of_live);
            let (Some(wanted), Some(found)) = (of_target.get(target), of_live.get(live)) else { continue };
            if !below.is_empty() {
                let kept = trueup_diff::keep_hidden(wanted, found, &below);
                edit::set(&mut self.object, unit.elements(), kept);
                done.insert(unit.clone());
            }
        }
        done
    }

    fn put_kept(&mut self) {
        let put = self.put_hidden();
        for judgement in std::mem::take(&mut self.kept) {
            let is_part = judgement.unit != judgement.path;
            let composed = is_part && self.applied_units.contains(&judgement.unit);
            if put.contains(&judgement.unit) && judgement.excuse == Some(Excuse::Ignored) {
                continue;
            }
            let path = if composed { &judgement.path } else { &judgement.unit };
            // An atomic value that is taken over loses its older owner with the entry.
            let is_ours_alone = judgement.ours && !judgement.foreign;
            let sent = composed || is_ours_alone || (is_part && self.takes_over());
            match trueup_merge::get(&self.live.object, path) {
                Some(value) if sent => edit::set(&mut self.object, path.elements(), value.clone()),
                Some(_) | None => edit::delete(&mut self.object, path.elements()),
            }
        }
    }

    /// The step, where anything is to be done. `take_over`: also an object that differs in nothing is brought under our
    /// manager and mark.
    pub fn finish(mut self, take_over: bool) -> Option<Step> {
        if !self.applies && !(take_over && (!self.ours || !self.tracked)) {
            return None;
        }
        self.put_kept();
        Some(Step {
            key: self.target.key.clone(),
            gvk: self.target.gvk.clone(),
            action: Action::Apply {
                object: self.object,
                take_over: !self.ours,
                removals: self.removals,
                beside: beside(&self.applied, self.additions),
            },
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
