//! Jobs: pods until enough of them have succeeded, too many have failed, or the time is over.
//!
//! Each pod has a finalizer until it is counted, so that none counts twice or never: first its uid is noted in the status, then
//! its finalizer goes, then it is in the count.

mod policy;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use trueup_object::{Map, Timestamp, Value};

use super::objects::{
    self, Condition, JOBS, N_PODS_MAX, PODS, Step, condition, count, int, is_deleting, is_ready, set_count,
    text,
};
use super::replica_set::{N_AT_ONCE, is_active};
use crate::clock::wire_time;
use policy::Verdict;

pub const TRACKING: &str = "batch.kubernetes.io/job-tracking";
const INDEX: &str = "batch.kubernetes.io/job-completion-index";

/// How long a job waits after a failed pod: this, then twice as long each time.
const BACKOFF_SECONDS: u64 = 10;
const BACKOFF_SECONDS_MAX: u64 = 600;

/// So many indexes in a row are read of a status, which anybody may write.
const N_INDEXES_MAX: i64 = 100_000;

/// A job with its pods, sorted out.
struct Run<'v> {
    job: &'v Value,
    active: Vec<&'v Value>,
    /// Pods that have ended and have not been counted.
    uncounted: Vec<(&'v Value, bool)>,
    succeeded: i64,
    failed: i64,
    completions: Option<i64>,
    parallelism: i64,
    indexed: bool,
    /// The indexes that have failed for good.
    failed_indexes: BTreeSet<i64>,
    /// Failed pods that are as if they had never been.
    ignored: Vec<&'v Value>,
    suspended: bool,
}

/// How a job has ended.
struct Ending {
    kind: &'static str,
    reason: &'static str,
    message: String,
}

pub fn reconcile(job: &Value, pods: &[Arc<Value>], now: Timestamp) -> Vec<Step> {
    let pods: Vec<&Value> = pods.iter().map(Arc::as_ref).collect();
    if has_ended(job) {
        let mut steps: Vec<Step> = pods.iter().filter_map(|pod| released(pod)).collect();
        if ttl_end(job).is_some_and(|end| end <= now) && !is_deleting(job) {
            steps.push(Step::delete(JOBS, job));
        }
        return steps;
    }
    let run = Run::new(job, &pods, now);
    let noted = run.noted();
    let mut steps: Vec<Step> =
        pods.iter().filter(|pod| noted.contains(text(pod, "uid"))).filter_map(|pod| released(pod)).collect();
    let ending = run.ending(&pods, now);
    steps.extend(run.ignored.iter().filter_map(|pod| released(pod)));
    if ending.is_some() {
        steps.extend(run.active.iter().flat_map(|pod| ended(pod)));
    } else {
        steps.extend(run.adjusted(&pods, now));
    }
    steps.extend(Step::status(JOBS, job, run.status(&pods, ending.as_ref(), now)));
    steps
}

/// When something is to be done that no change brings about.
pub fn due(job: &Value, pods: &[Arc<Value>], now: Timestamp) -> Option<Timestamp> {
    if has_ended(job) {
        return ttl_end(job);
    }
    let pods: Vec<&Value> = pods.iter().map(Arc::as_ref).collect();
    let retries: Vec<Timestamp> = if policy::is_per_index(job) {
        let indexes: BTreeSet<i64> = pods.iter().filter_map(|pod| index_of(pod)).collect();
        indexes.into_iter().filter_map(|index| policy::retry_of(job, index, &pods)).collect()
    } else {
        retry_time(job, &pods).into_iter().collect()
    };
    deadline(job).into_iter().chain(retries.into_iter().filter(|time| *time > now)).min()
}

/// Whether a condition of a job says that it is over.
pub fn has_ended(job: &Value) -> bool {
    ended_as(job).is_some()
}

/// `Complete` or `Failed`.
pub fn ended_as(job: &Value) -> Option<&'static str> {
    let conditions = job.list_at(&["status", "conditions"]);
    ["Complete", "Failed"].into_iter().find(|kind| {
        condition(conditions, kind).is_some_and(|found| found.str_at(&["status"]) == Some("True"))
    })
}

fn ttl_end(job: &Value) -> Option<Timestamp> {
    let seconds = u64::try_from(job.int_at(&["spec", "ttlSecondsAfterFinished"])?).ok()?;
    let ended = condition(job.list_at(&["status", "conditions"]), ended_as(job)?)?;
    let since: Timestamp = ended.str_at(&["lastTransitionTime"])?.parse().ok()?;
    since.checked_add(Duration::from_secs(seconds)).ok()
}

fn deadline(job: &Value) -> Option<Timestamp> {
    let seconds = u64::try_from(job.int_at(&["spec", "activeDeadlineSeconds"])?).ok()?;
    let start: Timestamp = job.str_at(&["status", "startTime"])?.parse().ok()?;
    start.checked_add(Duration::from_secs(seconds)).ok()
}

/// When the next pod may follow the last one that failed.
fn retry_time(job: &Value, pods: &[&Value]) -> Option<Timestamp> {
    let ends = pods.iter().filter(|pod| pod.str_at(&["status", "phase"]) == Some("Failed"));
    let last = ends.filter_map(|pod| end_of(pod)).max()?;
    let failed = int(job, &["status", "failed"]).max(1);
    let doublings = u32::try_from(failed - 1).unwrap_or_default().min(16);
    let seconds = (BACKOFF_SECONDS << doublings).min(BACKOFF_SECONDS_MAX);
    last.checked_add(Duration::from_secs(seconds)).ok()
}

fn end_of(pod: &Value) -> Option<Timestamp> {
    let statuses = pod.list_at(&["status", "containerStatuses"]).iter();
    statuses.filter_map(|status| status.str_at(&["state", "terminated", "finishedAt"])?.parse().ok()).max()
}

fn is_tracked(pod: &Value) -> bool {
    pod.list_at(&["metadata", "finalizers"]).iter().any(|item| item.as_str() == Some(TRACKING))
}

/// The pod without its finalizer.
pub fn released(pod: &Value) -> Option<Step> {
    if !is_tracked(pod) {
        return None;
    }
    let mut changed = pod.clone();
    let finalizers = pod.list_at(&["metadata", "finalizers"]).iter();
    let rest: Vec<Value> = finalizers.filter(|item| item.as_str() != Some(TRACKING)).cloned().collect();
    changed.set_at(&["metadata", "finalizers"], Value::List(rest));
    Some(Step::update(PODS, changed))
}

/// Takes a pod away that does not count.
fn ended(pod: &Value) -> Vec<Step> {
    released(pod).into_iter().chain([Step::delete(PODS, pod)]).collect()
}

fn index_of(pod: &Value) -> Option<i64> {
    objects::annotation(pod, INDEX).parse().ok()
}

impl<'v> Run<'v> {
    fn new(job: &'v Value, pods: &[&'v Value], now: Timestamp) -> Self {
        let succeeded_pod = |pod: &Value| pod.str_at(&["status", "phase"]) == Some("Succeeded");
        let over = |pod: &Value| !is_active(pod);
        let counts =
            |pod: &&&'v Value| over(pod) && is_tracked(pod) && !policy::awaits_successor(job, pod, pods, now);
        let is_ignored = |pod: &Value| !succeeded_pod(pod) && policy::verdict(job, pod) == Verdict::Ignore;
        let (ignored, counted): (Vec<&Value>, Vec<&Value>) =
            pods.iter().filter(counts).copied().partition(|pod| is_ignored(pod));
        let uncounted = counted.into_iter().map(|pod| (pod, succeeded_pod(pod))).collect();
        Self {
            job,
            active: pods.iter().copied().filter(|pod| is_active(pod)).collect(),
            uncounted,
            succeeded: int(job, &["status", "succeeded"]),
            failed: int(job, &["status", "failed"]),
            completions: job.int_at(&["spec", "completions"]),
            parallelism: job.int_at(&["spec", "parallelism"]).unwrap_or(1),
            indexed: job.str_at(&["spec", "completionMode"]) == Some("Indexed"),
            failed_indexes: policy::failed_indexes(job, pods),
            ignored,
            suspended: job.at(&["spec", "suspend"]).and_then(Value::as_bool) == Some(true),
        }
    }

    fn noted_in(&self, list: &str) -> BTreeSet<&'v str> {
        let path = ["status", "uncountedTerminatedPods", list];
        self.job.list_at(&path).iter().filter_map(Value::as_str).collect()
    }

    /// The pods whose ends are in the status, and which may so lose their finalizers.
    fn noted(&self) -> BTreeSet<&'v str> {
        let mut noted = self.noted_in("succeeded");
        noted.extend(self.noted_in("failed"));
        noted
    }

    /// Successes and failures, with those that are about to be counted.
    fn all(&self, succeeded: bool) -> i64 {
        let list = if succeeded { "succeeded" } else { "failed" };
        let noted = self.noted_in(list);
        let waiting: BTreeSet<&str> = self
            .uncounted
            .iter()
            .filter(|(_, well)| *well == succeeded)
            .map(|(pod, _)| text(pod, "uid"))
            .chain(noted)
            .collect();
        let counted = if succeeded { self.succeeded } else { self.failed };
        counted + i64::try_from(waiting.len()).unwrap_or_default()
    }

    /// What is enough: without a number one success is, once nothing runs any more.
    fn is_complete(&self, done: i64) -> bool {
        match self.completions {
            Some(completions) => done >= completions,
            None => done > 0 && self.active.is_empty(),
        }
    }

    fn ending(&self, pods: &[&Value], now: Timestamp) -> Option<Ending> {
        let failed =
            |reason, message: &str| Some(Ending { kind: "Failed", reason, message: message.to_owned() });
        let mut fallen = pods.iter().filter(|pod| pod.str_at(&["status", "phase"]) == Some("Failed"));
        let message = fallen.find_map(|pod| match policy::verdict(self.job, pod) {
            Verdict::FailJob(message) => Some(message),
            Verdict::FailIndex | Verdict::Ignore | Verdict::Count => None,
        });
        if let Some(message) = message {
            return failed("PodFailurePolicy", &message);
        }
        let limit = self.job.int_at(&["spec", "backoffLimit"]).unwrap_or(6);
        let indexes = if self.indexed { self.done_indexes(pods) } else { BTreeSet::new() };
        let done = i64::try_from(indexes.len()).unwrap_or_default();
        let done = if self.indexed { done } else { self.all(true) };
        if let Some((reason, message)) =
            policy::index_failure(self.job, self.failed_indexes.len(), indexes.len())
        {
            return failed(reason, message);
        }
        if !policy::is_per_index(self.job) && self.all(false) > limit {
            return failed("BackoffLimitExceeded", "Job has reached the specified backoff limit");
        }
        if !self.suspended && deadline(self.job).is_some_and(|end| end <= now) {
            return failed("DeadlineExceeded", "Job was active longer than specified deadline");
        }
        if let Some(message) = policy::success(self.job, &indexes).filter(|_| !self.suspended) {
            return Some(Ending { kind: "Complete", reason: "SuccessPolicy", message });
        }
        let complete = !self.suspended && self.is_complete(done);
        complete.then(|| Ending {
            kind: "Complete",
            reason: "CompletionsReached",
            message: "Reached expected number of succeeded pods".to_owned(),
        })
    }

    fn done_indexes(&self, pods: &[&Value]) -> BTreeSet<i64> {
        let mut done = parse_indexes(self.job.str_at(&["status", "completedIndexes"]).unwrap_or_default());
        let well = pods.iter().filter(|pod| pod.str_at(&["status", "phase"]) == Some("Succeeded"));
        done.extend(well.filter_map(|pod| index_of(pod)));
        done
    }

    /// Pods that are too few or too many.
    fn adjusted(&self, pods: &[&Value], now: Timestamp) -> Vec<Step> {
        let over = self.all(true) + i64::try_from(self.failed_indexes.len()).unwrap_or_default();
        let left = self.completions.map_or(i64::MAX, |completions| completions - over);
        // Without a number nothing new begins once one has succeeded.
        let open = self.completions.is_some() || self.all(true) == 0;
        let have = i64::try_from(self.active.len()).unwrap_or(i64::MAX);
        let wanted = if self.suspended {
            0
        } else if open {
            self.parallelism.min(left).clamp(0, N_PODS_MAX + 1)
        } else {
            have.min(self.parallelism)
        };
        if have > wanted {
            let excess = usize::try_from(have - wanted).unwrap_or_default().min(N_AT_ONCE);
            return self.active.iter().rev().take(excess).flat_map(|pod| ended(pod)).collect();
        }
        let per_index = policy::is_per_index(self.job);
        if !per_index && retry_time(self.job, pods).is_some_and(|time| time > now) {
            return Vec::new();
        }
        let missing = usize::try_from(wanted - have).unwrap_or_default().min(N_AT_ONCE);
        if !self.indexed {
            return (0..missing).map(|_| Step::create(PODS, self.pod(None))).collect();
        }
        let mut taken = self.done_indexes(pods);
        taken.extend(self.active.iter().filter_map(|pod| index_of(pod)));
        taken.extend(&self.failed_indexes);
        let waits =
            |index: i64| per_index && policy::retry_of(self.job, index, pods).is_some_and(|time| time > now);
        let free = (0..self.completions.unwrap_or_default())
            .filter(|index| !taken.contains(index) && !waits(*index));
        let made = free.take(missing).map(|index| {
            let mut pod = self.pod(Some(index));
            if per_index {
                let failures = policy::failures_of(self.job, index, pods);
                pod.set_at(&["metadata", "annotations", policy::FAILURES], failures.to_string().into());
            }
            Step::create(PODS, pod)
        });
        made.collect()
    }

    fn pod(&self, index: Option<i64>) -> Value {
        let mut pod = objects::pod(JOBS, self.job, None);
        let name = text(self.job, "name");
        pod.set_at(&["metadata", "finalizers"], Value::List(vec![TRACKING.into()]));
        let Some(index) = index else {
            pod.set_at(&["metadata", "generateName"], format!("{name}-").into());
            return pod;
        };
        pod.set_at(&["metadata", "generateName"], format!("{name}-{index}-").into());
        pod.set_at(&["metadata", "annotations", INDEX], index.to_string().into());
        pod.set_at(&["metadata", "labels", INDEX], index.to_string().into());
        if pod.at(&["spec", "hostname"]).is_none() {
            pod.set_at(&["spec", "hostname"], format!("{name}-{index}").into());
        }
        for list in ["initContainers", "containers"] {
            let containers = pod.get_mut("spec").and_then(|spec| spec.get_mut(list));
            for container in containers.and_then(Value::as_list_mut).into_iter().flatten() {
                let mut variable = Value::Map(Map::new());
                variable.set_at(&["name"], "JOB_COMPLETION_INDEX".into());
                let path = format!("metadata.labels['{INDEX}']");
                variable.set_at(&["valueFrom", "fieldRef", "fieldPath"], path.into());
                let mut variables = container.list_at(&["env"]).to_vec();
                variables.push(variable);
                container.set_at(&["env"], Value::List(variables));
            }
        }
        pod
    }

    fn status(&self, pods: &[&Value], ending: Option<&Ending>, now: Timestamp) -> Value {
        let mut status = self.job.get("status").cloned().unwrap_or_else(|| Value::Map(Map::new()));
        let over = ending.is_some();
        let active = if over { 0 } else { i64::try_from(self.active.len()).unwrap_or(i64::MAX) };
        set_count(&mut status, "active", active);
        let ready = if over { 0 } else { count(self.active.iter().copied(), is_ready) };
        status.set_at(&["ready"], ready.into());
        status.set_at(&["terminating"], 0.into());
        self.count(&mut status, pods, over);
        if ending.is_some_and(|ending| ending.kind == "Failed") {
            // What ran then has failed with it.
            let n_active = i64::try_from(self.active.len()).unwrap_or(i64::MAX);
            set_count(&mut status, "failed", self.all(false).saturating_add(n_active));
        }
        if policy::is_per_index(self.job) {
            status.set_at(&["failedIndexes"], write_indexes(&self.failed_indexes).into());
        }
        if self.indexed {
            let done = write_indexes(&self.done_indexes(pods));
            if !done.is_empty() {
                status.set_at(&["completedIndexes"], done.into());
            }
        }
        self.conditions(&mut status, ending, now);
        if self.suspended {
            status.remove_at(&["startTime"]);
        } else if status.get("startTime").is_none() {
            status.set_at(&["startTime"], wire_time(now).into());
        }
        if ending.is_some_and(|ending| ending.kind == "Complete") {
            status.set_at(&["completionTime"], wire_time(now).into());
        }
        status
    }

    /// Notes the ends of pods, and counts those that were noted and have no finalizer any more.
    fn count(&self, status: &mut Value, pods: &[&Value], at_once: bool) {
        let tracked: BTreeSet<&str> =
            pods.iter().filter(|pod| is_tracked(pod)).map(|pod| text(pod, "uid")).collect();
        let mut waiting = Value::Map(Map::new());
        for (list, well) in [("succeeded", true), ("failed", false)] {
            let noted = self.noted_in(list);
            let new = self.uncounted.iter().filter(|(_, it)| *it == well).map(|(pod, _)| text(pod, "uid"));
            let new: BTreeSet<&str> = new.collect();
            let counted = noted.iter().filter(|uid| !tracked.contains(**uid)).count();
            let before = if well { self.succeeded } else { self.failed };
            if at_once {
                set_count(status, list, self.all(well));
                continue;
            }
            set_count(status, list, before + i64::try_from(counted).unwrap_or_default());
            let left: BTreeSet<&str> =
                noted.into_iter().filter(|uid| tracked.contains(uid)).chain(new).collect();
            if !left.is_empty() {
                let left = left.into_iter().map(Value::from).collect();
                waiting.set_at(&[list], Value::List(left));
            }
        }
        status.set_at(&["uncountedTerminatedPods"], waiting);
    }

    fn conditions(&self, status: &mut Value, ending: Option<&Ending>, now: Timestamp) {
        let mut conditions = status.list_at(&["conditions"]).to_vec();
        let mut add = |kind: &str, state: &str, reason: &str, message: &str| {
            let current = condition(&conditions, kind).and_then(|current| current.str_at(&["status"]));
            if current != Some(state) {
                let mut value = Condition { kind, status: state, reason, message }.to_value(now);
                value.set_at(&["lastProbeTime"], wire_time(now).into());
                conditions.retain(|condition| condition.str_at(&["type"]) != Some(kind));
                conditions.push(value);
            }
        };
        if self.suspended {
            add("Suspended", "True", "JobSuspended", "Job suspended");
        } else if condition(self.job.list_at(&["status", "conditions"]), "Suspended").is_some() {
            add("Suspended", "False", "JobResumed", "Job resumed");
        }
        if let Some(Ending { kind, reason, message }) = ending {
            let before = if *kind == "Failed" { "FailureTarget" } else { "SuccessCriteriaMet" };
            add(before, "True", reason, message);
            add(kind, "True", reason, message);
        }
        if !conditions.is_empty() {
            status.set_at(&["conditions"], Value::List(conditions));
        }
    }
}

/// `0-2,5` as numbers.
fn parse_indexes(text: &str) -> BTreeSet<i64> {
    let mut indexes = BTreeSet::new();
    for part in text.split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<i64>(), last.parse::<i64>()) {
            indexes.extend(first..=last.min(first.saturating_add(N_INDEXES_MAX)));
        }
    }
    indexes
}

/// Numbers as `0-2,5`: three or more in a row as a range, as the real controller writes them.
fn write_indexes(indexes: &BTreeSet<i64>) -> String {
    let mut parts: Vec<(i64, i64)> = Vec::new();
    for index in indexes {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => parts.push((*index, *index)),
        }
    }
    let written = parts.into_iter().map(|(first, last)| match last - first {
        0 => first.to_string(),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    written.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
#[path = "job_tests.rs"]
mod tests;
