//! Audit: who asked for what and what became of it, as `Event`s of `audit.k8s.io/v1`, to a log and to a webhook.
//!
//! A request has a [`Trail`] from the moment at which its caller is known; whoever serves it notes there what an event tells.
//! The last event of a request is made when nobody holds the trail any more, which for a watch is at its end.

mod policy;
mod trail;
mod webhook;

use std::io::Write;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use trueup_object::Value;

use crate::clock::Clock;
use crate::ids::IdSource;

pub use policy::{AuditPolicy, Level, PolicyError, Stage};
pub use webhook::{AuditWebhook, WebhookError};

pub(crate) use policy::{Asked, AskedResource};
pub(crate) use trail::{Request, Trail};
pub(crate) use webhook::post_batches;

/// What is audited, and where to.
#[derive(Debug, Clone)]
pub struct AuditOptions {
    /// Which requests, and how much of each.
    pub policy: AuditPolicy,
    /// Where events are written to.
    pub log: Option<AuditLog>,
    /// Where events are posted to.
    pub webhook: Option<AuditWebhook>,
}

/// Takes events, one JSON document on each line. Clones share the writer.
#[derive(Clone)]
pub struct AuditLog {
    writer: Arc<Mutex<dyn Write + Send>>,
}

impl std::fmt::Debug for AuditLog {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("AuditLog").finish_non_exhaustive()
    }
}

impl AuditLog {
    /// A log that is written where the caller says: a file, or memory.
    pub fn new(writer: impl Write + Send + 'static) -> Self {
        Self { writer: Arc::new(Mutex::new(writer)) }
    }

    fn write(&self, line: &str) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // As in the server, a full disk does not refuse requests: the event is lost, and the log says so.
        if let Err(error) = writeln!(writer, "{line}").and_then(|()| writer.flush()) {
            tracing::warn!(%error, "an audit event could not be written");
        }
    }
}

/// How many events wait for the webhook, as in the server's own buffer; more are lost.
const N_WAITING_MAX: usize = 10_000;

/// The auditor of a running sandbox.
#[derive(Debug)]
pub(crate) struct Audit {
    policy: AuditPolicy,
    log: Option<AuditLog>,
    sender: Mutex<Option<mpsc::Sender<String>>>,
    clock: Clock,
    ids: IdSource,
}

impl Audit {
    /// An auditor, and what it has for the webhook.
    pub fn new(
        options: &AuditOptions,
        clock: Clock,
        seed: u64,
    ) -> (Arc<Self>, Option<mpsc::Receiver<String>>) {
        let (sender, receiver) = match &options.webhook {
            Some(_) => {
                let (sender, receiver) = mpsc::channel(N_WAITING_MAX);
                (Some(sender), Some(receiver))
            }
            None => (None, None),
        };
        let audit = Self {
            policy: options.policy.clone(),
            log: options.log.clone(),
            sender: Mutex::new(sender),
            clock,
            // Apart from the sequence of object ids, so that being audited does not change those.
            ids: IdSource::new(seed ^ 0x61_7564_6974),
        };
        (Arc::new(audit), receiver)
    }

    fn sender(&self) -> MutexGuard<'_, Option<mpsc::Sender<String>>> {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing more comes: what waits for the webhook is the last.
    pub fn close(&self) {
        self.sender().take();
    }

    fn emit(&self, event: &Value) {
        let line = event.to_json();
        if let Some(log) = &self.log {
            log.write(&line);
        }
        if let Some(sender) = &*self.sender()
            && sender.try_send(line).is_err()
        {
            tracing::warn!("an audit event was lost: more than {N_WAITING_MAX} wait for the webhook");
        }
    }
}
