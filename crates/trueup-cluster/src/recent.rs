//! What was made of things that lie packed, for the few that were asked about last.
//!
//! Packed, a thousand applications take a fraction of what they take parsed; but those that change are asked about again and
//! again, and would be parsed each time.

use std::collections::BTreeMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError};

/// What was made of shared things, known by which thing it is and not by what it says. At most twice as many as its limit are kept,
/// each together with the thing, so that no other can take its place in memory.
pub struct Recent<T: ?Sized, V> {
    limit: usize,
    generations: Mutex<Generations<T, V>>,
}

struct Generations<T: ?Sized, V> {
    young: BTreeMap<usize, (Arc<T>, V)>,
    /// Those that are forgotten next, unless somebody asks for them before.
    old: BTreeMap<usize, (Arc<T>, V)>,
}

impl<T: ?Sized, V: Clone> Recent<T, V> {
    pub const fn new(limit: usize) -> Self {
        Self { limit, generations: Mutex::new(Generations { young: BTreeMap::new(), old: BTreeMap::new() }) }
    }

    /// What was made of the thing; `make` makes it where that is not known any more.
    pub fn get<E>(&self, of: &Arc<T>, make: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let place = Arc::as_ptr(of).addr();
        if let Some(known) = self.known(place) {
            return Ok(known);
        }
        let made = make()?;
        self.keep(place, of, made.clone());
        Ok(made)
    }

    fn known(&self, place: usize) -> Option<V> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, known)) = generations.young.get(&place) {
            return Some(known.clone());
        }
        let (of, known) = generations.old.remove(&place)?;
        let forgotten = generations.insert(self.limit, place, of, known.clone());
        drop(generations);
        drop(forgotten);
        Some(known)
    }

    fn keep(&self, place: usize, of: &Arc<T>, made: V) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let forgotten = generations.insert(self.limit, place, of.clone(), made);
        drop(generations);
        // Taking trees apart takes its time, in which nobody has to wait.
        drop(forgotten);
    }
}

impl<T: ?Sized, V> Generations<T, V> {
    /// Returns what is forgotten for it.
    fn insert(&mut self, limit: usize, place: usize, of: Arc<T>, made: V) -> BTreeMap<usize, (Arc<T>, V)> {
        let forgotten = if self.young.len() >= limit {
            mem::replace(&mut self.old, mem::take(&mut self.young))
        } else {
            BTreeMap::new()
        };
        self.young.insert(place, (of, made));
        forgotten
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    #[test]
    fn what_is_asked_for_again_is_not_made_again() {
        let recent = Recent::<str, usize>::new(2);
        let made = Cell::new(0);
        let length = |of: &Arc<str>| {
            let make = || {
                made.set(made.get() + 1);
                Ok::<_, Infallible>(of.len())
            };
            recent.get(of, make).unwrap()
        };
        let things: Vec<Arc<str>> = ["", "a", "bb", "ccc", "dddd", "eeeee"].map(Arc::from).into();
        for _ in 0..3 {
            assert_eq!((length(&things[1]), length(&things[2])), (1, 2));
        }
        assert_eq!(made.get(), 2);
        // What is asked for all the time stays, whatever else comes by.
        for thing in &things[2..] {
            assert_eq!(length(thing), thing.len());
            assert_eq!(length(&things[1]), 1);
        }
        assert_eq!(made.get(), 5);
        // An equal text is another thing; the first of them was forgotten.
        assert_eq!(length(&Arc::from("bb")), 2);
        assert_eq!(length(&things[2]), 2);
        assert_eq!(made.get(), 7);
    }

    #[test]
    fn what_cannot_be_made_is_tried_again_and_things_are_let_go() {
        let recent = Recent::<u8, u8>::new(1);
        let thing = Arc::new(1);
        assert_eq!(recent.get(&thing, || Err("not now")), Err("not now"));
        assert_eq!(recent.get(&thing, || Ok::<_, Infallible>(7)), Ok(7));
        for number in 2..5 {
            assert_eq!(recent.get(&Arc::new(number), || Ok::<_, Infallible>(number)), Ok(number));
        }
        assert_eq!(Arc::strong_count(&thing), 1);
    }
}
