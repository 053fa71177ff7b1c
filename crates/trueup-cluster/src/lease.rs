//! Who acts, where several instances run: a `Lease` of coordination.k8s.io, changed only in the version that was read.
//!
//! As client-go does it: a holder is believed for its lease's duration after *we* saw the lease change, on our own
//! monotonic clock, so that clocks that disagree between machines do no harm. A holder that cannot renew stops acting
//! before others may begin.

mod keeper;

use std::time::Duration;

use http::Method;
use tokio::time::{Instant, sleep, timeout};
use trueup_latest as latest;
use trueup_object::{Timestamp, Value};

use crate::path;
use crate::watch::Clock;
use crate::wire::{BodyKind, Wire, WireError};

pub use keeper::{Candidate, Keeper};

/// A holder that shows no sign of life for this long has lost the lease.
pub const LEASE_DURATION: Duration = Duration::from_secs(15);
/// A holder that could not renew for this long stops, well before others begin.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// How often a holder renews.
const RENEW_INTERVAL: Duration = Duration::from_secs(5);
/// How often everybody else looks, and a holder retries.
const RETRY_INTERVAL: Duration = Duration::from_secs(2);

/// Where the lease is and who asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseName {
    pub namespace: String,
    pub name: String,
}

/// What is known of the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Leadership {
    /// Not known yet, or the cluster cannot be reached.
    Unknown,
    /// Somebody else acts.
    Following {
        holder: String,
    },
    Leading,
}

/// A lease as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRecord {
    pub holder: String,
    pub renewed: Option<Timestamp>,
    pub duration_seconds: i64,
    transitions: i64,
    acquired: String,
    resource_version: String,
}

impl LeaseRecord {
    /// Whether somebody holds it by the clock of the reader; for those who look once and cannot watch it.
    pub fn is_held(&self, now: Timestamp) -> bool {
        let Some(renewed) = self.renewed else { return false };
        let age = now.duration_since(renewed).as_secs();
        !self.holder.is_empty() && age <= self.duration_seconds
    }
}

/// Reads a lease; nothing where there is none.
pub async fn read_lease(wire: &Wire, lease: &LeaseName) -> Result<Option<LeaseRecord>, WireError> {
    match wire.get(&object_path(lease)).await {
        Ok(answer) => read_answer(&answer.body).map(Some),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Strives for a lease until dropped; the channel tells who leads. An identity that is the holder already, such as
/// ours from before a restart, leads at once: it must be unique among running instances.
pub async fn strive(
    wire: Wire,
    lease: LeaseName,
    identity: String,
    clock: Clock,
    leadership: latest::Sender<Leadership>,
) {
    let mut elector = Elector { wire, lease, identity, clock, seen: None, written: None, renewed: None };
    let mut told = None;
    loop {
        // Whoever's time is up says so before the next try, which may be long without an answer.
        if elector.time_left().is_none() && *leadership.borrow() == Leadership::Leading {
            leadership.send_replace(Leadership::Unknown);
        }
        // Nothing may keep us from noticing that the deadline has passed.
        let limit = elector.time_left().unwrap_or(RENEW_DEADLINE);
        let outcome = timeout(limit, elector.attempt()).await.unwrap_or_else(|_| {
            Err(WireError::NoAnswer { message: "the lease could not be renewed in time".to_owned() })
        });
        let leads = outcome == Ok(Leadership::Leading);
        let state = match outcome {
            Ok(state) => {
                if told.take().is_some() {
                    tracing::info!("the Lease can be asked for again");
                }
                state
            }
            Err(error) => {
                tell_once(&mut told, &elector.lease, &error);
                // The lease stays ours until the deadline: a short fault of the server must not stop all acting.
                if elector.time_left().is_some() { Leadership::Leading } else { Leadership::Unknown }
            }
        };
        leadership.send_if_modified(|known| {
            let changed = *known != state;
            *known = state;
            changed
        });
        let wait = if leads { RENEW_INTERVAL } else { RETRY_INTERVAL };
        let wait = elector.time_left().map_or(wait, |left| wait.min(left));
        tokio::select! {
            biased;
            () = leadership.closed() => return,
            () = sleep(wait) => {}
        }
    }
}

/// Logs why the lease cannot be had, once for each cause: without it nothing is done, and nothing else would say why.
fn tell_once(told: &mut Option<String>, lease: &LeaseName, error: &WireError) {
    let cause = error.to_string();
    if told.as_ref() == Some(&cause) {
        return;
    }
    let remedy = match error.status().map(|status| status.code) {
        Some(401) => "renew the credentials of the kubeconfig",
        Some(403) => "grant get, create and update of leases.coordination.k8s.io in that namespace",
        Some(404) => "create the namespace of the Applications",
        Some(409) => "another instance was quicker",
        Some(_) | None => "check that the API server runs, and the kubeconfig",
    };
    let lease = format!("{}/{}", lease.namespace, lease.name);
    tracing::warn!(error = %cause, lease, remedy, "the Lease cannot be asked for; trying again");
    *told = Some(cause);
}

/// Gives a lease up, so that the next instance need not wait. Does nothing when somebody else holds it.
pub async fn release(wire: &Wire, lease: &LeaseName, identity: &str, clock: &Clock) -> Result<(), WireError> {
    let Some(record) = read_lease(wire, lease).await? else { return Ok(()) };
    if record.holder != identity {
        return Ok(());
    }
    let released = LeaseRecord { holder: String::new(), duration_seconds: 1, ..record };
    put(wire, lease, &released, clock()).await.map(|_| ())
}

struct Elector {
    wire: Wire,
    lease: LeaseName,
    identity: String,
    clock: Clock,
    /// The version of the lease last seen, and when we first saw it.
    seen: Option<(String, Instant)>,
    /// The lease as we last wrote it.
    written: Option<LeaseRecord>,
    /// When our last renewal was sent that succeeded.
    renewed: Option<Instant>,
}

impl Elector {
    /// How long we may still act on our last renewal; nothing when we may not.
    fn time_left(&self) -> Option<Duration> {
        let left = RENEW_DEADLINE.saturating_sub(self.renewed?.elapsed());
        (!left.is_zero()).then_some(left)
    }

    async fn attempt(&mut self) -> Result<Leadership, WireError> {
        let sent = Instant::now();
        let result = self.renew_or_acquire().await;
        match &result {
            Ok(Leadership::Leading) => self.renewed = Some(sent),
            Ok(Leadership::Following { .. } | Leadership::Unknown) => self.renewed = None,
            Err(_) => {}
        }
        result
    }

    async fn renew_or_acquire(&mut self) -> Result<Leadership, WireError> {
        let now = (self.clock)();
        // Whoever leads renews what was written last, in that version: if somebody else wrote since, the server refuses.
        let written = self.written.take().filter(|_| self.time_left().is_some());
        if let Some(mine) = written {
            let renewed = put(&self.wire, &self.lease, &mine, now).await;
            if !matches!(&renewed, Err(WireError::Refused(status)) if matches!(status.code, 404 | 409)) {
                return self.won(renewed);
            }
        }
        let Some(record) = read_lease(&self.wire, &self.lease).await? else {
            let fresh = LeaseRecord {
                holder: self.identity.clone(),
                renewed: None,
                duration_seconds: duration_seconds(),
                transitions: 0,
                acquired: micro_time(now),
                resource_version: String::new(),
            };
            let put = put(&self.wire, &self.lease, &fresh, now).await;
            return self.won(put);
        };
        let expired = self.observe(&record);
        if record.holder != self.identity && !record.holder.is_empty() && !expired {
            return Ok(Leadership::Following { holder: record.holder });
        }
        let taken = record.holder != self.identity;
        let mine = LeaseRecord {
            holder: self.identity.clone(),
            duration_seconds: duration_seconds(),
            transitions: record.transitions + i64::from(taken),
            acquired: if taken { micro_time(now) } else { record.acquired.clone() },
            ..record
        };
        let put = put(&self.wire, &self.lease, &mine, now).await;
        self.won(put)
    }

    /// Notes a change of the lease; whether the one seen has not changed for its whole duration.
    fn observe(&mut self, record: &LeaseRecord) -> bool {
        let duration = u64::try_from(record.duration_seconds).map_or(LEASE_DURATION, Duration::from_secs);
        match &self.seen {
            Some((version, since)) if *version == record.resource_version => since.elapsed() > duration,
            Some(_) | None => {
                self.seen = Some((record.resource_version.clone(), Instant::now()));
                false
            }
        }
    }

    /// A conflict means that somebody else was quicker: who, the next look tells.
    fn won(&mut self, put: Result<LeaseRecord, WireError>) -> Result<Leadership, WireError> {
        match put {
            Ok(written) => {
                self.written = Some(written);
                Ok(Leadership::Leading)
            }
            Err(WireError::Refused(status)) if status.code == 409 => Ok(Leadership::Unknown),
            Err(error) => Err(error),
        }
    }
}

fn duration_seconds() -> i64 {
    i64::try_from(LEASE_DURATION.as_secs()).unwrap_or(i64::MAX)
}

/// Writes a lease, and gives it as it was written.
async fn put(
    wire: &Wire,
    lease: &LeaseName,
    record: &LeaseRecord,
    now: Timestamp,
) -> Result<LeaseRecord, WireError> {
    let LeaseRecord { holder, renewed: _, duration_seconds, transitions, acquired, resource_version } =
        record;
    let mut body = Value::default();
    body.set_at(&["apiVersion"], "coordination.k8s.io/v1".into());
    body.set_at(&["kind"], "Lease".into());
    body.set_at(&["metadata", "name"], lease.name.as_str().into());
    body.set_at(&["metadata", "namespace"], lease.namespace.as_str().into());
    body.set_at(&["spec", "holderIdentity"], holder.as_str().into());
    body.set_at(&["spec", "leaseDurationSeconds"], Value::Int(*duration_seconds));
    body.set_at(&["spec", "leaseTransitions"], Value::Int(*transitions));
    body.set_at(&["spec", "renewTime"], micro_time(now).into());
    if !acquired.is_empty() {
        body.set_at(&["spec", "acquireTime"], acquired.as_str().into());
    }
    let (method, path) = if resource_version.is_empty() {
        (Method::POST, collection_path(lease))
    } else {
        body.set_at(&["metadata", "resourceVersion"], resource_version.as_str().into());
        (Method::PUT, object_path(lease))
    };
    let answer = wire.write(method, &path, BodyKind::Json, body.to_json().into_bytes()).await?;
    read_answer(&answer.body)
}

fn read_answer(body: &[u8]) -> Result<LeaseRecord, WireError> {
    let value = Value::from_json(body);
    value.map(|value| of_value(&value)).map_err(|error| WireError::Unreadable { message: error.to_string() })
}

fn of_value(value: &Value) -> LeaseRecord {
    let text = |keys: &[&str]| value.str_at(keys).unwrap_or_default().to_owned();
    LeaseRecord {
        holder: text(&["spec", "holderIdentity"]),
        renewed: value.str_at(&["spec", "renewTime"]).and_then(|time| time.parse().ok()),
        duration_seconds: value.int_at(&["spec", "leaseDurationSeconds"]).unwrap_or_default(),
        transitions: value.int_at(&["spec", "leaseTransitions"]).unwrap_or_default(),
        acquired: text(&["spec", "acquireTime"]),
        resource_version: text(&["metadata", "resourceVersion"]),
    }
}

fn micro_time(at: Timestamp) -> String {
    trueup_object::time::to_micros(at).to_string()
}

fn collection_path(lease: &LeaseName) -> String {
    format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", path::plain_segment(&lease.namespace))
}

fn object_path(lease: &LeaseName) -> String {
    format!("{}/{}", collection_path(lease), path::plain_segment(&lease.name))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_held_for_its_duration() {
        let json = br#"{"metadata":{"resourceVersion":"7"},"spec":{"holderIdentity":"a","leaseDurationSeconds":15,"renewTime":"2026-01-02T03:04:05.000000Z","leaseTransitions":2}}"#;
        let record = of_value(&Value::from_json(json).unwrap());
        let renewed = record.renewed.unwrap();
        let after = |seconds: i64| renewed + jiff::SignedDuration::from_secs(seconds);
        assert!(record.is_held(after(15)));
        assert!(!record.is_held(after(16)));
        assert!(!LeaseRecord { holder: String::new(), ..record }.is_held(after(1)));
    }

    #[test]
    fn times_have_six_digits() {
        assert_eq!(micro_time(Timestamp::from_second(1).unwrap()), "1970-01-01T00:00:01.000000Z");
    }
}
