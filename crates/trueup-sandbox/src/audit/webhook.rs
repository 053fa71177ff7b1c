//! Audit events posted in batches (`EventList`), as the API server's batching backend does it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use trueup_object::Value;
use trueup_object::yaml::read_documents;

use crate::http::outbound::{self, Peer};

/// Where events are posted to, and in which portions. What is not said is as in the API server.
#[derive(Debug, Clone)]
pub struct AuditWebhook {
    peer: Peer,
    /// The most events of one request.
    pub n_batch_max: usize,
    /// The longest that an event waits for others.
    pub batch_wait_max: Duration,
    /// Before the second attempt; each further one waits half as long again.
    pub backoff: Duration,
}

/// A configuration of the webhook that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WebhookError {
    /// It is no kubeconfig.
    #[error("the configuration of the audit webhook is no kubeconfig: {0}")]
    Unreadable(String),
    /// Something is not there.
    #[error("the configuration of the audit webhook has no {0}")]
    Missing(&'static str),
    /// A field is wrong.
    #[error("{field} in the configuration of the audit webhook: {why}")]
    Bad {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        why: String,
    },
}

const N_BATCH_MAX: usize = 400;
const BATCH_WAIT_MAX: Duration = Duration::from_secs(30);
const BACKOFF: Duration = Duration::from_secs(10);

/// The server's own: after so many attempts the events are lost.
const N_ATTEMPTS: usize = 5;

/// The receiver's time for an answer.
const POST_TIMEOUT: Duration = Duration::from_secs(30);

/// When the sandbox ends, nobody waits longer than this for the next attempt to deliver what is left.
const FAREWELL: Duration = Duration::from_secs(5);

impl AuditWebhook {
    /// Reads the kubeconfig that the server's flag names: the cluster of its current context, and that user's token or
    /// certificate, all inline.
    pub fn from_kubeconfig(text: &str) -> Result<Self, WebhookError> {
        let document = match read_documents(text.as_bytes()).into_iter().next() {
            Some(Ok(document)) => document.value,
            Some(Err(error)) => return Err(WebhookError::Unreadable(error.to_string())),
            None => return Err(WebhookError::Missing("clusters")),
        };
        let named = |list: &str, name: &str, part: &str| {
            let found = document.list_at(&[list]).iter().find(|item| item.str_at(&["name"]) == Some(name));
            found.and_then(|item| item.get(part)).cloned()
        };
        let current = document.str_at(&["current-context"]).unwrap_or_default();
        let context =
            named("contexts", current, "context").ok_or(WebhookError::Missing("current context"))?;
        let text = |value: &Value, key: &str| value.str_at(&[key]).unwrap_or_default().to_owned();
        let cluster = named("clusters", &text(&context, "cluster"), "cluster")
            .ok_or(WebhookError::Missing("cluster of the current context"))?;
        let user = named("users", &text(&context, "user"), "user").unwrap_or_default();
        let decoded = |value: &Value, field: &'static str| match value.str_at(&[field]) {
            None => Ok(None),
            Some(data) => STANDARD
                .decode(data)
                .map(Some)
                .map_err(|error| WebhookError::Bad { field, why: error.to_string() }),
        };
        let peer = Peer {
            dialled: None,
            url: text(&cluster, "server"),
            address: None,
            authority_pem: decoded(&cluster, "certificate-authority-data")?,
            certificate_pem: decoded(&user, "client-certificate-data")?,
            key_pem: decoded(&user, "client-key-data")?,
            token: user.str_at(&["token"]).map(str::to_owned),
        };
        peer.check().map_err(|why| WebhookError::Bad { field: "server", why })?;
        Ok(Self { peer, n_batch_max: N_BATCH_MAX, batch_wait_max: BATCH_WAIT_MAX, backoff: BACKOFF })
    }
}

/// Posts what comes until nothing more can come.
pub(crate) async fn post_batches(webhook: AuditWebhook, mut events: mpsc::Receiver<String>) {
    while let Some(first) = events.recv().await {
        let mut batch = vec![first];
        let deadline = Instant::now() + webhook.batch_wait_max;
        while batch.len() < webhook.n_batch_max {
            match timeout_at(deadline, events.recv()).await {
                Ok(Some(event)) => batch.push(event),
                Ok(None) | Err(_) => break,
            }
        }
        if events.is_closed() && events.is_empty() {
            // Nobody may wait long for a receiver that does not answer.
            let _late = timeout(POST_TIMEOUT, webhook.deliver(&batch, FAREWELL)).await;
        } else {
            webhook.deliver(&batch, Duration::MAX).await;
        }
    }
}

impl AuditWebhook {
    /// Tries until it is done, or until the next attempt would be later than anybody waits.
    async fn deliver(&self, batch: &[String], patience: Duration) {
        let mut wait = self.backoff;
        for attempt in 1..=N_ATTEMPTS {
            match self.post(batch).await {
                Ok(()) => return,
                Err(why) if attempt == N_ATTEMPTS || wait > patience => {
                    tracing::warn!(n_events = batch.len(), %why, "audit events were lost");
                    return;
                }
                Err(why) => {
                    tracing::debug!(%why, "audit events are posted again");
                    sleep(wait).await;
                    wait = wait.mul_f64(1.5);
                }
            }
        }
    }

    async fn post(&self, batch: &[String]) -> Result<(), String> {
        let list = format!(
            "{{\"kind\":\"EventList\",\"apiVersion\":\"audit.k8s.io/v1\",\"metadata\":{{}},\"items\":[{}]}}",
            batch.join(",")
        );
        let answer = timeout(POST_TIMEOUT, outbound::post(&self.peer, "", list)).await;
        answer.map_err(|_| "no answer in time".to_owned())?.map(drop)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const CONFIG: &str = "
apiVersion: v1
kind: Config
current-context: a
contexts: [{name: a, context: {cluster: receiver, user: me}}]
clusters: [{name: receiver, cluster: {server: 'https://audit.example:8443/events'}}]
users: [{name: me, user: {token: t}}]
";

    #[test]
    fn reads_the_kubeconfig_of_the_flag() {
        let webhook = AuditWebhook::from_kubeconfig(CONFIG).unwrap();
        assert_eq!(webhook.peer.url, "https://audit.example:8443/events");
        assert_eq!(webhook.peer.token.as_deref(), Some("t"));
        let broken = |from: &str, to: &str| {
            AuditWebhook::from_kubeconfig(&CONFIG.replace(from, to)).unwrap_err().to_string()
        };
        assert!(broken("current-context: a", "current-context: b").contains("no current context"));
        assert!(broken("https://audit", "ftp://audit").starts_with("server in the configuration"));
        assert!(
            broken("server:", "certificate-authority-data: '!', server:")
                .contains("certificate-authority-data")
        );
    }
}
