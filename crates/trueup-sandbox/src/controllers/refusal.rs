//! What becomes of an owner whose pods, claims, jobs or replica sets are refused, by a quota or by whoever else is asked: it is
//! told, the status says so, and it is tried again, later each time.

use std::time::Duration;

use trueup_object::{Timestamp, Value};

use super::events::Event;
use super::objects::{
    CLAIMS, CRON_JOBS, DAEMON_SETS, DEPLOYMENTS, JOBS, PODS, REPLICA_SETS, Resource, STATEFUL_SETS, Step,
    text,
};
use super::{deployment, replica_set};
use crate::status::ApiStatus;

/// How long it takes until a refused owner is looked at again: the least, doubled at each refusal, up to the most.
const PACE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1000));
const PACE_OF_JOBS: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// A refused step of an owner.
#[derive(Debug, Clone, Copy)]
pub struct Refusal<'a> {
    pub resource: Resource,
    pub owner: &'a Value,
    pub step: &'a Step,
    /// What would have come after it.
    pub rest: &'a [Step],
    pub status: &'a ApiStatus,
}

/// Those that tell of what they make, and are hindered where it is refused.
const OWNERS: [(Resource, &str); 6] = [
    (DEPLOYMENTS, "deployment-controller"),
    (REPLICA_SETS, "replicaset-controller"),
    (STATEFUL_SETS, "statefulset-controller"),
    (DAEMON_SETS, "daemonset-controller"),
    (JOBS, "job-controller"),
    (CRON_JOBS, "cronjob-controller"),
];

/// Whether a step makes something that its owner cannot be without: when it is refused, nothing more is made.
pub fn is_needed(step: &Step) -> bool {
    let made = [PODS, CLAIMS, JOBS, REPLICA_SETS];
    matches!(step, Step::Create { resource, .. } if made.contains(resource))
}

/// Whether a step is left out once another was refused. What is written of the owner still is, but for a deployment, whose
/// progress would be told wrong.
pub fn is_left_out(step: &Step, refused: &Step) -> bool {
    let of_rollout = matches!(refused, Step::Create { resource, .. } if *resource == REPLICA_SETS);
    of_rollout || matches!(step, Step::Create { .. } | Step::Tell(_))
}

/// When it is tried again after so many refusals.
pub fn next_try(resource: Resource, n_refusals: u32, now: Timestamp) -> Option<Timestamp> {
    let (least, most) = if resource == JOBS { PACE_OF_JOBS } else { PACE };
    let doubled =
        2_u32.checked_pow(n_refusals.saturating_sub(1)).and_then(|factor| least.checked_mul(factor));
    now.checked_add(doubled.map_or(most, |delay| delay.min(most))).ok()
}

impl Refusal<'_> {
    /// Whether the refusal is nobody's concern: in a namespace that goes nothing can be made.
    fn is_end_of_namespace(&self) -> bool {
        self.status.details.causes.iter().any(|cause| cause.reason.as_str() == "NamespaceTerminating")
    }

    /// What is told of it, and what the owner's status says. `pods` are those that it has by now.
    pub fn steps(&self, pods: &[std::sync::Arc<Value>], now: Timestamp) -> Vec<Step> {
        let Step::Create { resource: made, object, .. } = self.step else { return Vec::new() };
        if self.is_end_of_namespace() {
            return Vec::new();
        }
        let why = &self.status.message;
        let owner = text(self.owner, "name");
        let failed = |message: String| self.told("FailedCreate", message);
        if self.resource == STATEFUL_SETS {
            let made_pod = |step: &&Step| matches!(step, Step::Create { resource, .. } if *resource == PODS);
            let pod = std::iter::once(self.step).chain(self.rest).find(made_pod);
            let pod = match pod {
                Some(Step::Create { object, .. }) => text(object, "name"),
                Some(_) | None => "",
            };
            let of_pod =
                |why: &str| failed(format!("Create Pod {pod} in StatefulSet {owner} failed error: {why}"));
            if *made != CLAIMS {
                return of_pod(why).into_iter().collect();
            }
            let claim = text(object, "name");
            let first = failed(format!(
                "Create Claim {claim} for Pod {pod} in StatefulSet {owner} failed error: {why}"
            ));
            let second = of_pod(&format!("failed to create PVC {claim}: {why}"));
            return first.into_iter().chain(second).collect();
        }
        if self.resource == DEPLOYMENTS {
            let message = format!("Failed to create new replica set {:?}: {why}", text(object, "name"));
            let told = self.told("ReplicaSetCreateError", message.clone());
            return told.into_iter().chain(deployment::hindered(self.owner, &message, now)).collect();
        }
        let what = if self.resource == CRON_JOBS { "creating job" } else { "creating" };
        let told = failed(format!("Error {what}: {why}"));
        let status =
            (self.resource == REPLICA_SETS).then(|| replica_set::hindered(self.owner, pods, why, now));
        told.into_iter().chain(status.flatten()).collect()
    }

    fn told(&self, reason: &'static str, message: String) -> Option<Step> {
        let (_, component) = OWNERS.into_iter().find(|(resource, _)| *resource == self.resource)?;
        let event = Event::told(self.owner, self.resource, component, reason, message, true);
        Some(Step::Tell(event.each_time()))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn it_is_tried_again_later_each_time() {
        let after = |resource, n_refusals| {
            let time = next_try(resource, n_refusals, Timestamp::UNIX_EPOCH).unwrap();
            time.as_millisecond()
        };
        assert_eq!([1, 2, 3, 12, 40].map(|n| after(REPLICA_SETS, n)), [5, 10, 20, 10_240, 1_000_000]);
        assert_eq!([1, 2, 3, 6, 7, 40].map(|n| after(JOBS, n)), [1000, 2000, 4000, 32_000, 60_000, 60_000]);
    }
}
