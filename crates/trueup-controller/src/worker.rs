//! One application's worker: the only owner of its state. It waits for a wake-up or its next timer, takes a turn, and
//! waits again. A turn that panics is one lost turn: the state starts anew from what is stored.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use trueup_engine::app::AppKey;

use crate::installation::Installation;
use crate::mailbox::{Depth, Mailbox};
use crate::state::AppState;
use crate::turn;

/// A timer never sleeps longer than this, so that a clock that was set forward is noticed.
const NAP_MAX: Duration = Duration::from_secs(1);

/// After a panic the next turn waits, so that a fault that repeats does not spin.
const AFTER_PANIC: Duration = Duration::from_secs(5);

/// Runs until cancelled or until the Application is gone.
pub async fn run(installation: Arc<Installation>, key: AppKey, mailbox: Mailbox, ended: CancellationToken) {
    let mut state = AppState::new(key.clone());
    let mut due: Option<Timestamp> = None;
    loop {
        let depth = tokio::select! {
            biased;
            () = ended.cancelled() => return,
            depth = mailbox.next() => depth,
            () = until(&installation, due) => Depth::Live,
        };
        // On the heap, for as long as it takes: a worker that sleeps keeps no room for all that a turn may hold.
        let turn = Box::pin(turn::take(&installation, &mut state, depth));
        let taken = std::panic::AssertUnwindSafe(turn).catch_unwind().await;
        match taken {
            Ok(turn::Next::At(next)) => due = next,
            Ok(turn::Next::Again) => mailbox.wake(Depth::Live),
            Ok(turn::Next::Gone) => return,
            Err(_) => {
                tracing::error!(application = %key, "a turn panicked; its state is loaded anew");
                state = AppState::new(key.clone());
                tokio::time::sleep(AFTER_PANIC).await;
                mailbox.wake(Depth::Git);
            }
        }
    }
}

/// Waits until the clock shows a time.
async fn until(installation: &Installation, due: Option<Timestamp>) {
    let Some(due) = due else { return std::future::pending().await };
    loop {
        let left = due.duration_since(installation.now());
        let Ok(left) = Duration::try_from(left) else { return };
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(NAP_MAX)).await;
    }
}
