//! A list that is set at run time, and those who want to know when it becomes another one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trueup_latest as latest;

/// Clones share the list.
#[derive(Debug)]
pub(crate) struct Announced<T> {
    shared: Arc<Shared<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    items: Mutex<Vec<T>>,
    generation: latest::Sender<u64>,
}

impl<T> Clone for Announced<T> {
    fn clone(&self) -> Self {
        Self { shared: self.shared.clone() }
    }
}

impl<T> Default for Announced<T> {
    fn default() -> Self {
        let (items, generation) = (Mutex::new(Vec::new()), latest::Sender::new(0));
        Self { shared: Arc::new(Shared { items, generation }) }
    }
}

impl<T> Announced<T> {
    /// To be read: nobody is told of what is changed here.
    pub(crate) fn items(&self) -> MutexGuard<'_, Vec<T>> {
        self.shared.items.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the list and tells whoever follows it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Vec<T>)) {
        change(&mut self.items());
        self.shared.generation.send_modify(|generation| *generation += 1);
    }

    pub(crate) fn subscribe(&self) -> latest::Receiver<u64> {
        self.shared.generation.subscribe()
    }
}
