//! The latest value of something, for many who wait for another one.
//!
//! What `tokio::sync::watch` does, and so with its names, save for one thing: that one spreads those who wait over lists that
//! it chooses by chance and wakes list by list, so that with more than one waiter no two runs are the same. Here they are woken
//! in the order in which they began to wait.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::Notify;

/// Nobody will set another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nobody is left to set another value")]
pub struct Closed;

/// Sets the value. One for each value; whoever waits learns when it is dropped.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Reads the value and waits for another one. A clone has seen what its original has.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The number of the value that was seen last.
    seen: u64,
}

/// The value as it is now. It cannot be set while this is held, so it is not to be held across an await.
#[derive(Debug)]
pub struct Ref<'a, T> {
    state: RwLockReadGuard<'a, State<T>>,
}

#[derive(Debug)]
struct Shared<T> {
    state: RwLock<State<T>>,
    /// A value was set, or none will be any more.
    news: Notify,
    n_receivers: AtomicUsize,
    /// The last receiver is gone.
    unheard: Notify,
}

#[derive(Debug)]
struct State<T> {
    value: T,
    /// Counts the values.
    number: u64,
    is_closed: bool,
}

/// A value, and one receiver that has seen it.
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(value);
    let receiver = sender.subscribe();
    (sender, receiver)
}

impl<T> Shared<T> {
    // Whoever panics while changing a value spoils that value at most, which is his to answer for.
    fn read(&self) -> Ref<'_, T> {
        Ref { state: self.state.read().unwrap_or_else(PoisonError::into_inner) }
    }

    fn write(&self) -> RwLockWriteGuard<'_, State<T>> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.state.value
    }
}

impl<T> Sender<T> {
    pub fn new(value: T) -> Self {
        let shared = Shared {
            state: RwLock::new(State { value, number: 0, is_closed: false }),
            news: Notify::new(),
            n_receivers: AtomicUsize::new(0),
            unheard: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// A receiver that has seen the value of now.
    pub fn subscribe(&self) -> Receiver<T> {
        self.shared.n_receivers.fetch_add(1, Ordering::AcqRel);
        let seen = self.shared.read().state.number;
        Receiver { shared: self.shared.clone(), seen }
    }

    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.read()
    }

    /// Sets a value and returns the one before.
    pub fn send_replace(&self, value: T) -> T {
        let mut value = value;
        self.send_modify(|known| std::mem::swap(known, &mut value));
        value
    }

    /// Changes the value.
    pub fn send_modify(&self, modify: impl FnOnce(&mut T)) {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// Changes the value; nobody is woken unless the change says that it was one. Returns what it said.
    pub fn send_if_modified(&self, modify: impl FnOnce(&mut T) -> bool) -> bool {
        let mut state = self.shared.write();
        let modified = modify(&mut state.value);
        if !modified {
            return false;
        }
        state.number += 1;
        drop(state);
        self.shared.news.notify_waiters();
        true
    }

    /// Waits until there is no receiver.
    pub async fn closed(&self) {
        loop {
            let unheard = self.shared.unheard.notified();
            if self.shared.n_receivers.load(Ordering::Acquire) == 0 {
                return;
            }
            unheard.await;
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.write().is_closed = true;
        self.shared.news.notify_waiters();
    }
}

impl<T> Receiver<T> {
    /// The value, without taking note of having seen it.
    pub fn borrow(&self) -> Ref<'_, T> {
        self.shared.read()
    }

    /// The value, which is seen now.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let value = self.shared.read();
        self.seen = value.state.number;
        value
    }

    /// Waits for a value that was not seen; it is seen then. Cancelling the wait loses nothing.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        loop {
            // Asked for before looking, so that what is set in between wakes it.
            let news = self.shared.news.notified();
            {
                let value = self.shared.read();
                if value.state.number != self.seen {
                    self.seen = value.state.number;
                    return Ok(());
                }
                if value.state.is_closed {
                    return Err(Closed);
                }
            }
            news.await;
        }
    }

    /// Waits until a value is as wanted, the one of now first; it is seen then. Cancelling the wait loses nothing.
    pub async fn wait_for(&mut self, mut wanted: impl FnMut(&T) -> bool) -> Result<Ref<'_, T>, Closed> {
        let shared = &self.shared;
        loop {
            let news = shared.news.notified();
            {
                let value = shared.read();
                self.seen = value.state.number;
                if wanted(&value) {
                    return Ok(value);
                }
                if value.state.is_closed {
                    return Err(Closed);
                }
            }
            news.await;
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.n_receivers.fetch_add(1, Ordering::AcqRel);
        Self { shared: self.shared.clone(), seen: self.seen }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if self.shared.n_receivers.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shared.unheard.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests;
