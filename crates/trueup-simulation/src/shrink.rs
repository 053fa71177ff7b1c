//! A failing story made smaller: fewer steps, as long as the same property fails.

use crate::drive::{Play, play};
use crate::judge::Property;
use crate::story::{Act, Step, Story};

/// How often a smaller story is tried: each is a whole run.
const TRIES_MAX: usize = 150;

/// The smallest story found in which the property still fails.
pub fn shrink(story: &Story, property: Property) -> Story {
    let mut tries = 0;
    let mut fails = |story: &Story| {
        tries += 1;
        tries <= TRIES_MAX && play(story, Play::default()).violations.iter().any(|it| it.property == property)
    };
    let mut smallest = story.clone();
    let mut chunk = smallest.steps.len().div_ceil(2).max(1);
    loop {
        let mut from = 0;
        while from < smallest.steps.len() {
            let until = (from + chunk).min(smallest.steps.len());
            let smaller = without(&smallest, from, until);
            if fails(&smaller) {
                smallest = smaller;
            } else {
                from = until;
            }
        }
        if chunk == 1 {
            return smallest;
        }
        chunk = chunk.div_ceil(2);
    }
}

/// A story without some of its steps; the time that they took stays.
fn without(story: &Story, from: usize, until: usize) -> Story {
    let mut smaller = story.clone();
    let gone_ms: u64 = smaller.steps.drain(from..until).map(|step| step.then_ms).sum();
    let is_empty = smaller.steps.is_empty();
    match from.checked_sub(1).and_then(|before| smaller.steps.get_mut(before)) {
        Some(before) => before.then_ms += gone_ms,
        None if gone_ms > 0 && !is_empty => {
            smaller.steps.insert(0, Step { act: Act::Wait, then_ms: gone_ms });
        }
        None => {}
    }
    smaller
}
