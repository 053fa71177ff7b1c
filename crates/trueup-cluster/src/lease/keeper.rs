//! A lease that is striven for apart from everything else: in a thread of its own, with a runtime and a connection of its own.
//!
//! A renewal that waits behind our own comparisons and requests is a renewal that comes too late, just when there is most to do:
//! then another instance begins, and this one begins all over again. Where the server is one of this process nothing may run
//! beside the runtime in use, and nothing there is ever late: the lease is striven for by a task, which ends with the keeper.

use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use trueup_latest as latest;

use super::{Leadership, LeaseName, RETRY_INTERVAL, release, strive};
use crate::connect::{Access, Connection};
use crate::watch::Clock;

/// Giving a lease up is a courtesy to the next instance, and holds up no end for longer than this.
const RELEASE_MAX: Duration = Duration::from_secs(10);

/// Whose lease it is, and how the server is reached.
#[derive(Clone)]
pub struct Candidate {
    pub access: Access,
    /// Of this program, for its requests.
    pub version: String,
    pub lease: LeaseName,
    /// Unique among running instances.
    pub identity: String,
    pub clock: Clock,
}

/// Strives for a lease until it is dropped or told to give the lease up.
pub struct Keeper {
    leadership: latest::Receiver<Leadership>,
    /// Asks for the lease to be given up; the answer says that it was tried.
    give_up: oneshot::Sender<oneshot::Sender<()>>,
    /// Where the lease is striven for by a task.
    task: Option<AbortOnDropHandle<()>>,
}

impl Keeper {
    /// Fails where the system has no thread for it. Must run within a tokio runtime.
    pub fn start(candidate: Candidate) -> std::io::Result<Self> {
        let (sender, leadership) = latest::channel(Leadership::Unknown);
        let (give_up, asked) = oneshot::channel();
        if candidate.access.is_in_process() {
            let task = AbortOnDropHandle::new(tokio::spawn(keep(candidate, sender, asked)));
            return Ok(Self { leadership, give_up, task: Some(task) });
        }
        // Only this thread's tasks run here, however busy the program's own runtime is.
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        thread::Builder::new()
            .name("lease".to_owned())
            .spawn(move || runtime.block_on(keep(candidate, sender, asked)))?;
        Ok(Self { leadership, give_up, task: None })
    }

    /// Who leads, from now on.
    pub fn leadership(&self) -> latest::Receiver<Leadership> {
        self.leadership.clone()
    }

    /// Stops striving and gives the lease up, so that the next instance need not wait.
    pub async fn release(self) {
        let (tried, answer) = oneshot::channel();
        if self.give_up.send(tried).is_ok() {
            // A thread that ended without an answer has nothing to give up any more.
            let _answered = timeout(RELEASE_MAX, answer).await;
        }
        drop(self.task);
    }
}

async fn keep(
    candidate: Candidate,
    leadership: latest::Sender<Leadership>,
    asked: oneshot::Receiver<oneshot::Sender<()>>,
) {
    let Candidate { access, version, lease, identity, clock } = candidate;
    let striving = async {
        let wire = connect(&access, &version).await.wire;
        strive(wire, lease.clone(), identity.clone(), clock.clone(), leadership).await;
    };
    tokio::select! {
        biased;
        tried = asked => {
            // The keeper was dropped: whoever drops it wants nothing more of the lease.
            let Ok(tried) = tried else { return };
            let wire = connect(&access, &version).await.wire;
            if let Err(error) = release(&wire, &lease, &identity, &clock).await {
                tracing::debug!(%error, "the Lease could not be given up; it runs out by itself");
            }
            // Who stopped waiting has no use for the answer.
            let _unheard = tried.send(());
        }
        () = striving => {}
    }
}

/// Opening a connection sends nothing yet: it fails only where the credentials of the program's own connection are gone since.
async fn connect(access: &Access, version: &str) -> Connection {
    loop {
        match Connection::open(access, version).await {
            Ok(connection) => return connection,
            Err(error) => {
                tracing::warn!(%error, remedy = error.hint(), "the Lease cannot be asked for; trying again")
            }
        }
        sleep(RETRY_INTERVAL).await;
    }
}
