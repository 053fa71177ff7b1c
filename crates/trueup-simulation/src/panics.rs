//! Panics of what is simulated: caught on their way, since a controller survives those of its workers.

use std::cell::RefCell;
use std::sync::Once;

thread_local! {
    /// What was said by panics on this thread while somebody listens.
    static HEARD: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// Runs something on this thread; returns what it returns, unless it panics itself, and every panic's message.
pub fn heard<T>(run: impl FnOnce() -> T) -> (Option<T>, Vec<String>) {
    static HOOKED: Once = Once::new();
    HOOKED.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let is_heard = HEARD.with_borrow_mut(|heard| {
                heard.as_mut().map(|messages| messages.push(info.to_string())).is_some()
            });
            if !is_heard {
                before(info);
            }
        }));
    });
    HEARD.set(Some(Vec::new()));
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    let messages = HEARD.take().unwrap_or_default();
    (outcome.ok(), messages)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_heard_once() {
        let (outcome, heard) = heard(|| panic!("of a worker"));
        let _: Option<()> = outcome;
        assert_eq!(heard.len(), 1);
        assert!(heard[0].contains("of a worker"));
        assert_eq!(super::heard(|| 1), (Some(1), Vec::new()));
    }
}
